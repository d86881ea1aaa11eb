"""Auto-generated versions as they are listed and shown, and runs and evaluations that travel, as it is typed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from studied import enter_evaluation, enter_run

import dsvc as library
from dsvc.core.repository import Repository

from .conftest import SIGNED, Result
from .test_remote import without_ids

Run = Callable[..., Result]
MADE = "auto-generated-20231114T221320Z-"
WHEN = "2023-11-14 22:13:20 +0000"
ORIGINS = {"aaaa1111": "training", "cccc0000": "eval_ground_truth", "eeee3333": "eval_predictions"}


@pytest.fixture
def studied(project: Path) -> Path:
    """The project with a run and an evaluation of its head."""
    pets = library.open(project).dataset("pets")
    enter_run(pets, "aaaa1111", {"model/weights": b"w" * 500, "log.txt": b"log"})
    enter_evaluation(pets, "eeee3333")
    return project


@pytest.fixture
def shared(studied: Path, dsvc: Run, tmp_path: Path) -> Path:
    """A remote that has the project."""
    dsvc("remote", "add", "origin", "../store")
    dsvc("push")
    return tmp_path / "store"


def rows(out: str) -> list[list[str]]:
    """The cells of a table of versions, without commits."""
    return [[cell for at, cell in enumerate(filter(None, line.split("  "))) if at != 1] for line in out.splitlines()]


LISTED = [
    [f"{MADE}aaaa1111", "training", " run aaaa1111"],
    [f"{MADE}cccc0000", "eval_ground_truth", "evaluation eeee3333"],
    [f"{MADE}eeee3333", "eval_predictions", " evaluation eeee3333"],
]


def test_they_are_listed_apart(studied: Path, dsvc: Run) -> None:
    lines = dsvc("version", "list").out.splitlines()
    assert lines[0].startswith("v1  ")
    assert lines[1:] == ["and 3 auto-generated versions: dsvc version list --auto"]
    listed = [[cell.strip() for cell in row] for row in rows(dsvc("version", "list", "--auto").out)]
    assert listed == [[cell.strip() for cell in row] for row in LISTED]
    assert max(map(len, dsvc("version", "list", "--auto").out.splitlines())) <= 100
    document = json.loads(dsvc("version", "list", "--auto", "--json").out)
    assert (document["dataset"], document["auto_generated"]) == ("pets", 3)
    assert {row["name"].removeprefix(MADE): row["origin"] for row in document["versions"]} == ORIGINS
    assert [row["used_by"] for row in document["versions"]] == [
        [{"kind": "run", "id": "aaaa1111"}],
        [{"kind": "evaluation", "id": "eeee3333"}],
        [{"kind": "evaluation", "id": "eeee3333"}],
    ]
    (v1,) = json.loads(dsvc("version", "list", "--json").out)["versions"]
    assert (v1["name"], v1["origin"], len(v1["used_by"])) == ("v1", "manual", 2)


def test_without_any(project: Path, dsvc: Run) -> None:
    assert dsvc("version", "list", "--auto").out == "no auto-generated versions\n"
    assert "auto-generated" not in dsvc("version", "list").out
    assert json.loads(dsvc("version", "list", "--json").out)["auto_generated"] == 0


def test_without_any_that_people_made(studied: Path, dsvc: Run) -> None:
    dsvc("version", "delete", "v1")
    assert dsvc("version", "list").out == (
        "no versions yet; next: dsvc version create\nand 3 auto-generated versions: dsvc version list --auto\n"
    )


def test_one_is_shown_with_where_it_is_from(studied: Path, dsvc: Run) -> None:
    shown = without_ids(dsvc("version", "show", f"{MADE}eeee3333").out)
    assert shown.splitlines() == [
        f"version {MADE}eeee3333 of pets, commit ID",
        f"Ada, {WHEN}",
        "auto-generated, origin eval_predictions",
        "data of evaluation eeee3333",
        "holds 2 inputs, 2 annotations, 2 concepts",
    ]
    assert "data of run aaaa1111, evaluation eeee3333" in dsvc("version", "show", "v1").out
    document = json.loads(dsvc("version", "show", f"{MADE}aaaa1111", "--json").out)
    assert (document["origin"], document["used_by"]) == ("training", [{"kind": "run", "id": "aaaa1111"}])
    missing = dsvc("version", "show", f"{MADE}aaaa1112", code=4)
    assert missing.err.splitlines()[1].startswith(f"hint: did you mean {MADE}aaaa1111, ")


def test_one_in_use_is_not_deleted_dry_or_not(studied: Path, dsvc: Run) -> None:
    name = f"{MADE}eeee3333"
    refused = (
        f"error: version '{name}' is the data of evaluation eeee3333\n"
        "hint: delete that, and the version goes with it: dsvc evaluate delete eeee3333\n"
    )
    for more in ([], ["--dry-run"]):
        result = dsvc("version", "delete", name, *more, code=3)
        assert (result.out, result.err) == ("", refused)
    assert dsvc("version", "create", f"{MADE}ffff0000", *SIGNED, code=2).err.startswith("error: names that begin with")


def test_they_are_named_only_where_they_are_asked_for(studied: Path, dsvc: Run) -> None:
    for line in ("list", "status", "log", "log --graph", "show", "branch", "lock", "lock --json", "list --json"):
        assert MADE not in dsvc(*line.split()).out, line
    assert MADE not in (studied / "dsvc.lock").read_text()
    odd = dsvc("check", code=1).out.splitlines()
    assert len(odd) == 5 and odd[-1].endswith(" objects: all whole, 4 odd records"), "of the pictures in v1"
    assert "nothing to free" in dsvc("gc", "--dry-run").out
    assert without_ids(dsvc("diff", "pets", f"pets@{MADE}aaaa1111").out) == ""
    assert dsvc("use", f"pets@{MADE}eeee3333").out.startswith(f"now on dataset pets, version {MADE}eeee3333, read-only")
    assert dsvc("lock").out and MADE not in (studied / "dsvc.lock").read_text()
    assert MADE not in dsvc("log").out


def test_undo_names_what_it_takes_back(studied: Path, dsvc: Run) -> None:
    assert dsvc("undo").out.splitlines()[0] == (
        "undid: evaluate: eeee3333 (evaluation pets eeee3333, "
        f"version pets {MADE}cccc0000, version pets {MADE}eeee3333)"
    )
    assert dsvc("undo").out.splitlines()[0] == "undid: train: run aaaa1111 (run pets aaaa1111)"


def test_what_is_damaged_is_taken_away_all_the_same(studied: Path, dsvc: Run) -> None:
    from core.test_dependents import spoil

    pets = library.open(studied).dataset("pets")
    for commit in (pets.run("aaaa1111").commit, pets.evaluation("eeee3333").commit):
        spoil(pets, commit)
    lost = dsvc("runs", "list", code=5)
    assert lost.err.splitlines()[1] == "hint: see all that is damaged: dsvc check; mend it: dsvc check --repair"
    assert dsvc("version", "list", "--auto").out.count("\n") == 3
    assert dsvc("runs", "delete", "aaaa", "--dry-run").out == "would delete run aaaa1111 of pets\n"
    for line in ("runs delete aaaa", "evaluate delete eeee"):
        assert dsvc(*line.split()).out.splitlines()[-1] == "dsvc undo brings it back"
    assert dsvc("runs", "list").out.startswith("no runs")
    for id in ORIGINS:
        dsvc("version", "delete", f"{MADE}{id}")
    assert dsvc("check", code=5).out.splitlines()[-1].endswith(" objects: 2 damaged"), "only earlier operations need it"


# ---- on the way


def test_a_push_and_a_clone_tell_of_them(studied: Path, dsvc: Run) -> None:
    dsvc("remote", "add", "origin", "../store")
    assert without_ids(dsvc("push", "--dry-run").out).splitlines()[:3] == [
        "pets:main: new, at ID",
        "pets@v1: new",
        "pets: 1 new run and 1 new evaluation",
    ]
    document = json.loads(dsvc("push", "--json").out)
    assert document["runs"] == [{"dataset": "pets", "id": "aaaa1111"}]
    assert document["evaluations"] == [{"dataset": "pets", "id": "eeee3333"}]
    assert dsvc("push").out.splitlines()[-1] == "origin has all of it: ../store"
    lines = dsvc("clone", "../store", "../other").out.splitlines()
    assert "pets: 1 new run and 1 new evaluation" in lines
    document = json.loads(dsvc("clone", "../store", "../third", "--json").out)
    assert (len(document["runs"]), len(document["evaluations"]), document["refused"]) == (1, 1, [])


def test_a_fetch_tells_of_what_is_new_and_of_what_it_left(shared: Path, dsvc: Run, tmp_path: Path) -> None:
    dsvc("clone", shared, "../other")
    other = library.open(tmp_path / "other").dataset("pets")
    enter_run(other, "bbbb2222")
    os.chdir(tmp_path / "other")
    dsvc("push")
    there = Repository.open(tmp_path / "other").dataset("pets")
    assert [run.id for run in there.runs()] == ["aaaa1111", "bbbb2222"]
    os.chdir(tmp_path / "project")
    fetched = dsvc("fetch").out
    assert fetched.splitlines()[0] == "pets: 1 new run"
    assert dsvc("fetch").out.startswith("nothing new at origin")
    harm(shared)
    result = dsvc("fetch")
    assert result.err == (
        "note: run \\x1b[2J of pets at origin was left out: its id is not 8 hex digits\n"
        "note: run dddd4444 of pets at origin was left out: its commit is no record of a run\n"
    )
    document = json.loads(dsvc("fetch", "--json").out)
    assert [(row["kind"], row["id"]) for row in document["refused"]] == [("run", "\x1b[2J"), ("run", "dddd4444")]
    assert document["runs"] == []


def harm(store: Path) -> None:
    """Enter what is no run at a remote."""
    from dsvc.core.ledger import set_entry
    from dsvc.model.view import RUN
    from dsvc.store.local import LocalBackend

    repository = Repository(LocalBackend(store))
    head = repository.dataset("pets").head
    assert head is not None
    for id in ("\x1b[2J", "dddd4444"):
        repository.change("harm", lambda refs, id=id: set_entry(refs, RUN, "pets", id, head))  # type: ignore[misc]


def test_a_pull_tells_of_them(shared: Path, dsvc: Run, tmp_path: Path) -> None:
    dsvc("clone", shared, "../other")
    enter_run(library.open(tmp_path / "project").dataset("pets"), "bbbb2222")
    dsvc("push")
    os.chdir(tmp_path / "other")
    assert dsvc("pull", "origin").out.splitlines()[1] == "pets: 1 new run"


def test_they_are_read_straight_from_a_remote(shared: Path, dsvc: Run) -> None:
    listed = dsvc("-R", "origin", "version", "list")
    assert listed.out.splitlines()[-1] == "and 3 auto-generated versions: dsvc -R origin version list --auto"
    assert dsvc("-R", shared, "version", "list", "--auto").out == dsvc("version", "list", "--auto").out
    assert "data of run aaaa1111" in dsvc("-R", "origin", "version", "show", "v1").out


def test_what_is_deleted_here_comes_back_from_a_remote(shared: Path, dsvc: Run) -> None:
    for kind, id in (("runs", "aaaa1111"), ("evaluate", "eeee3333")):
        told = dsvc(kind, "delete", id).out.splitlines()
        way = f"dsvc push --delete pets@{id}"
        back = f"so does a fetch while a remote has it; to delete it there, too: {way}"
        assert told[-2:] == ["dsvc undo brings it back", back]
        dsvc("fetch")
        assert id in dsvc(kind, "list").out
        dsvc(kind, "delete", id)
        dsvc(*way.split()[1:])
        dsvc("fetch")
        assert id not in dsvc(kind, "list").out


def test_a_remote_that_only_gives_is_not_deleted_at(studied: Path, dsvc: Run) -> None:
    dsvc("remote", "add", "web", "https://example.org/data")
    assert dsvc("runs", "delete", "aaaa1111").out.endswith("\ndsvc undo brings it back\n")
    dsvc("remote", "add", "other", "../store")
    assert dsvc("evaluate", "delete", "eeee3333").out.endswith(": dsvc push other --delete pets@eeee3333\n")


def test_one_is_deleted_at_a_remote(shared: Path, dsvc: Run) -> None:
    result = dsvc("push", "--delete", f"{MADE}aaaa1111", code=3)
    assert result.err == (
        f"error: pets@{MADE}aaaa1111 is the data of run aaaa1111 there; nothing was deleted\n"
        "hint: delete that, and the version goes with it: dsvc push origin --delete pets@aaaa1111\n"
    )
    would = dsvc("push", "--delete", "aaaa1111", "--dry-run").out
    assert would == f"would delete run pets@aaaa1111 at origin\nwould delete version pets@{MADE}aaaa1111 at origin\n"
    assert dsvc("push", "--delete", "aaaa1111").out == would.replace("would delete", "deleted")
    document = json.loads(dsvc("push", "--delete", "pets@eeee3333", "--json").out)
    assert [row["kind"] for row in document["deleted"]] == ["evaluation", "version", "version"]
    assert dsvc("-R", "origin", "version", "list", "--auto").out == "no auto-generated versions\n"
    missing = dsvc("push", "--delete", "aaaa1111", code=4)
    assert missing.err.startswith("error: origin has no aaaa1111\n")
    assert dsvc("push").out.splitlines()[1] == "pets: 1 new run and 1 new evaluation", "who has it brings it back"
