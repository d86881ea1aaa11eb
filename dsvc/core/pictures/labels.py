"""Labels: names at what they name, none over another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dsvc.core.pictures.colours import Colour, ink_on
from dsvc.core.pictures.lettering import Lettering

Box = tuple[float, float, float, float]
PADDING = 3
# With more marks than this, a name that is much larger than what it names is left to the legend.
_FEW = 10
_SHARE = 0.5
# Names cover no more of a square than this.
_COVERED = 0.2


class Label(NamedTuple):
    """A name, its colour, and the box (left, top, right, bottom) of what it names."""

    text: str
    colour: Colour
    around: Box


def write_labels(canvas: Any, labels: Sequence[Label], letters: Lettering, side: int, edge: int) -> None:
    """Write names on a square of `side` pixels, each at its box where there is room, those of large boxes first.

    `canvas` is an ImageDraw; `edge` is how far the lines of boxes reach outwards.
    """
    taken: list[Box] = []
    room = _COVERED * side * side
    for label in sorted(labels, key=lambda label: -_area(label.around)):
        text = letters.fitted(label.text, side * 3 // 5)
        size = (letters.width(text) + 2 * PADDING, letters.height + 2)
        is_small = _area(label.around) * _SHARE < size[0] * size[1]
        at = None
        if len(labels) <= _FEW or (not is_small and room > 0):
            at = next((at for at in _places(label.around, size, side, edge) if _is_free(at, size, taken)), None)
        if at is not None:
            room -= size[0] * size[1]
            taken.append((at[0], at[1], at[0] + size[0], at[1] + size[1]))
            write_chip(canvas, at, text, label.colour, letters)


def write_chip(canvas: Any, at: tuple[int, int], text: str, colour: Colour, letters: Lettering) -> int:
    """Write a fitted text on a ground of a colour; how wide that is."""
    width, height = letters.width(text) + 2 * PADDING, letters.height + 2
    canvas.rounded_rectangle((at[0], at[1], at[0] + width - 1, at[1] + height - 1), radius=3, fill=colour)
    letters.draw(canvas, (at[0] + PADDING, at[1] + 1), text, ink_on(colour))
    return width


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _places(around: Box, size: tuple[int, int], side: int, edge: int) -> Iterator[tuple[int, int]]:
    """Where a label may go: above, inside, below, to the right; brought into the square."""
    left, top, right, bottom = (round(min(max(value, -side), 2 * side)) for value in around)
    width, height = size
    for x in (left - edge, right + edge - width):
        for y in (top - edge - height, top + edge, bottom + edge, bottom - edge - height):
            yield _inside(x, y, size, side)
    for y in (top - edge, bottom + edge - height):
        yield _inside(right + edge, y, size, side)
        yield _inside(left - edge - width, y, size, side)


def _inside(x: int, y: int, size: tuple[int, int], side: int) -> tuple[int, int]:
    return min(max(x, 0), max(side - size[0], 0)), min(max(y, 0), max(side - size[1], 0))


def _is_free(at: tuple[int, int], size: tuple[int, int], taken: Sequence[Box]) -> bool:
    left, top, right, bottom = at[0], at[1], at[0] + size[0], at[1] + size[1]
    return not any(left < box[2] and box[0] < right and top < box[3] and box[1] < bottom for box in taken)
