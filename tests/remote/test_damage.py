"""A remote that is damaged, hostile or of another time: one clear error, and nothing changes on either side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import DamagedError, RemoteError
from dsvc.model.commit import Commit, Moment, store_commit
from dsvc.model.node import Child, encode_inner
from dsvc.model.snapshot import Roots, empty_roots, store_roots
from dsvc.model.tree import build_tree
from dsvc.model.view import BRANCH, DATASET, PIN, REMOTE, VERSION, BranchRef, DatasetRef, VersionRef, store_operation
from dsvc.remote.fetching import fetch_commits
from dsvc.remote.pushing import push_commits
from dsvc.remote.settings import Remote
from dsvc.remote.tracking import fetch
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId

from .workspaces import ADA, clone, head, is_whole, opened, project, refs, say


@pytest.fixture
def there(ours: Dataset, origin: Remote, tmp_path: Path) -> Repository:
    """The remote's repository, with a commit in it."""
    push_commits(ours.repository, origin, {"pets": {head(ours)}})
    return opened(tmp_path / "store")


def spoil(repository: Repository, id: ObjectId, change: Callable[[bytearray, int], None]) -> None:
    """Change the pack that an object lies in."""
    found = repository.store.state.catalog.find(id)
    assert found is not None
    path = Path(repository.store.backend.root) / found.pack.name  # type: ignore[attr-defined]
    data = bytearray(path.read_bytes())
    change(data, found.entry.offset)
    path.write_bytes(data)


def flip(data: bytearray, at: int) -> None:
    data[at + 30] ^= 1


def blob_of(dataset: Dataset) -> ObjectId:
    media = next(iter(dataset.at().inputs())).media
    assert media is not None and media.blob is not None
    return media.blob


@pytest.mark.parametrize("what", ["blob", "commit", "node", "snapshot"])
def test_a_bad_object_is_named_and_nothing_comes(what: str, ours: Dataset, there: Repository, tmp_path: Path) -> None:
    roots = ours.at().snapshot.roots
    commit = ours.repository.store.get(head(ours), Kind.COMMIT)
    ids = {
        "blob": blob_of(ours),
        "commit": head(ours),
        "node": roots.annotations,
        "snapshot": ObjectId(codec.decode(commit, "")["snapshot"]),
    }
    spoil(there, ids[what], flip)
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    before = repository.store.head
    for work in (lambda: fetch(repository, remote), lambda: fetch_commits(repository, remote, {"pets": {head(ours)}})):
        with pytest.raises(RemoteError) as error:
            work()
        assert error.value.message.startswith(f"remote origin: {what} {ids[what]} in pack ")
        assert error.value.hint == "nothing was changed here; run dsvc check there, and push from a clone that is whole"
    repository.store.refresh()
    assert repository.store.head == before and not repository.store.has(ids[what]) and is_whole(repository)


def test_what_is_missing_there_is_named(ours: Dataset, there: Repository, tmp_path: Path) -> None:
    for path in (tmp_path / "store" / "packs").iterdir():
        if path.stat().st_size:
            path.rename(tmp_path / path.name)
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    with pytest.raises(RemoteError, match=r"remote origin: .* is missing"):
        fetch_commits(repository, remote, {"pets": {head(ours)}})
    assert refs(repository, PIN) == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("dsvc 2\nmust x\n", "remote origin: the repository has format 2", "upgrade dsvc: a newer one wrote it"),
        ("", "remote origin: the repository's head is damaged", None),
        ("dsvc 1\nmust\nmay\noperation 00\n", "remote origin: the repository's head is damaged", None),
        ("\0" * 5000, "remote origin: the repository's head is damaged", None),
    ],
)
def test_heads_that_cannot_be_read(
    text: str, message: str, hint: str | None, ours: Dataset, origin: Remote, there: Repository, tmp_path: Path
) -> None:
    (tmp_path / "store" / "head").write_text(text)
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    works = (
        lambda: fetch(repository, remote),
        lambda: fetch_commits(repository, remote, {"pets": {head(ours)}}),
        lambda: push_commits(ours.repository, origin, {"pets": {say(ours, "more")}}),
    )
    for work in works:
        with pytest.raises(RemoteError) as error:
            work()
        assert error.value.message == message and error.value.hint
        assert hint is None or error.value.hint == hint
    assert (tmp_path / "store" / "head").read_text() == text


def test_damage_here_is_not_blamed_on_the_remote(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    spoil(ours.repository, blob_of(ours), flip)
    with pytest.raises(DamagedError) as error:
        push_commits(ours.repository, origin, {"pets": {head(ours)}})
    assert error.value.message.startswith(f"blob {blob_of(ours)} in pack ")
    store = opened(tmp_path / "store")
    assert refs(store, DATASET) == refs(store, PIN) == [] and is_whole(store)


def put(repository: Repository, make: Callable[[Any], ObjectId], name: str = "main") -> ObjectId:
    """Make a commit at the remote as nobody's dsvc would, and a branch that stands on it."""
    with repository.transaction("hostile") as transaction:
        id = make(transaction.writer)

        def change(refs: Any) -> None:
            refs.set((DATASET, "pets"), DatasetRef())
            refs.set((BRANCH, "pets", name), BranchRef(id))
            refs.set((VERSION, "pets", name if name != "main" else "x"), VersionRef(id, "", ADA, Moment(0)))

        transaction.run(change)
    return id


def bare(store: Any, **fields: Any) -> ObjectId:
    snapshot = store_roots(store, empty_roots(store))
    commit = Commit(**{"snapshot": snapshot, "author": ADA, "time": Moment(1), "message": "x", **fields})
    return store_commit(store, commit)


def with_tree(store: Any, make: Callable[[ObjectId], bytes]) -> ObjectId:
    """A commit whose inputs are a node, made of the name of a leaf with the one input `a.jpg`."""
    leaf = build_tree(store, [(b"a.jpg", codec.encode({}))])
    empty = empty_roots(store)
    root = store.put(Kind.NODE, make(leaf))
    roots = Roots(concepts=empty.concepts, inputs=root, annotations=empty.annotations)
    return bare(store, snapshot=store_roots(store, roots))


def with_inputs(store: Any, value: bytes, key: bytes = b"a.jpg", tree: str = "inputs") -> ObjectId:
    roots = msgspec.structs.replace(empty_roots(store), **{tree: build_tree(store, [(key, value)])})
    return bare(store, snapshot=store_roots(store, roots))


HOSTILE: dict[str, Callable[[Any], ObjectId]] = {
    "a commit that is no map": lambda store: store.put(Kind.COMMIT, codec.encode([1])),
    "a commit that is not even msgpack": lambda store: store.put(Kind.COMMIT, b"\xc1"),
    "a commit without what it holds": lambda store: bare(store, snapshot=ObjectId(bytes(32))),
    "a commit with a message of numbers": lambda store: bare(store, message=7),
    "a commit whose parent is missing": lambda store: bare(store, parents=(ObjectId(bytes(32)),)),
    "a commit whose parent is a snapshot": lambda store: bare(store, parents=(store_roots(store, empty_roots(store)),)),
    "an input whose bytes are missing": lambda store: with_inputs(store, codec.encode({"media": {"blob": bytes(32)}})),
    "an input that is no map": lambda store: with_inputs(store, codec.encode(7)),
    "an input whose media are no map": lambda store: with_inputs(store, codec.encode({"media": 7})),
    "an input whose blob is no id": lambda store: with_inputs(store, codec.encode({"media": {"blob": b"x"}})),
    "an input that leads out of the folder": lambda store: with_inputs(store, codec.encode({}), b"../a.jpg"),
    "an input that is called like no text": lambda store: with_inputs(store, codec.encode({}), b"\xff.jpg"),
    "a node that is not what its parent says": lambda store: with_tree(
        store, lambda leaf: encode_inner(1, [Child(b"b", leaf, 1, 0)])
    ),
    "a node that has more than its parent says": lambda store: with_tree(
        store, lambda leaf: encode_inner(1, [Child(b"a.jpg", leaf, 2, 0)])
    ),
    "a node that is too low": lambda store: with_tree(
        store, lambda leaf: encode_inner(2, [Child(b"a.jpg", leaf, 1, 0)])
    ),
    "a leaf of inputs among the annotations": lambda store: with_inputs(store, codec.encode({}), tree="annotations"),
    "a leaf of inputs among the concepts": lambda store: with_inputs(store, codec.encode({}), tree="concepts"),
    "an input that clashes with nothing": lambda store: with_inputs(store, codec.encode({"!": {"media": [7, 8]}})),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_objects_are_refused(name: str, ours: Dataset, there: Repository, tmp_path: Path) -> None:
    id = put(there, HOSTILE[name])
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    before = repository.store.head
    for work in (lambda: fetch(repository, remote), lambda: fetch_commits(repository, remote, {"pets": {id}})):
        with pytest.raises(RemoteError, match=r"^remote origin: "):
            work()
    repository.store.refresh()
    assert repository.store.head == before


@pytest.mark.parametrize("name", ["../../escape", "two\nlines", "\x1b[31m", "a/b", "", "x" * 300])
def test_hostile_names_are_left_out(name: str, ours: Dataset, there: Repository, tmp_path: Path) -> None:
    id = put(there, bare, name)
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetch(repository, remote)
    assert {ref[3] for ref in refs(repository, REMOTE)} == {"main", "v1"}
    fetched = fetch_commits(repository, remote, {"pets": {id, head(ours)}})
    assert fetched.versions == [("pets", "v1")] and is_whole(repository)


def test_the_remotes_own_work_does_not_travel(ours: Dataset, tmp_path: Path) -> None:
    other = project(tmp_path / "other")
    other.annotate("images/0.txt", text="staged there")
    repository, remote = clone(tmp_path / "theirs", tmp_path / "other")
    fetch(repository, remote)
    assert {ref[0] for ref, _ in repository.view.list(REMOTE)} == {"remote"}
    assert refs(repository, "draft") == [] and len(refs(repository, REMOTE)) == 1


REFS: dict[str, tuple[bytes, bytes]] = {
    "a branch whose name is no text": (b"branch\0pets\0\xff", codec.encode({})),
    "a branch of more names than one": (b"branch\0pets\0HEAD\0x", codec.encode({})),
    "a branch that is no map": (b"branch\0pets\0x", codec.encode(7)),
    "a branch whose commit is no id": (b"branch\0pets\0x", codec.encode({"commit": b"x"})),
    "a version with a message of numbers": (
        b"version\0pets\0x",
        codec.encode({"author": ["a", ""], "commit": bytes(32), "message": 7, "time": [1, 0]}),
    ),
    "a version whose time is a text": (
        b"version\0pets\0x",
        codec.encode({"author": ["a", ""], "commit": bytes(32), "message": "", "time": ["1", 0]}),
    ),
}


@pytest.mark.parametrize("name", REFS)
def test_hostile_refs_are_refused(name: str, ours: Dataset, there: Repository, tmp_path: Path) -> None:
    with there.transaction("hostile") as transaction:
        tree = there.view.tree.edit(transaction.writer, dict([REFS[name]]))
        operation = msgspec.structs.replace(there.operation, view=tree)
        transaction.writer.publish(store_operation(transaction.writer, operation))
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    before = repository.store.head
    works = [lambda: fetch(repository, remote)]
    works += [lambda: fetch_commits(repository, remote, {"pets": {head(ours)}})] if "version" in name else []
    for work in works:
        with pytest.raises(RemoteError, match=r"^remote origin: "):
            work()
    repository.store.refresh()
    assert repository.store.head == before
