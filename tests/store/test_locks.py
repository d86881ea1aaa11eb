"""Locks that don't work are noticed and told, not trusted; nothing is changed, and reading goes on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError
from dsvc.store import locks
from dsvc.store.locks import Mount, mount_of

fcntl = pytest.importorskip("fcntl", reason="flock is of Unix")

LOCAL = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that the tests' folder is a mount of a type, with options."""

    def mounted(type: str, options: str = "rw") -> None:
        point = str(tmp_path).replace(" ", "\\040")
        table = tmp_path.parent / f"{tmp_path.name}.mountinfo"
        table.write_text(f"{LOCAL}40 22 0:50 / {point} rw,relatime shared:2 - {type} server:/share {options}\n")
        monkeypatch.setattr(locks, "MOUNTS", table)

    return mounted


def files_below(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in paths if path.name != "lock"}


def opened(pets: Dataset) -> Dataset:
    assert pets.repository.root is not None
    return dsvc.open(pets.repository.root, author=dsvc.Author("Ada")).dataset("pets")


def refused(pets: Dataset) -> tuple[str, str]:
    """Every kind of writing is refused and changes nothing, and reading goes on; the error's message and hint."""
    root = pets.repository.root
    assert root is not None
    before, errors = files_below(root / ".dsvc"), set[tuple[str, str]]()
    for work in (
        lambda dataset: dataset.add(root / "new"),
        lambda dataset: dataset.commit("second"),
        lambda dataset: dataset.create_version("v2", revision="HEAD"),
        lambda dataset: dataset.repository.create("other"),
        lambda dataset: dataset.repository.undo(),
    ):
        with pytest.raises(RefusedError) as error:
            work(opened(pets))
        errors.add((error.value.message, error.value.hint or ""))
    assert files_below(root / ".dsvc") == before
    dataset = opened(pets)
    assert [sample.key for sample in dataset.draft()] == ["a.txt"] and len(list(dataset.log())) == 1
    assert dataset.repository.check().damage == ()
    (found,) = errors
    return found


@pytest.fixture
def ready(pets: Dataset) -> Dataset:
    """A dataset with a commit and a draft, and a file that waits."""
    root = pets.repository.root
    assert root is not None
    (root / "a.txt").write_text("a")
    (root / "new").write_text("new")
    pets.add(root / "a.txt")
    pets.commit("first")
    pets.annotate("a.txt", "cat")
    return pets


PLACE = "keep the repository on a local disk, and reach it from other machines through a clone"
HINT = f"mount it with locking, or {PLACE}; reading works as it is"


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
@pytest.mark.parametrize("type", [None, "nfs4"])
def test_locks_that_fail(code: int, type: str | None, ready: Dataset, mounted: Any, monkeypatch: Any) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    mounted(type or "ext4")
    monkeypatch.setattr(fcntl, "flock", flock)
    message, hint = refused(ready)
    place = f"the file system of {ready.repository.root}/.dsvc ({type or 'ext4'})"
    assert message == f"locks don't work on {place}: {os.strerror(code)}; nothing was changed"
    assert hint == HINT


def test_any_other_error_is_told_as_it_is(ready: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.EIO, "the disk is on fire")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(RefusedError, match="lock: the disk is on fire"):
        opened(ready).commit("second")


@pytest.mark.parametrize("type", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.of-some-kind"])
def test_locks_that_do_nothing(type: str, ready: Dataset, mounted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(type)
    monkeypatch.setattr(fcntl, "flock", lambda fd, operation: None)
    message, hint = refused(ready)
    place = f"the file system of {ready.repository.root}/.dsvc ({type})"
    assert message == f"locks do nothing on {place}: two writers get the same one at once; nothing was changed"
    assert hint == HINT


def test_a_lock_that_works_once_and_fails_when_it_is_tried(ready: Dataset, mounted: Any, monkeypatch: Any) -> None:
    def flock(fd: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            raise OSError(errno.ENOLCK, "no locks available")

    mounted("nfs4")
    monkeypatch.setattr(fcntl, "flock", flock)
    assert "locks don't work" in refused(ready)[0]


@pytest.mark.parametrize(
    ("type", "options", "why"),
    [
        ("nfs", "rw,vers=3,nolock,local_lock=all", "it is mounted with local_lock=all"),
        ("nfs4", "rw,local_lock=flock", "it is mounted with local_lock=flock"),
        ("cifs", "rw,nobrl", "it is mounted with nobrl"),
        ("fuse.sshfs", "rw", "it has none of its own"),
    ],
)
def test_locks_that_stay_on_this_machine(type: str, options: str, why: str, ready: Dataset, mounted: Any) -> None:
    mounted(type, options)
    message, hint = refused(ready)
    place = f"the file system of {ready.repository.root}/.dsvc ({type})"
    assert message == f"locks on {place} don't reach other machines, since {why}; nothing was changed"
    assert hint.endswith("or, if only this machine writes to it: one_machine = true under [locks] in dsvc.toml")


@pytest.mark.parametrize("file", ["dsvc.toml", ".dsvc/workspace.toml"])
def test_one_machine_alone_may_do_with_its_own_locks(file: str, ready: Dataset, mounted: Any, monkeypatch: Any) -> None:
    root = ready.repository.root
    assert root is not None
    with (root / file).open("a") as settings:
        settings.write("\n[locks]\none_machine = true\n")
    mounted("fuse.sshfs")
    opened(ready).commit("second")
    assert len(list(opened(ready).log())) == 2
    monkeypatch.setattr(fcntl, "flock", lambda fd, operation: None)  # but not with locks that do nothing here either
    with pytest.raises(RefusedError, match="locks do nothing"):
        opened(ready).annotate("a.txt", "dog")


def test_a_repository_is_made_where_locks_work_only(tmp_path: Path, mounted: Any) -> None:
    mounted("fuse.sshfs")
    with pytest.raises(RefusedError, match="don't reach other machines"):
        dsvc.init(tmp_path / "new")
    assert not (tmp_path / "new/.dsvc/head").exists()
    (tmp_path / "new/dsvc.toml").write_text("[locks]\none_machine = true\n")
    dsvc.init(tmp_path / "new").create("pets")


@pytest.mark.parametrize(
    ("type", "options"), [("ext4", "rw"), ("overlay", "rw"), ("nfs4", "rw,local_lock=none"), ("9p", "rw")]
)
def test_locks_that_work_are_taken(type: str, options: str, ready: Dataset, mounted: Any) -> None:
    mounted(type, options)
    opened(ready).commit("second")
    assert len(list(opened(ready).log())) == 2


def test_a_lock_is_tried_once_in_a_process_and_on_network_file_systems_only(
    ready: Dataset, mounted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    real = fcntl.flock

    def flock(fd: int, operation: int) -> None:
        tried.append(operation)
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    for type, count in (("ext4", 0), ("nfs4", 1)):
        mounted(type)
        tried.clear()
        dataset = opened(ready)
        for concept in ("dog", "bird", "fish"):
            dataset.annotate("a.txt", concept)
        assert sum(bool(operation & fcntl.LOCK_NB) for operation in tried) == count


def test_the_lock_holds_while_it_is_tried(ready: Dataset, mounted: Any) -> None:
    """After the second description is closed, another process still waits for the first."""
    mounted("nfs4")
    root = ready.repository.root
    assert root is not None
    program = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+')\n"
        "try:\n    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError:\n    print('held')\n"
        "else:\n    print('free')\n"
    )

    def other() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, root / ".dsvc/lock"], capture_output=True, text=True, check=True
        )
        return done.stdout

    repository: Repository = dsvc.open(root)
    with repository.store.backend.turn():
        assert other() == "held\n"
    assert other() == "free\n"


# ---- the table of mounts


@pytest.mark.parametrize(
    ("table", "path", "found"),
    [
        ("", "/a", None),
        ("nonsense\n1 2 3\n", "/a", None),
        (LOCAL, "/a/b", Mount("ext4", frozenset({"rw", "relatime"}))),
        (f"{LOCAL}1 2 0:1 / /a rw - nfs s:/ rw,hard\n", "/a/b", Mount("nfs", frozenset({"rw", "hard"}))),
        (f"{LOCAL}1 2 0:1 / /a rw - nfs s:/ rw\n", "/ab", Mount("ext4", frozenset({"rw", "relatime"}))),
        (f"1 2 0:1 / /a\\040b rw - nfs s:/ rw\n{LOCAL}", "/a b/c", Mount("nfs", frozenset({"rw"}))),
        ("1 2 0:1 / /a rw - nfs s:/ rw\n1 2 0:1 / /a rw - xfs s rw\n", "/a", Mount("xfs", frozenset({"rw"}))),
        (
            "1 2 0:1 / /a rw shared:5 master:2 - cifs //s/x ro,nobrl\n",
            "/a",
            Mount("cifs", frozenset({"rw", "ro", "nobrl"})),
        ),
    ],
)
def test_the_file_system_of_a_path(
    table: str, path: str, found: Mount | None, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "mountinfo").write_text(table)
    monkeypatch.setattr(locks, "MOUNTS", tmp_path / "mountinfo")
    assert mount_of(Path(path)) == found


def test_a_system_without_a_table_of_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MOUNTS", tmp_path / "none")
    assert mount_of(tmp_path) is None
