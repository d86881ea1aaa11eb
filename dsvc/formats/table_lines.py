"""Tables as JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dsvc.formats.coco_file import InvalidNumber
from dsvc.formats.table_bytes import check_beginning, decode
from dsvc.formats.table_columns import check_names, refuse, unknown_note
from dsvc.formats.table_rows import Row
from dsvc.formats.table_values import WrongRowError, quoted, split_record


class LineTable:
    """One file of JSON lines; see `dsvc.formats.table_rows.Source`."""

    def __init__(self, data: memoryview, name: str, suffix: str) -> None:
        check_beginning(data, name)
        text = decode(data, name)
        if not text.strip():
            raise refuse(name, "holds only white space" if text else "is empty", "export it again")
        self.suffix = suffix
        self.columns: list[str] = []
        self.notes: list[str] = []
        self._name = name
        _check_form(text, name)
        self._lines = text.split("\n")

    @property
    def count(self) -> int:
        """How many rows there are at most."""
        return len(self._lines)

    def rows(self) -> Iterator[Row]:
        """The objects, by line. Raises InvalidRecordsError at the end where none says which input it is about."""
        names: set[str] = set()
        for number, line in enumerate(self._lines, 1):
            if not line or line.isspace():
                continue
            record: dict[str, Any] = {}
            try:
                record = _parse(line)
                names.update(record)
                yield Row(number, *split_record(record), line)
            except WrongRowError as error:
                key = record.get("key")
                yield Row(number, {} if key is None else {"key": key}, {}, line, str(error))
        self.columns = sorted(names)
        if names:
            check_names(self.columns, self._name, "the objects")
        if note := unknown_note(self.columns, nested=True):
            self.notes.append(note)

    def rejects(self, rows: list[Any]) -> bytes:
        """Lines as they came."""
        return "".join(f"{line.rstrip()}\n" for line in rows).encode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise WrongRowError(f"has {quoted(name)} twice in one object")
            seen.add(name)
    return made


# Wrong numbers come as InvalidNumber, so that the column can be named.
_decode = json.JSONDecoder(parse_constant=InvalidNumber, object_pairs_hook=_object).decode
_KINDS = {list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def _parse(line: str) -> dict[str, Any]:
    """The object of a line. Raises WrongRowError."""
    try:
        record = _decode(line)
    except WrongRowError:
        raise
    except json.JSONDecodeError as error:
        raise WrongRowError(f"is not JSON: {error.msg} (character {error.pos + 1:,})") from None
    except RecursionError:
        raise WrongRowError("holds lists or objects that are nested too deeply") from None
    except ValueError:  # Python's limit
        raise WrongRowError("holds a whole number of more than 4,300 digits") from None
    if not isinstance(record, dict):
        raise WrongRowError(f"is {_KINDS.get(type(record), 'no number')}, and not an object")
    return record


def _check_form(text: str, name: str) -> None:
    """Raise InvalidRecordsError where the whole is one JSON document, rather than each line."""
    if text.lstrip()[:1] == "[":
        raise refuse(name, "is one JSON list", f"write one object a line: jq -c '.[]' {name} > NEW.jsonl")
    first = text.lstrip().partition("\n")[0]
    if first[:1] != "{":
        raise refuse(name, "does not look like JSON lines", 'each line is an object, such as {"key": "a.jpg"}')
    try:
        _parse(first)
    except WrongRowError:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return
        hint = "write one object a line, each about one input"
        raise refuse(name, "is one JSON object over several lines", hint) from None
