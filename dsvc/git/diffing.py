"""What differs between two locks, and the history behind the commits that one names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.diffing.diff import Diff
from dsvc.core.history.walking import History
from dsvc.core.transaction import ReadOnly
from dsvc.errors import DamagedError, DsvcError
from dsvc.model.snapshot import Snapshot, empty_roots
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.git.lockfile import Lock, Locked

# So many commits are told of at most, and half as many at least if there are. It is a step of that size by which the
# beginning moves, so that the texts of two locks nearly always begin alike.
WINDOW = 128


class LineChange(NamedTuple):
    """A dataset whose line differs: None where a side has none."""

    dataset: str
    old: Locked | None
    new: Locked | None


def changed_lines(old: Lock, new: Lock) -> list[LineChange]:
    """The lines that differ, by dataset."""
    found = [LineChange(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    return [change for change in found if change.old != change.new]


class Behind:
    """The commits of a repository that locks name, and what they changed."""

    def __init__(self, repository: Repository) -> None:
        self._store = ReadOnly(repository.store)
        self._history = History(self._store, repository.cache)
        self._nothing = Snapshot(self._store, empty_roots(self._store), repository.cache)
        self.commit = self._history.commit

    def has(self, *lines: Locked | None) -> bool:
        """Whether the commits of some lines are here."""
        try:
            for line in lines:
                if line is not None:
                    self._history.commit(line.commit)
        except DamagedError:
            return False
        return True

    def snapshot(self, id: ObjectId | None) -> Snapshot:
        """What a commit holds; nothing for None. Raises DamagedError."""
        return self._history.snapshot(id) if id is not None else self._nothing

    def diff(self, old: ObjectId | None, new: ObjectId | None) -> Diff:
        """What differs between two commits."""
        return Diff(self.snapshot(old), self.snapshot(new))

    def parents(self, id: ObjectId) -> tuple[ObjectId, ...]:
        """A commit's parents, but those on lines of sources."""
        return self._history.parents(id)

    def last(self, head: ObjectId) -> tuple[int, list[ObjectId]]:
        """The last commits up to one, the oldest first, and how many come before them."""
        found = self._in_order(head)
        step = WINDOW // 2
        begin = max(0, (len(found) - 1) // step * step - step)
        return begin, found[begin:]

    def _in_order(self, head: ObjectId) -> list[ObjectId]:
        """All commits up to one, by what does not depend on it: so any two are in one order in every text."""
        height: dict[ObjectId, int] = {}
        for id in reversed(list(self._history.walk([head]))):
            height[id] = max((height[parent] + 1 for parent in self.parents(id)), default=0)
        return sorted(height, key=lambda id: (self.commit(id).time.seconds, height[id], id))


class Told:
    """What was told of commits before: lines by commit, in a file of the repository's cache. A commit never changes, so
    they are never out of date; all can be made anew, and where anything is wrong with the file it is passed over.

    `form` says who told it, and how: what another one told is forgotten.
    """

    LIMIT = 5_000

    def __init__(self, repository: Repository, form: str) -> None:
        self._path, self._form = _place(repository), form
        self._lines: dict[str, list[str]] = {}
        self._is_new = False
        with suppress(OSError, ValueError, TypeError, AttributeError):
            if self._path is not None:
                self._lines = _checked(json.loads(self._path.read_bytes()), form)

    def get(self, id: ObjectId) -> list[str] | None:
        """What was told of a commit, or None."""
        return self._lines.get(id.hex())

    def keep(self, id: ObjectId, lines: list[str]) -> None:
        """Note what is told of a commit."""
        self._lines[id.hex()] = lines
        self._is_new = True

    def save(self) -> None:
        """Write what is new, where that can be done."""
        if self._path is None or not self._is_new:
            return
        kept = dict(list(self._lines.items())[-self.LIMIT :])
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({"form": self._form, "lines": kept}))
            new.replace(self._path)


def _checked(document: dict[str, object], form: str) -> dict[str, list[str]]:
    lines = document.get("lines")
    if document.get("form") != form or not isinstance(lines, dict):
        return {}
    return {id: [str(line) for line in told] for id, told in lines.items()}


def _place(repository: Repository) -> Path | None:
    with suppress(DsvcError):
        folder = repository.cache_folder
        return folder / "told.json" if folder is not None else None
    return None


def find_projects(root: Path) -> Iterator[Path]:
    """The folders with a repository of datasets in a working tree: its own, then those one and two folders below."""
    from dsvc.core.repository import FOLDER

    for pattern in ("", "*/", "*/*/"):
        with suppress(OSError):
            yield from (head.parents[1] for head in sorted(root.glob(f"{pattern}{FOLDER}/head")))
