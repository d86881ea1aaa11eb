"""Power is cut after every single file-system call: every transaction that reported success is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from dsvc.store.files import OsFiles
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.local import LocalBackend
from dsvc.store.objects import ObjectStore
from dsvc.store.verify import verify


class RecordingFiles(OsFiles):
    """The operating system's files, with a log of every call that changes something."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[tuple[str, ...] | tuple[str, str, bytes]] = []
        self.paths: dict[int, str] = {}

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def make_folder(self, path: Path) -> bool:
        made = super().make_folder(path)
        if made:
            self.log.append(("folder", self._name(path)))
        return made

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self.log.append(("create", self._name(path)))
        return fd

    def write(self, fd: int, path: Path, data: bytes | memoryview) -> None:
        super().write(fd, path, data)
        self.log.append(("write", self._name(path), bytes(data)))

    def sync(self, fd: int, path: Path) -> None:
        super().sync(fd, path)
        self.log.append(("sync", self._name(path)))

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self.log.append(("rename", self._name(source), self._name(target)))

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.log.append(("sync folder", self._name(path)))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.log.append(("unlink", self._name(path)))


class Inode:
    """A file's content: what was written, and what of it surely survives."""

    def __init__(self) -> None:
        self.content = b""
        self.synced = b""


class Disk:
    """A file system that keeps what it must, and what it happens to keep."""

    def __init__(self) -> None:
        self.now: dict[str, Inode] = {}
        self.lasting: dict[str, Inode] = {}
        self.folders: set[str] = set()
        self.lasting_folders: set[str] = set()

    def apply(self, call: tuple[str, ...] | tuple[str, str, bytes]) -> None:
        match call:
            case ("folder", name):
                self.folders.add(str(name))
            case ("create", name):
                self.now[str(name)] = Inode()
            case ("write", name, bytes(data)):
                self.now[str(name)].content += data
            case ("sync", name):
                self.now[str(name)].synced = self.now[str(name)].content
            case ("rename", source, str(target)):
                self.now[target] = self.now.pop(str(source))
            case ("unlink", name):
                self.now.pop(str(name), None)
            case ("sync folder", name):
                self._sync_folder(str(name))

    def _sync_folder(self, folder: str) -> None:
        self.lasting = {n: i for n, i in self.lasting.items() if parent(n) != folder}
        self.lasting |= {n: i for n, i in self.now.items() if parent(n) == folder}
        self.lasting_folders |= {name for name in self.folders if parent(name) == folder}

    def outcomes(self) -> Iterator[dict[str, bytes]]:
        """What may be found after a power cut: the least, the most, and names or contents alone."""
        kept = {n: i for n, i in self.lasting.items() if parent(n) in {".", *self.lasting_folders}}
        yield {name: inode.synced for name, inode in kept.items()}
        yield {name: inode.content for name, inode in self.now.items()}
        yield {name: inode.synced for name, inode in self.now.items()}
        yield {name: inode.content for name, inode in kept.items()}
        # Renames and removals survive, or not, in each folder by itself.
        for folder in sorted({parent(name) for name in self.now}):
            mixed = {n: i for n, i in kept.items() if parent(n) != folder}
            mixed |= {n: i for n, i in self.now.items() if parent(n) == folder}
            yield {name: inode.synced for name, inode in mixed.items()}


def parent(name: str) -> str:
    return str(PurePosixPath(name).parent)


def record(base: Path) -> tuple[RecordingFiles, list[tuple[int, list[tuple[ObjectId, bytes]]]]]:
    """Run several transactions; note at which call each had reported success, and what it holds."""
    files = RecordingFiles(base)
    store = ObjectStore.create(LocalBackend(base / "dsvc", files))
    done = []
    for number in range(7):
        with store.writer() as writer:
            held = []
            for at in range(3 if number % 3 else 9):
                data = os.urandom(20) + b"%d %d" % (number, at)
                held.append((writer.put(Kind.BLOB if at % 2 else Kind.NODE, data), data))
            operation = writer.put(Kind.OPERATION, b"op %d" % number)
            mark = len(files.log)
            writer.publish(operation)
        # Success is known when the swap's folder is synced; what follows only removes old files.
        end = mark + next(
            at
            for at, call in enumerate(files.log[mark:])
            if call == ("sync folder", "dsvc") and rename_before(files.log, mark + at) == ("rename", "dsvc/head")
        )
        done.append((end + 1, held))
    return files, done


def rename_before(log: list[tuple[str, ...] | tuple[str, str, bytes]], at: int) -> tuple[str, str]:
    call = log[at - 1]
    return (str(call[0]), str(call[-1]))


def lay_out(folder: Path, files: dict[str, bytes]) -> LocalBackend:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return LocalBackend(folder / "dsvc")


def check(backend: LocalBackend, done: list[tuple[int, list[tuple[ObjectId, bytes]]]], calls: int) -> None:
    reported = [held for end, held in done if end <= calls]
    if backend.read_head() is None:
        assert not reported
        return
    store = ObjectStore(backend)
    assert [found for found in verify(store) if found.problem != "orphan"] == []
    for held in reported:
        for number, (id, data) in enumerate(held):
            assert store.get(id, Kind.BLOB if number % 2 else Kind.NODE) == data


def test_every_power_cut_leaves_what_was_reported(tmp_path: Path) -> None:
    base = tmp_path / "recorded"
    base.mkdir()
    files, done = record(base)
    assert any(call[0] == "unlink" for call in files.log)
    disk, count = Disk(), 0
    seen: set[tuple[int, frozenset[tuple[str, bytes]]]] = set()
    for calls in range(len(files.log) + 1):
        if calls:
            disk.apply(files.log[calls - 1])
        for outcome in disk.outcomes():
            key = (sum(end <= calls for end, _ in done), frozenset(outcome.items()))
            if key in seen:
                continue
            seen.add(key)
            count += 1
            check(lay_out(tmp_path / f"{count}", outcome), done, calls)
    assert count > 200


@pytest.mark.parametrize("step", range(0, 400, 23))
def test_the_next_transaction_after_a_power_cut_succeeds(tmp_path: Path, step: int) -> None:
    base = tmp_path / "recorded"
    base.mkdir()
    files, done = record(base)
    disk = Disk()
    for call in files.log[:step]:
        disk.apply(call)
    backend = lay_out(tmp_path / "after", next(disk.outcomes()))
    with ObjectStore(backend).writer() as writer:
        id = writer.put(Kind.NODE, b"life goes on")
        writer.publish(writer.put(Kind.OPERATION, b"next"))
    assert ObjectStore(backend).get(id, Kind.NODE) == b"life goes on"
    check(backend, done, min(step, len(files.log)))
