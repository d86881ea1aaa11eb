"""What differs between the metrics of two states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dsvc.core.metrics.metrics import Counts, Metrics

# Name -> the counts that differ, before and after.
Differences = dict[str, tuple[int, int]]


class Comparison(NamedTuple):
    """The counts that differ: in all, of each concept, and of each group where both were grouped."""

    counts: Differences
    concepts: dict[str, Differences]
    groups: dict[str, Differences]

    def __bool__(self) -> bool:
        return bool(self.counts or self.concepts or self.groups)


def compare_metrics(old: Metrics, new: Metrics) -> Comparison:
    """What differs from one state to another; what one side has not counts as zero there."""
    groups = _compare_rows(old.groups or {}, new.groups or {})
    return Comparison(_compare(old.counts, new.counts), _compare_rows(old.concepts, new.concepts), groups)


def _compare(old: Mapping[str, int], new: Mapping[str, int]) -> Differences:
    names = dict.fromkeys((*old, *new))
    pairs = {name: (old.get(name, 0), new.get(name, 0)) for name in names}
    return {name: (before, after) for name, (before, after) in pairs.items() if before != after}


def _compare_rows(old: Mapping[str, Counts], new: Mapping[str, Counts]) -> dict[str, Differences]:
    found = {name: _compare(old.get(name, {}), new.get(name, {})) for name in sorted(old.keys() | new.keys())}
    return {name: differences for name, differences in found.items() if differences}
