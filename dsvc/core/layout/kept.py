"""Inputs whose file lies in a tracked folder as well as in a folder that is laid out.

The tracked folder's word counts: what was deleted or renamed in the other one alone would come back with the next look
at the tracked folder, without its annotations. So it is left alone, and named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.files.tracking import Tracked, is_in, owner
from dsvc.core.keys import display
from dsvc.core.layout.record import laid_folders

if TYPE_CHECKING:
    from dsvc.core.files.workfiles import FileStatus
    from dsvc.core.repository import Repository


class Kept(NamedTuple):
    """An input by its key that was deleted, or has the name `new`, in a folder that is laid out, and the tracked folder
    that still has its file."""

    key: str
    new: str | None
    folder: str


def leave_kept(
    status: FileStatus, repository: Repository, tracked: Sequence[Tracked]
) -> tuple[FileStatus, tuple[Kept, ...]]:
    """What changed in a folder without what would take away inputs whose file lies in one of these tracked folders."""
    if not tracked or not (status.missing or status.renamed):
        return status, ()
    laid = laid_folders(repository)
    root = Path(repository.root or Path())
    held = {}
    for key in (*status.missing, *(old for old, _ in status.renamed)):
        folder = _folder_of(key, root, tracked, laid)
        if folder is not None:
            held[key] = folder
    if not held:
        return status, ()
    moves = _stuck(status.renamed, held)
    missing = tuple(key for key in status.missing if key not in held and key not in moves)
    renamed = tuple(pair for pair in status.renamed if pair[1] not in moves)
    olds = set(moves.values())
    kept = [Kept(old, new, held[old]) for new, old in moves.items()]
    kept += [Kept(key, None, held[key]) for key in status.missing if key in held and key not in olds]
    return status._replace(missing=missing, renamed=renamed), tuple(sorted(kept, key=lambda one: one.key.encode()))


def _folder_of(key: str, root: Path, tracked: Sequence[Tracked], laid: Iterable[str]) -> str | None:
    """The tracked folder in which the file of a key lies."""
    for one in tracked:
        path = one.path(key)
        if path is None or owner(tracked, path) is not one or any(is_in(path, folder) for folder in laid):
            continue
        place = f"{root}/{path}"
        if os.path.isfile(place) or os.path.islink(place):  # noqa: PTH113, PTH114 - they take any name
            return one.name
    return None


def _stuck(renamed: Iterable[tuple[str, str]], held: dict[str, str]) -> dict[str, str]:
    """New names, with the old ones, of inputs that stay: their own file is held, or one that has their new name is."""
    moves = dict(renamed)
    stuck = {moves[old]: old for old in moves if old in held}
    news = {new: old for old, new in moves.items()}
    ahead = [old for old in moves if old in held]
    while ahead:
        blocker = ahead.pop()
        old = news.get(blocker)
        if old is not None and blocker not in stuck:
            held.setdefault(old, held[blocker])
            stuck[blocker] = old
            ahead.append(old)
    return stuck


def kept_lines(kept: Iterable[Kept], media: str) -> list[str]:
    """What to tell of them, in a line for each tracked folder; `media` is the folder that was laid out."""
    lines, found = [], dict[tuple[str, bool], list[Kept]]()
    for one in kept:
        found.setdefault((one.folder, one.new is not None), []).append(one)
    for (folder, is_renamed), ones in found.items():
        first = f"{display(media)}/{display(ones[0].key)}"
        more = f" and {len(ones) - 1:,} more" if len(ones) > 1 else ""
        be, whose = ("is", "its file is") if len(ones) == 1 else ("are", "their files are")
        what = f"renamed to {display(ones[0].new or '')}" if is_renamed and len(ones) == 1 else "renamed"
        lines.append(
            f"{first}{more} {be} {what if is_renamed else 'gone'}, and left alone: {whose} still in {display(folder)}"
        )
    return lines
