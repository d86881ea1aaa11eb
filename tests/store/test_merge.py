"""Segments and packs stay few, and full packs stay as they are."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.store.ids import Kind, ObjectId
from dsvc.store.memory import MemoryBackend
from dsvc.store.merge import SMALL_PACK, packs_to_fold, runs_to_merge
from dsvc.store.objects import ObjectStore
from dsvc.store.pack import PackClass, PackInfo
from dsvc.store.verify import verify


@given(st.lists(st.integers(1, 10_000), max_size=200))
def test_each_run_stays_twice_its_successor(sizes: list[int]) -> None:
    runs: list[int] = []
    for size in sizes:
        count = runs_to_merge(runs, size)
        merged = sum(runs[len(runs) - count :]) + size
        runs = [*runs[: len(runs) - count], merged]
        assert all(left >= 2 * right for left, right in itertools.pairwise(runs))
    assert sum(runs) == sum(sizes)


def pack(number: int, size: int) -> PackInfo:
    return PackInfo(ObjectId(number.to_bytes(32, "big")), size, PackClass.MEDIA)


@given(st.lists(st.integers(100, 2 * SMALL_PACK), max_size=40), st.integers(0, SMALL_PACK))
def test_unfolded_small_packs_grow_geometrically(sizes: list[int], open_size: int) -> None:
    packs = [pack(number, size) for number, size in enumerate(sizes)]
    folded = packs_to_fold(packs, open_size)
    assert all(p.size < SMALL_PACK for p in folded)
    left = sorted(p.size for p in packs if p.size < SMALL_PACK and p not in folded)
    total = open_size + sum(p.size for p in folded)
    for size in left:
        assert total == 0 or size >= 2 * total
        total += size


def test_many_tiny_commits_leave_few_files() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    most, rng = 0, random.Random(1)
    kept: list[tuple[ObjectId, Kind, bytes]] = []
    for number in range(1500):
        with store.writer() as writer:
            for at in range(8):
                data = b"node %d %d" % (number, at) * 10
                kept.append((writer.put(Kind.NODE, data), Kind.NODE, data))
            blob = rng.randbytes(rng.choice([10, 100, 1000]))
            kept.append((writer.put(Kind.BLOB, blob), Kind.BLOB, blob))
            writer.publish(writer.put(Kind.OPERATION, b"op %d" % number))
        names = backend.names()
        most = max(most, len(names))
        assert len(backend.names("packs/")) <= 30
        assert len(backend.names("index/")) <= 12
        assert len(backend.names("manifests/")) == 1
    assert most <= 43
    fresh = ObjectStore(backend)
    for id, kind, data in kept:
        assert fresh.get(id, kind) == data
    assert not list(verify(fresh))


def test_a_small_commit_beside_a_big_one_is_one_pack_and_one_segment() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    with store.writer() as writer:
        for number in range(5000):
            writer.put(Kind.NODE, b"node %d" % number)
        writer.publish(writer.put(Kind.OPERATION, b"first"))
    before = set(backend.names())
    with store.writer() as writer:
        writer.put(Kind.NODE, b"new")
        writer.publish(writer.put(Kind.OPERATION, b"second"))
    added = sorted(name.split("/")[0] for name in set(backend.names()) - before)
    assert added == ["index", "manifests", "packs"]
    # The history of the first is so small that it joins the second's, though the segment that lists it stays.
    removed = sorted(name.split("/")[0] for name in before - set(backend.names()))
    assert removed == ["manifests", "packs"]
    assert len(store.state.catalog.manifest.gone) == 1
    assert not list(verify(store))


def test_full_packs_are_never_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pack", "merge", "staging"):
        monkeypatch.setattr(f"dsvc.store.{module}.PACK_TARGET", 20_000)
    monkeypatch.setattr("dsvc.store.merge.SMALL_PACK", 10_000)
    monkeypatch.setattr("dsvc.store.history.LARGEST", 10_000)
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    full: set[str] = set()
    rng = random.Random(1)
    for number in range(300):
        with store.writer() as writer:
            writer.put(Kind.BLOB, rng.randbytes(rng.choice([50, 500, 3000])))
            writer.publish(writer.put(Kind.OPERATION, b"op %d" % number))
        names = set(backend.names("packs/"))
        assert full <= names
        full |= {name for name in names if backend.size(name) >= 10_000}
    assert len(full) >= 3
    assert sum(backend.size(name) < 10_000 for name in names) < 20
    assert not list(verify(store))


def test_a_damaged_pack_stops_no_commit_and_loses_nothing_else() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    with store.writer() as writer:
        bad = writer.put(Kind.NODE, b"bad" * 50)
        good = writer.put(Kind.NODE, b"good" * 50)
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    name = backend.names("packs/")[0]
    data = bytearray(backend.held[name])
    at = data.index(bad) - 10  # inside the payload: the frame ends with the id
    data[at] ^= 1
    backend.held[name] = bytes(data)
    for number in range(20):
        with store.writer() as writer:
            writer.put(Kind.NODE, b"node %d" % number)
            writer.publish(writer.put(Kind.OPERATION, b"op %d" % number))
    fresh = ObjectStore(backend)
    assert fresh.get(good, Kind.NODE) == b"good" * 50
    assert [found.object_id for found in verify(fresh)] == [bad]
