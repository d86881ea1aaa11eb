"""The lines that `dsvc log --graph` draws to the left of commits."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple


class Drawn(NamedTuple):
    """One commit's part of the picture: rows before it, its own row and those that follow it, and the row that goes on
    for as long as more is said of it."""

    before: list[str]
    rows: list[str]
    more: str


class Graph:
    """A picture of commits that come one by one, each before its parents.

    Every commit that is still to come has a lane, two columns wide; several where several commits lead to it. These
    join right above it. A merge opens the lanes of its other parents to the right of its own.
    """

    def __init__(self) -> None:
        self._lanes: list[Hashable] = []

    def draw(self, id: Hashable, parents: Sequence[Hashable]) -> Drawn:
        """Draw the next commit."""
        lanes = self._lanes
        if id not in lanes:
            lanes.append(id)
        at = lanes.index(id)
        before = list(self._join(id, at))
        rows = [" ".join("*" if lane == at else "|" for lane in range(len(lanes)))]
        rows += self._go_on(at, list(dict.fromkeys(parents)))
        return Drawn(before, rows, " ".join("|" * len(lanes)))

    def _join(self, id: Hashable, at: int) -> Iterator[str]:
        """Lead all lanes to a commit into its first one, the rightmost first."""
        for lane in range(len(self._lanes) - 1, at, -1):
            if self._lanes[lane] == id:
                row = self._row(lane)
                row[2 * at + 1 : 2 * lane - 1 : 2] = "_" * (lane - 1 - at)
                del self._lanes[lane]
                yield _text(row)

    def _go_on(self, at: int, parents: list[Hashable]) -> Iterator[str]:
        """Go on from a commit to its parents."""
        lanes = self._lanes
        if not parents:
            if at < len(lanes) - 1:
                yield _text(self._row(at, ends=True))
            del lanes[at]
            return
        lanes[at] = parents[0]
        for parent in reversed(parents[1:]):
            row = [" "] * (2 * len(lanes))
            row[: 2 * at + 1 : 2] = "|" * (at + 1)
            row[2 * at + 1 :: 2] = "\\" * (len(lanes) - at)
            lanes.insert(at + 1, parent)
            yield _text(row)

    def _row(self, lane: int, ends: bool = False) -> list[str]:
        """A row in which a lane goes one to the left, or with `ends` is no more, and all to its right follow."""
        row = [" "] * (2 * len(self._lanes))
        row[: 2 * lane : 2] = "|" * lane
        first = lane + 1 if ends else lane
        row[2 * first - 1 : -1 : 2] = "/" * (len(self._lanes) - first)
        return row


def _text(row: list[str]) -> str:
    return "".join(row).rstrip()
