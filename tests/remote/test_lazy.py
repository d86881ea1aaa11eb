"""Media that is absent comes from a remote when it is read, verified, and is kept."""

from __future__ import annotations

import gc
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bare import bare_clone, blobs

import dsvc
from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import DamagedError, NotFoundError, RefusedError, RemoteError
from dsvc.model.commit import Moment
from dsvc.model.view import TombstoneRef, tombstone_of
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.local import LocalBackend

from .workspaces import ADA, project


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A remote with forty small files."""
    ours = project(tmp_path / "ours", images=40)
    push(ours.repository, add_remote(ours.repository, "origin", str(tmp_path / "store")))
    return tmp_path / "store"


@pytest.fixture
def bare(store: Path, tmp_path: Path) -> Repository:
    """A clone of it without media."""
    return bare_clone(store, tmp_path / "bare")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, store: Path) -> list[str]:
    """The files of the remote that are read, a request each."""
    found: list[str] = []
    plain = LocalBackend.read

    def read(self: LocalBackend, name: str, *rest: Any) -> bytes:
        if self.root == store:
            found.append(name)
        return plain(self, name, *rest)

    monkeypatch.setattr(LocalBackend, "read", read)
    return found


def packs(reads: list[str]) -> list[str]:
    return [name for name in reads if name.startswith("packs/")]


def test_absent(bare: Repository) -> None:
    """A clone without media has none, and all of its records."""
    assert len(blobs(bare)) == 40
    assert not any(bare.store.has_media(blob) for blob in blobs(bare))
    assert all(bare.store.elsewhere and bare.store.elsewhere.has(blob) for blob in blobs(bare))


def test_read(bare: Repository, reads: list[str]) -> None:
    """An absent blob is read from the remote, by one request once the index is known."""
    first, second = blobs(bare)[:2]
    assert bare.store.get(first, Kind.BLOB) == b"ours 0" * 40
    before = len(reads)
    assert b"".join(bare.store.open_blob(second)) == b"ours 1" * 40
    assert [name.partition("/")[0] for name in reads[before:]] == ["packs"]


def test_is_kept(bare: Repository, tmp_path: Path, store: Path) -> None:
    """What was read is here after the store was closed: without an operation of its own, and with one pack for all."""
    before = bare.store.head
    for blob in blobs(bare):
        bare.store.get(blob, Kind.BLOB)
    bare.store.close()
    shutil.rmtree(store)
    again = dsvc.open(tmp_path / "bare")
    assert [again.store.get(blob, Kind.BLOB) for blob in blobs(again)] == [
        f"ours {name}".encode() * 40 for name in sorted(str(number) for number in range(40))
    ]
    assert again.store.head.operation == before.operation
    assert again.store.head.manifest != before.manifest
    assert check(again).damage == ()


def test_is_kept_when_dropped(store: Path, tmp_path: Path) -> None:
    """Whoever forgets to close loses nothing."""
    bare = bare_clone(store, tmp_path / "bare")
    blob = blobs(bare)[0]
    bare.store.get(blob, Kind.BLOB)
    del bare
    gc.collect()
    assert dsvc.open(tmp_path / "bare").store.has_media(blob)


def test_is_kept_on_the_way(bare: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came is stored whenever there is enough of it."""
    monkeypatch.setattr("dsvc.store.keeper.ENOUGH", 200)
    for blob in blobs(bare)[:8]:
        bare.store.get(blob, Kind.BLOB)
    for _ in range(500):
        other = dsvc.open(tmp_path / "bare")
        if (kept := sum(other.store.has_media(blob) for blob in blobs(bare))) > 0:
            break
        time.sleep(0.02)
    assert 0 < kept < 8
    assert [bare.store.get(blob, Kind.BLOB)[:4] for blob in blobs(bare)] == [b"ours"] * 40
    bare.store.close()
    assert all(dsvc.open(tmp_path / "bare").store.has_media(blob) for blob in blobs(bare))
    assert check(bare).damage == ()


def test_another_writes_meanwhile(bare: Repository, tmp_path: Path) -> None:
    """What came is stored beside what others have done meanwhile."""
    blob = blobs(bare)[0]
    bare.store.get(blob, Kind.BLOB)
    other = dsvc.open(tmp_path / "bare", author=ADA)
    other.create("cats")
    bare.store.close()
    assert {found.name for found in bare.datasets()} == {"cats", "pets"}
    assert bare.store.has_media(blob)


def test_announced(bare: Repository, reads: list[str]) -> None:
    """What was announced comes in one request, and is asked for once something was missing."""
    wanted = blobs(bare)
    bare.store.prefetch(wanted)
    assert not reads
    assert [bare.store.get(blob, Kind.BLOB) for blob in wanted] == [
        f"ours {name}".encode() * 40 for name in sorted(str(number) for number in range(40))
    ]
    assert len(packs(reads)) == 1


def test_announced_and_here(bare: Repository, reads: list[str]) -> None:
    """What is here is not asked for again."""
    for blob in blobs(bare):
        bare.store.get(blob, Kind.BLOB)
    before = len(reads)
    bare.store.prefetch(blobs(bare))
    for blob in blobs(bare):
        bare.store.get(blob, Kind.BLOB)
    bare.store.close()
    for blob in blobs(bare):
        bare.store.get(blob, Kind.BLOB)
    assert len(reads) == before


def test_cannot_be_kept(bare: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, reading works all the same."""

    def full(self: LocalBackend) -> Any:
        raise RefusedError("the disk is full")

    monkeypatch.setattr(LocalBackend, "create", full)
    wanted = blobs(bare)
    bare.store.prefetch(wanted[:20])
    assert [bare.store.get(blob, Kind.BLOB)[:5] for blob in wanted] == [b"ours "] * 40
    bare.store.close()
    assert not bare.store.has_media(wanted[0])


def test_out_of_reach(bare: Repository, store: Path) -> None:
    """A remote that is gone is an error that names it; nothing else needs it."""
    store.rename(store.with_name("moved"))
    with pytest.raises(RemoteError, match=r"^remote origin: .* does not exist$"):
        bare.store.get(blobs(bare)[0], Kind.BLOB)


def test_names_the_input(bare: Repository, store: Path) -> None:
    """Whoever reads an input's media is told which."""
    store.rename(store.with_name("moved"))
    sample = next(iter(bare.dataset("pets").at()))
    with pytest.raises(RemoteError, match=r"^images/0.txt: remote origin: "):
        sample.read_bytes()


def test_second_remote(bare: Repository, store: Path, tmp_path: Path) -> None:
    """The next remote is asked where the first is out of reach, or lacks it, or has it damaged."""
    shutil.copytree(store, tmp_path / "mirror")
    add_remote(bare, "mirror", str(tmp_path / "mirror"))
    _damage_media(store)
    wanted = blobs(bare)
    assert bare.store.get(wanted[0], Kind.BLOB)[:4] == b"ours"
    store.rename(store.with_name("moved"))
    bare = dsvc.open(tmp_path / "bare")
    assert bare.store.get(wanted[1], Kind.BLOB)[:4] == b"ours"


def test_damaged(bare: Repository, store: Path) -> None:
    """Bytes that are not those of the id are never used."""
    _damage_media(store)
    bare.store.prefetch(blobs(bare))
    for blob in blobs(bare):
        with pytest.raises(RemoteError, match=r"^remote origin: blob .* is damaged"):
            bare.store.get(blob, Kind.BLOB)
    bare.store.close()
    assert not any(bare.store.has_media(blob) for blob in blobs(bare))


def _damage_media(store: Path) -> None:
    """Turn a bit in every blob of a folder."""
    repository = Repository(LocalBackend(store))
    for blob in blobs(repository):
        pack, entry = repository.store.state.catalog.find(blob)
        path = store / pack.name
        data = bytearray(path.read_bytes())
        data[entry.offset + 20 + entry.stored // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)


def test_untrusted(bare: Repository, tmp_path: Path) -> None:
    """A remote that came with the project is not asked before somebody agreed to it."""
    (tmp_path / "bare" / ".dsvc" / "workspace.toml").write_text("")
    (tmp_path / "bare" / "dsvc.toml").write_text(f'[remotes.theirs]\nurl = "{tmp_path / "store"}"\n')
    bare = dsvc.open(tmp_path / "bare")
    with pytest.raises(RefusedError, match="remote theirs, which may have it, was not used here yet") as error:
        bare.store.get(blobs(bare)[0], Kind.BLOB)
    assert error.value.hint == "if that is the right place: dsvc fetch theirs --yes"


def test_no_remote(bare: Repository, tmp_path: Path) -> None:
    """Without a remote, it is missing."""
    (tmp_path / "bare" / ".dsvc" / "workspace.toml").write_text("")
    bare = dsvc.open(tmp_path / "bare")
    with pytest.raises(DamagedError, match="is not here, and there is no remote"):
        bare.store.get(blobs(bare)[0], Kind.BLOB)


def test_purged(bare: Repository, store: Path) -> None:
    """A blob that was purged says so, and why."""
    blob = blobs(bare)[0]
    _forget_media(store)

    def bury(refs: Any) -> None:
        refs.set(tombstone_of(blob), TombstoneRef("a face", ADA, Moment(0, 0), 240))

    bare.change("purge", bury)
    with pytest.raises(NotFoundError, match="was purged on 1970-01-01 by Ada: a face"):
        bare.store.get(blob, Kind.BLOB)
    with pytest.raises(DamagedError, match="is not here, nor at origin"):
        bare.store.get(blobs(bare)[1], Kind.BLOB)


def test_purged_while_it_was_fetched(bare: Repository, tmp_path: Path) -> None:
    """What was purged after it came is not stored."""
    blob = blobs(bare)[0]
    bare.store.get(blob, Kind.BLOB)

    def bury(refs: Any) -> None:
        refs.set(tombstone_of(blob), TombstoneRef("a face", ADA, Moment(0, 0), 240))

    dsvc.open(tmp_path / "bare", author=ADA).change("purge", bury)
    bare.store.close()
    assert not dsvc.open(tmp_path / "bare").store.has_media(blob)


def _forget_media(store: Path) -> None:
    """Put a clone without media in a remote's place."""
    hollow = bare_clone(store, store.with_name("hollow"))
    hollow.store.close()
    shutil.rmtree(store)
    shutil.copytree(store.with_name("hollow") / ".dsvc", store)


def test_packs_merged_meanwhile(bare: Repository, store: Path, ours_again: Callable[[], Dataset]) -> None:
    """A remote that has rewritten its packs since it was opened is looked at again."""
    wanted = blobs(bare)
    bare.store.get(wanted[0], Kind.BLOB)
    dataset = ours_again()
    root = dataset.repository.root
    assert root is not None
    for number in range(3):
        (root / "images" / f"new {number}.txt").write_text("n" * 100)
        with dataset.edit() as draft:
            draft.add(root / "images")
        dataset.commit(f"more {number}")
        push(dataset.repository, Remote("origin", str(store), False))
    for blob in wanted[1:]:
        assert bare.store.get(blob, Kind.BLOB)[:5] == b"ours "


@pytest.fixture
def ours_again(tmp_path: Path) -> Callable[[], Dataset]:
    """The project that the remote comes from."""
    return lambda: dsvc.open(tmp_path / "ours", author=ADA).dataset("pets")


def test_big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A big blob comes piece by piece, and is kept; where it cannot be, it is read all the same."""
    monkeypatch.setattr("dsvc.store.arrivals.WHOLE", 1 << 20)
    monkeypatch.setattr("dsvc.store.objects.WHOLE", 1 << 20)
    monkeypatch.setattr("dsvc.remote.bringing.WHOLE", 1 << 20)
    ours = project(tmp_path / "ours", images=1)
    data = random.Random(1).randbytes(5 << 20)
    (tmp_path / "ours" / "images" / "big.txt").write_bytes(data)
    with ours.edit() as draft:
        draft.add(tmp_path / "ours" / "images")
    ours.commit("big")
    push(ours.repository, add_remote(ours.repository, "origin", str(tmp_path / "store")))
    bare = bare_clone(tmp_path / "store", tmp_path / "bare")
    [big] = [blob for blob in blobs(bare) if bare.store.blob_size(blob) > 1 << 20]
    assert b"".join(bare.store.open_blob(big)) == data
    assert bare.store.has_media(big)
    other = bare_clone(tmp_path / "store", tmp_path / "other")
    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "create", _refuse)
        assert b"".join(other.store.open_blob(big)) == data
    assert not other.store.has_media(big)


def _refuse(self: LocalBackend) -> Any:
    raise RefusedError("the disk is full")


def test_absent_everywhere(bare: Repository) -> None:
    """An id that nobody has is neither here nor at the remote."""
    assert bare.store.elsewhere is not None
    assert not bare.store.elsewhere.has(ObjectId(bytes(32)))
    assert list(bare.store.elsewhere.fetch([ObjectId(bytes(32))])) == []


# ---- those who read much


def test_samples(bare: Repository, reads: list[str]) -> None:
    """Whoever reads all samples is told ahead of, in few requests; the first is asked for with those after it."""
    assert [sample.read_bytes()[:4] for sample in bare.dataset("pets").at()] == [b"ours"] * 40
    assert len(packs(reads)) <= 4


def test_samples_unread(bare: Repository, reads: list[str]) -> None:
    """Whoever reads no media gets none, and who reads one, not all."""
    for count, sample in enumerate(bare.dataset("pets").at()):
        if count == 20:
            sample.read_bytes()
    assert len(packs(reads)) == 1
    bare.store.close()
    assert sum(bare.store.has_media(blob) for blob in blobs(bare)) == 1


@pytest.mark.parametrize("format", ["coco", "clarifai-protobuf", "clarifai-json"])
@pytest.mark.parametrize("where", [None, "split is null"])
def test_export(bare: Repository, reads: list[str], tmp_path: Path, format: str, where: str | None) -> None:
    """An export with media takes few requests, and writes what one of the whole repository does."""
    bare.dataset("pets").at().export(format, tmp_path / "far.zip", media=True, where=where)
    assert len(packs(reads)) <= 2
    whole = dsvc.open(tmp_path / "ours").dataset("pets").at()
    whole.export(format, tmp_path / "near.zip", media=True, where=where)
    assert (tmp_path / "far.zip").read_bytes() == (tmp_path / "near.zip").read_bytes()


def test_export_without_media(bare: Repository, reads: list[str], tmp_path: Path) -> None:
    """An export without media asks for none."""
    bare.dataset("pets").at().export("coco", tmp_path / "coco")
    assert reads == []


def test_checkout(bare: Repository, reads: list[str]) -> None:
    """A folder that is laid out gets its media in few requests."""
    assert bare.root is not None
    done = bare.checkout("HEAD", bare.root / "work")
    assert not done.absent
    assert not done.left
    assert len(list((bare.root / "work").rglob("*.txt"))) == 40
    assert len(packs(reads)) == 1


def test_checkout_out_of_reach(bare: Repository, store: Path) -> None:
    """A folder that cannot get its media says why, and is laid out once the remote is there again."""
    store.rename(store.with_name("moved"))
    assert bare.root is not None
    with pytest.raises(RemoteError, match=r"^remote origin: "):
        bare.checkout("HEAD", bare.root / "work")
    store.with_name("moved").rename(store)
    again = dsvc.open(bare.root, author=ADA)
    assert again.checkout("HEAD", bare.root / "work").is_whole
    assert len(list((bare.root / "work").rglob("*.txt"))) == 40


# ---- blobs in chunks


def test_chunked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a blob in chunks a range brings those that cover it; its list is only stored once all of them came."""
    ours = project(tmp_path / "ours", images=1)
    data = random.Random(1).randbytes(18 << 20)
    (tmp_path / "ours" / "images" / "big.txt").write_bytes(data)
    with ours.edit() as draft:
        draft.add(tmp_path / "ours" / "images")
    ours.commit("big")
    push(ours.repository, add_remote(ours.repository, "origin", str(tmp_path / "store")))
    bare = bare_clone(tmp_path / "store", tmp_path / "bare")
    [big] = [blob for blob in blobs(bare) if bare.store.blob_size(blob) > 1 << 20]
    assert bare.store.read_blob(big, 9 << 20, 1000) == data[9 << 20 : (9 << 20) + 1000]
    bare.store.close()
    assert not bare.store.has_media(big)
    assert check(bare).damage == ()
    kept = sum(path.stat().st_size for path in (tmp_path / "bare" / ".dsvc" / "packs").iterdir())
    assert 100_000 < kept < 6 << 20
    again = dsvc.open(tmp_path / "bare")
    assert again.dataset("pets").at()["images/big.txt"].read_bytes() == data
    again.store.close()
    shutil.rmtree(tmp_path / "store")
    last = dsvc.open(tmp_path / "bare")
    assert last.store.has_media(big)
    assert last.dataset("pets").at()["images/big.txt"].read_bytes() == data
    assert len(last.store.chunks(big)) > 5
