"""Three workspaces and a remote: whatever they do, in whatever order, all hold the same in the end, and all of it."""

import random
from pathlib import Path

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.errors import RefusedError
from dsvc.model.view import VERSION
from dsvc.remote.fetching import fetch_commits
from dsvc.remote.pulling import pull_branch
from dsvc.remote.pushing import push_commits
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote, add_remote, find_remote
from dsvc.remote.tracking import fetch

from .workspaces import ADA, clone, head, is_whole, opened, project, say

NAMES = ("ours", "theirs", "third")
KEYS = [f"images/{number}.txt" for number in range(3)]


class Team:
    """The workspaces, and what each has said that is in a commit."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.said: set[str] = set()
        first = project(folder / NAMES[0])
        push(first.repository, add_remote(first.repository, "origin", "../store"))
        for name in NAMES[1:]:
            repository, remote = clone(folder / name, folder / "store")
            pull_branch(repository.create("pets"), remote)

    def open(self, name: str) -> tuple[Dataset, Remote]:
        repository = dsvc.open(self.folder / name, author=ADA)
        return repository.dataset("pets"), find_remote(repository)

    def step(self, number: int) -> None:
        dataset, remote = self.open(self.random.choice(NAMES))
        match self.random.randrange(9):
            case 0 | 1 | 2:
                text = f"said {number}"
                say(dataset, text, self.random.choice(KEYS))
                self.said.add(text)
            case 3:
                self.send(dataset, remote)
            case 4:
                pull_branch(dataset, remote)
            case 5:
                fetch(dataset.repository, remote)
            case 6:
                push_commits(dataset.repository, remote, {"pets": {head(dataset)}})
            case 7:
                there = opened(self.folder / "store").dataset("pets")
                fetch_commits(dataset.repository, remote, {"pets": {head(there)}})
            case 8:
                dataset.create_version(f"v{number}")

    def send(self, dataset: Dataset, remote: Remote) -> None:
        for _ in range(2):
            try:
                push(dataset.repository, remote, "pets", "main")
                return
            except RefusedError as error:
                assert "has commits at origin that are not here" in error.message
                pull_branch(dataset, remote)
        raise AssertionError("the second push was refused, too")


@pytest.mark.parametrize("seed", range(6))
def test_all_agree_in_the_end(seed: int, tmp_path: Path) -> None:
    team = Team(tmp_path, seed)
    for number in range(40):
        team.step(number)
    for name in (*NAMES, *NAMES):
        team.send(*team.open(name))
        pull_branch(*team.open(name))
    sides = [team.open(name)[0] for name in NAMES]
    there = opened(tmp_path / "store").dataset("pets")
    assert {head(side) for side in sides} == {head(there)}
    texts = {a.text for sample in there.at() for a in sample.annotations if a.text}
    assert texts == team.said
    versions = [dict(side.repository.view.list(VERSION)) for side in (*sides, there)]
    assert versions == [versions[0]] * 4
    assert all(is_whole(side.repository) for side in (*sides, there))


def test_a_fetch_writes_nothing_where_it_reads(tmp_path: Path) -> None:
    team = Team(tmp_path, 0)
    store = tmp_path / "store"
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in store.rglob("*")}
    repository, remote = clone(tmp_path / "reader", store)
    fetch(repository, remote)
    fetch_commits(repository, remote, {"pets": {head(team.open("ours")[0])}})
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in store.rglob("*")}
