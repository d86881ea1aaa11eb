"""What the durability tests share: processes, traps in the file-system layer, and pictures of a repository."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import dsvc
from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.model.commit import Author
from dsvc.store.files import OsFiles, refusal

AUTHOR = Author("Ada", "ada@example.org")
KILLED = -9
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

Work = Callable[[], object]


# ---- repositories


def project(folder: Path, **folders: int) -> Path:
    """A project with a repository, a dataset `pets`, and folders of that many small files."""
    repo = dsvc.init(folder, author=AUTHOR)
    repo.create("pets")
    for name, count in folders.items():
        write_files(folder / name, count)
    return folder


def write_files(folder: Path, count: int, size: int = 40) -> list[str]:
    """Small files whose bytes differ and do not compress; their keys, where the project is the folder's parent."""
    folder.mkdir(parents=True)
    for number in range(count):
        head = f"{folder.name}/{number} ".encode()
        body = (head * (size // len(head) + 1))[:40] + os.urandom(max(0, size - 40))
        (folder / f"{number:03}.jpg").write_bytes(body)
    return [f"{folder.name}/{number:03}.jpg" for number in range(count)]


def pets(folder: Path) -> Dataset:
    """The dataset `pets`, opened anew, as another process would."""
    return dsvc.open(folder, author=AUTHOR).dataset("pets")


def keys(dataset: Dataset) -> list[str]:
    """The keys of a dataset's inputs, uncommitted ones included."""
    return [record.key for record in dataset.draft().inputs()]


def is_whole(folder: Path) -> bool:
    """Whether a full check of the repository finds no damage; says what it found."""
    report = check(dsvc.open(folder))
    assert report.damage == (), report.damage
    return True


def picture(folder: Path) -> dict[str, Any]:
    """Everything a user can see of `pets`."""
    dataset = pets(folder)
    return {
        "inputs": {sample.key: [a.id for a in sample.annotations] for sample in dataset.draft()},
        "committed": [sample.key for sample in dataset.at()] if dataset.head else [],
        "log": [logged.commit.message for logged in dataset.log()] if dataset.head else [],
        "draft": dataset.has_draft(),
        "studies": [entry.id for entry in (*dataset.runs(), *dataset.evaluations())],
        "auto": [version.name for version in dataset.versions(auto=True)],
    }


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file of a repository with its bytes; the lock, which is always empty, and what is a cache apart."""
    apart = {"lock", "cache"}
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.relative_to(folder).parts[0] not in apart)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def coco_file(path: Path, name: str, images: int, boxes: int) -> Path:
    """A COCO file with `boxes` boxes an image, all of its own classes and images."""
    document = {
        "images": [
            {"id": n, "file_name": f"{name}/{n:03}.jpg", "width": 640, "height": 480} for n in range(1, images + 1)
        ],
        "annotations": [
            {
                "id": n * 1000 + b,
                "image_id": n,
                "category_id": 1 + b % 2,
                "bbox": [n + b * 1.5, b, 10 + n, 20.25],
                "area": (10 + n) * 20.25,
                "iscrowd": 0,
            }
            for n in range(1, images + 1)
            for b in range(boxes)
        ],
        "categories": [{"id": 1, "name": f"{name} cat"}, {"id": 2, "name": f"{name} dog"}],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


# ---- processes


class Child:
    """A process forked from this one, which has dsvc loaded already. What it raises is its exit code 1."""

    def __init__(self, work: Work, gate: tuple[int, int] | None = None) -> None:
        handle, name = tempfile.mkstemp(prefix="dsvc-child-")
        self._words = Path(name)
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                if gate is not None:
                    os.close(gate[1])
                    os.read(gate[0], 1)  # ends when the parent closes its end
                work()
                code = 0
            except BaseException:
                os.write(handle, traceback.format_exc().encode())
            finally:
                os._exit(code)
        os.close(handle)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> tuple[int, str]:
        """Its exit code (negative: the signal that ended it), and its last words."""
        _, status = os.waitpid(self.pid, 0)
        words = self._words.read_text()
        self._words.unlink()
        return os.waitstatus_to_exitcode(status), words


def in_child(work: Work) -> int:
    """Run in a process of its own; the exit code. What goes wrong in it fails the test."""
    code, words = Child(work).wait()
    assert code != 1, words
    return code


def together(*works: Work) -> None:
    """Run in as many processes, set off at one moment. All must succeed."""
    gate = os.pipe()
    children = [Child(work, gate) for work in works]
    for end in gate:
        os.close(end)
    results = [child.wait() for child in children]
    assert [code for code, _ in results] == [0] * len(works), "\n".join(words for _, words in results)


class Notebook:
    """A file that a process writes to what it has done, durably, line by line, before it goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, line: object) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.write(handle, f"{line}\n".encode())
        os.close(handle)

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


# ---- traps


class Place(NamedTuple):
    """A point in the work of a process: which changing call of the file system, on which file, and where in it.

    `phase` is "before", "half" (of a write) or "after". `swapped` says that the head was replaced since the last
    file was begun.
    """

    number: int
    call: str
    file: str
    phase: str
    swapped: bool


_CALLS = ("make_folder", "create", "write", "sync", "replace", "sync_folder", "unlink")
_MAGIC = {b"dsvcpack": "pack", b"dsvcindx": "index", b"dsvc 1\nm": "head"}


class Trap:
    """Tells `act` of every changing call that OsFiles is asked for, while it is set."""

    def __init__(self, act: Callable[[Place, Path], None]) -> None:
        self._act = act
        self._lock = threading.RLock()
        self._number = 0
        self._files: dict[Path, str] = {}
        self._swapped = False

    @contextlib.contextmanager
    def set(self) -> Iterator[Trap]:
        originals = {name: getattr(OsFiles, name) for name in _CALLS}
        for name, original in originals.items():
            setattr(OsFiles, name, self._watched(name, original))
        try:
            yield self
        finally:
            for name, original in originals.items():
                setattr(OsFiles, name, original)

    def _watched(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(files: OsFiles, *arguments: Any) -> Any:
            path = next(a for a in arguments if isinstance(a, Path))
            with self._lock:
                self._number += 1
                number = self._number
                if name in ("make_folder", "create"):
                    self._swapped = False
                file = self._kind(name, path, arguments)

            def reached(phase: str) -> None:
                self._act(Place(number, name, file, phase, self._swapped), path)

            reached("before")
            if name == "write":
                fd, _, data = arguments
                view = memoryview(data)
                original(files, fd, path, view[: len(view) // 2])
                reached("half")
                original(files, fd, path, view[len(view) // 2 :])
                result = None
            else:
                result = original(files, *arguments)
            if name == "replace" and file == "head":
                self._swapped = True
            reached("after")
            return result

        return call

    def _kind(self, name: str, path: Path, arguments: tuple[Any, ...]) -> str:
        """What sort of file a call is about: its first bytes tell."""
        if path.parent.name != "tmp":
            return path.parent.name if name == "unlink" else "folder"
        if name == "write" and path not in self._files:
            self._files[path] = _MAGIC.get(bytes(arguments[2][:8]), "manifest")
        return self._files.get(path, "new")


def kill_at(number: int, phase: str, died: Notebook) -> Trap:
    """Kills this process at one place, and notes which that was."""

    def act(place: Place, _: Path) -> None:
        if (place.number, place.phase) == (number, phase):
            died.note(json.dumps(place))
            os.kill(os.getpid(), signal.SIGKILL)

    return Trap(act)


def spread(places: list[Place], most: int) -> Iterator[Place]:
    """At most that many places, evenly; of those around a swap all."""
    chosen = [p for p in places if p.phase != "before" or p.number == 1]
    rest = [p for p in chosen if not p.swapped]
    taken = {rest[n * len(rest) // most] for n in range(most)} if len(rest) > most else set(rest)
    return (p for p in chosen if p.swapped or p in taken)


def places_of(work: Work) -> list[Place]:
    """Every place that a piece of work passes."""
    found: list[Place] = []
    with Trap(lambda place, _: found.append(place)).set():
        work()
    return found


def no_space(path: Path) -> Exception:
    """What OsFiles raises on a full disk."""
    return refusal(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path)


def dsvc_threads() -> list[str]:
    """The names of dsvc's threads that run."""
    return [t.name for t in threading.enumerate() if t.name.startswith(("dsvc", "coco"))]
