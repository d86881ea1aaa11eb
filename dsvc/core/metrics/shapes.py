"""What the shapes of some annotations are: how many regions, where these lie, and how big the boxes are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsvc.core.filters.parts import floats, unpacked
from dsvc.core.metrics.columns import LARGE, SMALL
from dsvc.core.metrics.places import cells, keypoints_middle, mask_middle, point_middles, ring_middles
from dsvc.core.metrics.rows import AnnotationRow
from dsvc.model.numbers import count_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Shapes:
    """The shapes of annotations; `sizes` (width, height) are those of each one's input, NaN where unknown."""

    def __init__(self, rows: list[AnnotationRow], sizes: Array) -> None:
        import numpy as np

        self._rows = rows
        self._known = ~np.isnan(sizes[:, 0])
        self.relative = _flags([bool(row.u) and _has_shape(row) for row in rows])
        # What coordinates are shares of, and what makes pixels of them.
        self._units = np.where(self.relative[:, None], 1.0, sizes)
        self._pixels = np.where(self.relative[:, None], sizes, 1.0)
        self._corners = unpacked([row.b for row in rows], 4)
        self._points = point_middles([row.pt for row in rows])
        self.boxes = ~np.isnan(self._corners[0])
        self.rings = np.array([_count_rings(row.p) for row in rows], dtype=np.int64)
        self.masks = _flags([row.m is not None for row in rows])
        self.keypoints = _flags([_fits_keypoints(row.k) for row in rows])
        self.points = ~np.isnan(self._points[:, 0])
        self.spans = _flags([row.sp is not None and all(0 <= place < 1 << 32 for place in row.sp) for row in rows])
        drawn = self.boxes | (self.rings > 0) | self.keypoints | self.points
        # Every ring is a region.
        self.regions = np.maximum(self.rings, drawn | self.masks | self.spans)
        lost = drawn & ~self.relative & ~self._known
        self.without_size = np.where(lost, self.regions - (self.masks | self.spans), 0)

    def cells(self) -> Array:
        """The cells of all regions that have a place."""
        import numpy as np

        middles = self._box_middles()
        rings: list[int] = np.flatnonzero(self.rings).tolist()
        parts = [ring for at in rings for ring in self._rows[at].p or ()]
        owners = np.repeat(rings, self.rings[rings]).astype(np.int64)
        around = ring_middles(parts) / self._units[owners] if parts else np.empty((0, 2))
        # Of an annotation with a box, the first ring is the box's region.
        first = np.concatenate(([True], owners[1:] != owners[:-1])) if parts else np.empty(0, dtype=bool)
        around = around[~(first & self.boxes[owners])]
        bare = ~self.boxes & (self.rings == 0)
        left: list[int] = np.flatnonzero(bare & (self.masks | self.keypoints | self.points)).tolist()
        others = [self._other_middle(at) for at in left]
        with np.errstate(all="ignore"):
            found = np.concatenate((middles[self.boxes], around, np.array(others).reshape(-1, 2))) / 2
        return cells(found)

    def _box_middles(self) -> Array:
        import numpy as np

        x, y, width, height = self._corners
        with np.errstate(all="ignore"):
            return np.stack((2 * x + width, 2 * y + height), axis=1) / self._units

    def _other_middle(self, at: int) -> Any:
        row = self._rows[at]
        if row.m is not None:
            middle = mask_middle(row.m)
            if middle[0] == middle[0]:
                return middle
        if self.keypoints[at] and row.k is not None:
            middle = keypoints_middle(row.k)
            if middle[0] == middle[0]:
                return (middle[0] / self._units[at, 0], middle[1] / self._units[at, 1])
        return self._points[at] / self._units[at]

    def box_sizes(self) -> dict[str, Array]:
        """The columns that say how big boxes are."""
        import numpy as np

        x, y, width, height = self._corners
        with np.errstate(all="ignore"):
            each = np.abs(width * self._pixels[:, 0]) * np.abs(height * self._pixels[:, 1])
            declared = floats([row.a for row in self._rows]) * self._pixels[:, 0] * self._pixels[:, 1]
            areas = np.where(np.isnan(declared), each, declared)
            ends = np.stack((x, x + width)) / self._units[:, 0], np.stack((y, y + height)) / self._units[:, 1]
            beyond = [(some.min(axis=0) < 0) | (some.max(axis=0) > 1) for some in ends]
            small, large = areas < SMALL, areas >= LARGE
        known = self.boxes & ~np.isnan(areas)
        return {
            "small_boxes": known & small,
            "medium_boxes": known & ~small & ~large,
            "large_boxes": known & large,
            "boxes_of_unknown_size": self.boxes & ~known,
            "empty_boxes": self.boxes & ((width == 0) | (height == 0)),
            "boxes_out_of_bounds": self.boxes & (beyond[0] | beyond[1]),
        }

    def box_ratios(self) -> tuple[Array, int]:
        """Width over height of the boxes that have both, in pixels, and of how many boxes that is not known."""
        import numpy as np

        _, _, width, height = self._corners
        chosen = self.boxes & (width != 0) & (height != 0)
        with np.errstate(all="ignore"):
            ratios = np.abs(width * self._pixels[:, 0] / (height * self._pixels[:, 1]))[chosen]
        known = ratios[~np.isnan(ratios)]
        return known, len(ratios) - len(known)


def _flags(values: list[bool]) -> Array:
    import numpy as np

    return np.array(values, dtype=bool)


def _has_shape(row: AnnotationRow) -> bool:
    return row.a is not None or row.b is not None or row.m is not None or row.p is not None


def _count_rings(rings: list[bytes] | None) -> int:
    """How many rings there are; 0 where one of them is no sequence of points."""
    if not rings:
        return 0
    for ring in rings:
        count = count_numbers(ring)
        if not count or count & 1:
            return 0
    return len(rings)


def _fits_keypoints(packed: bytes | None) -> bool:
    if packed is None:
        return False
    count = count_numbers(packed)
    return count > 0 and count % 3 == 0


def is_placed(row: AnnotationRow) -> bool:
    """Whether an annotation has any part that lies somewhere, be it one that cannot be read."""
    return any(part is not None for part in (row.b, row.p, row.m, row.k, row.pt, row.sp))
