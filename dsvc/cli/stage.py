"""dsvc add, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, PLACE, TEXT
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import json_option, listed, note, out, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import InvalidRecordsError, UsageError

if TYPE_CHECKING:
    from dsvc.core.adding import AddReport
    from dsvc.core.importing import ImportReport
    from dsvc.core.referring import ReferenceReport

NEXT = "next: dsvc commit -m TEXT"


@click.command("add")
@click.argument("paths", metavar="PATH|URL...", type=PLACE, nargs=-1)
@click.option(
    "--root", metavar="DIR", type=PLACE, help="The folder that keys are relative to; else the project folder."
)
@click.option(
    "--reference", is_flag=True, help="Leave the bytes where they are: a path, s3://, gs://, az://, https://."
)
@click.option("--from", "listed", metavar="FILE", type=PLACE, help="With --reference: a list of places; - is stdin.")
@click.option("--no-hash", is_flag=True, help="With --reference: do not read the bytes now, to take their hash.")
@json_option
@shared_options
@pass_session
@click.pass_context
def add_command(
    context: click.Context,
    session: Session,
    paths: tuple[str, ...],
    root: str | None,
    reference: bool,
    listed: str | None,
    no_hash: bool,
    as_json: bool,
) -> int:
    """Take files and folders into the draft.

    Every file becomes an input, of whatever media type; its key is its path below the project folder. Hidden files
    are passed over. What cannot be taken is named on stderr; the exit code is 1 then, and where nothing could be
    taken, the command is refused.

    With --reference nothing is copied: the place, size, ETag or time, and hash are kept. A place is a file or folder,
    an http(s) URL, or an object of s3://, gs://, az:// (all below a prefix that ends in /). Outside the project
    folder a key begins with the folder's name. A list has one PLACE a line, or PLACE, a tab and its KEY. A run that
    was broken off goes on where it stopped when it is started again.

    \b
    JSON: {"dataset", "new", "changed", "unchanged", "hidden", "problems": [{"path", "reason"}]},
    and with --reference "resumed": how many references an earlier run has found
    """
    _expect_places(context, paths, reference, listed, no_hash)
    dataset = session.dataset(signed=True)
    with progress() as report:
        if reference:
            from dsvc.cli.references import refer

            result: AddReport | ReferenceReport = refer(dataset, paths, root, listed, not no_hash, report)
        else:
            result = dataset.add(*paths, root=root, progress=report)
    problems = tuple(map(str, result.problems))
    if problems and not result.new + result.changed + result.unchanged:
        raise InvalidRecordsError("nothing could be taken", problems, "mend what is named here, and add it again")
    if as_json:
        print_json(_add_json(dataset.name, result))
    else:
        _print_added(result, "reference" if reference else "input")
    if problems:
        from dsvc.cli.failure import tell_problems

        note(f"error: {plural(len(problems), 'file')} could not be taken")
        tell_problems(problems)
        return Exit.NO
    return Exit.DONE


def _expect_places(
    context: click.Context, paths: tuple[str, ...], reference: bool, listed: str | None, no_hash: bool
) -> None:
    """Refuse options that do not go together, and a URL that would be taken for a path."""
    if not reference and (listed is not None or no_hash):
        raise UsageError(f"{'--no-hash' if no_hash else '--from'} goes with --reference", "dsvc add --reference ...")
    if not paths and listed is None:
        parameter = next(parameter for parameter in context.command.params if parameter.name == "paths")
        raise click.MissingParameter(ctx=context, param=parameter)
    urls = [path for path in paths if "://" in path and not reference]
    if urls:
        from dsvc.core.places import shown_place

        raise UsageError(f"{shown_place(urls[0])} is a URL", "leave its bytes there: dsvc add --reference URL")


def _add_json(dataset: str, result: AddReport | ReferenceReport) -> dict[str, Any]:
    found: dict[str, Any] = {"dataset": dataset, "new": result.new, "changed": result.changed}
    found |= {"unchanged": result.unchanged, "hidden": result.skipped, "problems": []}
    for problem in result.problems:
        place = getattr(problem, "place", None) or str(getattr(problem, "path", ""))
        found["problems"].append({"path": place, "reason": problem.reason})
    resumed = getattr(result, "resumed", None)
    return found if resumed is None else {**found, "resumed": resumed}


def _print_added(result: AddReport | ReferenceReport, noun: str) -> None:
    words = [
        f"{plural(result.new, noun)} added" if result.new else "",
        f"{result.changed:,} changed" if result.changed else "",
        f"{result.unchanged:,} unchanged" if result.unchanged else "",
        f"{plural(result.skipped, 'hidden file')} passed over" if result.skipped else "",
    ]
    out(", ".join(filter(None, words)) or "no files found")
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
