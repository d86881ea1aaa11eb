"""Answers as files: CSV and JSON written here, Parquet by DuckDB."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from dsvc.core.queries.answer import Answer, AnswerColumn
from dsvc.errors import RefusedError, UsageError
from dsvc.store.files import refusing

FORMATS = ("csv", "json", "parquet")
_QUOTED = frozenset('",\r\n')
_JSON = "JSON"


def format_of(path: Path, format: str | None) -> str:
    """The format of a file: the one that is asked for, else what its name ends in. Raises UsageError."""
    found = format or path.suffix.lower().removeprefix(".")
    if found not in FORMATS:
        what = f"no format {format!r} of files" if format else f"{path.name}: its name does not say which format"
        raise UsageError(what, "say which: --format csv, json or parquet")
    return found


def write(answer: Answer, path: Path, format: str | None = None, force: bool = False) -> int:
    """Write all rows to a file, whole or not at all; how many. Raises UsageError, RefusedError."""
    format = format_of(path, format)
    _check_place(path, force)
    temporary = path.with_name(f".dsvc-query-{secrets.token_hex(8)}.tmp")
    try:
        with refusing(path):
            if format == "parquet":
                count = answer.write_parquet(temporary)
            else:
                with open(temporary, "x", encoding="utf-8", newline="") as file:
                    count = (write_csv if format == "csv" else write_json)(answer, file.write)
            _check_place(path, force)
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return count


def _check_place(path: Path, force: bool) -> None:
    with refusing(path):
        if path.is_dir():
            raise RefusedError(f"{path} is a folder", "name a file: -o answer.csv")
        if path.exists() and not force:
            raise RefusedError(f"{path} exists already", "name another file, or replace it: --force")
        if not path.absolute().parent.is_dir():
            raise RefusedError(f"{path.parent} is no folder", "make it first, or name another file")
    if ".dsvc" in path.absolute().parts:
        raise RefusedError(f"{path} lies in a repository's own folder", "name another place")


# ---- CSV


def write_csv(answer: Answer, put: Callable[[str], Any]) -> int:
    """Write CSV with a line of names; an empty field is null, and an empty text is `""`. How many rows."""
    answer.load()
    put(",".join(_field(column.name) for column in answer.columns) + "\n")
    count = 0
    for row in answer:
        put(",".join(_field(value_text(value)) for value in row) + "\n")
        count += 1
    return count


def _field(text: str | None) -> str:
    if text is None:
        return ""
    if not text or _QUOTED & set(text) or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def value_text(value: Any) -> str | None:
    """A value as text; None for null. Lists and structs are JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, list | tuple | dict):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(plain(value))


# ---- JSON


def write_json(answer: Answer, put: Callable[[str], Any]) -> int:
    """Write one document, {"columns": [{"name", "type"}...], "rows": [{NAME: VALUE}...]}. How many rows."""
    answer.load()
    put('{\n  "columns": ' + json.dumps(columns_json(answer.columns), ensure_ascii=False) + ',\n  "rows": [')
    count = 0
    for row in rows_json(answer):
        put(("," if count else "") + "\n    " + json.dumps(row, ensure_ascii=False))
        count += 1
    put("\n  ]\n}\n" if count else "]\n}\n")
    return count


def columns_json(columns: Iterable[AnswerColumn]) -> list[dict[str, str]]:
    """The columns as JSON."""
    return [column._asdict() for column in columns]


def rows_json(answer: Answer) -> Iterator[dict[str, Any]]:
    """The rows as JSON: by the columns' names, what is JSON in SQL as what it says."""
    for row in answer:
        yield {
            column.name: json.loads(value) if column.type == _JSON and value is not None else plain(value)
            for column, value in zip(answer.columns, row, strict=True)
        }


def plain(value: Any) -> Any:
    """A value as JSON has it: what is no number becomes null, times and ids text, bytes hex."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(value_text(name)): plain(item) for name, item in value.items()}
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta | uuid.UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value
