"""Ranges: which requests bring many frames of packs. Neighbours come together, with what lies between them if it is
little."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dsvc.store.catalog import Location
from dsvc.store.frame import Entry
from dsvc.store.ids import ObjectId
from dsvc.store.pack import PackInfo

MOST = 8 << 20  # bytes of a request, unless one frame alone has more
_GAP = 1 << 20  # bytes that nobody asked for, at most, where a request goes on
_SMALL_GAP = 64 << 10  # up to here, whatever comes before: it takes less time than a request


@dataclass
class Range:
    """One request: bytes `start` to `end` of a pack, and the frames in it. `first` is the place of the one that is
    asked for first."""

    pack: PackInfo
    start: int
    end: int
    first: int
    frames: list[tuple[ObjectId, Entry]] = field(default_factory=list)
    wanted: int = 0

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.end - self.start


def plan_ranges(found: Iterable[tuple[ObjectId, Location]]) -> list[Range]:
    """The requests for some objects, which come in the order in which they are asked for; in about that order."""
    placed = [(place, id, *location) for place, (id, location) in enumerate(found)]
    placed.sort(key=lambda one: (one[2].id, one[3].offset))
    ranges: list[Range] = []
    for place, id, pack, entry in placed:
        last = ranges[-1] if ranges else None
        end = entry.offset + entry.length
        if last is None or last.pack.id != pack.id or not _joins(last, entry.offset, end):
            last = Range(pack, entry.offset, end, place)
            ranges.append(last)
        last.frames.append((id, entry))
        last.end, last.first = max(last.end, end), min(last.first, place)
        last.wanted += entry.length
    return sorted(ranges, key=lambda one: one.first)


def _joins(last: Range, start: int, end: int) -> bool:
    gap = start - last.end
    is_near = gap <= _SMALL_GAP or (gap <= _GAP and gap <= last.wanted)
    return is_near and end - last.start <= MOST
