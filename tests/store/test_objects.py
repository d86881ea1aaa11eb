"""The object store: transactions, deduplication, races, streams."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsvc.errors import DamagedError, NotRepositoryError, RefusedError
from dsvc.store.backend import Backend
from dsvc.store.head import HeadMovedError, RemovedError
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.local import LocalBackend
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.verify import verify


def publish(store: ObjectStore, *objects: tuple[Kind, bytes], operation: bytes = b"op") -> list[ObjectId]:
    with store.writer() as writer:
        ids = [writer.put(kind, data) for kind, data in objects]
        writer.publish(writer.put(Kind.OPERATION, operation))
    return ids


def problems(store: ObjectStore) -> list[str]:
    return [found.message for found in verify(store) if found.problem != "orphan"]


def orphans(store: ObjectStore) -> list[str]:
    return [found.message for found in verify(store) if found.problem == "orphan"]


def pieces(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def test_a_new_place_has_no_head(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    with pytest.raises(NotRepositoryError):
        _ = store.head
    assert not store.has(object_id(Kind.BLOB, b"x"))


def test_create_refuses_a_second_repository(backend: Backend) -> None:
    publish(ObjectStore.create(backend))
    with pytest.raises(RefusedError):
        ObjectStore.create(backend)


def test_objects_come_back_in_a_new_process(backend: Backend) -> None:
    objects = [(kind, b"%d %s" % (n, kind.name.encode()) * n) for kind in Kind for n in range(50)]
    ids = publish(ObjectStore.create(backend), *objects)
    store = ObjectStore(backend)
    for id, (kind, data) in zip(ids, objects, strict=True):
        assert store.get(id, kind) == data
    assert store.head.operation == object_id(Kind.OPERATION, b"op")
    assert problems(store) == []
    assert orphans(store) == []


def test_staged_objects_are_readable_before_publish(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    blobs = [random.Random(n).randbytes(60_000) for n in range(100)]
    with store.writer() as writer:
        ids = [writer.put(Kind.BLOB, blob) for blob in blobs]
        for id, blob in zip(ids, blobs, strict=True):
            assert writer.has(id)
            assert writer.get(id, Kind.BLOB) == blob
            assert writer.blob_size(id) == 60_000
            assert b"".join(writer.open_blob(id)) == blob
        with pytest.raises(NotRepositoryError):
            _ = store.head
    assert backend.names() == []


def test_an_error_in_the_body_leaves_nothing(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    with pytest.raises(ZeroDivisionError), store.writer() as writer:
        for n in range(1000):
            writer.put(Kind.BLOB, random.Random(n).randbytes(70_000))
        _ = 1 // 0
    assert backend.names() == []


def test_equal_objects_are_stored_once(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    blob = random.Random(1).randbytes(50_000)
    publish(store, (Kind.BLOB, blob), (Kind.BLOB, blob))
    before = sum(backend.size(name) for name in backend.names())
    publish(store, (Kind.BLOB, blob), operation=b"op2")
    assert sum(backend.size(name) for name in backend.names()) < before + 1000


def test_objects_move_to_another_store_in_their_frames(backend: Backend) -> None:
    objects = [
        (Kind.BLOB, b"text " * 9000),
        (Kind.BLOB, random.Random(7).randbytes(70_000)),
        (Kind.BLOB, b""),
        (Kind.NODE, b"node" * 40),
        (Kind.COMMIT, b"x"),
    ]
    source, target = ObjectStore.create(MemoryBackend()), ObjectStore.create(backend)
    ids = publish(source, *objects)
    publish(target, objects[3], operation=b"before")
    with target.writer() as writer:
        for _ in range(2):  # the second time all are staged or stored
            for id, (kind, data) in zip(ids, objects, strict=True):
                packed = source.get_packed(id, kind)
                assert packed is not None and packed.data == data
                assert source.get_packed(id, kind, len(data)) == packed
                assert not data or source.get_packed(id, kind, len(data) - 1) is None
                if not writer.has(id, kind):
                    writer.put_packed(packed)
                assert writer.get(id, kind) == data and writer.has(id) and not writer.has(id, Kind.SNAPSHOT)
        writer.publish(writer.put(Kind.OPERATION, b"after"))
    assert [target.get(id, kind) for id, (kind, _) in zip(ids, objects, strict=True)] == [data for _, data in objects]
    assert problems(target) == [] and target.has(ids[3], Kind.NODE) and not target.has(ids[3], Kind.BLOB)
    with pytest.raises(DamagedError, match="it is of another kind"):
        source.get_packed(ids[0], Kind.NODE)


def test_the_same_bytes_under_two_kinds_are_two_objects(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    blob, node = publish(store, (Kind.BLOB, b"same"), (Kind.NODE, b"same"))
    assert blob != node
    with pytest.raises(DamagedError):
        store.get(blob, Kind.NODE)


def test_a_missing_object_is_named(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    publish(store)
    id = object_id(Kind.COMMIT, b"nowhere")
    with pytest.raises(DamagedError, match=f"commit {id}"):
        store.get(id, Kind.COMMIT)
    with pytest.raises(DamagedError, match=str(id)):
        store.blob_size(id)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, (16 << 20) + 5])
@pytest.mark.parametrize("noise", [True, False])
def test_blobs_are_streamed_in_and_out(backend: Backend, size: int, noise: bool) -> None:
    blob = random.Random(size).randbytes(size) if noise else bytes(size)
    store = ObjectStore.create(backend)
    with store.writer() as writer:
        id = writer.put_blob(pieces(blob), size)
        assert b"".join(writer.open_blob(id)) == blob
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    assert id == object_id(Kind.BLOB, blob)
    assert b"".join(store.open_blob(id)) == blob
    assert store.blob_size(id) == size
    assert problems(store) == []


@pytest.mark.parametrize("size", [100, 17 << 20])
@pytest.mark.parametrize("off", [-1, 1])
def test_a_stream_of_another_length_is_refused_and_harmless(backend: Backend, size: int, off: int) -> None:
    store = ObjectStore.create(backend)
    with store.writer() as writer:
        first = writer.put(Kind.BLOB, b"before")
        with pytest.raises(RefusedError, match="announced"):
            writer.put_blob(pieces(bytes(size + off)), size)
        last = writer.put(Kind.BLOB, b"after")
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    assert store.get(first, Kind.BLOB) == b"before"
    assert store.get(last, Kind.BLOB) == b"after"
    assert problems(store) == []


def test_a_big_blob_that_is_known_is_not_kept(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    blob = random.Random(1).randbytes(17 << 20)
    for operation in (b"one", b"two"):
        with store.writer() as writer:
            writer.put_blob(pieces(blob), len(blob))
            writer.publish(writer.put(Kind.OPERATION, operation))
    assert sum(backend.size(name) for name in backend.names()) < len(blob) + 10_000


def test_packs_close_when_they_are_full(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    monkeypatch.setattr("dsvc.store.pack.PACK_TARGET", 1 << 20)
    store = ObjectStore.create(backend)
    blobs = [random.Random(n).randbytes(50_000) for n in range(200)]
    ids = publish(store, *((Kind.BLOB, blob) for blob in blobs))
    assert len(backend.names("packs/")) == 11  # ten of media, one of structure
    store = ObjectStore(backend)
    assert [store.get(id, Kind.BLOB) for id in ids] == blobs
    assert problems(store) == []


def test_the_loser_of_a_race_publishes_again(backend: Backend) -> None:
    one = ObjectStore.create(backend)
    publish(one)
    two = ObjectStore(backend)
    with two.writer() as writer:
        mine = writer.put(Kind.BLOB, b"mine")
        theirs = publish(one, (Kind.BLOB, b"theirs"), operation=b"theirs")[0]
        with pytest.raises(HeadMovedError):
            writer.publish(writer.put(Kind.OPERATION, b"mine"))
        assert writer.base == one.head
        with writer.turn():
            head = writer.publish(writer.put(Kind.OPERATION, b"mine, again"))
    assert two.head == head
    one.refresh()
    assert one.head == head
    for store in (one, two):
        assert store.get(mine, Kind.BLOB) == b"mine"
        assert store.get(theirs, Kind.BLOB) == b"theirs"
    assert problems(one) == []


class SlowBackend(MemoryBackend):
    """Lets another writer in, or loses the answer, at the moment of the swap."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[object] = []
        self.lose_answer = False
        self.refuse_falsely = False

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        if self.before:
            self.before.pop()()
        done = super().swap_head(expected, new)
        if self.lose_answer:
            raise ConnectionError("no answer")
        return done and not self.refuse_falsely


def test_a_race_lost_at_the_swap_leaves_no_lists_behind() -> None:
    backend = SlowBackend()
    store = ObjectStore.create(backend)
    publish(store)
    rival = ObjectStore(backend)
    with store.writer() as writer:
        mine = writer.put(Kind.BLOB, b"mine")
        backend.before.append(lambda: publish(rival, (Kind.BLOB, b"theirs"), operation=b"rival"))
        with pytest.raises(HeadMovedError):
            writer.publish(writer.put(Kind.OPERATION, b"mine"))
        writer.publish(writer.put(Kind.OPERATION, b"again"))
    assert store.get(mine, Kind.BLOB) == b"mine"
    assert problems(store) == []
    assert orphans(store) == []


@pytest.mark.parametrize("way", ["lose_answer", "refuse_falsely"])
def test_a_swap_without_an_answer_counts_when_it_happened(way: str) -> None:
    backend = SlowBackend()
    store = ObjectStore.create(backend)
    publish(store)
    setattr(backend, way, True)
    ids = publish(store, (Kind.BLOB, b"mine"), operation=b"two")
    setattr(backend, way, False)
    assert ObjectStore(backend).get(ids[0], Kind.BLOB) == b"mine"
    publish(store, (Kind.BLOB, b"more"), operation=b"three")
    assert problems(store) == []


def test_a_swap_without_an_answer_that_others_built_on_counts() -> None:
    backend = SlowBackend()
    store = ObjectStore.create(backend)
    publish(store)

    class Overtaken(SlowBackend):
        pass

    real = backend.swap_head

    def swap(expected: bytes | None, new: bytes) -> bool:
        backend.swap_head = real
        assert real(expected, new)
        publish(ObjectStore(backend), (Kind.BLOB, b"next"), operation=b"next")
        return False

    backend.swap_head = swap
    ids = publish(store, (Kind.BLOB, b"mine"), operation=b"two")
    fresh = ObjectStore(backend)
    assert fresh.get(ids[0], Kind.BLOB) == b"mine"
    assert fresh.head.operation == object_id(Kind.OPERATION, b"next")
    assert problems(fresh) == []


def test_a_swap_that_failed_raises_and_changes_nothing() -> None:
    backend = SlowBackend()
    store = ObjectStore.create(backend)
    publish(store)
    head = backend.head

    def swap(expected: bytes | None, new: bytes) -> bool:
        raise RefusedError("the disk is full")

    backend.swap_head = swap
    with pytest.raises(RefusedError, match="full"):
        publish(store, (Kind.BLOB, b"mine"), operation=b"two")
    assert backend.head == head
    assert problems(store) == []


def test_what_was_assumed_is_checked_again_after_a_lost_race(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    publish(store, (Kind.BLOB, b"old"))
    writer = store.writer()
    writer.put(Kind.BLOB, b"old")
    # A collection by another process: the repository as if it never had the blob.
    backend.swap_head(backend.read_head(), b"") and backend.swap_head(b"", _empty_repository(backend))
    operation = writer.put(Kind.OPERATION, b"mine")
    with pytest.raises(HeadMovedError):
        writer.publish(operation)
    with pytest.raises(RemovedError, match="removed"):
        writer.publish(operation)
    writer.put(Kind.BLOB, b"old")  # which stages it now
    writer.publish(operation)
    assert store.get(object_id(Kind.BLOB, b"old"), Kind.BLOB) == b"old"


def _empty_repository(backend: Backend) -> bytes:
    other = MemoryBackend()
    publish(ObjectStore.create(other), operation=b"collected")
    for name in other.names():
        upload = backend.create()
        upload.write(other.read(name))
        upload.finish(name)
    assert other.head is not None
    return other.head


def test_an_operation_that_is_stored_needs_no_new_files(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    publish(store, operation=b"one")
    publish(store, operation=b"two")
    names = backend.names()
    with store.writer() as writer:
        writer.publish(object_id(Kind.OPERATION, b"one"))
    assert backend.names() == names
    assert ObjectStore(backend).head.operation == object_id(Kind.OPERATION, b"one")


def test_an_operation_that_nobody_put_is_refused(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    publish(store)
    with store.writer() as writer, pytest.raises(RefusedError):
        writer.publish(object_id(Kind.OPERATION, b"nowhere"))


def test_a_closed_writer_refuses(backend: Backend) -> None:
    store = ObjectStore.create(backend)
    with store.writer() as writer:
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    with pytest.raises(RefusedError):
        writer.put(Kind.BLOB, b"late")


def test_an_old_reader_follows_the_head(backend: Backend) -> None:
    writer = ObjectStore.create(backend)
    ids = publish(writer, (Kind.NODE, b"node 0"))
    reader = ObjectStore(backend)
    assert reader.head
    for n in range(1, 40):
        ids += publish(writer, (Kind.NODE, b"node %d" % n), operation=b"%d" % n)
    for n, id in enumerate(ids):
        assert reader.get(id, Kind.NODE) == b"node %d" % n


@pytest.mark.parametrize("dense", [True, False])
def test_errors_of_writing_reach_the_caller(monkeypatch: pytest.MonkeyPatch, dense: bool) -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)

    def fail(*_: object) -> None:
        raise RefusedError("the disk is full")

    monkeypatch.setattr("dsvc.store.memory._MemoryUpload.write", fail)
    with pytest.raises(RefusedError, match="full"), store.writer() as writer:
        for n in range(5000):
            writer.put(Kind.BLOB, (os.urandom(50_000) if dense else bytes(50_000)) + b"%d" % n)
    assert backend.names() == []


def _publish_many(root: Path, who: int, count: int) -> None:
    store = ObjectStore(LocalBackend(root))
    for number in range(count):
        store.refresh()
        with store.writer() as writer:
            writer.put(Kind.BLOB, b"%d %d" % (who, number))
            try:
                writer.publish(writer.put(Kind.OPERATION, b"op %d %d" % (who, number)))
            except HeadMovedError:
                _replay(writer, who, number)


def _replay(writer: object, who: int, number: int) -> None:
    with writer.turn():
        for attempt in range(3):
            try:
                operation = b"op %d %d %d" % (who, number, attempt)
                writer.publish(writer.put(Kind.OPERATION, operation))
                return
            except HeadMovedError:  # someone published before this turn began
                continue
    raise AssertionError("a writer lost inside its turn")


def test_eight_processes_lose_nothing(tmp_path: Path) -> None:
    root = tmp_path / ".dsvc"
    store = ObjectStore.create(LocalBackend(root))
    publish(store)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_publish_many, args=(root, who, 15)) for who in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    store = ObjectStore(LocalBackend(root))
    for who in range(8):
        for number in range(15):
            data = b"%d %d" % (who, number)
            assert store.get(object_id(Kind.BLOB, data), Kind.BLOB) == data
    assert problems(store) == []
