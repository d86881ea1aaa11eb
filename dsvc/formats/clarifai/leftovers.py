"""What a message holds that dsvc has no field for, as the values of its JSON form."""

from __future__ import annotations

import base64
import math
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from dsvc.formats.clarifai.read_schema import READ, UNKNOWN, BadMessage
from dsvc.formats.clarifai.residue_read import as_metadata

_MAX_DEPTH = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def left_over(
    form: Any, kind: str, fields: dict[str, Any], known: Collection[str] = (), depth: int = 0
) -> dict[str, Any]:
    """The fields of a message but for the known ones. Raises BadMessage."""
    if depth > _MAX_DEPTH:
        raise BadMessage("holds messages that are nested too deeply")
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in known:
            continue
        if name == UNKNOWN:
            found.update(value)
            continue
        field = READ[kind][name]
        if field.repeated:
            found[name] = [_plain(form, field.type, item, depth) for item in value]
        else:
            found[name] = _plain(form, field.type, value, depth)
    return found


def _plain(form: Any, type_: str, value: Any, depth: int) -> Any:
    if type_ == "Struct":
        return as_metadata(form.struct(value))
    if type_ == "Timestamp":
        return _moment(form, value)
    if type_[0].isupper():
        return left_over(form, type_, form.fields(type_, value), (), depth + 1)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        raise BadMessage("has a number that is none")
    return value


def _moment(form: Any, raw: Any) -> str:
    """A Timestamp as its JSON form has it."""
    if bytes(raw[:1]) == b'"':
        return bytes(raw[1:-1]).decode()
    fields = form.fields("Timestamp", raw)
    seconds, nanos = fields.get("seconds", 0), fields.get("nanos", 0)
    try:
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        raise BadMessage("has a time beyond the year 9999") from None
    if not nanos:
        return f"{text}Z"
    digits = f"{nanos:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"
