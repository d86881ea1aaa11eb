"""Reading messages in Protobuf's wire format, one level at a time; nothing is read that nobody asks for."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.formats.clarifai.read_schema import READ, UNKNOWN, BadMessage
from dsvc.formats.clarifai.ring_read import Rings, mixed_boxes, mixed_polygons
from dsvc.formats.clarifai.schema import Field
from dsvc.formats.clarifai.struct_read import Raw, read_struct, read_varint

if TYPE_CHECKING:
    from dsvc.formats.clarifai.form import Floats

_INTEGERS = {"int32", "int64", "uint32", "uint64", "enum"}
_WIRE = {"float": 5, "string": 2, "bytes": 2}
_FLOAT = struct.Struct("<f").unpack_from
_CUT = "ends in the middle of a field"
_PLAIN_ID = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_BOX = b"\x0d\x15\x1d\x25"


class _Row(NamedTuple):
    """What to do with a field whose tag was met."""

    name: str
    read: Callable[[Any], Any] | None  # None for what stays as it is
    repeated: bool
    packed: bool = False
    message: bool = False


class WireReader:
    """Reads the archives of the profile `clarifai-protobuf/1`, and Clarifai's own."""

    mimetype = b"application/x.clarifai-data+protobuf"
    empty = b""  # a message of no fields

    def inputs(self, batch: memoryview) -> Iterator[Raw]:
        """The Inputs of an InputBatch. Raises BadMessage."""
        at, end = 0, len(batch)
        while at < end:
            tag, at = read_varint(batch, at)
            if tag != 0x0A:
                raise BadMessage(f"is no batch of inputs: it has a field {tag >> 3} of wire type {tag & 7}")
            size, at = read_varint(batch, at)
            if size > end - at:
                raise BadMessage(f"is cut short: an input of {size:,} bytes has {end - at:,}")
            yield batch[at : at + size]
            at += size

    def fields(self, kind: str, raw: Raw) -> dict[str, Any]:
        """The fields of a message by their names in JSON: messages as they are, all else as values. Raises BadMessage.

        What has no name is under `UNKNOWN`, by its number.
        """
        table, found = _TABLES[kind], dict[str, Any]()
        at, end = 0, len(raw)
        try:
            while at < end:
                tag = raw[at]
                at += 1
                if tag > 127:
                    tag, at = read_varint(raw, at - 1)
                wire = tag & 7
                if wire == 2:
                    size = raw[at]
                    at += 1
                    if size > 127:
                        size, at = read_varint(raw, at - 1)
                    if size > end - at:
                        raise BadMessage(
                            f"is cut short: field {tag >> 3} of {kind} has {size:,} bytes, not {end - at:,}"
                        )
                    value: Any = raw[at : at + size]
                    at += size
                elif wire == 0:
                    value, at = read_varint(raw, at)
                elif wire == 5 or wire == 1:
                    size = 4 if wire == 5 else 8
                    value = raw[at : at + size]
                    if len(value) < size:
                        raise BadMessage(_CUT)
                    at += size
                else:
                    raise BadMessage(f"has a field of wire type {wire}, which no message of Clarifai's has")
                row = table.get(tag)
                if row is None:
                    _unknown(found, kind, tag, value)
                elif row.packed:
                    found.setdefault(row.name, []).extend(_unpack(value))
                elif row.repeated:
                    found.setdefault(row.name, []).append(row.read(value) if row.read else value)
                elif row.message and row.name in found:
                    found[row.name] = bytes(found[row.name]) + bytes(value)  # two halves of one message
                else:
                    found[row.name] = row.read(value) if row.read else value
        except IndexError:
            raise BadMessage(_CUT) from None
        except UnicodeDecodeError:
            raise BadMessage(f"has text in {kind} that is not UTF-8") from None
        return found

    def struct(self, raw: Raw) -> dict[str, Any]:
        """The values of a google.protobuf.Struct; numbers are floats. Raises BadMessage."""
        return read_struct(raw)

    def usual_shape(self, info: Raw) -> tuple[bytes | None, bytes | None] | None:
        """The box and the polygon of a RegionInfo that has nothing else, as they are; None for all others."""
        data, box = bytes(info), None
        if data[:2] == b"\x0a\x14":
            box, data = data[2:22], data[22:]
        if not data:
            return box, None
        if data[0] != 0x2A:
            return None
        size, at = read_varint(data, 1)
        return (box, data[at:]) if size == len(data) - at else None

    def usual_region(self, raw: Raw | None) -> tuple[bytes, bytes | None, bytes | None, bytes | None] | None:
        """Id, box, polygon and Data of a Region that dsvc wrote and that has nothing else; None for all others."""
        data = bytes(raw or b"")
        try:
            at = 2 + data[1]
            name = data[2:at]
            if data[0] != 0x0A or len(name) > 127 or data[at] != 0x12 or name.translate(None, _PLAIN_ID):
                return None
            size, at = _length(data, at + 1)
            end, box, polygon = at + size, None, None
            if data[at : at + 2] == b"\x0a\x14":
                box, at = data[at + 2 : at + 22], at + 22
            if at < end:
                if data[at] != 0x2A:
                    return None
                size, at = _length(data, at + 1)
                polygon = data[at:end]
                if len(polygon) != size:
                    return None
            if end == len(data):
                return (name, box, polygon, None) if at <= end else None
            size, at = _length(data, end + 1)
            if data[end] != 0x1A or size != len(data) - at:
                return None
        except IndexError:
            return None
        return name, box, polygon, data[at:]

    def boxes(self, raw: list[bytes]) -> Floats:
        """Boxes as rows of top, left, bottom, right. Raises BadMessage."""
        return mixed_boxes(self, raw, [len(box) == 20 for box in raw], _boxes_at_once)

    def polygons(self, raw: list[bytes]) -> Rings:
        """The points of Polygons as rows of (x, y), how many each has, and which have more than rows and columns."""
        return mixed_polygons(self, raw, [not len(ring) % 12 for ring in raw], _polygons_at_once)


def _boxes_at_once(raw: list[bytes]) -> Floats | None:
    """Boxes whose four edges are all there, in order."""
    import numpy as np

    rows = np.frombuffer(b"".join(raw), dtype=np.uint8).reshape(-1, 4, 5)
    if (rows[:, :, 0] != np.frombuffer(_BOX, dtype=np.uint8)).any():
        return None
    return np.ascontiguousarray(rows[:, :, 1:]).view("<f4").reshape(-1, 4)


def _polygons_at_once(raw: list[bytes]) -> tuple[Floats, list[int]] | None:
    """Polygons whose points have all a row and a column, and nothing else."""
    import numpy as np

    rows = np.frombuffer(b"".join(raw), dtype=np.uint8).reshape(-1, 12)
    if (rows[:, (0, 1, 2, 7)] != np.array((0x0A, 10, 0x0D, 0x15), dtype=np.uint8)).any():
        return None
    points = np.empty((len(rows), 2), dtype=np.float32)
    points[:, 1] = np.ascontiguousarray(rows[:, 3:7]).view("<f4")[:, 0]
    points[:, 0] = np.ascontiguousarray(rows[:, 8:12]).view("<f4")[:, 0]
    return points, [len(ring) // 12 for ring in raw]


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length below 2**21, and where it ends. Raises IndexError for others, too."""
    size = data[at]
    if size < 128:
        return size, at + 1
    high = data[at + 1]
    if high < 128:
        return size & 127 | high << 7, at + 2
    if data[at + 2] > 127:
        raise IndexError
    return size & 127 | (high & 127) << 7 | data[at + 2] << 14, at + 3


def _unknown(found: dict[str, Any], kind: str, tag: int, value: Any) -> None:
    number, wire = tag >> 3, tag & 7
    names = [name for name, field in READ[kind].items() if field.number == number]
    if names:
        raise BadMessage(f"has {names[0]} of {kind} with the wrong wire type {wire}")
    if not number:
        raise BadMessage(f"has a field of number 0 in {kind}")
    text = value if wire == 0 else base64.b64encode(value).decode()
    found.setdefault(UNKNOWN, {}).setdefault(str(number), []).append(text)


def _unpack(raw: Raw) -> list[float]:
    if len(raw) % 4:
        raise BadMessage("has a list of numbers that is cut short")
    return [number for (number,) in struct.iter_unpack("<f", raw)]


def _text(raw: Raw) -> str:
    return str(raw, "utf-8")


def _float(raw: Raw) -> float:
    value: float = _FLOAT(raw)[0]
    return value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _reader(field: Field) -> Callable[[Any], Any] | None:
    if field.type == "string":
        return _text
    if field.type == "float":
        return _float
    if field.type in ("int32", "int64"):
        return _signed
    if field.type in ("uint32", "enum"):
        return lambda value: value & 0xFFFFFFFF
    return None


def _rows(kind: str) -> Iterator[tuple[int, _Row]]:
    for name, field in READ[kind].items():
        wire = 0 if field.type in _INTEGERS else _WIRE.get(field.type, 2)
        is_message = field.type[0].isupper()
        yield field.number << 3 | wire, _Row(name, _reader(field), field.repeated, message=is_message)
        if field.repeated and field.type == "float":
            yield field.number << 3 | 2, _Row(name, None, True, packed=True)


_TABLES = {kind: dict(_rows(kind)) for kind in READ}
