"""Messages as Protobuf's JSON mapping writes them: camelCase, float32 in its shortest form, bytes in base64."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from dsvc.formats.clarifai.digits import WIDTH, shortest, shortest_rows
from dsvc.formats.clarifai.schema import SCHEMA, VISIBILITY, Field

if TYPE_CHECKING:
    from dsvc.formats.clarifai.form import Floats, Indices

Encoder = Callable[[Any], bytes]
_END = b"\x01"  # between messages that are written together; neither it nor NUL occurs in them


class Text:
    """The form of the profile `clarifai-json/1`."""

    mimetype = b"application/x.clarifai-data+json"

    def message(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        """The message as a JSON object."""
        table = ENCODERS[kind]
        return b"{" + b",".join([table[name](value) for name, value in fields.items() if value is not None]) + b"}"

    def region(self, id_: str, box: bytes | None, polygon: bytes | None, data: bytes | None) -> bytes:
        """A Region of at most a box and a polygon: what `message` gives, sooner."""
        info = b'"boundingBox":' + box if box is not None else b""
        if polygon is not None:
            info += (b"," if info else b"") + b'"polygon":' + polygon
        head = b'{"id":' + _string(id_) + b',"regionInfo":{' + info + b"}"
        return head + b',"data":' + data + b"}" if data is not None else head + b"}"

    def struct(self, values: Mapping[str, Any]) -> bytes:
        """A Struct, its keys in order, its numbers as float64."""
        return dumps(_numbers(values))

    def boxes(self, edges: Floats) -> list[bytes]:
        """All four edges, also where they are zero."""
        names = ('{"topRow":', ',"leftCol":', ',"bottomRow":', ',"rightCol":')
        return _split(_rows(names, edges, (0, 1, 2, 3), b"}" + _END))

    def polygons(self, points: Floats, counts: Indices) -> list[bytes]:
        """Rows and columns, also where they are zero."""
        rows = _rows(('{"row":', ',"col":'), points, (1, 0), b"},")
        rows["end"][counts.cumsum() - 1] = b"}" + _END
        return [b'{"points":[' + ring + b"]}" for ring in _split(rows)]

    def keypoints(self, points: Floats, visible: Indices, counts: Indices) -> list[bytes]:
        """The array of points, each with its visibility."""
        import numpy as np

        names = [f',"visibility":"{name}"}}'.encode() for name in VISIBILITY]
        ends = np.array([name + b"," for name in names] + [name + _END for name in names])
        kinds = visible.copy()
        kinds[counts.cumsum() - 1] += len(names)
        rows = _rows(('{"row":', ',"col":'), points, (1, 0), bytes(ends.itemsize))
        rows["end"] = ends[kinds]
        return [b"[" + text + b"]" for text in _split(rows)]

    def batch(self, inputs: Sequence[bytes]) -> list[bytes]:
        """One object on one line."""
        pieces = [b'{"inputs":[']
        for data in inputs:
            pieces += [data, b","]
        return [*pieces[: -1 if inputs else None], b"]}"]


def dumps(value: Any) -> bytes:
    """JSON without spaces, keys in order, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    return float(value) if type(value) is int else value


def _rows(names: Sequence[str], values: Any, columns: Sequence[int], end: bytes) -> Any:
    """A record of text for each row of `values`: name, number, name, number, ..., `end`; with NULs between.

    `columns` says which number goes behind which name.
    """
    import numpy as np

    parts, template = [], b""
    for index, name in enumerate(names):
        parts += [(f"name{index}", f"V{len(name)}"), (f"number{index}", f"V{WIDTH}")]
        template += name.encode() + bytes(WIDTH)
    parts.append(("end", f"S{len(end)}"))
    rows = np.frombuffer(bytearray(template + end) * len(values), dtype=parts)
    digits = shortest_rows(np.ascontiguousarray(values).reshape(-1))
    for index, column in enumerate(columns):
        rows[f"number{index}"] = digits[column :: len(columns)]
    return rows


def _split(rows: Any) -> list[bytes]:
    data: bytes = rows.tobytes()
    return data.translate(None, b"\0").split(_END)[:-1]


# ---- one encoder for each field


def _encoder(name: str, field: Field) -> Encoder:
    lead = json.dumps(name).encode() + b":"
    one = _SCALARS.get(field.type, bytes)
    if not field.repeated:
        return lambda value: lead + one(value)
    return lambda values: lead + b"[" + b",".join([one(value) for value in values]) + b"]"


def _string(value: str) -> bytes:
    return encode_basestring(value).encode()


def _base64(value: bytes) -> bytes:
    return b'"' + base64.b64encode(value) + b'"'


def _float(value: float) -> bytes:
    return shortest(struct.unpack("<f", struct.pack("<f", value))[0]).encode()


def _integer(value: int) -> bytes:
    return b"%d" % value


_SCALARS: dict[str, Encoder] = {
    "string": _string,
    "bytes": _base64,
    "float": _float,
    "int32": _integer,
    "uint32": _integer,
    "uint64": lambda value: b'"%d"' % value,
    "enum": lambda value: b'"' + VISIBILITY[value].encode() + b'"',
}
ENCODERS = {kind: {name: _encoder(name, field) for name, field in fields.items()} for kind, fields in SCHEMA.items()}
# The keypoints come as one array.
ENCODERS["RegionInfo"]["keypointLocations"] = lambda value: b'"keypointLocations":' + value
