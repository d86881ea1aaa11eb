"""The values of a table's known columns: what a cell or a parsed value says, or why it cannot be meant."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from dsvc.core.keys import display
from dsvc.core.names import check_name
from dsvc.errors import UsageError
from dsvc.formats.coco_tables import is_number, what_is_wrong
from dsvc.formats.table_columns import KNOWN, LATITUDE, LONGITUDE, METADATA, is_metadata, shown
from dsvc.model.records import MAX_NAME, concept_id
from dsvc.store import codec

Geo = tuple[float, float]
_CONCEPT_SEPARATORS = re.compile(r"[;|]")
_PLACE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)/?(.*)", re.S)
# The grammar of JSON, so that 007 is no number.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.A)
_MAX_DIGITS = 4300
_SHOWN_VALUE = 60
_LIMITS = (("longitude", 180), ("latitude", 90))


class WrongRowError(ValueError):
    """What is wrong with one row; the text says it."""


class Mark(NamedTuple):
    """A concept that a row names: its id, the name as spelled, and the encoded annotation."""

    id: str
    name: str
    content: bytes


def is_place(text: str) -> bool:
    """Whether a text is a URL."""
    return "://" in text and _PLACE.match(text) is not None


def number_of(text: str) -> int | float | None:
    """The number that a text is in JSON's grammar; None where it is none, or beyond what can be kept."""
    if not _NUMBER.fullmatch(text) or len(text) > _MAX_DIGITS:
        return None
    if text.lstrip("-").isdigit():
        return int(text)
    value = float(text)
    return value if math.isfinite(value) else None


def quoted(value: Any) -> str:
    """A value for a message, quoted, escaped, and not too long."""
    if isinstance(value, str) and len(value) > _SHOWN_VALUE:
        value = value[:_SHOWN_VALUE] + "..."
    text = repr(value)
    return text if len(text) <= 4 * _SHOWN_VALUE else text[:_SHOWN_VALUE] + "..."


def text_of(column: str, value: Any) -> str:
    """The text of a value; a whole number is its digits. Raises WrongRowError."""
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        raise WrongRowError(f"{column} is {quoted(value)}, which is no text")
    if not value.isascii():
        try:
            codec.check_text(value)
        except codec.EncodeError as error:
            raise WrongRowError(f"{column}: {error}") from None
    return value


def read_split(value: Any) -> str | None:
    """The name of a split, or None for blanks. Raises WrongRowError."""
    name = text_of("split", value).strip()
    if not name:
        return None
    try:
        return check_name(name, "split")
    except UsageError as error:
        raise WrongRowError(f"{quoted(name)} cannot name a split: {error.hint}") from None


def read_path(value: Any) -> str:
    """The path of a file, as it stands in the table. Raises WrongRowError."""
    path = text_of("path", value)
    if is_place(path):
        raise WrongRowError(f"path is {quoted(path)}, which is a URL: put it into a column url")
    if "\0" in path:
        raise WrongRowError("path holds a NUL character")
    return path


def read_place(value: Any) -> str:
    """The URL of a place elsewhere. Raises WrongRowError."""
    url = text_of("url", value).strip()
    if not is_place(url):
        wrong = "which does not begin as a URL does (https://, s3://): put the path of a file into a column path"
        raise WrongRowError(f"url is {quoted(url)}, {wrong}")
    if "\0" in url:
        raise WrongRowError("url holds a NUL character")
    return url


def name_of_place(url: str) -> str:
    """What a URL says below its host: percent-decoded for the web, where a query and fragment are dropped too.

    Raises WrongRowError.
    """
    found = _PLACE.match(url)
    name = found[3] if found else ""
    if found and found[1].lower() in ("http", "https"):
        name = re.split(r"[?#]", name, maxsplit=1)[0]
        try:
            name = unquote(name, errors="strict")
        except UnicodeDecodeError:
            raise WrongRowError(f"url {quoted(url)} is not UTF-8 when decoded: give a column key") from None
    if not name.strip("/"):
        raise WrongRowError(f"url {quoted(url)} names nothing below its host: give a column key")
    return name.lstrip("/")


def read_concepts(value: Any) -> tuple[Mark, ...]:
    """The concepts that a value names: text parted by ';' or '|', or a list. Raises WrongRowError."""
    if isinstance(value, list):
        names = [text_of(f"concepts[{place}]", name) for place, name in enumerate(value)]
    else:
        names = _CONCEPT_SEPARATORS.split(text_of("concepts", value))
    found: dict[str, tuple[str, bool]] = {}
    for name in filter(None, map(str.strip, names)):
        spelled = name.removeprefix("-").strip()
        negative = name[0] == "-"
        id = concept_id(spelled)
        if not spelled or "\0" in spelled or max(len(spelled.encode()), len(id.encode())) > MAX_NAME:
            raise WrongRowError(f"concepts has {quoted(name)}: a name must have 1 to {MAX_NAME} bytes, and no NUL")
        before, sign = found.get(id, (spelled, negative))
        if sign != negative:
            raise WrongRowError(f"concepts has both {quoted(spelled)} and {quoted('-' + spelled)}")
        found[id] = min(before, spelled), negative
    return tuple(Mark(id, name, _content(id, negative)) for id, (name, negative) in found.items())


def _content(id: str, negative: bool) -> bytes:
    return codec.encode({"c": id, "v": 0} if negative else {"c": id})


def read_geo(fields: Mapping[str, Any]) -> Geo | None:
    """Longitude and latitude in degrees of a row's columns, or None without any. Raises WrongRowError."""
    whole = fields.get("geo")
    parts = [fields.get(LONGITUDE), fields.get(LATITUDE)]
    if isinstance(whole, str) and not whole.strip():
        whole = None
    if whole is None:
        if parts == [None, None]:
            return None
        if None in parts:
            here, lacking = (LONGITUDE, LATITUDE) if parts[1] is None else (LATITUDE, LONGITUDE)
            raise WrongRowError(f"has {here} without {lacking}")
        return _checked(parts, parts)
    if parts != [None, None]:
        raise WrongRowError(f"has both geo and {LONGITUDE} or {LATITUDE}")
    if isinstance(whole, dict) and whole.keys() == {"longitude", "latitude"}:
        return _checked([whole["longitude"], whole["latitude"]], whole)
    if isinstance(whole, str):
        return _checked(whole.split(","), whole)
    return _checked(whole if isinstance(whole, list) else [], whole)


def _checked(parts: list[Any], whole: Any) -> Geo:
    numbers: list[Any] = [number_of(part.strip()) if isinstance(part, str) else part for part in parts]
    if len(numbers) != 2 or not all(map(is_number, numbers)):
        raise WrongRowError(f"geo is {quoted(whole)}, which is not LONGITUDE,LATITUDE in degrees")
    for number, (name, limit) in zip(numbers, _LIMITS, strict=True):
        if not -limit <= number <= limit:
            order = "the order is LONGITUDE,LATITUDE"
            raise WrongRowError(f"geo is {quoted(whole)}: {name} {number} is not from -{limit} to {limit}; {order}")
    return float(numbers[0]), float(numbers[1])


def split_record(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A parsed record as its known fields and its metadata; what is null is left out. Raises WrongRowError."""
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in record.items():
        if value is None:
            continue
        if name in KNOWN:
            fields[name] = value
        elif name == METADATA:
            if not isinstance(value, dict):
                raise WrongRowError(f"metadata is {quoted(value)}, which is no object")
            for inner, part in value.items():
                _put(metadata, inner, part)
        elif is_metadata(name):
            _put(metadata, name.partition(".")[2], value)
    return fields, metadata


def _put(metadata: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        return
    if name in metadata:
        raise WrongRowError(f"metadata.{shown(name)} is given twice")
    kind = type(value)
    if kind is not int and kind is not bool and (wrong := what_is_wrong(value, f"metadata.{display(name)}")):
        raise WrongRowError(wrong)
    if not name.isascii() and (wrong := what_is_wrong(name)):
        raise WrongRowError(f"a name in metadata{wrong}")
    metadata[name] = value
