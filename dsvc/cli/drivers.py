"""dsvc git merge-driver and diff-driver: what Git runs to merge a lock, and to show how it differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.bringing import bring
from dsvc.cli.exit import Exit
from dsvc.cli.failure import tell
from dsvc.cli.merged import lock_lines, unsettled_words
from dsvc.cli.render import note, out, shown
from dsvc.errors import DsvcError, RefusedError

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import Lock
    from dsvc.git.merging import MergedLock

_RESOLVE = "dsvc lock --resolve"
FINISH = f"then finish it with: {_RESOLVE}"
BY_HAND = "or keep one line a dataset and no marker, and: git add"
# More signs than that are no marker of Git's.
_MAX_SIZE = 1000
# Beyond 128, Git takes the merge for failed and changes nothing.
_ABORT = 129


@click.command("merge-driver", hidden=True)
@click.argument("base", metavar="%O", type=click.Path(path_type=Path))
@click.argument("ours", metavar="%A", type=click.Path(path_type=Path))
@click.argument("theirs", metavar="%B", type=click.Path(path_type=Path))
@click.argument("name", metavar="%P")
@click.argument("size", metavar="%L", type=click.IntRange(1, _MAX_SIZE), default=7)
def merge_driver_command(base: Path, ours: Path, theirs: Path, name: str, size: int) -> int:
    """Merge a lock for Git, and the datasets that it names: the result is left in the file of ours.

    Exit code 1 tells Git of a conflict; then both sides stand in the file, between markers.
    """
    from dsvc.git.conflicts import mark_whole

    try:
        sides = [file.read_bytes() for file in (base, ours, theirs)]
        # What is left there if anything goes wrong from now on: Git takes what it finds.
        ours.write_bytes(mark_whole(sides[1], sides[2], size))
    except OSError as error:
        tell(error)
        return _ABORT
    try:
        locks = [_read(side, what, name) for side, what in zip(sides, _WORDS, strict=True)]
        merged = _merge(Path(name).parent, *locks)
        ours.write_bytes(merged.text(size).encode())
    except (DsvcError, OSError) as error:
        tell(error)
        return Exit.NO
    for line in lock_lines(merged):
        note(line)
    if not merged.unsettled:
        return Exit.DONE
    tell(RefusedError(f"{name}: {unsettled_words(merged)}", f"dsvc pull, {FINISH}; {BY_HAND} {name}"))
    return Exit.NO


_WORDS = ("the base", "our side", "their side")


def _read(data: bytes, what: str, name: str) -> Lock:
    from dsvc.git.lockfile import decode, parse_lock

    try:
        return parse_lock(decode(data, f"{what} of {name}"), f"{what} of {name}")
    except RefusedError as error:
        error.hint = f"see both sides in the file; keep one line a dataset and no marker, and: git add {name}"
        raise


def _merge(project: Path, base: Lock, ours: Lock, theirs: Lock) -> MergedLock:
    from dsvc.git.merging import merge_locks

    return merge_locks(_open(project), base, ours, theirs, bring)


def _open(project: Path) -> Repository | None:
    """The repository of a project's folder; None where its data was never brought here."""
    from dsvc.cli.author import find_author
    from dsvc.core.repository import FOLDER, Repository

    if not (project / FOLDER / "head").exists():
        return None
    repository = Repository.open(project)
    repository.store.refresh()  # what is wrong with it as a whole is told as that
    repository.author = find_author(project, repository.workspace.author)
    return repository


@click.command("diff-driver", hidden=True)
@click.argument("arguments", metavar="FILE | PATH FILE HEX MODE FILE HEX MODE", nargs=-1, required=True)
def diff_driver_command(arguments: tuple[str, ...]) -> None:
    """Show how a lock differs, and what changed in the datasets that it names; or tell of one lock in a stable text.

    Git calls it with 7 or more words to show a difference (`git diff`), and with a file's name alone to have the text
    of one side (`git show`, `git log -p`). Where a lock cannot be read, or its data is not here, its own lines are
    shown. It never fails: Git would stop.
    """
    is_diff = len(arguments) >= _DIFF_WORDS
    files = [Path(arguments[at]) for at in ((1, 4) if is_diff else (0,))]
    try:
        lines = list(_tell_diff(arguments, *files) if is_diff else _tell_lock(*files))
    except (DsvcError, OSError) as error:
        lines = [line for file in files for line in _raw(file)] + [
            f"this is all that can be shown: {shown(str(error))}"
        ]
    for line in lines:
        out(line)


_DIFF_WORDS = 7


def _tell_diff(arguments: tuple[str, ...], old: Path, new: Path) -> Iterator[str]:
    """What differs between two files of a lock."""
    from dsvc.cli.lockdiff import change_lines, text_diff
    from dsvc.git.diffing import Behind, changed_lines

    path = arguments[0]
    new_path = arguments[_DIFF_WORDS] if len(arguments) > _DIFF_WORDS else path  # the file was renamed
    yield f"diff --git a/{shown(path)} b/{shown(new_path)}"
    texts = _text(old), _text(new)
    before, after = map(_parse, texts)
    changes = changed_lines(before, after) if before is not None and after is not None else []
    if not changes:
        yield from text_diff(*texts, shown(path))
        if before is None or after is None:
            yield _unreadable(texts[1] if after is None else texts[0])
        return
    repository = _open(Path(new_path).parent)
    behind = Behind(repository) if repository is not None else None
    for change in changes:
        yield from change_lines(change, behind)


def _unreadable(text: str) -> str:
    from dsvc.git.lockfile import has_markers

    if has_markers(text):
        return f"Git left this lock in conflict; to finish it: {_RESOLVE}"
    return "this lock cannot be read; to write it anew: dsvc lock"


def _tell_lock(file: Path) -> Iterator[str]:
    """A lock's text for Git to compare."""
    from dsvc import __version__
    from dsvc.cli.lockdiff import FORM, lock_text
    from dsvc.git.diffing import Behind, Told

    text = _text(file)
    lock = _parse(text)
    repository = _find(file, lock) if lock else None
    if not lock or repository is None:
        yield from map(shown, text.splitlines())
        if lock is None:
            yield _unreadable(text)
        return
    told = Told(repository, f"{__version__} {FORM}")
    yield from lock_text(lock, Behind(repository), told)
    told.save()


def _find(file: Path, lock: Lock) -> Repository | None:
    """The repository that a lock goes with. Git gives the text of an old one without its folder: then it is the first
    that has one of its commits."""
    from dsvc.git.diffing import Behind, find_projects

    for folder in (file.parent, *find_projects(Path())):
        repository = _open(folder)
        if repository is not None and any(Behind(repository).has(line) for line in lock.values()):
            return repository
    return None


def _text(file: Path) -> str:
    """A lock's text, whatever is in it; nothing where there is no file."""
    from dsvc.git.lockfile import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _raw(file: Path) -> list[str]:
    try:
        return [shown(line) for line in _text(file).splitlines()]
    except OSError:
        return []


def _parse(text: str) -> Lock | None:
    from dsvc.git.lockfile import parse_lock

    try:
        return parse_lock(text)
    except RefusedError:
        return None
