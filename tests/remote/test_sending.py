"""Pushes of datasets: other branches, leases, deletions; and what does not travel: purged and lazy media, datasets."""

import random
from pathlib import Path

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import DamagedError, NotFoundError, RefusedError, RemoteError, UsageError
from dsvc.model.commit import Moment
from dsvc.model.view import BRANCH, DATASET, REMOTE, TOMBSTONE, VERSION, TombstoneRef
from dsvc.remote.cloning import clone as clone_all
from dsvc.remote.deleting import Deleted, delete_refs
from dsvc.remote.pulling import pull_branch
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote, list_remotes
from dsvc.remote.tracking import fetch
from dsvc.store.ids import Kind, ObjectId

from .test_resuming import packs_in
from .workspaces import ADA, add_files, clone, head, is_whole, opened, refs, say


@pytest.fixture
def theirs(ours: Dataset, origin: Remote, tmp_path: Path) -> tuple[Dataset, Remote]:
    """Somebody else's dataset, begun from what ours has pushed, and their remote."""
    push(ours.repository, origin, "pets", "main")
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    dataset = repository.create("pets")
    pull_branch(dataset, remote)
    return dataset, remote


def side(dataset: Dataset, text: str, name: str = "side") -> ObjectId:
    """A commit on another branch."""
    if dataset.repository.view.get(BRANCH, "pets", name) is None:
        dataset.create_branch(name)
    return say(dataset.repository.dataset("pets", name), text)


# ---- other branches


def test_other_branches_go_where_they_can_and_are_left_where_not(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path
) -> None:
    dataset, remote = theirs
    first = side(ours, "mine")
    sent = push(ours.repository, origin, "pets", "main")
    assert sent.branches == [
        ("pets", ("main", head(ours), "current", head(ours))),
        ("pets", ("side", first, "new", None)),
    ]
    second = side(ours, "mine again")
    assert push(ours.repository, origin, "pets", "main").branches[1] == ("pets", ("side", second, "forward", first))
    aside = side(dataset, "theirs")
    id = say(dataset, "more")
    sent = push(dataset.repository, remote, "pets", "main")
    assert [moved for _, moved in sent.branches] == [
        ("main", id, "forward", head(ours)),
        ("side", second, "diverged", second),
    ]
    assert sent.commits == 1, "what is left is not sent"
    store = opened(tmp_path / "store")
    assert not store.store.has(aside) and is_whole(store)
    assert dataset.repository.view.get(REMOTE, "origin", "pets", "branch", "side") is None


def test_a_branch_that_was_left_at_first_is_left_when_the_push_is_tried_again(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commits were not sent, so it must not move, wherever it stands there by then."""
    dataset, remote = theirs
    side(ours, "mine")
    push(ours.repository, origin, "pets", "main")
    side(dataset, "theirs")
    say(dataset, "more")
    from dsvc.store.local import LocalBackend

    swap, done = LocalBackend.swap_head, list[bool]()

    def slow(backend: LocalBackend, expected: bytes | None, new: bytes) -> bool:
        if backend.root == tmp_path / "store" and not done:
            done.append(True)
            delete_refs(ours.repository, origin, ["pets:side"])
        return swap(backend, expected, new)

    monkeypatch.setattr(LocalBackend, "swap_head", slow)
    sent = push(dataset.repository, remote, "pets", "main")
    assert done and [moved.move for _, moved in sent.branches] == ["forward", "diverged"]
    assert refs(opened(tmp_path / "store"), BRANCH) == [("pets", "main")] and is_whole(opened(tmp_path / "store"))


def test_versions_go_that_a_branch_reaches(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    side(ours, "aside")
    ours.repository.dataset("pets", "side").create_version("v2")
    ours.repository.dataset("pets").delete_branch("side", force=True)
    assert push(ours.repository, origin, "pets", "main").versions == [("pets", "v1")]
    assert push(ours.repository, origin).versions == [("pets", "v2")], "all of it, with --all"
    assert refs(opened(tmp_path / "store"), VERSION) == [("pets", "v1"), ("pets", "v2")]


# ---- force with lease


def test_a_branch_moves_aside_where_it_stands_as_it_was_seen(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path
) -> None:
    dataset, remote = theirs
    mine = say(ours, "mine")
    push(ours.repository, origin, "pets", "main")
    id = say(dataset, "theirs")
    with pytest.raises(
        RefusedError, match="pets:main has moved at origin since it was last seen; nothing was"
    ) as error:
        push(dataset.repository, remote, "pets", "main", force=True)
    assert error.value.hint == "look at it first: dsvc fetch origin, then dsvc log origin/pets:main"
    fetch(dataset.repository, remote)
    sent = push(dataset.repository, remote, "pets", "main", force=True)
    assert sent.branches == [("pets", ("main", id, "forced", mine))]
    assert head(opened(tmp_path / "store").dataset("pets")) == id and is_whole(opened(tmp_path / "store"))
    assert dataset.at("origin/pets:main").commit == id


def test_a_branch_moves_back(ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path) -> None:
    before, id = head(ours), say(ours, "wrong")
    push(ours.repository, origin, "pets", "main")
    while head(ours) != before:
        ours.repository.undo()
    fetch(ours.repository, origin)
    assert push(ours.repository, origin, "pets", "main").branches[0][1].move == "current"
    assert push(ours.repository, origin, "pets", "main", force=True).branches == [
        ("pets", ("main", before, "forced", id))
    ]
    assert push(ours.repository, origin, "pets", "main", force=True).branches[0][1].move == "current"


# ---- deletion


def test_only_a_deletion_takes_away(
    ours: Dataset, origin: Remote, theirs: tuple[Dataset, Remote], tmp_path: Path
) -> None:
    dataset, remote = theirs
    side(ours, "aside")
    push(ours.repository, origin, "pets", "main")
    ours.delete_branch("side", force=True)
    ours.delete_version("v1")
    push(ours.repository, origin)
    store = opened(tmp_path / "store")
    assert refs(store, BRANCH) == [("pets", "main"), ("pets", "side")] and refs(store, VERSION) == [("pets", "v1")]
    before = store.store.head
    assert [one.name for one in delete_refs(ours.repository, origin, ["pets:side", "@v1"], "pets", dry_run=True)] == [
        "pets:side",
        "pets@v1",
    ]
    store.store.refresh()
    assert store.store.head == before
    gone = delete_refs(ours.repository, origin, ["origin/pets:side", "v1"], "pets")
    assert gone[1] == Deleted("version", "pets@v1", head(ours))
    assert refs(store, BRANCH) == [("pets", "main")] and refs(store, VERSION) == []
    assert refs(ours.repository, REMOTE) == [("origin", "pets", "branch", "main")]
    assert delete_refs(ours.repository, origin, ["pets"]) == [Deleted("dataset", "pets", None)]
    assert refs(store, DATASET) == refs(store, BRANCH) == [] and is_whole(store)
    from dsvc.core.operations import undo

    undo(store, store.store.head.operation.hex())
    assert refs(store, BRANCH) == [("pets", "main")], "its operation log brings it back"
    assert {seen.name for seen in fetch(dataset.repository, remote).changes} == {"origin/pets@v1"}


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("pets:nine", NotFoundError, "origin has no pets:nine"),
        ("zoo", NotFoundError, "origin has no zoo"),
        (":main", UsageError, "':main' names no dataset, and none is selected here"),
        ("", NotFoundError, "origin has no "),
    ],
)
def test_what_cannot_be_deleted(
    name: str, error: type[Exception], text: str, ours: Dataset, origin: Remote, tmp_path: Path
) -> None:
    push(ours.repository, origin, "pets", "main")
    before = opened(tmp_path / "store").store.head
    with pytest.raises(error, match=text):
        delete_refs(ours.repository, origin, ["pets@v1", name])
    assert opened(tmp_path / "store").store.head == before


def test_a_name_that_means_two_things_is_not_deleted(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    ours.create_branch("pets")
    push(ours.repository, origin, "pets", "main")
    with pytest.raises(UsageError, match="'pets' is a dataset at origin, and stands for pets:pets too"):
        delete_refs(ours.repository, origin, ["pets"], "pets")


# ---- tombstones


def blobs(dataset: Dataset) -> list[ObjectId]:
    """The media of a dataset."""
    return [sample.input.media.blob for sample in dataset.at() if sample.input.media and sample.input.media.blob]


def bury(repository: Repository, blob: ObjectId) -> None:
    """Leave a tombstone, as a purge does; the bytes stay."""
    stone = TombstoneRef("a face", ADA, Moment(1), 3)
    repository.change("purge", lambda refs: refs.set((TOMBSTONE, blob.hex()), stone))


@pytest.mark.parametrize("end", ["here", "there"])
def test_what_was_purged_does_not_travel(end: str, ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    blob, *others = blobs(ours)
    if end == "there":
        Repository.create_in(opened(tmp_path / "store").store.backend)
    bury(ours.repository if end == "here" else opened(tmp_path / "store"), blob)
    sent = push(ours.repository, origin, "pets", "main")
    store = opened(tmp_path / "store")
    assert sent.left_out == 1 and not store.store.has(blob) and all(store.store.has(other) for other in others)
    assert refs(store, TOMBSTONE) == [(blob.hex(),)] and is_whole(store)
    assert push(ours.repository, origin, "pets", "main").left_out == 0, "what was looked at is not looked at again"
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetched = fetch(repository, remote)
    assert fetched.left_out == 1 and refs(repository, TOMBSTONE) == [(blob.hex(),)] and is_whole(repository)
    assert fetch(ours.repository, origin).left_out == 0
    assert refs(ours.repository, TOMBSTONE) == [(blob.hex(),)]


# ---- blobs in chunks


def test_a_file_that_is_a_chunk_of_another_travels_once(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    images, store = tmp_path / "ours" / "images", ours.repository.store
    data = random.Random(1).randbytes(9 << 20).hex().encode()
    (images / "big.txt").write_bytes(data)
    add_files(ours)
    ours.commit("big")
    big = next(s.input.media.blob for s in ours.at() if s.key == "images/big.txt" and s.input.media)
    assert big is not None
    store.refresh()
    chunk = store.chunks(big)[0]
    (images / "chunk.txt").write_bytes(store.get(chunk, Kind.BLOB))
    add_files(ours)
    ours.commit("chunk")
    push(ours.repository, origin, "pets", "main")
    there = opened(tmp_path / "store")
    assert b"".join(there.store.open_blob(big)) == data and is_whole(there)
    assert [id for ids in packs_in(tmp_path / "store").values() for id in ids].count(chunk) == 1
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    fetch(repository, remote)
    assert b"".join(repository.store.open_blob(big)) == data and is_whole(repository)


# ---- what is left at the remote


def test_a_clone_without_media_has_all_records(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    push(ours.repository, origin, "pets", "main")
    done = clone_all(origin.url, tmp_path / "copy", ADA, media=False)
    store, dataset = done.repository.store, done.repository.dataset("pets")
    assert [s.annotations for s in dataset.at()] == [s.annotations for s in ours.at()]
    assert not any(store.has(blob) for blob in blobs(ours))
    assert list_remotes(done.repository)[0].media is False
    (tmp_path / "ours" / "images" / "new.txt").write_bytes(b"new")
    add_files(ours)
    ours.commit("more")
    push(ours.repository, origin, "pets", "main")
    pulled = pull_branch(dataset, list_remotes(done.repository)[0])
    assert pulled.fetched.commits == 1 and head(dataset) == head(ours) and not any(map(store.has, blobs(ours)))
    say(dataset, "on top")
    sent = push(done.repository, list_remotes(done.repository)[0], "pets", "main")
    assert sent.commits == 1 and is_whole(opened(tmp_path / "store"))


def test_media_that_is_nowhere_is_named_and_nothing_changes(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    push(ours.repository, origin, "pets", "main")
    done = clone_all(origin.url, tmp_path / "copy", ADA, media=False)
    other = add_remote(done.repository, "other", str(tmp_path / "other"), local=True)
    with pytest.raises(RefusedError, match=r"media of input 'images/0.txt' is neither here nor at other; nothing was"):
        push(done.repository, other, "pets", "main")
    store = opened(tmp_path / "other")
    assert refs(store, DATASET) == [] and is_whole(store)
    third, remote = clone(tmp_path / "third", tmp_path / "copy")
    with pytest.raises(RemoteError, match=r"remote origin: the media of input 'images/0.txt' is missing there"):
        fetch(third, remote)
    assert refs(third, REMOTE) == []


def test_a_clone_of_one_dataset(ours: Dataset, origin: Remote, tmp_path: Path) -> None:
    zoo = ours.repository.create("zoo")
    zoo.import_(tmp_path / "ours" / "pets.json")
    zoo.commit("animals")
    push(ours.repository, origin)
    with pytest.raises(NotFoundError, match="origin has no dataset 'zo'") as error:
        clone_all(origin.url, tmp_path / "copy", ADA, datasets=("zo",))
    assert error.value.hint == "there is: zoo" and not (tmp_path / "copy").exists()
    done = clone_all(origin.url, tmp_path / "copy", ADA, datasets=("zoo",))
    assert refs(done.repository, DATASET) == [("zoo",)] and done.dataset == "zoo" and is_whole(done.repository)
    assert not done.repository.store.has(head(ours), Kind.COMMIT)
    say(ours, "more")
    push(ours.repository, origin)
    remote = list_remotes(done.repository)[0]
    assert remote.datasets == ("zoo",) and fetch(done.repository, remote).changes == []
    assert fetch(done.repository, remote._replace(datasets=())).changes[0].name == "origin/pets:main"
    assert fetch(done.repository, remote).changes == [], "what is known of other datasets stays"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ('media = "no"', "media of remote 'origin' is neither true nor false"),
        ("datasets = 3", "datasets of remote 'origin' is no list of names"),
        ("datasets = [1]", "datasets of remote 'origin' is no list of names"),
    ],
)
def test_settings_that_make_no_sense(lines: str, text: str, ours: Dataset) -> None:
    assert ours.repository.root is not None
    (ours.repository.root / "dsvc.toml").write_text(f'[remotes.origin]\nurl = "../store"\n{lines}\n')
    with pytest.raises(DamagedError, match=text):
        list_remotes(Repository.open(ours.repository.root))
