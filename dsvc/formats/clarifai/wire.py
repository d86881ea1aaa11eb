"""Messages in Protobuf's wire format, written by hand: fixed bytes, and long polygons at the speed of numpy."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dsvc.formats.clarifai.residue import RESERVED, VERSION
from dsvc.formats.clarifai.schema import SCHEMA, Field

if TYPE_CHECKING:
    from dsvc.formats.clarifai.form import Floats, Indices

Encoder = Callable[[Any], bytes]
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_ZERO = bytes(4)


class Wire:
    """The form of the profile `clarifai-protobuf/1`."""

    mimetype = b"application/x.clarifai-data+protobuf"

    def message(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        """The message's bytes, without tag and length."""
        table = ENCODERS[kind]
        return b"".join([table[name](value) for name, value in fields.items() if value is not None])

    def item(self, region: bytes) -> bytes:
        """Tag and length, and the region."""
        return b"\x5a%b%b" % (varint(len(region)), region)

    def region(self, id_: str, box: bytes | None, polygon: bytes | None, data: bytes | None) -> bytes:
        """A Region of at most a box and a polygon."""
        name = id_.encode()
        info = b"" if box is None else b"\x0a\x14" + box
        if polygon is not None:
            info += b"\x2a%b%b" % (varint(len(polygon)), polygon)
        if data is None:
            region = b"\x0a%b%b\x12%b%b" % (varint(len(name)), name, varint(len(info)), info)
        else:
            sizes = varint(len(name)), name, varint(len(info)), info, varint(len(data)), data
            region = b"\x0a%b%b\x12%b%b\x1a%b%b" % sizes
        return b"\x5a%b%b" % (varint(len(region)), region)

    def metadata(self, shown: Mapping[str, Any], texts: Mapping[str, bytes]) -> bytes:
        """A Struct of `shown` and, under the reserved key, of JSON texts and the version."""
        reserved = b"".join([_entry(name, delimited(3, texts[name])) for name in sorted(texts)])
        mine = _entry(RESERVED, delimited(5, reserved + _VERSION))
        if not shown:
            return mine
        parts = {key: _entry(key, _value(value)) for key, value in shown.items()}
        parts[RESERVED] = mine
        return b"".join([parts[key] for key in sorted(parts)])

    def boxes(self, edges: Floats) -> list[bytes]:
        """Twenty bytes for each box; zeros are written."""
        import numpy as np

        rows = np.empty((len(edges), 4, 5), dtype=np.uint8)
        rows[:, :, 0] = (0x0D, 0x15, 0x1D, 0x25)
        rows[:, :, 1:] = _floats(edges).reshape(-1, 4, 4)
        return _slices(rows.tobytes(), np.full(len(edges), 20))

    def polygons(self, points: Floats, counts: Indices) -> list[bytes]:
        """Twelve bytes for each point."""
        return _slices(_points(points, 0x0A, 10, None), counts * 12)

    def keypoints(self, points: Floats, visible: Indices, counts: Indices) -> list[bytes]:
        """Fourteen bytes for each point, tags of the RegionInfo included."""
        return _slices(_points(points, 0x4A, 12, visible), counts * 14)

    def batch(self, inputs: Sequence[bytes]) -> list[bytes]:
        """Each input behind its tag and length."""
        pieces = []
        for data in inputs:
            pieces += [b"\x0a" + varint(len(data)), data]
        return pieces


def varint(value: int) -> bytes:
    """A non-negative integer, seven bits a byte, the lowest first."""
    return _SHORT[value] if value < 0x4000 else _varint(value)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


_SHORT = tuple(
    [bytes((value,)) for value in range(0x80)]
    + [bytes((value & 0x7F | 0x80, value >> 7)) for value in range(0x80, 0x4000)]
)


def delimited(number: int, data: bytes) -> bytes:
    """A field of bytes: tag, length, data."""
    return b"%b%b%b" % (varint(number << 3 | 2), varint(len(data)), data)


def _entry(key: str, value: bytes) -> bytes:
    """A key and its Value, as a field of a Struct."""
    name = key.encode()
    entry = b"\x0a%b%b\x12%b%b" % (varint(len(name)), name, varint(len(value)), value)
    return b"\x0a%b%b" % (varint(len(entry)), entry)


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return delimited(3, value.encode())
    if isinstance(value, bool):
        return b"\x20\x01" if value else b"\x20\x00"
    if value is None:
        return b"\x08\x00"
    if isinstance(value, int | float):
        return b"\x11" + _DOUBLE.pack(value)
    if isinstance(value, Mapping):
        return delimited(5, b"".join([_entry(key, _value(value[key])) for key in sorted(value)]))
    return delimited(6, b"".join([delimited(1, _value(item)) for item in value]))


_VERSION = _entry("version", _value(VERSION))


def _floats(values: Any) -> Any:
    import numpy as np

    return np.ascontiguousarray(values, dtype="<f4").view(np.uint8)


def _points(points: Any, tag: int, size: int, visible: Any) -> bytes:
    import numpy as np

    rows = np.empty((len(points), size + 2), dtype=np.uint8)
    raw = _floats(points)
    rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 7] = tag, size, 0x0D, 0x15
    rows[:, 3:7], rows[:, 8:12] = raw[:, 4:], raw[:, :4]
    if visible is not None:
        rows[:, 12], rows[:, 13] = 0x20, visible
    data: bytes = rows.tobytes()
    return data


def _slices(data: bytes, lengths: Any) -> list[bytes]:
    ends = lengths.cumsum().tolist()
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


# ---- one encoder for each field


def _encoder(field: Field) -> Encoder:
    one = _scalar(field)
    if not field.repeated:
        return one
    if field.type == "float":
        lead = varint(field.number << 3 | 2)
        return lambda values: lead + varint(4 * len(values)) + struct.pack(f"<{len(values)}f", *values)
    return lambda values: b"".join([one(value) for value in values])


def _scalar(field: Field) -> Encoder:
    if field.type == "float":
        return _float(varint(field.number << 3 | 5))
    if field.type in ("int32", "uint32", "uint64", "enum"):
        lead = varint(field.number << 3)
        return lambda value: lead + varint(value) if value else b""
    lead = varint(field.number << 3 | 2)
    if field.type == "string":
        return _string(lead)
    return lambda value: lead + varint(len(value)) + value


def _string(lead: bytes) -> Encoder:
    def encode(value: str) -> bytes:
        data = value.encode()
        return lead + varint(len(data)) + data if data else b""

    return encode


def _float(lead: bytes) -> Encoder:
    def encode(value: float) -> bytes:
        data = _FLOAT.pack(value)
        return lead + data if data != _ZERO else b""

    return encode


ENCODERS = {kind: {name: _encoder(field) for name, field in fields.items()} for kind, fields in SCHEMA.items()}
# The keypoints and the regions come with their tags.
ENCODERS["RegionInfo"]["keypointLocations"] = bytes
ENCODERS["Data"]["regions"] = b"".join
