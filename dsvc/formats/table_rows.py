"""Rows to records: each sound row of a table becomes an input, its origin and its annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from dsvc.core.keys import normalize_name
from dsvc.errors import RefusedError
from dsvc.formats.table_columns import LATITUDE, LONGITUDE
from dsvc.formats.table_values import (
    Mark,
    WrongRowError,
    is_place,
    name_of_place,
    quoted,
    read_concepts,
    read_geo,
    read_path,
    read_place,
    read_split,
    text_of,
)
from dsvc.model.incoming import Entry, Origin, Problems, Progress
from dsvc.model.records import NO_EXTRAS, Concept, Input, annotation_hasher

_PACE = 8192
_PLACED = frozenset(("geo", LONGITUDE, LATITUDE))


# What is wrong with a key or a path, or None.
Wrong = Callable[[str], str | None]


class Row(NamedTuple):
    """One row: its number as a person counts, the known columns that have a value, its metadata.

    `raw` is the row as it came, for the file of rejects; `wrong` what already is wrong with it.
    """

    number: int
    fields: dict[str, Any]
    metadata: dict[str, Any]
    raw: Any
    wrong: str | None = None


class Source(Protocol):
    """One table's text or file, taken apart into rows."""

    # The names of all columns, for the record of what the source was.
    columns: list[str]
    notes: list[str]
    # The suffix of the file that `rejects` gives.
    suffix: str

    @property
    def count(self) -> int | None:
        """How many rows there are at most, where that is known before they are read."""

    def rows(self) -> Iterable[Row]:
        """The rows in order. Columns and notes are complete after that."""

    def rejects(self, rows: list[Any]) -> bytes:
        """Rows as they came as a table of their own."""


class Records:
    """What the rows of a table say, collected."""

    def __init__(self, problems: Problems, wrong_key: Wrong | None = None, wrong_path: Wrong | None = None) -> None:
        self._wrong_key = wrong_key
        self._wrong_path = wrong_path
        self.inputs: list[Input] = []
        self.entries: list[Entry] = []
        self.origins: dict[str, Origin] = {}
        # The row of each input.
        self.rows: dict[str, int] = {}
        # Refused rows, as they came.
        self.refused: list[Any] = []
        self._turned = 0
        self._problems = problems
        # Concept id -> its name; of several spellings the first in order, wherever they stand.
        self._concepts: dict[str, str] = {}
        self._marks: dict[str, tuple[Mark, ...]] = {}
        self._refused_keys: dict[str, int] = {}
        self._copy = annotation_hasher().copy

    def take_all(self, source: Source, progress: Progress | None) -> None:
        """Read every row of a source; what is wrong with one is noted and refuses that row."""
        for done, row in enumerate(source.rows()):
            if progress is not None and done % _PACE == 0:
                progress("read rows", done, source.count)
            try:
                if row.wrong is not None:
                    raise WrongRowError(row.wrong)
                self._take(row)
            except WrongRowError as error:
                self._refuse(row, str(error))

    def concepts(self) -> list[Concept]:
        """The concepts that sound rows name, in the order of their ids."""
        return [Concept(id=id, name=name) for id, name in sorted(self._concepts.items())]

    def notes(self) -> list[str]:
        """What is to be told about rows that were taken."""
        noun = "name has" if self._turned == 1 else "names have"
        tail = "its key is plain" if self._turned == 1 else "their keys are plain"
        return [f"{self._turned} {noun} backslashes or needless dots; {tail}"] if self._turned else []

    def _refuse(self, row: Row, wrong: str) -> None:
        key = _label(row.fields)
        self._problems.add(f"row {row.number}{f' (key {quoted(key)})' if key is not None else ''}: {wrong}")
        self.refused.append(row.raw)
        if key is not None:
            self._refused_keys.setdefault(key, row.number)

    def _take(self, row: Row) -> None:
        fields = row.fields
        origin = _origin(fields)
        key, turned = _key(fields, origin)
        before = self.rows.get(key) or self._refused_keys.get(key)
        if before is not None:
            raise WrongRowError(f"its key is also that of row {before}")
        if wrong := self._wrong_bytes(key, origin):
            raise WrongRowError(wrong)
        marks = self._marks_of(fields["concepts"]) if "concepts" in fields else ()
        split = read_split(fields["split"]) if "split" in fields else None
        geo = None if _PLACED.isdisjoint(fields) else read_geo(fields)
        self._turned += turned
        self.rows[key] = row.number
        self.inputs.append(Input(key=key, split=split, geo=geo, metadata=row.metadata or NO_EXTRAS))
        if origin is not None:
            self.origins[key] = origin
        prefix = f"{key}\0".encode()
        for mark in marks:
            name = self._concepts.setdefault(mark.id, mark.name)
            if mark.name < name:
                self._concepts[mark.id] = mark.name
            hasher = self._copy()
            hasher.update(prefix + mark.content)
            self.entries.append((prefix + hasher.digest(length=6).hex().encode(), mark.content))

    def _wrong_bytes(self, key: str, origin: Origin | None) -> str | None:
        """What is wrong with where the bytes of a row's input are, or None."""
        if origin is None:
            return self._wrong_key(key) if self._wrong_key is not None else None
        if origin.file is None or self._wrong_path is None:
            return None
        return self._wrong_path(origin.file)

    def _marks_of(self, value: Any) -> tuple[Mark, ...]:
        if type(value) is not str:
            return read_concepts(value)
        marks = self._marks.get(value)
        if marks is None:
            marks = self._marks[value] = read_concepts(value)
        return marks


def _has(fields: dict[str, Any], name: str) -> bool:
    """Whether a column has more than blanks in a row."""
    value = fields.get(name)
    return value is not None and not (isinstance(value, str) and not value.strip())


def _origin(fields: dict[str, Any]) -> Origin | None:
    """Where an input's bytes come from, or None where the row does not say. Raises WrongRowError."""
    given = [name for name in _ORIGINS if name in fields and _has(fields, name)]
    if not given:
        return None
    if len(given) > 1:
        raise WrongRowError(f"has both {given[0]} and {given[1]}: an input's bytes come from one place")
    return _ORIGINS[given[0]](fields[given[0]])


_ORIGINS: dict[str, Callable[[Any], Origin]] = {
    "path": lambda value: Origin(file=read_path(value)),
    "url": lambda value: Origin(place=read_place(value)),
    "text": lambda value: Origin(data=text_of("text", value).encode()),
}


def _key(fields: dict[str, Any], origin: Origin | None) -> tuple[str, bool]:
    """The key of a row, and whether it differs from the name that came. Raises WrongRowError."""
    if _has(fields, "key"):
        name = text_of("key", fields["key"])
        if is_place(name):
            raise WrongRowError("key is a URL: put it into a column url")
    elif origin is not None and origin.file is not None:
        name = origin.file
    elif origin is not None and origin.place is not None:
        name = name_of_place(origin.place)
    else:
        raise WrongRowError("has no key, no path and no url")
    try:
        return normalize_name(name)
    except RefusedError as error:
        raise WrongRowError(error.message) from None


def _label(fields: dict[str, Any]) -> str | None:
    """The key of a refused row for messages, which may be as wrong as the row; None without any."""
    try:
        return _key(fields, None if _has(fields, "key") else _origin(fields))[0]
    except WrongRowError:
        return str(fields["key"]) if _has(fields, "key") else None
