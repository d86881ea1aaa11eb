"""dsvc add FOLDER, add -A, status, untrack: exact output and exit codes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from project_files import OLD, put

NEXT = "next: dsvc commit -m TEXT\n"
HEAD = "dataset pets, branch main, no commits yet\n"


@pytest.fixture
def place(dsvc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with the dataset pets; it is the current folder."""
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    dsvc("init")
    dsvc("create", "pets")
    return folder


@pytest.fixture
def data(dsvc: Any, place: Path) -> Path:
    """The folder data, tracked, with a.jpg, b.jpg and sub/c.jpg in the draft."""
    put(place, "data/a.jpg", "data/b.jpg", "data/sub/c.jpg")
    dsvc("add", "data")
    return place / "data"


def holds(inputs: int, annotations: int = 0) -> str:
    concepts = 1 if annotations else 0
    nouns = ((inputs, "input"), (annotations, "annotation"), (concepts, "concept"))
    return f"holds {', '.join(f'{n} {noun}' + 's' * (n != 1) for n, noun in nouns)}\n"


def test_story(dsvc: Any, place: Path) -> None:
    assert dsvc("add", "-A", code=3).err == "error: no folder is tracked\nhint: add one: dsvc add FOLDER\n"
    put(place, "data/a.jpg", "data/b.jpg", "data/sub/c.jpg", "data/n.json", "data/.h.jpg", "data/i.jpg", "data/.git/x")
    (place / ".dsvcignore").write_text("i.jpg\n")
    assert dsvc("add", "data") == (
        0,
        f"3 inputs added\npassed over: 1 hidden file, 1 ignored, 1 that is no media\ntracked from now on: data\n{NEXT}",
        "",
    )
    dsvc("annotate", "data/sub/c.jpg", "--concept", "cat")
    staged = "staged:\n  inputs: 3 added\n  annotations: 1 added\n  concepts: 1 added\n"
    assert dsvc("status").out == (f"{HEAD}{holds(3, 1)}{staged}next: dsvc diff, then dsvc commit -m TEXT\n")
    put(place, "data/a.jpg", data=b"other", mtime=OLD + 1)
    (place / "data/b.jpg").unlink()
    (place / "data/sub/c.jpg").rename(place / "data/d.jpg")
    put(place, "data/e.jpg")
    files = (
        "files:\n"
        "  1 new: data/e.jpg\n"
        "  1 modified: data/a.jpg\n"
        "  1 renamed: data/sub/c.jpg -> data/d.jpg\n"
        "  1 missing: data/b.jpg\n"
    )
    assert dsvc("status").out == f"{HEAD}{holds(3, 1)}{staged}{files}next: dsvc add -A\n"
    assert dsvc("add", "-A").out == (
        "1 input added, 1 changed, 1 renamed, 1 removed\n"
        f"passed over: 1 hidden file, 1 ignored, 1 that is no media\n{NEXT}"
    )
    assert dsvc("add", "-A").out == "3 unchanged\npassed over: 1 hidden file, 1 ignored, 1 that is no media\n"
    assert dsvc("show", "data/d.jpg", "--json").out.count('"concept": "cat"') == 1
    assert dsvc("rm", "data/e.jpg").out.startswith("removed 1 input; files on disk are not touched\n")
    assert (place / "data/e.jpg").exists()
    assert "files:\n  1 new: data/e.jpg\nnext: dsvc add -A\n" in dsvc("status").out
    assert dsvc("add", "data/n.json").out == f"1 input added\n{NEXT}"
    assert dsvc("add", "data", "--all-files").out == (
        f"2 inputs added, 3 unchanged\npassed over: 1 ignored\ntracked from now on: data\n{NEXT}"
    )
    dsvc("undo")
    assert "  1 new: data/e.jpg\n" not in dsvc("status").out  # the folder is tracked with all its files
    assert "  2 new: data/.h.jpg, data/e.jpg\n" in dsvc("status").out


def test_json(dsvc: Any, data: Path) -> None:
    found = json.loads(dsvc("status", "--json").out)["files"]
    nothing: dict[str, Any] = {name: [] for name in ("new", "modified", "missing", "renamed", "absent", "problems")}
    nothing["elsewhere"] = 0
    left_out = {"hidden": 0, "ignored": 0, "other": 0}
    assert found == {"tracked": ["data"], **nothing, "left_out": left_out}
    (data / "a.jpg").rename(data / "z.jpg")
    (data / "b.jpg").unlink()
    put(data, "new.jpg", ".h")
    os.mkfifo(data / "pipe")
    found = json.loads(dsvc("status", "--json").out)["files"]
    problem = {"path": str(data / "pipe"), "reason": "is a named pipe, and only regular files are read"}
    assert found == {
        "tracked": ["data"],
        **nothing,
        "new": ["data/new.jpg"],
        "missing": ["data/b.jpg"],
        "renamed": [{"old": "data/a.jpg", "new": "data/z.jpg"}],
        "problems": [problem],
        "left_out": {**left_out, "hidden": 1},
    }
    result = dsvc("add", "-A", "--json", code=1)
    assert json.loads(result.out) == {
        "dataset": "pets",
        "new": 1,
        "changed": 0,
        "unchanged": 1,
        "moved": 1,
        "removed": 1,
        "removed_annotations": 0,
        "tracked": [],
        "notes": [],
        "edited": [],
        "left_out": {**left_out, "hidden": 1},
        "problems": [problem],
    }
    assert result.err == f"error: 1 file could not be taken\n  {data}/pipe: {problem['reason']}\n"
    assert json.loads(dsvc("untrack", "data", "--json").out) == {"dataset": "pets", "untracked": ["data"]}


def test_problems_are_named_line_by_line(dsvc: Any, data: Path) -> None:
    for number in range(5):
        (data / f"{number}\x1b[31m.jpg").symlink_to("nowhere")
    lines = [f"    {data}/{number}\\x1b[31m.jpg: is not there any more, or a link to nothing\n" for number in range(5)]
    out = dsvc("status").out
    assert f"files:\n  5 files cannot be taken:\n{''.join(lines[:3])}    and 2 more\nnext: dsvc diff" in out
    (data / "0\x1b[31m.jpg").unlink()
    (data / "1\x1b[31m.jpg").unlink()
    assert f"files:\n  3 files cannot be taken:\n{''.join(lines[2:])}next: dsvc diff" in dsvc("status").out


def test_a_folder_of_which_nothing_can_be_taken(dsvc: Any, place: Path) -> None:
    (place / "data").mkdir()
    os.mkfifo(place / "data/p.jpg")
    assert dsvc("add", "data", code=3).err.startswith("error: nothing could be taken\n")
    assert json.loads(dsvc("status", "--json").out)["files"]["tracked"] == []


def test_a_folder_that_is_gone(dsvc: Any, data: Path) -> None:
    shutil.move(data, data.parent / "away")
    out = dsvc("status").out
    assert out.endswith(
        "files:\n"
        "  3 missing: data/a.jpg, data/b.jpg, data/sub/c.jpg\n"
        "  data is not there, or has no files: is it mounted?\n"
        "next: bring data back; if it was renamed: dsvc add NAME; to look there no more: dsvc untrack data\n"
    )
    assert dsvc("add", "-A", code=3).err == (
        "error: data: not there, or without files, and 3 inputs came from it\n"
        "hint: is it mounted? has it another name: dsvc add NAME; to look there no more: dsvc untrack data\n"
    )
    assert dsvc("status").out == out
    assert dsvc("untrack", "data").out == (
        "tracked no more: data; their inputs and files stay\n"
        "dsvc add FOLDER tracks one again; dsvc undo does not, since this is a setting\n"
    )
    assert "files:" not in dsvc("status").out


def test_from_other_folders(dsvc: Any, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(data, "sub/d.jpg")
    for folder, options in ((data / "sub", ()), (tmp_path, ("-C", data.parent)), (tmp_path, ("-C", data / "sub"))):
        monkeypatch.chdir(folder)
        assert "  1 new: data/sub/d.jpg\n" in dsvc(*options, "status").out
        assert dsvc(*options, "add", "-A").out == f"1 input added, 3 unchanged\n{NEXT}"
        dsvc(*options, "undo")
    monkeypatch.chdir(data / "sub")
    assert dsvc("add", "d.jpg").out == f"1 input added\n{NEXT}"
    assert dsvc("add", ".").out == "2 unchanged\n"
    assert dsvc("untrack", "..").out == (
        "tracked no more: data; their inputs and files stay\n"
        "dsvc add FOLDER tracks one again; dsvc undo does not, since this is a setting\n"
    )


def test_roots(dsvc: Any, place: Path) -> None:
    put(place, "train/1.jpg", "val/1.jpg", "val/2.jpg")
    assert dsvc("add", "train/", "val/").out == f"3 inputs added\ntracked from now on: train, val\n{NEXT}"
    assert dsvc("add", "val", "--root", "val").out == f"2 inputs added\ntracked from now on: val\n{NEXT}"
    assert dsvc("add", "train", "--root", "val", code=3).err == (
        f"error: train: lies outside {place}/val\nhint: name a folder that holds it with --root\n"
    )
    assert dsvc("add", "train", "--root", "..").out == (
        f"1 input added\nnote: train is not tracked, since its keys begin outside the project folder\n{NEXT}"
    )
    keys = json.loads(dsvc("show", "--inputs", "--json").out)["inputs"]
    assert keys == ["1.jpg", "2.jpg", "place/train/1.jpg", "train/1.jpg", "val/1.jpg", "val/2.jpg"]
    assert "  2 missing: val/1.jpg" not in dsvc("status").out


def test_the_team(dsvc: Any, data: Path) -> None:
    assert dsvc("add", "data", "--team").out == "3 unchanged\ntracked from now on: data\n"
    assert (data.parent / "dsvc.toml").read_text() == '[[track]]\nfolder = "data"\ndataset = "pets"\n'
    assert dsvc("untrack", "data").code == 0
    assert (data.parent / "dsvc.toml").read_text().strip() == ""


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("add",), "no path is named\nhint: dsvc add PATH..., or all that changed in tracked folders: dsvc add -A"),
        (("add", "-A", "data"), "-A takes in the tracked folders, and no other\nhint: dsvc add -A, or: dsvc add PATH"),
        (("add", "-A", "--root", "."), "-A takes in the tracked folders"),
        (("add", "-A", "--all-files"), "-A takes in the tracked folders"),
        (("add", "-A", "--team"), "-A takes in the tracked folders"),
        (("add", "--team", "--reference", "data"), "--team does not go with --reference"),
    ],
)
def test_usage(dsvc: Any, data: Path, arguments: tuple[str, ...], error: str) -> None:
    assert dsvc(*arguments, code=2).err.startswith(f"error: {error}")


def test_what_is_not_tracked(dsvc: Any, data: Path) -> None:
    for name, shown in (("other", "other"), ("data/sub", "data/sub"), ("..", ".."), ("a\nb", "a\\nb"), (".", ".")):
        result = dsvc("untrack", "data", name, code=4)
        assert result.err == f"error: no tracked folder '{shown}'\nhint: there is: data\n"
    assert json.loads(dsvc("status", "--json").out)["files"]["tracked"] == ["data"]


def test_wrong_notes(dsvc: Any, data: Path) -> None:
    (data.parent / "dsvc.toml").write_text("[[track]]\nfolder = '../data'\n")
    for arguments in (("status",), ("add", "-A"), ("add", "data"), ("untrack", "data")):
        assert dsvc(*arguments, code=5).err == (
            "error: dsvc.toml: the tracked folder '../data' lies outside the project\n"
            "hint: a tracked folder is named by its path in the project\n"
        )


def test_names_that_are_no_unicode(dsvc: Any, data: Path) -> None:
    (data / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    why = "it holds bytes that are not UTF-8, or half of a surrogate pair"
    reason = f"the input key 'data/caf\\udce9.jpg' is not Unicode: {why}"
    assert f"    {data}/caf\\udce9.jpg: {reason}\n" in dsvc("status").out
    (problem,) = json.loads(dsvc("status", "--json").out)["files"]["problems"]
    assert problem == {"path": f"{data}/caf\udce9.jpg", "reason": reason}
    assert dsvc("add", "-A", code=1).out == "3 unchanged\n"
