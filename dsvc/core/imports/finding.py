"""Files that a source names by path: where they are, and why one cannot be taken."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dsvc.core.files.worktree import reason, wrong_kind
from dsvc.core.keys import display

_OWN = frozenset({".dsvc", ".git"})


class FileFinder:
    """Finds files by paths that are relative to `base`.

    They must stay in it or in the folder `home`, the project: a list from elsewhere takes no other file in.
    """

    def __init__(self, base: Path, home: Path | None) -> None:
        self._base = os.path.realpath(base)
        self._homes = [self._base, *([os.path.realpath(home)] if home is not None else [])]
        self._folders: dict[str, str] = {}
        self._found: dict[str, tuple[str, str | None]] = {}

    def find(self, name: str) -> tuple[str, str | None]:
        """Where the file of a path is, and why it cannot be taken."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._look(name)
        return found

    def problem(self, name: str) -> str | None:
        """Why the file of a path cannot be taken, or None."""
        return self.find(name)[1]

    def _look(self, name: str) -> tuple[str, str | None]:
        path = os.path.join(self._base, name)  # noqa: PTH118 - for each of many files
        wrong: str | None = None
        try:
            place = self._real(path)
        except OSError as error:
            place = os.path.realpath(path)
            wrong = (
                reason(error) if os.path.lexists(path) or not isinstance(error, FileNotFoundError) else "is not there"
            )
        home = next((home for home in self._homes if place.startswith(home.rstrip(os.sep) + os.sep)), None)
        if home is None:
            project = " and of the project" if len(set(self._homes)) > 1 else ""
            return place, f"path {display(name)!r} leads out of {display(self._base)}{project}"
        if not _OWN.isdisjoint(Path(place[len(home) :]).parts):
            return place, f"path {display(name)!r} is no data"
        wrong = wrong or _unfit(place)
        return place, f"path {display(name)!r} {wrong}" if wrong else None

    def _real(self, path: str) -> str:
        """Where a path really leads; each folder is looked at once. Raises OSError."""
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or stat.S_ISLNK(os.lstat(path).st_mode):
            return os.path.realpath(path)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(folder)
        return os.path.join(real, name)  # noqa: PTH118


def _unfit(place: str) -> str | None:
    """Why what is at a place cannot be read, or None."""
    try:
        wrong = wrong_kind(os.stat(place).st_mode)  # noqa: PTH116
    except OSError as error:
        return reason(error)
    return wrong or (None if os.access(place, os.R_OK) else "cannot be read: Permission denied")
