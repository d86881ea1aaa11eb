"""Many processes at once: nothing is lost, nothing is there twice, and whoever is refused is told why."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest
from harness import (
    AUTHOR,
    Notebook,
    Place,
    Trap,
    coco_file,
    is_whole,
    keys,
    needs_fork,
    pets,
    project,
    together,
    write_files,
)

import dsvc
from dsvc.core.check import check
from dsvc.core.operations import operations, undo
from dsvc.errors import RefusedError
from dsvc.store.files import OsFiles

ADDING = """
import sys, time
from pathlib import Path
import dsvc

folder, name = Path(sys.argv[1]), sys.argv[2]
import dsvc.core.files.adding, dsvc.core.dataset
Path(folder, "ready", name).touch()
while not Path(folder, "go").exists():
    time.sleep(0.005)
dataset = dsvc.open(folder).dataset("pets")
for part in sorted(Path(folder, name).iterdir()):
    assert dataset.add(part, root=folder).new == 3
"""


def test_eight_programs_add_files_to_one_dataset(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    (folder / "ready").mkdir()
    names = [f"process{n}" for n in range(8)]
    for name in names:
        for part in "abc":
            write_files(folder / name / part, 3)
    programs = [subprocess.Popen([sys.executable, "-c", ADDING, str(folder), name]) for name in names]
    while len(list((folder / "ready").iterdir())) < 8:
        assert all(program.poll() in (None, 0) for program in programs)
    (folder / "go").touch()
    assert [program.wait() for program in programs] == [0] * 8
    assert keys(pets(folder)) == [f"{name}/{part}/{n:03}.jpg" for name in names for part in "abc" for n in range(3)]
    assert is_whole(folder)
    commands = [logged.operation.command for logged in operations(dsvc.open(folder))]
    assert sum(command.startswith("add") for command in commands) == 24


@needs_fork
def test_eight_processes_add_and_commit_as_they_like(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", **{f"process{n}": 10 for n in range(8)})
    commits = Notebook(tmp_path / "commits")

    def work(number: int) -> None:
        dice = random.Random(number)
        dataset = pets(folder)
        for path in sorted((folder / f"process{number}").iterdir()):
            dataset.add(path)
            if dice.random() < 0.4:
                try:
                    commits.note(dataset.commit(f"by {number}").id.hex())
                except RefusedError as error:
                    assert "nothing to commit" in error.message

    together(*(lambda number=number: work(number) for number in range(8)))
    dataset = pets(folder)
    assert keys(dataset) == [f"process{p}/{n:03}.jpg" for p in range(8) for n in range(10)]
    line = list(dataset.log())
    assert sorted(logged.id.hex() for logged in line) == sorted(commits.lines())
    assert [len(logged.commit.parents) for logged in line] == [1] * (len(line) - 1) + [0]
    held = [{record.key for record in dataset.at(f"@{logged.id.hex()}").inputs()} for logged in reversed(line)]
    assert all(before < after for before, after in itertools.pairwise(held))
    assert is_whole(folder)


@needs_fork
def test_one_process_commits_while_two_add_and_annotate(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", left=12, right=12, shared=1)
    pets(folder).add(folder / "shared")
    ids = Notebook(tmp_path / "ids")
    done = Notebook(tmp_path / "done")
    commits = Notebook(tmp_path / "commits")

    def work(side: str) -> None:
        dataset = pets(folder)
        for path in sorted((folder / side).iterdir()):
            dataset.add(path)
            dataset.annotate(f"{side}/{path.name}", side)
            ids.note(dataset.annotate("shared/000.jpg", "equal").id)
        done.note(side)

    def commit() -> None:
        dataset = pets(folder)
        while len(done.lines()) < 2:
            try:
                commits.note(dataset.commit("some").id.hex())
            except RefusedError as error:
                assert "nothing to commit" in error.message

    together(commit, lambda: work("left"), lambda: work("right"))
    dataset = pets(folder)
    found = {sample.key: [a.id for a in sample.annotations] for sample in dataset.draft()}
    equal = found.pop("shared/000.jpg")
    assert found.keys() == {f"{side}/{n:03}.jpg" for side in ("left", "right") for n in range(12)}
    assert {len(annotations) for annotations in found.values()} == {1}
    assert len(equal) == 24
    assert sorted(ids.lines()) == sorted(equal), "each was told the id of its own copy"
    assert [logged.id.hex() for logged in reversed(list(dataset.log()))] == commits.lines()
    assert is_whole(folder)


@needs_fork
def test_two_imports_at_once_give_what_they_give_one_after_the_other(tmp_path: Path) -> None:
    files = [coco_file(tmp_path / f"{name}.json", name, 30, 12) for name in ("one", "two")]
    at_once, in_turn = project(tmp_path / "p"), project(tmp_path / "q")
    together(*(lambda file=file: pets(at_once).import_(file) for file in files))
    for file in files:
        pets(in_turn).import_(file)
    assert pets(at_once).draft().snapshot.roots == pets(in_turn).draft().snapshot.roots
    assert pets(at_once).draft().counts() == {"concepts": 4, "inputs": 60, "annotations": 720}
    assert is_whole(at_once)


@needs_fork
def test_the_same_import_at_once_counts_once(tmp_path: Path) -> None:
    file = coco_file(tmp_path / "one.json", "one", 30, 12)
    folder = project(tmp_path / "p")
    together(*[lambda: pets(folder).import_(file)] * 4)
    assert pets(folder).draft().counts() == {"concepts": 2, "inputs": 30, "annotations": 360}
    commands = [logged.operation.command for logged in operations(dsvc.open(folder))]
    assert sum(command.startswith("import") for command in commands) == 1


@needs_fork
def test_datasets_are_made_and_taken_away_at_once(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    winners = Notebook(tmp_path / "winners")

    def work(number: int) -> None:
        repo = dsvc.open(folder, author=AUTHOR)
        for turn in range(6):
            repo.create(f"set{number}-{turn}")
            if turn % 2:
                repo.delete(f"set{number}-{turn}")
        try:
            repo.create("wanted-by-all", str(number))
            winners.note(number)
        except RefusedError as error:
            assert "exists already" in error.message

    together(*(lambda number=number: work(number) for number in range(4)))
    repo = dsvc.open(folder)
    names = [f"set{number}-{turn}" for number in range(4) for turn in (0, 2, 4)]
    assert [dataset.name for dataset in repo.datasets()] == sorted([*names, "pets", "wanted-by-all"])
    assert winners.lines() == [repo.dataset("wanted-by-all").description]
    assert repo.workspace.chosen == "wanted-by-all" or repo.workspace.chosen.startswith("set")
    assert not list((folder / ".dsvc").glob("*.tmp"))
    assert is_whole(folder)


@needs_fork
def test_undo_beside_adding_takes_back_whole_operations(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", before=10, beside=15)
    outcomes = Notebook(tmp_path / "outcomes")
    for path in sorted((folder / "before").iterdir()):
        pets(folder).add(path)

    def adding() -> None:
        dataset = pets(folder)
        for path in sorted((folder / "beside").iterdir()):
            assert dataset.add(path).new == 1

    def undoing() -> None:
        repo = dsvc.open(folder)
        for _ in range(10):
            repo.store.refresh()
            try:
                outcomes.note(undo(repo).id.hex())
            except RefusedError as error:
                assert "moved since" in error.message

    together(adding, undoing)
    log = list(operations(dsvc.open(folder)))
    undone = {logged.operation.inverts.hex() for logged in log if logged.operation.inverts}
    assert undone == set(outcomes.lines()), "what was refused did nothing, and what was not is in the log"
    adds = [logged for logged in log if logged.operation.command.startswith("add ")]
    assert len(adds) == 25
    kept = {"/".join(Path(logged.operation.command).parts[-2:]) for logged in adds if logged.id.hex() not in undone}
    assert len(keys(pets(folder))) == 25 - len(undone)
    assert set(keys(pets(folder))) == kept
    assert is_whole(folder)


def test_making_a_dataset_is_not_undone_under_the_work_in_it(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", some=2)
    repo = dsvc.open(folder, author=AUTHOR)
    repo.dataset("pets").add(folder / "some")
    made = next(logged for logged in operations(repo) if logged.operation.command == "create pets")
    with pytest.raises(RefusedError, match="pets"):
        undo(repo, made.id.hex())
    assert len(keys(pets(folder))) == 2
    undo(repo)
    undo(repo)
    assert list(dsvc.open(folder).datasets()) == []


def test_an_edit_that_began_while_another_was_published_loses_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process publishes, and removes what it merged, just as this one begins to read."""
    folder = project(tmp_path / "p", first=1, mine=1, other=1)
    original = OsFiles.open

    def meddling(files: OsFiles, path: Path) -> int:
        if path.parent.name == "index":
            monkeypatch.setattr(OsFiles, "open", original)
            pets(folder).add(folder / "other")
        return original(files, path)

    dataset = pets(folder)
    pets(folder).add(folder / "first")
    monkeypatch.setattr(OsFiles, "open", meddling)
    dataset.add(folder / "mine")
    assert keys(pets(folder)) == ["first/000.jpg", "mine/000.jpg", "other/000.jpg"]


def test_two_that_do_the_same_in_the_same_second_do_it_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path / "p", some=1)
    pets(folder).add(folder / "some")
    first, second = pets(folder), pets(folder)
    moment = first.repository.now()
    for dataset in (first, second):
        monkeypatch.setattr(dataset.repository, "now", lambda: moment)
    ids: list[str] = []

    def overtake(place: Place, _: Path) -> None:
        if place[1:4] == ("write", "manifest", "after") and not ids:
            ids.append("begun")
            ids[0] = first.annotate("some/000.jpg", "equal").id

    with Trap(overtake).set():
        ids.append(second.annotate("some/000.jpg", "equal").id)
    assert [a.id for a in pets(folder).draft().annotations("some/000.jpg")] == ids
    assert len(set(ids)) == 2


@needs_fork
def test_check_and_readers_find_all_whole_while_another_adds(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", many=40, first=3)
    pets(folder).add(folder / "first")
    done = Notebook(tmp_path / "done")

    def adding() -> None:
        dataset = pets(folder)
        for path in sorted((folder / "many").iterdir()):
            dataset.add(path)
        done.note("added")

    def checking() -> None:
        while not done.lines():
            assert is_whole(folder)

    def reading() -> None:
        while not done.lines():
            state = pets(folder).draft()
            found = [(sample.key, sample.read_bytes()) for sample in state]
            assert len(found) == len(state)

    together(adding, checking, reading)


def test_a_check_that_another_overtakes_finds_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path / "p", one=1, two=1)
    pets(folder).add(folder / "one")
    original = OsFiles.open

    def meddling(files: OsFiles, path: Path) -> int:
        if path.parent.name == "packs":
            monkeypatch.setattr(OsFiles, "open", original)
            pets(folder).add(folder / "two")
        return original(files, path)

    repo = dsvc.open(folder)
    monkeypatch.setattr(OsFiles, "open", meddling)
    assert check(repo).damage == ()


def test_what_is_truly_missing_is_still_damage(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", one=1)
    pets(folder).add(folder / "one")
    next((folder / ".dsvc" / "packs").iterdir()).unlink()
    assert check(dsvc.open(folder)).damage
