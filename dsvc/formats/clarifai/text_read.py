"""Reading messages in Protobuf's JSON mapping, one level at a time."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.formats.clarifai.read_schema import READ, UNKNOWN, BadMessage
from dsvc.formats.clarifai.ring_read import EDGES, Rings, mixed_boxes, mixed_polygons
from dsvc.formats.clarifai.schema import VISIBILITY, Field
from dsvc.formats.clarifai.struct_read import MAX_DEPTH

if TYPE_CHECKING:
    from dsvc.formats.clarifai.form import Floats

Raw = bytes | memoryview
_decode_map = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode
_BOX = re.compile(rb"\{" + b",".join(b'"%b":(-?[0-9][-+.0-9eE]*)' % edge.encode() for edge in EDGES) + rb"\}")
_SHAPE = rb'\{(?:"boundingBox":(\{[^{}]*\}))?,?(?:"polygon":(\{"points":\[[^\]]*\]\}))?\}'
_INFO = re.compile(_SHAPE)
_REGION = re.compile(
    rb'\{"id":"([A-Za-z0-9_-]{1,127})","regionInfo":' + _SHAPE + rb'(?:,"data":(\{"concepts":.*\}))?\}', re.DOTALL
)
# What says no more of a field than that it is not there.
_DEFAULTS = frozenset((b"null", b'""', b"0", b"0.0", b"false"))
_EMPTY = frozenset((b"[]", b"{}"))
_BLANK = b" \t\r\n"
_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class TextReader:
    """Reads the archives of the profile `clarifai-json/1`, and Clarifai's own."""

    mimetype = b"application/x.clarifai-data+json"
    empty = b"{}"  # a message of no fields

    def inputs(self, batch: memoryview) -> Iterator[Raw]:
        """The Inputs of an InputBatch. Raises BadMessage."""
        start = 3 if bytes(batch[:3]) == b"\xef\xbb\xbf" else 0
        found = _guarded(_decode_map, batch[start:])
        for name, value in found.items():
            if name != "inputs":
                raise BadMessage(f"is no batch of inputs: it has a field {name[:60]!r}")
            if bytes(value) != b"null":
                yield from (memoryview(one) for one in _guarded(_decode_list, value))

    def fields(self, kind: str, raw: Raw) -> dict[str, Any]:
        """The fields of a message by their names: messages as they are, all else as values. Raises BadMessage.

        What has no name is under `UNKNOWN`, parsed; what has the value that a field has without one is not there.
        """
        table, found = _TABLES[kind], dict[str, Any]()
        for name, part in _guarded(_decode_map, raw).items():
            text = bytes(part)
            if text in _DEFAULTS:
                continue
            row = table.get(name)
            if row is None:
                if text not in _EMPTY:
                    found.setdefault(UNKNOWN, {})[name] = plain(text)
                continue
            known, read, repeated = row
            if known in found:
                raise BadMessage(f"has {known} of {kind} twice")
            try:
                if repeated:
                    if items := [bytes(item) for item in _decode_list(text)]:
                        found[known] = [read(item) for item in items] if read else items
                elif read is None:
                    found[known] = text
                elif (value := read(text)) or type(value) is float:  # a number in quotes may be zero
                    found[known] = value
            except (msgspec.MsgspecError, ValueError, binascii.Error, RecursionError) as error:
                raise BadMessage(f"has a wrong {known} in {kind}: {error}") from None
        return found

    def struct(self, raw: Raw) -> dict[str, Any]:
        """The values of a google.protobuf.Struct; numbers are floats. Raises BadMessage."""
        value = _floats(plain(bytes(raw)), 0)
        if not isinstance(value, dict):
            raise BadMessage("has metadata that are no object")
        return value

    def usual_shape(self, info: Raw) -> tuple[bytes | None, bytes | None] | None:
        """The box and the polygon of a RegionInfo that has nothing else, as they are; None for all others."""
        found = _INFO.fullmatch(info)
        return (found[1], found[2]) if found else None

    def usual_region(self, raw: Raw | None) -> tuple[bytes, bytes | None, bytes | None, bytes | None] | None:
        """Id, box, polygon and Data of a Region that dsvc wrote and that has nothing else; None for all others."""
        found = _REGION.fullmatch(raw) if raw is not None else None
        return (found[1], found[2], found[3], found[4]) if found is not None else None

    def boxes(self, raw: list[bytes]) -> Floats:
        """Boxes as rows of top, left, bottom, right. Raises BadMessage."""
        return mixed_boxes(self, raw, [_BOX.fullmatch(box) is not None for box in raw], _boxes_at_once)

    def polygons(self, raw: list[bytes]) -> Rings:
        """The points of Polygons as rows of (x, y), how many each has, and which have more than rows and columns."""
        usual = [ring.count(b'"row"') == ring.count(b'"col"') == ring.count(b"{") - 1 for ring in raw]
        return mixed_polygons(self, raw, usual, _polygons_at_once)


def _boxes_at_once(raw: list[bytes]) -> Floats | None:
    numbers = _numbers(b",".join([b",".join(found.groups()) for box in raw if (found := _BOX.fullmatch(box))]))
    return numbers.reshape(-1, 4) if numbers is not None and len(numbers) == 4 * len(raw) else None


def _polygons_at_once(raw: list[bytes]) -> tuple[Floats, list[int]] | None:
    """Polygons whose points have all a row and a column in this order, and nothing else."""
    text = b"|".join(raw).translate(None, _BLANK)
    rows = text.count(b'"row":')
    text = text.replace(b',"col":', b",").replace(b'},{"row":', b",")
    text = text.replace(b'{"points":[{"row":', b"").replace(b"}]}", b"")
    rings = text.split(b"|")
    commas = [ring.count(b",") for ring in rings]
    numbers = _numbers(text.replace(b"|", b","))
    is_even = all(count & 1 for count in commas) and len(rings) == len(raw)
    if numbers is None or not is_even or len(numbers) != 2 * rows:
        return None
    return numbers.reshape(-1, 2)[:, ::-1], [count + 1 >> 1 for count in commas]


def _numbers(text: bytes) -> Floats | None:
    """Numbers parted by commas as float32; None where they are no plain numbers."""
    import numpy as np
    import simdjson

    if not text or text.translate(None, b"0123456789.,+-eE"):
        return None
    try:
        document = simdjson.Parser().parse(b"[" + text + b"]")
        values = np.frombuffer(document.as_buffer(of_type="d"), dtype=np.float64)  # type: ignore[union-attr]
    except (ValueError, TypeError):
        return None
    return _narrow(values)


def _narrow(values: Any) -> Floats:
    import numpy as np

    with np.errstate(over="ignore"):
        narrow: Floats = values.astype(np.float32)
    return narrow


def _guarded(decode: Callable[[Any], Any], raw: Any) -> Any:
    try:
        return decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadMessage(f"is no valid JSON of Clarifai's: {error}") from None
    except RecursionError:
        raise BadMessage("holds lists or objects that are nested too deeply") from None


def plain(text: bytes) -> Any:
    """A JSON value. Raises BadMessage."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise BadMessage("holds lists or objects that are nested too deeply") from None
    except ValueError as error:
        raise BadMessage(f"is no valid JSON: {error}") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _floats(value: Any, depth: int) -> Any:
    """A value with all its numbers as a Struct has them."""
    if depth > MAX_DEPTH:
        raise BadMessage(f"has metadata nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: _floats(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item, depth + 1) for item in value]
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise BadMessage("has metadata with a number that no float64 holds") from None
    return value


# ---- one reader for each type


def _float(text: bytes) -> float:
    if text[:1] == b'"':
        word = _decode_string(text)
        value = _FLOATS[word] if word in _FLOATS else float(word)
    else:
        value = msgspec.json.decode(text, type=float)
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        raise ValueError(f"{value} is beyond what float32 holds") from None


def _integer(text: bytes) -> int:
    if text[:1] == b'"':
        return int(_decode_string(text))
    value = msgspec.json.decode(text, type=float)
    if not value.is_integer():
        raise ValueError(f"{value} is no whole number")
    return msgspec.json.decode(text, type=int) if text.lstrip(b"-").isdigit() else int(value)


def _unsigned(text: bytes) -> int:
    value = _integer(text)
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} is beyond what the field holds")
    return value


def _bytes(text: bytes) -> bytes:
    word = text[1:-1] if b"\\" not in text else _decode_string(text).encode()
    word = word.translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(word + b"=" * (-len(word) % 4), validate=True)


def _visibility(text: bytes) -> int:
    if text[:1] != b'"':
        return _unsigned(text)
    word = _decode_string(text)
    return 0 if word == "VISIBILITY_NOT_SET" else VISIBILITY.index(word)


def _timestamp(text: bytes) -> bytes:
    return text


_READERS: dict[str, Callable[[bytes], Any]] = {
    "string": _decode_string,
    "bytes": _bytes,
    "float": _float,
    "int32": _integer,
    "int64": _integer,
    "uint32": _unsigned,
    "uint64": _unsigned,
    "enum": _visibility,
}


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found[0].lower(), name)


def _row(name: str, field: Field) -> tuple[str, Callable[[bytes], Any] | None, bool]:
    return name, _READERS.get(field.type), field.repeated


_TABLES = {
    kind: {spelled: _row(name, field) for name, field in fields.items() for spelled in (name, _snake(name))}
    for kind, fields in READ.items()
}
