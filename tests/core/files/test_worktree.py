"""Finding files: a fixed order, nothing that hangs, nothing outside."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsvc.core.files.worktree import FoundFile, Problem, find_files
from dsvc.errors import NotFoundError, RefusedError

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
    return [file.key for file in found], problems, found.left_out.hidden


def test_keys_come_in_their_own_order(root: Path) -> None:
    put(root, "b/2.jpg", "b/10.jpg", "b.jpg", "b-c", "a/z/1", "é", "Z")
    keys, problems, _ = find(root)
    assert keys == sorted(keys) and len(keys) == 7
    assert not problems


def test_a_root_cuts_the_prefix(root: Path) -> None:
    put(root, "data/a/1.jpg")
    (file,) = find_files([root / "data" / "a"], root / "data", report=pytest.fail)
    assert file == FoundFile("a/1.jpg", str((root / "data/a/1.jpg").resolve()))


def test_regular_files_in_folders_are_found_without_a_look_at_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "a/1", "a/2")
    found = find_files([root], root, report=pytest.fail)
    monkeypatch.setattr(os, "lstat", None)
    assert [file.key for file in found] == ["a/1", "a/2"]


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
