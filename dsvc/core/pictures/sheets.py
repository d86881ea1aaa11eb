"""Sheets: cells in rows, below a title."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from dsvc.core.pictures.cells import Cell, Entry, letter_size
from dsvc.core.pictures.colours import ADDED, ADDED_INK, FAINT_INK, INK, PAGE, WARNING_INK
from dsvc.core.pictures.labels import PADDING, write_chip
from dsvc.core.pictures.lettering import Lettering, lettering

# The most pixels of a sheet: 300 MB of RGB. A JPEG has at most 65,535 each way.
MOST_PIXELS = 100_000_000
MOST_SIDE = 65_000
_MORE_ROOM = 44  # for "+12 more"
_APART = 24
_LONGEST = 14  # a class in a legend, in sizes of its letters


class Layout(NamedTuple):
    """How a sheet is divided, in pixels: sides of cells, columns, rows, and the heights of captions and of the head.

    `least` is the room that the head needs.
    """

    side: int
    columns: int
    rows: int
    caption: int
    head: int
    gap: int
    margin: int
    least: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        width = max(self.columns * (self.side + self.gap) - self.gap, self.least) + 2 * self.margin
        return width, self.head + self.rows * (self.side + self.caption + self.gap) - self.gap + 2 * self.margin

    def corner(self, number: int) -> tuple[int, int]:
        """The upper left corner of a cell."""
        row, column = divmod(number, self.columns)
        return (
            self.margin + column * (self.side + self.gap),
            self.margin + self.head + row * (self.side + self.caption + self.gap),
        )


def lay_out(count: int, side: int, columns: int | None, captions: int = 3) -> Layout:
    """The layout of so many cells with captions of so many lines, by default in a square of cells."""
    columns = min(columns or math.ceil(math.sqrt(count)), max(count, 1))
    columns = max(columns, 1)
    rows = max(1, math.ceil(count / columns))
    letters = lettering(letter_size(side))
    gap = max(10, side // 18)
    head = _title(side).height + letters.height + gap + 8
    return Layout(side, columns, rows, captions * (letters.height + 5) + 5, head, gap, gap + gap // 2)


def make_sheet(
    cells: Sequence[Cell], title: str, subtitle: str, side: int, columns: int | None, key: Sequence[Entry] = ()
) -> Any:
    """A sheet of cells, as an image. `key` explains its colours, to the right of the title where there is room."""
    from PIL import Image, ImageDraw

    captions = 1 + any(cell.legend for cell in cells) + any(cell.notices for cell in cells)
    layout = lay_out(len(cells), side, columns, captions)
    if key:
        small = lettering(letter_size(side))
        layout = layout._replace(least=small.width(small.prepared(subtitle)) + _APART + _key_width(key, small))
    sheet = Image.new("RGB", layout.size, PAGE)
    canvas = ImageDraw.Draw(sheet)
    _write_head(canvas, layout, title, subtitle, key)
    for number, cell in enumerate(cells):
        x, y = layout.corner(number)
        if cell.frame is not None:
            edge = max(3, side // 80)
            canvas.rectangle((x - edge, y - edge, x + side + edge - 1, y + side + edge - 1), fill=cell.frame)
        sheet.paste(cell.image, (x, y))
        _write_caption(canvas, (x, y + side + 5), cell, side)
    return sheet


def _title(side: int) -> Lettering:
    return lettering(letter_size(side) * 3 // 2)


def _write_head(canvas: Any, layout: Layout, title: str, subtitle: str, key: Sequence[Entry]) -> None:
    big, small = _title(layout.side), lettering(letter_size(layout.side))
    x, y, width = layout.margin, layout.margin, layout.size[0] - 2 * layout.margin
    big.draw(canvas, (x, y), big.fitted(title, width), INK)
    y += big.height + 4
    text = small.fitted(subtitle, width)
    small.draw(canvas, (x, y), text, FAINT_INK)
    needed = _key_width(key, small)
    if key:
        _write_legend(canvas, (x + width - needed, y), key, small, needed + 1)


def _write_caption(canvas: Any, at: tuple[int, int], cell: Cell, side: int) -> None:
    letters = lettering(letter_size(side))
    x, y = at
    ink = ADDED_INK if cell.frame == ADDED else cell.frame or INK
    letters.draw(canvas, (x, y), letters.fitted(cell.title, side, keep_end=True), ink)
    y += letters.height + 5
    if cell.legend:
        _write_legend(canvas, (x, y), cell.legend, letters, side)
        y += letters.height + 5
    if cell.notices:
        letters.draw(canvas, (x, y), letters.fitted("; ".join(cell.notices), side), WARNING_INK)


def _write_legend(canvas: Any, at: tuple[int, int], legend: Sequence[Entry], letters: Lettering, width: int) -> None:
    """Write as many entries in a row as there is room for, and how many more there are."""
    x, y = at
    for number, entry in enumerate(legend):
        left = len(legend) - number - 1
        room = at[0] + width - x - (_MORE_ROOM * letters.size // 12 if left else 0)
        if number and _entry_width(entry, letters) > room:
            letters.draw(canvas, (x, y), f"+{left + 1} more", FAINT_INK)
            return
        x += _write_entry(canvas, (x, y), entry, letters, room)


def _write_entry(canvas: Any, at: tuple[int, int], entry: Entry, letters: Lettering, room: int) -> int:
    x, y = at
    gap = letters.size // 2 + 2
    if entry.is_chip:
        text = letters.fitted(entry.text, min(room - 2 * PADDING, letters.size * _LONGEST))
        return write_chip(canvas, (x, y - 1), text, entry.colour, letters) + gap
    dot = letters.size * 2 // 3
    top = y + (letters.height - dot) // 2
    canvas.rounded_rectangle((x, top, x + dot, top + dot), radius=2, fill=entry.colour)
    text = letters.fitted(entry.text, room - dot - 5)
    letters.draw(canvas, (x + dot + 5, y), text, FAINT_INK)
    return dot + 5 + letters.width(text) + gap


def _key_width(key: Sequence[Entry], letters: Lettering) -> int:
    return sum(_entry_width(entry, letters) for entry in key)


def _entry_width(entry: Entry, letters: Lettering) -> int:
    width = letters.width(letters.prepared(entry.text))
    width = min(width, letters.size * _LONGEST) if entry.is_chip else width
    extra = 2 * PADDING if entry.is_chip else letters.size * 2 // 3 + 5
    return width + extra + letters.size // 2 + 2
