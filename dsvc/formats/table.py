"""The table importer: one row an input, with its split, place, metadata and image-level concepts.

Tables come as CSV or TSV, as JSON lines, or as Parquet; `docs/reference/tables.md` says what columns mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from dsvc.core.imports.sorter import many_objects
from dsvc.formats.table_bytes import PARQUET
from dsvc.formats.table_columns import shown
from dsvc.formats.table_lines import LineTable
from dsvc.formats.table_parquet import ParquetTable
from dsvc.formats.table_rows import Records, Source, Wrong
from dsvc.formats.table_text import TextTable
from dsvc.model.incoming import Entry, Origin, Problems, Progress
from dsvc.model.records import Concept, Input

_TEXTS = (".csv", ".tsv")
_LINES = (".jsonl", ".ndjson")
_PARQUET = ".parquet"
# What is no table yet, and is told so.
_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_MAX_COLUMNS = 256


def looks_like_table(name: str) -> bool:
    """Whether a file's name is that of a table, or of one that is packed or in a workbook, which `open` refuses."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    if len(suffixes) > 1 and suffixes[-1] in _PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in (*_TEXTS, *_LINES, _PARQUET, *_WORKBOOKS)


class TableImporter:
    """Reads tables."""

    format = "table"
    # Parquet is read from the file, where there is one.
    wants_path = True

    def open(
        self,
        data: memoryview,
        name: str,
        progress: Progress | None = None,
        path: Path | None = None,
        wrong_key: Wrong | None = None,
        wrong_path: Wrong | None = None,
    ) -> TableIncoming:
        """Read a whole table; `path` is the file that `data` is of. Raises InvalidRecordsError where it is none.

        `wrong_key` says what is wrong with the key of a row that has no bytes, so that it must name a known input;
        `wrong_path` what is wrong with the path of a file.
        """
        with many_objects():
            return TableIncoming(_source(data, name, path), name, progress, wrong_key, wrong_path)


def _source(data: memoryview, name: str, path: Path | None) -> Source:
    """The table by its name, or by what it looks like where the name says nothing."""
    suffix = PurePath(name).suffix.lower()
    head = bytes(data[:64])
    if suffix == _PARQUET or (suffix not in (*_TEXTS, *_LINES) and head.startswith(PARQUET)):
        return ParquetTable(data, name, path)
    if suffix in _LINES or (suffix not in _TEXTS and head.lstrip().startswith(b"{")):
        return LineTable(data, name, suffix if suffix in _LINES else _LINES[0])
    return TextTable(data, name, suffix if suffix in _TEXTS else _TEXTS[0])


class TableIncoming:
    """One table; see `dsvc.model.incoming.IncomingMedia`. It is read whole when it is made."""

    format = "table"

    def __init__(
        self,
        source: Source,
        name: str,
        progress: Progress | None = None,
        wrong_key: Wrong | None = None,
        wrong_path: Wrong | None = None,
    ) -> None:
        self.problems = Problems()
        records = Records(self.problems, wrong_key, wrong_path)
        records.take_all(source, progress)
        self.notes = [*source.notes, *records.notes()]
        if not records.inputs and not self.problems.count:
            self.notes.append(f"{name} has no rows")
        # How the name of a file of rejects ends.
        self.rejects_suffix = source.suffix
        self._rejects = source.rejects(records.refused) if records.refused else None
        self._columns = [shown(column) for column in source.columns[:_MAX_COLUMNS]]
        self._concepts = records.concepts()
        self._inputs, self._entries = records.inputs, records.entries
        # Where the bytes of inputs come from, by key.
        self.origins: dict[str, Origin] = records.origins
        # The row of each input as a person counts, by key: the header of CSV is row 1; of JSON lines, the line.
        self.rows: dict[str, int] = records.rows

    @property
    def meta(self) -> Mapping[str, Any]:
        """The table's columns."""
        return {"columns": self._columns}

    def concepts(self) -> list[Concept]:
        """The concepts that rows name."""
        return self._concepts

    def inputs(self) -> Iterator[Input]:
        """The inputs, in the order of the rows, without media."""
        return iter(self._inputs)

    def annotations(self) -> Iterator[list[Entry]]:
        """What rows say about whole inputs: one annotation for each concept that is named."""
        if self._entries:
            yield self._entries

    def rejects(self) -> bytes | None:
        """The refused rows as a table; None without any."""
        return self._rejects
