"""Tracked folders in bad surroundings: whatever happens, the next look is that of one without a cache."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import KILLED, Child, is_whole, keys, needs_fork, pets, project, together
from project_files import OLD, put

import dsvc
from dsvc.core.files import filetable, scanning
from dsvc.core.files.workfiles import FileStatus
from dsvc.errors import RefusedError

NOBODY = 65534
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def plain_look(folder: Path) -> FileStatus:
    """What is found without a cache."""
    cache, kept = folder / ".dsvc" / "cache", folder / ".dsvc" / "kept"
    if cache.exists():
        cache.rename(kept)
    found = pets(folder).files()
    shutil.rmtree(cache, ignore_errors=True)
    if kept.exists():
        kept.rename(cache)
    return found


def change_some(folder: Path, round: int, count: int) -> None:
    """Edit, rename, delete and make some of the files in `data`."""
    chance = random.Random(round)
    files = sorted(path for path in (folder / "data").rglob("*.jpg"))
    for path in chance.sample(files, min(count, len(files))):
        place = path.relative_to(folder).as_posix()
        what = chance.randrange(4)
        if what == 0:
            put(folder, place, data=b"%d %d" % (round, chance.randrange(10**9)), mtime=OLD + 1 + round)
        elif what == 1:
            path.unlink()
        elif what == 2:
            path.rename(path.with_name(f"{round}-{path.name}"))
        else:
            put(folder, f"{place}-{round}.jpg", mtime=None)


def make(folder: Path, count: int) -> Path:
    project(folder)
    put(folder, *(f"data/{n // 100}/{n:04}.jpg" for n in range(count)))
    pets(folder).add(folder / "data")
    pets(folder).commit("first")
    return folder


def add_all(folder: Path) -> None:
    pets(folder).add_all()


def look(folder: Path) -> None:
    pets(folder).files()


@needs_fork
@pytest.mark.parametrize("work", [add_all, look])
def test_a_kill_at_any_moment(work: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "WORTHWHILE", 500)
    folder = make(tmp_path / "p", 2000)
    chance, killed = random.Random(1), 0
    begin = time.perf_counter()
    change_some(folder, 0, 300)
    work(folder)
    most = time.perf_counter() - begin
    for round in range(1, 26):
        change_some(folder, round, 150)
        before = keys(pets(folder))
        child = Child(lambda: work(folder))
        time.sleep(chance.random() * most)
        child.kill()
        killed += child.wait()[0] == KILLED
        found = pets(folder).files()
        assert found == plain_look(folder), round
        if found.is_clean and work is add_all:
            continue
        # All or nothing of it was taken.
        assert keys(pets(folder)) == before
        if round % 5 == 0:
            assert pets(folder).add_all().problems == ()
            assert pets(folder).files().is_clean
    assert killed > 5
    pets(folder).add_all()
    assert pets(folder).files().is_clean and plain_look(folder).is_clean
    taken = {path.relative_to(folder).as_posix(): path.read_bytes() for path in (folder / "data").rglob("*.jpg")}
    assert {sample.key: sample.read_bytes() for sample in pets(folder).draft()} == taken
    assert is_whole(folder)


@needs_fork
def test_looks_and_adds_at_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", 500)
    for round in range(1, 6):
        change_some(folder, round, 100)
        together(*[lambda: add_all(folder)] * 2, *[lambda: look(folder)] * 2)
        assert pets(folder).files() == plain_look(folder)
        assert pets(folder).files().is_clean
    assert len(pets(folder)) == sum(1 for _ in (folder / "data").rglob("*.jpg"))
    assert is_whole(folder)


@needs_fork
def test_edits_while_others_look(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", 300)

    def edit() -> None:
        for round in range(1, 15):
            change_some(folder, round, 20)

    together(edit, *[lambda: [look(folder) for _ in range(5)]] * 2, lambda: [add_all(folder) for _ in range(4)])
    assert pets(folder).files() == plain_look(folder)
    pets(folder).add_all()
    assert pets(folder).files().is_clean and plain_look(folder).is_clean


def test_a_full_disk_for_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "p", 20)
    change_some(folder, 1, 10)
    expected = plain_look(folder)
    shutil.rmtree(folder / ".dsvc" / "cache")

    def full(path: Path, mode: str) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filetable, "open", full, raising=False)
    for _ in range(2):
        assert pets(folder).files() == expected
    assert not [path for path in (folder / ".dsvc" / "cache").rglob("*") if path.is_file()]
    pets(folder).add_all()
    monkeypatch.undo()
    assert pets(folder).files().is_clean


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if not ROOT or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_small_disk_for_the_cache(tmp_path: Path, small_disk: Path) -> None:
    folder = make(tmp_path / "p", 2000)
    dsvc.open(folder).workspace.save(cache={"folder": str(small_disk)})
    for round in range(1, 4):
        change_some(folder, round, 50)
        assert pets(folder).files() == plain_look(folder)
        pets(folder).add_all()
        assert pets(folder).files().is_clean
    assert not list(small_disk.rglob("*.tmp"))


@pytest.mark.skipif(not ROOT, reason="needs another user to be")
def test_a_cache_that_may_not_be_written_or_read(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", 20)
    cache = folder / ".dsvc" / "cache"
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 1 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    for mode in (0o500, 0o000):
        change_some(folder, mode, 10)
        for path in (folder / "data").rglob("*"):
            os.chown(path, NOBODY, NOBODY)
        expected = plain_look(folder)
        for path in (*cache.rglob("*"), cache):
            path.chmod(mode)
        os.seteuid(NOBODY)
        try:
            assert pets(folder).files() == expected
            pets(folder).add_all()
            assert pets(folder).files().is_clean
        finally:
            os.seteuid(0)
        cache.chmod(0o700)
        for path in cache.rglob("*"):
            path.chmod(0o700)
        assert pets(folder).files().is_clean


def test_what_was_seen_and_finds_no_room_stops_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is added could go missing and nobody would know."""
    folder = project(tmp_path / "p")
    put(folder, "data/a.jpg")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("dsvc.core.files.seen.os.fsync", full)
        with pytest.raises(RefusedError, match="seen"):
            pets(folder).add(folder)
    assert keys(pets(folder)) == [] and pets(folder).files().tracked == ()
    pets(folder).add(folder)
    assert keys(pets(folder)) == ["data/a.jpg"]


@needs_fork
@pytest.mark.parametrize("is_written", [False, True])
def test_a_kill_between_noting_and_taking(is_written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More is noted than was taken, or the end of a line is missing: whatever follows is as if nothing had been."""
    folder = project(tmp_path / "p")
    put(folder, "data/a.jpg", "data/b.jpg")
    pets(folder).add(folder / "data")
    put(folder, "data/c.jpg")
    [seen] = (folder / ".dsvc/seen").iterdir()
    before = seen.stat().st_size

    def kill(handle: int) -> None:
        if not is_written:
            os.ftruncate(handle, before + 9)
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        monkeypatch.setattr("dsvc.core.files.seen.os.fsync", kill)
        pets(folder).add_all()

    assert Child(work).wait()[0] == KILLED
    assert seen.stat().st_size > before and keys(pets(folder)) == ["data/a.jpg", "data/b.jpg"]
    assert pets(folder).files().new == ("data/c.jpg",)
    (folder / "data/b.jpg").unlink()
    assert pets(folder).files().missing == ("data/b.jpg",)
    report = pets(folder).add_all()
    assert (report.new, report.removed) == (1, 1) and keys(pets(folder)) == ["data/a.jpg", "data/c.jpg"]
    (folder / "data/c.jpg").unlink()
    assert pets(folder).files().missing == ("data/c.jpg",) and is_whole(folder)
