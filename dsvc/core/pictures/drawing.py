"""Drawing: boxes, polygons, masks, keypoints and points on a picture.

A drawing is made at twice its size and scaled down, which makes slanting lines smooth. Whatever numbers an annotation
has, drawing it is bounded: what lies outside is cut off, and of a mask only what is seen is worked out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from dsvc.core.pictures.colours import Colour
from dsvc.core.pictures.frames import Frame, Point
from dsvc.core.pictures.marks import Line, Mark
from dsvc.core.pictures.rasters import raster
from dsvc.model.records import Shape

# How much larger than its place a drawing is.
FINE = 2
_FILL = 84  # of 255
_SHADE = (0, 0, 0, 80)
_WHITE = (255, 255, 255, 255)
_MOST_DASHES = 400
Box = tuple[float, float, float, float]


class Drawing:
    """A picture, `FINE` times as large as its place, to draw marks on. `weight` is the width of lines on it."""

    def __init__(self, image: Any, frame: Frame, weight: int) -> None:
        from PIL import ImageDraw

        self.image = image
        self.frame = frame
        self.weight = weight
        self._draw = ImageDraw.Draw(image, "RGBA")
        # What could not be drawn, in words.
        self.problems: list[str] = []

    def finished(self) -> Any:
        """The picture in the size of its place."""
        return self.image.reduce(FINE)

    def mark(self, mark: Mark) -> Box | None:
        """Draw a mark, and say around which box, left, top, right and bottom on the drawing; None where nothing is."""
        points = list(self._shape(mark))
        points += self._keypoints(mark)
        if mark.annotation.point is not None and len(mark.annotation.point) == 2:
            points.append(self._point(mark))
        if not points:
            return None
        xs, ys = zip(*points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    # ---- shapes

    def _shape(self, mark: Mark) -> Iterator[Point]:
        shape = mark.annotation.shape
        if shape is None:
            return
        if shape.mask is not None:
            yield from self._mask(mark, shape)
        for ring in shape.polygons or ():
            yield from self._polygon(mark, shape, ring)
        if shape.box is not None and len(shape.box) == 4:
            yield from self._box(mark, shape)

    def _box(self, mark: Mark, shape: Shape) -> list[Point]:
        assert shape.box is not None
        x, y, width, height = shape.box
        corners = [self.frame.place(*corner, shape.unit) for corner in ((x, y), (x + width, y + height))]
        left, right = sorted(corner[0] for corner in corners)
        top, bottom = sorted(corner[1] for corner in corners)
        thin = bool(shape.polygons or shape.mask)
        weight = 1 if thin else self._weight(mark)
        # On even pixels, so that edges stay sharp when the drawing is scaled down.
        box = [FINE * round(value / FINE) for value in (left, top, right, bottom)]
        if mark.line is Line.DASHED:
            self._edge(box, weight, (*mark.colour, 255), 4 * self.weight)
        else:
            if not thin and mark.line is Line.PLAIN:
                self._edge(box, weight + 2 * FINE, _SHADE)
            self._edge(box, weight, (*mark.colour, 255))
        return [(left, top), (right, bottom)]

    def _edge(self, box: Sequence[int], weight: int, colour: tuple[int, ...], dash: int = 0) -> None:
        """The four sides of a box, each pixel once, so that what is half transparent is equally so."""
        left, top, right, bottom = box
        # Whole pixels of what the drawing is scaled down to; of an odd number, the odd one inside.
        out = weight // 2 // FINE * FINE
        x0, y0 = left - out, top - out
        x1, y1 = max(right + out, x0 + weight), max(bottom + out, y0 + weight)
        bars = (
            (x0, y0, x1, min(y0 + weight, y1)),
            (x0, max(y1 - weight, y0 + weight), x1, y1),
            (x0, y0 + weight, min(x0 + weight, x1), y1 - weight),
            (max(x1 - weight, x0 + weight), y0 + weight, x1, y1 - weight),
        )
        for bar in bars:
            for begin_x, begin_y, end_x, end_y in _pieces(bar, dash, max(self.image.size)):
                if begin_x < end_x and begin_y < end_y:
                    self._draw.rectangle((begin_x, begin_y, end_x - 1, end_y - 1), fill=colour)

    def _polygon(self, mark: Mark, shape: Shape, ring: Sequence[float]) -> list[Point]:
        points = [self.frame.place(x, y, shape.unit) for x, y in zip(ring[::2], ring[1::2], strict=False)]
        if len(points) == 1:
            self._dot(points[0], self._weight(mark), mark.colour)
        elif points:
            if mark.is_filled and len(points) > 2:
                self._draw.polygon(points, fill=(*mark.colour, _FILL))
            self._path(_apart([*points, points[0]]), mark)
        return points

    def _mask(self, mark: Mark, shape: Shape) -> list[Point]:
        assert shape.mask is not None
        try:
            found = raster(shape.mask, shape.unit, self.frame)
        except ValueError as error:
            self.problems.append(str(error))
            return []
        if found is None:
            return []
        from PIL import Image

        left, top, seen = found
        if mark.is_filled:
            alpha = Image.fromarray(seen * 118)
            self.image.paste(mark.colour, (left, top), alpha)
        self.image.paste(mark.colour, (left, top), Image.fromarray(_rim(seen, FINE) * 255))
        return [(left, top), (left + seen.shape[1], top + seen.shape[0])]

    # ---- keypoints and points

    def _keypoints(self, mark: Mark) -> list[Point]:
        numbers = mark.annotation.keypoints or ()
        unit = mark.annotation.shape.unit if mark.annotation.shape is not None else "pixel"
        triples = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=False))
        points = [self.frame.place(x, y, unit) if seen > 0 else None for x, y, seen in triples]
        for first, second in mark.skeleton:
            if 0 < first <= len(points) and 0 < second <= len(points):
                begin, end = points[first - 1], points[second - 1]
                if begin is not None and end is not None:
                    self._path([begin, end], mark)
        for point, (_, _, seen) in zip(points, triples, strict=True):
            if point is not None:
                self._dot(point, self._weight(mark), mark.colour, hollow=seen == 1)
        return [point for point in points if point is not None]

    def _point(self, mark: Mark) -> Point:
        unit = mark.annotation.shape.unit if mark.annotation.shape is not None else "pixel"
        x, y = (mark.annotation.point or ())[:2]
        place = self.frame.place(x, y, unit)
        self._dot(place, self._weight(mark) + 1, mark.colour)
        return place

    def _dot(self, at: Point, radius: int, colour: Colour, hollow: bool = False) -> None:
        """A dot with a white edge; a ring where it stands for what is hidden."""
        inner, outer = _around(at, radius), _around(at, radius + FINE)
        if hollow:
            self._draw.ellipse(outer, outline=_WHITE, width=1)
            self._draw.ellipse(inner, outline=(*colour, 255), width=FINE)
        else:
            self._draw.ellipse(outer, fill=_WHITE)
            self._draw.ellipse(inner, fill=(*colour, 255))

    # ---- lines

    def _weight(self, mark: Mark) -> int:
        return max(FINE, self.weight // 2) if mark.line is Line.THIN else self.weight

    def _path(self, points: Sequence[Point], mark: Mark) -> None:
        weight = self._weight(mark)
        if mark.line is Line.DASHED:
            self._dashes(points, mark.colour, weight)
        else:
            self._draw.line(points, fill=(*mark.colour, 255), width=weight, joint="curve")

    def _dashes(self, points: Sequence[Point], colour: Colour, weight: int) -> None:
        """A dashed line through some points; of very long ones, only so many dashes as fit on any drawing."""
        length = 4 * weight
        for (x0, y0), (x1, y1) in pairwise(points):
            x0, y0, x1, y1 = self._cut(x0, y0, x1, y1)
            whole = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
            for number in range(min(_MOST_DASHES, int(whole // (2 * length)) + 1)):
                begin, end = 2 * number * length / whole, min((2 * number + 1) * length / whole, 1.0)
                ends = (x0 + (x1 - x0) * begin, y0 + (y1 - y0) * begin, x0 + (x1 - x0) * end, y0 + (y1 - y0) * end)
                self._draw.line(ends, fill=(*colour, 255), width=weight)

    def _cut(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        """A line brought to a margin around the drawing, so that its dashes are spent on what is seen."""
        width, height = self.image.size

        def near(value: float, size: int) -> float:
            return min(max(value, -float(size)), 2.0 * size)

        return near(x0, width), near(y0, height), near(x1, width), near(y1, height)


def _around(at: Point, radius: int) -> Box:
    return at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius


def _apart(points: Sequence[Point]) -> list[Point]:
    """The points of a line without those that are on the pixel of the one before."""
    kept = [points[0]]
    for point in points[1:]:
        if abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= FINE:
            kept.append(point)
    return kept if len(kept) > 1 else [points[0], points[-1]]


def _pieces(bar: tuple[int, int, int, int], dash: int, most: int) -> Iterator[tuple[int, int, int, int]]:
    """The dashes of a bar as far as they are seen, below `most`; the bar itself where `dash` is 0."""
    x0, y0, x1, y1 = bar
    if not dash:
        yield bar
    elif x1 - x0 >= y1 - y0:
        for x in range(x0 + max(0, -x0) // (2 * dash) * 2 * dash, min(x1, most), 2 * dash):
            yield x, y0, min(x + dash, x1), y1
    else:
        for y in range(y0 + max(0, -y0) // (2 * dash) * 2 * dash, min(y1, most), 2 * dash):
            yield x0, y, x1, min(y + dash, y1)


def _rim(seen: Any, width: int) -> Any:
    """The pixels of a mask that have one outside it beside them."""
    import numpy as np

    inner = np.pad(seen, width)
    core = seen.copy()
    rows, columns = seen.shape
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = width + dy * width, width + dx * width
        core &= inner[y : y + rows, x : x + columns]
    return seen & ~core & 1
