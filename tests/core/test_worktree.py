"""Finding and reading files: a fixed order, nothing that hangs, nothing outside, nothing torn."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dsvc.core import worktree
from dsvc.core.media import MediaFacts
from dsvc.core.worktree import ChangedFileError, FoundFile, Problem, ReadFile, find_files, read_files
from dsvc.errors import NotFoundError, RefusedError
from dsvc.store.ids import Kind, object_id

needs_links = pytest.mark.skipif(os.name == "nt", reason="needs POSIX links and pipes")
pytestmark = needs_links


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def put(root: Path, *names: str, data: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def find(root: Path, *names: str, base: Path | None = None) -> tuple[list[str], list[Problem], int]:
    problems: list[Problem] = []
    found = find_files([root / name for name in names or (".",)], base or root, report=problems.append)
    return [file.key for file in found], problems, found.hidden


def read(root: Path, large: int = 1000) -> tuple[list[ReadFile], list[Problem]]:
    problems: list[Problem] = []
    found = find_files([root], root, report=problems.append)
    return list(read_files(found, report=problems.append, large=large)), problems


def test_keys_come_in_their_own_order(root: Path) -> None:
    put(root, "b/2.jpg", "b/10.jpg", "b.jpg", "b-c", "a/z/1", "é", "Z")
    keys, problems, _ = find(root)
    assert keys == sorted(keys) and len(keys) == 7
    assert not problems


def test_a_root_cuts_the_prefix_and_sizes_are_bytes(root: Path) -> None:
    put(root, "data/a/1.jpg", data=b"12345")
    (file,) = find_files([root / "data" / "a"], root / "data", report=pytest.fail)
    assert file == FoundFile("a/1.jpg", (root / "data/a/1.jpg").resolve(), 5)


def test_hidden_files_are_counted_and_taken_when_named(root: Path) -> None:
    put(root, ".git/x", ".dsvc/x", ".cache/x", ".cache/y", ".DS_Store", "a")
    assert find(root) == (["a"], [], 2)
    assert find(root, ".DS_Store", ".cache")[0] == [".DS_Store", ".cache/x", ".cache/y"]


def test_a_file_named_twice_comes_once(root: Path) -> None:
    put(root, "a/1", "a/2")
    assert find(root, "a/2", "a", "a/1")[0] == ["a/2", "a/1"]


def test_a_missing_path_is_refused_before_anything_is_found(root: Path) -> None:
    put(root, "a")
    with pytest.raises(NotFoundError, match="b"):
        find_files([root / "a", root / "b"], root, report=pytest.fail)
    with pytest.raises(NotFoundError):
        find_files([root / "a" / "b"], root, report=pytest.fail)


def test_a_path_outside_the_root_is_refused_with_a_hint(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "rootless/a")
    with pytest.raises(RefusedError) as caught:
        find_files([tmp_path / "rootless" / "a"], root, report=pytest.fail)
    assert "--root" in str(caught.value.hint)
    put(root, ".dsvc/head")
    with pytest.raises(RefusedError, match="repository itself"):
        find_files([root / ".dsvc" / "head"], root, report=pytest.fail)


def test_links_stay_inside_and_never_loop(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "secret")
    put(root, "a/1", ".git/config")
    for name, target in [("in", "a/1"), ("out", "../secret"), ("loop", "."), ("self", "self"), ("gone", "none")]:
        (root / name).symlink_to(target)
    (root / "git").symlink_to(".git/config")
    (root / "a" / "up").symlink_to("..")
    files = list(find_files([root], root, report=lambda problem: None))
    assert [file.key for file in files] == ["a/1", "in"]
    assert files[1].path == files[0].path
    _, problems, _ = find(root)
    assert {problem.path.name for problem in problems} == {"out", "loop", "self", "gone", "git", "up"}
    assert find(root, "out")[0] == [] and "leads out" in str(find(root, "out")[1][0])


def test_a_root_reached_through_a_link_is_the_same_root(root: Path, tmp_path: Path) -> None:
    put(root, "a/1")
    (tmp_path / "alias").symlink_to("root")
    assert find(tmp_path / "alias", "a", base=root)[0] == ["a/1"]
    assert find(root, "a", base=tmp_path / "alias")[0] == ["a/1"]


def test_pipes_and_sockets_are_named_and_never_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "a")
    os.mkfifo(root / "pipe")
    (root / "to_pipe").symlink_to("pipe")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("sock")
        keys, problems, _ = find(root)
    assert keys == ["a"]
    assert [(p.path.name, p.reason.split(",")[0]) for p in problems] == [
        ("pipe", "is a named pipe"),
        ("sock", "is a socket"),
        ("to_pipe", "is a link to a named pipe"),
    ]
    assert find(root, "pipe")[0] == []


def test_names_that_are_no_keys_are_reported(root: Path) -> None:
    put(root, "a", "/".join(["d" * 200] * 6))
    with open(os.fsencode(root) + b"/caf\xe9", "wb"):
        pass
    keys, problems, _ = find(root)
    assert keys == ["a"]
    assert sorted(p.reason.partition("' ")[2][:6] for p in problems) == ["has 1,", "is not"]
    assert all(str(problem).isprintable() for problem in problems)


def test_an_unreadable_folder_is_reported_and_the_rest_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "a/1", "b/1")
    scandir = os.scandir

    def guarded(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    keys, problems, _ = find(root)
    assert keys == ["b/1"]
    assert [(p.path.name, p.reason) for p in problems] == [("a", "cannot be read: Permission denied")]


def test_folders_may_lie_deep(root: Path) -> None:
    deep = "/".join("d" * 400)
    put(root, deep + "/f")
    assert find(root)[0] == [deep + "/f"]


@pytest.fixture(params=["here", "threads"])
def pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading in the caller's thread, and after the first file in others."""
    threads = request.param == "threads"
    monkeypatch.setattr(worktree, "_FAST_FILE", 0.0 if threads else 10.0)
    monkeypatch.setattr(worktree, "_FAST_BYTE", 0.0)
    if threads:
        monkeypatch.setattr(worktree, "_BATCH_FILES", 1)


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
    monkeypatch.setattr(worktree, "_FAST_FILE", 0.0)
    monkeypatch.setattr(worktree, "_FAST_BYTE", 0.0)
    monkeypatch.setattr(worktree, "_BATCH_FILES", 2)
    names: list[str] = []
    real = worktree._read
    monkeypatch.setattr(
        worktree, "_read", lambda file, large: names.append(threading.current_thread().name) or real(file, large)
    )
    files = read_files(find_files([root], root, report=pytest.fail), report=pytest.fail)
    for _ in range(5):
        next(files)
    files.close()  # type: ignore[attr-defined]
    assert len(names) <= 2 + 2 * (worktree._BATCHES + 2)
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
    real, changes = worktree._contents, []

    def changing(handle: int, name: str, size: int, large: int) -> tuple[bytes | None, MediaFacts]:
        result = real(handle, name, size, large)
        if name == "a" and len(changes) < times:
            changes.append(name)
            (root / "a").write_bytes(b"first")
            os.utime(root / "a", ns=(len(changes), 5 + len(changes)))
            write(root / "a") if len(changes) == 1 else None
        return result

    monkeypatch.setattr(worktree, "_contents", changing)
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
    monkeypatch.setattr(worktree, "_stamp", lambda status: (0, 0, 0, 0))
    monkeypatch.setattr(os, "read", lambda handle, size: real(handle, size) + b"6")
    assert read(root)[0] == [] and len(read(root)[1]) == 1


def test_a_large_file_is_streamed(root: Path) -> None:
    data = os.urandom(worktree.PIECE * 2 + 5)
    put(root, "a", data=data)
    ((file,), problems) = read(root)
    assert (file.id, file.data, file.size, problems) == (None, None, len(data), [])
    pieces = list(file.pieces())
    assert [len(piece) for piece in pieces] == [worktree.PIECE, worktree.PIECE, 5]
    assert b"".join(pieces) == data


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("how", ["cut", "grown", "touched", "replaced", "gone", "pipe"])
def test_a_large_file_that_changes_is_refused(root: Path, when: str, how: str) -> None:
    path = root / "a"
    put(root, "a", data=bytes(worktree.PIECE * 2))
    ((file,), _) = read(root)
    pieces = file.pieces()
    if when == "during":
        next(pieces)
    if how == "cut":
        os.truncate(path, 10)
    elif how == "grown":
        path.write_bytes(bytes(worktree.PIECE * 2 + 1))
    elif how == "touched":
        os.utime(path, ns=(1, 1))
    elif when == "during":
        return  # an open file keeps its bytes
    else:
        put(root, "new", data=bytes(worktree.PIECE * 2))
        path.unlink()
        if how == "replaced":
            (root / "new").rename(path)
        if how == "pipe":
            os.mkfifo(path)
    with pytest.raises(ChangedFileError, match="a: "):
        list(pieces)
