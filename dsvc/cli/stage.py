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
from dsvc.errors import InvalidRecordsError

if TYPE_CHECKING:
    from dsvc.core.adding import AddReport
    from dsvc.core.importing import ImportReport

NEXT = "next: dsvc commit -m TEXT"


@click.command("add")
@click.argument("paths", metavar="PATH...", type=PATH, nargs=-1, required=True)
@click.option("--root", metavar="DIR", type=PATH, help="The folder that keys are relative to; else the project folder.")
@json_option
@shared_options
@pass_session
def add_command(session: Session, paths: tuple[Path, ...], root: Path | None, as_json: bool) -> int:
    """Take files and folders into the draft.

    Every file becomes an input, of whatever media type; its key is its path below the project folder. Hidden files
    are passed over. What cannot be taken is named on stderr; the exit code is 1 then, and where nothing could be
    taken, the command is refused.

    \b
    JSON: {"dataset", "new", "changed", "unchanged", "hidden", "problems": [{"path", "reason"}],
           "notes": [TEXT...]}
    """
    dataset = session.dataset(signed=True)
    with progress() as report:
        result = dataset.add(*paths, root=root, progress=report)
    problems = tuple(map(str, result.problems))
    if problems and not result.new + result.changed + result.unchanged:
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
    counts = {"new": result.new, "changed": result.changed, "unchanged": result.unchanged, "hidden": result.skipped}
    return {"dataset": dataset, **counts, "problems": problems, "notes": list(result.notes)}


def _print_added(result: AddReport) -> None:
    words = [
        f"{plural(result.new, 'input')} added" if result.new else "",
        f"{result.changed:,} changed" if result.changed else "",
        f"{result.unchanged:,} unchanged" if result.unchanged else "",
        f"{plural(result.skipped, 'hidden file')} passed over" if result.skipped else "",
    ]
    out(", ".join(filter(None, words)) or "no files found")
    for text in result.notes:
        out(f"note: {shown(text)}")
    if result.new or result.changed:
        out(NEXT)


@click.command("import")
@click.argument("file", type=PATH)
@click.option("--format", metavar="FORMAT", type=TEXT, help="The file's format: coco. Else by its content.")
@click.option("--images", metavar="DIR", type=PATH, help="Store the media below this folder, too.")
@click.option("--source", metavar="NAME", type=TEXT, help="What the source is called; else the file's name.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="What to do with records that are wrong: stop, or skip them and keep them in a file of rejects.",
)
@json_option
@shared_options
@pass_session
def import_command(session: Session, /, file: Path, as_json: bool, **options: Any) -> None:
    """Import a file of annotations into the draft.

    All errors of the file are shown, and nothing is imported; with --on-error skip the rest is, and the refused
    records go to a file that can be mended and imported again. Importing the same file again changes nothing.

    \b
    JSON: {"dataset", "source", "changed", "inputs", "annotations", "concepts", "missing": [KEY...],
           "extra": [KEY...], "notes": [TEXT...], "refused", "problems": [TEXT...], "rejects": PATH or null}
    """
    dataset = session.dataset(signed=True)
    with progress() as report:
        result = dataset.import_(file, progress=report, **options)
    if result.refused:
        from dsvc.cli.failure import tell_problems

        note(f"{plural(result.refused, 'error')} in {shown(str(file))}:")
        tell_problems(result.problems, result.refused)
    if as_json:
        print_json(_import_json(dataset.name, result))
    else:
        _print_imported(result, options["images"] is not None)


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


def _print_imported(result: ImportReport, with_images: bool) -> None:
    counts = f"{plural(result.inputs, 'input')}, {plural(result.annotations, 'annotation')}"
    counts += f", {plural(result.concepts, 'concept')}"
    if result.changed:
        out(f"imported {counts} from source {result.source}")
    else:
        out(f"nothing new from source {result.source}: {counts}, as before")
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
