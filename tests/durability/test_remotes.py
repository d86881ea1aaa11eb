"""Fetches and pushes that are killed, and many at once: what is seen is all of one or nothing, and nothing is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import (
    AUTHOR,
    KILLED,
    Notebook,
    Place,
    Trap,
    coco_file,
    in_child,
    is_whole,
    kill_at,
    needs_fork,
    no_space,
    pets,
    places_of,
    project,
    spread,
    together,
)

import dsvc
from dsvc.core.check import check
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError, RemoteError
from dsvc.model.view import BRANCH, DATASET, PIN, REMOTE, VERSION
from dsvc.remote.cloning import clone
from dsvc.remote.fetching import fetch_commits
from dsvc.remote.pulling import pull_branch
from dsvc.remote.pushing import push_commits
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote, find_remote
from dsvc.remote.tracking import fetch
from dsvc.store.local import LocalBackend

pytestmark = needs_fork


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def workspace(folder: Path) -> Repository:
    return dsvc.open(folder / "ours", author=AUTHOR)


def store(folder: Path) -> Repository:
    return Repository(LocalBackend(folder / "store"))


def start_for_pushing(folder: Path) -> None:
    """A dataset with files and annotations, a version, two commits; and a remote that is not there yet."""
    project(folder / "ours", one=6)
    pets(folder / "ours").add(folder / "ours" / "one")
    pets(folder / "ours").import_(coco_file(folder / "one.json", "one", 5, 4))
    pets(folder / "ours").commit("first")
    pets(folder / "ours").create_version("v1")
    pets(folder / "ours").annotate("one/001.jpg", "cat")
    pets(folder / "ours").commit("second")
    add_remote(workspace(folder), "origin", "../store")


def start_for_fetching(folder: Path) -> None:
    """A remote with that, and a workspace with nothing."""
    start_for_pushing(folder)
    push(workspace(folder), find_remote(workspace(folder)))
    shutil.rmtree(folder / "ours")
    dsvc.init(folder / "ours", author=AUTHOR)
    add_remote(workspace(folder), "origin", "../store")


def start_for_cloning(folder: Path) -> None:
    """A remote with that, and nothing else."""
    start_for_pushing(folder)
    push(workspace(folder), find_remote(workspace(folder)))
    shutil.rmtree(folder / "ours")


def join(base: Path, folder: Path, number: int) -> None:
    """Another workspace with the same dataset and remote."""
    shutil.copytree(base / "ours", folder / "ours")
    settings = f'id = "{number:016x}"\n[trusted]\nremotes = ["../store"]\n'
    (folder / "ours" / ".dsvc" / "workspace.toml").write_text(settings)
    (folder / "store").symlink_to(base / "store")


def send(folder: Path) -> object:
    repository = workspace(folder)
    head = repository.dataset("pets").head
    assert head is not None
    return push_commits(repository, find_remote(repository), {"pets": {head}})


def bring(folder: Path) -> object:
    repository = workspace(folder)
    there = store(folder).view.list(BRANCH, "pets")
    wanted = {ref.commit for _, ref in there if ref.commit}
    return fetch_commits(repository, find_remote(repository), {"pets": wanted})


STORIES: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "push commits": (start_for_pushing, send),
    "push": (start_for_pushing, lambda folder: push(workspace(folder), find_remote(workspace(folder)))),
    "fetch commits": (start_for_fetching, bring),
    "clone": (start_for_cloning, lambda folder: clone(str(folder / "store"), folder / "ours", AUTHOR)),
    "fetch": (start_for_fetching, lambda folder: fetch(workspace(folder), find_remote(workspace(folder)))),
}


def refs_of(repository: Repository) -> list[Any]:
    view = repository.view
    return [found for kind in (DATASET, BRANCH, VERSION, PIN, REMOTE) for found in view.list(kind)]


def seen(folder: Path) -> dict[str, list[Any]]:
    """The refs of both sides; what is not there yet has none."""
    here, there = (folder / "ours" / ".dsvc" / "head").exists(), (folder / "store" / "head").exists()
    return {
        "ours": refs_of(workspace(folder)) if here else [],
        "store": refs_of(store(folder)) if there else [],
    }


def are_whole(folder: Path) -> bool:
    if (folder / "ours" / ".dsvc" / "head").exists():
        assert is_whole(folder / "ours")
    if (folder / "store" / "head").exists():
        damage = check(store(folder)).damage
        assert damage == (), damage
    return True


@pytest.mark.parametrize("story", STORIES)
def test_what_is_killed_on_the_way_has_done_all_or_nothing(story: str, tmp_path: Path) -> None:
    start, work = STORIES[story]
    base, whole = tmp_path / "base", tmp_path / "whole"
    start(base)
    shutil.copytree(base, whole)
    before = seen(base)
    places = places_of(lambda: work(whole))
    after = seen(whole)
    assert before != after
    chosen = list(spread(places, 40))
    for place in chosen:
        folder, died = tmp_path / "work", Notebook(tmp_path / "died")
        shutil.copytree(base, folder)

        def killed(folder: Path = folder, place: Place = place, died: Notebook = died) -> None:
            with kill_at(place.number, place.phase, died).set():
                work(folder)

        assert in_child(killed) == KILLED, place
        found = seen(folder)
        for side in ("ours", "store"):
            assert found[side] in (before[side], after[side]), f"{place}: {side} shows a part"
        assert are_whole(folder), place
        work(folder)
        assert seen(folder) == after and are_whole(folder), place
        shutil.rmtree(folder)
        died.path.unlink()
    assert len(chosen) >= 15 and any(place.swapped for place in chosen)


@pytest.mark.parametrize("story", STORIES)
def test_a_full_disk_on_either_side_changes_nothing(story: str, tmp_path: Path) -> None:
    start, work = STORIES[story]
    base = tmp_path / "base"
    start(base)
    before = seen(base)
    whole = tmp_path / "whole"
    shutil.copytree(base, whole)
    writes = [place for place in places_of(lambda: work(whole)) if place.call in ("write", "create", "sync")]
    after = seen(whole)
    for place in writes:
        if place.phase != "before":
            continue
        folder = tmp_path / "work"
        shutil.copytree(base, folder)

        def act(at: Place, path: Path, place: Place = place) -> None:
            if (at.number, at.phase) == (place.number, place.phase):
                raise no_space(path)

        with Trap(act).set(), pytest.raises((RefusedError, RemoteError), match="No space left on device") as error:
            work(folder)
        is_theirs = str(tmp_path / "work" / "store") in error.value.message
        assert isinstance(error.value, RemoteError) == is_theirs == error.value.message.startswith("remote origin: ")
        found = seen(folder)
        for side in ("ours", "store"):
            assert found[side] in (before[side], after[side])
        work(folder)
        assert seen(folder) == after and are_whole(folder)
        shutil.rmtree(folder)


def test_ten_who_push_at_once_all_arrive(tmp_path: Path) -> None:
    """Their commits have one parent in common and go apart: one of them moves the branch, the others' are pinned."""
    start_for_pushing(tmp_path)
    folders = [tmp_path / f"p{number}" for number in range(10)]
    for number, folder in enumerate(folders):
        join(tmp_path, folder, number)
        pets(folder / "ours").annotate("one/002.jpg", f"concept {number}")
        pets(folder / "ours").commit(f"mine {number}")
    (tmp_path / "store").mkdir()
    for _ in range(3):
        together(*[lambda folder=folder: send(folder) for folder in folders])
        there = store(tmp_path)
        heads = {pets(folder / "ours").head for folder in folders}
        assert {bytes.fromhex(ref[2]) for ref, _ in there.view.list(PIN)} >= heads
        assert check(there).damage == ()
        for number, folder in enumerate(folders):
            pets(folder / "ours").annotate("one/003.jpg", f"concept {number}")
            pets(folder / "ours").commit(f"mine {number} again")


def test_a_team_that_pulls_and_pushes_at_once_loses_nothing(tmp_path: Path) -> None:
    start_for_pushing(tmp_path)
    push(workspace(tmp_path), find_remote(workspace(tmp_path)))
    folders = [tmp_path / f"p{number}" for number in range(4)]
    for number, folder in enumerate(folders):
        join(tmp_path, folder, number)

    def work(number: int, folder: Path) -> None:
        for turn in range(4):
            pets(folder / "ours").annotate("one/002.jpg", f"concept {number} {turn}")
            pets(folder / "ours").commit(f"{number} {turn}")
            while True:
                repository = workspace(folder)
                try:
                    push(repository, find_remote(repository), "pets", "main")
                    break
                except RefusedError as error:
                    assert "has commits at origin that are not here" in error.message
                    pull_branch(repository.dataset("pets"), find_remote(repository))

    together(*[lambda n=number, folder=folder: work(n, folder) for number, folder in enumerate(folders)])
    pull_branch(workspace(tmp_path).dataset("pets"), find_remote(workspace(tmp_path)))
    found = {a.concept for s in pets(tmp_path / "ours").at() for a in s.annotations if a.key == "one/002.jpg"}
    assert found >= {f"concept {number} {turn}" for number in range(4) for turn in range(4)}
    assert are_whole(tmp_path)


def test_a_fetch_reads_on_while_others_push(tmp_path: Path) -> None:
    """Every push merges packs and removes the old ones, under the hands of whoever reads."""
    start_for_pushing(tmp_path)
    push(workspace(tmp_path), find_remote(workspace(tmp_path)))
    reader = tmp_path / "reader"
    dsvc.init(reader, author=AUTHOR)
    add_remote(dsvc.open(reader), "origin", "../store")

    def write() -> None:
        for number in range(25):
            pets(tmp_path / "ours").annotate("one/002.jpg", f"concept {number}")
            pets(tmp_path / "ours").commit(f"{number}")
            send(tmp_path)

    def read() -> None:
        for _ in range(25):
            repository = dsvc.open(reader, author=AUTHOR)
            fetch(repository, find_remote(repository))

    together(write, read, read)
    read()
    assert is_whole(reader) and are_whole(tmp_path)
    there = {ref[1:]: value for ref, value in store(tmp_path).view.list(BRANCH)}
    seen_there = {ref[2:]: value for ref, value in dsvc.open(reader).view.list(REMOTE, "origin")}
    assert seen_there[("pets", "branch", "main")].commit == there[("pets", "main")].commit
