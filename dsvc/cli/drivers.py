"""dsvc git merge-driver: what Git runs to merge a lock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsvc.cli.bringing import bring
from dsvc.cli.exit import Exit
from dsvc.cli.failure import tell
from dsvc.cli.merged import lock_lines, unsettled_words
from dsvc.cli.render import note
from dsvc.errors import DsvcError, RefusedError

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import Lock
    from dsvc.git.merging import MergedLock

FINISH = "then finish it with: dsvc lock --resolve"
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
    repository.author = find_author(project, repository.workspace.author)
    return repository
