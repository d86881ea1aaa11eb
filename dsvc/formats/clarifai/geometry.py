"""Coordinates of many annotations at once: from pixels to 0..1 in float32, and how to come back.

The way back from r is `rint(r * size * 10**d) / 10**d` for a number of decimals d, in float64; `PLAIN` stands for
`r * size` without rounding. Each row gets the first d of `TRIED` that gives back its very numbers, or None.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from dsvc.model.records import Numbers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dsvc.formats.clarifai.form import Form

PLAIN = 9
TRIED = (2, PLAIN, 3, 4, 5, 6)
Size = tuple[float, float]


class Parts:
    """Rows of one kind of part. After `solve`, `ways` holds each row's d, and `clipped` counts rows beyond 0..1."""

    length: int | None = None  # of every row, where that is fixed

    def __init__(self) -> None:
        self.rows: list[Numbers] = []
        self.sizes: list[Size] = []
        self.ways: list[int | None] = []
        self.clipped = 0

    def add(self, values: Numbers, size: Size) -> int:
        """Add a row and its (width, height); its index."""
        self.rows.append(values)
        self.sizes.append(size)
        return len(self.rows) - 1

    def _table(self, columns: int) -> tuple[Any, Any, Any]:
        """Numbers in rows of `columns`, the length of each part, and its size."""
        import numpy as np

        lengths = np.array([len(row) for row in self.rows], dtype=np.int64)
        flat = np.fromiter(chain.from_iterable(self.rows), dtype=np.float64, count=int(lengths.sum()))
        return flat.reshape(-1, columns), lengths // columns, np.array(self.sizes, dtype=np.float64)

    def _place(self, points: Any, counts: Any, sizes: Any) -> npt.NDArray[np.float32]:
        """Points as float32 from 0 to 1; finds the ways back."""
        import numpy as np

        flat = np.ascontiguousarray(points).reshape(-1)
        scale = np.repeat(sizes, counts, axis=0).reshape(-1)
        lengths = counts * 2
        with np.errstate(all="ignore"):
            placed = flat / scale
        if placed.min() < 0 or placed.max() > 1:
            beyond = np.logical_or.reduceat((placed < 0) | (placed > 1), lengths.cumsum() - lengths)
            self.clipped = int(beyond.sum())
            np.clip(placed, 0.0, 1.0, out=placed)
        placed += 0.0  # no negative zero
        relative: npt.NDArray[np.float32] = placed.astype(np.float32)

        def exact(rows: Any, way: int) -> Any:
            chosen = slice(None) if rows.all() else np.repeat(rows, lengths)
            wanted = flat[chosen]
            same = _round(np, relative[chosen] * scale[chosen], way) == wanted
            same &= ~np.signbit(wanted)
            few = lengths[rows]
            return np.logical_and.reduceat(same, few.cumsum() - few)

        self.ways = _ways(np, len(counts), exact)
        return relative.reshape(-1, 2)


class Polygons(Parts):
    """Annotations' polygons: a row is all rings of one annotation, end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.rings: list[int] = []  # points in each ring
        self.first: list[int] = []  # each row's first ring

    def add_rings(self, rings: Sequence[Numbers], size: Size) -> int:
        """Add the rings of one annotation; its index."""
        self.first.append(len(self.rings))
        self.rings.extend([len(ring) // 2 for ring in rings])
        return self.add(rings[0] if len(rings) == 1 else tuple(n for ring in rings for n in ring), size)

    def solve(self, form: Form) -> list[bytes]:
        """A Polygon for each ring."""
        import numpy as np

        if not self.rows:
            return []
        relative = self._place(*self._table(2))
        return form.polygons(relative, np.array(self.rings, dtype=np.int64))


class Points(Parts):
    """Single points."""

    length = 2

    def solve(self) -> list[list[float]]:
        """(x, y) from 0 to 1 for each row."""
        if not self.rows:
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

        if not self.rows:
            return []
        table, counts, sizes = self._table(3)
        relative = self._place(table[:, :2], counts, sizes)
        known = np.isin(table[:, 2], (0, 1, 2)) & ~np.signbit(table[:, 2])
        kinds = np.where(known, table[:, 2], 3).astype(np.int64)
        for row in np.flatnonzero(~np.logical_and.reduceat(known, counts.cumsum() - counts)).tolist():
            self.ways[row] = None
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

        if not self.rows:
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

    def _ways_back(self, np: Any, boxes: Any, sizes: Any, edges: tuple[Any, Any]) -> list[int | None]:
        low, high = edges

        def exact(rows: Any, way: int) -> Any:
            start = _round(np, low[rows] * sizes[rows], way)
            extent = _round(np, _round(np, high[rows] * sizes[rows], way) - start, way)
            back, wanted = np.concatenate((start, extent), axis=1), boxes[rows]
            return ((back == wanted) & ~np.signbit(wanted)).all(axis=1)

        return _ways(np, len(boxes), exact)


def _round(np: Any, values: Any, way: int) -> Any:
    """Round float64 numbers, in place."""
    if way != PLAIN:
        values *= 10.0**way
        np.rint(values, out=values)
        values /= 10.0**way
    return values


def _ways(np: Any, count: int, exact: Any) -> list[int | None]:
    """For each row the first way that `exact(rows, way)` confirms."""
    ways: list[int | None] = [None] * count
    left = np.ones(count, dtype=bool)
    for way in TRIED:
        rows = np.flatnonzero(left)
        if not len(rows):
            break
        with np.errstate(all="ignore"):  # what overflows does not come back
            done = exact(left, way)
        for row in rows[done].tolist():
            ways[row] = way
        left[rows[done]] = False
    return ways
