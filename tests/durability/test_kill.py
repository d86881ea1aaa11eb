"""kill -9 at every call of the file system, and at any time: what reported success is there, and work goes on."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import (
    AUTHOR,
    KILLED,
    Child,
    Notebook,
    Place,
    Trap,
    coco_file,
    in_child,
    is_whole,
    keys,
    kill_at,
    needs_fork,
    pets,
    picture,
    places_of,
    project,
    spread,
    write_files,
)
from studied import WHEN, drop, enter_again, enter_evaluation, make_version

import dsvc
import dsvc.core.files.adding
import dsvc.core.imports.importing
import dsvc.core.workspace
from dsvc.core.ledger import auto_name
from dsvc.errors import NotRepositoryError, RefusedError
from dsvc.model.view import EVALUATION, RUN

pytestmark = needs_fork

Step = Callable[[Path], object]
LEAST = {
    "add": (80, 30),
    "import": (70, 8),
    "import media": (70, 8),
    "commit": (80, 8),
    "study": (40, 4),
}  # kills in all, and inside a pack
MEDIA = 100_000  # bytes: more than a pack gathers before it writes, so that each file is a write of its own


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is the system's already; syncing, which only a power cut misses, is left out."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def start_for_adding(folder: Path) -> None:
    project(folder, before=3)
    pets(folder).add(folder / "before")
    write_files(folder / "big", 12, MEDIA)
    write_files(folder / "small", 5)


def start_for_importing(folder: Path) -> None:
    project(folder, before=3)
    pets(folder).add(folder / "before")
    coco_file(folder / "one.json", "one", 60, 40)
    coco_file(folder / "two.json", "two", 5, 4)


def start_for_importing_media(folder: Path) -> None:
    project(folder, before=3)
    pets(folder).add(folder / "before")
    rows = [f"{name},../{name},train,seen\n" for name in write_files(folder / "listed", 6, MEDIA)]
    (folder / "lists").mkdir()
    (folder / "lists/meta.csv").write_text("".join(["key,path,split,concepts\n", *rows]))
    write_files(folder / "classes/cat", 3, MEDIA)
    write_files(folder / "classes/dog", 3)


def start_for_committing(folder: Path) -> None:
    project(folder)
    pets(folder).import_(coco_file(folder / "one.json", "one", 20, 20))


def annotate_and_commit(folder: Path) -> None:
    with pets(folder).edit() as draft:
        for number in range(1, 6):
            draft.annotate(dsvc.Annotation(key=f"one/{number:03}.jpg", id="", text="seen"))


def start_for_studying(folder: Path) -> None:
    start_for_committing(folder)
    pets(folder).commit("first")
    pets(folder).annotate("one/001.jpg", text="staged")


STORIES: dict[str, tuple[Callable[[Path], None], dict[str, Step]]] = {
    "add": (
        start_for_adding,
        {
            "add big": lambda folder: pets(folder).add(folder / "big"),
            "add small": lambda folder: pets(folder).add(folder / "small"),
        },
    ),
    "import": (
        start_for_importing,
        {
            "import one": lambda folder: pets(folder).import_(folder / "one.json"),
            "import two": lambda folder: pets(folder).import_(folder / "two.json"),
        },
    ),
    "import media": (
        start_for_importing_media,
        {
            "import a table": lambda folder: pets(folder).import_(folder / "lists/meta.csv"),
            "import classes": lambda folder: pets(folder).import_(folder / "classes", format="folder"),
        },
    ),
    "commit": (
        start_for_committing,
        {
            "commit one": lambda folder: pets(folder).commit("first"),
            "annotate": annotate_and_commit,
            "commit two": lambda folder: pets(folder).commit("second"),
        },
    ),
    "study": (
        start_for_studying,
        {
            "make a version": lambda folder: make_version(pets(folder), "aaaa1111"),
            "enter its run": lambda folder: enter_again(
                pets(folder),
                "aaaa1111",
                auto_name("aaaa1111", WHEN),
                {"model/weights": b"w" * MEDIA, "log.txt": b"log"},
            ),
            "evaluate": lambda folder: enter_evaluation(pets(folder), "eeee3333"),
            "delete the run": lambda folder: drop(pets(folder), RUN, "aaaa1111"),
            "delete the evaluation": lambda folder: drop(pets(folder), EVALUATION, "eeee3333"),
        },
    ),
}


class Kills:
    """Counts kills by where they struck."""

    def __init__(self) -> None:
        self.total = 0
        self.in_pack = 0
        self.in_write = 0
        self.after_swap = 0
        self.by_call: Counter[str] = Counter()

    def count(self, place: Place) -> None:
        self.total += 1
        self.in_pack += place.file == "pack"
        self.in_write += place.phase == "half"
        self.after_swap += place.swapped
        self.by_call[place.call] += 1


@pytest.mark.parametrize("story", STORIES)
def test_whoever_is_killed_has_done_all_or_nothing(story: str, tmp_path: Path) -> None:
    start, steps = STORIES[story]
    base, kills = tmp_path / "base", Kills()
    start(base)
    # How it goes when nobody is killed: what is there after each step, and which places are passed.
    told, whole = [picture(base)], tmp_path / "whole"
    shutil.copytree(base, whole)
    places: list[Place] = []
    with Trap(lambda place, _: places.append(place)).set():
        for step in steps.values():
            step(whole)
            told.append(picture(whole))

    for place in spread(places, 75 if story != "study" else 40):
        folder = tmp_path / "work"
        shutil.copytree(base, folder)
        reported, died = Notebook(tmp_path / "reported"), Notebook(tmp_path / "died")

        def work(folder: Path = folder, place: Place = place, out: Notebook = reported, last: Notebook = died) -> None:
            with kill_at(place.number, place.phase, last).set():
                for name, step in steps.items():
                    step(folder)
                    out.note(name)

        assert in_child(work) == KILLED, place
        struck = Place(*json.loads(died.lines()[0]))
        kills.count(struck)
        done = len(reported.lines())
        found = picture(folder)
        assert found in told[done : done + 2], f"{struck}: neither before nor after step {done + 1}"
        assert found == told[done + 1] if struck.swapped else True, f"{struck}: the head was swapped"
        assert is_whole(folder), struck
        # What was not reported is simply done again.
        once = story in ("commit", "study")  # to do such a thing again is to do it twice; to add again is nothing
        for step in list(steps.values())[told.index(found) if once else done :]:
            step(folder)
        assert picture(folder) == told[-1], struck
        assert kills.total % 5 or is_whole(folder), struck
        shutil.rmtree(folder)
        reported.path.unlink(missing_ok=True)
        died.path.unlink()
    print(story, kills.__dict__)
    assert kills.total >= LEAST[story][0]
    assert kills.in_pack >= LEAST[story][1]
    assert kills.in_write >= 5
    assert kills.after_swap >= 6


def test_a_repository_is_killed_again_and_again_at_any_time(tmp_path: Path) -> None:
    """One repository takes thirty kills, some during a kill's repair, and two more writers work beside it."""
    folder, dice = project(tmp_path / "p"), random.Random(7)
    files = Notebook(tmp_path / "files")
    commits = Notebook(tmp_path / "commits")

    def work(turn: int) -> None:
        dataset = pets(folder)
        for number in itertools.count():
            name = f"set{turn}-{number}"
            write_files(folder / name, 2, 5000)
            dataset.add(folder / name)
            files.note(name)
            dataset.annotate(f"{name}/000.jpg", "seen")
            with contextlib.suppress(RefusedError):  # the other one has committed both
                commits.note(dataset.commit(name).id.hex())

    for turn in range(0, 60, 2):
        children = [Child(lambda turn=turn + n: work(turn)) for n in range(2)]
        time.sleep(dice.uniform(0.01, 0.15))
        for child in children:
            child.kill()
            code, words = child.wait()
            assert code == KILLED, words
        held = set(keys(pets(folder)))
        assert {f"{name}/{n:03}.jpg" for name in files.lines() for n in range(2)} <= held
    assert is_whole(folder)
    dataset = pets(folder)
    assert set(commits.lines()) <= {logged.id.hex() for logged in dataset.log()}
    assert len(files.lines()) > 20


def test_who_is_killed_while_making_a_repository_makes_it_again(tmp_path: Path) -> None:
    """From the first call to the first file: there is no repository yet, or one that keeps what it is given."""

    def begin(folder: Path) -> None:
        dsvc.init(folder, author=AUTHOR).create("pets")

    places = [p for p in places_of(lambda: begin(tmp_path / "whole")) if p.phase != "before"]
    assert len(places) > 40
    for number, place in enumerate(places):
        folder, died = tmp_path / f"p{number}", Notebook(tmp_path / f"died{number}")

        def work(folder: Path = folder, place: Place = place, last: Notebook = died) -> None:
            with kill_at(place.number, place.phase, last).set():
                begin(folder)

        assert in_child(work) == KILLED, place
        try:
            repo = dsvc.open(folder, author=AUTHOR)
        except NotRepositoryError:
            repo = dsvc.init(folder, author=AUTHOR)
        if not list(repo.datasets()):
            repo.create("pets")
        write_files(folder / "some", 2)
        pets(folder).add(folder / "some")
        assert keys(pets(folder)) == ["some/000.jpg", "some/001.jpg"], f"{place}: what was added is not there"
        assert is_whole(folder)


def test_an_export_that_is_killed_leaves_no_half_target(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    pets(folder).import_(coco_file(folder / "one.json", "one", 40, 30))
    pets(folder).commit("all")
    target, dice = tmp_path / "out.json", random.Random(3)
    pets(folder).at().export("coco", target)
    whole = target.read_bytes()
    target.unlink()
    for _ in range(10):
        child = Child(lambda: pets(folder).at().export("coco", target))
        time.sleep(dice.uniform(0, 0.05))
        child.kill()
        assert child.wait()[0] in (KILLED, 0)
        assert not target.exists() or target.read_bytes() == whole
        target.unlink(missing_ok=True)
    pets(folder).at().export("coco", target)
    assert target.read_bytes() == whole
