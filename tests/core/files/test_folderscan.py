"""Looking through folders: what else there is than files, what cannot be read, and the second process."""

from __future__ import annotations

import marshal
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from project_files import OLD, PNG, put

from dsvc.core.dataset import Dataset
from dsvc.core.files import scanning
from dsvc.core.files.scanning import (
    BROKEN_LINK,
    NO_FILE,
    Lister,
    link_stamp,
    list_folder,
    lister_of,
    packed,
    plan_of,
)
from dsvc.errors import RefusedError

Fresh = Callable[..., Dataset]
NOBODY = 65534
as_nobody = pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs another user to be")


@contextmanager
def nobody(root: Path) -> Iterator[None]:
    """As a user who may not read all."""
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    for path in root.parents:
        if path.stat().st_mode & 0o001 == 0 and path.stat().st_uid == 0:
            path.chmod(path.stat().st_mode | 0o011)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


# ---- what cannot be read


@as_nobody
def test_a_folder_that_cannot_be_read_loses_nothing(root: Path, data: Path, fresh: Fresh) -> None:
    put(data, "sub/deep/d.jpg", "sub/deep/er/e.jpg")
    fresh().add_all()
    (data / "a.jpg").unlink()
    (data / "sub").chmod(0)
    cache = root / ".dsvc" / "cache"
    with nobody(root):
        for _ in range(2):
            for _ in range(2):
                status = fresh().files()
                assert (status.new, status.modified, status.missing) == ((), (), ("data/a.jpg",))
                assert [str(p) for p in status.problems] == [f"{data / 'sub'}: cannot be read: Permission denied"]
            shutil.rmtree(cache)
        report = fresh().add_all()
        assert (report.removed, len(report.problems), report.unchanged) == (1, 1, 1)
        assert len(fresh()) == 4
        (data / "sub").chmod(0o400)  # to be listed, and no more
        assert fresh().files().is_clean
        (data / "sub").chmod(0o700)
        assert fresh().files().is_clean and fresh().files().problems == ()


@as_nobody
def test_a_tracked_folder_that_cannot_be_read_is_not_gone(root: Path, data: Path, fresh: Fresh) -> None:
    put(root, "other/x.jpg")
    fresh().add(root / "other")
    data.chmod(0)
    with nobody(root):
        status = fresh().files()
        assert status.is_clean and not status.absent and len(status.problems) == 1
        assert fresh().add_all()[:3] == (0, 0, 1)
        data.chmod(0o700)
        assert fresh().add_all()[:3] == (0, 0, 4)


@as_nobody
def test_a_file_that_cannot_be_read_is_named_and_its_input_stays(root: Path, data: Path, fresh: Fresh) -> None:
    put(data, "a.jpg", data=b"other", mtime=OLD + 1)
    put(data, "new.jpg", "unknown")
    for name in ("a.jpg", "new.jpg", "unknown"):
        (data / name).chmod(0)
    with nobody(root):
        status = fresh().files()
        assert (status.new, status.unread) == (("data/new.jpg",), ("data/a.jpg",))
        assert status.left_out.other == 1
        report = fresh().add_all()
        assert (report.new, report.changed, report.unchanged, report.removed) == (0, 0, 2, 0)
        assert [p.path.name for p in report.problems] == ["a.jpg", "new.jpg"]
        for name, content in (("a.jpg", b"1"), ("new.jpg", b"2"), ("unknown", PNG)):
            (data / name).chmod(0o600)
            stamp = (data / name).stat().st_mtime_ns
            put(data, name, data=content, mtime=stamp if name == "unknown" else OLD + 2)
        report = fresh().add_all()
        assert (report.new, report.changed, report.unchanged) == (2, 1, 2)


def test_names_that_are_no_keys_are_named(root: Path, data: Path, fresh: Fresh) -> None:
    names = [b"caf\xe9.jpg", b"C:x.jpg", b"\\x.jpg", b"a\\..\\x.jpg"]
    for name in names:
        (data / os.fsdecode(name)).write_bytes(b"x")
    put(data, "line\nend.jpg", "n" * 240 + ".jpg", "\u202egpj.jpg", " .jpg", "'\".jpg", "-A.jpg")
    (data / os.fsdecode(b"d\xff")).mkdir()
    (data / os.fsdecode(b"d\xff/x.jpg")).write_bytes(b"x")
    for _ in range(2):
        status = fresh().files()
        # Below a folder, a drive or a backslash is no more than odd.
        assert len(status.new) == 8
        assert [os.fsencode(p.path.name) for p in status.problems] == [names[3], names[0], b"x.jpg"]
        assert all(str(problem).isprintable() for problem in status.problems)
    assert fresh().add_all().new == 8
    report = fresh().add(data, root=data)
    assert {os.fsencode(p.path.name) for p in report.problems} == {names[0], *names[2:], b"x.jpg"}


def test_a_folder_whose_name_is_no_unicode(root: Path, pets: Dataset) -> None:
    folder = root / os.fsdecode(b"d\xff")
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    report = pets.add(folder)
    assert report[:3] == (0, 0, 0) and report.tracked == () and len(report.problems) == 1
    assert pets.files().tracked == ()


def test_a_path_longer_than_the_system_takes(root: Path, data: Path, fresh: Fresh) -> None:
    here = os.open(data, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("x.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
    status = fresh().files()
    assert status.is_clean
    assert [problem.reason for problem in status.problems] == ["cannot be read: File name too long"]


def test_what_is_no_file_is_named_and_never_opened(data: Path, fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pipe", "pipe.jpg", "pipe.json", ".pipe"):
        os.mkfifo(data / name)
    (data / "to_pipe.jpg").symlink_to("pipe")
    (data / "to_folder").symlink_to("sub")
    (data / "loop.jpg").symlink_to("loop.jpg")
    (data / "null.jpg").symlink_to(os.devnull)
    (data / "git.jpg").symlink_to("sub/.git/x.jpg")
    put(data, "sub/.git/x.jpg")
    monkeypatch.chdir(data)
    real = os.open

    def opened(path: object, *others: object, **more: object) -> int:
        assert "pipe" not in str(path) and "null" not in str(path)
        return real(path, *others, **more)

    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("sock")
        monkeypatch.setattr(os, "open", opened)
        status = fresh().files()
        report = fresh().add_all()
    expected = [
        ("git.jpg", "is a link into"),
        ("loop.jpg", "is a link that leads in a circle"),
        ("null.jpg", "is a link that leads out"),
        ("pipe", "is a named pipe"),
        ("pipe.jpg", "is a named pipe"),
        ("sock", "is a socket"),
        ("to_folder", "is a link to a folder"),
        ("to_pipe.jpg", "is a link to a named pipe"),
    ]
    found = [(p.path.name, p.reason) for p in status.problems]
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, reason), (_, start) in zip(found, expected, strict=True):
        assert reason.startswith(start)
    assert report.problems == status.problems and report[:3] == (0, 0, 3)
    assert status.left_out == (1, 0, 1)


def test_all_files_takes_all_but_git_and_itself(root: Path, pets: Dataset, fresh: Fresh) -> None:
    put(root, "d/.h/x", "d/n.json", "d/.git/x", "d/e/.git", "d/.dsvc/x", "d/.dsvcignore", "d/i.json", data=b"i.json\n")
    report = pets.add(root / "d", all_files=True)
    assert report.left_out == (2, 1, 0)
    assert [sample.key for sample in fresh().draft()] == ["d/.h/x", "d/n.json"]
    assert fresh().files().is_clean


@pytest.mark.parametrize("name", [".git", ".dsvc", "sub/.git", "sub/.git/x.jpg"])
def test_what_is_gits_or_dsvcs_own_is_refused(name: str, root: Path, pets: Dataset) -> None:
    put(root, ".git/x.jpg", "sub/.git/x.jpg")
    with pytest.raises(RefusedError, match="belongs to"):
        pets.add(root / name, all_files=True)


# ---- listing


def test_what_a_listing_says(tmp_path: Path) -> None:
    put(tmp_path, "a", "d/x")
    (tmp_path / "l").symlink_to("a")
    (tmp_path / "b").symlink_to("nowhere")
    os.mkfifo(tmp_path / "p")
    listing = list_folder(str(tmp_path))
    assert isinstance(listing, tuple)
    folders, names, stamps = listing
    status = (tmp_path / "a").stat()
    stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
    target = link_stamp(os.path.realpath(tmp_path / "a"), stamp)
    assert folders == ["d"] and target[2] < NO_FILE[2] < BROKEN_LINK[2] < 0
    expected = {b"a": stamp, b"l": target, b"b": BROKEN_LINK, b"p": NO_FILE}
    assert names and stamps == b"".join(packed(expected[name]) for name in names.split(b"\0"))
    assert list_folder(str(tmp_path / "a")) == 20 and list_folder(str(tmp_path / "nowhere")) == 2
    assert list_folder("a\0b") == 2


def test_what_a_second_process_is_of_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "WORTHWHILE", 10)
    assert plan_of([("a", 4), ("b", 5)]) is None and plan_of([]) is None
    assert plan_of([("", 0), ("a", 4), ("b\udcff", 6)]) == b"a\0b\xff"
    assert plan_of([("a", 1), ("b", 19)]) is None


@pytest.fixture
def many(root: Path, data: Path, fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders that a second process lists, too."""
    monkeypatch.setattr(scanning, "WORTHWHILE", 10)
    monkeypatch.setattr(scanning, "_processors", lambda: 2)
    for folder in range(8):
        put(data, *(f"{folder} é\n/{number}.jpg" for number in range(5)))
        (data / f"{folder} é\n" / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    fresh().add_all()
    assert (root / ".dsvc/cache/plan").read_bytes().count(b"\0") == 9
    started, start = [], scanning._start

    def noted(root: str, plan: str) -> Any:
        started.append(start(root, plan))
        return started[-1]

    monkeypatch.setattr(scanning, "_start", noted)
    yield data
    assert [process.returncode for process in started if process is not None and process.returncode is None] == []


def expect_changes(data: Path, fresh: Fresh) -> None:
    """Changes in each folder are seen, whoever lists it."""
    for folder in range(8):
        place = data / f"{folder} é\n"
        put(place, "1.jpg", data=b"changed", mtime=OLD + 1)
        (place / "2.jpg").unlink()
        put(place, "new.jpg", data=b"one more")
    shutil.rmtree(data / "7 é\n")
    status = fresh().files()
    assert (len(status.modified), len(status.missing), len(status.new)) == (7, 12, 7)
    assert len(status.problems) == 7


def wait_for(lister: Lister, count: int) -> None:
    """Wait until a second process has listed so many folders."""
    end = time.monotonic() + 60
    while len(lister._ahead) < count:
        assert time.monotonic() < end
        lister._receive()


def test_a_second_process_lists_as_the_first_does(root: Path, many: Path, fresh: Fresh) -> None:
    (many / "0 é\n" / "l.jpg").symlink_to("1.jpg")
    plan = root / ".dsvc/cache/plan"
    with plan.open("ab") as file:
        file.write(b"\0data/nowhere")
    lister = Lister(str(root), str(plan))
    wait_for(lister, 11)
    names = ["data", "data/sub", "data/nowhere", *(f"data/{folder} é\n" for folder in range(8))]
    ahead = dict(lister._ahead)
    assert sorted(ahead) == sorted(names)
    for name in names:
        assert lister.list(name) == list_folder(str(root / name)) == ahead[name]
    assert not lister._ahead and ahead["data/nowhere"] == 2
    lister.close()
    assert fresh().files().new == ("data/0 é\n/l.jpg",)
    (many / "0 é\n" / "l.jpg").unlink()
    expect_changes(many, fresh)


def test_what_a_second_process_found_is_used(root: Path, many: Path, fresh: Fresh) -> None:
    lister = lister_of(str(many / "sub"))
    assert lister.root == os.path.realpath(root)
    wait_for(lister, 10)
    # What changes after the look is found by the next one.
    put(many, "0 é\n/new.jpg", "new.jpg")
    assert fresh().files(lister=lister).is_clean
    assert len(fresh().files().new) == 2
    other = lister_of(str(root.parent))
    assert fresh().files(lister=other).new == fresh().files().new
    assert lister_of(os.sep).list("nowhere") == 2


def test_no_plan_is_left_that_is_of_no_use(root: Path, many: Path, fresh: Fresh) -> None:
    for folder in range(8):
        shutil.rmtree(many / f"{folder} é\n")
    assert len(fresh().files().missing) == 40
    assert not (root / ".dsvc/cache/plan").exists()


@pytest.mark.parametrize("plan", [b"", b"\xff\0\0\0", b"..\0/etc", b"data/" + bytes(1000), bytes(range(256)) * 100])
def test_any_plan_will_do(plan: bytes, root: Path, many: Path, fresh: Fresh) -> None:
    (root / ".dsvc/cache/plan").write_bytes(plan)
    lister = Lister(str(root), str(root / ".dsvc/cache/plan"))
    wait_for(lister, 1)
    lister.close()
    (root / ".dsvc/cache/plan").write_bytes(plan)
    expect_changes(many, fresh)


@pytest.mark.parametrize("executable", [None, "", "/nowhere/python", "/bin/true", "/bin/false", "/bin/echo"])
def test_a_second_process_that_cannot_help(
    executable: str | None, many: Path, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    expect_changes(many, fresh)


def frame(value: object) -> bytes:
    data = marshal.dumps(value)
    return len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage that goes on",
        b"dsvcl",
        b"dsvclist",
        b"dsvclist\1",
        b"dsvclist\xff\xff\xff\xffsome",
        b"dsvclist\4\0\0\0some",
        b"dsvclist" + frame(5),
        b"dsvclist" + frame(("a", 2, 3)),
        b"dsvclist" + frame((["a"], 2)),
        b"dsvclist" + frame(("elsewhere", 2)) + frame(("data", 2))[:-1],
    ],
)
@pytest.mark.parametrize("end", ["exit 0", "kill -9 $$", "exec sleep 100"])
def test_a_second_process_that_says_nothing_of_use(
    answer: bytes, end: str, many: Path, fresh: Fresh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "answer").write_bytes(answer)
    (tmp_path / "python").write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n{end}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    expect_changes(many, fresh)


def test_a_second_process_may_be_killed_at_any_time(many: Path, root: Path) -> None:
    for most in range(0, 9, 2):
        lister = Lister(str(root), str(root / ".dsvc/cache/plan"))
        wait_for(lister, most)
        if lister._process is not None:
            lister._process.kill()
        for folder in range(8):
            assert lister.list(f"data/{folder} é\n") == list_folder(str(many / f"{folder} é\n"))
        lister.close()
        lister.close()


def test_one_processor_lists_alone(many: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_processors", lambda: 1)
    assert lister_of(str(root))._process is None
