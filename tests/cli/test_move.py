"""dsvc mv: exact output and exit codes."""

import json
from pathlib import Path

import pytest

NEXT = "next: dsvc commit -m TEXT, or take it back: dsvc undo\n"


def keys(dsvc) -> list[str]:
    return json.loads(dsvc("show", "--inputs", "--json").out)["inputs"]


def test_one(dsvc, project: Path) -> None:
    before = json.loads(dsvc("show", "a.jpg", "--json").out)["annotations"]
    assert dsvc("mv", "a.jpg", "old/a.jpg").out == (
        f"moved a.jpg to old/a.jpg, with 1 annotation; files on disk are not touched\n{NEXT}"
    )
    after = json.loads(dsvc("show", "old/a.jpg", "--json").out)["annotations"]
    assert after == [{**annotation, "key": "old/a.jpg"} for annotation in before]
    assert (project / "images/a.jpg").exists()
    dsvc("undo")
    assert keys(dsvc) == ["a.jpg", "b.jpg"]


def test_several(dsvc, project: Path) -> None:
    assert dsvc("mv", "a.jpg", "b.jpg", "x\n/").out == (
        f"moved 2 inputs to x\\n/, with 2 annotations; files on disk are not touched\n{NEXT}"
    )
    assert keys(dsvc) == ["x\n/a.jpg", "x\n/b.jpg"]


def test_json(dsvc, project: Path) -> None:
    assert json.loads(dsvc("mv", "a.jpg", "c/", "--json").out) == {
        "dataset": "pets",
        "moves": {"a.jpg": "c/a.jpg"},
        "annotations": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (
            ["a.jpg"],
            2,
            "say which input gets which key: dsvc mv KEY NEW, or dsvc mv KEY... FOLDER/\nhint: see: dsvc mv --help",
        ),
        (["c.jpg", "d.jpg"], 4, "no input 'c.jpg' in the dataset\nhint: did you mean b.jpg, a.jpg?"),
        (
            ["a.jpg", "b.jpg"],
            3,
            "there is an input 'b.jpg' already\nhint: move that one away first: dsvc mv b.jpg NEW",
        ),
        (
            ["a.jpg", "b.jpg", "c d"],
            2,
            "2 inputs can only be moved to a folder, and 'c d' is a key\nhint: end it with /: dsvc mv KEY... 'c d'/",
        ),
        (
            ["a.jpg", "../a.jpg"],
            3,
            "the input key '../a.jpg' has a component `..`, which leads out of the folder\n"
            "hint: a key is a relative path such as images/cat.jpg, without `..`",
        ),
    ],
)
def test_errors(dsvc, project: Path, arguments: list[str], code: int, error: str) -> None:
    assert dsvc("mv", *arguments, code=code).err == f"error: {error}\n"
    assert dsvc("status").out.endswith("nothing staged\n")
