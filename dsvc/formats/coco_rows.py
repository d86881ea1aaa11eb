"""COCO annotations as text, a batch at a time.

Coordinates never become Python objects: packed bytes turn into one array of a batch, the array into text at once, and
the text is cut where separators stood. The rest of a row is put together from small pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from msgpack import unpackb

from dsvc.model.numbers import unpack_ragged
from dsvc.store import codec
from dsvc.store.codec import unpack_extension

# Beyond every whole number that is packed. The first head byte of packed floats.
_SEPARATOR = 2**62
FLOATS = 0x60
_USUAL = b'{"id":%d,"image_id":%b%b,"segmentation":[[%b]],"area":%b,"bbox":[%b],"iscrowd":%d}'
_FIXED = orjson.OPT_SERIALIZE_NUMPY
_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


class Stored(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of a stored annotation that COCO has too; see the specification for their names."""

    a: float | int | None = None
    at: dict[str, Any] | None = None
    b: bytes | None = None
    c: str | None = None
    cr: int | None = None
    k: bytes | None = None
    m: tuple[int, int, Any] | None = None
    n: int | str | None = None
    p: list[bytes] | None = None
    t: str | None = None
    x: dict[str, dict[str, Any]] | None = None


def has_shape(made: Stored) -> bool:
    """Whether an annotation has any part of a shape."""
    return any(part is not None for part in (made.a, made.b, made.m, made.p))


class StoredImage(msgspec.Struct, gc=False):
    """The fields of a stored input that COCO has too."""

    media: dict[str, Any] | None = None
    width: float | int | None = None
    height: float | int | None = None
    license: str | None = None
    number: int | str | None = None
    extras: dict[str, Any] = {}


def _integer(code: int, data: memoryview) -> Any:
    """What the codec keeps as an extension: an integer beyond 64 bits."""
    return unpack_extension(code, bytes(data))


decode_stored = msgspec.msgpack.Decoder(Stored, ext_hook=_integer).decode
_decode_image = msgspec.msgpack.Decoder(StoredImage, ext_hook=_integer).decode


def decode_image(key: bytes, value: bytes) -> StoredImage:
    """A stored input."""
    try:
        return _decode_image(value)
    except msgspec.ValidationError:  # its number is beyond 64 bits
        fields = codec.decode(value, f"input {key!r}")
        return StoredImage(**{name: fields[name] for name in StoredImage.__struct_fields__ if name in fields})


class RowWriter:
    """Turns stored annotations into rows. `concepts` has the encoded `"category_id":N` of each concept."""

    def __init__(self, concepts: dict[str, bytes], with_keypoints: bool) -> None:
        self._concepts = concepts
        self.with_keypoints = with_keypoints

    def rows(self, stored: list[Stored], images: list[bytes]) -> list[bytes]:
        """One JSON object an annotation; `images` has the encoded number of each one's image."""
        packed: list[bytes] = []
        areas: list[float] = []
        take = packed.append
        for made in stored:
            if made.b is not None:
                take(made.b)
            if made.k is not None:
                take(made.k)
            if made.p is not None:
                packed += made.p
            elif made.m is not None and type(made.m[2]) is bytes:
                take(made.m[2])
            if type(made.a) is float:
                areas.append(made.a)
        lists = iter(number_lists(packed)).__next__
        floats = iter(orjson.dumps(areas)[1:-1].split(b",")).__next__
        rows = []
        concepts = self._concepts
        for made, image in zip(stored, images, strict=True):
            if (
                type(made.a) is float
                and made.b is not None
                and made.c is not None
                and made.cr is not None
                and made.p is not None
                and len(made.p) == 1
                and made.k is None
                and made.t is None
                and made.x is None
                and made.at is None
                and type(made.n) is int
            ):
                # Nearly all that there is: the row that `_row` would make, in one go.
                box = lists()
                rows.append(_USUAL % (made.n, image, concepts[made.c], lists(), floats(), box, made.cr))
            else:
                rows.append(self._row(made, image, lists, floats))
        return rows

    def _row(self, made: Stored, image: bytes, lists: Callable[[], bytes], floats: Callable[[], bytes]) -> bytes:
        row = b'{"id":%b,"image_id":%b' % (_encode(made.n), image)
        if made.c is not None:
            row += self._concepts[made.c]
        # Taken in the order in which they were packed.
        box = lists() if made.b is not None else b""
        keypoints = lists() if made.k is not None else b""
        rings, mask = made.p, made.m
        if rings is not None:
            if len(rings) == 1:
                row += b',"segmentation":[[%b]]' % lists()
            else:
                row += b',"segmentation":[' + b",".join([b"[%b]" % lists() for _ in rings]) + b"]"
        elif mask is not None:
            counts = b"[%b]" % lists() if type(mask[2]) is bytes else _encode(mask[2])
            row += b',"segmentation":{"size":[%d,%d],"counts":%b}' % (mask[0], mask[1], counts)
        if made.a is not None:
            row += b',"area":' + (floats() if type(made.a) is float else b"%d" % made.a)
        if made.b is not None:
            row += b',"bbox":[%b]' % box
        if made.cr is not None:
            row += b',"iscrowd":%d' % made.cr
        if made.k is not None and self.with_keypoints:
            row += b',"keypoints":[%b]' % keypoints
        if made.t is not None:
            row += b',"caption":' + _encode(made.t)
        if made.at is not None:
            row += b',"attributes":' + _encode(made.at)
        if made.x is not None:
            row += self._extras(made.x.get("coco", {}))
        return row + b"}"

    def _extras(self, extras: dict[str, Any]) -> bytes:
        if not self.with_keypoints:
            extras = {name: value for name, value in extras.items() if name != "num_keypoints"}
        return b"," + _encode(extras)[1:-1] if extras else b""


def number_lists(packed: list[bytes]) -> list[bytes]:
    """The numbers of packed sequences as text, separated by commas; whole ones as integers."""
    texts = [b""] * len(packed)
    whole = [n for n, data in enumerate(packed) if data and data[0] & 15 == 0 and data[0] < FLOATS]
    others = [n for n, data in enumerate(packed) if data and (data[0] & 15 or data[0] >= FLOATS)]
    for places, write in ((whole, _whole_lists), (others, _float_lists)):
        if places:
            for place, text in zip(places, write([packed[n] for n in places]), strict=True):
                texts[place] = text
    return texts


def _float_lists(packed: list[bytes]) -> list[bytes]:
    # NaN, which no packed number is, becomes null.
    return _cut(orjson.dumps(unpack_ragged(packed, float("nan")), option=_FIXED), b"null")


def _whole_lists(packed: list[bytes]) -> list[bytes]:
    values = unpack_ragged(packed, _SEPARATOR).astype("int64")
    return _cut(orjson.dumps(values, option=_FIXED), b"%d" % _SEPARATOR)


def _cut(text: bytes, separator: bytes) -> list[bytes]:
    """The parts of a JSON list in which every run of numbers is followed by a separator."""
    return text[1:-1].removesuffix(b"," + separator).split(b",%b," % separator)


def answer_rows(setup: bytes) -> Callable[[bytes], bytes]:
    """What a worker does: packed concepts give a function from packed values and image numbers to joined rows."""
    concepts, with_keypoints = unpackb(setup, raw=False)
    writer = RowWriter(concepts, with_keypoints)

    def answer(request: bytes) -> bytes:
        values, images = unpackb(request, raw=False)
        return b",\n".join(writer.rows([decode_stored(value) for value in values], images))

    return answer
