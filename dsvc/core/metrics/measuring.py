"""Counting some inputs with all their annotations, in arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.core.filters.parts import floats
from dsvc.core.metrics.columns import (
    COLUMNS,
    COUNTED,
    HISTOGRAMS,
    INPUT_COLUMNS,
    MAX_PAIRED,
    MAX_PIXEL_RANGE,
    NONE,
    RATIOS,
    STATED,
    UNKNOWN,
)
from dsvc.core.metrics.rows import (
    MOST,
    AnnotationRow,
    Entry,
    InputRow,
    Rows,
    decode_rows,
    metadata_value,
    require_readable,
)
from dsvc.core.metrics.shapes import Shapes, is_placed
from dsvc.core.metrics.summary import Summary, Table, counted, slot, split_pairs
from dsvc.errors import DamagedError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

# What inputs are grouped by: by what it is called, what says it of an input.
Grouping = Callable[[InputRow], str]
_KINDS = ("image", "video", "text", "audio")


class Measured(NamedTuple):
    """Counts of some inputs, and the same by groups where a grouping was given."""

    summary: Summary
    groups: Table | None


def measure(inputs: Sequence[Entry], annotations: Sequence[Entry], grouping: Grouping | None = None) -> Measured:
    """Count inputs and all their annotations, both sorted as in their trees. Raises DamagedError, naming a record."""
    rows = decode_rows(inputs, annotations)
    try:
        return _measure(rows, grouping)
    except (DamagedError, ValueError, IndexError, msgspec.MsgspecError):
        # Something in a record is not what it should be: find which one it is.
        for key, value in inputs:
            require_readable("input", key, value)
        for key, value in annotations:
            require_readable("annotation", key, value)
        raise


def _measure(rows: Rows, grouping: Grouping | None) -> Measured:
    import numpy as np

    owners = np.array(rows.owners, dtype=np.int64)
    sizes = np.array([_size(row) for row in rows.inputs], dtype=np.float64).reshape(-1, 2)
    stated = _Stated(rows.annotations, owners, sizes)
    each = np.zeros((len(rows.inputs), len(COLUMNS)), dtype=np.int64)
    np.add.at(each[:, len(INPUT_COLUMNS) :], owners, stated.counts)
    _add_inputs(each, rows, stated)
    labels = _Labels(rows.annotations, owners, stated)
    summary = Summary(
        totals=each.sum(axis=0),
        histograms=_histograms(each, sizes, labels, stated),
        concepts=labels.table(),
        types=_tally([row.media.type or "unknown" for row in rows.inputs if row.media is not None]),
        kinds=_tally([kind_of(row) for row in rows.inputs]),
        splits=_tally([row.split or NONE for row in rows.inputs]),
        pairs=labels.pairs(),
        blobs=_blobs(rows.inputs),
    )
    return Measured(summary, _grouped(each, [grouping(row) for row in rows.inputs]) if grouping else None)


# ---- annotations


class _Stated:
    """What some annotations say, a row of `STATED` for each."""

    def __init__(self, rows: list[AnnotationRow], owners: Array, sizes: Array) -> None:
        import numpy as np

        self.shapes = shapes = Shapes(rows, sizes[owners])
        self.labelled = np.array([row.c is not None for row in rows], dtype=bool)
        values = floats([row.v for row in rows])
        self.positive = self.labelled & (np.isnan(values) | (values > 0))
        self.frames = np.array([_frame(row.f) for row in rows], dtype=np.int64)
        framed = self.frames >= 0
        in_segment = ~framed & np.array([row.ti is not None for row in rows], dtype=bool)
        bare = ~np.array([is_placed(row) for row in rows], dtype=bool)
        tags = self.positive & bare
        columns = {
            "annotations": 1,
            "positive_labels": self.positive,
            "negative_labels": self.labelled & ~self.positive,
            "regions": shapes.regions,
            "bounding_boxes": shapes.boxes,
            "polygons": shapes.rings,
            "points": shapes.points,
            "masks": shapes.masks,
            "keypoints": shapes.keypoints,
            "spans": shapes.spans,
            "positive_input_tags": tags & ~framed & ~in_segment,
            "positive_region_tags": np.where(self.positive, shapes.regions, 0),
            "positive_frame_tags": tags & framed,
            "positive_segment_tags": tags & in_segment,
            "crowds": np.array([bool(row.cr) for row in rows], dtype=bool),
            "regions_without_size": shapes.without_size,
            **shapes.box_sizes(),
            **_tasks(rows),
        }
        self.counts = np.zeros((len(rows), len(STATED)), dtype=np.int64)
        for at, name in enumerate(STATED):
            self.counts[:, at] = columns[name]


def _frame(frame: int | None) -> int:
    """The index of a frame, -1 for none."""
    return frame if frame is not None and 0 <= frame < 1 << 32 else -1


def _tasks(rows: list[AnnotationRow]) -> dict[str, Array]:
    """What annotations can teach; those that have nothing else teach classes."""
    import numpy as np

    found = {
        "task_boxes": [row.b is not None for row in rows],
        "task_polygons": [bool(row.p) for row in rows],
        "task_masks": [row.m is not None for row in rows],
        "task_keypoints": [row.k is not None for row in rows],
        "task_points": [row.pt is not None for row in rows],
        "task_texts": [row.t is not None for row in rows],
        "task_spans": [row.sp is not None for row in rows],
    }
    flags = {name: np.array(values, dtype=bool) for name, values in found.items()}
    return {**flags, "task_classes": ~np.logical_or.reduce(list(flags.values()))}


class _Labels:
    """The concepts of some annotations."""

    def __init__(self, rows: list[AnnotationRow], owners: Array, stated: _Stated) -> None:
        import numpy as np

        self._counts = stated.counts
        self._names = sorted({row.c for row in rows if row.c is not None})
        place: dict[str | None, int] = {name: at for at, name in enumerate(self._names)}
        self._codes = np.array([place.get(row.c, -1) for row in rows], dtype=np.int64)
        number = max(len(self._names), 1)
        distinct = np.unique((owners * number + self._codes)[stated.positive])
        # Of each input that has a positive label, the concepts.
        self.owners, self.concepts = distinct // number, distinct % number

    def table(self) -> Table:
        """What is said of each concept."""
        import numpy as np

        sums = np.zeros((len(self._names), 1 + len(STATED)), dtype=np.int64)
        there = self._codes >= 0
        np.add.at(sums[:, 1:], self._codes[there], self._counts[there])
        np.add.at(sums[:, 0], self.concepts, 1)
        return Table(self._names, sums)

    def pairs(self) -> Array:
        """The pairs of concepts that inputs have, each with how many have it."""
        import numpy as np

        number = len(self._names)
        _, starts, counts = np.unique(self.owners, return_index=True, return_counts=True)
        codes = []
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            if 1 < count <= MAX_PAIRED:
                first, second = _triangle(count)
                codes.append(self.concepts[start + first] * number + self.concepts[start + second])
        return split_pairs(counted(np.concatenate(codes)), number) if codes else np.empty((0, 3), dtype=np.int64)


@lru_cache(maxsize=64)
def _triangle(count: int) -> tuple[Array, Array]:
    """The indices of all pairs of so many."""
    import numpy as np

    return np.triu_indices(count, 1)


# ---- inputs


def kind_of(row: InputRow) -> str:
    """image, video, text, audio, or what else the type begins with; what has a size and no type counts as an image."""
    media = row.media
    if media is not None and media.type is not None:
        return media.type.partition("/")[0]
    return "image" if row.width is not None or (media is not None and media.width is not None) else NONE


def _size(row: InputRow) -> tuple[float, float]:
    """The size in which an input's shapes were drawn: the declared one, else that of the media; NaN where unknown."""
    media = row.media
    for width, height in ((row.width, row.height), (media.width, media.height) if media is not None else (None, None)):
        if width is not None and height is not None and width > 0 and height > 0:
            return float(width), float(height)
    return float("nan"), float("nan")


def _add_inputs(each: Array, rows: Rows, stated: _Stated) -> None:
    """Fill the columns of inputs."""
    at = {name: number for number, name in enumerate(COLUMNS)}
    each[:, at["inputs"]] = 1
    each[:, at["unlabeled_inputs"]] = each[:, at["positive_labels"]] == 0
    each[:, at["unannotated_inputs"]] = each[:, at["annotations"]] == 0
    each[:, at["region_inputs"]] = each[:, at["regions"]] > 0
    for number, row in enumerate(rows.inputs):
        line, media = each[number], row.media
        line[at["inputs_with_metadata"]] = row.metadata is not None
        line[at["inputs_with_geo"]] = row.geo is not None
        line[at["embeddings"]] = len(row.embeddings or ())
        if media is None:
            line[at["media_absent"]] = 1
        else:
            elsewhere = media.blob is None and media.reference is not None
            line[at["media_elsewhere"]] = elsewhere
            line[at["media_stored"]] = not elsewhere
            line[at["media_bytes"]] = max(0, min(media.size or 0, MOST))
    if (stated.frames >= 0).any():
        _add_frames(each, rows, stated, at)
    owned = zip(rows.owners, rows.annotations, strict=True)
    for owner, _ in {(owner, row.tr) for owner, row in owned if row.tr is not None}:
        each[owner, at["tracks"]] += 1


def _add_frames(each: Array, rows: Rows, stated: _Stated, at: dict[str, int]) -> None:
    import numpy as np

    owners = np.array(rows.owners, dtype=np.int64)
    chosen = stated.frames >= 0
    for name, some in (("frames", chosen), ("region_frames", chosen & (stated.shapes.regions > 0))):
        of_frame = np.unique(np.stack((owners[some], stated.frames[some])), axis=1)[0]
        np.add.at(each[:, at[name]], of_frame, 1)
    each[:, at["frame_inputs"]] = each[:, at["frames"]] > 0


def _histograms(each: Array, sizes: Array, labels: _Labels, stated: _Stated) -> Array:
    import numpy as np

    number = {name: at for at, name in enumerate(HISTOGRAMS)}
    column = {name: at for at, name in enumerate(COLUMNS)}
    values = {name: each[:, column[name.removesuffix("_count")]] for name in COUNTED if name != "concepts_count"}
    values["concepts_count"] = np.bincount(labels.owners, minlength=len(each)).astype(np.int64)
    known = ~np.isnan(sizes[:, 0])
    with np.errstate(all="ignore"):
        pixels, ratios = sizes[:, 0] * sizes[:, 1], sizes[:, 0] / sizes[:, 1]
        powers = np.clip(np.frexp(np.minimum(pixels, 2.0**MAX_PIXEL_RANGE))[1] - 1, 0, MAX_PIXEL_RANGE)
    values["pixels_count"] = np.where(known, powers, UNKNOWN).astype(np.int64)
    values["aspect_ratio"] = np.where(known, np.searchsorted(RATIOS, ratios, side="right"), UNKNOWN)
    boxes, unknown = stated.shapes.box_ratios()
    ranges = np.searchsorted(RATIOS, boxes, side="right")
    values["box_aspect_ratio"] = np.concatenate((ranges, np.full(unknown, UNKNOWN))).astype(np.int64)
    values["region_location"] = stated.shapes.cells()
    return counted(np.concatenate([slot(number[name], some) for name, some in values.items()]))


def _tally(names: list[str]) -> Table:
    import numpy as np

    found = sorted(set(names))
    return Table(found, np.array([names.count(name) for name in found], dtype=np.int64).reshape(-1, 1))


def _blobs(rows: list[InputRow]) -> Array:
    """The first 64 bits of the hashes of the bytes that are known."""
    import numpy as np

    found = []
    for row in rows:
        media = row.media
        if media is not None:
            blob = media.blob or (media.reference.hash if media.reference is not None else None)
            found += [int.from_bytes(blob[:8], "big")] if blob is not None else []
    return np.array(found, dtype=np.uint64)


# ---- groups


def _grouped(each: Array, groups: list[str]) -> Table:
    import numpy as np

    names = sorted(set(groups))
    place = {name: at for at, name in enumerate(names)}
    sums = np.zeros((len(names), each.shape[1]), dtype=np.int64)
    np.add.at(sums, np.array([place[name] for name in groups], dtype=np.int64), each)
    return Table(names, sums)


def grouping_of(by: str) -> Grouping:
    """What inputs are grouped by: "type", "split" or "metadata.FIELD"."""
    if by == "type":
        return kind_of
    if by == "split":
        return lambda row: row.split or NONE
    field = by.removeprefix("metadata.")
    return lambda row: metadata_value(row, field)
