"""Damaged files give one clear error or the right data, never wrong data."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from dsvc.errors import DsvcError, NotFoundError
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.verify import verify

Objects = dict[tuple[ObjectId, Kind], bytes]


def small_repository() -> tuple[MemoryBackend, Objects]:
    """A few packs and segments of every kind of object, compressed and not."""
    backend, objects, rng = MemoryBackend(), {}, random.Random(7)
    store = ObjectStore.create(backend)
    for number, count in enumerate([12, 4, 1]):
        with store.writer() as writer:
            for at in range(count):
                kind = Kind(at % 5)
                data = rng.randbytes(40) if at % 2 else b"text %d %d " % (number, at) * 12
                objects[writer.put(kind, data), kind] = data
            operation = b"op %d" % number
            objects[writer.put(Kind.OPERATION, operation), Kind.OPERATION] = operation
            writer.publish(writer.put(Kind.OPERATION, operation))
    return backend, objects


def files(backend: MemoryBackend) -> Iterator[tuple[str, bytes, Callable[[bytes], None]]]:
    for name, data in list(backend.held.items()):
        yield name, data, lambda new, name=name: backend.held.__setitem__(name, new)
    assert backend.head is not None
    yield "head", backend.head, lambda new: setattr(backend, "head", new)


def read_all(backend: MemoryBackend, objects: Objects) -> int:
    """Read everything; count clean errors. Anything else that is raised, or wrong data, fails the test."""
    errors = 0
    store = ObjectStore(backend)
    for (id, kind), data in objects.items():
        try:
            assert store.get(id, kind) == data
            if kind is Kind.BLOB:
                assert store.blob_size(id) == len(data)
                assert b"".join(store.open_blob(id)) == data
        except NotFoundError:
            raise AssertionError("a missing object must count as damage") from None
        except DsvcError as error:
            assert error.message
            errors += 1
    return errors


def is_noticed(backend: MemoryBackend) -> bool:
    try:
        return any(found.problem != "orphan" for found in verify(ObjectStore(backend)))
    except DsvcError:
        return True


def test_the_whole_repository_reads_and_verifies() -> None:
    backend, objects = small_repository()
    assert read_all(backend, objects) == 0
    assert not list(verify(ObjectStore(backend)))
    assert len(backend.names("packs/")) > 1


def test_flipped_bits_never_give_wrong_data() -> None:
    backend, objects = small_repository()
    rng = random.Random(1)
    for name, data, replace in files(backend):
        for at in range(0, len(data), 3):
            flipped = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
            replace(flipped)
            read_all(backend, objects)
            assert is_noticed(backend), f"byte {at} of {name}"
        replace(data)
    assert read_all(backend, objects) == 0


def test_truncated_files_never_give_wrong_data() -> None:
    backend, objects = small_repository()
    for _, data, replace in files(backend):
        for end in {*range(0, len(data), 37), 0, 1, len(data) - 1}:
            replace(data[:end])
            read_all(backend, objects)
            assert is_noticed(backend)
        replace(data + b"\0")
        read_all(backend, objects)
        replace(data)


def test_missing_files_are_damage() -> None:
    backend, objects = small_repository()
    for name, data in list(backend.held.items()):
        del backend.held[name]
        assert read_all(backend, objects) > 0
        assert is_noticed(backend)
        backend.held[name] = data


@pytest.mark.parametrize("kind", [Kind.BLOB, Kind.NODE])
def test_the_error_names_object_kind_and_pack(kind: Kind) -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    with store.writer() as writer:
        id = writer.put(kind, bytes(range(256)))
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    for name in backend.names("packs/"):
        data = bytearray(backend.held[name])
        data[max(data.find(id), 60) - 10] ^= 4  # in the payload, which lies before the id
        backend.held[name] = bytes(data)
    with pytest.raises(DsvcError) as caught:
        ObjectStore(backend).get(id, kind)
    assert str(id) in caught.value.message
    assert kind.name.lower() in caught.value.message
    assert any(name[6:18] in caught.value.message for name in backend.names("packs/"))


def test_a_big_blob_with_a_flipped_bit_fails_at_its_end() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    blob = random.Random(1).randbytes(17 << 20)
    with store.writer() as writer:
        id = writer.put_blob([blob], len(blob))
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    name = max(backend.names("packs/"), key=backend.size)
    data = bytearray(backend.held[name])
    data[10 << 20] ^= 1
    backend.held[name] = bytes(data)
    with pytest.raises(DsvcError, match=str(id)):
        for _ in ObjectStore(backend).open_blob(id):
            pass
    chunk, whole = verify(ObjectStore(backend))
    assert whole.object_id == id and str(chunk.object_id) in whole.message and chunk.object_id in store.chunks(id)


def test_orphans_are_told_apart_from_damage() -> None:
    backend, _ = small_repository()
    backend.create().write(b"left over")
    backend.held["packs/unknown"] = b"?"
    assert [found.problem for found in verify(ObjectStore(backend))] == ["orphan", "orphan"]
