"""Reading files: in order, nothing that hangs, nothing torn, nothing without bound."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dsvc.core.files import reading
from dsvc.core.files.reading import ChangedFileError, ReadFile, read_files
from dsvc.core.files.worktree import Problem, find_files
from dsvc.core.media import MediaFacts
from dsvc.store.ids import Kind, object_id

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX links and pipes")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def put(root: Path, *names: str, data: bytes = b"x") -> None:
    for name in names:
        (root / name).write_bytes(data)


def read(root: Path, large: int = 1000) -> tuple[list[ReadFile], list[Problem]]:
    problems: list[Problem] = []
    found = find_files([root], root, report=problems.append)
    return list(read_files(found, report=problems.append, large=large)), problems


@pytest.fixture(params=["here", "threads"])
def pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading in the caller's thread, and after the first file in others."""
    threads = request.param == "threads"
    monkeypatch.setattr(reading, "_FAST_FILE", 0.0 if threads else 10.0)
    monkeypatch.setattr(reading, "_FAST_BYTE", 0.0)
    if threads:
        monkeypatch.setattr(reading, "_BATCH_FILES", 1)


@pytest.mark.usefixtures("pace")
def test_files_come_in_order_with_id_data_and_facts(root: Path) -> None:
    for number in range(100):
        put(root, f"{number:03}.txt", data=b"n%d" % number)
    files, problems = read(root)
    assert [file.key for file in files] == [f"{number:03}.txt" for number in range(100)]
    assert [file.data for file in files] == [b"n%d" % number for number in range(100)]
    assert all(file.id == object_id(Kind.BLOB, file.data or b"") for file in files)
    assert files[0].facts == MediaFacts("text/plain") and files[0].size == 2
    assert b"".join(files[0].pieces()) == b"n0"
    assert not problems


def test_reading_in_threads_is_bounded_and_stops_with_the_consumer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, *[f"{number:03}" for number in range(200)])
    monkeypatch.setattr(reading, "_FAST_FILE", 0.0)
    monkeypatch.setattr(reading, "_FAST_BYTE", 0.0)
    monkeypatch.setattr(reading, "_BATCH_FILES", 2)
    names: list[str] = []
    real = reading._read
    monkeypatch.setattr(
        reading, "_read", lambda file, large: names.append(threading.current_thread().name) or real(file, large)
    )
    files = read_files(find_files([root], root, report=pytest.fail), report=pytest.fail)
    for _ in range(5):
        next(files)
    files.close()
    assert len(names) <= 2 + 2 * (reading._BATCHES + 2)
    assert any(name.startswith("dsvc-read") for name in names)
    assert not any(thread.name.startswith("dsvc-read") for thread in threading.enumerate())


@pytest.mark.usefixtures("pace")
def test_a_file_that_goes_bad_after_it_was_found_is_reported(root: Path) -> None:
    put(root, *"abcdef")
    found = list(find_files([root], root, report=pytest.fail))
    for name in "bcde":
        (root / name).unlink()
    os.mkfifo(root / "b")
    (root / "c").symlink_to("a")
    (root / "d").mkdir()
    problems: list[Problem] = []
    assert [file.key for file in read_files(found, report=problems.append)] == ["a", "f"]
    assert [problem.path.name for problem in problems] == list("bcde")


@pytest.mark.usefixtures("pace")
def test_an_unreadable_file_is_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, *"abc")
    real = os.open

    def guarded(path: Path, flags: int) -> int:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags)

    monkeypatch.setattr(os, "open", guarded)
    files, problems = read(root)
    assert [file.key for file in files] == ["a", "c"]
    assert [str(p) for p in problems] == [f"{root.resolve() / 'b'}: cannot be read: Permission denied"]


@pytest.mark.parametrize(
    "write", [lambda p: p.write_bytes(b"longer"), lambda p: os.utime(p, ns=(1, 1)), lambda p: os.truncate(p, 1)]
)
@pytest.mark.parametrize("large", [1000, 2])
@pytest.mark.parametrize(("times", "taken"), [(1, True), (2, False)])
def test_a_file_that_changes_is_read_once_more_then_reported(
    root: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], large: int, times: int, taken: bool
) -> None:
    put(root, "a", data=b"first")
    put(root, "b", data=b"other")
    real, changes = reading._contents, []

    def changing(handle: int, name: str, size: int, large: int) -> tuple[bytes | None, MediaFacts]:
        result = real(handle, name, size, large)
        if name == "a" and len(changes) < times:
            changes.append(name)
            (root / "a").write_bytes(b"first")
            os.utime(root / "a", ns=(len(changes), 5 + len(changes)))
            write(root / "a") if len(changes) == 1 else None
        return result

    monkeypatch.setattr(reading, "_contents", changing)
    files, problems = read(root, large)
    assert [file.key for file in files] == (["a", "b"] if taken else ["b"])
    assert [problem.path.name for problem in problems] == ([] if taken else ["a"])
    if taken:
        assert b"".join(files[0].pieces()) == (root / "a").read_bytes()


def test_a_file_that_grows_or_shrinks_while_read_is_noticed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "a", data=b"12345")
    real = os.read
    monkeypatch.setattr(os, "read", lambda handle, size: real(handle, min(size, 2)))
    assert read(root)[0][0].data == b"12345"
    monkeypatch.setattr(reading, "_stamp", lambda status: (0, 0, 0, 0))
    monkeypatch.setattr(os, "read", lambda handle, size: real(handle, size) + b"6")
    assert read(root)[0] == [] and len(read(root)[1]) == 1


def test_a_large_file_is_streamed(root: Path) -> None:
    data = os.urandom(reading.PIECE * 2 + 5)
    put(root, "a", data=data)
    ((file,), problems) = read(root)
    assert (file.id, file.data, file.size, problems) == (None, None, len(data), [])
    pieces = list(file.pieces())
    assert [len(piece) for piece in pieces] == [reading.PIECE, reading.PIECE, 5]
    assert b"".join(pieces) == data


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("how", ["cut", "grown", "touched", "replaced", "gone", "pipe"])
def test_a_large_file_that_changes_is_refused(root: Path, when: str, how: str) -> None:
    path = root / "a"
    put(root, "a", data=bytes(reading.PIECE * 2))
    ((file,), _) = read(root)
    pieces = file.pieces()
    if when == "during":
        next(pieces)
    if how == "cut":
        os.truncate(path, 10)
    elif how == "grown":
        path.write_bytes(bytes(reading.PIECE * 2 + 1))
    elif how == "touched":
        os.utime(path, ns=(1, 1))
    elif when == "during":
        return  # an open file keeps its bytes
    else:
        put(root, "new", data=bytes(reading.PIECE * 2))
        path.unlink()
        if how == "replaced":
            (root / "new").rename(path)
        if how == "pipe":
            os.mkfifo(path)
    with pytest.raises(ChangedFileError, match="a: "):
        list(pieces)


def test_storage_that_stalls_now_and_then_is_still_read_here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, *[f"{number:03}" for number in range(100)])
    monkeypatch.setattr(reading, "_FAST_FILE", 0.1)
    monkeypatch.setattr(reading, "_read_ahead", pytest.fail)
    real = reading._attempt
    stalls = iter([True] + [False] * 31 + [True] + [False] * 200)
    monkeypatch.setattr(
        reading, "_attempt", lambda file, large: (next(stalls) and time.sleep(0.2)) or real(file, large)
    )
    assert len(read(root)[0]) == 100
