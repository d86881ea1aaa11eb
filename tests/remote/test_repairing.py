"""Repair: every kind of file is damaged or lost in turn, with a remote and without one. Nothing whole is ever lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.operations import operations
from dsvc.core.repairing.mending import Donor
from dsvc.core.repairing.repair import RepairReport, find_broken, repair
from dsvc.core.repository import Repository
from dsvc.errors import NotRepositoryError, RefusedError
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.local import LocalBackend
from dsvc.store.objects import ObjectStore

from .workspaces import project, say

Harm = Callable[[Path], None]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


HARMS: dict[str, Harm] = {"flip": flip, "cut": cut, "empty": empty, "lose": Path.unlink}


@pytest.fixture
def ours(tmp_path: Path) -> Dataset:
    """A dataset of several commits, in several packs."""
    dataset = project(tmp_path / "ours", images=3)
    for number in range(3):
        say(dataset, f"{number}")
    (tmp_path / "ours/images/late.txt").write_bytes(b"late" * 100)
    with dataset.edit() as draft:
        draft.add(tmp_path / "ours/images")
    dataset.commit("late")
    return dataset


@pytest.fixture
def folder(ours: Dataset, tmp_path: Path) -> Path:
    """A copy of the project, to be harmed."""
    shutil.copytree(tmp_path / "ours" / ".dsvc", tmp_path / "copy" / ".dsvc")
    return tmp_path / "copy"


def nobody(repository: Repository) -> Iterable[Donor]:
    return ()


def whole(ours: Dataset) -> Callable[[Repository], Iterator[Donor]]:
    def donors(repository: Repository) -> Iterator[Donor]:
        root = ours.repository.root
        assert root is not None
        yield Donor("origin", ObjectStore(LocalBackend(root / ".dsvc")))

    return donors


def files(folder: Path, kind: str) -> list[Path]:
    found = sorted((folder / ".dsvc" / kind).iterdir()) if kind != "head" else [folder / ".dsvc" / "head"]
    assert found
    return found


def mended(folder: Path, report: RepairReport, ours: Dataset) -> None:
    """The repository is whole, and holds what it held."""
    assert report.after.damage == (), report
    after = Repository(LocalBackend(folder / ".dsvc"), folder)
    assert check(after).damage == ()
    assert [logged.id for logged in after.dataset("pets").log()] == [logged.id for logged in ours.log()]
    assert after.store.head.operation == ours.repository.store.head.operation
    for record in ours.at().inputs():
        assert record.media is not None and record.media.blob is not None
        assert after.store.get(record.media.blob, Kind.BLOB)
    after.author = ours.repository.author
    say(after.dataset("pets"), "life goes on")
    assert check(after).damage == ()


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kind", ["head", "manifests", "index", "packs"])
def test_with_a_remote_all_comes_back(kind: str, harm: str, ours: Dataset, folder: Path) -> None:
    for path in files(folder, kind):
        copy = path.with_name(path.name + ".copy")
        shutil.copytree(folder / ".dsvc", saved := folder.parent / "saved")
        HARMS[harm](path)
        assert not copy.exists()
        dry = repair(folder, whole(ours), dry_run=True)
        assert dry.done and dry.after.damage == () and dry.aside is None
        report = repair(folder, whole(ours))
        assert [(one.kind, one.name) for one in report.done] == [(one.kind, one.name) for one in dry.done]
        mended(folder, report, ours)
        shutil.rmtree(folder / ".dsvc")
        saved.rename(folder / ".dsvc")


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kind", ["head", "manifests", "index"])
def test_lists_come_back_from_the_packs_alone(kind: str, harm: str, ours: Dataset, folder: Path) -> None:
    for path in files(folder, kind):
        HARMS[harm](path)
    report = repair(folder, nobody)
    assert {one.kind for one in report.done} == {{"manifests": "manifest"}.get(kind, kind)}
    mended(folder, report, ours)


def test_all_lists_at_once(ours: Dataset, folder: Path) -> None:
    for kind in ("head", "manifests", "index"):
        for path in files(folder, kind):
            path.unlink()
    report = repair(folder, nobody)
    last = ours.repository.store.head.operation.short()
    (said,) = [one.text for one in report.done if one.kind == "head"]
    assert said.startswith(f"lost; set to operation {last} (commit -m late), the last of the longest chain, ")
    mended(folder, report, ours)


@pytest.mark.parametrize("harm", HARMS)
def test_without_a_remote_what_is_whole_stays_and_the_rest_is_named(harm: str, ours: Dataset, folder: Path) -> None:
    blob = next(record.media.blob for record in ours.at().inputs() if record.media and record.key.endswith("late.txt"))
    assert blob is not None
    found = ours.repository.store.state.catalog.find(blob)
    assert found is not None
    path = folder / ".dsvc" / found.pack.name
    before = check(Repository(LocalBackend(folder / ".dsvc"), folder)).objects
    HARMS[harm](path)
    damaged = path.read_bytes() if path.exists() else None
    lost = check(Repository(LocalBackend(folder / ".dsvc"), folder)).damage
    report = repair(folder, nobody)
    objects = {id for one in report.after.damage for id in one.objects}
    assert objects == {id for one in lost for id in one.objects} and report.after.objects == before
    assert all(one.needed.inputs for one in report.after.damage)
    if report.aside is not None:
        assert (report.aside / found.pack.name).read_bytes() == damaged
    again = repair(folder, whole(ours))
    mended(folder, again, ours)


def test_a_damaged_copy_goes_once_a_good_one_is_there(ours: Dataset, folder: Path) -> None:
    (path, *_) = files(folder, "packs")
    flip(path)
    damaged = path.read_bytes()
    report = repair(folder, whole(ours))
    assert report.aside is not None and (report.aside / "packs" / path.name).read_bytes() == damaged
    assert not path.exists()
    assert any("brought from origin" in one.text for one in report.done)


def test_a_lost_node_comes_from_a_pack_that_nothing_lists(ours: Dataset, folder: Path, tmp_path: Path) -> None:
    path = files(folder, "packs")[0]
    shutil.copy(path, tmp_path / "kept")
    report_before = check(Repository(LocalBackend(folder / ".dsvc"), folder))
    path.unlink()
    # The index forgets the pack, and then the pack turns up again.
    left = repair(folder, nobody)
    assert left.after.damage
    shutil.copy(tmp_path / "kept", path)
    report = repair(folder, nobody)
    assert report.after.damage == () and report.after.objects <= report_before.objects + len(report.done)


def test_a_damaged_object_that_nothing_needs_is_dropped(ours: Dataset, folder: Path) -> None:
    repository = Repository(LocalBackend(folder / ".dsvc"), folder, ours.repository.author)
    with repository.store.writer() as writer:
        blob = writer.put(Kind.BLOB, b"nobody needs this" * 40)
        writer.publish(repository.store.head.operation)
    spoil(folder, repository.store, blob)
    report = repair(folder, nobody)
    assert (f"{blob}", "dropped: it is damaged, and nothing needs it") in [(one.name, one.text) for one in report.done]
    assert report.after.damage == ()


def spoil(folder: Path, store: ObjectStore, id: ObjectId) -> None:
    found = store.state.catalog.find(id)
    assert found is not None
    path = folder / ".dsvc" / found.pack.name
    data = bytearray(path.read_bytes())
    data[found.entry.offset + 23] ^= 1
    path.write_bytes(data)


def test_a_whole_repository_is_left_alone(ours: Dataset, folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / ".dsvc").rglob("*") if path.is_file()}
    report = repair(folder, nobody)
    assert report.done == () and report.aside is None and report.after.damage == ()
    after = {path: path.read_bytes() for path in (folder / ".dsvc").rglob("*") if path.is_file()}
    assert {path: data for path, data in before.items() if "cache" not in path.parts} == after


def test_nothing_left_to_go_by(tmp_path: Path, folder: Path) -> None:
    for kind in ("head", "manifests", "index", "packs"):
        for path in files(folder, kind):
            path.unlink()
    with pytest.raises(RefusedError, match="no operation is left in any pack"):
        repair(folder, nobody)
    with pytest.raises(NotRepositoryError):
        find_broken(tmp_path / "nowhere")


def test_a_repair_brings_no_purged_media_back(ours: Dataset, folder: Path) -> None:
    from dsvc.remote.purging import purge

    repository = Repository(LocalBackend(folder / ".dsvc"), folder, ours.repository.author)
    receipt = purge(repository, "pets", ["images/late.txt"], "they asked", ())
    flip(files(folder, "packs")[0])
    report = repair(folder, whole(ours))
    assert report.after.damage == () and report.after.purged == 1
    assert not any(ObjectStore(LocalBackend(folder / ".dsvc")).has(one.blob) for one in receipt.doomed)


def test_a_chain_of_operations_that_is_broken_ends_where_it_is_whole(ours: Dataset, folder: Path) -> None:
    repository = Repository(LocalBackend(folder / ".dsvc"), folder, ours.repository.author)
    chain = [logged.id for logged in operations(repository)]
    spoil(folder, repository.store, chain[3])
    assert [one.is_past for one in check(repository).damage] == [True]
    report = repair(folder, nobody)
    text = f"what was before operation {chain[2].short()} is lost, and cannot be gone back to"
    assert text in [one.text for one in report.done]
    mended(folder, report, ours)
    after = Repository(LocalBackend(folder / ".dsvc"), folder, ours.repository.author)
    assert [logged.id for logged in operations(after)][2:] == chain[:3]


def test_a_head_whose_operation_is_lost(ours: Dataset, folder: Path) -> None:
    """Nobody else knows where everything stood: it is named, and nothing is made worse."""
    store = ObjectStore(LocalBackend(folder / ".dsvc"))
    spoil(folder, store, store.head.operation)
    before = {path: path.read_bytes() for path in (folder / ".dsvc/packs").iterdir()}
    report = repair(folder, nobody)
    assert report.done == () and any(store.head.operation in one.objects for one in report.after.damage)
    assert {path: path.read_bytes() for path in (folder / ".dsvc/packs").iterdir()} == before
