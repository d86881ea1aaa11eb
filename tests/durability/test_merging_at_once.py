"""Merges beside commits, imports and other merges: whoever comes second goes on from what the first one left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness import AUTHOR, coco_file, is_whole, needs_fork, pets, project, together

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.errors import RefusedError

pytestmark = needs_fork

KEYS = [f"one/{number:03}.jpg" for number in range(1, 7)]
Work = Callable[[Path], object]


def say(dataset: Dataset, key: str, text: str) -> None:
    with dataset.edit() as draft:
        for annotation in draft.snapshot.annotations(key):
            draft.change_annotation(key, annotation.id, {"text": text})


def start(folder: Path) -> Path:
    """A dataset with two branches that changed an input each, and a file to import."""
    project(folder)
    pets(folder).import_(coco_file(folder / "one.json", "one", 6, 2))
    pets(folder).commit("first")
    coco_file(folder / "two.json", "two", 4, 2)
    for key, name in zip(KEYS, ("left", "right"), strict=False):
        pets(folder).create_branch(name)
        branch = dsvc.open(folder, author=AUTHOR).dataset("pets", name)
        say(branch, key, name)
        branch.commit(name)
    say(pets(folder), KEYS[3], "staged")
    return folder


def commit(folder: Path) -> None:
    try:
        pets(folder).commit("mine")
    except RefusedError as error:
        assert "nothing" in error.message, error


WORKS: dict[str, tuple[Work, Work]] = {
    "merge and commit": (lambda folder: pets(folder).merge("left"), commit),
    "two merges": (lambda folder: pets(folder).merge("left"), lambda folder: pets(folder).merge("right")),
    "merge and import": (
        lambda folder: pets(folder).merge("left"),
        lambda folder: pets(folder).import_(folder / "two.json"),
    ),
    "part and whole": (
        lambda folder: pets(folder).merge("left", where=f"key = '{KEYS[0]}'"),
        lambda folder: pets(folder).merge("left"),
    ),
}


@pytest.mark.parametrize("name", WORKS)
def test_two_at_once_lose_neither(name: str, tmp_path: Path) -> None:
    works = WORKS[name]
    for number in range(3):
        folder = start(tmp_path / f"p{number}")
        together(*[lambda work=work, folder=folder: work(folder) for work in works])
        for work in works:  # again is no harm
            work(folder)
        found = {mark.key: mark.text for sample in pets(folder).draft() for mark in sample.annotations}
        assert found[KEYS[0]] == "left" and found[KEYS[3]] == "staged" and found[KEYS[4]] is None
        assert found[KEYS[1]] == ("right" if name == "two merges" else None)
        assert ("two/001.jpg" in found) == (name == "merge and import")
        assert pets(folder).conflicts() == [] and is_whole(folder)
