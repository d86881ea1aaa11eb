"""dsvc import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.progress import progress
from dsvc.cli.render import NEXT, json_option, listed, note, out, out_notes, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options

if TYPE_CHECKING:
    from dsvc.core.imports.reports import ImportReport


class ValuesType(click.ParamType):  # type: ignore[type-arg] # generic in newer clicks only
    """Whole numbers parted by commas."""

    name = "N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers of a text."""
        try:
            return tuple(int(part) for part in value.split(",")) if isinstance(value, str) else value
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 255", param, ctx)


@click.command("import")
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
@json_option
@shared_options
@pass_session
def import_command(
    session: Session, /, path: Path, as_json: bool, no_hash: bool, ignore: tuple[tuple[int, ...], ...], **options: Any
) -> None:
    """Import a file or a folder into the draft.

    A COCO file; a folder of COCO files, whose names or folders say train, val and test; a .zip of these, or one of
    Clarifai's, Protobuf or JSON, as dsvc exports them and as Clarifai does; a table (.csv, .tsv, .jsonl, .parquet) of
    metadata, splits and concepts; a folder whose subfolders are classes (--format folder); a folder of PNG masks beside
    the images (--format mask, where --images says where the images' keys begin).

    All errors are shown, and nothing is imported; with --on-error skip the rest is, and the refused records go to a
    file that can be mended and imported again. Importing the same again changes nothing. A table, folder or
    archive of Clarifai's that has changed since is followed, by its name or --source: what changed in it changes here,
    and what was edited here stays.

    \b
    JSON: {"dataset", "source", "changed", "inputs", "annotations", "concepts", "missing": [KEY...],
           "extra": [KEY...], "notes": [TEXT...], "refused", "problems": [TEXT...], "rejects": PATH or null}
    """
    dataset = session.dataset(signed=True)
    with progress() as report:
        result = dataset.import_(path, progress=report, hash=not no_hash, ignore=sum(ignore, ()), **options)
    if result.refused:
        from dsvc.cli.failure import tell_problems

        note(f"{plural(result.refused, 'error')} in {shown(str(path))}:")
        tell_problems(result.problems, result.refused)
    if as_json:
        print_json(_import_json(dataset.name, result))
    else:
        _print_imported(result, options["images"] is not None and options["format"] != "mask")


def _import_json(dataset: str, result: ImportReport) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "source": result.source,
        "changed": result.changed,
        "inputs": result.inputs,
        "annotations": result.annotations,
        "concepts": result.concepts,
        "missing": list(result.missing),
        "extra": list(result.extra),
        "notes": list(result.notes),
        "refused": result.refused,
        "problems": list(result.problems),
        "rejects": str(result.rejects) if result.rejects is not None else None,
    }


def _sources(result: ImportReport) -> str:
    return plural(len(result.parts), "source") if result.parts else f"source {result.source}"


def _print_imported(result: ImportReport, with_images: bool) -> None:
    for part in result.parts:
        what = f"{plural(part.inputs, 'input')}, {plural(part.annotations, 'annotation')}"
        out(f"source {part.source}: {what}, {plural(part.concepts, 'concept')}")
    counts = f"{plural(result.inputs, 'input')}, {plural(result.annotations, 'annotation')}"
    counts += f", {plural(result.concepts, 'concept')}"
    if result.changed:
        out(f"imported {counts} from {_sources(result)}")
    elif not (result.inputs or result.annotations or result.concepts):
        out(f"nothing imported from {_sources(result)}")
    else:
        out(f"nothing new from {_sources(result)}: {counts}, as before")
    if result.missing:
        out(f"{plural(len(result.missing), 'input')} without a file: {listed(result.missing)}")
    elif with_images:
        out("every input has its file")
    if result.extra:
        out(f"{plural(len(result.extra), 'file')} that no record names, not taken: {listed(result.extra)}")
    out_notes(result.notes)
    for text in result.about_rejects:
        out(shown(text))
    if result.changed:
        out(NEXT)
