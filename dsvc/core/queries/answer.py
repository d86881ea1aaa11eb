"""Answers: the rows of a query, streamed, or written to a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dsvc.core.filters.duck import complaint, connect, interruptibly
from dsvc.core.filters.syntax import near, quoted
from dsvc.core.loading.extras import require
from dsvc.core.queries.statement import EXAMPLE, Statement, check
from dsvc.core.queries.tables import TABLES, fill, make_empty
from dsvc.errors import FilterError, RefusedError, UsageError
from dsvc.model.incoming import Progress
from dsvc.model.snapshot import Snapshot

_BATCH = 2048
_ARROW_ROWS = 65_536
_DESCRIBE = "describe "
_CONVERT = "where a value may not convert, try_cast(... as TYPE) gives null"
_MAIN = "main"
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,62}")
_TAKEN = frozenset((_MAIN, "temp", "system", "memory", "information_schema", "pg_catalog", *TABLES))


class AnswerColumn(NamedTuple):
    """A column of an answer: its name, which no other has, and its SQL type."""

    name: str
    type: str


class Answer:
    """The rows of one query. Iterating executes it and gives its rows as tuples, as they are worked out; one
    iteration at a time. `columns` says what is in them, for sure once `load` was called. JSON comes as text."""

    def __init__(self, snapshots: Mapping[str, Snapshot], sql: str, progress: Progress | None = None) -> None:
        self._snapshots = dict(snapshots)
        self._sql = sql
        self._progress = progress
        self._session = _Session(self._snapshots, sql)

    @property
    def columns(self) -> tuple[AnswerColumn, ...]:
        """The columns, in order."""
        return self._session.columns

    @property
    def schemas(self) -> frozenset[str]:
        """The names of the states that it reads; "" is the one that needs no name."""
        return frozenset(schema for schema, _ in self._session.statement.tables)

    def load(self) -> None:
        """Read the records that the query needs, as iterating does otherwise. Raises DamagedError."""
        self._session.fill(self._progress)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        self.load()
        return self._session.rows()

    def write(self, path: str | Path, format: str | None = None, *, force: bool = False) -> int:
        """Write all rows to a file, as csv, json or parquet, by default what its name ends in; how many there are.

        Raises UsageError for another format, RefusedError where there is a file and not `force`.
        """
        from dsvc.core.queries.writing import write

        return write(self, Path(path), format, force)

    def write_parquet(self, path: Path) -> int:
        """Write all rows to a new Parquet file; how many there are. Raises FilterError, RefusedError."""
        # A session of its own, which may write this one file.
        session = _Session(self._snapshots, self._sql, str(path.absolute()))
        session.fill(self._progress)
        return session.write_parquet(str(path.absolute()))

    def to_arrow(self, rows: int = _ARROW_ROWS) -> Any:
        """All rows as a pyarrow.RecordBatchReader, in batches of at most `rows`: `read_all()` makes a table of it.

        Raises RefusedError without pyarrow; reading raises FilterError.
        """
        pyarrow = require("pyarrow", "to_arrow", "arrow")
        self.load()
        return self._session.arrow(pyarrow, rows)

    def to_pandas(self) -> Any:
        """All rows as a pandas.DataFrame. Raises RefusedError without pandas, FilterError."""
        require("pandas", "to_pandas", "pandas")
        self.load()
        return self._session.frame()

    def __repr__(self) -> str:
        return f"Answer({', '.join(f'{name} {type}' for name, type in self.columns)})"


class _Session:
    """A DuckDB with the tables of a query. At first they are empty, which is enough to know the answer's columns."""

    def __init__(self, snapshots: Mapping[str, Snapshot], sql: str, output: str | None = None) -> None:
        self._snapshots = snapshots
        self._connection = connect(output)
        self.statement: Statement = check(self._connection, sql, (name for name in snapshots if name))
        for schema, table in self.statement.tables:
            make_empty(self._connection, schema or _MAIN, table)
        self.columns = self._describe()
        self._is_filled = False

    def _describe(self) -> tuple[AnswerColumn, ...]:
        with self._telling(_DESCRIBE):
            found = self._connection.execute(_DESCRIBE + self.statement.bound.sql).fetchall()
        return _columns([(str(row[0]), str(row[1])) for row in found])

    def fill(self, progress: Progress | None = None) -> None:
        """Put the records in; the columns that are not needed stay away."""
        if self._is_filled:
            return
        for (schema, table), names in self.statement.tables.items():
            fill(self._connection, schema or _MAIN, table, self._snapshots[schema], names, progress)
        if not self._is_alike():  # then more is needed than was seen
            for schema, table in self.statement.tables:
                fill(self._connection, schema or _MAIN, table, self._snapshots[schema], None, progress)
            self.columns = self._describe()
        self._is_filled = True

    def _is_alike(self) -> bool:
        """Whether the query means the same of the filled tables as of the whole ones."""
        try:
            return self._describe() == self.columns
        except FilterError:
            return False

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Execute the query and give its rows. Raises FilterError, RefusedError."""
        with self._telling(""):
            connection, sql = self._connection, self.statement.bound.sql
            found = interruptibly(connection, lambda: connection.execute(sql))
            while batch := interruptibly(connection, lambda: found.fetchmany(_BATCH)):
                yield from batch

    def write_parquet(self, path: str) -> int:
        """Write the rows to the file that this session may write. Raises FilterError, RefusedError."""
        with self._telling(""):
            connection, sql = self._connection, self.statement.bound.sql
            interruptibly(connection, lambda: connection.sql(sql).write_parquet(path, compression="zstd"))
            count = self._connection.execute("select num_rows from parquet_file_metadata(?)", [path]).fetchone()
        return int(count[0]) if count else 0

    def arrow(self, pyarrow: Any, most: int) -> Any:
        """The rows as a stream of Arrow's, without a copy. Raises FilterError, RefusedError."""
        connection, sql = self._connection, self.statement.bound.sql
        with self._telling(""):
            stream = interruptibly(connection, lambda: pyarrow.RecordBatchReader.from_stream(connection.sql(sql)))
        named = zip(stream.schema, self.columns, strict=True)
        schema = pyarrow.schema([field.with_name(column.name) for field, column in named])

        def batches() -> Iterator[Any]:
            with self._telling(""):
                while (batch := interruptibly(connection, lambda: next(stream, None))) is not None:
                    batch = pyarrow.RecordBatch.from_arrays(batch.columns, schema=schema)
                    yield from (batch.slice(at, most) for at in range(0, batch.num_rows, most))

        return pyarrow.RecordBatchReader.from_batches(schema, batches())

    def frame(self) -> Any:
        """The rows as a data frame of pandas. Raises FilterError, RefusedError."""
        connection, sql = self._connection, self.statement.bound.sql
        with self._telling(""):
            found = interruptibly(connection, lambda: connection.sql(sql).df())
        found.columns = [column.name for column in self.columns]
        return found

    @contextmanager
    def _telling(self, before: str) -> Iterator[None]:
        """What goes wrong when the query is executed, with something before it."""
        import duckdb

        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise RefusedError("the query needs more memory than there is", "ask for less at a time") from error
        # The others are what Python's types cannot hold.
        except (duckdb.Error, RuntimeError, ValueError, OverflowError) as error:
            text, position, unknown = complaint(error)
            hint = _CONVERT if isinstance(error, duckdb.ConversionException) else self._nearest(unknown)
            at = position - len(before) if position is not None else None
            raise self.statement.bound.wrong(text, at, hint) from error

    def _nearest(self, unknown: str | None) -> str:
        if unknown is None:
            return EXAMPLE
        columns = dict.fromkeys(name for _, table in self.statement.tables for name in TABLES[table])
        alike = near(unknown, columns)
        lead = f"did you mean {', '.join(alike)}?" if alike else f"there is: {', '.join(columns)};"
        return f"{lead} a text stands in single quotes: {quoted(unknown)}"


def _columns(found: list[tuple[str, str]]) -> tuple[AnswerColumn, ...]:
    """Columns whose names differ, in whatever case, as DuckDB makes them for a file."""
    made, seen = list[AnswerColumn](), set[str]()
    for name, type in found:
        free, number = name, 0
        while free.lower() in seen:
            number += 1
            free = f"{name}_{number}"
        seen.add(free.lower())
        made.append(AnswerColumn(free, type))
    return tuple(made)


def ask(snapshots: Mapping[str, Snapshot], sql: str, progress: Progress | None = None) -> Answer:
    """The answer to a query over states by name, one of which is "" and needs none. Raises FilterError, UsageError."""
    return Answer({check_name(name) if name else "": snapshot for name, snapshot in snapshots.items()}, sql, progress)


def check_name(name: str) -> str:
    """What a state is called in a query, if it can be called so. Raises UsageError."""
    if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        hint = "a name has letters, digits and _, and begins with a letter, such as: old"
        raise UsageError(f"{name!r} cannot name a state in a query", hint)
    return name.lower()
