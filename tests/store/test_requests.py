"""How many requests reading and writing a distant repository takes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dsvc.store.cached import CachedBackend
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.objects import ObjectStore
from dsvc.store.shelf import Shelf
from dsvc.store.verify import verify

from .counting import CountingBackend


def distant_store(distant: CountingBackend, folder: Path | None = None) -> ObjectStore:
    distant.requests.clear()
    return ObjectStore(CachedBackend(distant, Shelf(folder, 1 << 30)))


def commit(store: ObjectStore, number: int, nodes: int = 4, media: int = 0) -> ObjectId:
    """Publish a commit; its id."""
    rng = random.Random(number)
    with store.writer() as writer:
        for _ in range(nodes):
            writer.put(Kind.NODE, rng.randbytes(3000))
        for _ in range(media):
            writer.put(Kind.BLOB, rng.randbytes(500))
        writer.put(Kind.SNAPSHOT, b"snapshot %d" % number)
        made = writer.put(Kind.COMMIT, b"commit %d" % number)
        writer.history.put(Kind.NODE, b"view %d" % number)
        writer.publish(writer.put(Kind.OPERATION, b"operation %d" % number))
    return made


def test_a_log_of_a_thousand_packs_takes_six_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsvc.store.merge.packs_to_fold", lambda packs, size: [])  # as if each were a full one
    distant = CountingBackend()
    here = ObjectStore.create(distant)
    commits = [commit(here, number, nodes=1, media=1) for number in range(1000)]
    assert len(distant.names("packs/")) > 1000
    store = distant_store(distant)
    assert store.get_history(store.head.operation, Kind.OPERATION) == b"operation 999"
    for number in reversed(range(1000)):
        assert store.get(commits[number], Kind.COMMIT) == b"commit %d" % number
    assert len(distant.requests) <= 6
    assert distant.kinds[:3] == ["read head", "read manifests", "read packs"]


def test_a_view_is_read_from_history(tmp_path: Path) -> None:
    distant = CountingBackend()
    here = ObjectStore.create(distant)
    for number in range(40):
        commit(here, number)
    with here.writer() as writer:
        view = writer.history.put(Kind.NODE, b"the view")
        writer.publish(writer.put(Kind.OPERATION, b"last"))
    store = distant_store(distant, tmp_path)
    assert store.history.get(view, Kind.NODE) == b"the view"
    assert not any(kind == "read index" for kind in distant.kinds)


@pytest.mark.parametrize("others", [False, True])
def test_a_small_commit_takes_eight_requests(tmp_path: Path, others: bool) -> None:
    distant = CountingBackend()
    here = ObjectStore.create(distant)
    for number in range(30):
        commit(here, number, nodes=60 if number == 0 else 4, media=3)
    store = distant_store(distant, tmp_path)
    commit(store, 100)
    for number in range(101, 140):
        if others:  # somebody else is faster now and then
            here.refresh()
            commit(here, 1000 + number)
        store = distant_store(distant, tmp_path)
        made = commit(store, number)
        requests = list(distant.requests)
        here.refresh()
        assert here.get(made, Kind.COMMIT) == b"commit %d" % number
        assert len(requests) <= (12 if others else 8)
        assert not any(one.what == "size" for one in requests)
        assert sum(one.what == "delete" for one in requests) <= 1
        writes = [one.name.split("/")[0] for one in requests if one.what in ("write", "swap")]
        assert writes[-3:] == ["index", "manifests", "head"] and set(writes[:-3]) == {"packs"}
    assert list(verify(ObjectStore(distant))) == []


def test_the_cache_holds_no_more_than_what_is_listed(tmp_path: Path) -> None:
    distant = CountingBackend()
    commit(ObjectStore.create(distant), 0)
    for number in range(1, 40):
        commit(distant_store(distant, tmp_path), number)
    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert kept - {"swept"} <= set(distant.names())


def test_a_damaged_cache_gives_the_right_objects(tmp_path: Path) -> None:
    distant = CountingBackend()
    commits = [commit(distant_store(distant, tmp_path), 0)] if distant.head else []
    here = ObjectStore.create(distant)
    commits += [commit(here, number) for number in range(20)]
    commit(distant_store(distant, tmp_path), 20)
    rng = random.Random(1)
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]:
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1
        path.write_bytes(data)
    store = distant_store(distant, tmp_path)
    for number, made in enumerate(commits):
        assert store.get(made, Kind.COMMIT) == b"commit %d" % number
    commit(store, 21)
    assert list(verify(ObjectStore(distant))) == []


def test_a_lost_race_over_a_cache_is_tried_again(tmp_path: Path) -> None:
    from dsvc.store.head import HeadMovedError

    distant = CountingBackend()
    here = ObjectStore.create(distant)
    commit(here, 0)
    store = distant_store(distant, tmp_path)
    with store.writer() as writer:
        node = writer.put(Kind.NODE, b"mine" * 100)
        commit(here, 1)
        with pytest.raises(HeadMovedError):
            writer.publish(writer.put(Kind.OPERATION, b"first try"))
        writer.publish(writer.put(Kind.OPERATION, b"second try"))
    fresh = ObjectStore(distant)
    assert fresh.get(node, Kind.NODE) == b"mine" * 100
    assert fresh.head.operation == store.head.operation
    assert list(verify(fresh)) == []


def test_structure_is_read_in_big_pieces(tmp_path: Path) -> None:
    distant = CountingBackend()
    here = ObjectStore.create(distant)
    rng = random.Random(5)
    with here.writer() as writer:
        ids = [writer.put(Kind.NODE, rng.randbytes(8000)) for _ in range(3000)]
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    store = distant_store(distant, tmp_path)
    for id in ids:
        assert len(store.get(id, Kind.NODE)) == 8000
    assert len(distant.requests) <= 20


def test_an_index_too_big_to_fetch_whole_is_read_by_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsvc.store.index._WHOLE_DISTANT", 100_000)
    distant = CountingBackend()
    here = ObjectStore.create(distant)
    with here.writer() as writer:
        ids = [writer.put(Kind.NODE, b"node %d" % number) for number in range(60_000)]
        writer.publish(writer.put(Kind.OPERATION, b"op"))
    store = distant_store(distant, tmp_path)
    assert all(store.has(id) for id in ids[:3]) and not store.has(ObjectId(bytes(32)))
    reads = [one for one in distant.requests if one.name.startswith("index/")]
    assert len(reads) <= 5 and sum(one.size for one in reads) < 2_000_000
