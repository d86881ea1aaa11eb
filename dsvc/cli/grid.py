"""Rows of a query as a table for people: aligned, and no wider than the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence

from dsvc.cli.render import shown, width

_CELL = 80  # places, from which on a cell is cut where nothing says how wide the terminal is
_LEAST = 8
_GAP = "  "


def grid(names: Sequence[str], rows: Iterable[Sequence[str | None]], right: Sequence[bool]) -> Iterator[str]:
    """The rows below the names, as lines; the columns that `right` is true of are flush right."""
    cells = [[_line(name) for name in names]]
    cells += [[_line(text) if text is not None else "" for text in row] for row in rows]
    wanted = [max(map(width, column)) for column in zip(*cells, strict=True)]
    widths = _fitted([min(places, _CELL) for places in wanted])
    for number, row in enumerate(cells):
        yield _joined(row, widths, right)
        if number == 0:
            yield _GAP.join("-" * places for places in widths)


def _joined(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for text, places, flush in zip(row, widths, right, strict=True):
        text = _cut(text, places)
        gap = " " * (places - width(text))
        parts.append(gap + text if flush else text + gap)
    return _GAP.join(parts).rstrip()


def _line(text: str) -> str:
    # What is beyond is cut anyway, and a cell may hold megabytes.
    return shown(text[: _CELL + 1])


def _cut(text: str, places: int) -> str:
    if width(text) <= places:
        return text
    kept = text[: places - 1]
    while width(kept) > places - 1:
        kept = kept[:-1]
    return kept + "…"


def _fitted(widths: list[int]) -> list[int]:
    """The widths, the widest columns narrower until all fit on the terminal, if there is one."""
    if not sys.stdout.isatty():
        return widths
    room = shutil.get_terminal_size().columns - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _LEAST:
        at = widths.index(max(widths))
        others = max([places for number, places in enumerate(widths) if number != at], default=_LEAST)
        widths[at] = max(_LEAST, min(others, widths[at] - 1), widths[at] - (sum(widths) - room))
    return widths
