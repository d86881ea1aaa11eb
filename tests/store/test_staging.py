"""Staging: what is compressed, and where; bounded memory; errors of either thread."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import threading
from typing import Any

import pytest

from dsvc.errors import RefusedError
from dsvc.store import staging as module
from dsvc.store.backend import Backend
from dsvc.store.frame import RAW, ZSTD, Entry, is_dense
from dsvc.store.ids import Kind, object_id
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.pack import PackWriter
from dsvc.store.staging import Staged, Staging
from dsvc.store.verify import verify

NOISE = random.Random(1).randbytes(100_000)
TEXT = b"the same words again and again, " * 3_000


@pytest.mark.parametrize(
    ("data", "dense"),
    [
        (NOISE, True),
        (TEXT, False),
        (TEXT[:40_000] + NOISE + TEXT[:40_000], True),
        (NOISE[:40_000] + TEXT + NOISE[:40_000], False),
        (b"\xff\xd8\xff" + TEXT, True),
        (b"\0\0\0\x18ftypmp42" + TEXT, True),
        (b"RIFF\0\0\0\0WEBP" + TEXT, True),
        (b"RIFF\0\0\0\0WAVE" + TEXT, False),
        (gzip.compress(NOISE), True),
        (b"\xff\xd8\xff" + NOISE[:10_000], False),
        (b"", False),
    ],
)
def test_what_is_compressed_already_is_told_cheaply(data: bytes, dense: bool) -> None:
    assert is_dense(data) == dense


@pytest.mark.parametrize(
    ("data", "codec"),
    [(NOISE, RAW), (NOISE[:5_000], RAW), (TEXT, ZSTD), (TEXT[:5_000], ZSTD), (b"\xff\xd8\xff" + TEXT, RAW), (b"", RAW)],
)
def test_a_blob_is_compressed_when_that_helps(backend: Backend, data: bytes, codec: int) -> None:
    staging = Staging(backend)
    id = object_id(Kind.BLOB, data)
    staging.put(id, Kind.BLOB, data)
    staging.drain()
    held = staging.objects[id]
    assert isinstance(held, Staged) and (held.entry.codec, held.entry.raw) == (codec, len(data))
    assert codec == RAW or held.entry.stored < len(data) // 2
    staging.close(drop=True)


def test_noise_needs_no_other_thread(backend: Backend) -> None:
    staging = Staging(backend)
    for number in range(100):
        staging.put(object_id(Kind.BLOB, b"%d" % number), Kind.BLOB, NOISE)
    assert staging._worker is None
    staging.close(drop=True)


def test_both_threads_fill_the_same_packs(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsvc.store.pack.PACK_TARGET", 300_000)
    store = ObjectStore.create(backend)
    made = {}
    with store.writer() as writer:
        for number in range(600):
            stem = b"%d " % number
            data = stem + (NOISE[:30_000] if number % 3 else TEXT[:70_000])
            kind = Kind.VALUE if number % 5 == 4 else Kind.BLOB
            made[writer.put(kind, data)] = (kind, data)
        assert any(thread.name == "dsvc-pack" for thread in threading.enumerate())
        for id, (kind, data) in list(made.items())[::50]:
            assert writer.get(id, kind) == data
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    store = ObjectStore(backend)
    assert all(store.get(id, kind) == data for id, (kind, data) in made.items())
    assert list(verify(store)) == []


def test_what_waits_in_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    staging = Staging(MemoryBackend())
    started, go, handed = threading.Event(), threading.Event(), []
    real = Staging._append

    def slow(self: Staging, batch: list[module.Pending]) -> None:
        started.set()
        assert go.wait(60)
        real(self, batch)

    monkeypatch.setattr(Staging, "_append", slow)

    def put_many() -> None:
        for number in range(20):
            data = b"%d" % number + bytes(8 << 20)
            staging.put(object_id(Kind.BLOB, data), Kind.BLOB, data)
            handed.append(number)

    caller = threading.Thread(target=put_many)
    caller.start()
    assert started.wait(60)
    caller.join(0.3)
    assert caller.is_alive() and len(handed) <= 3
    go.set()
    caller.join(60)
    staging.drain()
    assert len(handed) == len(staging.objects) == 20
    staging.close(drop=True)


@pytest.mark.parametrize("data", [NOISE, TEXT, TEXT[:500]], ids=["here", "worker", "small"])
def test_a_transaction_with_an_error_is_never_published(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    backend = MemoryBackend()
    real, calls = PackWriter.append_packed, []

    def fail_once(self: PackWriter, *packed: Any) -> Entry:
        calls.append(packed)
        if len(calls) == 5:
            raise RefusedError("the disk is full")
        return real(self, *packed)

    monkeypatch.setattr(PackWriter, "append_packed", fail_once)
    with pytest.raises(RefusedError, match="full"), ObjectStore.create(backend).writer() as writer:
        for _ in range(30):
            with contextlib.suppress(RefusedError):
                writer.put(Kind.BLOB, os.urandom(8) + data)
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    assert backend.names() == [] and backend.read_head() is None
