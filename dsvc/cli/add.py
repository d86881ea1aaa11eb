"""dsvc add, untrack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsvc.cli.arguments import PATH, PLACE
from dsvc.cli.exit import Exit
from dsvc.cli.progress import progress
from dsvc.cli.render import NEXT, json_option, listed, note, out, out_notes, plural, print_json, shown
from dsvc.cli.session import Session, pass_session, shared_options
from dsvc.errors import InvalidRecordsError, UsageError

if TYPE_CHECKING:
    from dsvc.core.files.adding import AddReport
    from dsvc.core.files.choosing import LeftOut
    from dsvc.core.references.referring import ReferenceReport

_WAYS = "dsvc add PATH..., or all that changed in tracked folders: dsvc add -A"


@click.command("add")
@click.argument("paths", metavar="PATH|URL...", type=PLACE, nargs=-1)
@click.option("-A", "--all", "everything", is_flag=True, help="Take in all that changed in the tracked folders.")
@click.option(
    "--root", metavar="DIR", type=PLACE, help="The folder that keys are relative to; else the project folder."
)
@click.option("--all-files", is_flag=True, help="Take hidden files and files that are no media, too.")
@click.option("--team", is_flag=True, help="Note tracked folders in dsvc.toml, for the team.")
@click.option(
    "--reference", is_flag=True, help="Leave the bytes where they are: a path, s3://, gs://, az://, https://."
)
@click.option("--from", "source", metavar="FILE", type=PLACE, help="With --reference: a list of places; - is stdin.")
@click.option("--no-hash", is_flag=True, help="With --reference: do not read the bytes now, to take their hash.")
@json_option
@shared_options
@pass_session
def add_command(session: Session, /, paths: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Take files and folders into the draft.

    Every file becomes an input; its key is its path below the project folder. A folder of the project is tracked from
    then on: `dsvc status` says what changes in it, and `dsvc add -A` takes it in: new files, other bytes, files
    with another name, whose inputs move with their annotations, and files that are gone, whose inputs go with theirs.
    So it does with folders that `dsvc checkout` has laid out, whose edited annotation files it takes in, too.
    Files that are named one by one are taken, and not followed.

    Of folders, media are taken: images, videos, audio and .txt files. Hidden files and what a .dsvcignore file names
    (in Git's syntax) are passed over. What cannot be taken is named on stderr; the exit code is 1 then, and where
    nothing could be taken, the command is refused.

    With --reference nothing is copied: the place, size, ETag or time, and hash are kept. A place is a file or folder,
    an http(s) URL, or an object of s3://, gs://, az:// (all below a prefix that ends in /). Outside the project
    folder a key begins with the folder's name. A list has one PLACE a line, or PLACE, a tab and its KEY. A run that
    was broken off goes on where it stopped when it is started again.

    \b
    JSON: {"dataset", "new", "changed", "unchanged", "moved", "removed", "removed_annotations", "tracked": [FOLDER...],
           "left_out": {"hidden", "ignored", "other"}, "problems": [{"path", "reason"}],
           "notes": [TEXT...], "edited": [{"path", "added", "changed", "removed"}...]: annotation files of checkouts};
    with --reference: {"dataset", "new", "changed", "unchanged", "left_out", "problems", "resumed": how many references
           an earlier run has found}
    """
    _check(paths, **options)
    dataset = session.dataset(signed=True)
    noun, result = "input", None
    with progress() as report:
        if options["everything"]:
            result = dataset.add_all(report)
        elif not options["reference"]:
            chosen = {name: options[name] for name in ("root", "all_files", "team")}
            result = dataset.add(*paths, progress=report, **chosen)
        else:
            from dsvc.cli.references import refer

            noun, chosen = "reference", {name: options[name] for name in ("root", "all_files")}
            referred = refer(dataset, paths, options["source"], report, hash=not options["no_hash"], **chosen)
    return _tell(dataset.name, result if result is not None else referred, noun, as_json)


def _check(paths: tuple[str, ...], **given: Any) -> None:
    """Refuse options that do not go together, and a URL that would be taken for a path. Raises UsageError."""
    if given["everything"] and (paths or any(value for name, value in given.items() if name != "everything")):
        raise UsageError("-A takes in the tracked folders, and no other", "dsvc add -A, or: dsvc add PATH...")
    if given["everything"]:
        return
    for name, flag in (("no_hash", "--no-hash"), ("source", "--from")):
        if given[name] and not given["reference"]:
            raise UsageError(f"{flag} goes with --reference", "dsvc add --reference ...")
    if given["team"] and given["reference"]:
        raise UsageError("--team does not go with --reference", "folders are tracked where files are taken in")
    if not paths and given["source"] is None:
        raise UsageError("no path is named", _WAYS)
    urls = [path for path in paths if "://" in path and not given["reference"]]
    if urls:
        from dsvc.core.references.places import shown_place

        raise UsageError(f"{shown_place(urls[0])} is a URL", "leave its bytes there: dsvc add --reference URL")


def _tell(dataset: str, result: AddReport | ReferenceReport, noun: str, as_json: bool) -> int:
    problems = tuple(map(str, result.problems))
    taken = ("new", "changed", "unchanged", "moved", "removed", "edited")
    if problems and not any(getattr(result, name, 0) for name in taken):
        raise InvalidRecordsError("nothing could be taken", problems, "mend what is named here, and add it again")
    if as_json:
        print_json(_json(dataset, result))
    else:
        _print(result, noun)
    if problems:
        from dsvc.cli.failure import tell_problems

        note(f"error: {plural(len(problems), 'file')} could not be taken")
        tell_problems(problems)
        return Exit.NO
    return Exit.DONE


def _json(dataset: str, result: AddReport | ReferenceReport) -> dict[str, Any]:
    counts = ("new", "changed", "unchanged", "moved", "removed", "removed_annotations", "resumed")
    found: dict[str, Any] = {"dataset": dataset}
    found |= {name: getattr(result, name) for name in counts if hasattr(result, name)}
    if not hasattr(result, "resumed"):
        found["tracked"] = list(getattr(result, "tracked", ()))
        found["notes"] = list(getattr(result, "notes", ()))
        found["edited"] = [one._asdict() for one in getattr(result, "edited", ())]
    found["left_out"] = result.left_out._asdict()
    found["problems"] = [
        {"path": getattr(problem, "place", None) or str(getattr(problem, "path", "")), "reason": problem.reason}
        for problem in result.problems
    ]
    return found


def _print(result: AddReport | ReferenceReport, noun: str) -> None:
    moved, removed = getattr(result, "moved", 0), getattr(result, "removed", 0)
    annotations = getattr(result, "removed_annotations", 0)
    gone = f" with {plural(annotations, 'annotation')}" if annotations else ""
    edited = getattr(result, "edited", ())
    words = [
        f"{plural(result.new, noun)} added" if result.new else "",
        f"{result.changed:,} changed" if result.changed else "",
        f"{moved:,} renamed" if moved else "",
        f"{removed:,} removed{gone}" if removed else "",
        f"{result.unchanged:,} unchanged" if result.unchanged else "",
    ]
    out(", ".join(filter(None, words)) or ("nothing changed" if noun == "input" and edited else "no files found"))
    for one in edited:
        counts = ((one.added, "added"), (one.changed, "changed"), (one.removed, "removed"))
        text = ", ".join(f"{count:,} {verb}" for count, verb in counts if count) or "nothing new"
        out(f"{shown(one.path)}: annotations {text}" if any(one[1:]) else f"{shown(one.path)}: {text}")
    if line := left_out_line(result.left_out):
        out(line)
    tracked: Sequence[str] = getattr(result, "tracked", ())
    out_notes(getattr(result, "notes", ()))
    if tracked:
        out(f"tracked from now on: {listed(tracked)}")
    if result.new or result.changed or moved or removed or edited:
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
    """Track folders no more.

    `dsvc status` and `dsvc add -A` look past them. Their inputs stay in the dataset, and their files on disk.
    `dsvc add FOLDER` tracks one again.

    \b
    JSON: {"dataset", "untracked": [FOLDER...]}
    """
    dataset = session.dataset(signed=True)
    root = os.path.realpath(dataset.repository.root or Path())
    # A tracked folder may be a link by now, so that it is its own name that counts.
    places = [Path(os.path.realpath(folder.absolute().parent), folder.absolute().name) for folder in folders]
    names = [os.path.relpath(os.path.normpath(place), root).replace(os.sep, "/") for place in places]
    dataset.untrack(*names)
    if as_json:
        print_json({"dataset": dataset.name, "untracked": names})
    else:
        out(f"tracked no more: {listed(names)}; their inputs and files stay")
        out("dsvc add FOLDER tracks one again; dsvc undo does not, since this is a setting")
