"""Rewriting packs: what is dropped is in no file any more, all else stays, and a crash anywhere loses nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsvc.errors import DamagedError
from dsvc.store.backend import Backend
from dsvc.store.frame import RAW, Entry, Packed, frame_parts
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.local import LocalBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.rewrite import find_orphans, rewrite
from dsvc.store.verify import verify

from .test_crash import Disk, RecordingFiles, lay_out

SECRET = b"a face" + os.urandom(40)


def fill(store: ObjectStore, transactions: int = 5) -> dict[ObjectId, tuple[Kind, bytes]]:
    """Several transactions of small objects; the secret is in the third."""
    held: dict[ObjectId, tuple[Kind, bytes]] = {}
    for number in range(transactions):
        with store.writer() as writer:
            for at in range(6 if number % 2 else 2):
                kind, data = Kind.BLOB if at % 2 else Kind.NODE, os.urandom(50)
                held[writer.put(kind, data)] = (kind, data)
            if number == 2:
                held[writer.put(Kind.BLOB, SECRET)] = (Kind.BLOB, SECRET)
            data = b"op %d" % number
            id = writer.put(Kind.OPERATION, data)
            held[id] = (Kind.OPERATION, data)
            writer.publish(id)
    return held


def secret() -> ObjectId:
    return object_id(Kind.BLOB, SECRET)


def holds(backend: Backend, data: bytes) -> list[str]:
    return [name for name in backend.names() if data in backend.read(name)]


def whole(store: ObjectStore, held: dict[ObjectId, tuple[Kind, bytes]]) -> None:
    assert [found for found in verify(store) if found.problem != "orphan"] == []
    for id, (kind, data) in held.items():
        assert store.get(id, kind) == data


def test_what_is_dropped_is_in_no_file(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    held = fill(store)
    before = store.head
    done = rewrite(store, lambda id, _: id == secret(), gaps=True)
    assert (done.objects, done.packs) == (1, 1) and done.bytes > len(SECRET)
    assert store.head.operation == before.operation and store.head.manifest != before.manifest
    assert holds(backend, SECRET) == [] and not store.has(secret())
    del held[secret()]
    whole(ObjectStore(backend), held)
    assert list(verify(store)) == []  # no orphan either
    assert rewrite(store, lambda id, _: id == secret(), gaps=True).packs == 0
    assert fill(store, 2) and not store.has(secret())


def test_all_of_a_segment_may_go(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    with store.writer() as writer:
        operation = writer.put(Kind.OPERATION, b"op")
        writer.publish(operation)
    with store.writer() as writer:
        writer.put(Kind.BLOB, SECRET)
        writer.publish(operation)
    assert rewrite(store, lambda id, _: id == secret()).objects == 1
    assert list(verify(store)) == [] and holds(backend, SECRET) == []


def test_gaps_and_frames_that_no_row_names(backend: Backend) -> None:
    """A stream of what was known in one frame already leaves its chunks in the pack that grows."""
    store, big = ObjectStore.create(backend), SECRET + bytes(17 << 20)
    id, entry = object_id(Kind.BLOB, big), Entry(0, len(big), len(big), Kind.BLOB, RAW)
    with store.writer() as writer:
        writer.put_packed(Packed(id, entry, b"".join(frame_parts(id, Kind.BLOB, RAW, len(big), big)), big))
        writer.publish(writer.put(Kind.OPERATION, b"one"))
    with store.writer() as writer:
        other = writer.put(Kind.BLOB, b"other")
        assert writer.put_blob([big], len(big)) == id
        writer.publish(writer.put(Kind.OPERATION, b"two"))
    gone = {id, *store.chunks(id)}
    rewrite(store, lambda found, _: found in gone, gaps=True)
    assert holds(backend, SECRET) == [] and store.get(other, Kind.BLOB) == b"other"
    assert list(verify(store)) == []


def test_a_big_blob_goes_with_its_chunks(backend: Backend) -> None:
    store, big = ObjectStore.create(backend), SECRET + bytes(17 << 20)
    with store.writer() as writer:
        id = writer.put_blob([big], len(big))
        other = writer.put(Kind.BLOB, b"other")
        writer.publish(writer.put(Kind.OPERATION, b"one"))
    gone = {id, *store.chunks(id)}
    assert len(gone) > 2
    rewrite(store, lambda found, _: found in gone, gaps=True)
    assert holds(backend, SECRET) == [] and store.get(other, Kind.BLOB) == b"other"
    assert list(verify(store)) == [] and not any(store.has(one) for one in gone)


@pytest.mark.parametrize("cut", [False, True])
def test_damaged_neighbours_are_kept_as_they_are(tmp_path: Path, cut: bool) -> None:
    store = ObjectStore.create(LocalBackend(tmp_path))
    with store.writer() as writer:
        writer.put(Kind.BLOB, SECRET)
        hurt, fine = writer.put(Kind.BLOB, b"h" * 100), writer.put(Kind.BLOB, b"fine")
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    found = store.state.catalog.find(hurt)
    assert found is not None
    path = tmp_path / found.pack.name
    data = bytearray(path.read_bytes())
    data[found.entry.offset + 25] ^= 1
    path.write_bytes(data[: found.entry.offset + 30] if cut else data)
    store = ObjectStore(LocalBackend(tmp_path))
    rewrite(store, lambda id, _: id == secret(), gaps=True)
    assert holds(store.backend, SECRET) == []
    with pytest.raises(DamagedError, match="is damaged"):
        store.get(hurt, Kind.BLOB)
    if not cut:
        assert store.get(fine, Kind.BLOB) == b"fine"


def test_orphans_are_found_by_their_own_indexes(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    fill(store)
    found = store.state.catalog.find(secret())
    assert found is not None
    data = backend.read(found.pack.name)
    rewrite(store, lambda id, _: id == secret())
    upload = backend.create()
    upload.write(data)
    upload.finish(found.pack.name)
    assert find_orphans(store, [secret()]) == [found.pack.name]
    assert find_orphans(store, [store.head.operation]) == []


def test_another_writer_came_first(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = ObjectStore.create(backend), ObjectStore(backend)
    held = fill(store)
    swap, late = type(backend).swap_head, []

    def interrupted(self: Backend, expected: bytes | None, new: bytes) -> bool:
        if not late:
            late.append(True)
            held.update(fill(other, 1))
        return swap(self, expected, new)

    monkeypatch.setattr(type(backend), "swap_head", interrupted)
    rewrite(store, lambda id, _: id == secret(), gaps=True)
    del held[secret()]
    whole(ObjectStore(backend), held)
    assert holds(backend, SECRET) == []
    assert [found for found in verify(store) if found.message.startswith(("packs/", "index/"))] == []


def test_every_power_cut_leaves_all_else(tmp_path: Path) -> None:
    base = tmp_path / "recorded"
    base.mkdir()
    files = RecordingFiles(base)
    store = ObjectStore.create(LocalBackend(base / "dsvc", files))
    held = fill(store)
    del held[secret()]
    mark = len(files.log)
    rewrite(store, lambda id, _: id == secret(), gaps=True)
    disk, count = Disk(), 0
    for number, call in enumerate(files.log):
        disk.apply(call)
        for outcome in disk.outcomes() if number >= mark - 1 else ():
            count += 1
            backend = lay_out(tmp_path / f"{count}", outcome)
            after = ObjectStore(backend)
            whole(after, held)
            rewrite(after, lambda id, _: id == secret(), gaps=True)
            backend.delete_all(find_orphans(after, [secret()]))
            assert [name for name in holds(backend, SECRET) if not name.startswith("tmp/")] == []
            whole(ObjectStore(backend), held)
    assert count > 30
