"""Tables as Parquet, read by DuckDB.

Dates, times and ids become text in SQL already, so that nothing is cut to what Python's own types can hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.keys import display
from dsvc.errors import InvalidRecordsError
from dsvc.formats.table_bytes import PARQUET, check_beginning
from dsvc.formats.table_columns import METADATA, check_names, check_twice, is_known, refuse, shown, unknown_note
from dsvc.formats.table_rows import Row
from dsvc.formats.table_values import WrongRowError, split_record

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from duckdb.sqltypes import DuckDBPyType

_BATCH = 4096
# The folders of the path say nothing about the rows, and no extension is fetched.
_SOURCE = "read_parquet(?, hive_partitioning=false, union_by_name=false, filename=false)"
_CONFIG: dict[str, Any] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_INTEGERS = "tinyint smallint integer bigint hugeint utinyint usmallint uinteger ubigint uhugeint"
_PLAIN = frozenset(f"boolean float double varchar enum {_INTEGERS}".split())
_TEXTS = frozenset(("date", "time", "uuid", "time with time zone"))
_MOMENTS = frozenset(("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"))


class _Type(NamedTuple):
    """How a type is read: the SQL type to read it as, and what makes plain values of that, where needed."""

    sql: str
    convert: Callable[[Any], Any] | None = None


class ParquetTable:
    """One Parquet file; see `dsvc.formats.table_rows.Source`. Its refused rows become JSON lines."""

    suffix = ".jsonl"
    count = None

    def __init__(self, data: memoryview, name: str, path: Path | None) -> None:
        if not len(data):
            raise refuse(name, "is empty", "export it again")
        if bytes(data[:4]) != PARQUET:
            check_beginning(data, name)
            raise refuse(name, "does not look like Parquet", "a Parquet file begins with PAR1")
        if bytes(data[-4:]) != PARQUET:
            raise refuse(name, "is cut short: a Parquet file ends with PAR1", "copy or export it again")
        self.columns: list[str] = []
        self.notes: list[str] = []
        self._data, self._name, self._path = data, name, path

    def rows(self) -> Iterator[Row]:
        """The records, counted from 1. Raises InvalidRecordsError for a damaged file."""
        import duckdb

        with _as_file(self._data, self._path) as place, duckdb.connect(":memory:", config=_CONFIG) as database:
            try:
                names, select = self._plan(database, place)
                found = database.execute(select, [place])
                done = 0
                while batch := found.fetchmany(_BATCH):
                    for number, values in enumerate(batch, done + 1):
                        yield _row(number, dict(zip(names, values, strict=True)), self._converts)
                    done += len(batch)
            # DuckDB's errors, and those of its bindings, as for a name that is not UTF-8.
            except (duckdb.Error, RuntimeError, ValueError) as error:
                raise self._unreadable(error, place) from None

    def _plan(self, database: DuckDBPyConnection, place: str) -> tuple[list[str], str]:
        """The columns to read, and the query that reads them."""
        relation = database.sql(f"select * from {_SOURCE}", params=[place])
        columns, types = relation.columns, relation.types
        self.columns = _names(database, place, len(columns)) or columns
        check_twice(self.columns, self._name)
        check_names(self.columns, self._name, "the file")
        if note := unknown_note(self.columns, nested=True):
            self.notes.append(note)
        used = [at for at, name in enumerate(self.columns) if name == METADATA or is_known(name)]
        read = {at: _read_as(types[at]) for at in used}
        if wrong := [f"{shown(self.columns[at])} ({types[at]})" for at, type in read.items() if type is None]:
            looks = f"has columns of types that cannot be kept: {', '.join(map(shown, wrong))}"
            raise refuse(self._name, looks, "change their types, or leave the columns out")
        plain = {at: type for at, type in read.items() if type is not None}
        self._converts = {self.columns[at]: type.convert for at, type in plain.items() if type.convert is not None}
        parts = [f"cast({_quoted(columns[at])} as {type.sql})" for at, type in plain.items()]
        return [self.columns[at] for at in used], f"select {', '.join(parts)} from {_SOURCE}"

    def _unreadable(self, error: Exception, place: str) -> InvalidRecordsError:
        said = " ".join(str(error).partition("\n")[0].split())
        for path in (place, str(self._path)):
            said = said.replace(path, self._name)
        return refuse(self._name, f"cannot be read as Parquet: {display(said)}", "copy or export it again")

    def rejects(self, rows: list[Any]) -> bytes:
        """Records as JSON lines, without the columns that have no meaning."""
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def _row(number: int, record: dict[str, Any], converts: dict[str, Callable[[Any], Any]]) -> Row:
    for name, convert in converts.items():
        if record[name] is not None:
            record[name] = convert(record[name])
    try:
        return Row(number, *split_record(record), record)
    except WrongRowError as error:
        return Row(number, {"key": record["key"]} if record.get("key") is not None else {}, {}, record, str(error))


@contextmanager
def _as_file(data: memoryview, path: Path | None) -> Iterator[str]:
    """What DuckDB opens: the path, where there is one, else a file of these bytes for the time being."""
    if path is not None:
        yield re.sub(r"([*?\[])", r"[\1]", str(path))  # no pattern that names other files
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        copy = Path(folder, "table.parquet")
        copy.write_bytes(data)
        yield str(copy)


def _names(database: DuckDBPyConnection, place: str, count: int) -> list[str]:
    """The columns' names as they stand in the file, where DuckDB renames those that differ in case alone."""
    nodes = database.execute("select name, num_children from parquet_schema(?)", [place]).fetchall()
    names: list[str] = []
    at = 1
    while at < len(nodes):
        names.append(nodes[at][0])
        below = 1
        while below and at < len(nodes):
            below += (nodes[at][1] or 0) - 1
            at += 1
    return names if len(names) == count else []


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _read_as(type: DuckDBPyType) -> _Type | None:
    """How a type is read; None for one that cannot be kept."""
    id = type.id
    if id in _PLAIN:
        return _Type(str(type) if id != "enum" else "varchar")
    if id in _TEXTS:
        return _Type("varchar")
    if id in _MOMENTS:
        return _Type("varchar", _moment)
    if id == "decimal":
        scale = _parts(type)["scale"]
        return _Type(str(type), float if scale else int)
    if id in ("list", "array"):
        return _list_as(type)
    return _object_as(type) if id in ("struct", "map") else None


def _parts(type: DuckDBPyType) -> dict[str, Any]:
    """What a type is made of: its fields, its key and value, its scale."""
    return dict(type.children)


def _list_as(type: DuckDBPyType) -> _Type | None:
    inner = _read_as(_parts(type)["child"])
    if inner is None:
        return None
    convert = inner.convert
    return _Type(f"{inner.sql}[]", convert and (lambda values: [_apply(convert, value) for value in values]))


def _object_as(type: DuckDBPyType) -> _Type | None:
    parts = _parts(type)
    if type.id == "map":
        inner = _read_as(parts["value"])
        if inner is None or parts["key"].id != "varchar":
            return None
        found = inner.convert
        convert = found and (lambda values: {name: _apply(found, value) for name, value in values.items()})
        return _Type(f"map(varchar, {inner.sql})", convert)
    fields = {name: _read_as(part) for name, part in parts.items()}
    if None in fields.values():
        return None
    plain = {name: field for name, field in fields.items() if field is not None}
    converts = {name: field.convert for name, field in plain.items() if field.convert}
    sql = ", ".join(f"{_quoted(name)} {field.sql}" for name, field in plain.items())
    if not converts:
        return _Type(f"struct({sql})")
    return _Type(f"struct({sql})", lambda values: {k: _apply(converts.get(k), v) for k, v in values.items()})


def _apply(convert: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if convert is None or value is None else convert(value)


def _moment(text: str) -> str:
    """A time as DuckDB writes it, as ISO 8601 does."""
    moment = text.replace(" ", "T", 1)
    return f"{moment}:00" if moment.endswith("+00") else moment
