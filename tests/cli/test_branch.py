"""dsvc branch, switch, use NAME:BRANCH, use NAME@VERSION."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import SIGNED

TIME = "2024-05-01 12:00:00 +0000"


@pytest.fixture
def first(dsvc, project: Path) -> str:
    return json.loads(dsvc("log", "--json").out)["commits"][0]["id"][:12]


def listed(dsvc) -> dict[str, Any]:
    return json.loads(dsvc("branch", "--json").out)


def test_a_day_with_two_branches(dsvc, first: str) -> None:
    assert dsvc("branch").out == f"* main  {first}  {TIME}  First batch\n"
    made = dsvc("branch", "cleanup")
    assert made.out == f"made branch cleanup of pets, at {first}\nnext: dsvc switch cleanup\n"
    dsvc("annotate", "a.jpg", "--concept", "bird")
    assert dsvc("switch", "cleanup").out == (
        f"now on branch cleanup of pets, at {first}\nstaged changes stay on main: annotations +1, concepts +1\n"
    )
    assert dsvc("branch").out == (
        f"* cleanup  {first}  {TIME}  First batch\n  main     {first}  {TIME}  First batch  staged changes\n"
    )
    dsvc("rm", "a.jpg")
    dsvc("commit", "-m", "Less", *SIGNED)
    assert dsvc("status").out.startswith("dataset pets, branch cleanup, at ")
    assert dsvc("switch", "main").out == (
        f"now on branch main of pets, at {first}\nstaged here: annotations +1, concepts +1\n"
    )
    assert dsvc("switch", "main").out == f"already on branch main of pets, at {first}\n"


def test_switch_c(dsvc, first: str) -> None:
    made = dsvc("switch", "-c", "fix", "--from", "@v1").out
    assert made == f"made branch fix of pets, now the current one, at {first}\n"
    assert [(b["name"], b["current"]) for b in listed(dsvc)["branches"]] == [("fix", True), ("main", False)]
    error = "error: pets has a branch 'fix' already\nhint: go there: dsvc switch fix\n"
    assert dsvc("switch", "-c", "fix", code=3).err == error
    error = "error: --from goes with -c\nhint: dsvc switch -c main --from @v1\n"
    assert dsvc("switch", "main", "--from", "@v1", code=2).err == error


def test_delete(dsvc, first: str) -> None:
    dsvc("switch", "-c", "cleanup")
    dsvc("rm", "a.jpg")
    dsvc("commit", "-m", "Less", *SIGNED)
    assert dsvc("branch", "--delete", "cleanup", code=3).err == (
        "error: 'cleanup' is the current branch of pets\nhint: go to another: dsvc switch BRANCH\n"
    )
    dsvc("switch", "main")
    assert dsvc("branch", "--delete", "cleanup", code=3).err == (
        "error: branch 'cleanup' has a commit that no other branch or version reaches\n"
        "hint: merge it first: dsvc merge cleanup; or name it: dsvc version create --at cleanup; or say --force\n"
    )
    head = next(branch["head"] for branch in listed(dsvc)["branches"])[:12]
    would = dsvc("branch", "--delete", "cleanup", "--force", "--dry-run").out
    assert would == f"would delete branch cleanup of pets, at {head}\n" and len(listed(dsvc)["branches"]) == 2
    gone = dsvc("branch", "--delete", "cleanup", "--force").out
    assert gone == f"deleted branch cleanup of pets, at {head}\ndsvc undo brings it back\n"
    assert dsvc("undo").out.startswith("undid: branch --delete cleanup (branch pets cleanup)\n")
    dsvc("branch", "copy", "--from", "cleanup")
    deleted = json.loads(dsvc("branch", "--delete", "copy", "--json").out)
    assert deleted["deleted"] is True and deleted["head"].startswith(head)


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("branch", "a b"), 2, "error: 'a b' cannot name a branch\n"),
        (("branch", "main"), 3, "error: pets has a branch 'main' already\nhint: go there: dsvc switch main\n"),
        (("branch", "v1"), 3, "error: 'v1' is a version of pets\n"),
        (("branch", "x", "--from", "nope"), 4, "error: no dataset, branch, version or commit named 'nope'\n"),
        (("branch", "x", "--force"), 2, "error: --force goes with --delete\nhint: dsvc branch --delete NAME --force\n"),
        (("branch", "x", "--delete", "y"), 2, "error: --delete takes one name, and nothing else\n"),
        (("branch", "--from", "v1"), 2, "error: --from and --where need a name for the branch\n"),
        (("branch", "--delete", "nope"), 4, "error: dataset 'pets' has no branch 'nope'\n"),
        (("switch", "mian"), 4, "error: dataset 'pets' has no branch 'mian'\nhint: did you mean main?"),
        (("switch", "v1"), 4, "error: dataset 'pets' has no branch 'v1'\nhint: v1 is a version: pets@v1;"),
        (("use", "pets:nope"), 4, "error: dataset 'pets' has no branch 'nope'\nhint: there is: main;"),
        (("use", "pets@v9"), 4, "error: dataset 'pets' has no version 'v9'\nhint: there is: v1; or"),
        (("use", "pets:"), 2, "error: 'pets:' names no dataset\nhint: such as pets, pets:branch, pets@v1\n"),
        (("version", "create", "main", *SIGNED), 3, "error: 'main' is a branch of pets\n"),
    ],
)
def test_refusals(dsvc, first: str, arguments: tuple[str, ...], code: int, error: str) -> None:
    before = dsvc("op", "log").out
    assert dsvc(*arguments, code=code).err.startswith(error)
    assert dsvc("op", "log").out == before


def test_looking_at_a_version(dsvc, first: str) -> None:
    dsvc("rm", "a.jpg")
    dsvc("commit", "-m", "Less", *SIGNED)
    assert dsvc("use", "pets@v1").out == (
        "now on dataset pets, version v1, read-only\nback to branch main: dsvc use pets\n"
    )
    assert dsvc("status").out == (
        f"dataset pets, version v1, read-only, at {first} (v1)\nholds 2 inputs, 2 annotations, 2 concepts\n"
        "back to branch main: dsvc use pets\n"
    )
    refused = "error: pets@v1 is a version, which is read-only\nhint: go back to branch main: dsvc use pets; or begin "
    for command in (("rm", "a.jpg"), ("commit", "-m", "x"), ("import", "pets.json"), ("discard",)):
        assert dsvc(*command, code=3).err == refused + "one here: dsvc switch -c NAME\n"
    assert dsvc("branch").out.splitlines()[-1] == "on version v1, read-only; back to branch main: dsvc use pets"
    assert dsvc("list").out == "* pets@v1  2 inputs  2 annotations  1 version  Cats and dogs\n"
    assert dsvc("use", "pets").out == "now on dataset pets\n"
    assert dsvc("show", "--json").out.count('"inputs": 1') == 1


def test_a_branch_by_environment_and_option(dsvc, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dsvc("branch", "cleanup")
    monkeypatch.setenv("DSVC_DATASET", "pets:cleanup")
    dsvc("rm", "a.jpg")
    dsvc("commit", "-m", "Less", *SIGNED)
    monkeypatch.delenv("DSVC_DATASET")
    assert dsvc("log", "-n", "1", "--oneline", "-d", "pets:cleanup").out.endswith("Less\n")
    assert dsvc("status").out.startswith(f"dataset pets, branch main, at {first}")
    assert dsvc("rm", "a.jpg", "-d", "pets@v1", code=3).err.startswith("error: pets@v1 is a version")
    monkeypatch.setenv("DSVC_DATASET", "pets:cleanup")
    assert dsvc("switch", "main").err == "note: DSVC_DATASET is set, and still selects pets:cleanup\n"


def test_a_branch_that_went_away(dsvc, first: str) -> None:
    dsvc("switch", "-c", "cleanup")
    dsvc("undo")
    assert dsvc("status", code=4).err == (
        "error: dataset 'pets' has no branch 'cleanup'\nhint: there is: main; go there with: dsvc switch BRANCH\n"
    )
    assert dsvc("list").out == "* pets:cleanup (is no more)  ?  ?  1 version  Cats and dogs\n"
    assert dsvc("branch").out == f"  main  {first}  {TIME}  First batch\n"
    assert dsvc("switch", "main").out == f"now on branch main of pets, at {first}\n"
