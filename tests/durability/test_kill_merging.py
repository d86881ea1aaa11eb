"""kill -9 during merges, filtered merges, resolving and re-imports: all of it is done or none, and it is done again."""

from __future__ import annotations

import json
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
    pets,
    picture,
    project,
    spread,
)

import dsvc
import dsvc.core.imports.importing
import dsvc.core.merging.merge
import dsvc.core.merging.resolving
from dsvc.core.dataset import Dataset

pytestmark = needs_fork

Step = Callable[[Path], object]
CLASH = "one/002.jpg"


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def side(folder: Path) -> Dataset:
    return dsvc.open(folder, author=AUTHOR).dataset("pets", "side")


def say(dataset: Dataset, keys: list[str], text: str) -> None:
    with dataset.edit() as draft:
        for annotation in [one for key in keys for one in draft.snapshot.annotations(key)]:
            draft.change_annotation(annotation.key, annotation.id, {"text": text})
    dataset.commit(text)


def start_for_merging(folder: Path) -> None:
    """A branch that clashes with ours, a dataset that nothing has in common with it, and something staged."""
    project(folder)
    pets(folder).import_(coco_file(folder / "one.json", "one", 8, 6))
    pets(folder).commit("first")
    pets(folder).create_branch("side")
    say(side(folder), [CLASH, "one/003.jpg"], "theirs")
    say(pets(folder), [CLASH, "one/004.jpg"], "ours")
    zoo = dsvc.open(folder, author=AUTHOR).create("zoo")
    zoo.import_(coco_file(folder / "two.json", "two", 8, 6))
    zoo.commit("zoo")
    pets(folder).annotate("one/005.jpg", "staged")


def start_for_importing_again(folder: Path) -> None:
    """A source whose next delivery changes, renumbers, adds, takes away, and clashes with what was edited here."""
    project(folder)
    file = coco_file(folder / "one.json", "one", 8, 6)
    pets(folder).import_(file)
    pets(folder).commit("first")
    say(pets(folder), [CLASH], "ours")
    document = json.loads(file.read_text())
    document["annotations"] = [mark | {"id": mark["id"] + 7} for mark in document["annotations"][3:]]
    for mark in document["annotations"]:
        if mark["image_id"] in (2, 6):
            mark["caption"] = "theirs"
    document["images"].append({"id": 90, "file_name": "one/new.jpg", "width": 3, "height": 4})
    file.write_text(json.dumps(document))


def settle(folder: Path) -> None:
    dataset = pets(folder)
    if dataset.conflicts():
        dataset.resolve(revision="pets:side")


def commit(folder: Path) -> None:
    if pets(folder).has_draft():
        pets(folder).commit("settled")


STORIES: dict[str, tuple[Callable[[Path], None], dict[str, Step]]] = {
    "merge": (
        start_for_merging,
        {
            "merge a branch": lambda folder: pets(folder).merge("side"),
            "settle": settle,
            "take a part": lambda folder: pets(folder).merge("zoo", where="key < 'two/004'"),
            "take the rest": lambda folder: pets(folder).merge("zoo"),
            "commit": commit,
        },
    ),
    "import again": (
        start_for_importing_again,
        {
            "follow": lambda folder: pets(folder).import_(folder / "one.json", sync=True),
            "commit": commit,
        },
    ),
}


def seen(folder: Path) -> dict[str, Any]:
    """All of `pets`, with what its annotations say and what is in conflict."""
    dataset = pets(folder)
    marks = {f"{one.key}#{mark.id}": mark.text for one in dataset.draft() for mark in one.annotations}
    clashes = [(one.place.name, one.place.field, len(one.candidates)) for one in dataset.conflicts()]
    return {**picture(folder), "texts": marks, "conflicts": clashes}


@pytest.mark.parametrize("story", STORIES)
def test_a_merge_that_is_killed_has_done_all_or_nothing(story: str, tmp_path: Path) -> None:
    start, steps = STORIES[story]
    base, whole = tmp_path / "base", tmp_path / "whole"
    start(base)
    shutil.copytree(base, whole)
    told, places = [seen(base)], list[Place]()
    with Trap(lambda place, _: places.append(place)).set():
        for step in steps.values():
            step(whole)
            told.append(seen(whole))
    assert all(one["conflicts"] for one in told[1:2]), "nothing clashes"

    chosen = list(spread(places, 40))
    for place in chosen:
        folder = tmp_path / "work"
        shutil.copytree(base, folder)
        reported, died = Notebook(tmp_path / "reported"), Notebook(tmp_path / "died")

        def work(folder: Path = folder, place: Place = place, out: Notebook = reported, last: Notebook = died) -> None:
            with kill_at(place.number, place.phase, last).set():
                for name, step in steps.items():
                    step(folder)
                    out.note(name)

        assert in_child(work) == KILLED, place
        done, found = len(reported.lines()), seen(folder)
        assert found in told[done : done + 2], f"{place}: neither before nor after step {done + 1}"
        assert is_whole(folder), place
        for step in list(steps.values())[done:]:  # the same commands, that of the kill again
            step(folder)
        assert seen(folder) == told[-1], place
        shutil.rmtree(folder)
        reported.path.unlink(missing_ok=True)
        died.path.unlink()
    assert len(chosen) > 40 and sum(place.swapped for place in chosen) >= 4
