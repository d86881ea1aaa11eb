"""Transfers that broke off: what was finished is taken up, and nothing but the open pack is sent twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import RemoteError
from dsvc.remote.cloning import clone as clone_all
from dsvc.remote.journals import RECEIVED, SENT, remote_folder
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote, find_remote
from dsvc.remote.tracking import fetch
from dsvc.store.ids import ObjectId
from dsvc.store.local import LocalBackend
from dsvc.store.pack import PackClass, PackInfo, PackWriter, read_pack_index
from dsvc.store.resuming import FRESH, Journal

from .buckets import Bucket
from .workspaces import clone, head, is_whole, opened, project

TARGET = 4096  # bytes of a pack, in place of 64 MiB
# What a process does that dies right after it has finished so many packs.
KILLED = f"""
import os, sys
from pathlib import Path
import dsvc
from dsvc.remote.cloning import clone
from dsvc.remote.sending import push
from dsvc.remote.settings import find_remote
from dsvc.remote.tracking import fetch
from dsvc.store import pack, resuming

pack.PACK_TARGET = {TARGET}
left, note = [int(sys.argv[3])], resuming.Journal.note

def dying(*arguments):
    note(*arguments)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)

resuming.Journal.note = dying
what, folder = sys.argv[1:3]
if what == "clone":
    clone(sys.argv[4], Path(folder))
else:
    repository = dsvc.open(folder)
    {{"push": push, "fetch": fetch}}[what](repository, find_remote(repository))
"""


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A dataset whose media and structure fill many packs, since packs are small here."""
    monkeypatch.setattr("dsvc.store.pack.PACK_TARGET", TARGET)
    return project(tmp_path / "ours", images=60, boxes=8)


@pytest.fixture
def there(many: Dataset, tmp_path: Path) -> Remote:
    """A remote of theirs, in a folder that is not there yet."""
    return add_remote(many.repository, "origin", str(tmp_path / "store"))


def die(what: str, folder: Path, packs: int, *more: str) -> None:
    """Do something in a process that is killed after so many packs."""
    done = subprocess.run([sys.executable, "-c", KILLED, what, str(folder), str(packs), *more], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def packs_in(layout: Path) -> dict[str, list[ObjectId]]:
    """The ids in every pack file of a layout."""
    found = {}
    backend = LocalBackend(layout)
    for path in sorted((layout / "packs").iterdir()):
        size = path.stat().st_size
        start = int.from_bytes(path.read_bytes()[-16:-8], "big")
        pack_class = PackClass(path.read_bytes()[start + 16])
        info = PackInfo(ObjectId.parse(path.name), size, pack_class)
        found[path.name] = [id for id, _ in read_pack_index(backend, info)]
    return found


def doubles(layout: Path, old: dict[str, set[ObjectId]]) -> list[ObjectId]:
    """The objects of packs from before a break that lie in a later one too."""
    before = {id for ids in old.values() for id in ids}
    return [id for name, ids in packs_in(layout).items() if name not in old for id in ids if id in before]


@pytest.mark.parametrize("packs", [1, 4])
def test_a_push_that_was_killed_sends_nothing_twice(packs: int, many: Dataset, there: Remote, tmp_path: Path) -> None:
    store = tmp_path / "store"
    die("push", tmp_path / "ours", packs)
    old = noted(many.repository, there, SENT)
    assert len(old) >= packs and opened(store).view.get("dataset", "pets") is None, "all or nothing"
    sent = push(many.repository, there, "pets", "main")
    assert old.keys() <= packs_in(store).keys() and doubles(store, old) == []
    whole = push(many.repository, add_remote(many.repository, "other", str(tmp_path / "other")), "pets", "main")
    assert sent.objects < whole.objects and sent.bytes < whole.bytes and sent.commits == whole.commits
    assert is_whole(opened(store)) and not list(Journal(notes(many.repository, there, SENT)).load())
    there_now, remote = clone(tmp_path / "theirs", store)
    assert fetch(there_now, remote).objects == whole.objects


def noted(repository: Repository, remote: Remote, what: str) -> dict[str, set[ObjectId]]:
    """The packs that are noted, with what travelled in them."""
    journal = Journal(notes(repository, remote, what))
    return {note.info.id.hex(): {id for id, _ in note.rows} for note in journal.load()}


def notes(repository: Repository, remote: Remote, what: str) -> Path:
    folder = remote_folder(repository, remote)
    assert folder is not None
    return folder / what


def test_a_push_to_a_bucket_that_was_killed_sends_nothing_twice(
    many: Dataset, bucket_url: str, bucket_server: Bucket, tmp_path: Path
) -> None:
    remote = add_remote(many.repository, "origin", bucket_url)
    die("push", tmp_path / "ours", 3)
    old = noted(many.repository, remote, SENT)
    sent = push(many.repository, remote, "pets", "main")
    files = bucket_server.objects(bucket_url)
    assert {f"packs/{name}" for name in old} <= files.keys() and len(old) >= 3
    whole = push(many.repository, add_remote(many.repository, "other", str(tmp_path / "other")), "pets", "main")
    assert sent.objects + len({id for ids in old.values() for id in ids}) == whole.objects
    assert is_whole(clone_all(bucket_url, tmp_path / "copy").repository)


@pytest.mark.parametrize("packs", [1, 4])
def test_a_fetch_that_was_killed_brings_nothing_twice(packs: int, many: Dataset, there: Remote, tmp_path: Path) -> None:
    whole = push(many.repository, there, "pets", "main")
    repository, remote = clone(tmp_path / "theirs", tmp_path / "store")
    die("fetch", tmp_path / "theirs", packs)
    layout = tmp_path / "theirs" / ".dsvc"
    old = noted(repository, remote, RECEIVED)
    assert len(old) >= packs
    fetched = fetch(repository, remote)
    assert 0 < fetched.objects < whole.objects and doubles(layout, old) == []
    assert repository.view.get("remote", "origin", "pets", "branch", "main") is not None and is_whole(repository)
    assert not list(Journal(notes(repository, remote, RECEIVED)).load())


def test_a_clone_that_was_killed_goes_on(many: Dataset, there: Remote, tmp_path: Path) -> None:
    whole = push(many.repository, there, "pets", "main")
    layout = tmp_path / "copy" / ".dsvc"
    die("clone", tmp_path / "copy", 3, there.url)
    broken = dsvc.open(tmp_path / "copy")
    old = noted(broken, find_remote(broken), RECEIVED)
    done = clone_all(there.url, tmp_path / "copy")
    assert 0 < done.fetched.objects < whole.objects and doubles(layout, old) == []
    assert head(done.repository.dataset("pets")) == head(many) and is_whole(done.repository)


def test_a_clone_that_fails_half_way_is_kept_where_much_came(
    many: Dataset, there: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(many.repository, there, "pets", "main")
    finish = PackWriter.finish
    counted: list[int] = []

    def failing(writer: PackWriter) -> PackInfo:
        counted.append(1)
        if len(counted) == 4:
            raise RemoteError("the line is dead", "try again")
        return finish(writer)

    monkeypatch.setattr(PackWriter, "finish", failing)
    with pytest.raises(RemoteError, match="the line is dead"):
        clone_all(there.url, tmp_path / "copy")
    assert (tmp_path / "copy" / ".dsvc" / "head").exists()
    monkeypatch.setattr(PackWriter, "finish", finish)
    assert is_whole(clone_all(there.url, tmp_path / "copy").repository)


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def age(path: Path) -> None:
    old = path.stat().st_mtime - FRESH - 60
    os.utime(path, (old, old))


@pytest.mark.parametrize("spoil", [lose, cut, age])
def test_what_was_lost_or_may_be_collected_is_sent_again(
    spoil: Callable[[Path], None], many: Dataset, there: Remote, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    die("push", tmp_path / "ours", 3)
    noted = [store / note.info.name for note in Journal(notes(many.repository, there, SENT)).load()]
    for path in noted[1:]:
        spoil(path)
    push(many.repository, there, "pets", "main")
    listed = {id for name, ids in packs_in_whole(store).items() if name != noted[0].name for id in ids}
    assert listed and is_whole(opened(store))


def packs_in_whole(layout: Path) -> dict[str, list[ObjectId]]:
    """The ids in every pack file that the head lists."""
    catalog = opened(layout).store.state.catalog
    found = {}
    for number in range(len(catalog.manifest.segments)):
        for pack in catalog.segment(number).packs:
            found[pack.id.hex()] = [id for id, _ in read_pack_index(LocalBackend(layout), pack)]
    return found


def test_notes_that_are_no_notes_are_passed_over(many: Dataset, there: Remote, tmp_path: Path) -> None:
    die("push", tmp_path / "ours", 3)
    folder = notes(many.repository, there, SENT)
    for number, path in enumerate(sorted(folder.iterdir())):
        data = path.read_bytes()
        path.write_bytes([data[:-1], b"", data[:40] + bytes([data[40] ^ 1]) + data[41:], os.urandom(99)][number % 4])
    (folder / "folder").mkdir()
    whole = push(many.repository, there, "pets", "main")
    assert whole.objects > 60 and is_whole(opened(tmp_path / "store"))


def test_what_was_listed_meanwhile_is_not_listed_again(many: Dataset, there: Remote, tmp_path: Path) -> None:
    """A process that dies between its swap and forgetting its notes."""
    folder = notes(many.repository, there, SENT)
    kept: dict[str, bytes] = {}
    forget = Journal.forget

    def keeping(journal: Journal, packs: object) -> None:
        kept.update({path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "forget", keeping)
        push(many.repository, there, "pets", "main")
    assert Journal.forget is forget and any(Journal(folder).load())
    (tmp_path / "ours" / "images" / "0.txt").write_bytes(b"new" * 100)
    with many.edit() as draft:
        draft.add(tmp_path / "ours" / "images")
    many.commit("more")
    push(many.repository, there, "pets", "main")
    catalog = opened(tmp_path / "store").store.state.catalog
    segments = [catalog.segment(number) for number in range(len(catalog.manifest.segments))]
    counted = Counter(pack.id for segment in segments for pack in segment.packs)
    assert max(counted.values()) == 1 and is_whole(opened(tmp_path / "store"))
    assert not list(Journal(folder).load())


def test_without_a_folder_nothing_is_noted(many: Dataset, tmp_path: Path) -> None:
    from dsvc.store.memory import MemoryBackend

    repository = Repository.create_in(MemoryBackend())
    remote = Remote("origin", str(tmp_path / "store"), is_team=False)
    assert remote_folder(repository, remote) is None and dsvc.__version__
