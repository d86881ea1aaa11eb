"""Blobs in chunks: stored once, read by range, verified, and hostile lists of them."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator

import pytest
from blake3 import blake3

from dsvc.errors import DamagedError, DsvcError, RefusedError, UnsupportedFormatError
from dsvc.store import codec, head
from dsvc.store.backend import Backend
from dsvc.store.chunklist import MAX_CHUNKS, ChunkList
from dsvc.store.cutting import BIG, MAX_CHUNK
from dsvc.store.frame import CHUNKED, RAW, Entry, Packed, frame_parts
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.staging import Staging
from dsvc.store.verify import verify
from dsvc.store.writer import ObjectWriter

MIB = 1 << 20
BLOB = blake3(b"dsvc").digest(length=20 * MIB)
ID = object_id(Kind.BLOB, BLOB)
LIST = "6db54a17d5902f9b1b805f25350fa557f1dcf55c577ab73ae48f3c225547b7ff"


class Counting(MemoryBackend):
    """Counts the bytes that are read of packs."""

    read_of_packs = 0

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        data = super().read(name, offset, length)
        self.read_of_packs += len(data) * name.startswith("packs/")
        return data


def pieces(data: bytes, size: int = 1_000_000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def finish(writer: ObjectWriter, name: bytes = b"op") -> None:
    writer.publish(writer.put(Kind.OPERATION, name))


def store_blob(backend: Backend, data: bytes = BLOB, name: bytes = b"op") -> ObjectStore:
    store = ObjectStore(backend)
    with store.writer() as writer:
        writer.put_blob(pieces(data), len(data))
        finish(writer, name)
    return store


def problems(store: ObjectStore) -> list[str]:
    return [found.message for found in verify(store) if found.problem != "orphan"]


def stored(backend: Backend) -> int:
    return sum(backend.size(name) for name in backend.names())


def test_a_big_blob_is_a_list_of_blobs(backend: Backend) -> None:
    store = store_blob(backend)
    chunks = store.chunks(ID)
    assert len(chunks) == 22 and ID not in chunks
    assert b"".join(store.get(chunk, Kind.BLOB) for chunk in chunks) == BLOB
    assert store.get(ID, Kind.BLOB) == BLOB == b"".join(store.open_blob(ID))
    assert store.blob_size(ID) == len(BLOB) and store.has(ID, Kind.BLOB)
    assert problems(store) == []
    listed = store.chunk_list(ID)
    assert listed is not None
    assert str(listed.id) == LIST == str(store.writer().list_id(ID))


def test_up_to_16_mib_a_blob_lies_whole() -> None:
    store = store_blob(MemoryBackend(), BLOB[:BIG])
    assert store.chunks(object_id(Kind.BLOB, BLOB[:BIG])) == ()
    assert "chunked" not in store.head.must


@pytest.mark.parametrize("kind", ["put", "put_blob"])
def test_however_it_comes_it_lies_in_the_same_chunks(kind: str) -> None:
    backend = MemoryBackend()
    store = ObjectStore(backend)
    with store.writer() as writer:
        id = writer.put(Kind.BLOB, BLOB) if kind == "put" else writer.put_blob((BLOB,), len(BLOB))
        assert id == ID and writer.has(ID, Kind.BLOB) and writer.blob_size(ID) == len(BLOB)
        assert writer.get(ID, Kind.BLOB) == b"".join(writer.open_blob(ID)) == BLOB
        assert str(writer.list_id(ID)) == LIST
        finish(writer)
    assert len(store.chunks(ID)) == 22


EDITS = {
    "a byte inserted in the middle": BLOB[: 9 * MIB] + b"!" + BLOB[9 * MIB :],
    "a byte inserted at the start": b"!" + BLOB,
    "a byte put at the end": BLOB + b"!",
    "a byte changed": BLOB[: 9 * MIB] + bytes([BLOB[9 * MIB] ^ 1]) + BLOB[9 * MIB + 1 :],
    "100 kB removed at the start": BLOB[100_000:],
    "100 kB removed in the middle": BLOB[: 7 * MIB] + BLOB[7 * MIB + 100_000 :],
    "100 kB removed at the end": BLOB[:-100_000],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_adds_a_few_chunks(edit: str) -> None:
    backend = MemoryBackend()
    store_blob(backend)
    before = stored(backend)
    data = EDITS[edit]
    store = store_blob(backend, data, b"two")
    assert stored(backend) - before < 4 * MIB
    assert store.get(object_id(Kind.BLOB, data), Kind.BLOB) == data and store.get(ID, Kind.BLOB) == BLOB
    assert problems(store) == []


def test_a_range_reads_only_the_chunks_that_cover_it() -> None:
    backend = Counting()
    store_blob(backend)
    store = ObjectStore(backend)
    store.chunks(ID)
    for start, length in ((0, 10), (9 * MIB, MIB), (len(BLOB) - 5, 100), (len(BLOB), 5), (5, 0)):
        backend.read_of_packs = 0
        assert store.read_blob(ID, start, length) == BLOB[start : start + length]
        assert backend.read_of_packs < length + 3 * MIB
    for _ in range(20):
        start = random.Random(1).randrange(len(BLOB))
        assert store.read_blob(ID, start, 300_000) == BLOB[start : start + 300_000]
    with pytest.raises(ValueError):
        store.read_blob(ID, -1, 5)


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_a_range_of_a_blob_that_lies_whole(size: int) -> None:
    store = store_blob(MemoryBackend(), BLOB[:size])
    id = object_id(Kind.BLOB, BLOB[:size])
    for start, length in ((0, 4), (size // 2, size), (size - size // 3, size), (size + 1, 3)):
        assert store.read_blob(id, start, length) == BLOB[:size][start : start + length]


def test_a_range_of_damaged_chunks_is_refused_and_others_are_read() -> None:
    backend = MemoryBackend()
    store = store_blob(backend)
    name = max(backend.names("packs/"), key=backend.size)
    data = bytearray(backend.held[name])
    data[10 * MIB] ^= 1
    backend.held[name] = bytes(data)
    with pytest.raises(DamagedError, match=f"blob {ID} is incomplete: blob .* is damaged"):
        store.read_blob(ID, 9 * MIB, 2 * MIB)
    assert store.read_blob(ID, 2 * MIB, 5 * MIB) == BLOB[2 * MIB : 7 * MIB]


def test_the_same_blob_again_keeps_nothing_new(backend: Backend) -> None:
    store_blob(backend)
    before = stored(backend)
    store = store_blob(backend, BLOB, b"two")
    assert stored(backend) < before + 2000
    assert problems(store) == []


# ---- what other programs see


def test_the_head_says_that_chunks_must_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MemoryBackend()
    store = store_blob(backend)
    assert store.head.must == ("chunked",)
    with store.writer() as writer:
        finish(writer, b"two")
    assert store.head.must == ("chunked",)
    monkeypatch.setattr(head, "KNOWN_FEATURES", frozenset())
    with pytest.raises(UnsupportedFormatError, match="needs the feature chunked"):
        ObjectStore(backend).get(ID, Kind.BLOB)


def whole_frame(store: ObjectStore, data: bytes = BLOB) -> None:
    """Store a big blob in one frame, as was done before there were chunks."""
    id = object_id(Kind.BLOB, data)
    entry = Entry(0, len(data), len(data), Kind.BLOB, RAW)
    with store.writer() as writer:
        writer.put_packed(Packed(id, entry, b"".join(frame_parts(id, Kind.BLOB, RAW, len(data), data)), data))
        finish(writer, b"old")


def test_a_big_blob_in_one_frame_stays_as_it_is(backend: Backend) -> None:
    store = ObjectStore(backend)
    whole_frame(store)
    before = stored(backend)
    assert (
        store.chunks(ID) == ()
        and store.writer().list_id(ID) is None
        and store.get(ID, Kind.BLOB) == BLOB == b"".join(store.open_blob(ID))
    )
    assert store.read_blob(ID, 5 * MIB, 100) == BLOB[5 * MIB : 5 * MIB + 100]
    store_blob(backend, BLOB, b"again")
    assert stored(backend) < before + 2000
    assert problems(ObjectStore(backend)) == []


def test_a_stream_that_breaks_off_leaves_nothing(backend: Backend) -> None:
    store = ObjectStore(backend)

    def broken() -> Iterator[bytes]:
        yield BLOB
        raise RefusedError("the file went away")

    with store.writer() as writer:
        writer.put(Kind.BLOB, b"before")
        with pytest.raises(RefusedError, match="went away"):
            writer.put_blob(broken(), len(BLOB))
        with pytest.raises(RefusedError, match="announced"):
            writer.put_blob(pieces(BLOB), len(BLOB) + 1)
        finish(writer)
    first = object_id(Kind.BLOB, BLOB[:1250950])
    assert not store.has(first) and not store.has(ID) and store.has(object_id(Kind.BLOB, b"before"))
    assert problems(store) == []


def test_packs_of_a_blob_that_is_known_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsvc.store.pack.PACK_TARGET", 4 * MIB)
    backend = MemoryBackend()
    store = ObjectStore(backend)
    whole_frame(store)
    before = stored(backend)
    with store.writer() as writer:
        writer.put_blob(pieces(BLOB), len(BLOB))
        finish(writer)
    assert stored(backend) < before + 2000
    assert not list(verify(store))


def test_what_lay_beside_a_blob_that_is_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pack", "staging"):
        monkeypatch.setattr(f"dsvc.store.{module}.PACK_TARGET", 22 * MIB)
    backend = MemoryBackend()
    store = ObjectStore(backend)
    whole_frame(store)
    with store.writer() as writer:
        small = [writer.put(Kind.BLOB, BLOB[:at]) for at in (9, 3 * MIB)]
        writer.put_blob(pieces(BLOB), len(BLOB))
        finish(writer)
    sizes = [backend.size(name) for name in backend.names("packs/")]
    assert max(sizes) < len(BLOB) + 2000 and sum(sizes) < 24 * MIB  # nothing of the chunks is left
    assert [store.get(id, Kind.BLOB) for id in small] == [BLOB[:9], BLOB[: 3 * MIB]] and not list(verify(store))


def test_forgetting_keeps_what_else_lies_in_a_pack() -> None:
    staging = Staging(MemoryBackend())
    for data in (b"one", b"two"):
        staging.put(object_id(Kind.BLOB, data), Kind.BLOB, data)
    staging.forget([object_id(Kind.BLOB, b"two"), object_id(Kind.BLOB, b"three")])
    assert list(staging.objects) == [object_id(Kind.BLOB, b"one")] and len(staging.finish()) == 1


def test_chunks_travel_as_they_are() -> None:
    source, target = store_blob(MemoryBackend()), ObjectStore(MemoryBackend())
    assert source.get_packed(ID, Kind.BLOB, BIG) is None
    with target.writer() as writer:
        for id in (*source.chunks(ID), ID):
            packed = source.get_packed(id, Kind.BLOB)
            assert packed is not None
            writer.put_packed(packed)
        assert writer.get(ID, Kind.BLOB) == BLOB
        finish(writer)
    assert target.get(ID, Kind.BLOB) == BLOB and target.head.must == ("chunked",)
    assert problems(target) == []


# ---- lists that nobody should have written


def list_of(*chunks: bytes) -> bytes:
    return ChunkList(b"".join(object_id(Kind.BLOB, chunk) for chunk in chunks), map(len, chunks)).encode()


def put_list(store: ObjectStore, payload: bytes, raw: int, *chunks: bytes, kind: Kind = Kind.BLOB) -> None:
    entry = Entry(0, len(payload), raw, kind, CHUNKED)
    frame = b"".join(frame_parts(ID, kind, CHUNKED, raw, payload))
    with store.writer() as writer:
        for chunk in chunks:
            writer.put(Kind.BLOB, chunk)
        writer.put_packed(Packed(ID, entry, frame, b""))
        finish(writer, b"hostile")


PARTS = [BLOB[at : at + 4 * MIB] for at in range(0, len(BLOB), 4 * MIB)]
IDS = b"".join(object_id(Kind.BLOB, part) for part in PARTS)


def packed_lengths(*lengths: int) -> bytes:
    return struct.pack(f">{len(lengths)}I", *lengths)


BAD = {
    "no list": b"nonsense",
    "no map": codec.encode([1]),
    "other keys": codec.encode({"ids": IDS, "lengths": packed_lengths(*[4 * MIB] * 5), "more": 1}),
    "text": codec.encode({"ids": "a", "lengths": "b"}),
    "nothing": codec.encode({"ids": b"", "lengths": b""}),
    "cut short": list_of(*PARTS)[:-1],
    "not canonical": list_of(*PARTS).replace(b"\xc4\x14", b"\xc5\0\x14"),
    "fewer ids": codec.encode({"ids": IDS[:-32], "lengths": packed_lengths(*[4 * MIB] * 5)}),
    "half a length": codec.encode({"ids": IDS, "lengths": packed_lengths(*[4 * MIB] * 5)[:-1]}),
    "a chunk of nothing": codec.encode({"ids": IDS, "lengths": packed_lengths(*[4 * MIB] * 4, 0)}),
    "a huge chunk": codec.encode({"ids": IDS, "lengths": packed_lengths(*[4 * MIB] * 4, MAX_CHUNK + 1)}),
    "too small": list_of(*PARTS[:4]),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_list_that_no_blob_has_is_damage(bad: str) -> None:
    store = ObjectStore(MemoryBackend())
    put_list(store, BAD[bad], len(BLOB), *PARTS)
    for read in (
        lambda: store.get(ID, Kind.BLOB),
        lambda: store.chunks(ID),
        lambda: list(store.open_blob(ID)),
        lambda: store.read_blob(ID, 0, 5),
        lambda: store.get_packed(ID, Kind.BLOB),
    ):
        with pytest.raises(DamagedError, match=f"blob {ID} in pack .* is damaged"):
            read()
    assert any(str(ID) in text for text in problems(store))


def test_lengths_that_do_not_add_up_are_damage() -> None:
    store = ObjectStore(MemoryBackend())
    put_list(store, list_of(*PARTS), len(BLOB) + 1, *PARTS)
    with pytest.raises(DamagedError, match="do not add up"):
        store.chunks(ID)


def test_a_list_of_another_kind_is_damage() -> None:
    store = ObjectStore(MemoryBackend())
    put_list(store, list_of(*PARTS), len(BLOB), *PARTS, kind=Kind.NODE)
    with pytest.raises(DamagedError):
        store.get(ID, Kind.NODE)


def test_chunks_that_make_up_something_else_are_noticed() -> None:
    store = ObjectStore(MemoryBackend())
    put_list(store, list_of(*PARTS[::-1]), len(BLOB), *PARTS)
    with pytest.raises(DamagedError, match="together do not hash to its id"):
        store.get(ID, Kind.BLOB)
    assert problems(store) == [f"blob {ID} is damaged: its chunks together do not hash to its id"]


def test_a_wrong_list_gives_way_to_the_right_one() -> None:
    """Whoever put it there has not kept the file itself from being stored."""
    backend = MemoryBackend()
    store = ObjectStore(backend)
    put_list(store, list_of(*PARTS[::-1]), len(BLOB), *PARTS)
    store = store_blob(backend)
    assert ObjectStore(backend).get(ID, Kind.BLOB) == BLOB and problems(store) == []


@pytest.mark.parametrize("off", [-1, 1])
def test_a_chunk_of_another_length_is_damage(off: int) -> None:
    store = ObjectStore(MemoryBackend())
    lengths = [4 * MIB] * 5
    lengths[2] = 3 * MIB
    lengths[3] = 3 * MIB + off
    chunks = [PARTS[0], PARTS[1], PARTS[2][: 3 * MIB], PARTS[3][: 3 * MIB], PARTS[4]]
    ids = b"".join(object_id(Kind.BLOB, chunk) for chunk in chunks)
    put_list(store, codec.encode({"ids": ids, "lengths": packed_lengths(*lengths)}), sum(lengths), *chunks)
    with pytest.raises(DamagedError, match=f"blob {ID} is damaged: chunk .* has another length"):
        list(store.open_blob(ID))
    assert problems(store)


def test_a_list_that_names_itself_ends() -> None:
    store = ObjectStore(MemoryBackend())
    payload = codec.encode({"ids": bytes(ID) * 5, "lengths": packed_lengths(*[4 * MIB] * 5)})
    put_list(store, payload, 20 * MIB)
    for read in (lambda: store.get(ID, Kind.BLOB), lambda: store.read_blob(ID, 0, 9)):
        with pytest.raises(DamagedError, match="has another length"):
            read()
    assert problems(store)


def test_missing_chunks_are_named() -> None:
    store = ObjectStore(MemoryBackend())
    put_list(store, list_of(*PARTS), len(BLOB), *PARTS[:3])
    with pytest.raises(DamagedError, match=f"blob {ID} is incomplete: blob .* is missing"):
        store.get(ID, Kind.BLOB)
    assert store.read_blob(ID, 0, 100) == BLOB[:100]
    (text,) = problems(store)
    assert text.startswith(f"blob {ID} lacks 2 of its chunks")


def test_copies_of_one_chunk_by_the_hundred_thousand_cost_no_memory() -> None:
    store = ObjectStore(MemoryBackend())
    count = MAX_CHUNKS // 5
    payload = codec.encode({"ids": IDS[:32] * count, "lengths": packed_lengths(*[4 * MIB] * count)})
    put_list(store, payload, count * 4 * MIB, PARTS[0])
    assert store.chunks(ID) == (object_id(Kind.BLOB, PARTS[0]),)
    assert store.read_blob(ID, 4 * MIB * (count - 1), 10) == BLOB[:10]
    stream = store.open_blob(ID)
    assert next(stream) == next(stream) == PARTS[0]


def test_more_chunks_than_a_list_may_have_are_refused() -> None:
    with pytest.raises(RefusedError, match="more than 1,500,000 chunks"):
        ChunkList(b"", [1] * (MAX_CHUNKS + 1)).encode()
    payload = codec.encode({"ids": bytes(32) * (MAX_CHUNKS + 1), "lengths": packed_lengths(*[MIB] * (MAX_CHUNKS + 1))})
    with pytest.raises(DamagedError):
        ChunkList.decode(payload)


def test_any_change_of_a_list_is_damage_or_another_list() -> None:
    """Whatever is read is what the codec makes of it, and so has one encoding."""
    rng, payload = random.Random(3), list_of(*PARTS)
    for _ in range(3000):
        data = bytearray(payload)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.choice((0, 1, 1, 2))] = rng.choice(
                (b"", b"\xc4", b"\xc6\xff\xff\xff\xff", rng.randbytes(1))
            )
        try:
            chunks = ChunkList.decode(bytes(data))
        except DamagedError:
            continue
        assert chunks.encode() == data and codec.decode(data)["ids"] == b"".join(chunks.ids())


def test_what_unfolds_to_much_is_not_unpacked() -> None:
    payload = b"\x82\xa3ids\xdd\x03\xff\xff\x00" + b"\xc0" * (60 * MIB)
    tracemalloc.start()
    with pytest.raises(DamagedError):
        ChunkList.decode(payload)
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_a_list_that_claims_to_be_long_is_not_read() -> None:
    backend = Counting()
    store = ObjectStore(backend)
    put_list(store, bytes(65 * MIB), len(BLOB))
    backend.read_of_packs = 0
    with pytest.raises(DsvcError, match="list of chunks is too long"):
        store.get(ID, Kind.BLOB)
    assert backend.read_of_packs == 0


def test_a_part_of_a_list_is_found() -> None:
    chunks = ChunkList(b"".join(bytes([n]) * 32 for n in range(5)), [MIB, 2 * MIB, 3 * MIB, 4 * MIB, 10 * MIB])
    assert chunks.size == 20 * MIB and len(chunks) == 5
    assert [(part.id[0], part.start, part.stop) for part in chunks.parts(MIB - 1, 2)] == [(0, MIB - 1, MIB), (1, 0, 1)]
    assert [part.id[0] for part in chunks.parts(3 * MIB)] == [2, 3, 4]
    assert [part.id for part in chunks.parts(6 * MIB, 1)] == [ObjectId(b"\3" * 32)]
    assert not list(chunks.parts(20 * MIB)) and not list(chunks.parts(5, 0))
