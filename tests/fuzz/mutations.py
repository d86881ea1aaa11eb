"""Mutations of a repository: of its files as they lie, and of what they mean, with hashes and checksums made right."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import msgpack
import zstandard
from forge import (
    Contents,
    Segment,
    copied,
    manifest_of,
    put_frame,
    put_head,
    put_manifest,
    put_pack_index,
    put_row,
    put_segment,
    rows_of,
)

from dsvc.store import codec
from dsvc.store.frame import FRAME_OVERHEAD, Entry
from dsvc.store.ids import Kind
from dsvc.store.index import PACK_LINE, ROW
from dsvc.store.memory import MemoryBackend

EXTREMES = (
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
NAMES = (
    "", "..", "../../etc/x", "/etc/passwd", "a\0b", "a/../b", ".dsvc/head", ".git/config", "\x1b[31mred\x1b[0m",
    "two\nlines", "\u202egnp", "CON", "aux.txt", "C:\\x", "x" * 5000, "\u00e9", "e\u0301", "a.", " ", "images/0.txt",
    "\U0001f600", "!",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63, 2**64 - 1, -(2**63), 10**40, -(10**40), 0.0, -0.0, 1.5, 1e308, 5e-324,
    "", "text", b"", b"\0", b"\x80", b"\x79", b"x" * 32, bytes(32), [], [1], [[]], {}, {"": None}, {"a": {}}, {"!": {}},
    {"!": {"media": [1, 2]}}, [0] * 300, "y" * 70_000, {"blob": bytes(32)}, {"reference": {"place": "/etc/passwd"}},
    2**53, "1",
)  # fmt: skip


class Mutation(NamedTuple):
    """What was changed, in words, and the repository that came of it."""

    text: str
    backend: MemoryBackend


class Mutator:
    """Makes mutations of one repository, by chance."""

    def __init__(self, backend: MemoryBackend) -> None:
        self.backend = backend
        self.contents = Contents(backend)
        self.rows = rows_of(backend)
        self.structure = self.contents.of(*(kind for kind in Kind if kind is not Kind.BLOB))

    def mutation(self, rng: Random) -> Mutation:
        """One of them."""
        ways: list[tuple[int, Callable[[Random], Mutation]]] = [
            (12, self.raw_file),
            (2, self.swapped_files),
            (4, self.head),
            (8, self.manifest),
            (12, self.segment),
            (8, self.rows_swapped),
            (6, self.pack_index),
            (14, self.frame),
            (12, self.object_bytes),
            (40, self.object_value),
        ]
        weights, makers = zip(*ways, strict=True)
        return rng.choices(makers, weights)[0](rng)

    # ---- files as they lie

    def raw_file(self, rng: Random) -> Mutation:
        backend = copied(self.backend)
        name = rng.choice(["head", *sorted(name for name in backend.held if not name.startswith("tmp/"))])
        data = backend.head if name == "head" else backend.held[name]
        assert data is not None
        text, new = mutated(rng, data)
        if name == "head":
            backend.head = new
        elif rng.random() < 0.1:
            del backend.held[name]
        else:
            backend.held[name] = new
        return Mutation(f"{name}: {text}", backend)

    def swapped_files(self, rng: Random) -> Mutation:
        backend = copied(self.backend)
        one, other = rng.sample(sorted(backend.held), 2)
        backend.held[one], backend.held[other] = backend.held[other], backend.held[one]
        return Mutation(f"swap {one} {other}", backend)

    # ---- files that fit

    def head(self, rng: Random) -> Mutation:
        backend = copied(self.backend)
        other = rng.choice([*self.contents.objects, *(bytes([n]) * 32 for n in (0, 255))])
        changes: list[dict[str, Any]] = [
            {"operation": other},
            {"manifest": other},
            {"must": ("x",)},
            {"may": ("x", "y")},
            {"may": tuple(f"a{n:05}" for n in range(3000))},
            {"must": tuple(f"a{n:05}" for n in range(3000))},
        ]
        change = rng.choice(changes)
        from dsvc.store.ids import ObjectId

        put_head(backend, **{k: ObjectId(v) if isinstance(v, bytes) else v for k, v in change.items()})
        return Mutation(f"head: {str(change)[:80]}", backend)

    def manifest(self, rng: Random) -> Mutation:
        backend = copied(self.backend)
        value = manifest_of(backend)
        if rng.random() < 0.3:
            text, data = mutated(rng, codec.encode(value))
        else:
            text, new = mutated_value(rng, value)
            data = packed_as(rng, new)
        put_manifest(backend, data)
        return Mutation(f"manifest: {text}", backend)

    def segment(self, rng: Random) -> Mutation:
        backend = copied(self.backend)
        name = rng.choice(sorted(name for name in backend.held if name.startswith("index/")))
        texts = []

        def change(segment: Segment) -> None:
            texts.append(change_segment(rng, segment))

        put_segment(backend, name, change)
        return Mutation(f"segment: {texts}", backend)

    def rows_swapped(self, rng: Random) -> Mutation:
        """An object's row says what another's says, or something extreme."""
        backend = copied(self.backend)
        row, other = rng.sample(self.rows, 2)
        fields = {"offset": 32, "stored": 64, "raw": 64, "kind": 8, "codec": 8}
        if rng.random() < 0.3:
            put_row(backend, row.id, other.entry)
            return Mutation(f"row of {row.id.short()} as {other.id.short()}", backend)
        name = rng.choice(list(fields))
        value = extreme(rng, fields[name])
        put_row(backend, row.id, row.entry._replace(**{name: value}))
        return Mutation(f"row {Kind(row.entry.kind).name} {row.id.short()}: {name} {value}", backend)

    def pack_index(self, rng: Random) -> Mutation:
        backend = copied(self.backend)
        name = rng.choice(sorted(name for name in backend.held if name.startswith("packs/")))
        texts = []

        def change(index: bytes) -> bytes:
            text, new = mutated(rng, index)
            texts.append(text)
            return new

        put_pack_index(backend, name, change)
        return Mutation(f"pack index: {texts}", backend)

    def frame(self, rng: Random) -> Mutation:
        """A frame whose checksum and row are right, and whose payload or lengths are not."""
        backend = copied(self.backend)
        row = rng.choice(self.rows)
        entry = row.entry
        start = entry.offset + FRAME_OVERHEAD - 40
        payload = backend.held[row.pack][start : start + entry.stored]
        way = rng.randrange(7)
        if way == 0:
            text, payload = mutated(rng, payload)
            payload = payload[: entry.stored].ljust(entry.stored, b"\0")
        elif way == 1:
            text, entry = "codec", entry._replace(codec=rng.choice((0, 1, 2, 3, 255)))
        elif way == 2:
            text, entry = "kind", entry._replace(kind=rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 255)))
        elif way == 3:
            text, entry = "raw", entry._replace(raw=extreme(rng, 64))
        elif way == 4:
            payload = zstandard.compress(b"\0" * rng.choice((1 << 16, 1 << 20, 32 << 20, 64 << 20)))[: entry.stored]
            text, entry = "bomb", Entry(entry.offset, len(payload), 64 << 20, entry.kind, 1)
        elif way == 5:
            short = payload[: rng.randrange(len(payload) + 1)]
            text, payload, entry = "short", short, entry._replace(stored=len(short))
        else:
            other = rng.choice(self.rows)
            data = self.contents.objects[other.id][1][: entry.stored]
            text, payload, entry = "other", data, entry._replace(codec=0, raw=len(data), stored=len(data))
        put_frame(backend, row, entry, payload)
        return Mutation(f"frame {Kind(row.entry.kind).name} {row.id.short()}: {text} {entry}", backend)

    # ---- objects that fit

    def object_bytes(self, rng: Random) -> Mutation:
        target = rng.choice(self.structure)
        texts = []

        def change(data: bytes) -> bytes:
            text, new = mutated(rng, data)
            texts.append(text)
            return new

        backend = self.contents.forged(target, change)
        return Mutation(f"{self.contents.objects[target][0].name} {target.short()} bytes: {texts}", backend)

    def object_value(self, rng: Random) -> Mutation:
        target = rng.choice(self.structure)
        kind = self.contents.objects[target][0]
        texts = []

        def change(data: bytes) -> bytes:
            text, new = changed_object(rng, kind, data, self.contents)
            texts.append(text)
            return new

        backend = self.contents.forged(target, change)
        return Mutation(f"{kind.name} {target.short()}: {texts}", backend)


def extreme(rng: Random, bits: int) -> int:
    """A number of so many bits that nobody expects."""
    return rng.choice((*EXTREMES, rng.getrandbits(bits))) % (1 << bits)


def change_segment(rng: Random, segment: Segment) -> str:
    """Change one part of a segment."""
    way = rng.randrange(9)
    if way == 0:
        at = rng.randrange(len(segment.rows))
        segment.rows[at] = mutated(rng, segment.rows[at])[1][: ROW.size].ljust(ROW.size, b"\0")
    elif way == 1:
        segment.rows.insert(rng.randrange(len(segment.rows)), rng.choice(segment.rows))
        segment.foot[0] += 1
        segment.ends[-1] += 1
    elif way == 2:
        rng.shuffle(segment.rows)
    elif way == 3:
        at = rng.randrange(len(segment.rows))
        id, _, *rest = ROW.unpack(segment.rows[at])
        segment.rows[at] = ROW.pack(id, extreme(rng, 32), *rest)
    elif way == 4:
        at = rng.randrange(len(segment.packs))
        id, size, pack_class = PACK_LINE.unpack(segment.packs[at])
        wrong = rng.choice(
            ((id, extreme(rng, 64), pack_class), (id, size, rng.randrange(256)), (bytes(32), size, pack_class))
        )
        segment.packs[at] = PACK_LINE.pack(*wrong)
    elif way == 5:
        segment.ends[rng.randrange(len(segment.ends))] = extreme(rng, 32)
    elif way == 6:
        at = rng.randrange(3)
        segment.foot[at] = extreme(rng, (64, 32, 8)[at])
    elif way == 7:
        segment.packs *= 2
        segment.foot[1] *= 2
    else:
        del segment.rows[rng.randrange(len(segment.rows))]
        segment.foot[0] -= 1
    return f"way {way}"


def mutated(rng: Random, data: bytes) -> tuple[str, bytes]:
    """Bytes that are no more what they were."""
    if not data:
        return "from nothing", rng.randbytes(rng.randrange(1, 9))
    at = rng.randrange(len(data))
    end = rng.randrange(at, min(len(data), at + 64)) + 1
    way = rng.randrange(10)
    if way <= 2:
        return f"bit {at}", data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if way == 3:
        return f"truncated {at}", data[:at]
    if way == 4:
        return f"without {at}:{end}", data[:at] + data[end:]
    if way == 5:
        return f"twice {at}:{end}", data[:end] + data[at:]
    if way == 6:
        other = rng.randrange(len(data))
        return f"splice {at} {other}", data[:at] + data[other:]
    if way == 7:
        width = rng.choice("BHIQ")
        number = struct.pack(f">{width}", extreme(rng, 8 * struct.calcsize(width)))
        return f"length {at}", (data[:at] + number + data[at + len(number) :])[: max(len(data), at + len(number))]
    if way == 8:
        return f"noise {at}:{end}", data[:at] + rng.randbytes(end - at) + data[end:]
    return "more", data + rng.randbytes(rng.randrange(1, 40))


# ---- values of the codec


def changed_object(rng: Random, kind: Kind, data: bytes, contents: Contents) -> tuple[str, bytes]:
    """An object with something in it changed: of a leaf mostly a record."""
    value = codec.decode(data) if kind is not Kind.VALUE else None
    if kind is Kind.NODE and isinstance(value, list) and value[0] == 0 and value[1] and rng.random() < 0.85:
        _, keys, values = value
        at = rng.randrange(len(keys))
        if rng.random() < 0.2:
            keys[at] = rng.choice([*(name.encode() for name in NAMES), b"\xff\xfe", keys[at - 1], b"branch\0pets\0x"])
            if rng.random() < 0.7:
                keys.sort()
            return f"key {keys[at][:30]!r}", packed_as(rng, value)
        if isinstance(values[at], bytes):
            text, record = mutated_value(rng, codec.decode(values[at]), contents)
            values[at] = packed_as(rng, record)
            return f"record {keys[at][:30]!r} {text}", packed_as(rng, value)
    if kind is Kind.VALUE:
        value = codec.decode(data)
    text, new = mutated_value(rng, value, contents)
    return text, packed_as(rng, new)


def mutated_value(rng: Random, value: Any, contents: Contents | None = None) -> tuple[str, Any]:
    """A value with a part of it taken out, put in, doubled, or replaced by another."""
    places: list[tuple[Any, Any]] = []
    _gather(value, places)
    if not places:
        return "all", other_value(rng, value, contents)
    container, at = rng.choice(places)
    way = rng.randrange(10)
    if way == 0:
        del container[at]
        return f"without {at!r}"[:60], value
    if way == 1:
        if isinstance(container, list):
            container.insert(at, container[at])
        else:
            container[rng.choice(NAMES)] = container[at]
        return f"twice {at!r}"[:60], value
    if way == 2 and isinstance(container, dict):
        container[rng.choice((*NAMES, "media", "x", "!", "blob", "b", "p", "m", "commit"))] = other_value(
            rng, None, contents
        )
        return "new key", value
    if way == 3 and isinstance(container, list):
        rng.shuffle(container)
        return "shuffled", value
    new = other_value(rng, container[at], contents)
    container[at] = new
    return f"{at!r}: {new!r}"[:90], value


def _gather(value: Any, places: list[tuple[Any, Any]]) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, below in list(items):
        places.append((value, at))
        _gather(below, places)


def other_value(rng: Random, old: Any, contents: Contents | None) -> Any:
    """A value in place of another: mostly of another type, or near it."""
    way = rng.randrange(8)
    if way == 0 and isinstance(old, bytes):
        return mutated(rng, old)[1]
    if way == 1 and isinstance(old, int):
        return rng.choice((old + 1, -old, old * 2**30, *EXTREMES))
    if way <= 2 and contents is not None:
        return bytes(rng.choice(list(contents.objects)))
    if way == 3:
        return rng.choice(NAMES)
    if way == 4 and isinstance(old, str):
        return rng.choice(NAMES)
    if way == 5 and rng.random() < 0.1:
        deep: Any = []
        for _ in range(rng.choice((10, 62, 63, 64, 65, 500, 900))):
            deep = rng.choice(([deep], {"a": deep}))
        return deep
    return rng.choice(VALUES)


def packed_as(rng: Random, value: Any) -> bytes:
    """The encoding of a value; seldom one that is not canonical."""
    if rng.random() < 0.03:
        return bytes(msgpack.packb(value, use_single_float=True, default=lambda _: 0) if _small(value) else b"\xc1")
    try:
        return codec.encode(value)
    except (codec.EncodeError, UnicodeEncodeError):
        return bytes(msgpack.packb(str(value)[:1000]))


def _small(value: Any) -> bool:
    try:
        msgpack.packb(value, use_single_float=True)
    except (OverflowError, ValueError, TypeError):
        return False
    return True
