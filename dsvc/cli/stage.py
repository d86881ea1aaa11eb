"""dsvc add, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, listed, note, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import InvalidRecordsError, UsageError

if TYPE_CHECKING:
    from dsvc.core.adding import AddReport
    from dsvc.core.choosing import LeftOut
    from dsvc.core.importing import ImportReport

NEXT = "next: dsvc commit -m TEXT"


@click.command("add")
@click.argument("paths", metavar="PATH...", type=PATH, nargs=-1)
@click.option("-A", "--all", "everything", is_flag=True, help="Take in all that changed in the tracked folders.")
@click.option("--root", metavar="DIR", type=PATH, help="The folder that keys are relative to; else the project folder.")
@click.option("--all-files", is_flag=True, help="Take hidden files and files that are no media, too.")
@click.option("--team", is_flag=True, help="Note tracked folders in dsvc.toml, for the team.")
@json_option
@shared_options
@pass_session
def add_command(session: Session, /, paths: tuple[Path, ...], everything: bool, as_json: bool, **options: Any) -> int:
    """Take files and folders into the draft.

    Every file becomes an input; its key is its path below the project folder. A folder of the project is tracked from
    then on: `dsvc status` says what changes in it, and `dsvc add -A` takes it in: new files, other bytes, files
    with another name, whose inputs move with their annotations, and files that are gone, whose inputs go with theirs.

    Of folders, media are taken: images, videos, audio and .txt files. Hidden files and what a .dsvcignore file names
    (in Git's syntax) are passed over. What cannot be taken is named on stderr; the exit code is 1 then, and where
    nothing could be taken, the command is refused.

    \b
    JSON: {"dataset", "new", "changed", "unchanged", "moved", "removed", "removed_annotations", "tracked": [FOLDER...],
           "left_out": {"hidden", "ignored", "other"}, "problems": [{"path", "reason"}]}
    """
    if everything and (paths or any(options.values())):
        raise UsageError("-A takes in the tracked folders, and no other", "dsvc add -A, or: dsvc add PATH...")
    if not everything and not paths:
        raise UsageError("nothing is named", "dsvc add PATH..., or all that changed in tracked folders: dsvc add -A")
    dataset = session.dataset(signed=True)
    with progress() as report:
        result = dataset.add_all(report) if everything else dataset.add(*paths, progress=report, **options)
    problems = tuple(map(str, result.problems))
    if problems and not result.new + result.changed + result.unchanged + result.moved + result.removed:
        raise InvalidRecordsError("nothing could be taken", problems, "mend what is named here, and add it again")
    if as_json:
        print_json(_add_json(dataset.name, result))
    else:
        _print_added(result)
    if problems:
        from dsvc.cli.failure import tell_problems

        note(f"error: {plural(len(problems), 'file')} could not be taken")
        tell_problems(problems)
        return Exit.NO
    return Exit.DONE


def _add_json(dataset: str, result: AddReport) -> dict[str, Any]:
    problems = [{"path": str(problem.path), "reason": problem.reason} for problem in result.problems]
    names = ("new", "changed", "unchanged", "moved", "removed", "removed_annotations")
    counts = {name: getattr(result, name) for name in names}
    lists = {"tracked": list(result.tracked), "left_out": result.left_out._asdict(), "problems": problems}
    return {"dataset": dataset, **counts, **lists}


def _print_added(result: AddReport) -> None:
    gone = f" with {plural(result.removed_annotations, 'annotation')}" if result.removed_annotations else ""
    words = [
        f"{plural(result.new, 'input')} added" if result.new else "",
        f"{result.changed:,} changed" if result.changed else "",
        f"{result.moved:,} renamed" if result.moved else "",
        f"{result.removed:,} removed{gone}" if result.removed else "",
        f"{result.unchanged:,} unchanged" if result.unchanged else "",
    ]
    out(", ".join(filter(None, words)) or "no files found")
    if line := left_out_line(result.left_out):
        out(line)
    if result.tracked:
        out(f"tracked from now on: {listed(result.tracked)}")
    if result.new or result.changed or result.moved or result.removed:
        out(NEXT)


def left_out_line(left_out: LeftOut) -> str:
    """What was passed over, in words; "" for nothing."""
    words = [
        plural(left_out.hidden, "hidden file") if left_out.hidden else "",
        f"{left_out.ignored:,} ignored" if left_out.ignored else "",
        f"{left_out.other:,} that {'is' if left_out.other == 1 else 'are'} no media" if left_out.other else "",
    ]
    text = ", ".join(filter(None, words))
    return f"passed over: {text}" if text else ""


@click.command("untrack")
@click.argument("folders", metavar="FOLDER...", type=PATH, nargs=-1, required=True)
@json_option
@shared_options
@pass_session
def untrack_command(session: Session, folders: tuple[Path, ...], as_json: bool) -> None:
    """Track a folder no more: `dsvc status` and `dsvc add -A` look past it.

    Its inputs stay in the dataset, and its files on disk. `dsvc add FOLDER` tracks it again.

    \b
    JSON: {"dataset", "untracked": [FOLDER...]}
    """
    import os

    dataset = session.dataset(signed=True)
    root = os.path.realpath(dataset.repository.root or Path())
    names = [os.path.relpath(os.path.realpath(folder), root) for folder in folders]
    for name in names:
        dataset.untrack(name)
    if as_json:
        print_json({"dataset": dataset.name, "untracked": names})
    else:
        out(f"tracked no more: {listed(names)}; their inputs and files stay")


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
    "--format", metavar="FORMAT", type=TEXT, help="coco, table, folder (of classes), mask. Else by what is there."
)
@click.option("--images", metavar="DIR", type=PATH, help="Store the media below this folder, too.")
@click.option("--source", metavar="NAME", type=TEXT, help="What the source is called; else the file's name.")
@click.option("--split", metavar="NAME", type=TEXT, help="The split of all its inputs.")
@click.option("--root", metavar="DIR", type=PATH, help="Of a folder: what keys are relative to; else the project.")
@click.option("--classes", metavar="FILE", type=PATH, help="Of masks: the names of their values or colours.")
@click.option("--concept", metavar="NAME", type=TEXT, help="Of binary masks: what they show; or: from-folder.")
@click.option("--ignore", metavar="N,...", type=ValuesType(), default=(), help="Of masks: values that say nothing.")
@click.option("--suffix", metavar="TEXT", type=TEXT, default="", help="Of masks: what their names have at the end.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do with records that are wrong: stop, or skip them and keep them in a file of rejects.",
)
@json_option
@shared_options
@pass_session
def import_command(session: Session, /, path: Path, as_json: bool, **options: Any) -> None:
    """Import a file or a folder into the draft.

    A COCO file; a folder of COCO files, whose names or folders say train, val and test; a table (.csv, .tsv, .jsonl,
    .parquet) of metadata, splits and concepts; a folder whose subfolders are classes (--format folder); a folder of PNG
    masks beside the images (--format mask, where --images says where the images' keys begin).

    All errors are shown, and nothing is imported; with --on-error skip the rest is, and the refused records go to a
    file that can be mended and imported again. Importing the same again changes nothing.

    \b
    JSON: {"dataset", "source", "changed", "inputs", "annotations", "concepts", "missing": [KEY...],
           "extra": [KEY...], "notes": [TEXT...], "refused", "problems": [TEXT...], "rejects": PATH or null}
    """
    dataset = session.dataset(signed=True)
    with progress() as report:
        result = dataset.import_(path, progress=report, **options)
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
    else:
        out(f"nothing new from {_sources(result)}: {counts}, as before")
    if result.missing:
        out(f"{plural(len(result.missing), 'input')} without a file: {listed(result.missing)}")
    elif with_images:
        out("every input has its file")
    if result.extra:
        out(f"{plural(len(result.extra), 'file')} that no record names, not taken: {listed(result.extra)}")
    for text in result.notes:
        out(f"note: {shown(text)}")
    if result.rejects is not None:
        out(f"refused records are in {shown(str(result.rejects))}: mend them, and import that file too")
    if result.changed:
        out(NEXT)
