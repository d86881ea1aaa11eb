"""Reading google.protobuf.Struct in Protobuf's wire format: metadata, whose numbers are float64."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from dsvc.formats.clarifai.read_schema import BadMessage

Raw = bytes | memoryview
MAX_DEPTH = 60
_DOUBLE = struct.Struct("<d").unpack_from


def read_varint(raw: Raw, at: int) -> tuple[int, int]:
    """The number at a place, and where it ends. Raises BadMessage."""
    value = shift = 0
    while True:
        if at >= len(raw):
            raise BadMessage("ends in the middle of a number")
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise BadMessage("has a number of more than ten bytes")


def read_struct(raw: Raw) -> dict[str, Any]:
    """The values of a Struct. Raises BadMessage."""
    return _struct(raw, 0)


def _parts(raw: Raw) -> Iterator[tuple[int, Any]]:
    """The fields of a message of no table: tag and value."""
    at, end = 0, len(raw)
    while at < end:
        tag = raw[at]
        at += 1
        if tag > 127:
            tag, at = read_varint(raw, at - 1)
        wire = tag & 7
        if wire == 0:
            value, at = read_varint(raw, at)
            yield tag, value
            continue
        if wire == 2:
            if at < end and raw[at] < 128:
                size, at = raw[at], at + 1
            else:
                size, at = read_varint(raw, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise BadMessage(f"has a field of wire type {wire} in its metadata")
        if size > end - at:
            raise BadMessage("has metadata that are cut short")
        yield tag, raw[at : at + size]
        at += size


def _struct(raw: Raw, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tag, entry in _parts(raw):
        if tag != 0x0A:
            raise BadMessage(f"has metadata with a field {tag >> 3} of wire type {tag & 7}")
        key, value = "", None
        for part, content in _parts(entry):
            if part == 0x0A:
                key = _key(content)
            elif part == 0x12:
                value = _value(content, depth + 1)
            else:
                raise BadMessage(f"has metadata with a field {part >> 3} of wire type {part & 7}")
        found[key] = value
    return found


def _key(raw: Raw) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise BadMessage("has metadata that are not UTF-8") from None


def _value(raw: Raw, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadMessage(f"has metadata nested deeper than {MAX_DEPTH} levels")
    value: Any = None
    for tag, content in _parts(raw):
        if tag == 0x08:
            value = None
        elif tag == 0x11:
            value = _DOUBLE(content)[0]
        elif tag == 0x1A:
            value = _key(content)
        elif tag == 0x20:
            value = bool(content)
        elif tag == 0x2A:
            value = _struct(content, depth)
        elif tag == 0x32:
            value = _list(content, depth)
        else:
            raise BadMessage(f"has metadata with a field {tag >> 3} of wire type {tag & 7}")
    return value


def _list(raw: Raw, depth: int) -> list[Any]:
    found = []
    for tag, content in _parts(raw):
        if tag != 0x0A:
            raise BadMessage(f"has metadata with a field {tag >> 3} of wire type {tag & 7}")
        found.append(_value(content, depth + 1))
    return found
