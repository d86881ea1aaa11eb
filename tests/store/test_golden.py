"""Format 1, pinned: a change that breaks one of these breaks every repository there is."""

from __future__ import annotations

import hashlib

import pytest

from dsvc.store import codec
from dsvc.store.frame import ZSTD, Entry, frame_parts, open_frame
from dsvc.store.head import Head
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.index import Segment, pack_row, segment_name, write_segment
from dsvc.store.manifest import Manifest
from dsvc.store.memory import MemoryBackend
from dsvc.store.pack import PackClass, PackInfo, PackWriter, pack_name, read_pack_index

SAMPLE = {
    "text": "naïve 🐈",
    "numbers": [0, 127, 128, -32, -33, 65535, 65536, 2**32, 2**63, -(2**63), 1.5, -0.0],
    "big": [2**64, -(2**63) - 1, 10**30],
    "bytes": b"\x00\xff",
    "nested": {"b": None, "a": [True, False, {}, []]},
    "long": "x" * 40,
}
# Too short to compress, so that the bytes don't depend on the version of zstd.
OBJECTS = [(kind, b"<%d>" % kind) for kind in Kind if kind is not Kind.BLOB]
# `zstd -3` of b"dsvc " * 20, written once and read for ever.
ZSTD_PAYLOAD = bytes.fromhex("28b52ffd206465000028647376632001008ca96801")


def build() -> tuple[MemoryBackend, PackInfo, Manifest, Head]:
    backend = MemoryBackend()
    writer = PackWriter(backend, PackClass.STRUCTURE, nonce=bytes(range(16)))
    entries = {}
    for kind, data in OBJECTS:
        id = object_id(kind, data)
        entries[id] = writer.append(id, kind, data)
    pack = writer.finish()
    rows = sorted(pack_row(id, 0, entry) for id, entry in entries.items())
    manifest = Manifest((write_segment(backend, rows, len(rows), [pack]),))
    return backend, pack, manifest, Head(object_id(Kind.OPERATION, b"<5>"), manifest.id, (), ("example",))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def made() -> dict[str, str]:
    backend, pack, manifest, head = build()
    ids = {f"id of {kind.name.lower()}": object_id(kind, b"dsvc").hex() for kind in Kind}
    segment = manifest.segments[0]
    return {
        **ids,
        "codec": codec.encode(SAMPLE).hex(),
        "pack id": pack.id.hex(),
        "pack": sha(backend.read(pack_name(pack.id))),
        "segment id": segment.id.hex(),
        "segment": sha(backend.read(segment_name(segment.id))),
        "manifest id": manifest.id.hex(),
        "manifest": manifest.encode().hex(),
        "head": sha(head.encode()),
    }


GOLDEN = {
    "id of blob": "b6481ea326bc506ce639c2ee8d993dd8db2af4a3ac07decf41fa63e8407cb1b2",
    "id of node": "9c742c399e8851d6c956d1b53d27a4a2fe2eae975943f01dc77bda9f19a80b07",
    "id of value": "d3c7ac75f1b29bc30f3ea956497a6cb7f55ff6b01819b6e7bd89321194a397a3",
    "id of snapshot": "dc1c8b3042709a3a20ad6dd73656e315a66c5df8116904c218cd8e85a8fe565c",
    "id of commit": "4601d07565d4a82af502059cb8e1ec5081b8522ac0543b68745250d0090f5489",
    "id of operation": "9ffb414c9c2168ad5522e428cd9986e79023b6328411b4f5729701bb9dd8dc97",
    "codec": (
        "86a362696793c70901010000000000000000c70901ff7fffffffffffffffc70d010c9f2c9cd04674edea40000000a562"
        "79746573c40200ffa46c6f6e67d928787878787878787878787878787878787878787878787878787878787878787878"
        "78787878787878a66e657374656482a16194c3c28090a162c0a76e756d626572739c007fcc80e0d0dfcdffffce000100"
        "00cf0000000100000000cf8000000000000000d38000000000000000cb3ff8000000000000cb8000000000000000a474"
        "657874ab6e61c3af766520f09f9088"
    ),
    "pack id": "ddc95cc924da27ba4cc87b6197719cf1fe917a4c9a250f1c764e20571b175c8a",
    "pack": "998695bacf0672eb38e7af5c4c6acdbab950cb6b4e8c19e0bb782b95c7fe0fb4",
    "segment id": "ea090cda441c327fead37b18660a627168c52dc4fbafd7978d841ad024d4abe2",
    "segment": "35f3ccb8c65bfdc2d079d9f4d46c43d266c5dae80e7ef4467df42dd593fc0f1c",
    "manifest id": "fdcec39d9ba13b5ee3be84522dde06b42372a8d66bce87b7b4143ff6cca1bd64",
    "manifest": (
        "82a6666f726d617401a87365676d656e74739183a56279746573cd0184a26964c420ea090cda441c327fead37b18660a"
        "627168c52dc4fbafd7978d841ad024d4abe2a4726f777305"
    ),
    "head": "b892feb08cc0e805b811ca2adeecd6d5238c11130f11ff0bf92ed155c6cd1d9b",
}


@pytest.mark.parametrize("what", GOLDEN)
def test_the_bytes_of_format_1(what: str) -> None:
    assert made()[what] == GOLDEN[what]


def test_everything_made_is_pinned() -> None:
    assert made().keys() == GOLDEN.keys()


def test_a_blobs_id_is_what_b3sum_prints() -> None:
    assert object_id(Kind.BLOB, b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def test_the_head_reads_as_text() -> None:
    _, _, manifest, head = build()
    assert head.encode().decode().splitlines()[:-1] == [
        "dsvc 1",
        "must",
        "may example",
        f"operation {object_id(Kind.OPERATION, b'<5>')}",
        f"manifest {manifest.id}",
    ]


def test_a_compressed_frame_of_old_is_read() -> None:
    data = b"dsvc " * 20
    id = object_id(Kind.NODE, data)
    frame = b"".join(frame_parts(id, Kind.NODE, ZSTD, len(data), ZSTD_PAYLOAD))
    assert open_frame(frame, id, Entry(0, len(ZSTD_PAYLOAD), len(data), Kind.NODE, ZSTD), "here") == data


def test_the_pinned_files_are_read_back() -> None:
    backend, pack, manifest, _ = build()
    assert [id for id, _ in read_pack_index(backend, pack)] == sorted(object_id(*made) for made in OBJECTS)
    segment = Segment(backend, manifest.segments[0])
    segment.check_whole()
    for kind, data in OBJECTS:
        row = segment.find(object_id(kind, data))
        assert row is not None
        frame = backend.read(pack.name, row.entry.offset, row.entry.length)
        assert open_frame(frame, object_id(kind, data), row.entry, "here") == data
    assert segment.find(ObjectId(bytes(32))) is None
