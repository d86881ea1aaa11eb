"""Tables as text in cells: CSV, and what parts cells by semicolon, tab or '|'.

A column of metadata has one type: numbers where all of its cells are numbers, true and false where all are, else text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from dsvc.errors import InvalidRecordsError
from dsvc.formats.table_bytes import check_beginning, decode
from dsvc.formats.table_columns import (
    KNOWN,
    PREFIX,
    check_names,
    check_twice,
    is_known,
    is_metadata,
    refuse,
    shown,
    unknown_note,
)
from dsvc.formats.table_rows import Row
from dsvc.formats.table_values import number_of, quoted

# Cells may be as large as the file: the largest limit that every platform takes.
_MAX_CELL = 2**31 - 1
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "'|'"}
_FLAGS = {"true": True, "false": False, "": None}
# Which share of odd cells is called few.
_FEW = 0.1
_MAX_HEADER = 1 << 16
Record = list[str]


class TextTable:
    """One CSV or TSV file; see `dsvc.formats.table_rows.Source`."""

    def __init__(self, data: memoryview, name: str, suffix: str) -> None:
        check_beginning(data, name)
        text = decode(data, name)
        if not text.strip():
            raise refuse(name, "holds only white space" if text else "is empty", "export it again")
        if text.lstrip()[:1] in ("{", "["):
            raise refuse(name, "looks like JSON", f"name it so, with one object a line: {name.partition('.')[0]}.jsonl")
        self.suffix = suffix
        self._has_nul = "\0" in text
        usual = "\t" if suffix == ".tsv" else ","
        self._delimiter = _find_delimiter(text, usual)
        self._records = _read_records(text, self._delimiter, name)
        header = next((at for at, cells in enumerate(self._records) if not _is_blank(cells)), None)
        if header is None:
            raise refuse(name, "holds only blank cells", "export it again")
        self._header = header
        self.columns = _checked_header(self._records[self._header], name)
        self.notes: list[str] = []
        if self._delimiter != usual:
            self.notes.append(f"its cells are parted by {_DELIMITERS[self._delimiter]}")
        if note := unknown_note(self.columns):
            self.notes.append(note)

    @property
    def count(self) -> int:
        """How many rows there are at most."""
        return len(self._records) - self._header - 1

    def rows(self) -> Iterator[Row]:
        """The rows below the header that are not blank."""
        known = [(name, at) for at, name in enumerate(self.columns) if name in KNOWN]
        texts, typed = self._metadata()
        width = len(self.columns)
        for number, cells in enumerate(self._records[self._header + 1 :], self._header + 2):
            if _is_blank(cells):
                continue
            if len(cells) != width:
                yield self._misfit(number, cells)
                continue
            fields = {name: cells[at] for name, at in known if cells[at]}
            metadata: dict[str, Any] = {name: cells[at] for name, at in texts if cells[at]}
            for name, at, values in typed:
                value = values[cells[at]]
                if value is not None:
                    metadata[name] = value
            wrong = "holds a NUL character" if self._has_nul and any("\0" in cell for cell in cells) else None
            yield Row(number, fields, metadata, cells, wrong)

    def _misfit(self, number: int, cells: Record) -> Row:
        width = len(self.columns)
        wrong = f"has {len(cells)} {'cell' if len(cells) == 1 else 'cells'}, and the header has {width}"
        if len(cells) > width:
            wrong += f" (quote a cell that holds {_DELIMITERS[self._delimiter]})"
        at = self.columns.index("key") if "key" in self.columns else width
        key = {"key": cells[at]} if at < len(cells) and cells[at] else {}
        return Row(number, key, {}, cells, wrong)

    def _metadata(self) -> tuple[list[tuple[str, int]], list[tuple[str, int, dict[str, Any]]]]:
        """The columns of metadata: those of text, and those of a type with what each of their cells means."""
        texts: list[tuple[str, int]] = []
        typed: list[tuple[str, int, dict[str, Any]]] = []
        width = len(self.columns)
        records = [cells for cells in self._records[self._header + 1 :] if len(cells) == width]
        for at, name in enumerate(self.columns):
            if not is_metadata(name):
                continue
            cells = {record[at] for record in records}
            values, odd = _typed(cells)
            if values is not None:
                typed.append((name.removeprefix(PREFIX), at, values))
                continue
            texts.append((name.removeprefix(PREFIX), at))
            if odd:
                self._note_odd(name, at, odd)
        return texts, typed

    def _note_odd(self, name: str, at: int, odd: set[str]) -> None:
        """Say which cell made a column text that is nearly all numbers."""
        width = len(self.columns)
        for number, cells in enumerate(self._records[self._header + 1 :], self._header + 2):
            if len(cells) == width and cells[at] in odd:
                note = f"{shown(name)} is kept as text: row {number} has {quoted(cells[at])}, where most have numbers"
                self.notes.append(note)
                return

    def rejects(self, rows: list[Any]) -> bytes:
        """Rows as they came, below the header as it came."""
        target = io.StringIO(newline="")
        writer = csv.writer(target, delimiter=self._delimiter, lineterminator="\n")
        writer.writerows([self._records[self._header], *rows])
        return target.getvalue().encode()


def _is_blank(cells: Record) -> bool:
    return not "".join(cells).strip()


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends, which may be those of any system."""
    end = "\n" if "\n" in text else "\r"
    start = 0
    while start < len(text):
        stop = text.find(end, start) + 1 or len(text)
        yield text[start:stop]
        start = stop


def _find_delimiter(text: str, usual: str) -> str:
    """What parts the cells of the header: what gives the most known columns, or any columns at all."""
    line = next(line for line in _lines(text) if line.strip())

    def score(delimiter: str) -> tuple[int, bool, bool]:
        names = [name.strip() for name in next(csv.reader([line[:_MAX_HEADER]], delimiter=delimiter))]
        return sum(map(is_known, names)), len(names) > 1, delimiter == usual

    return max(_DELIMITERS, key=score)


def _read_records(text: str, delimiter: str, name: str) -> list[Record]:
    """The cells of every line, blank ones too. Raises InvalidRecordsError, naming the row."""
    records: list[Record] = []
    limit = csv.field_size_limit(_MAX_CELL)
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    begin = 1
    try:
        for cells in reader:
            records.append(cells)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise _broken(str(error), name, len(records) + 1, (begin, reader.line_num)) from None
    finally:
        csv.field_size_limit(limit)
    return records


def _broken(error: str, name: str, row: int, lines: tuple[int, int]) -> InvalidRecordsError:
    """The error for text that cannot be taken apart into cells, in what the parser says and where."""
    first, last = lines
    where = f"row {row} (line {first:,})" if first == last else f"row {row} (lines {first:,} to {last:,})"
    hint = 'close the quote; one inside a quoted cell is doubled: ""'
    if "unexpected end of data" in error:
        return refuse(name, f"{where}: a quote is opened and never closed", hint)
    if "new-line character" in error:
        return refuse(name, f"{where}: a carriage return stands in a cell without quotes", "quote the cell")
    return refuse(name, f"{where}: {error}", hint)


def _checked_header(cells: Record, name: str) -> list[str]:
    """The names of the columns. Raises InvalidRecordsError."""
    names = [cell.strip() for cell in cells]
    check_twice(names, name)
    for at, column in enumerate(names):
        if not column:
            hint = "name it, or take it away; an index without a name comes from pandas: to_csv(..., index=False)"
            raise refuse(name, f"column {at + 1} has no name", hint)
        if "\0" in column:
            raise refuse(name, f"the name of column {at + 1} holds a NUL character", "save it as UTF-8")
    if len(names) == 1 and not is_known(names[0]):
        looks = f"its first row is one cell, {quoted(names[0])}, without a comma, semicolon, tab or '|'"
        raise refuse(name, f"has no column key (nor path, nor url): {looks}", "the first row must name the columns")
    check_names(names, name, "the first row")
    return names


def _typed(cells: set[str]) -> tuple[dict[str, Any] | None, set[str]]:
    """What each of a column's different cells means, None for a blank one; or None where they are text.

    Where few cells keep a column from being numbers, the second set has these.
    """
    if all(text in _FLAGS for text in (cell.strip().lower() for cell in cells)):
        return {cell: _FLAGS[cell.strip().lower()] for cell in cells}, set()
    values: dict[str, Any] = {}
    odd: set[str] = set()
    for cell in cells:
        text = cell.strip()
        values[cell] = value = number_of(text) if text else None
        if value is None and text:
            odd.add(cell)
            if len(odd) > _FEW * len(cells):
                return None, set()
    return (None, odd) if odd else (values, odd)
