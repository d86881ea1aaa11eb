"""History packs: few, and listed by the manifest; repositories from before them stay readable."""

from __future__ import annotations

import itertools
import os
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.errors import DamagedError
from dsvc.store import codec
from dsvc.store.head import Head, HeadMovedError
from dsvc.store.history import ALWAYS, FACTOR, LARGEST, history_to_fold, parse_pack
from dsvc.store.ids import MANIFEST_CONTEXT, Kind, ObjectId, derived_id
from dsvc.store.index import write_segment
from dsvc.store.manifest import Manifest, read_manifest, write_manifest
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.pack import PackClass, PackInfo, split_history
from dsvc.store.verify import verify

Made = dict[tuple[ObjectId, Kind], bytes]


def commit(store: ObjectStore, number: int, nodes: int = 3, size: int = 200, blob: bool = False) -> Made:
    """Publish a transaction as a commit makes it: structure, perhaps a blob, then history."""
    rng = random.Random(number)
    made: Made = {}
    with store.writer() as writer:

        def put(kind: Kind, data: bytes) -> ObjectId:
            id = writer.put(kind, data)
            made[id, kind] = data
            return id

        for _ in range(nodes):
            put(Kind.NODE, rng.randbytes(size))
        if blob:
            put(Kind.BLOB, rng.randbytes(300))
        put(Kind.SNAPSHOT, b"snapshot %d" % number)
        put(Kind.COMMIT, b"commit %d" % number)
        view = b"view %d" % number
        made[writer.history.put(Kind.NODE, view), Kind.NODE] = view
        writer.publish(put(Kind.OPERATION, b"operation %d" % number))
    return made


def packs(store: ObjectStore, pack_class: PackClass) -> list[PackInfo]:
    return [pack for pack in store.state.catalog.packs() if pack.pack_class is pack_class]


def assert_whole(backend: MemoryBackend, made: Made) -> None:
    store = ObjectStore(backend)
    assert list(verify(store)) == []
    for (id, kind), data in made.items():
        assert store.get(id, kind) == data


@given(st.lists(st.integers(100, LARGEST + 100), max_size=40), st.integers(100, 100_000))
def test_history_packs_that_stay_grow_eightfold(sizes: list[int], own: int) -> None:
    listed = [PackInfo(ObjectId(n.to_bytes(32, "big")), size, PackClass.HISTORY) for n, size in enumerate(sizes)]
    folded = history_to_fold(listed, own)
    assert all(pack.size < LARGEST for pack in folded)
    total = own + sum(pack.size for pack in folded)
    for pack in sorted(set(listed) - set(folded), key=lambda pack: pack.size):
        assert pack.size >= min(LARGEST, max(ALWAYS, FACTOR * total))
        total += pack.size


def test_a_small_transaction_is_one_pack() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    made = commit(store, 0)
    assert len(backend.names("packs/")) == 1
    assert [pack.name for pack in store.state.catalog.manifest.history] == backend.names("packs/")
    assert_whole(backend, made)


def test_more_structure_has_a_pack_of_its_own_once_it_is_much() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    made: Made = {}
    counts = []
    for number in range(12):
        made |= commit(store, number, nodes=5, size=5_000)
        counts.append((len(packs(store, PackClass.HISTORY)), len(packs(store, PackClass.STRUCTURE))))
    assert counts[:2] == [(1, 0), (1, 1)]
    assert all(history == 1 for history, _ in counts)
    (history,) = packs(store, PackClass.HISTORY)
    assert history.size < 70_000
    assert_whole(backend, made)


def test_history_packs_stay_few_whatever_segments_list_them() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    made = commit(store, 0, nodes=4_000, size=40)
    most = 0
    for number in range(1, 60):
        made |= commit(store, number, nodes=1, size=100)
        most = max(most, len(store.state.catalog.manifest.segments))
        manifest = store.state.catalog.manifest
        assert len(manifest.history) == 1
        assert {pack.name for pack in store.state.catalog.packs()} == set(backend.names("packs/"))
        assert manifest.gone  # the first segment lists the first history pack
    assert most >= 2
    assert_whole(backend, made)


def test_the_mark_of_what_is_gone_goes_with_the_segment_that_listed_it() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    made = commit(store, 0, nodes=1_000, size=40)
    made |= commit(store, 1)
    assert len(store.state.catalog.manifest.gone) == 1
    made |= commit(store, 2, nodes=2_000, size=40)
    assert len(store.state.catalog.manifest.segments) == 1
    assert not store.state.catalog.manifest.gone
    assert_whole(backend, made)


def test_what_lies_behind_history_is_other_structure() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    commit(store, 0, nodes=2)
    commit(store, 1, nodes=3)
    (pack,) = store.state.catalog.manifest.history
    history, structure = split_history(parse_pack(backend.read(pack.name), pack))
    assert [entry.kind for _, entry in structure] == [Kind.NODE] * 5
    assert {entry.kind for _, entry in history} == {Kind.NODE, Kind.SNAPSHOT, Kind.COMMIT, Kind.OPERATION}
    assert history[-1][1].kind == Kind.OPERATION and len(history) == 8


def test_a_lost_race_leaves_one_history_pack() -> None:
    backend = MemoryBackend()
    made = commit(ObjectStore.create(backend), 0)
    store = ObjectStore(backend)
    swap, others = backend.swap_head, iter(range(100, 104))

    def lose(expected: bytes | None, new: bytes) -> bool:
        number = next(others, None)
        if number is not None:
            backend.swap_head = swap  # type: ignore[method-assign]
            made.update(commit(ObjectStore(backend), number))
            backend.swap_head = lose  # type: ignore[method-assign]
        return swap(expected, new)

    with store.writer() as writer:
        backend.swap_head = lose  # type: ignore[method-assign]
        structure = writer.put(Kind.NODE, b"structure" * 30)
        for number in range(10):
            operation = b"mine %d" % number
            try:
                writer.publish(writer.put(Kind.OPERATION, operation))
            except HeadMovedError:
                continue
            break
    assert number == 4
    made[structure, Kind.NODE] = b"structure" * 30
    assert len(backend.names("packs/")) == len(backend.names("index/")) == len(backend.names("manifests/")) == 1
    assert_whole(backend, made)


# ---- repositories from before


def old_store(monkeypatch: pytest.MonkeyPatch, backend: MemoryBackend, commits: int) -> Made:
    """A repository as it was written before there were history packs: all structure in packs of class 0."""
    made: Made = {}
    with monkeypatch.context() as patch:
        patch.setattr(PackClass, "of", classmethod(lambda cls, kind: cls.MEDIA if kind == Kind.BLOB else cls.STRUCTURE))
        store = ObjectStore.create(backend)
        for number in range(commits):
            with store.writer() as writer:
                for kind in (Kind.NODE, Kind.SNAPSHOT, Kind.COMMIT, Kind.BLOB):
                    data = b"old %s %d" % (kind.name.encode(), number)
                    made[writer.put(kind, data), kind] = data
                data = b"old operation %d" % number
                made[operation := writer.put(Kind.OPERATION, data), Kind.OPERATION] = data
                writer.publish(operation)
    return made


def test_a_repository_without_history_packs_is_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MemoryBackend()
    made = old_store(monkeypatch, backend, 5)
    store = ObjectStore(backend)
    manifest = store.state.catalog.manifest
    assert not manifest.history and b"history" not in manifest.encode()
    assert {pack.pack_class for pack in store.state.catalog.packs()} == {PackClass.STRUCTURE, PackClass.MEDIA}
    assert_whole(backend, made)
    for number in range(20):
        made |= commit(store, number, blob=True)
    assert len(store.state.catalog.manifest.history) == 1
    assert_whole(backend, made)


# ---- the manifest


def test_a_manifest_round_trips() -> None:
    pack = PackInfo(ObjectId(bytes(32)), 100, PackClass.HISTORY)
    manifest = Manifest(history=(pack,), gone=frozenset((ObjectId(b"b" * 32), ObjectId(b"a" * 32))))
    assert Manifest.decode(manifest.encode(), manifest.id) == manifest


def republish(backend: MemoryBackend, manifest: Manifest) -> None:
    """Put another manifest in place."""
    assert backend.head is not None
    head = Head.decode(backend.head)
    write_manifest(backend, manifest)
    backend.delete(f"manifests/{head.manifest}")
    backend.head = replace(head, manifest=manifest.id).encode()


def findings(backend: MemoryBackend) -> list[str]:
    return [f"{found.problem}: {found.message}" for found in verify(ObjectStore(backend))]


@pytest.mark.parametrize("case", ["unlisted by segments", "unlisted by the manifest", "gone but not listed"])
def test_lists_that_disagree_are_damage(case: str) -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    commit(store, 0)
    manifest = store.state.catalog.manifest
    (pack,) = manifest.history
    other = ObjectId(b"x" * 32)
    changed, message = {
        "unlisted by segments": (
            replace(manifest, history=(pack, replace(pack, id=other))),
            f"damaged: history pack {other.short()} is not listed by an index segment",
        ),
        "unlisted by the manifest": (
            replace(manifest, history=()),
            f"damaged: history pack {pack.id.short()} is not listed by the manifest",
        ),
        "gone but not listed": (
            replace(manifest, gone=frozenset((other,))),
            f"damaged: no index segment lists pack {other.short()}, which the manifest says is gone",
        ),
    }[case]
    republish(backend, changed)
    assert findings(backend) == [message]


def test_an_object_that_is_gone_and_nowhere_else_is_missing() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    commit(store, 0, nodes=4_000, size=40)
    before = store.state.catalog.manifest
    commit(store, 1, nodes=0)
    manifest = store.state.catalog.manifest
    assert len(manifest.segments) == 2 and len(manifest.gone) == 1
    republish(backend, Manifest(before.segments, gone=manifest.gone))
    found = findings(backend)
    assert sum("no index lists object" in line for line in found) == 4
    with pytest.raises(DamagedError):
        ObjectStore(backend).get(store.head.operation, Kind.OPERATION)


def test_an_object_of_a_history_pack_without_a_row_is_damage() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    commit(store, 0)
    segment = store.state.catalog.segment(0)
    lost = segment.find(store.head.operation)
    rows = [row for row in segment.rows() if not row.startswith(store.head.operation)]
    assert lost is not None and len(rows) == segment.info.rows - 1
    info = write_segment(backend, rows, len(rows), list(segment.packs))
    backend.delete(f"index/{segment.info.id}")
    republish(backend, replace(store.state.catalog.manifest, segments=(info,)))
    (pack,) = store.state.catalog.manifest.history
    assert f"missing: no index lists object {store.head.operation} of pack {pack.id.short()}" in findings(backend)


@pytest.mark.parametrize(
    "fields",
    [
        {"history": {}},
        {"history": [{"bytes": 0, "id": bytes(32)}]},
        {"history": [{"bytes": 9, "id": bytes(31)}]},
        {"history": [{"bytes": 9, "id": bytes(32), "rows": 1}]},
        {"gone": [bytes(31)]},
        {"gone": "x"},
        {"more": 1},
    ],
)
def test_a_malformed_manifest_is_refused(fields: dict[str, object]) -> None:
    data = codec.encode({"format": 1, "segments": [], **fields})
    with pytest.raises(DamagedError, match="malformed"):
        Manifest.decode(data, derived_id(MANIFEST_CONTEXT, data))


def test_a_damaged_history_pack_stops_no_commit_and_is_not_copied() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    made = commit(store, 0)
    (pack,) = store.state.catalog.manifest.history
    bad = next(id for id, kind in made if kind is Kind.COMMIT)
    data = bytearray(backend.held[pack.name])
    data[data.find(bad) - 3] ^= 1
    backend.held[pack.name] = bytes(data)
    for number in range(1, 8):
        made |= commit(store, number)
    manifest = read_manifest(backend, store.head.manifest)
    assert len(manifest.history) == 2 and pack in manifest.history
    assert [found.object_id for found in verify(ObjectStore(backend))] == [bad]
    del made[bad, Kind.COMMIT]
    fresh = ObjectStore(backend)
    for (id, kind), content in made.items():
        assert fresh.get(id, kind) == content


def test_each_history_pack_is_listed_once() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    for number in range(40):
        commit(store, number, nodes=2, size=20_000)
        listed = [pack.id for pack in store.state.catalog.packs()]
        assert all(a != b for a, b in itertools.combinations(listed, 2))


COMMITS = int(os.environ.get("DSVC_COMMITS", "1200"))  # 10000 takes a few minutes


def test_many_small_commits_leave_few_packs_and_segments() -> None:
    backend = MemoryBackend()
    store = ObjectStore.create(backend)
    rng = random.Random(1)
    made: Made = {}
    for number in range(COMMITS):
        some = commit(store, number, nodes=3, size=rng.choice([300, 3_000, 9_000]), blob=number % 2 == 0)
        if number % 50 == 0:
            made |= some
        counts = [len(backend.names(f"{folder}/")) for folder in ("packs", "index", "manifests", "tmp")]
        assert counts[0] <= 30 and counts[1] <= 12 and counts[2:] == [1, 0]
        assert len(store.state.catalog.manifest.history) <= 4
    listed = {pack.name for pack in store.state.catalog.packs()}
    assert set(backend.names("packs/")) == listed
    assert_whole(backend, made)


def test_what_is_offered_and_stored_already_has_one_place() -> None:
    """A pack that comes whole may hold what is here, of which only one copy is listed."""
    other = ObjectStore.create(MemoryBackend())
    with other.writer() as writer:
        known = writer.put(Kind.NODE, b"known")
        wanted = writer.put(Kind.NODE, b"wanted")
        writer.publish(writer.put(Kind.OPERATION, b"there"))
    store = ObjectStore.create(MemoryBackend())
    with store.writer() as writer:
        writer.history.put(Kind.NODE, b"known")
        writer.publish(writer.put(Kind.OPERATION, b"first"))
    with store.writer() as writer:
        for id in (known, wanted):
            packed = other.get_packed(id, Kind.NODE)
            assert packed is not None
            writer.offer_run(memoryview(packed.frame), [(id, packed.entry._replace(offset=0))])
        assert writer.adopt(wanted)
        writer.publish(writer.put(Kind.OPERATION, b"second"))
    assert list(verify(store)) == []
    assert store.get(known, Kind.NODE) == b"known" and store.get(wanted, Kind.NODE) == b"wanted"
