"""kill -9 during an evaluation, and two at once: each is there whole, with its versions, or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from harness import (
    KILLED,
    Notebook,
    Place,
    coco_file,
    in_child,
    is_whole,
    kill_at,
    needs_fork,
    pets,
    places_of,
    project,
    spread,
    together,
)

pytestmark = needs_fork


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with labelled inputs, and predictions for them."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    folder = project(tmp_path / "base")
    document = json.loads(coco_file(folder / "one.json", "one", 8, 8).read_text())
    pets(folder).import_(folder / "one.json")
    pets(folder).commit("first")
    found = [{name: row[name] for name in ("image_id", "category_id", "bbox")} for row in document["annotations"]]
    (folder / "found.json").write_text(json.dumps([{**row, "score": 0.5} for row in found]))
    return folder


def evaluate(folder: Path) -> str:
    return pets(folder).evaluate("pets", folder / "found.json").entry.id


def require_whole(folder: Path) -> list[str]:
    """The ids of all evaluations, of which each has its numbers and both of its versions."""
    dataset = pets(folder)
    names = []
    for entry in dataset.evaluations():
        assert dataset.scores(entry.id).figures["AP"] == 1.0
        sides = [entry.record[side] for side in ("truth", "predictions")]
        assert [dataset.at(f"@{side['version']}").commit.hex() for side in sides] == [side["commit"] for side in sides]
        names += [side["version"] for side in sides]
    assert sorted(names) == sorted(version.name for version in dataset.versions(auto=True))
    assert is_whole(folder)
    return [entry.id for entry in dataset.evaluations()]


def test_whoever_is_killed_has_done_all_or_nothing(base: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(base, whole)
    places = places_of(lambda: evaluate(whole))
    assert len(require_whole(whole)) == 1
    struck: list[Place] = []
    for place in spread(places, 6):
        folder = tmp_path / "work"
        shutil.copytree(base, folder)
        died = Notebook(tmp_path / "died")

        def work(folder: Path = folder, place: Place = place, died: Notebook = died) -> None:
            with kill_at(place.number, place.phase, died).set():
                evaluate(folder)

        assert in_child(work) == KILLED, place
        struck.append(Place(*json.loads(died.lines()[0])))
        done = require_whole(folder)
        assert len(done) <= 1 and (done or not struck[-1].swapped), struck[-1]
        made = evaluate(folder)
        assert sorted(require_whole(folder)) == sorted([*done, made])
        shutil.rmtree(folder)
        died.path.unlink()
    assert len(struck) >= 8
    assert any(place.swapped for place in struck) and not all(place.swapped for place in struck)


def test_two_at_once(base: Path) -> None:
    together(lambda: evaluate(base), lambda: evaluate(base))
    assert len(require_whole(base)) == 2
