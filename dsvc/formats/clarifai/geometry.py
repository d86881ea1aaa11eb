"""Coordinates of many annotations at once: from pixels to 0..1 in float32, and how to come back.

The way back from r is `rint(r * size * 10**d) / 10**d` for a number of decimals d, in float64; `PLAIN` stands for
`r * size` without rounding. Each row gets the first d of `TRIED` that gives back its very numbers, or `NO_WAY`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from dsvc.model.numbers import unpack_joined
from dsvc.model.records import Numbers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dsvc.formats.clarifai.form import Form

PLAIN = 9
NO_WAY = -1
TRIED = (2, PLAIN, 3, 4, 5, 6)
Size = tuple[float, float]


class Parts:
    """Parts of one kind. After `solve`, `ways` holds each one's d, and `clipped` counts those beyond 0..1.

    A part is a row of numbers, or several rows as they are packed; all parts are of the one or of the other.
    """

    length: int | None = None  # of every row, where that is fixed

    def __init__(self) -> None:
        self.rows: list[Numbers] = []
        self.packed: list[bytes] = []
        self.sizes: list[Size] = []
        self.ways: list[int] = []
        self.clipped = 0

    def __len__(self) -> int:
        return len(self.sizes)

    def add(self, values: Numbers, size: Size) -> int:
        """Add a row and its (width, height); its index."""
        self.rows.append(values)
        self.sizes.append(size)
        return len(self.rows) - 1

    def _table(self, columns: int) -> tuple[Any, Any, Any]:
        """Numbers in rows of `columns`, how many of these rows each part has, and its size."""
        import numpy as np

        if self.packed:
            flat, lengths = unpack_joined(self.packed)
        else:
            lengths = np.array([len(row) for row in self.rows], dtype=np.int64)
            flat = np.fromiter(chain.from_iterable(self.rows), dtype=np.float64, count=int(lengths.sum()))
        sizes = np.fromiter(chain.from_iterable(self.sizes), dtype=np.float64, count=2 * len(self.sizes))
        return flat.reshape(-1, columns), lengths // columns, sizes.reshape(-1, 2)

    def _place(self, points: Any, counts: Any, sizes: Any) -> npt.NDArray[np.float32]:
        """Points as float32 from 0 to 1; finds the ways back."""
        import numpy as np

        flat = np.ascontiguousarray(points).reshape(-1)
        scale = np.repeat(sizes.view(np.complex128)[:, 0], counts).view(np.float64)  # pairs, repeated as one
        lengths = counts * 2
        ends = lengths.cumsum()
        with np.errstate(all="ignore"):
            placed = flat / scale
        if placed.min() < 0 or placed.max() > 1:
            beyond = np.logical_or.reduceat((placed < 0) | (placed > 1), ends - lengths)
            self.clipped = int(beyond.sum())
            np.clip(placed, 0.0, 1.0, out=placed)
        placed += 0.0  # no negative zero
        relative: npt.NDArray[np.float32] = placed.astype(np.float32)

        def wrong(rows: Any, way: int) -> Any:
            chosen: Any = slice(None)
            few = lengths
            if len(rows) < len(counts):
                mask = np.zeros(len(counts), dtype=bool)
                mask[rows] = True
                chosen, few = np.repeat(mask, lengths), lengths[rows]
            wanted = flat[chosen]
            differ = _round(np, relative[chosen] * scale[chosen], way) != wanted
            differ |= np.signbit(wanted)
            return np.unique(few.cumsum().searchsorted(np.flatnonzero(differ), side="right"))

        self.ways = _ways(np, len(counts), wrong)
        return relative.reshape(-1, 2)


class Polygons(Parts):
    """Annotations' polygons: a part is all rings of one annotation, end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.rings: list[int] = []  # points in each ring
        self.first: list[int] = []  # each part's first ring

    def add_rings(self, rings: Sequence[Numbers], size: Size) -> int:
        """Add the rings of one annotation; its index."""
        self.first.append(len(self.rings))
        self.rings.extend([len(ring) // 2 for ring in rings])
        return self.add(rings[0] if len(rings) == 1 else tuple(n for ring in rings for n in ring), size)

    def solve(self, form: Form) -> list[bytes]:
        """A Polygon for each ring."""
        import numpy as np

        if not len(self):
            return []
        points, counts, sizes = self._table(2)
        rings = counts if self.packed else np.array(self.rings, dtype=np.int64)
        if self.packed and len(counts) != len(self):
            counts = np.add.reduceat(counts, np.array(self.first))
        return form.polygons(self._place(points, counts, sizes), rings)


class Points(Parts):
    """Single points."""

    length = 2

    def solve(self) -> list[list[float]]:
        """(x, y) from 0 to 1 for each row."""
        if not len(self):
            return []
        placed: list[list[float]] = self._place(*self._table(2)).tolist()
        return placed


# COCO's 0 (not labelled), 1 (labelled, not visible), 2 (visible) as numbers of Clarifai's enum.
VISIBILITIES = (3, 2, 1)


class Keypoints(Parts):
    """Annotations' keypoints: x, y, visibility for each."""

    def solve(self, form: Form) -> list[bytes]:
        """The `keypointLocations` of each row."""
        import numpy as np

        if not len(self):
            return []
        table, counts, sizes = self._table(3)
        relative = self._place(table[:, :2], counts, sizes)
        known = np.isin(table[:, 2], (0, 1, 2)) & ~np.signbit(table[:, 2])
        kinds = np.where(known, table[:, 2], 3).astype(np.int64)
        for row in np.flatnonzero(~np.logical_and.reduceat(known, counts.cumsum() - counts)).tolist():
            self.ways[row] = NO_WAY
        return form.keypoints(relative, np.array([*VISIBILITIES, 0])[kinds], counts)


class Boxes(Parts):
    """Boxes: x, y, width, height. One with no size is widened by the least step; one turned around is turned back."""

    length = 4

    def __init__(self) -> None:
        super().__init__()
        self.widened = 0

    def solve(self, form: Form) -> list[bytes]:
        """A BoundingBox for each row."""
        import numpy as np

        if not len(self):
            return []
        boxes, _, sizes = self._table(4)
        with np.errstate(all="ignore"):
            first = boxes[:, :2] / sizes
            last = (boxes[:, :2] + boxes[:, 2:]) / sizes
        low, high = np.minimum(first, last), np.maximum(first, last)
        self.clipped = int(((low < 0) | (high > 1)).any(axis=1).sum())
        low = (np.clip(low, 0.0, 1.0) + 0.0).astype(np.float32)
        high = (np.clip(high, 0.0, 1.0) + 0.0).astype(np.float32)
        empty = low >= high
        self.widened = int(empty.any(axis=1).sum())
        if self.widened:
            one, two = np.float32(1), np.float32(2)
            low = np.where(empty & (low == one), np.nextafter(one, np.float32(0)), low)
            high = np.where(empty, np.minimum(np.nextafter(low, two), one), high)
        self.ways = self._ways_back(np, boxes, sizes, (low, high))
        return form.boxes(np.stack((low[:, 1], low[:, 0], high[:, 1], high[:, 0]), axis=1))

    def _ways_back(self, np: Any, boxes: Any, sizes: Any, edges: tuple[Any, Any]) -> list[int]:
        low, high = edges

        def wrong(rows: Any, way: int) -> Any:
            start = _round(np, low[rows] * sizes[rows], way)
            extent = _round(np, _round(np, high[rows] * sizes[rows], way) - start, way)
            back, wanted = np.concatenate((start, extent), axis=1), boxes[rows]
            return np.flatnonzero(((back != wanted) | np.signbit(wanted)).any(axis=1))

        return _ways(np, len(boxes), wrong)


def _round(np: Any, values: Any, way: int) -> Any:
    """Round float64 numbers, in place."""
    if way != PLAIN:
        values *= 10.0**way
        np.rint(values, out=values)
        values /= 10.0**way
    return values


def _ways(np: Any, count: int, wrong: Any) -> list[int]:
    """For each row the first way that is right; `wrong(rows, way)` gives the indices of `rows` for which it is not."""
    ways = np.full(count, NO_WAY, dtype=np.int8)
    left = np.arange(count)
    for way in TRIED:
        with np.errstate(all="ignore"):  # what overflows does not come back
            still = left[wrong(left, way)]
        ways[left] = way
        ways[still] = NO_WAY
        left = still
        if not len(left):
            break
    found: list[int] = ways.tolist()
    return found
