"""The numbers of a state, as a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from dsvc.core.metrics.columns import (
    BOX_SIZES,
    COLUMNS,
    CONCEPT_COLUMNS,
    COUNTED,
    GRID,
    HISTOGRAMS,
    TASKS,
    UNKNOWN,
    pixel_range,
    ratio_range,
)
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.metrics.measuring import Measured
    from dsvc.core.metrics.summary import Summary, Table
    from dsvc.model.incoming import Progress
    from dsvc.model.snapshot import Snapshot

Counts = dict[str, int]
_METADATA = "metadata."
# Records that are counted in passing.
FEW = 2_000


class Range(msgspec.Struct, frozen=True):
    """How many lie from `start` to below `end`; None for no limit, both None where it is not known."""

    start: int | float | None
    end: int | float | None
    count: int


class Balance(msgspec.Struct, frozen=True):
    """How evenly the positive labels are spread over the concepts that have one.

    `ratio` is the most of a concept over the least; `evenness` is 1 where all have the same, near 0 where one has
    nearly all (the entropy over its most); both None without two concepts.
    """

    concepts: int
    most: int
    least: int
    ratio: float | None
    evenness: float | None


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a state; the reference, Metrics, defines each.

    `counts`: name -> count. `concepts`: concept id -> name -> count, all concepts, those without annotations too.
    `types` (MIME), `kinds`, `splits`: -> inputs. `per_input`: name, such as "bounding_boxes_count" -> how many an input
    has -> inputs. `locations`: rows of the matrix of the regions' middles. `co_occurrence`: (concept, later concept,
    inputs), the most first. `by` names what `groups`: value -> name -> count, are of.
    """

    counts: Counts
    concepts: dict[str, Counts]
    types: Counts
    kinds: Counts
    splits: Counts
    per_input: dict[str, dict[int, int]]
    pixels: tuple[Range, ...]
    aspect_ratios: tuple[Range, ...]
    box_aspect_ratios: tuple[Range, ...]
    locations: tuple[tuple[int, ...], ...]
    co_occurrence: tuple[tuple[str, str, int], ...]
    by: str | None = None
    groups: dict[str, Counts] | None = None

    @property
    def box_sizes(self) -> Counts:
        """Boxes by COCO's sizes: small, medium, large, unknown."""
        return {size: self.counts[name] for size, name in BOX_SIZES.items()}

    @property
    def tasks(self) -> Counts:
        """Annotations by what they can teach, the most first."""
        found = {name: self.counts[f"task_{name}"] for name in TASKS}
        return sorted_counts({name: count for name, count in found.items() if count})

    @property
    def balance(self) -> Balance:
        """How evenly the positive labels are spread."""
        return _balance([found["positive_labels"] for found in self.concepts.values() if found["positive_labels"]])


def sorted_counts(counts: Mapping[str, int]) -> Counts:
    """Counts, the most first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def require_grouping(by: str) -> None:
    """Raise UsageError for what inputs and annotations are not grouped by."""
    if by in ("concept", "type", "split") or (by.startswith(_METADATA) and len(by) > len(_METADATA)):
        return
    raise UsageError(f"metrics cannot be grouped by {by!r}", "by concept, type, split or metadata.FIELD")


def measure_snapshot(snapshot: Snapshot, by: str | None = None, progress: Progress | None = None) -> Metrics:
    """The numbers of a snapshot; what was counted of its parts before is not counted again.

    Raises UsageError for what `by` cannot be, DamagedError.
    """
    found = _measured(snapshot, by, progress, count=True)
    assert found is not None  # it was counted
    return found


def known_metrics(snapshot: Snapshot, *, count: bool = True) -> Metrics | None:
    """The numbers of a snapshot where they are kept, else None; with `count`, of a small one they are counted."""
    return _measured(snapshot, None, None, count=count and sum(snapshot.counts().values()) < FEW)


def _measured(snapshot: Snapshot, by: str | None, progress: Progress | None, count: bool) -> Metrics | None:
    from dsvc.core.metrics.keeping import Keeper, disk
    from dsvc.core.metrics.measuring import grouping_of
    from dsvc.core.metrics.ranges import Counter

    if by is not None:
        require_grouping(by)
    by_inputs = by if by != "concept" else None
    grouping = grouping_of(by_inputs) if by_inputs is not None else None
    name = f"all by {by_inputs}"
    with disk(snapshot) as kept:
        keeper = Keeper(snapshot, kept)
        counter = Counter(snapshot, keeper, by_inputs, grouping, progress)
        key = counter.key
        found = _unpack(keeper.load(key, (name,)).get(name))
        if found is None and count:
            found = _metrics(counter.count(), by_inputs)
            keeper.keep(key, {name: _encode(found)})
    return _completed(snapshot, found, by) if found is not None else None


_encode = msgspec.msgpack.Encoder().encode


def _unpack(data: bytes | None) -> Metrics | None:
    """Metrics of their bytes; None where these are none."""
    try:
        return msgspec.msgpack.decode(data, type=Metrics) if data is not None else None
    except (msgspec.MsgspecError, ValueError):
        return None


def _completed(snapshot: Snapshot, found: Metrics, by: str | None) -> Metrics:
    """The same with the concepts that no annotation has."""
    ids = {key.decode() for keys, _ in snapshot.concept_tree.runs() for key in keys}
    nothing = dict.fromkeys(CONCEPT_COLUMNS, 0)
    concepts = {id: found.concepts.get(id) or dict(nothing) for id in sorted(ids | found.concepts.keys())}
    return msgspec.structs.replace(
        found,
        counts={**found.counts, "concepts": len(concepts)},
        concepts=concepts,
        by=by,
        groups=concepts if by == "concept" else found.groups,
    )


def _metrics(measured: Measured, by: str | None) -> Metrics:
    from dsvc.core.metrics.summary import read_histogram

    summary, groups = measured
    histograms = {name: read_histogram(summary, at) for at, name in enumerate(HISTOGRAMS)}
    counts = dict(zip(COLUMNS, summary.totals.tolist(), strict=True))
    counts |= dict(zip(("duplicate_inputs", "duplicate_groups"), summary.duplicates, strict=True))
    return Metrics(
        counts=counts,
        concepts=_rows(summary.concepts, CONCEPT_COLUMNS),
        types=_tally(summary.types),
        kinds=_tally(summary.kinds),
        splits=_tally(summary.splits),
        per_input={name: histograms[name] for name in COUNTED},
        pixels=_ranges(histograms["pixels_count"], pixel_range),
        aspect_ratios=_ranges(histograms["aspect_ratio"], ratio_range),
        box_aspect_ratios=_ranges(histograms["box_aspect_ratio"], ratio_range),
        locations=_matrix(histograms["region_location"]),
        co_occurrence=_pairs(summary),
        by=by,
        groups=_rows(groups, COLUMNS) if groups is not None else None,
    )


def _rows(table: Table, columns: tuple[str, ...]) -> dict[str, Counts]:
    rows = zip(table.names, table.counts.tolist(), strict=True)
    return {name: dict(zip(columns, row, strict=True)) for name, row in rows}


def _tally(table: Table) -> Counts:
    return sorted_counts(dict(zip(table.names, table.counts[:, 0].tolist(), strict=True)))


def _ranges(
    found: dict[int, int], limits: Callable[[int], tuple[int | float | None, int | float | None]]
) -> tuple[Range, ...]:
    """The ranges of a histogram in order, what is not known last."""
    ranges = []
    for at in sorted(found, key=lambda at: (at == UNKNOWN, at)):
        start, end = limits(at) if at != UNKNOWN else (None, None)
        ranges.append(Range(start, end, found[at]))
    return tuple(ranges)


def _matrix(found: dict[int, int]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(found.get(row * GRID + column, 0) for column in range(GRID)) for row in range(GRID))


def _pairs(summary: Summary) -> tuple[tuple[str, str, int], ...]:
    names = summary.concepts.names
    pairs = [(names[first], names[second], count) for first, second, count in summary.pairs.tolist()]
    return tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[:2])))


def _balance(labels: list[int]) -> Balance:
    if len(labels) < 2:
        return Balance(len(labels), max(labels, default=0), min(labels, default=0), None, None)
    total = sum(labels)
    entropy = -math.fsum(count / total * math.log(count / total) for count in labels)
    evenness = round(entropy / math.log(len(labels)), 6)
    return Balance(len(labels), max(labels), min(labels), max(labels) / min(labels), evenness)
