"""dsvc import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.progress import paused, progress
from dsvc.cli.render import NEXT, json_option, listed, note, out, out_notes, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import RefusedError

if TYPE_CHECKING:
    from dsvc.core.imports.reports import ImportReport, Unlisted


class ValuesType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """Whole numbers parted by commas."""

    name = "N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers of a text."""
        try:
            return tuple(int(part) for part in value.split(",")) if isinstance(value, str) else value
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 255", param, ctx)


class ImportCommand(click.Command):
    """A command whose `--sync` may be without a value, whatever follows it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; `--sync` alone is `--sync=annotations`."""
        end = args.index("--") if "--" in args else len(args)
        args = ["--sync=annotations" if arg == "--sync" and at < end else arg for at, arg in enumerate(args)]
        return super().parse_args(ctx, args)


@click.command("import", cls=ImportCommand)
@click.argument("path", metavar="FILE|DIR", type=PATH)
@click.option(
    "--format",
    metavar="FORMAT",
    type=TEXT,
    help="coco, table, clarifai, folder (of classes), mask. Else by what is there.",
)
@click.option("--images", metavar="DIR", type=PATH, help="Store the media below this folder, too.")
@click.option("--source", metavar="NAME", type=TEXT, help="What the source is called; else the file's name.")
@click.option("--split", metavar="NAME", type=TEXT, help="The split of all its inputs.")
@click.option("--root", metavar="DIR", type=PATH, help="Of a folder: what keys are relative to; else the project.")
@click.option("--classes", metavar="FILE", type=PATH, help="Of masks: the names of their values or colours.")
@click.option("--concept", metavar="NAME", type=TEXT, help="Of binary masks: what they show; or: from-folder.")
@click.option("--ignore", metavar="N,...", type=ValuesType(), multiple=True, help="Of masks: values that say nothing.")
@click.option("--suffix", metavar="TEXT", type=TEXT, default="", help="Of masks: what their names have at the end.")
@click.option("--no-hash", is_flag=True, help="Of a table with URLs: do not read their bytes now.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do with records that are wrong: stop, or skip them and keep them in a file of rejects.",
)
@click.option(
    "--sync",
    type=click.Choice(["annotations", "inputs"]),
    help="Remove what it lists no more: annotations of inputs that it lists (also --sync alone), or inputs too.",
)
@click.option("--yes", is_flag=True, help="With --sync=inputs: do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would change. Media are not looked at.")
@json_option
@shared_options
@pass_session
def import_command(
    session: Session,
    /,
    path: Path,
    as_json: bool,
    no_hash: bool,
    ignore: tuple[tuple[int, ...], ...],
    yes: bool,
    sync: str | None,
    **options: Any,
) -> None:
    """Import a file or a folder into the draft.

    A COCO file; a folder of COCO files, whose names or folders say train, val and test; a .zip of these, or one of
    Clarifai's, Protobuf or JSON, as dsvc exports them and as Clarifai does; a table (.csv, .tsv, .jsonl, .parquet) of
    metadata, splits and concepts; a folder whose subfolders are classes (--format folder); a folder of PNG masks beside
    the images (--format mask, where --images says where the images' keys begin).

    All errors are shown, and nothing is imported; with --on-error skip the rest is, and the refused records go to a
    file that can be mended and imported again. Importing the same again changes nothing. A source that has changed
    since is followed, by its file's name or --source: what changed in it changes here, and what was edited here stays.
    What both changed is a conflict; see dsvc conflicts. What a COCO file lists no more stays, unless --sync is given.

    \b
    JSON: {"dataset", "source", "changed", "dry_run", "inputs", "annotations", "concepts", "missing": [KEY...],
           "extra": [KEY...], "notes": [TEXT...], "refused", "problems": [TEXT...], "rejects": PATH or null,
           "conflicts": COUNT, "removed": {"inputs", "annotations"}, "unlisted_inputs": COUNT,
           "matched": {"unchanged", "renumbered", "by_number", "by_place", "joined", "new", "gone"},
           "altered_inputs": {"new", "changed"}}
    """
    dataset = session.dataset(signed=True)
    options |= {"hash": not no_hash, "ignore": sum(ignore, ()), "sync": sync or ""}
    with progress() as report:
        result = dataset.import_(path, progress=report, approve=None if yes else _ask, **options)
    if result.refused:
        from dsvc.cli.failure import tell_problems

        note(f"{plural(result.refused, 'error')} in {shown(str(path))}:")
        tell_problems(result.problems, result.refused)
    if as_json:
        print_json(_import_json(dataset.name, result, options["dry_run"]))
    else:
        with_images = options["images"] is not None and options["format"] != "mask" and not options["dry_run"]
        _print_imported(result, with_images, options["dry_run"])


def _ask(unlisted: Unlisted) -> None:
    """Ask whether inputs may go. Raises RefusedError where they may not, or nobody can answer."""
    verb = "is" if unlisted.inputs == 1 else "are"
    what = f"{plural(unlisted.inputs, 'input')} with {plural(unlisted.annotations, 'annotation')} {verb} listed no more"
    if not sys.stdin.isatty():
        raise RefusedError(f"{what}; removing them needs a yes on a terminal", "or say: --yes; see first: --dry-run")
    with paused():
        if not click.confirm(f"{what} by source {unlisted.source}. Remove them?", err=True):
            raise RefusedError("nothing was imported", "without --sync=inputs they stay")


def _import_json(dataset: str, result: ImportReport, dry_run: bool) -> dict[str, Any]:
    tally = result.tally
    return {
        "dataset": dataset,
        "source": result.source,
        "changed": result.changed,
        "dry_run": dry_run,
        "inputs": result.inputs,
        "annotations": result.annotations,
        "concepts": result.concepts,
        "missing": list(result.missing),
        "extra": list(result.extra),
        "notes": list(result.notes),
        "refused": result.refused,
        "problems": list(result.problems),
        "rejects": str(result.rejects) if result.rejects is not None else None,
        "conflicts": result.conflicts,
        "removed": {"inputs": result.removed[0], "annotations": result.removed[1]},
        "unlisted_inputs": tally.unlisted_inputs,
        "matched": {
            "unchanged": tally.unchanged,
            "renumbered": tally.renumbered,
            "by_number": tally.by_number,
            "by_place": tally.by_place,
            "joined": tally.joined,
            "new": tally.new,
            "gone": tally.gone,
        },
        "altered_inputs": {"new": result.altered[0], "changed": result.altered[1]},
    }


def _sources(result: ImportReport) -> str:
    return plural(len(result.parts), "source") if result.parts else f"source {result.source}"


def _print_imported(result: ImportReport, with_images: bool, dry_run: bool) -> None:
    for part in result.parts:
        what = f"{plural(part.inputs, 'input')}, {plural(part.annotations, 'annotation')}"
        out(f"source {part.source}: {what}, {plural(part.concepts, 'concept')}")
    counts = f"{plural(result.inputs, 'input')}, {plural(result.annotations, 'annotation')}"
    counts += f", {plural(result.concepts, 'concept')}"
    if result.changed:
        out(f"{'would import' if dry_run else 'imported'} {counts} from {_sources(result)}")
    elif not (result.inputs or result.annotations or result.concepts):
        out(f"nothing imported from {_sources(result)}")
    else:
        out(f"nothing new from {_sources(result)}: {counts}, as before")
    _print_records(result, dry_run)
    if result.missing:
        out(f"{plural(len(result.missing), 'input')} without a file: {listed(result.missing)}")
    elif with_images:
        out("every input has its file")
    if result.extra:
        out(f"{plural(len(result.extra), 'file')} that no record names, not taken: {listed(result.extra)}")
    out_notes(result.notes)
    for text in result.about_rejects:
        out(shown(text))
    if result.changed and not dry_run:
        out(NEXT)


def _print_records(result: ImportReport, dry_run: bool) -> None:
    """What became of the records of a source that was imported before, or that speaks of what others brought."""
    tally = result.tally
    differs = tally.renumbered or tally.changed or tally.new or tally.gone
    if result.changed and (tally.joined or (result.again and differs)):
        out(f"annotations: {_tallied(result)}")
    if result.changed and result.again and any(result.altered):
        words = [f"{count:,} {what}" for count, what in zip(result.altered, ("new", "changed"), strict=True) if count]
        out(f"inputs: {', '.join(words)}")
    if any(result.removed):
        inputs, annotations = result.removed
        what = [plural(inputs, "input")] if inputs else []
        what += [plural(annotations, "annotation")] if annotations else []
        out(f"{'would remove' if dry_run else 'removed'} {', '.join(what)}")
    if result.conflicts:
        differ = "what the source says and what is here differ; see: dsvc conflicts"
        verb = "would be" if dry_run else "is" if result.conflicts == 1 else "are"
        out(f"{plural(result.conflicts, 'record')} {verb} in conflict: {differ}")


def _tallied(result: ImportReport) -> str:
    tally = result.tally
    count = "" if tally.renumbered == tally.unchanged else f"{tally.renumbered:,} "
    numbers = f" ({count}renumbered)" if tally.renumbered else ""
    parts = [f"{tally.unchanged:,} unchanged{numbers}"] if result.again and tally.unchanged else []
    if tally.changed:
        rules = {"number": tally.by_number, "place": tally.by_place}
        counts = ", ".join(f"{count:,} by {rule}" for rule, count in rules.items() if count)
        parts.append(f"{tally.changed:,} changed (matched {counts})")
    others = ((tally.joined, "there already"), (tally.new, "new"), (tally.gone, "listed no more"))
    parts += [f"{count:,} {what}" for count, what in others if count]
    return ", ".join(parts)
