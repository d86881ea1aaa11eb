"""What the values of masks are called: a file of classes, read and written, and the classes of a source."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dsvc.core.keys import display
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError, UsageError
from dsvc.formats.mask_form import Value, color_text
from dsvc.model.records import concept_id
from dsvc.store import codec

# The layer of masks of classes: an input has one. Masks of one concept are a layer each, called like the concept.
CLASSES = ""
MAX_VALUE = 65_535
MAX_BYTES = 1 << 24
# What value 0 is called where it is no class.
BACKGROUND = frozenset(("background", "_background_", "__background__"))
BLACK = (0, "#000000")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_COLOR_LINE = re.compile(r"(?:(#[0-9a-fA-F]{6})|(\d{1,3})\s+(\d{1,3})\s+(\d{1,3}))(?:\s*:\s*|\s+)(\S.*)")
_VALUE_LINE = re.compile(r"(\d+)(?:\s*:\s*|\s+)(\S.*)")
_FORMS = 'a JSON object such as {"0": "background", "1": "cat"}, or lines such as 1 cat'


class Class(NamedTuple):
    """What a value means: a concept's id, or None for background and what is ignored. `entry` is as the file has it."""

    value: Value
    concept: str | None
    ignore: bool
    entry: Mapping[str, Any]


def is_color(classes: Iterable[Class]) -> bool:
    """Whether the values are colours; all are, or none."""
    return any(isinstance(found.value, str) for found in classes)


def read_classes(path: Path) -> list[Class]:
    """The classes of a file, by value.

    Raises InvalidRecordsError that names each wrong line, RefusedError for a file of another kind, NotFoundError.
    """
    name = display(str(path))
    text = _text(path, name)
    problems: list[str] = []
    rows = _json_rows(text, name, problems) if text.lstrip()[:1] in ("{", "[") else _line_rows(text, problems)
    classes: dict[Value, Class] = {}
    for place, value, entry in rows:
        made = _class(place, value, entry, problems)
        if made is not None and made.value in classes:
            problems.append(f"{place}: {value} is there twice")
        elif made is not None:
            classes[made.value] = made
    if len({type(value) for value in classes}) > 1:
        problems.append("some classes are values and some are colours")
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        raise InvalidRecordsError(f"{name}: {len(problems)} {noun}", problems, f"a file of classes is {_FORMS}")
    if not classes:
        raise RefusedError(f"{name} names no classes", f"it holds {_FORMS}")
    return [classes[value] for value in sorted(classes, key=by_value)]


def by_value(value: Value) -> tuple[bool, Any]:
    """A key to sort values by: numbers first, then colours."""
    return isinstance(value, str), value


def with_ignored(classes: Iterable[Class], ignored: Iterable[int], colors: bool) -> list[Class]:
    """The classes with some values ignored, whatever they are called. Raises UsageError for what is no value."""
    found = {one.value: one for one in classes}
    for number in ignored:
        most = 255 if colors else MAX_VALUE
        if not 0 <= number <= most:
            raise UsageError(f"{number} cannot be ignored: values are 0 to {most:,}", "give the value of a pixel")
        value: Value = color_text(number * 0x010101) if colors else number
        entry = dict(found[value].entry) if value in found else {}
        found[value] = _meaning(value, {**entry, "ignore": True})
    return [found[value] for value in sorted(found, key=by_value)]


def to_meta(classes: Iterable[Class]) -> list[dict[str, Any]]:
    """Classes as a source's metadata keeps them."""
    return [{**one.entry, "value": one.value} for one in classes]


def from_meta(rows: Iterable[Mapping[str, Any]]) -> list[Class]:
    """The classes of a source's metadata."""
    return [_meaning(row["value"], {k: v for k, v in row.items() if k != "value"}) for row in rows]


def named(value: Value, name: str, color: str | None = None) -> Class:
    """A class that came from no file."""
    return _meaning(value, {"name": name} | ({"color": color} if color is not None else {}))


def write_classes(classes: Iterable[Class]) -> bytes:
    """A file of classes as JSON, one a line, by value: what `read_classes` reads."""
    lines = []
    for one in sorted(classes, key=lambda one: by_value(one.value)):
        order = [name for name in ("name", "color", "ignore") if name in one.entry]
        order += sorted(one.entry.keys() - set(order))
        entry = json.dumps({name: one.entry[name] for name in order}, ensure_ascii=False)
        lines.append(f"{json.dumps(str(one.value))}: {entry}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


# ---- the two forms of a file: rows of where it says so, the value as it is spelled, and the entry


Row = tuple[str, str, Any]


def _text(path: Path, name: str) -> str:
    try:
        if not path.is_file():
            raise NotFoundError(f"no file {name}", "--classes takes a file of classes")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise RefusedError(f"{name} has more than {MAX_BYTES:,} bytes", f"a file of classes is {_FORMS}")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise RefusedError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise RefusedError(f"{name} is not text in UTF-8", f"a file of classes is {_FORMS}") from None


def _json_rows(text: str, name: str, problems: list[str]) -> list[Row]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in found]
        problems.extend(f"the key {key!r} is there twice" for key in sorted({k for k in keys if keys.count(k) > 1}))
        return dict(found)

    def constant(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    try:
        document = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{name} is no JSON: {error}", f"a file of classes is {_FORMS}") from None
    if isinstance(document, list):
        document = {str(number): entry for number, entry in enumerate(document)}
    return [(f"class {value!r}", value.strip(), entry) for value, entry in document.items()]


def _line_rows(text: str, problems: list[str]) -> list[Row]:
    """Lines of `value name`, of `red green blue name`, or of names alone, which are numbered from 0."""
    lines = [(f"line {number}", line.strip()) for number, line in enumerate(text.rstrip().split("\n"), 1)]
    said = [(place, line) for place, line in lines if line and not line.startswith("# ")]
    rows: list[Row] = []
    first = _kind(said[0][1]) if said else None
    for place, line in said:
        if _kind(line) is not first:
            problems.append(f"{place}: {line[:80]!r} is not of the form of the first line")
        elif first is None:
            rows.append((place, str(len(rows)), line))
        else:
            *value, called = (part for part in first.fullmatch(line).groups() if part is not None)  # type: ignore[union-attr]
            rows.append((place, " ".join(value), called))
    gap = next((place for place, line in lines if not line), None)
    if first is None and gap is not None and said:
        problems.append(f"{gap}: is empty, so that the numbers of the names behind it are in doubt")
    return rows


def _kind(line: str) -> re.Pattern[str] | None:
    """The form of a line; None where it is a name."""
    return next((pattern for pattern in (_COLOR_LINE, _VALUE_LINE) if pattern.fullmatch(line)), None)


# ---- one class


def _class(place: str, value: str, entry: Any, problems: list[str]) -> Class | None:
    number = _value(value)
    if isinstance(entry, str):
        entry = {"name": entry}
    wrong = f"{value!r} is no value from 0 to {MAX_VALUE:,}, and no colour #rrggbb" if number is None else None
    wrong = wrong or (_wrong(entry, number in BLACK) if isinstance(entry, dict) else "is neither a name nor an object")
    if wrong or number is None:
        problems.append(f"{place}: {wrong}")
        return None
    return _meaning(number, entry)


def _value(text: str) -> Value | None:
    """A value as it is spelled: a number, #rrggbb, or three numbers."""
    if _COLOR.fullmatch(text):
        return text.lower()
    parts = text.split()
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    if len(numbers) == 3 and max(numbers) < 256:
        return "#{:02x}{:02x}{:02x}".format(*numbers)
    return numbers[0] if len(numbers) == 1 and numbers[0] <= MAX_VALUE else None


def _wrong(entry: Mapping[str, Any], is_black: bool) -> str | None:
    name, color, ignore = entry.get("name"), entry.get("color"), entry.get("ignore", False)
    if type(ignore) is not bool:
        return f"ignore is {ignore!r}, neither true nor false"
    if "name" not in entry and not ignore and not is_black:
        return "has no name"
    if "name" in entry and (not isinstance(name, str) or not name.strip() or "\0" in name):
        return f"{name!r} is no name of a concept"
    if color is not None and not (isinstance(color, str) and _COLOR.fullmatch(color)):
        return f"color is {color!r}, which is not of the form #rrggbb"
    if "value" in entry:
        return "'value' is said by the key already"
    try:
        codec.encode(entry)
    except codec.EncodeError as error:
        return str(error)
    return None


def _meaning(value: Value, entry: Mapping[str, Any]) -> Class:
    name, ignore = entry.get("name"), bool(entry.get("ignore"))
    if value in BLACK and (ignore or name is None or name.casefold() in BACKGROUND):
        return Class(value, None, False, entry)
    return Class(value, None if ignore or name is None else concept_id(name), ignore, entry)
