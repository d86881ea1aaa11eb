"""The stat cache: whatever befalls it, what is found is the same, and nothing is told of it."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from project_files import OLD, put
from xxhash import xxh3_64_digest

from dsvc.core.dataset import Dataset
from dsvc.core.files import filetable
from dsvc.core.files.choosing import TAKEN
from dsvc.core.files.filetable import GRAIN, FileTable, Folder, load_cache, save_cache
from dsvc.core.files.scanning import UNSURE, packed
from dsvc.core.files.workfiles import FileStatus

Fresh = Callable[..., Dataset]


@pytest.fixture
def changed(data: Path, fresh: Fresh) -> FileStatus:
    """What is found of `data` after some changes, which the cache knows."""
    put(data, "a.jpg", data=b"other", mtime=OLD + 1)
    put(data, "new.jpg")
    (data / "b.jpg").unlink()
    (data / "sub" / "c.jpg").rename(data / "sub" / "d.jpg")
    status = fresh().files()
    assert (len(status.new), len(status.modified), len(status.missing), len(status.renamed)) == (1, 1, 1, 1)
    return status


def caches(root: Path) -> list[Path]:
    found = [path for path in (root / ".dsvc" / "cache").rglob("*") if path.is_file()]
    assert {path.parent.name for path in found} == {"cache", "status"}
    return found


def test_a_cache_cut_off_anywhere_is_none(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    save_cache(path, {"a": [1, b"two", "caf\udce9"]})
    whole = path.read_bytes()
    assert load_cache(path) == {"a": [1, b"two", "caf\udce9"]}
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert load_cache(path) is None
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert load_cache(path) is None
    assert load_cache(tmp_path / "nowhere") is None and load_cache(tmp_path) is None


def test_a_cut_off_cache_is_made_anew(root: Path, changed: FileStatus, fresh: Fresh) -> None:
    chance = random.Random(1)
    for path in caches(root):
        whole = path.read_bytes()
        for length in (0, 1, 17, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            assert fresh().files() == changed
        for _ in range(5):
            path.write_bytes(chance.randbytes(len(whole)))
            assert fresh().files() == changed
        path.unlink()
        assert fresh().files() == changed
    for path in caches(root):
        assert load_cache(path) is not None


@pytest.mark.parametrize(
    "value",
    [None, 5, [], [1], [b"v", {}], [b"v", {"data": []}], [b"v", {"data": [1, 2, 3, 4, 5]}], {"version": b""}],
)
def test_what_another_version_wrote_is_made_anew(
    value: object, root: Path, changed: FileStatus, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (root / ".dsvc" / "cache" / "files").read_bytes()
    for path in caches(root):
        monkeypatch.setattr(filetable, "_MAGIC", b"dsvcfiles0")
        save_cache(path, value)
        monkeypatch.undo()
        assert fresh().files() == changed
    if value != [b"v", {"data": [1, 2, 3, 4, 5]}]:  # such a thing no version writes under the present mark
        for path in caches(root):
            save_cache(path, value)
            assert fresh().files() == changed
    body = msgpack.packb([b"v" * 8, {}])
    (root / ".dsvc" / "cache" / "files").write_bytes(old[:10] + xxh3_64_digest(body) + body)
    assert fresh().files() == changed


def test_a_table_of_another_time_is_brought_up_to_date(root: Path, data: Path, fresh: Fresh) -> None:
    """As from a backup, or from the other of two processes."""
    kept = []
    for number in range(3):
        put(data, f"{number}.jpg")
        put(data, "a.jpg", data=b"%d" % number, mtime=OLD + 1 + number)
        fresh().files()
        kept.append({path: path.read_bytes() for path in caches(root)})
    status = fresh().files()
    for table in kept:
        for verdicts in kept:
            for path in caches(root):
                path.write_bytes((verdicts if path.parent.name == "status" else table)[path])
            assert fresh().files() == status


def test_a_folder_in_its_place(root: Path, changed: FileStatus, fresh: Fresh) -> None:
    for path in caches(root):
        path.unlink()
        path.mkdir()
        assert fresh().files() == changed
    assert not list((root / ".dsvc" / "cache").rglob("*.tmp"))
    shutil.rmtree(root / ".dsvc" / "cache")
    (root / ".dsvc" / "cache").write_bytes(b"no folder")
    assert fresh().files() == changed
    assert fresh().add_all().new == 1


def test_a_cache_that_lies_elsewhere(root: Path, changed: FileStatus, fresh: Fresh, tmp_path: Path) -> None:
    repository = fresh().repository
    repository.workspace.save(cache={"folder": str(tmp_path / "disk")})
    assert fresh().files() == changed
    assert (tmp_path / "disk" / repository.workspace.id / "files").exists()


def test_what_a_killed_process_left_goes_in_time(root: Path, data: Path, fresh: Fresh) -> None:
    folder = root / ".dsvc" / "cache"
    for name, age in (("files.old.tmp", 7200), ("files.new.tmp", 10)):
        put(folder, name)
        os.utime(folder / name, (time.time() - age,) * 2)
    put(data, "new.jpg")
    fresh().files()
    assert [path.name for path in folder.glob("*.tmp")] == ["files.new.tmp"]


def test_a_file_read_within_the_grain_has_no_stamp() -> None:
    table = FileTable(None)
    table.folders["d"] = Folder(b"a\0b", packed([1] * 6), bytes([TAKEN] * 2), bytes(64), b"")
    version = table.version
    for name, mtime, stamp in (("a", 10**18, (5, 10**18, 7)), ("b", 10**18 + 1, UNSURE)):
        found = table.find(f"d/{name}")
        assert found is not None
        table.learn(found, (5, mtime, 7), name.encode() * 32, 10**18 + GRAIN + 1)
        assert found.stamp == stamp and found.blob == name.encode() * 32
    assert table.version != version
    assert table.find("d/c") is None and table.find("a") is None


def test_stamps_beyond_63_bits_have_room() -> None:
    """Some file systems use all 64 bits of an inode's number."""
    table = FileTable(None)
    table.folders["d"] = Folder(b"a", packed([1, 2, 2**64 - 1]), bytes([TAKEN]), bytes(32), b"")
    found = table.find("d/a")
    assert found is not None
    listed = bytes(found.folder.stamps)
    table.learn(found, (1, 2, 2**64 - 1), bytes(32), 10**18)
    assert bytes(found.folder.stamps) == listed
