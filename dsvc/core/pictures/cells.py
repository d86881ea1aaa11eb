"""Cells: one input of a sheet: its picture with the marks on it, its key, and a legend."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.pictures.colours import BLANK, FAINT_INK, INK, WELL, Colour
from dsvc.core.pictures.drawing import FINE, Drawing
from dsvc.core.pictures.frames import Frame, frame_of
from dsvc.core.pictures.labels import Box, Label, write_labels
from dsvc.core.pictures.lettering import lettering
from dsvc.core.pictures.looks import Look, fitting, look_at
from dsvc.core.pictures.marks import Line, Mark
from dsvc.model.geometry import box_of, size_of
from dsvc.model.records import Input

if TYPE_CHECKING:
    from dsvc.core.state import State

# More keypoints, polygons and boxes than this on one picture get thinner lines.
_MANY = 40
_RANKS = {Line.THIN: 0, Line.DASHED: 1, Line.PLAIN: 2}


class Entry(NamedTuple):
    """A line of a legend: a colour, what it stands for, and whether it is written on the colour, as a class is."""

    colour: Colour
    text: str
    is_chip: bool = False


class Cell(NamedTuple):
    """One input as it is shown: a square image, the key as title, a legend, and notices of what is odd.

    `frame` is the colour of a frame around it, `problem` why there is no picture.
    """

    image: Any
    title: str
    legend: tuple[Entry, ...] = ()
    notices: tuple[str, ...] = ()
    frame: Colour | None = None
    problem: str | None = None


class Subject(NamedTuple):
    """What a cell is made of. Without a `legend`, it has the marks' concepts, counted."""

    state: State
    record: Input
    title: str
    marks: Sequence[Mark]
    legend: tuple[Entry, ...] | None = None
    notices: tuple[str, ...] = ()
    frame: Colour | None = None


def make_cell(subject: Subject, side: int, look: Look | None = None) -> Cell:
    """The cell of an input, of `side` pixels each way; `look` is what its media looks like, where that is known."""
    from PIL import Image

    record = subject.record
    seen, elsewhere = _on_first_frame(subject.marks)
    placed = [mark for mark in seen if mark.has_place]
    look = look or look_at(subject.state, record, FINE * side)
    notices = [*subject.notices]
    well = Image.new("RGB", (side, side), WELL)
    size = size_of(record)
    if look.picture is not None:
        picture = look.picture
        frame = frame_of(record, picture.stored, picture.orientation, picture.image.size)
        notices += _draw(well, picture.image, frame, placed)
    elif placed and size is not None and not look.lines:
        sheet = Image.new("RGB", fitting(size, FINE * side), BLANK)
        notices += _draw(well, sheet, Frame(abs(size[0]), abs(size[1]), 1, *sheet.size), placed)
        notices += [look.word]
    else:
        _draw_card(well, look)
    if elsewhere:
        notices.append(f"{elsewhere:,} on later frames")
    legend = subject.legend if subject.legend is not None else legend_of(subject.marks)
    return Cell(well, subject.title, legend, tuple(notices), subject.frame, look.problem)


def _on_first_frame(marks: Sequence[Mark]) -> tuple[list[Mark], int]:
    """The marks that are to be drawn on what is shown of a video, and how many are not."""
    seen = [mark for mark in marks if not mark.annotation.frame and not (mark.annotation.time or (0, 0))[0] > 0]
    return seen, len(marks) - len(seen)


def legend_of(marks: Sequence[Mark]) -> tuple[Entry, ...]:
    """The names of marks: classes of the whole picture first, then the others, each with its count."""
    classes = dict.fromkeys(
        Entry(mark.colour, mark.label, True) for mark in marks if not mark.has_place and mark.label is not None
    )
    counts = Counter((mark.colour, mark.annotation.concept or "no concept") for mark in marks if mark.has_place)
    placed = sorted(counts.items(), key=lambda item: (-item[1], item[0][1]))
    counted = (Entry(colour, f"{name} {count:,}" if count > 1 else name) for (colour, name), count in placed)
    return (*classes, *counted)


def _draw(well: Any, image: Any, frame: Frame, marks: Sequence[Mark]) -> list[str]:
    """Draw a picture with its marks into a square; notices of what could not be shown."""
    from PIL import ImageDraw

    side = well.width
    weight = max(1, side // 160) if len(marks) <= _MANY else 1
    drawing = Drawing(image, frame, FINE * weight)
    boxes = _drawn(drawing, marks)
    small = drawing.finished()
    # Each to the nearest pixel: of an odd rest, one side has a pixel more.
    corner = (side - small.width) // 2, (side - small.height) // 2
    well.paste(small, corner)
    labels = [Label(mark.label, mark.colour, _moved(box, corner)) for mark, box in boxes if mark.label is not None]
    write_labels(ImageDraw.Draw(well), labels, lettering(letter_size(side)), side, weight)
    odd = sum(1 for mark in marks if _has_other_grid(mark, frame))
    missing = sum(1 for _, box in boxes if _is_outside(box, image.size))
    notices = [f"{missing:,} outside the picture"] if missing else []
    notices += [f"{odd:,} masks of another size" if odd > 1 else "a mask of another size"] if odd else []
    return notices + sorted(set(drawing.problems))[:1]


def _has_other_grid(mark: Mark, frame: Frame) -> bool:
    """Whether a mask is not as large as the picture that its pixels are of."""
    shape = mark.annotation.shape
    if shape is None or shape.mask is None or shape.unit != "pixel":
        return False
    return (shape.mask.width, shape.mask.height) != (frame.width, frame.height)


def _drawn(drawing: Drawing, marks: Sequence[Mark]) -> list[tuple[Mark, Box]]:
    """Draw the marks, what did not change first, then what was, then large ones before small ones; with their boxes."""
    frame = drawing.frame

    def order(mark: Mark) -> tuple[int, float]:
        box = box_of(mark.annotation, (frame.width, frame.height))
        return _RANKS[mark.line], -box[2] * box[3] if box is not None else 0.0

    found = ((mark, drawing.mark(mark)) for mark in sorted(marks, key=order))
    return [(mark, box) for mark, box in found if box is not None]


def _moved(box: Box, corner: tuple[int, int]) -> Box:
    left, top, right, bottom = (value / FINE for value in box)
    return left + corner[0], top + corner[1], right + corner[0], bottom + corner[1]


def _is_outside(box: Box, size: tuple[int, int]) -> bool:
    return box[0] > size[0] or box[1] > size[1] or box[2] < 0 or box[3] < 0


def letter_size(side: int) -> int:
    """The size of letters on a cell."""
    return max(10, int(12.5 * math.pow(side / 320, 0.35)))


def _draw_card(well: Any, look: Look) -> None:
    """Say on an empty square what there would be."""
    from PIL import ImageDraw

    canvas, side = ImageDraw.Draw(well), well.width
    big, small = lettering(letter_size(side) * 4 // 3), lettering(letter_size(side))
    margin = max(4, side // 16)
    if look.lines and not look.word:
        room = (side - 2 * margin) // (small.height + 2)
        for number, line in enumerate(look.lines[:room]):
            text = small.fitted(line, side - 2 * margin)
            small.draw(canvas, (margin, margin + number * (small.height + 2)), text, INK)
        return
    lines = [(big, look.word, INK), *((small, line, FAINT_INK) for line in look.lines)]
    y = (side - sum(letters.height + 4 for letters, _, _ in lines)) // 2
    for letters, line, colour in lines:
        text = letters.fitted(line, side - 2 * margin)
        letters.draw(canvas, ((side - letters.width(text)) // 2, y), text, colour)
        y += letters.height + 4
