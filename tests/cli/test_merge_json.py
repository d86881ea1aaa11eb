"""What merge, conflicts and resolve print with --json: what their help says, and no more."""

import json
from pathlib import Path
from typing import Any

import pytest

import dsvc as library
from dsvc.model.records import Annotation

from .conftest import SIGNED, picture

NOTHING = {"added": 0, "removed": 0, "changed": 0, "combined": 0, "restored": 0, "conflicts": 0}
NAMES = {
    "dataset",
    "branch",
    "kind",
    "commit",
    "theirs",
    "matched",
    "dry_run",
    "inputs",
    "annotations",
    "concepts",
    "conflicts",
    "folded",
    "same_bytes",
    "equal_annotations",
    "draft",
}
BO = ("--author", "Bo <bo@example.org>", "--date", "2024-05-02T12:00:00+00:00")


def document(dsvc, *arguments: object) -> Any:
    return json.loads(dsvc(*arguments, "--json").out)


@pytest.fixture
def label(dsvc, project: Path) -> str:
    """The annotation of a.jpg. Ada called it a lynx and set a camera, and staged a split; Bo, on a branch, called it a
    tiger."""
    (first,) = document(dsvc, "show", "a.jpg")["annotations"]
    label = f"a.jpg#{first['id']}"
    dsvc("branch", "bo")
    dsvc("annotate", label, "--concept", "lynx")
    dsvc("set", "a.jpg", "--metadata", "camera=7")
    dsvc("commit", "-m", "A lynx", *SIGNED)
    dsvc("switch", "bo")
    dsvc("annotate", label, "--concept", "tiger")
    dsvc("commit", "-m", "A tiger", *BO)
    dsvc("switch", "main")
    return label


def heads(dsvc) -> dict[str, str]:
    return {branch["name"]: branch["head"] for branch in document(dsvc, "branch")["branches"]}


def test_a_merge(dsvc, label: str) -> None:
    bo = heads(dsvc)["bo"]
    expected = {
        "dataset": "pets",
        "branch": "main",
        "kind": "merged",
        "theirs": bo,
        "matched": None,
        "dry_run": True,
        "inputs": NOTHING,
        "annotations": {**NOTHING, "conflicts": 1},
        "concepts": {**NOTHING, "added": 1},
        "conflicts": 1,
        "folded": False,
        "same_bytes": [],
        "equal_annotations": [],
        "draft": None,
    }
    found = document(dsvc, "merge", "bo", "--dry-run", *SIGNED)
    assert found.pop("commit") is None
    assert found == expected
    found = document(dsvc, "merge", "bo", *SIGNED)
    assert found.pop("commit") == heads(dsvc)["main"]
    assert found == {**expected, "dry_run": False}
    again = document(dsvc, "merge", "bo", "--where", "concept = 'tiger'")
    assert set(again) == NAMES
    assert (again["kind"], again["commit"], again["matched"]) == ("up to date", heads(dsvc)["main"], 1)


def test_a_staged_merge(dsvc, label: str) -> None:
    head = heads(dsvc)["main"]
    found = document(dsvc, "merge", "bo", "--no-commit")
    assert set(found) == NAMES
    assert (found["kind"], found["commit"], found["conflicts"], found["draft"]) == ("staged", head, 1, None)
    assert document(dsvc, "status")["merging"] == [heads(dsvc)["bo"]]


def test_a_merge_under_a_draft(dsvc, label: str) -> None:
    (other,) = document(dsvc, "show", "b.jpg")["annotations"]
    dsvc("switch", "bo")
    dsvc("annotate", f"b.jpg#{other['id']}", "--concept", "wolf")
    dsvc("commit", "-m", "A wolf", *BO)
    dsvc("switch", "main")
    dsvc("annotate", f"b.jpg#{other['id']}", "--concept", "fox")
    found = document(dsvc, "merge", "bo", *SIGNED)
    assert (found["conflicts"], found["draft"]) == (1, {"conflicts": 1})


def test_conflicts_and_resolve(dsvc, label: str) -> None:
    assert document(dsvc, "conflicts") == {"dataset": "pets", "conflicts": []}
    lines = heads(dsvc)
    dsvc("merge", "bo", *SIGNED)
    ada = {"name": "Ada", "email": "ada@example.org"}
    bo = {"name": "Bo", "email": "bo@example.org"}
    candidates = [
        {
            "number": 1,
            "value": "lynx",
            "author": ada,
            "time": "2024-05-01T12:00:00+00:00",
            "commit": lines["main"],
            "source": None,
        },
        {
            "number": 2,
            "value": "tiger",
            "author": bo,
            "time": "2024-05-02T12:00:00+00:00",
            "commit": lines["bo"],
            "source": None,
        },
    ]
    place = {"noun": "annotation", "name": label, "field": "concept"}
    assert document(dsvc, "conflicts") == {"dataset": "pets", "conflicts": [{**place, "candidates": candidates}]}
    assert document(dsvc, "conflicts", "a.jpg") == document(dsvc, "conflicts", label) == document(dsvc, "conflicts")
    assert document(dsvc, "conflicts", "b.jpg") == {"dataset": "pets", "conflicts": []}
    (shown,) = document(dsvc, "show", "a.jpg")["annotations"]
    assert (shown["conflicts"], "concept" in shown) == ({"concept": ["lynx", "tiger"]}, False)
    assert document(dsvc, "resolve", label, "--take", 2) == {
        "dataset": "pets",
        "settled": [place],
        "left": [],
        "removed": {"inputs": 0, "annotations": 0, "concepts": 0},
        "open": 0,
        "dry_run": False,
    }


def test_what_is_staged_is_nobodys_yet(dsvc, label: str) -> None:
    dsvc("annotate", label, "--text", "seen")
    dsvc("switch", "bo")
    dsvc("annotate", label, "--text", "not seen")
    dsvc("commit", "-m", "Not seen", *BO)
    dsvc("switch", "main")
    dsvc("merge", "bo", *SIGNED)
    found = {one["field"]: one["candidates"] for one in document(dsvc, "conflicts")["conflicts"]}
    staged = {"number": 1, "value": "seen", "author": None, "time": None, "commit": None, "source": None}
    assert found["text"][0] == staged
    assert set(found) == {"concept", "text"}


def test_what_is_left(dsvc, label: str) -> None:
    dsvc("set", "b.jpg", "--split", "val")
    dsvc("commit", "-m", "A split", *SIGNED)
    dsvc("switch", "bo")
    dsvc("set", "b.jpg", "--split", "test")
    dsvc("commit", "-m", "A split", "--author", "Cy", "--date", "2024-05-03T12:00:00+00:00")
    dsvc("switch", "main")
    dsvc("merge", "bo", *SIGNED)
    found = document(dsvc, "resolve", "--all", "--author", "cy")
    assert [one["name"] for one in found["settled"]] == ["b.jpg"]
    assert [one["name"] for one in found["left"]] == [label]
    assert found["open"] == 1


def test_twins(dsvc, project: Path) -> None:
    """The same picture under two keys, and equal annotations of two ids."""
    pets = library.open(".", author=library.Author("Ada")).dataset("pets")
    with pets.edit() as draft:
        draft.annotate(Annotation(key="a.jpg", id="ours", text="a cat"))
    pets.commit("Ours")
    dsvc("create", "zoo")
    Path("a.jpg").write_bytes(picture(color=0))
    Path("c.jpg").write_bytes(picture(color=0))
    dsvc("add", "a.jpg", "c.jpg")
    zoo = library.open(".", author=library.Author("Bo")).dataset("zoo")
    with zoo.edit() as draft:
        draft.annotate(Annotation(key="a.jpg", id="theirs", text="a cat"))
        draft.annotate(Annotation(key="c.jpg", id="more", text="the same cat"))
    zoo.commit("Theirs")
    dsvc("use", "pets")
    found = document(dsvc, "merge", "zoo", "--dry-run", *SIGNED)
    assert found["same_bytes"] == [["c.jpg", "a.jpg"]]
    assert found["equal_annotations"] == [["a.jpg#theirs", "a.jpg#ours"]]
    assert found["folded"] is False
    told = dsvc("merge", "zoo", *SIGNED).out
    assert "same bytes, both stay: c.jpg and a.jpg\n" in told
    assert "equal annotations, both stay: a.jpg#theirs and a.jpg#ours\n" in told
    assert "to make one of each two: dsvc undo, then dsvc merge zoo --dedupe\n" in told
    dsvc("undo")
    assert document(dsvc, "merge", "zoo", "--dedupe", *SIGNED)["folded"] is True
    assert document(dsvc, "show", "--inputs")["inputs"] == ["a.jpg", "b.jpg"]
    assert {one["id"] for one in document(dsvc, "show", "a.jpg")["annotations"]} >= {"ours", "more"}
    assert "theirs" not in {one["id"] for one in document(dsvc, "show", "a.jpg")["annotations"]}


def test_a_dry_run_of_resolve(dsvc, label: str) -> None:
    """An input that one side deleted and the other changed is to go: with its annotations, and it is said before."""
    dsvc("rm", "b.jpg")
    dsvc("commit", "-m", "Gone", *SIGNED)
    dsvc("switch", "bo")
    dsvc("set", "b.jpg", "--split", "test")
    dsvc("commit", "-m", "A split", *BO)
    dsvc("switch", "main")
    dsvc("merge", "bo", *SIGNED)
    found = document(dsvc, "resolve", "b.jpg", "exists", "--take", 1, "--dry-run")
    assert found["removed"] == {"inputs": 1, "annotations": 1, "concepts": 0}
    assert (found["dry_run"], found["open"]) == (True, 1)
    assert dsvc("resolve", "b.jpg", "exists", "--take", 1, "--dry-run").out == (
        "would settle 1 conflict: b.jpg exists\nwould remove 1 input, 1 annotation\nnothing was changed\n"
    )
    assert len(document(dsvc, "conflicts")["conflicts"]) == 2
    assert dsvc("resolve", "b.jpg", "exists", "--take", 1).out == (
        "settled 1 conflict: b.jpg exists\nremoved 1 input, 1 annotation\n1 conflict still open; next: dsvc conflicts\n"
    )
    assert document(dsvc, "show", "--inputs")["inputs"] == ["a.jpg"]
