"""Folders that are laid out, in bad surroundings: a kill at any moment, full disks, others at the same time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import KILLED, Child, is_whole, keys, needs_fork, pets, project, together, write_files

from dsvc.core.layout import placing
from dsvc.core.layout.checkout import checkout, checkout_all, update_folders
from dsvc.core.layout.record import Records
from dsvc.errors import RefusedError

NOBODY = 65534
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
MINE = b"\xff\xd8\xffmine"


def make(folder: Path, count: int = 60) -> Path:
    """A project whose dataset has three commits, on the branches main, second and third."""
    project(folder)
    write_files(folder / "data", count)
    dataset = pets(folder)
    dataset.add(folder / "data", root=folder / "data")
    dataset.commit("first")
    for name, start in (("second", 0), ("third", count // 3)):
        dataset.switch(name, create=True)
        for number in range(start, start + count // 2):
            (folder / "data" / f"{number:03}.jpg").write_bytes(f"\xff\xd8\xff{name} {number}".encode())
        (folder / "data" / f"{count - 1:03}.jpg").unlink(missing_ok=True)
        (folder / "data" / f"{name}.jpg").write_bytes(name.encode())
        dataset.add_all()
        dataset.commit(name)
    dataset.switch("main")
    dataset.untrack("data")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """The media of the checkout."""
    images = folder / "pets" / "images"
    return {path.relative_to(images).as_posix(): path.read_bytes() for path in images.rglob("*") if path.is_file()}


def held(folder: Path, branch: str) -> dict[str, bytes]:
    """The media of a branch."""
    return {sample.key: sample.read_bytes() for sample in pets(folder).at(f"pets:{branch}")}


def lay(folder: Path, branch: str = "main") -> Any:
    return checkout(pets(folder).repository, f"pets:{branch}", folder / "pets")


def kill_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill this process before or after one of its changes: renames of media, of annotation files, and of records."""
    seen = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            nonlocal seen
            for phase in range(2):
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1
                if not phase:
                    result = call(*arguments)
            return result

        return watched

    monkeypatch.setattr(placing.Files, "rename", counted(placing.Files.rename))
    monkeypatch.setattr(placing.Files, "remove", counted(placing.Files.remove))
    monkeypatch.setattr(Records, "save", counted(Records.save))


@needs_fork
@pytest.mark.parametrize("next_branch", ["second", "third"])
def test_a_kill_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, next_branch: str) -> None:
    """Whether the next run goes on to the same commit or to another one, no file is mistaken for another's."""
    folder, number, killed = make(tmp_path / "p", 12), 0, 0
    expected = held(folder, next_branch)
    while True:
        shutil.rmtree(folder / "pets", ignore_errors=True)
        shutil.rmtree(folder / ".dsvc/checkouts", ignore_errors=True)
        lay(folder)
        images = folder / "pets/images"
        (images / "000.jpg").write_bytes(MINE)
        (images / "foreign.jpg").write_bytes(MINE)

        def work(number: int = number) -> None:
            kill_at(number, monkeypatch)
            lay(folder, "second")

        code = Child(work).wait()[0]
        assert code in (0, KILLED)
        # Whatever has happened, looking at it works, and what was half done is not taken in.
        before = keys(pets(folder))
        pets(folder).folders()
        update = lay(folder, next_branch)
        assert [one.path for one in update.left] == ["pets/images/000.jpg"], number
        assert files(folder) == expected | {"000.jpg": MINE, "foreign.jpg": MINE}, number
        assert keys(pets(folder)) == before and not (folder / "pets/.dsvc-checkout").exists()
        if code == 0:
            break
        killed, number = killed + 1, number + 1
    assert killed > 15
    assert is_whole(folder)


@needs_fork
def test_a_kill_of_the_first_layout(tmp_path: Path) -> None:
    folder, chance, killed = make(tmp_path / "p", 400), random.Random(1), 0
    begin = time.perf_counter()
    lay(folder)
    most = time.perf_counter() - begin
    expected = held(folder, "main")
    for round in range(12):
        if round % 3 == 0:
            shutil.rmtree(folder / "pets")
            shutil.rmtree(folder / ".dsvc/checkouts")
        child = Child(lambda: lay(folder))
        time.sleep(chance.random() * most)
        child.kill()
        killed += child.wait()[0] == KILLED
        # What is there is whole.
        images = folder / "pets/images"
        assert all(files(folder)[name] == expected[name] for name in (files(folder) if images.exists() else ()))
        pets(folder).folders()
        if round % 3 == 2:
            [update] = checkout_all(pets(folder).repository) or [lay(folder)]
            assert update.is_whole and files(folder) == expected
    assert killed > 4


@needs_fork
def test_two_at_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", 120)
    together(*[lambda: lay(folder)] * 3)
    assert files(folder) == held(folder, "main")
    together(lambda: lay(folder, "second"), lambda: lay(folder, "third"), lambda: pets(folder).folders())
    assert files(folder) in (held(folder, "second"), held(folder, "third"))
    update_folders(pets(folder).repository)
    [one] = pets(folder).folders()
    assert one.is_clean and one.problem is None
    assert files(folder) == held(folder, one.checkout.revision.partition(":")[2])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB where the checkout is to be."""
    place = tmp_path / "p" / "pets"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if not ROOT or not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    folder = tmp_path / "p"
    project(folder)
    write_files(folder / "data", 30, size=8000)
    dataset = pets(folder)
    dataset.add(folder / "data", root=folder / "data")
    dataset.commit("first")
    with pytest.raises(RefusedError, match="No space left"):
        checkout(dataset.repository, "pets")
    expected = held(folder, "main")
    assert len(files(folder)) < 30 and all(expected[name] == data for name, data in files(folder).items())
    [one] = pets(folder).folders()
    assert one.problem == "it is not laid out to its end"
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    [update] = checkout_all(pets(folder).repository)
    assert update.is_whole and files(folder) == expected


def test_hard_links_to_another_disk(tmp_path: Path, small_disk: Path) -> None:
    folder = make(tmp_path / "p", 6)
    with pytest.raises(RefusedError, match="another disk") as caught:
        checkout(pets(folder).repository, "pets", link=True)
    assert caught.value.hint is not None and "without --link hard" in caught.value.hint
    assert files(folder) == {}


@pytest.mark.skipif(not ROOT, reason="needs another user to be")
def test_folders_that_may_not_be_written(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", 12)
    lay(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 1 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    before = files(folder)
    os.seteuid(NOBODY)
    try:
        (folder / "pets/images").chmod(0o555)
        update = lay(folder, "second")
        assert {one.reason for one in update.left} == {
            "cannot be removed: Permission denied",
            "cannot be written: Permission denied",
        }
        assert files(folder) == before
        (folder / "pets").chmod(0o555)
        with pytest.raises(RefusedError, match="Permission denied"):
            lay(folder, "third")
        for path in (folder / "pets/images", folder / "pets"):
            path.chmod(0o755)
        assert lay(folder, "third").is_whole
        assert files(folder) == held(folder, "third")
    finally:
        os.seteuid(0)
