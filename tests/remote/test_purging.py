"""Purging: the bytes are in no file any more, here and at remotes; all else is as it was; nothing brings them back."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dsvc
from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.operations import restore
from dsvc.core.purging.sweeping import bury
from dsvc.core.repository import Repository
from dsvc.errors import DsvcError, NotFoundError, PurgedError, RefusedError, RemoteError
from dsvc.model.records import Media
from dsvc.model.view import DATASET, DatasetRef, TombstoneRef, tombstones
from dsvc.remote.lazy import attach
from dsvc.remote.opening import open_remote
from dsvc.remote.purging import Receipt, purge, remotes_to_purge
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote
from dsvc.remote.tracking import fetch
from dsvc.store.backend import Backend
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.local import LocalBackend

from .workspaces import add_files, head, is_whole, opened, project

STRIDE = int(os.environ.get("DSVC_PURGE_STRIDE", "4"))  # of the calls that a purge is cut at; 1 is every one
KEY = "images/0.txt"
OLD, NEW = b"a face, first " * 9, b"a face, again " * 9


@pytest.fixture
def faces(tmp_path: Path) -> Dataset:
    """A dataset whose first picture is a face, and another face later, and then is gone."""
    dataset = project(tmp_path / "ours", images=3)
    for number, data in enumerate((OLD, NEW)):
        (tmp_path / "ours" / KEY).write_bytes(data)
        add_files(dataset)
        dataset.commit(f"face {number}")
    (tmp_path / "ours" / KEY).unlink()
    dataset.remove(KEY)
    dataset.commit("no face")
    return dataset


@pytest.fixture
def store(faces: Dataset, tmp_path: Path) -> Remote:
    remote = add_remote(faces.repository, "origin", str(tmp_path / "store"))
    push(faces.repository, remote, "pets", "main")
    return remote


def ids(*datas: bytes) -> set[ObjectId]:
    return {object_id(Kind.BLOB, data) for data in datas}


def first(dataset: Dataset) -> bytes:
    return f"{dataset.repository.root.name} 0".encode() * 40  # type: ignore[union-attr]


def run(dataset: Dataset, *keys: str, remotes: tuple[Remote, ...] = (), **options: Any) -> Receipt:
    return purge(dataset.repository, dataset.name, keys or (KEY,), "they asked", remotes, **options)


def held(folder: Path, *datas: bytes) -> list[str]:
    """The files below a folder in which some bytes lie, packed or not."""
    import zstandard

    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for data in datas:
                packed = zstandard.ZstdCompressor(level=3).compress(data)
                if data in content or packed in content:
                    found.append(path.relative_to(folder).as_posix())
    return found


def test_every_file_that_the_key_ever_had_goes_and_commits_stay(faces: Dataset, store: Remote, tmp_path: Path) -> None:
    ours, repository = tmp_path / "ours" / ".dsvc", faces.repository
    datas = (first(faces), OLD, NEW)
    assert held(ours, *datas) and held(tmp_path / "store", *datas)
    log = [logged.id for logged in faces.log()]
    others = [record.media for record in faces.at().inputs()]
    receipt = run(faces, remotes=(store,))
    assert {one.blob for one in receipt.doomed} == ids(*datas)
    assert [len(one.commits) for one in receipt.doomed] == [1, 1, 1]
    assert held(ours, *datas) == held(tmp_path / "store", *datas) == []
    assert {name: swept.objects for name, swept in receipt.places.items()} == {"": 3, "origin": 3}
    for place in (repository, opened(tmp_path / "store")):
        assert set(tombstones(place.view)) == ids(*datas) and is_whole(place)
        assert check(place).purged == 3
    assert [logged.id for logged in faces.log()] == log
    for media in others:
        assert media is not None and media.blob is not None
        assert repository.store.get(media.blob, Kind.BLOB)
    state = faces.at("HEAD~1")
    with pytest.raises(
        PurgedError, match=r"^images/0.txt: media [0-9a-f]{12} was purged on \d{4}-\d\d-\d\d by Ada: they asked$"
    ):
        state[KEY].read_bytes()
    again = run(faces, remotes=(store,))
    assert {name: swept.packs for name, swept in again.places.items()} == {"": 0, "origin": 0}


def test_a_dry_run_changes_nothing(faces: Dataset, store: Remote) -> None:
    before = faces.repository.store.head
    receipt = run(faces, remotes=(store,), dry_run=True)
    assert len(receipt.doomed) == 3 and receipt.places == {}
    faces.repository.store.refresh()
    assert faces.repository.store.head == before


def test_the_bytes_do_not_come_back(faces: Dataset, tmp_path: Path) -> None:
    run(faces)
    (tmp_path / "ours" / KEY).write_bytes(OLD)
    with faces.edit() as draft:
        report = draft.add(tmp_path / "ours" / "images")
    assert [problem.reason.partition(" on ")[0] for problem in report.problems] == ["was purged"]
    assert KEY not in faces.draft()
    with pytest.raises(RefusedError, match="was purged on") as error, faces.edit() as draft:
        blob = draft.transaction.writer.put(Kind.BLOB, NEW)
        draft.put_media({"images/x.txt": Media(blob=blob, size=len(NEW))})
    assert error.value.message.endswith(" by Ada: they asked; nothing was changed")
    assert held(tmp_path / "ours" / ".dsvc", OLD, NEW) == []


def test_nothing_takes_a_tombstone_away(faces: Dataset) -> None:
    repository = faces.repository
    before = repository.store.head.operation
    receipt = run(faces)
    with pytest.raises(RefusedError, match="cannot be taken back: the bytes are gone") as error:
        repository.undo()
    assert error.value.hint == f"what came before it can be undone by its id: dsvc undo --op {before.short()}"
    restore(repository, before.hex())
    assert set(tombstones(repository.view)) == {one.blob for one in receipt.doomed}
    faces.repository.undo(before.hex())
    assert KEY in faces.at("HEAD")
    assert len(tombstones(repository.view)) == 3 and is_whole(repository)


def test_bytes_that_others_share_stay_unless_everywhere(faces: Dataset, tmp_path: Path) -> None:
    (tmp_path / "ours" / "images" / "copy.txt").write_bytes(NEW)
    add_files(faces)  # in the draft alone
    other = faces.repository.create("other")
    (tmp_path / "ours" / "elsewhere").mkdir()
    (tmp_path / "ours" / "elsewhere" / "x.txt").write_bytes(OLD)
    with other.edit() as draft:
        draft.add(tmp_path / "ours" / "elsewhere")
    other.commit("x")
    with pytest.raises(RefusedError) as error:
        run(faces)
    names = "elsewhere/x.txt (dataset other), images/copy.txt (dataset pets)"
    assert error.value.message == f"2 other inputs have the same bytes: {names}; nothing was purged"
    assert tombstones(faces.repository.view) == {}
    run(faces, KEY, "images/copy.txt", everywhere=True)
    with pytest.raises(PurgedError):
        other.at()["elsewhere/x.txt"].read_bytes()
    assert is_whole(faces.repository)


def test_a_dataset_of_another_name_is_no_other(faces: Dataset) -> None:
    faces.repository.rename("pets", "animals")
    run(faces.repository.dataset("animals"))
    assert len(tombstones(faces.repository.view)) == 3


def test_a_key_that_never_was_or_never_had_bytes(faces: Dataset) -> None:
    with pytest.raises(NotFoundError, match="in the history of pets"):
        run(faces, "images/9.txt")
    with pytest.raises(RefusedError, match="a purge needs a reason"):
        purge(faces.repository, "pets", [KEY], " ", ())


def test_versions_that_only_a_remote_has_go_too(faces: Dataset, store: Remote, tmp_path: Path) -> None:
    theirs = opened(tmp_path / "store")
    dataset = theirs.dataset("pets")
    with dataset.edit() as draft:
        blob = draft.transaction.writer.put(Kind.BLOB, b"their face" * 20)
        draft.put_media({KEY: Media(blob=blob, size=200)})
    dataset.commit("theirs", author=faces.repository.author)
    receipt = run(faces, remotes=(store,))
    assert len(receipt.doomed) == 4 and held(tmp_path / "store", b"their face" * 20) == []
    assert blob in tombstones(faces.repository.view)


def test_a_remote_out_of_reach_stops_all_of_it(faces: Dataset, store: Remote, tmp_path: Path) -> None:
    assert [remote.name for remote in remotes_to_purge(faces.repository)[0]] == ["origin"]
    (tmp_path / "store").rename(tmp_path / "away")
    with pytest.raises(RemoteError):
        run(faces, remotes=(store,))
    assert tombstones(faces.repository.view) == {} and held(tmp_path / "ours" / ".dsvc", NEW)


def test_big_media_in_chunks(faces: Dataset, tmp_path: Path) -> None:
    import random

    shared, secret = random.Random(1).randbytes(18 << 20), random.Random(2).randbytes(3 << 20)
    for name, data in (("big.bin", shared + secret), ("other.bin", shared)):
        (tmp_path / "ours" / "images" / name).write_bytes(data)
        with faces.edit() as draft:
            draft.add(tmp_path / "ours" / "images" / name)
    faces.commit("big")
    (receipt,) = run(faces, "images/big.bin").places.values()
    assert receipt.kept > 5 and receipt.objects >= 2
    for at in range(0, len(secret) - 99, 1 << 20):
        assert at == 0 or held(tmp_path / "ours" / ".dsvc", secret[at : at + 99]) == []
    assert faces.at()["images/other.bin"].read_bytes() == shared
    assert is_whole(faces.repository)


class CutError(Exception):
    """The power went."""


class Failing:
    """A backend that works for so many calls, and then for none."""

    def __init__(self, backend: Backend, calls: int) -> None:
        self._backend = backend
        self._left = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise CutError
            return found(*arguments, **options)

        return call


def copies(folder: Path, tmp_path: Path) -> Iterator[Path]:
    import shutil

    for number in itertools.count():
        target = tmp_path / f"copy{number}"
        shutil.copytree(folder / ".dsvc", target)
        yield target


def test_a_crash_at_any_call_is_safe_and_running_again_finishes(faces: Dataset, tmp_path: Path) -> None:
    datas, ended = (first(faces), OLD, NEW), 0
    for calls, folder in zip(itertools.count(0, STRIDE), copies(tmp_path / "ours", tmp_path), strict=False):
        repository = Repository(LocalBackend(folder), None, faces.repository.author)
        repository.store.refresh()
        repository.store.backend = Failing(repository.store.backend, calls)  # type: ignore[assignment]
        try:
            purge(repository, "pets", [KEY], "they asked", ())
            ended = calls
        except (CutError, DsvcError):
            pass
        after = Repository(LocalBackend(folder), None, faces.repository.author)
        report = check(after)
        assert report.damage == (), (calls, report.damage)
        purge(after, "pets", [KEY], "they asked", ())
        assert [name for name in held(folder, *datas) if not name.startswith("tmp/")] == [], calls
        assert check(after).damage == () and check(after).purged == 3
        if ended:
            break
    assert ended > 60


@pytest.mark.parametrize("moment", [0, 1])
def test_whoever_adds_the_bytes_at_that_moment_loses(
    moment: int, faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer has the bytes staged, and publishes after the tombstone came, or after the bytes went."""
    folder, author = next(copies(tmp_path / "ours", tmp_path)), faces.repository.author
    repository, other = (Repository(LocalBackend(folder), None, author) for _ in range(2))
    transaction = other.transaction("add")
    transaction.writer.put(Kind.BLOB, NEW + b"!")
    transaction.writer.put(Kind.BLOB, NEW)
    swap, count = LocalBackend.swap_head, itertools.count()

    def late(self: LocalBackend, expected: bytes | None, new: bytes) -> bool:
        done = swap(self, expected, new)
        if self is repository.store.backend and next(count) == moment:
            with pytest.raises(RefusedError) as error, transaction:
                transaction.run(lambda refs: refs.set((DATASET, "new"), DatasetRef()))
            assert "was purged on" in error.value.message
        return done

    monkeypatch.setattr(LocalBackend, "swap_head", late)
    purge(repository, "pets", [KEY], "they asked", ())
    assert next(count) == 2
    assert held(folder, NEW) == [] and check(repository).damage == ()


def test_whoever_copied_the_bytes_in_a_try_that_lost_starts_again(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publish folds the small pack with the bytes into its own, and then the purge is faster."""
    folder, author = next(copies(tmp_path / "ours", tmp_path)), faces.repository.author
    repository, other = (Repository(LocalBackend(folder), None, author) for _ in range(2))
    bury(repository, dict.fromkeys(ids(first(faces), OLD, NEW), 9), "they asked", "purge")
    swap = LocalBackend.swap_head

    def overtaken(self: LocalBackend, expected: bytes | None, new: bytes) -> bool:
        if self is other.store.backend:
            monkeypatch.setattr(LocalBackend, "swap_head", swap)
            purge(repository, "pets", [KEY], "they asked", ())
        return swap(self, expected, new)

    monkeypatch.setattr(LocalBackend, "swap_head", overtaken)
    with pytest.raises(RefusedError, match="media was purged while this command ran"), other.transaction("add") as work:
        for number in range(400):
            work.writer.put(Kind.BLOB, f"{number}".encode() * 50)
        work.run(lambda refs: refs.set((DATASET, "new"), DatasetRef()))
    assert held(folder, NEW, OLD) == [] and check(repository).damage == ()


def test_tombstones_hold_what_the_receipt_says(faces: Dataset) -> None:
    receipt = run(faces)
    for one in receipt.doomed:
        stone = tombstones(faces.repository.view)[one.blob]
        assert stone == TombstoneRef("they asked", faces.repository.author, receipt.time, one.size)  # type: ignore[arg-type]
    assert faces.repository.operation.command == f"purge {KEY}: they asked"
    assert head(faces)


def test_what_came_from_elsewhere_is_not_kept_once_it_was_purged(faces: Dataset, store: Remote, tmp_path: Path) -> None:
    """A blob that was read through a remote waits to be stored, and is purged meanwhile."""
    repository = dsvc.init(tmp_path / "lazy", author=faces.repository.author)
    remote = add_remote(repository, "origin", str(tmp_path / "store"))
    fetch(repository, remote._replace(media=False))
    attach(repository)
    (blob,) = ids(NEW)
    assert repository.store.get(blob, Kind.BLOB) == NEW and not repository.store.has(blob)
    bury(repository, {blob: len(NEW)}, "they asked", "purge")
    repository.store.close()
    assert held(tmp_path / "lazy" / ".dsvc" / "packs", NEW) == [] and not repository.store.has(blob)
    with pytest.raises(PurgedError, match="they asked"):
        repository.store.get(blob, Kind.BLOB)


def test_copies_in_the_cache_go(faces: Dataset, tmp_path: Path) -> None:
    repository = faces.repository
    found = repository.store.state.catalog.find(object_id(Kind.BLOB, NEW))
    assert found is not None and repository.cache_folder is not None
    copy = repository.cache_folder / "remotes" / "1234" / found.pack.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes((tmp_path / "ours/.dsvc" / found.pack.name).read_bytes() + b"checksum")
    other = copy.with_name("other")
    other.write_bytes(b"another pack")
    faces.repository.checkout("HEAD~1", tmp_path / "ours" / "laid", link="hard")
    assert held(repository.cache_folder, NEW)
    (receipt,) = run(faces).places.values()
    assert receipt.cached == 2 and other.exists() and held(repository.cache_folder, NEW) == []


def test_a_bucket(faces: Dataset, bucket_url: str, tmp_path: Path) -> None:
    remote = add_remote(faces.repository, "origin", bucket_url)
    push(faces.repository, remote, "pets", "main")
    receipt = run(faces, remotes=(remote,))
    assert receipt.places["origin"].objects == 3
    there = open_remote(faces.repository, remote)
    assert check(there).purged == 3 and is_whole(there)
    for name in there.store.backend.names("packs/"):
        (tmp_path / "fetched").mkdir(exist_ok=True)
        (tmp_path / "fetched" / name.rpartition("/")[2]).write_bytes(there.store.backend.read(name))
    assert held(tmp_path / "fetched", first(faces), OLD, NEW) == []
