"""Plain COCO annotations, encoded fast: known fields of the usual types, a batch at a time.

Python objects are what costs: so coordinates are never lists of floats. They are cut from the text, parsed all at
once into one array, packed at once, and spliced between fields whose bytes are written in the order of their names.
What is here is a pure function of a batch's text and the file's tables, so that other processes can share the work.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgpack import Packer, unpackb
from msgspec import UNSET, Raw, UnsetType

from dsvc.model.incoming import Entry
from dsvc.model.numbers import pack_ragged
from dsvc.model.records import annotation_hasher, plain_number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# From here on a whole number in the text may be another one as a float.
LIMIT = float(2**53)
_BLANK = b" \t\r\n"
Shape = int | tuple[int, int, str | None] | None


class Tables(NamedTuple):
    """What annotations refer to by number: the beginnings of tree keys by image, encoded concept fields by category."""

    prefixes: Mapping[int | str, bytes]
    concepts: Mapping[int | str, bytes]


class PlainBatch(NamedTuple):
    """The entries of a batch, and how many have keypoints, and how many are captions."""

    entries: list[Entry]
    keypoints: int
    captions: int


class PlainAnnotation(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An annotation of known fields, its coordinates still text; UNSET where it has one not."""

    id: int | str
    image_id: int | str
    category_id: int | str | UnsetType = UNSET
    area: float | UnsetType = UNSET
    bbox: Raw | UnsetType = UNSET
    segmentation: Raw | UnsetType = UNSET
    iscrowd: int | bool | UnsetType = UNSET
    keypoints: Raw | UnsetType = UNSET
    num_keypoints: int | UnsetType = UNSET
    caption: str | UnsetType = UNSET


class PlainRuns(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A run-length mask, its runs still text."""

    size: tuple[int, int]
    counts: Raw


class _NotPlainError(Exception):
    """The batch has something that only the careful way reads."""


_decode = msgspec.json.Decoder(list[PlainAnnotation]).decode
_decode_runs = msgspec.json.Decoder(PlainRuns).decode
_decode_text = msgspec.json.Decoder(str).decode
_pack: Any = Packer(use_bin_type=True).pack
_BIN = [b"\xc4" + bytes((size,)) for size in range(256)]
_NUM_KEYPOINTS = b"\xa1x\x81\xa4coco\x81\xadnum_keypoints"


def read_plain(text: bytes, tables: Tables) -> PlainBatch | None:
    """The entries of a JSON list of annotations where all of it is plain and sound; else None."""
    try:
        found = _decode(text)
        plan = _Plan(found)
        # A key that comes twice would have hidden a value; it would also have brought more quotes.
        if text.count(b'"') != 2 * plan.strings:
            return None
        return _encode(found, plan.shapes, pack_ragged(plan.parse(), plan.counts), tables)
    except (_NotPlainError, msgspec.DecodeError, UnicodeDecodeError, OverflowError, KeyError):
        return None


class _Plan:
    """The coordinates of a batch as text, how many numbers each sequence has, and the shape of each annotation."""

    def __init__(self, found: list[PlainAnnotation]) -> None:
        self.counts: list[int] = []
        self.shapes: list[Shape] = []
        # How many strings the text must have: keys, and values that are strings.
        self.strings = 0
        self._texts: list[bytes] = []
        count, take, shapes = self.counts.append, self._texts.append, self.shapes.append
        strings = 2 * len(found)
        for made in found:
            box, shape = made.bbox, made.segmentation
            if box is not UNSET:
                text = bytes(box)
                if text.count(b",") != 3 or text[:1] != b"[":
                    raise _NotPlainError
                count(4)
                take(text)
                strings += 1
            if made.keypoints is not UNSET:
                self._list(bytes(made.keypoints))
                strings += 1
            if shape is UNSET:
                shapes(None)
            else:
                text = bytes(shape)
                strings += 1
                if text.count(b"[") == 2 and text[:2] == b"[[" and text[-2:] == b"]]":
                    count(text.count(b",") + 1)
                    take(text)
                    shapes(1)
                else:
                    strings += self._shape(text)
            # Each of these is a key where it is there.
            strings += (made.category_id is not UNSET) + (made.area is not UNSET) + (made.iscrowd is not UNSET)
            if made.num_keypoints is not UNSET:
                strings += 1
            if made.caption is not UNSET:
                strings += 2
            strings += (type(made.id) is str) + (type(made.image_id) is str) + (type(made.category_id) is str)
        self.strings = strings

    def _list(self, text: bytes) -> None:
        if text[:1] != b"[":
            raise _NotPlainError
        self.counts.append(text.count(b",") + 1 if text[1:-1].strip() else 0)
        self._texts.append(text)

    def _shape(self, text: bytes) -> int:
        """Take a shape that is not one ring; how many strings it has."""
        if text[:1] == b"{":
            return self._mask(_decode_runs(text))
        text = text.translate(None, _BLANK)
        rings: list[bytes] = []
        if text != b"[]":
            if text[:2] != b"[[" or text[-2:] != b"]]":
                raise _NotPlainError
            rings = text[2:-2].split(b"],[")
            for ring in rings:
                if b"[" in ring or b"]" in ring:
                    raise _NotPlainError
                self.counts.append(ring.count(b",") + 1 if ring else 0)
            self._texts.append(text)
        self.shapes.append(len(rings))
        return 0

    def _mask(self, runs: PlainRuns) -> int:
        counts = bytes(runs.counts)
        if counts[:1] == b'"':
            self.shapes.append((*runs.size, _decode_text(counts)))
            return 3
        self._list(counts)
        self.shapes.append((*runs.size, None))
        return 2

    def parse(self) -> npt.NDArray[np.float64]:
        """All numbers, end to end. Every list must be as flat as its count assumed."""
        import numpy as np
        import simdjson

        if not self._texts:
            return np.empty(0)
        text = b"[" + b",".join(self._texts) + b"]"
        rings = sum(shape for shape in self.shapes if type(shape) is int)
        nested = sum(1 for shape in self.shapes if type(shape) is int and shape)
        lists = len(self._texts) - nested
        document = simdjson.Parser().parse(text)
        try:
            values = np.frombuffer(document.as_buffer(of_type="d"), dtype=np.float64)  # type: ignore[union-attr]
        except (TypeError, ValueError) as error:
            raise _NotPlainError from error
        if len(values) != sum(self.counts) or text.count(b"[") != 1 + lists + nested + rings:
            raise _NotPlainError
        if len(values) and max(values.max(), -values.min()) >= LIMIT:
            raise _NotPlainError
        return values


def _bin(data: bytes) -> bytes:
    size = len(data)
    return _BIN[size] + data if size < 256 else _pack(data)


def _encode(found: list[PlainAnnotation], shapes: list[Shape], packed: list[bytes], tables: Tables) -> PlainBatch:
    """The same bytes as `records.encode_annotation`, put together from parts.

    What comes before the number and what comes after it are made apart, since the content, whose hash is the id,
    has no number.
    """
    entries: list[Entry] = []
    prefixes, concepts = tables
    following: Callable[[], bytes] = iter(packed).__next__
    copy, keypoints, captions = annotation_hasher().copy, 0, 0
    for made, shape in zip(found, shapes, strict=True):
        head, tail, fields = b"", b"", 0x80
        area, category = made.area, made.category_id
        if area is not UNSET:
            head = b"\xa1a" + _pack(plain_number(area) if area.is_integer() else area)
            fields += 1
        if made.bbox is not UNSET:
            data = following()
            head += b"\xa1b" + _BIN[len(data)] + data
            fields += 1
        if category is not UNSET:
            head += concepts[category]
            fields += 1
        if made.iscrowd is not UNSET:
            head += b"\xa2cr" + _pack(int(made.iscrowd))
            fields += 1
        if made.keypoints is not UNSET:
            head += b"\xa1k" + _bin(following())
            fields += 1
            keypoints += 1
        if shape == 1:
            tail = b"\xa1p\x91" + _bin(following())
            fields += 1
        elif shape is not None:
            if type(shape) is int:
                tail = b"\xa1p" + _rings(shape, following)
            else:
                head += _runs(shape, following)  # type: ignore[arg-type]
            fields += 1
        if made.caption is not UNSET:
            tail += b"\xa1t" + _pack(made.caption)
            fields += 1
            captions += category is UNSET
        if made.num_keypoints is not UNSET:
            tail += _NUM_KEYPOINTS + _pack(made.num_keypoints)
            fields += 1
        prefix = prefixes[made.image_id]
        content = copy()
        content.update(b"%b%c%b%b" % (prefix, fields, head, tail))
        value = b"%c%b\xa1n%b%b" % (fields + 1, head, _pack(made.id), tail)
        entries.append((prefix + hexlify(content.digest(length=6)), value))
    return PlainBatch(entries, keypoints, captions)


def _rings(count: int, following: Callable[[], bytes]) -> bytes:
    lead = bytes((0x90 | count,)) if count < 16 else _pack([None] * count)[:-count]
    return lead + b"".join([_bin(following()) for _ in range(count)])


def _runs(shape: tuple[int, int, str | None], following: Callable[[], bytes]) -> bytes:
    height, width, text = shape
    counts = _bin(following()) if text is None else _pack(text)
    return b"\xa1m\x93%b%b%b" % (_pack(height), _pack(width), counts)


def answer_plain(setup: bytes) -> Callable[[bytes], bytes]:
    """What a worker does: packed tables give a function from a batch's text to its packed entries, or packed None."""
    prefixes, concepts = unpackb(setup, raw=False, use_list=False)
    tables = Tables(dict(prefixes), dict(concepts))

    def answer(text: bytes) -> bytes:
        packed: bytes = _pack(read_plain(bytes(text), tables))
        return packed

    return answer


def pack_tables(tables: Tables) -> bytes:
    """Tables as `answer_plain` takes them: pairs, since the keys of one map may be of two types."""
    packed: bytes = _pack([list(tables.prefixes.items()), list(tables.concepts.items())])
    return packed


def unpack_answer(data: bytes | bytearray) -> PlainBatch | None:
    """What a worker made of a batch."""
    fields = unpackb(data, raw=False, use_list=False)
    return PlainBatch(list(fields[0]), fields[1], fields[2]) if fields else None
