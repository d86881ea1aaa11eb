"""Index segments: immutable, sorted tables that say where objects lie.

    8 bytes magic | rows by id | packs | fan-out: (4 end row, 8 XXH3-64 of the bucket's rows)* | footer

A reader fetches the footer with the tables before it, then only the bucket that an id falls into.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import xxhash
from blake3 import blake3

from dsvc.errors import DamagedError, RefusedError
from dsvc.store.backend import Backend
from dsvc.store.cached import CachedBackend, begin, near
from dsvc.store.frame import Entry
from dsvc.store.ids import INDEX_CONTEXT, ObjectId, derived_id
from dsvc.store.limits import MAX_BUCKET_ROWS, MAX_SEGMENT_PACKS, is_allowed
from dsvc.store.manifest import SegmentInfo
from dsvc.store.pack import PackClass, PackInfo

SEGMENT_MAGIC = b"dsvcindx"
SEGMENT_END = b"dsvcIEND"
ROW = struct.Struct(">32sIIQQBB")
PACK_LINE = struct.Struct(">32sQB")
BUCKET = struct.Struct(">IQ")
FOOT = struct.Struct(">QIBQQ8s")  # rows, packs, bits, XXH3-64 of packs + fan-out, XXH3-64 of the footer before
PACK_FIELD = slice(ObjectId.SIZE, ObjectId.SIZE + 4)  # of a row's bytes: the number of its pack
_HEAD = len(SEGMENT_MAGIC)
_BUCKET_ROWS = 64
_MAX_BITS = 16
_WHOLE = 1 << 18  # a segment up to this size is read in one go
_WHOLE_DISTANT = 8 << 20  # the same, where each request takes a while
_TABLES = 64 << 10  # bytes that packs and footer take, but for the fan-out: a guess
_KEPT = 64 << 20  # bytes of the largest segment of which who wrote it keeps a copy
_CACHE = 16 << 20  # bytes of buckets kept per segment
_ROWS_AT_ONCE = 4096
_GAP = 256 << 10  # bytes between two buckets that are read together
_SPAN = 4 << 20  # bytes that are read at once


class Row(NamedTuple):
    """Where an object lies: which pack of its segment, and where in it."""

    pack: int
    entry: Entry


def segment_name(id: ObjectId) -> str:
    """The file name of an index segment."""
    return f"index/{id}"


def fan_bits(rows: int) -> int:
    """How many leading bits of an id choose its bucket, in a segment of about `rows` rows."""
    return min(_MAX_BITS, max(0, (rows // _BUCKET_ROWS).bit_length()))


class Segment:
    """An index segment, read a bucket at a time."""

    def __init__(self, backend: Backend, info: SegmentInfo) -> None:
        """Load the tables. Raises NotFoundError or DamagedError."""
        self.info = info
        self._backend = backend
        self._name = segment_name(info.id)
        self._whole = b""
        is_distant = isinstance(backend, CachedBackend)
        if info.size <= (_WHOLE_DISTANT if is_distant else _WHOLE):
            self._whole = backend.read(self._name, 0, info.size + 1)
        size = len(self._whole) if self._whole else info.size if is_distant else backend.size(self._name)
        if size != info.size or info.size < _HEAD + FOOT.size:
            raise self._damaged("its size is wrong")
        if is_distant:
            self._read_ahead()
        count, self._bits = self._load_footer()
        self._fan_end = info.size - FOOT.size
        fan = BUCKET.size << self._bits
        self.packs_at = _HEAD + info.rows * ROW.size
        if self.packs_at + count * PACK_LINE.size + fan != self._fan_end:
            raise self._damaged("its parts don't add up")
        self._fan, self.packs = self._load_tables(count * PACK_LINE.size)
        self._buckets: dict[int, bytes] = {}
        self._cached = 0

    @classmethod
    def info_of(cls, backend: Backend, id: ObjectId) -> SegmentInfo:
        """What a manifest says of a segment, by the segment's file alone. Raises NotFoundError or DamagedError."""
        size = backend.size(segment_name(id))
        foot = backend.read(segment_name(id), max(0, size - FOOT.size), FOOT.size)
        if len(foot) != FOOT.size:
            raise DamagedError(f"index segment {id.short()} is damaged: it ends too early")
        return SegmentInfo(id, FOOT.unpack(foot)[0], size)

    def _damaged(self, why: str) -> DamagedError:
        return DamagedError(
            f"index segment {self.info.id.short()} is damaged: {why}",
            "make it anew from the packs: dsvc check --repair",
        )

    def _read_ahead(self) -> None:
        """Verify what was fetched whole; else fetch footer and tables in one go."""
        if not self._whole:
            tables = (BUCKET.size << fan_bits(self.info.rows)) + _TABLES
            self._read(max(self.info.size - tables, 0), tables)
        elif derived_id(INDEX_CONTEXT, self._whole) != self.info.id:
            raise self._damaged("it does not hash to its id")

    def _load_footer(self) -> tuple[int, int]:
        data = self._read(self.info.size - FOOT.size, FOOT.size)
        if len(data) != FOOT.size:
            raise self._damaged("it ends too early")
        rows, packs, bits, self._tables_check, own, magic = FOOT.unpack(data)
        if magic != SEGMENT_END or own != xxhash.xxh3_64_intdigest(data[:-16]):
            raise self._damaged("its footer is not what was written")
        if rows != self.info.rows or bits > _MAX_BITS or packs > MAX_SEGMENT_PACKS:
            raise self._damaged("its footer disagrees with the manifest")
        return packs, bits

    def _load_tables(self, packs_size: int) -> tuple[memoryview, tuple[PackInfo, ...]]:
        data = self._read(self.packs_at, self._fan_end - self.packs_at)
        if xxhash.xxh3_64_intdigest(data) != self._tables_check:
            raise self._damaged("its tables are not what was written")
        view = memoryview(data)
        lines = PACK_LINE.iter_unpack(view[:packs_size])
        try:
            packs = tuple(PackInfo(ObjectId(id), size, PackClass(kind)) for id, size, kind in lines)
        except ValueError as error:
            raise self._damaged("a pack's class is unknown") from error
        return view[packs_size:], packs

    def _read(self, offset: int, length: int) -> bytes:
        if self._whole:
            return self._whole[offset : offset + length]
        return near(self._backend, self._name, self.info.size, offset, length)

    def find(self, id: ObjectId) -> Row | None:
        """Where `id` lies, or None. Raises NotFoundError or DamagedError."""
        number = int.from_bytes(id[:2], "big") >> (16 - self._bits)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._load_bucket(number)
        at = bucket.find(id)
        while at > 0 and at % ROW.size:  # the id's bytes by chance across other columns
            at = bucket.find(id, at + 1)
        if at < 0:
            return None
        _, pack, offset, stored, raw, kind, codec = ROW.unpack_from(bucket, at)
        if pack >= len(self.packs):
            raise self._damaged("a row names no pack")
        if not is_allowed(kind, codec, raw, stored):
            raise self._damaged(f"it gives object {id} a length that none of its kind may have")
        return Row(pack, Entry(offset, stored, raw, kind, codec))

    def load(self, ids: Iterable[ObjectId]) -> None:
        """Read the buckets that ids fall in, neighbours together. Raises NotFoundError or DamagedError."""
        numbers = sorted({int.from_bytes(id[:2], "big") >> (16 - self._bits) for id in ids} - self._buckets.keys())
        at = 0
        while at < len(numbers):
            first = last = numbers[at]
            start = self._bounds(first)[0]
            while at + 1 < len(numbers) and self._is_near(start, last, numbers[at + 1]):
                at, last = at + 1, numbers[at + 1]
            span = self._read(_HEAD + start * ROW.size, (self._bounds(last)[1] - start) * ROW.size)
            for number in range(first, last + 1):
                if number not in self._buckets:
                    low, high = ((row - start) * ROW.size for row in self._bounds(number))
                    self._keep_bucket(number, span[low:high])
            at += 1

    def _is_near(self, start: int, last: int, number: int) -> bool:
        """Whether a bucket is read together with those from row `start` to bucket `last`."""
        begin, end = self._bounds(number)
        gap = begin - self._bounds(last)[1]
        return gap * ROW.size <= _GAP and (end - start) * ROW.size <= _SPAN

    def _bounds(self, number: int) -> tuple[int, int]:
        """The first row of a bucket, and the one after its last."""
        start = BUCKET.unpack_from(self._fan, (number - 1) * BUCKET.size)[0] if number else 0
        end = BUCKET.unpack_from(self._fan, number * BUCKET.size)[0]
        if not start <= end <= self.info.rows or end - start > MAX_BUCKET_ROWS:
            raise self._damaged("its fan-out is out of order")
        return start, end

    def _load_bucket(self, number: int) -> bytes:
        start, end = self._bounds(number)
        return self._keep_bucket(number, self._read(_HEAD + start * ROW.size, (end - start) * ROW.size))

    def _keep_bucket(self, number: int, data: bytes) -> bytes:
        check = BUCKET.unpack_from(self._fan, number * BUCKET.size)[1]
        if xxhash.xxh3_64_intdigest(data) != check:
            raise self._damaged("a bucket of rows is not what was written")
        if self._cached > _CACHE:
            self._buckets.clear()
            self._cached = 0
        self._cached += len(data)
        self._buckets[number] = data
        return data

    def load_all(self) -> None:
        """Verify every row. Raises NotFoundError or DamagedError."""
        for number in range(1 << self._bits):
            if number not in self._buckets:
                self._load_bucket(number)

    def rows(self) -> Iterator[bytes]:
        """All rows as they lie in the file, by id. Raises NotFoundError or DamagedError."""
        for number in range(1 << self._bits):
            data = self._buckets.get(number)
            if data is None:
                data = self._load_bucket(number)
            for at in range(0, len(data), ROW.size):
                yield data[at : at + ROW.size]

    def read_rows(self) -> bytes:
        """All rows in one piece, read at once. Raises NotFoundError or DamagedError."""
        data, start = self._read(_HEAD, self.info.rows * ROW.size), 0
        view = memoryview(data)
        for end, check in BUCKET.iter_unpack(self._fan):
            bucket = view[start * ROW.size : end * ROW.size]
            if not start <= end <= self.info.rows or xxhash.xxh3_64_intdigest(bucket) != check:
                raise self._damaged("a bucket of rows is not what was written")
            start = end
        if start != self.info.rows or len(data) != start * ROW.size:
            raise self._damaged("its fan-out is out of order")
        return data

    def check_whole(self) -> None:
        """Raise DamagedError unless the whole file hashes to its id and its rows are in order."""
        hasher = blake3(derive_key_context=INDEX_CONTEXT)
        for at in range(0, self.info.size, 1 << 20):
            hasher.update(self._read(at, min(1 << 20, self.info.size - at)))
        if hasher.digest() != self.info.id:
            raise self._damaged("it does not hash to its id")
        last = b""
        for row in self.rows():
            if row[: ObjectId.SIZE] <= last:
                raise self._damaged("its rows are out of order")
            last = row[: ObjectId.SIZE]


def pack_row(id: ObjectId, pack: int, entry: Entry) -> bytes:
    """A row's bytes."""
    return ROW.pack(id, pack, *entry)


def write_segment(backend: Backend, rows: Iterable[bytes], about: int, packs: list[PackInfo]) -> SegmentInfo:
    """Store a segment of `rows`, which come in order and are at most `about`; equal ids are kept once."""
    upload = begin(backend, _KEPT)
    hasher = blake3(derive_key_context=INDEX_CONTEXT)
    size = 0

    def write(data: bytes) -> None:
        nonlocal size
        hasher.update(data)
        upload.write(data)
        size += len(data)

    try:
        write(SEGMENT_MAGIC)
        bits = fan_bits(about)
        fan = _write_rows(rows, bits, write)
        count = BUCKET.unpack(fan[-BUCKET.size :])[0]
        tables = b"".join(PACK_LINE.pack(p.id, p.size, p.pack_class) for p in packs) + fan
        foot = FOOT.pack(count, len(packs), bits, xxhash.xxh3_64_intdigest(tables), 0, SEGMENT_END)
        own = xxhash.xxh3_64_intdigest(foot[:-16])
        write(tables + foot[:-16] + own.to_bytes(8, "big") + SEGMENT_END)
        info = SegmentInfo(ObjectId(hasher.digest()), count, size)
        upload.finish(segment_name(info.id))
        return info
    finally:
        upload.abort()


def _write_rows(rows: Iterable[bytes], bits: int, write: Callable[[bytes], None]) -> bytes:
    """Write the rows and return the fan-out."""
    fan = bytearray()
    bucket: list[bytes] = []
    waiting: list[bytes] = []
    number, count, last = 0, 0, b""

    def close_buckets(until: int) -> None:
        nonlocal number
        while number < until:
            data = b"".join(bucket)
            bucket.clear()
            waiting.append(data)
            fan.extend(BUCKET.pack(count, xxhash.xxh3_64_intdigest(data)))
            number += 1
        if len(waiting) > _ROWS_AT_ONCE // _BUCKET_ROWS:
            write(b"".join(waiting))
            waiting.clear()

    for row in rows:
        if row[: ObjectId.SIZE] == last:
            continue
        last = row[: ObjectId.SIZE]
        mine = int.from_bytes(row[:2], "big") >> (16 - bits)
        if mine != number:
            close_buckets(mine)
        bucket.append(row)
        count += 1
    if count >= 1 << 32:
        raise RefusedError("an index segment cannot hold more than 4 billion objects")
    close_buckets(1 << bits)
    write(b"".join(waiting))
    return bytes(fan)
