"""DuckDB as a calculator: in memory, with no way to files, the network or its own settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")

MAX_DEPTH = 100
# In this order: after the one before the last, some of the others could not be set.
_SETTINGS = {
    "TimeZone": "UTC",
    "temp_directory": "",
    "errors_as_json": "true",
    "max_expression_depth": str(MAX_DEPTH),
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    # Columns of objects are text, whatever the first ones look like.
    "pandas_analyze_sample": "0",
    "enable_external_access": "false",
    "lock_configuration": "true",
}


_UNKNOWN = re.compile('column (?:named )?"([^"]+)"(?: does not exist on|$)', re.IGNORECASE)


class Complaint(NamedTuple):
    """What DuckDB says is wrong, in one line, and the byte of the statement that it is about, where it knows.

    `unknown` is the name that it does not know, if it is that.
    """

    text: str
    position: int | None
    unknown: str | None


def connect(output: str | None = None) -> DuckDBPyConnection:
    """A new DuckDB that can compute and nothing else; its settings are locked. It may write the file `output`."""
    import duckdb

    connection = duckdb.connect(":memory:")
    if output is not None:
        connection.execute("set allowed_paths = [" + "'" + output.replace("'", "''") + "']")
    for name, value in _SETTINGS.items():
        connection.execute(f"set {name} = '{value}'")
    return connection


def interruptibly(connection: DuckDBPyConnection, work: Callable[[], T]) -> T:
    """What some work of a connection gives. An interrupt stops it, and is an interrupt, and no error of DuckDB's.

    It is done in a thread: while DuckDB works in the main one, Python may hear of no interrupt until it is done.
    """
    from concurrent.futures import ThreadPoolExecutor, wait

    import duckdb

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            wait([future])
            return future.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise
        except (duckdb.InterruptException, RuntimeError) as error:
            if "interrupted" in str(error).lower():
                raise KeyboardInterrupt from error
            raise


def complaint(error: Exception) -> Complaint:
    """What an error of DuckDB says."""
    text, fields = str(error), dict[str, Any]()
    kind, _, rest = text.partition(": ")
    if kind.endswith("Error"):
        text = rest
    try:
        found = json.loads(text)
        text, fields = found["exception_message"], found
    except (ValueError, KeyError, TypeError):
        pass
    position = fields.get("position")
    unknown = fields.get("name") if fields.get("error_subtype") in ("COLUMN_NOT_FOUND", "MISSING_ENTRY") else None
    if unknown is None and (named := _UNKNOWN.search(text.partition("\n")[0])):
        unknown = named[1]
    return Complaint(first_line(text), int(position) if position is not None else None, unknown)


def first_line(text: str) -> str:
    """The first line of a message of DuckDB, in the manner of dsvc's own."""
    line = (text.strip().splitlines() or ["it gives no reason"])[0].partition(". You might ")[0].rstrip(" .!")
    return line if line[1:2].isupper() else line[:1].lower() + line[1:]


def parse(connection: DuckDBPyConnection, statement: str) -> dict[str, Any]:
    """What DuckDB's parser makes of a text; a map with `error` true, `error_message` and perhaps `position`, or with
    `error` false and `statements`.
    """
    (row,) = connection.execute("select json_serialize_sql(?)", [statement]).fetchall()
    tree: dict[str, Any] = json.loads(row[0])
    return tree
