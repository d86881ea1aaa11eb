"""dsvc checkout, and what status, add -A and the commands that move a branch do with its folders: exact output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dsvc.cli.main import run

V1 = "f71277ee00d3"
JPEG = b"\xff\xd8\xff"


@pytest.fixture(autouse=True)
def _signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")


@pytest.fixture
def head(dsvc: Any, project: Path) -> Any:
    """The short id of where the dataset stands."""
    return lambda: json.loads(dsvc("status", "--json").out)["head"][:12]


def test_lay_out(dsvc: Any, project: Path) -> None:
    assert dsvc("checkout").out == "no folder is laid out; next: dsvc checkout REV\n"
    assert dsvc("checkout", "--list").out == "no folder is laid out; next: dsvc checkout REV\n"
    assert dsvc("checkout", "pets", "--dry-run").out == f"pets would hold pets at {V1}: 2 files added\n"
    assert not (project / "pets").exists() and dsvc("checkout", "--list").out.startswith("no folder")
    written = "annotations/instances.json written"
    assert dsvc("checkout", "pets") == (0, f"pets holds pets at {V1}: 2 files added, {written}\n", "")
    assert dsvc("checkout", "pets") == (0, f"pets holds pets at {V1}: nothing to do\n", "")
    assert dsvc("checkout", "v1", "other", "--where", "key = 'a.jpg'", "--link", "hard", "--team").out == (
        f"other holds pets@v1 at {V1}: 1 file added, {written}\n"
    )
    assert dsvc("checkout", "--list").out == (
        f"other  pets@v1  coco  at {V1}  where key = 'a.jpg', links, team\npets   pets     coco  at {V1}\n"
    )
    assert dsvc("status").out.endswith("nothing staged\n")
    assert dsvc("checkout").out == (
        f"other holds pets@v1 at {V1}: nothing to do\npets holds pets at {V1}: nothing to do\n"
    )
    assert dsvc("checkout", "--forget", "other", "--team").out == "other is kept current no more; its files stay\n"
    assert (project / "other/images/a.jpg").exists() and "other" not in dsvc("checkout", "--list").out


def test_a_folder_below_the_current_one(dsvc: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    assert dsvc("checkout", "pets", "here").out.startswith("sub/here holds pets")
    assert dsvc("checkout", "--forget", "here").out == "sub/here is kept current no more; its files stay\n"


def test_folders_follow(dsvc: Any, project: Path, head: Any) -> None:
    dsvc("checkout", "pets")
    dsvc("switch", "-c", "side")
    (project / "images/a.jpg").write_bytes(JPEG + b"new")
    dsvc("add", "images/a.jpg", "--root", "images")
    assert dsvc("rm", "b.jpg").err == ""
    written = "annotations/instances.json written"
    done = dsvc("commit", "-m", "side")
    side = head()
    assert done.err == f"pets is now at {side}: 1 changed, 1 removed, {written}\n"
    assert dsvc("switch", "main").err == f"pets is now at {V1}: 1 file added, 1 changed, {written}\n"
    assert dsvc("merge", "side").err == f"pets is now at {side}: 1 changed, 1 removed, {written}\n"
    assert dsvc("undo").err == f"pets is now at {V1}: 1 file added, 1 changed, {written}\n"
    assert dsvc("redo").err == f"pets is now at {side}: 1 changed, 1 removed, {written}\n"
    assert dsvc("use", "pets@v1").err == f"pets is now at {V1}: 1 file added, 1 changed, {written}\n"
    assert dsvc("-d", "pets:side", "status").err == ""


def test_local_changes_are_left_alone(dsvc: Any, project: Path, head: Any) -> None:
    dsvc("checkout", "pets")
    dsvc("switch", "-c", "side")
    dsvc("rm", "a.jpg")
    dsvc("commit", "-m", "side")
    dsvc("switch", "main")
    (project / "pets/images/a.jpg").write_bytes(JPEG + b"mine")
    left = "pets: 1 file left alone\n  pets/images/a.jpg: was changed here\n"
    done = dsvc("switch", "side")
    side = head()
    assert done == (
        0,
        f"now on branch side of pets, at {side}\n",
        f"pets is now at {side}: annotations/instances.json written\n{left}",
    )
    assert dsvc("checkout", code=1) == (1, f"pets holds pets at {side}: nothing to do\n", left)
    (project / "pets").rename(project / "away")
    gone = (
        "pets is not there any more; to lay it out again: dsvc checkout; to do without it: dsvc checkout --forget pets"
    )
    assert dsvc("switch", "main").err == f"pets is as it was: {gone}\n"
    assert dsvc("status").out.splitlines()[2:] == [
        f"pets, a checkout of pets at {side}:",
        "  it is not there any more",
        f"  to be brought to {V1}",
        "next: dsvc checkout",
    ]


def test_status_and_add(dsvc: Any, project: Path, head: Any) -> None:
    dsvc("checkout", "pets")
    file = project / "pets/annotations/instances.json"
    document = json.loads(file.read_text())
    document["annotations"][0]["bbox"][3] = 5
    file.write_text(json.dumps(document))
    (project / "pets/images/new.jpg").write_bytes(JPEG + b"new")
    (project / "pets/images/b.jpg").unlink()
    lines = dsvc("status").out.splitlines()
    assert lines[2:] == [
        f"pets, a checkout of pets at {V1}:",
        "  1 new: new.jpg",
        "  1 missing: b.jpg",
        "  edited: annotations/instances.json",
        "next: dsvc add -A",
    ]
    [found] = json.loads(dsvc("status", "--json").out)["folders"]
    assert found == {
        "folder": "pets",
        "revision": "pets",
        "commit": found["commit"],
        "new": ["new.jpg"],
        "modified": [],
        "missing": ["b.jpg"],
        "renamed": [],
        "edited": ["annotations/instances.json"],
        "lost": [],
        "wanted": None,
        "problem": None,
        "problems": [],
    }
    assert dsvc("add", "-A").out == (
        "1 input added, 1 removed with 1 annotation\n"
        "pets/annotations/instances.json: annotations 1 changed\n"
        "next: dsvc commit -m TEXT\n"
    )
    assert "a checkout of" not in dsvc("status").out
    done = dsvc("commit", "-m", "from the folder")
    assert done.err == f"pets is now at {head()}: annotations/instances.json written\n"
    assert dsvc("status").out.endswith("nothing staged\n")
    assert json.loads(dsvc("add", "-A", "--json").out)["edited"] == []


def test_json(dsvc: Any, project: Path) -> None:
    (project / "pets/images").mkdir(parents=True)
    (project / "pets/images/a.jpg").write_bytes(b"foreign")
    [found] = json.loads(dsvc("checkout", "pets", "--json", code=1).out)["folders"]
    commit = found.pop("commit")
    assert commit.startswith(V1)
    head = {"folder": "pets", "revision": "pets", "dataset": "pets", "format": "coco", "where": None, "link": None}
    head |= {"team": False}
    assert found == {
        **head,
        "added": 1,
        "changed": 0,
        "removed": 0,
        "annotations": ["annotations/instances.json"],
        "left": [{"path": "pets/images/a.jpg", "reason": "is there already, and is another file"}],
        "absent": [],
        "elsewhere": 0,
        "bare": 0,
        "notes": [],
        "problem": None,
    }
    assert json.loads(dsvc("checkout", "--list", "--json").out) == {"folders": [{**head, "commit": commit}]}
    assert json.loads(dsvc("checkout", "--forget", "pets", "--json").out) == {"forgotten": "pets"}


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("pets", ".."), 3, "error: .. lies outside the project\nhint: name a folder of its own inside the project\n"),
        (("pets", "."), 3, "error: . is the project itself\nhint: name a folder of its own inside the project\n"),
        (("pets", ".dsvc/x"), 3, "error: .dsvc/x belongs to the repository itself\n"
         "hint: name a folder of its own inside the project\n"),
        (("pets", "--format", "mask"), 2, "error: no layout has the format 'mask'\n"
         "hint: there is: coco, clarifai-json\n"),
        (("pets", "--where", "key = 'no'"), 3, "error: no input matches; nothing was written\n"
         'hint: see what there is, such as: dsvc query "select key, split from inputs"\n'),
        (("--format", "coco"), 2, "error: no revision is named\nhint: dsvc checkout REV [FOLDER]\n"),
        (("--list", "pets"), 2, "error: --list takes nothing else\nhint: dsvc checkout --list\n"),
        (("pets", "--forget", "x"), 2, "error: --forget takes a folder, and --team\n"
         "hint: dsvc checkout --forget FOLDER\n"),
        (("--forget", "x"), 4, "error: 'x' is no checkout\nhint: lay one out: dsvc checkout REV FOLDER\n"),
    ],
)  # fmt: skip
def test_refusals(dsvc: Any, project: Path, arguments: tuple[str, ...], code: int, error: str) -> None:
    assert dsvc("checkout", *arguments, code=code) == (code, "", error)
    assert not (project / "pets").exists() and "checkouts" not in (project / ".dsvc/workspace.toml").read_text()


def test_several_folders_of_a_dataset(dsvc: Any, project: Path) -> None:
    dsvc("checkout", "pets", "one")
    dsvc("checkout", "v1", "two")
    assert dsvc("checkout", "v1").out == f"two holds pets@v1 at {V1}: nothing to do\n"
    assert dsvc("checkout", "pets:main", code=2).err == (
        "error: pets is laid out in 2 folders\nhint: name the one that is meant: one, two\n"
    )


def test_a_checkout_is_no_place_to_add(dsvc: Any, project: Path) -> None:
    dsvc("checkout", "pets")
    for place in ("pets", "pets/images/a.jpg"):
        assert dsvc("add", place, code=3).err == (
            "error: pets is a checkout of pets\n"
            "hint: take in what was changed there: dsvc add -A; or first: dsvc checkout --forget pets\n"
        )
    assert dsvc("export", "pets", "--format", "coco", "--force", "-o", "pets", code=3).err.startswith("error: ")
    assert (project / "pets/images/a.jpg").exists()


def test_nothing_is_done_where_no_folder_is_laid_out(project: Path, dsvc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command in a project without checkouts does not even load what keeps them current."""
    import sys

    for name in [name for name in sys.modules if name.startswith("dsvc.core.layout.")]:
        monkeypatch.delitem(sys.modules, name)
    assert run(["switch", "-c", "side"]) == 0
    assert "dsvc.core.layout.updating" not in sys.modules
