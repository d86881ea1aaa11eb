"""Messages as Protobuf's JSON mapping writes them: camelCase, float32 in its shortest form, bytes in base64."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from dsvc.formats.clarifai.digits import json_numbers, needs_exponent, shortest, texts
from dsvc.formats.clarifai.residue import RESERVED, VERSION
from dsvc.formats.clarifai.schema import SCHEMA, VISIBILITY, Field

if TYPE_CHECKING:
    from dsvc.formats.clarifai.form import Floats, Indices

Encoder = Callable[[Any], bytes]
_BOX = b'{"topRow":%b,"leftCol":%b,"bottomRow":%b,"rightCol":%b}'
_VISIBLE = tuple(f'{{"row":%b,"col":%b,"visibility":"{name}"}}'.encode() for name in VISIBILITY)


class Text:
    """The form of the profile `clarifai-json/1`."""

    mimetype = b"application/x.clarifai-data+json"

    def message(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        """The message as a JSON object."""
        table = ENCODERS[kind]
        return b"{" + b",".join([table[name](value) for name, value in fields.items() if value is not None]) + b"}"

    def item(self, region: bytes) -> bytes:
        """Nothing is added; the commas come with all of them."""
        return region

    def region(self, id_: str, box: bytes | None, polygon: bytes | None, data: bytes | None) -> bytes:
        """A Region of at most a box and a polygon."""
        if box is None:
            info = b"" if polygon is None else b'"polygon":' + polygon
        elif polygon is None:
            info = b'"boundingBox":' + box
        else:
            info = b'"boundingBox":%b,"polygon":%b' % (box, polygon)
        if data is None:
            return b'{"id":%b,"regionInfo":{%b}}' % (_string(id_), info)
        return b'{"id":%b,"regionInfo":{%b},"data":%b}' % (_string(id_), info, data)

    def metadata(self, shown: Mapping[str, Any], texts: Mapping[str, bytes]) -> bytes:
        """A Struct of `shown` and, under the reserved key, of JSON texts and the version; numbers are float64."""
        reserved = [b'"%b":"%b",' % (name.encode(), _escaped(texts[name])) for name in sorted(texts)]
        mine = b'"%b":{%b"version":%d.0}' % (RESERVED.encode(), b"".join(reserved), VERSION)
        if not shown:
            return b"{%b}" % mine
        parts = {key: dumps(key) + b":" + dumps(_numbers(value)) for key, value in shown.items()}
        parts[RESERVED] = mine
        return b"{" + b",".join([parts[key] for key in sorted(parts)]) + b"}"

    def boxes(self, edges: Floats) -> list[bytes]:
        """All four edges, also where they are zero."""
        numbers = texts(edges)
        return [_BOX % row for row in zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True)]

    def polygons(self, points: Floats, counts: Indices) -> list[bytes]:
        """Rows and columns, also where they are zero."""
        import numpy as np

        # Each point is its row, with a minus, and its column; between polygons stands a NaN, which becomes null.
        lengths = counts * 2
        ends = lengths.cumsum()
        flat = np.empty((len(points), 2), dtype=np.float32)
        np.negative(points[:, 1], out=flat[:, 0])
        flat[:, 1] = points[:, 0]
        text = json_numbers(np.insert(flat.reshape(-1), ends[:-1], np.float32("nan")))[2:-1]
        text = text.replace(b",-", b'}\1{"row":').replace(b",", b',"col":').replace(b"\1", b",")
        made = [b'{"points":[{"row":%b}]}' % ring for ring in text.split(b',"col":null},{"row":')]
        rare = np.flatnonzero(needs_exponent(points.reshape(-1)))
        for index in np.unique(ends.searchsorted(rare, side="right")).tolist():
            numbers = texts(points[(ends[index] - lengths[index]) // 2 : ends[index] // 2])
            pairs = zip(numbers[1::2], numbers[::2], strict=True)
            made[index] = b'{"points":[' + b",".join([b'{"row":%b,"col":%b}' % pair for pair in pairs]) + b"]}"
        return made

    def keypoints(self, points: Floats, visible: Indices, counts: Indices) -> list[bytes]:
        """The array of points, each with its visibility."""
        numbers = texts(points)
        pairs = zip(visible.tolist(), numbers[1::2], numbers[::2], strict=True)
        made = [_VISIBLE[kind] % (row, col) for kind, row, col in pairs]
        ends = counts.cumsum().tolist()
        return [b"[" + b",".join(made[start:end]) + b"]" for start, end in zip([0, *ends], ends, strict=False)]

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


def _escaped(text: bytes) -> bytes:
    """JSON as the inside of a JSON string: it holds no control characters of its own."""
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


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
