"""Whether an annotation moved, or was reshaped, and how far."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import NamedTuple

from dsvc.core.diffing.fields import Path
from dsvc.model.geometry import SAME_PLACE, Box, Extent, Size, extent_of, iou
from dsvc.model.records import Annotation, Numbers

# Fields that say where an annotation is.
PLACES = frozenset(("shape", "keypoints", "point", "span", "time", "frame"))
_OUTLINE = frozenset((("shape", "polygons"), ("shape", "mask"), ("keypoints",), ("point",)))
_ELSEWHERE = frozenset((("span",), ("time",), ("frame",)))
_AREA, _UNIT = ("shape", "area"), ("shape", "unit")
# Coordinates often have two decimals, or are shares of a size: what is shifted need be no more exact.
_ROUNDING = {"pixel": 0.02, "relative": 1e-4}
# A box that is written in the other unit is not moved by rounding.
_SAME_IN_OTHER_UNIT = 0.999


class PlaceChange(NamedTuple):
    """What happened to a place: moved, reshaped, both or neither; its IoU and pixels as `Change` has them."""

    moved: bool = False
    reshaped: bool = False
    iou: float | None = None
    pixels: float | None = None


def place_change(
    old: Annotation, new: Annotation, paths: Collection[Path], sizes: tuple[Size | None, Size | None]
) -> PlaceChange:
    """What happened to the place of an annotation, of which the fields at `paths` differ.

    `sizes` are those of its input before and after, in pixels. What has the same box but for a hair, and another
    outline, is reshaped; what was shifted as a whole, or has another box and no other outline, is moved.
    """
    a, b, in_pixels = _extents(old, new, sizes)
    outline = _OUTLINE & set(paths)
    elsewhere = bool(_ELSEWHERE & set(paths))
    if a is None or b is None or a.measure != b.measure:
        gained = any(path[0] in PLACES and path not in _ELSEWHERE and path != _UNIT for path in paths)
        return PlaceChange(elsewhere, gained)
    share = iou(a.box, b.box)
    if a.box == b.box or (_UNIT in paths and share >= _SAME_IN_OTHER_UNIT):
        return PlaceChange(elsewhere, bool(outline or _AREA in paths), share)
    reshaped = bool(outline) and not _is_shifted(old, new)
    moved = elsewhere or not reshaped or share < SAME_PLACE
    pixels = _farthest(a.box, b.box) if moved and in_pixels and a.measure == "picture" else None
    return PlaceChange(moved, reshaped, share, pixels)


def _extents(
    old: Annotation, new: Annotation, sizes: tuple[Size | None, Size | None]
) -> tuple[Extent | None, Extent | None, bool]:
    """Where both are, in pixels where that can be told; else, where both are relative, in shares of the size."""
    a, b = (extent_of(side, size) for side, size in zip((old, new), sizes, strict=True))
    units = [side.shape.unit if side.shape is not None else "pixel" for side in (old, new)]
    if units == ["relative", "relative"] and None in sizes:
        return extent_of(old, (1.0, 1.0)), extent_of(new, (1.0, 1.0)), False
    return a, b, True


def _farthest(a: Box, b: Box) -> float | None:
    """How far the edge went that went farthest; None where float64 does not reach as far."""
    here, there = ((box[0], box[1], box[0] + box[2], box[1] + box[3]) for box in (a, b))
    far = [abs(end - start) for start, end in zip(here, there, strict=True)]
    return max(far) if all(map(math.isfinite, far)) else None


def _is_shifted(old: Annotation, new: Annotation) -> bool:
    """Whether polygons and keypoints are what they were, all shifted by the same."""
    masks = [side.shape.mask if side.shape is not None else None for side in (old, new)]
    if masks != [None, None] or (old.keypoints or ())[2::3] != (new.keypoints or ())[2::3]:
        return False
    first, second = list(_rings(old)), list(_rings(new))
    if [len(ring) for ring in first] != [len(ring) for ring in second] or not any(map(len, first)):
        return False
    unit = new.shape.unit if new.shape is not None else "pixel"
    steps = [there - here for a, b in zip(first, second, strict=True) for here, there in zip(a, b, strict=True)]
    return all(max(axis) - min(axis) <= _ROUNDING[unit] for axis in (steps[::2], steps[1::2]) if axis)


def _rings(annotation: Annotation) -> Iterator[Numbers]:
    """The outline as sequences of x, y. A keypoint that is not labelled has no place, so it is not shifted."""
    if annotation.shape is not None:
        yield from annotation.shape.polygons or ()
    points = annotation.keypoints or ()
    for at in range(0, len(points) - 2, 3):
        yield points[at : at + 2] if points[at + 2] else ()
    yield annotation.point or ()
