"""Frames: how the coordinates of annotations lead to the pixels of a drawing.

Annotations are kept as they came, and nothing in them says whether their tool turned the picture as EXIF asks. What
tells is the size that came with them: where it is that of the turned picture, and not that of the stored one, they lie
on the turned picture; else on the stored one. What is drawn is always the turned picture, as people see it.
"""

from __future__ import annotations

from typing import NamedTuple

from dsvc.model.records import Input, Unit

Point = tuple[float, float]
# Further out nothing is seen, and numbers stay small.
_FAR = 20.0
# Orientations of EXIF that swap width and height.
SWAPPING = frozenset((5, 6, 7, 8))


class Frame(NamedTuple):
    """Coordinates on a picture of `width` x `height` pixels lead to a drawing of `to_width` x `to_height`, turned as
    `orientation` says: EXIF's, 1 to 8; 1 turns nothing."""

    width: float
    height: float
    orientation: int
    to_width: int
    to_height: int

    def place(self, x: float, y: float, unit: Unit = "pixel") -> Point:
        """Where a point lies on the drawing; one that is far outside is brought nearer."""
        if unit == "pixel":
            x, y = x / self.width, y / self.height
        u, v = turned(_near(x), _near(y), self.orientation)
        return u * self.to_width, v * self.to_height

    @property
    def is_swapped(self) -> bool:
        """Whether rows of the coordinates are columns of the drawing."""
        return self.orientation in SWAPPING


def turned(u: float, v: float, orientation: int) -> Point:
    """A point of the stored picture, 0 to 1, as EXIF's orientation turns it."""
    if orientation in SWAPPING:
        u, v = v, u
    if orientation in (2, 3, 6, 7):
        u = 1 - u
    if orientation in (3, 4, 7, 8):
        v = 1 - v
    return u, v


def _near(value: float) -> float:
    # What is no number, as of an infinite box, compares with nothing.
    return min(max(value, -_FAR), _FAR) if value == value else 0.0


def frame_of(record: Input, stored: tuple[int, int], orientation: int, to: tuple[int, int]) -> Frame:
    """The frame of an input's annotations; `stored` is its picture's size as stored, `to` that of the drawing.

    What is declared counts before what is stored: annotations of a picture that was scaled afterwards still fit.
    """
    media = record.media
    width = record.declared_width or (media.width if media is not None else None) or stored[0]
    height = record.declared_height or (media.height if media is not None else None) or stored[1]
    on_turned = orientation in SWAPPING and (width, height) == (stored[1], stored[0]) and stored[0] != stored[1]
    return Frame(abs(width), abs(height), 1 if on_turned else orientation, *to)
