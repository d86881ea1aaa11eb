"""Masks as pycocotools takes them: checked before, since it reads past the end of what is damaged."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from dsvc.model.records import Mask, Numbers, Shape

Size = tuple[float, float]
# {"size": [height, width], "counts": COCO's compressed runs}
Packed = dict[str, Any]
# The lengths of runs have 32 bits.
_MOST_PIXELS = 2**32 - 1
# pycocotools walks along each edge in fifths of a pixel, and keeps every step.
_LONGEST = 4_000_000.0


def mask_of(shape: Shape, size: Size | None) -> Packed | None:
    """The mask of a shape: its own, or its polygons filled in at `size` (width, height in pixels); None without either.

    Polygons of fewer than three points fill nothing. Raises ValueError for what cannot be drawn.
    """
    if shape.polygons:
        if size is None:
            raise ValueError("the input's size in pixels, which its polygons need, is not known")
        return _filled(shape, *size)
    return _packed(shape.mask) if shape.mask is not None else None


def mask_area(mask: Packed) -> float:
    """The pixels that a mask covers."""
    from pycocotools import mask as coco_mask

    return float(coco_mask.area(mask))


def ring_area(ring: Numbers) -> float:
    """The area that a ring x, y, x, y, ... encloses, by the shoelace formula."""
    points = list(zip(ring[::2], ring[1::2], strict=False))
    turned = points[1:] + points[:1]
    return abs(sum(x * b - a * y for (x, y), (a, b) in zip(points, turned, strict=True))) / 2


def _filled(shape: Shape, width: float, height: float) -> Packed:
    from pycocotools import mask as coco_mask

    columns, rows = round(width), round(height)
    _require_drawable(rows, columns)
    scale = (width, height) if shape.unit == "relative" else (1.0, 1.0)
    rings = [
        [number * scale[at % 2] for at, number in enumerate(ring)]
        for ring in shape.polygons or ()
        if len(ring) >= 6 and len(ring) % 2 == 0
    ]
    if not rings:
        return _packed(Mask(height=rows, width=columns, counts=(rows * columns,)))
    if sum(map(_length, rings)) > _LONGEST:
        raise ValueError("its polygons are too long to be drawn")
    merged: Packed = coco_mask.merge(coco_mask.frPyObjects(rings, rows, columns))
    return merged


def _length(ring: list[float]) -> float:
    """How many pixels the edges of a ring pass, the one from its last to its first point included."""
    points = list(zip(ring[::2], ring[1::2], strict=True))
    edges = pairwise([*points, points[0]])
    return max(max(map(abs, ring)), sum(max(abs(x - a), abs(y - b)) for (x, y), (a, b) in edges))


def _packed(mask: Mask) -> Packed:
    from pycocotools import mask as coco_mask

    rows, columns = mask.height, mask.width
    _require_drawable(rows, columns)
    if isinstance(mask.counts, str):
        _require_filling(_runs(mask.counts), rows * columns)
        return {"size": [rows, columns], "counts": mask.counts.encode()}
    _require_filling(mask.counts, rows * columns)
    packed: Packed = coco_mask.frPyObjects({"size": [rows, columns], "counts": list(mask.counts)}, rows, columns)
    return packed


def _require_drawable(rows: int, columns: int) -> None:
    if min(rows, columns) < 1 or rows * columns > _MOST_PIXELS:
        raise ValueError(f"a mask of {columns} x {rows} pixels cannot be drawn")


def _require_filling(runs: Any, pixels: int) -> None:
    total = sum(runs)
    if total != pixels or min(runs) < 0:
        raise ValueError(f"the runs of its mask cover {total} pixels, not {pixels}")


def _runs(text: str) -> list[int]:
    """The runs of COCO's compressed text: five bits a character, and from the fourth run on the difference to the last
    but one. Raises ValueError for what is no such text."""
    import numpy as np

    try:
        digits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        digits = np.array([-1])
    if not len(digits) or digits.min() < 0 or digits.max() > 63:
        raise ValueError("the text of its mask is damaged")
    ends = np.flatnonzero(digits < 32)
    if not len(ends) or ends[-1] != len(digits) - 1:
        raise ValueError("the text of its mask ends too early")
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > 7:
        raise ValueError("the text of its mask is damaged")
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    values = np.add.reduceat((digits & 31) << 5 * places, starts)
    values -= np.where(digits[ends] & 16, 1 << 5 * lengths, 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    runs: list[int] = values.tolist()
    return runs
