"""Conflict markers in a lock: written where commits are missing, read where Git or a forge left them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dsvc.core.repository import LOCK_FILE
from dsvc.errors import RefusedError
from dsvc.git.lockfile import MARKERS, Locked, decode, format_lock, parse_lock
from dsvc.store.ids import ObjectId

OURS, THEIRS, BASE = "ours", "theirs", "base"
# What a reader of locks takes for a marker has at least so many signs.
SIZE = len(MARKERS[0])


class Sides(NamedTuple):
    """The texts of one lock on both sides, and of what they had in common, where that is known."""

    base: str | None
    ours: str
    theirs: str


Hunk = tuple[Locked | None, Locked, Locked]


def mark(lines: Mapping[str, Locked], hunks: Mapping[str, Hunk], size: int = SIZE) -> str:
    """The text of a lock in which some datasets are in conflict; a hunk is the line of the base, if any, ours and
    theirs."""
    parts = {name: _plain([line]) for name, line in lines.items()}
    for name, (base, ours, theirs) in hunks.items():
        texts = ["" if line is None else _plain([line]) for line in (base, ours, theirs)]
        parts[name] = _hunk(*texts, size=size)
    return format_lock([]) + "".join(parts[name] for name in sorted(parts, key=str.encode))


def mark_whole(ours: bytes, theirs: bytes, size: int = SIZE) -> bytes:
    """Two texts, whatever they hold, as one conflict."""
    marks = [sign[0].encode() * max(size, SIZE) for sign in MARKERS]
    sides = (_ended(ours), _ended(theirs))
    return b"%b ours\n%b%b\n%b%b theirs\n" % (marks[0], sides[0], marks[2], sides[1], marks[3])


def _ended(text: bytes) -> bytes:
    return text if not text or text.endswith(b"\n") else text + b"\n"


def _plain(lines: Iterable[Locked]) -> str:
    return format_lock(lines).removeprefix(format_lock([]))


def _hunk(base: str, ours: str, theirs: str, *, size: int) -> str:
    start, middle, cut, end = (sign[0] * max(size, SIZE) for sign in MARKERS)
    return f"{start} {OURS}\n{ours}{middle} {BASE}\n{base}{cut}\n{theirs}{end} {THEIRS}\n"


def split(text: str, name: str = LOCK_FILE) -> Sides | None:
    """Both sides of a text with conflict markers; None where it has none. Raises RefusedError where they are broken."""
    reader = _Reader(name)
    for number, line in enumerate(text.splitlines(), 1):
        reader.read(number, line)
    return reader.result()


def named(stages: Mapping[int, bytes], text: str) -> dict[str, set[ObjectId]]:
    """Per dataset all commits that a lock in conflict names, on any side; nothing where it cannot be read."""
    found: dict[str, set[ObjectId]] = {}
    try:
        sides: Iterable[str | None] = [decode(data) for data in stages.values()] or split(text) or []
        for side in sides:
            for line in parse_lock(side or "").values():
                found.setdefault(line.dataset, set()).add(line.commit)
    except RefusedError:
        return {}
    return found


class _Reader:
    """Reads a text line by line; `at` is the part of a hunk that it is in, None outside of one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._at: str | None = None
        self._hunks, self._based = 0, 0
        self._parts: dict[str, list[str]] = {BASE: [], OURS: [], THEIRS: []}

    def read(self, number: int, line: str) -> None:
        """Take one line in."""
        if not line.startswith(MARKERS):
            for part in [self._at] if self._at is not None else self._parts:
                self._parts[part].append(line)
            return
        expected, at = {
            "<": ((None,), OURS),
            "|": ((OURS,), BASE),
            "=": ((OURS, BASE), THEIRS),
            ">": ((THEIRS,), None),
        }[line[0]]
        if self._at not in expected:
            raise self._broken(f"line {number} has a conflict marker where none can be: {line[:40]!r}")
        self._hunks += line[0] == "<"
        self._based += line[0] == "|"
        self._at = at

    def result(self) -> Sides | None:
        """What was read."""
        if self._at is not None:
            raise self._broken("its last conflict has no end")
        if not self._hunks:
            return None
        base, ours, theirs = ("\n".join(lines) for lines in self._parts.values())
        return Sides(base if self._based == self._hunks else None, ours, theirs)

    def _broken(self, what: str) -> RefusedError:
        hint = f"keep one line a dataset and no marker, then: git add {self._name}; or begin again: git merge --abort"
        return RefusedError(f"{self._name}: {what}", hint)
