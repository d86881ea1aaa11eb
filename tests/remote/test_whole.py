"""Clones of all structure at once: they make what others make, and take no more than those do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import RemoteError
from dsvc.model.commit import Commit, Moment, store_commit
from dsvc.model.node import Child, Inner, decode_node, encode_inner, encode_leaf
from dsvc.model.records import Annotation, annotation_key, encode_annotation
from dsvc.model.snapshot import Roots, empty_roots, store_roots
from dsvc.model.tree import build_tree
from dsvc.model.view import BRANCH, DATASET, BranchRef, DatasetRef
from dsvc.remote.carrying import Carrier
from dsvc.remote.cloning import clone
from dsvc.remote.purging import purge
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.index import ROW
from dsvc.store.pack import PackClass
from dsvc.store.writer import ObjectWriter

from .test_damage import flip, spoil
from .test_resuming import die
from .workspaces import ADA, is_whole, opened, project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset with so many annotations that its structure fills packs of its own, and a remote beside it."""
    folder = tmp_path_factory.mktemp("whole")
    dataset = project(folder / "ours", images=400, boxes=25)
    push(dataset.repository, add_remote(dataset.repository, "origin", str(folder / "store")), "pets", "main")
    return dataset


@pytest.fixture
def store(made: Dataset, tmp_path: Path) -> Path:
    """A copy of the remote."""
    assert made.repository.root is not None
    shutil.copytree(made.repository.root.parent / "store", tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many objects came at once, of each clone."""
    found: list[int] = []
    offer = ObjectWriter.offer_run

    def counted(writer: ObjectWriter, run: memoryview, rows: list[tuple[ObjectId, object]]) -> None:
        found.append(len(rows))
        offer(writer, run, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(ObjectWriter, "offer_run", counted)
    return found


def listed(repository: Repository) -> set[ObjectId]:
    """The nodes, values and blobs of a repository that its indexes list."""
    catalog, found = repository.store.state.catalog, set()
    for number in range(len(catalog.manifest.segments)):
        segment = catalog.segment(number)
        for raw in segment.rows():
            id, pack, *_ = ROW.unpack(raw)
            if segment.packs[pack].pack_class is not PackClass.HISTORY:
                found.add(ObjectId(id))
    return found


@pytest.mark.parametrize("media", [True, False])
def test_it_makes_what_others_make(
    media: bool, made: Dataset, store: Path, seen: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = clone(str(store), tmp_path / "quick", media=media)
    assert sum(seen) > 100 and (not media or is_whole(quick.repository))
    seen.clear()
    monkeypatch.setattr(Carrier, "bring_whole", lambda self: None)
    slow = clone(str(store), tmp_path / "slow", media=media)
    assert not seen and listed(quick.repository) == listed(slow.repository)
    copy = quick.repository.dataset("pets")
    assert copy.head == made.head and copy.at().snapshot.roots == made.at().snapshot.roots
    assert quick.fetched.commits == slow.fetched.commits


def leaf_of(dataset: Dataset, root: ObjectId) -> ObjectId:
    """A leaf of a tree."""
    node, id = decode_node(dataset.repository.store.get(root, Kind.NODE), root), root
    while isinstance(node, Inner):
        id = node.children[len(node.children) // 2].id
        node = decode_node(dataset.repository.store.get(id, Kind.NODE), id)
    return id


@pytest.mark.parametrize("tree", ["inputs", "annotations"])
@pytest.mark.parametrize("media", [True, False])
def test_a_damaged_leaf_is_named_and_nothing_is_made(
    tree: str, media: bool, made: Dataset, store: Path, seen: list[int], tmp_path: Path
) -> None:
    id = leaf_of(made, getattr(made.at().snapshot.roots, tree))
    spoil(opened(store), id, flip)
    with pytest.raises(RemoteError) as error:
        clone(str(store), tmp_path / "copy", media=media)
    assert error.value.message.startswith(f"remote origin: node {id} in pack ")
    assert sum(seen) > 100 and not (tmp_path / "copy").exists()


def forge(store: Path, make: Callable[[ObjectWriter], Roots]) -> ObjectId:
    """Add a dataset of some roots to a remote, and an object that nothing names, whose id this is."""
    there = opened(store)
    with there.transaction("forge") as transaction:
        writer = transaction.writer
        rest = writer.put(Kind.VALUE, os.urandom(48 << 10))
        commit = Commit(snapshot=store_roots(writer, make(writer)), author=ADA, time=Moment(0), message="forged")
        id = store_commit(writer, commit)

        def change(refs: object) -> None:
            refs.set((DATASET, "forged"), DatasetRef(""))  # type: ignore[attr-defined]
            refs.set((BRANCH, "forged", "main"), BranchRef(id))  # type: ignore[attr-defined]

        transaction.run(change)
    return rest


def test_damage_that_nothing_reaches_is_in_no_ones_way(store: Path, seen: list[int], tmp_path: Path) -> None:
    rest = forge(store, empty_roots)
    spoil(opened(store), rest, flip)
    copy = clone(str(store), tmp_path / "copy").repository
    assert sum(seen) > 100 and is_whole(copy) and not copy.store.has(rest)


def test_what_nothing_reaches_is_not_kept(store: Path, seen: list[int], tmp_path: Path) -> None:
    rest = forge(store, empty_roots)
    copy = clone(str(store), tmp_path / "copy").repository
    assert sum(seen) > 100 and is_whole(copy) and rest not in listed(copy)


def refused(store: Path, tmp_path: Path, make: Callable[[ObjectWriter], Roots], *, media: bool) -> str:
    """What is said of a remote with a dataset of some roots, of which nothing is made."""
    forge(store, make)
    with pytest.raises(RemoteError) as error:
        clone(str(store), tmp_path / "copy", media=media)
    assert not (tmp_path / "copy").exists()
    return error.value.message


MARKS = [(annotation_key("a", f"{n:03}"), encode_annotation(Annotation(key="a", id=f"{n:03}"))) for n in range(40)]


@pytest.mark.parametrize("media", [True, False])
@pytest.mark.parametrize("key", ["../a", "/a", "C:/a"])
def test_a_key_that_leads_out_is_refused(key: str, media: bool, store: Path, seen: list[int], tmp_path: Path) -> None:
    def make(writer: ObjectWriter) -> Roots:
        inputs = [(name.encode(), codec.encode({"split": "x"})) for name in sorted([key, *map(str, range(500, 600))])]
        return replace(empty_roots(writer), inputs=build_tree(writer, inputs))

    assert "remote origin: the input key" in refused(store, tmp_path, make, media=media) and sum(seen) > 100


@pytest.mark.parametrize("media", [True, False])
def test_a_value_does_not_pass_for_a_node(media: bool, store: Path, seen: list[int], tmp_path: Path) -> None:
    def make(writer: ObjectWriter) -> Roots:
        keys, values = [key for key, _ in MARKS], [value for _, value in MARKS]
        leaf = writer.put(Kind.VALUE, encode_leaf(keys, values))
        root = writer.put(Kind.NODE, encode_inner(1, [Child(keys[-1], leaf, len(keys), 0)]))
        return replace(empty_roots(writer), annotations=root)

    assert "node" in refused(store, tmp_path, make, media=media) and sum(seen) > 100


@pytest.mark.parametrize("media", [True, False])
def test_a_leaf_of_annotations_does_not_pass_for_inputs(
    media: bool, store: Path, seen: list[int], tmp_path: Path
) -> None:
    def make(writer: ObjectWriter) -> Roots:
        keys, values = [key for key, _ in MARKS], [value for _, value in MARKS]
        leaf = Child(keys[-1], writer.put(Kind.NODE, encode_leaf(keys, values)), len(keys), 0)
        more = Child(b"b", writer.put(Kind.NODE, encode_leaf([b"b"], [b"\x80"])), 1, 0)
        inputs = writer.put(Kind.NODE, encode_inner(1, [leaf, more]))
        annotations = writer.put(Kind.NODE, encode_inner(1, [leaf]))
        return replace(empty_roots(writer), inputs=inputs, annotations=annotations)

    assert "is not what its parent says" in refused(store, tmp_path, make, media=media) and sum(seen) > 100


def test_media_that_was_purged_stays_away(made: Dataset, seen: list[int], tmp_path: Path) -> None:
    dataset = project(tmp_path / "ours", images=120, boxes=40)
    remote = add_remote(dataset.repository, "origin", str(tmp_path / "store"))
    push(dataset.repository, remote, "pets", "main")
    media = next(iter(dataset.at().inputs())).media
    assert media is not None and media.blob is not None
    purge(dataset.repository, "pets", ["images/0.txt"], "they asked", (remote,))
    copy = clone(str(tmp_path / "store"), tmp_path / "copy")
    assert sum(seen) > 50 and copy.fetched.left_out == 1 and is_whole(copy.repository)
    assert media.blob not in listed(copy.repository)


def test_one_that_was_killed_is_taken_up(made: Dataset, store: Path, tmp_path: Path) -> None:
    die("clone", tmp_path / "copy", 2, str(store))
    copy = clone(str(store), tmp_path / "copy").repository
    assert is_whole(copy) and copy.dataset("pets").head == made.head
    assert listed(copy) == listed(clone(str(store), tmp_path / "other").repository)
