"""The JSON of every command that prints data: its keys, its ids and its times."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+02:00")
ADA = {"name": "Ada", "email": "ada@example.org"}
COUNTS = {"inputs": 2, "annotations": 2, "concepts": 2}
ID = re.compile("[0-9a-f]{64}")
NO_CHANGE = {"added": 0, "changed": 0, "removed": 0}


def document(dsvc, *arguments: str, code: int = 0) -> Any:
    result = dsvc(*arguments, "--json", code=code)
    assert result.out.endswith("\n")
    return json.loads(result.out)


@pytest.fixture
def commit(dsvc, project: Path) -> str:
    id = document(dsvc, "log")["commits"][0]["id"]
    assert ID.fullmatch(id)
    return id


def test_list(dsvc, commit: str) -> None:
    pets = {
        "name": "pets",
        "current": True,
        "description": "Cats and dogs",
        "branch": "main",
        "version": None,
        "head": commit,
    }
    assert document(dsvc, "list") == {"datasets": [{**pets, "draft": False, **COUNTS, "versions": ["v1"]}]}


def test_status(dsvc, commit: str) -> None:
    dsvc("rm", "a.jpg")
    assert document(dsvc, "status") == {
        "dataset": "pets",
        "branch": "main",
        "version": None,
        "head": commit,
        "versions": ["v1"],
        "inputs": 1,
        "annotations": 1,
        "concepts": 2,
        "clean": False,
        "staged": {
            "inputs": {**NO_CHANGE, "removed": 1},
            "annotations": {**NO_CHANGE, "removed": 1},
            "concepts": NO_CHANGE,
        },
        "merging": [],
        "conflicts": 0,
        "files": {
            "tracked": [],
            "new": [],
            "modified": [],
            "missing": [],
            "renamed": [],
            "absent": [],
            "elsewhere": 0,
            "left_out": {"hidden": 0, "ignored": 0, "other": 0},
            "problems": [],
        },
        "folders": [],
    }


def test_show(dsvc, commit: str, project: Path) -> None:
    size = sum(path.stat().st_size for path in (project / "images").iterdir())
    found = document(dsvc, "show", "v1")
    assert found.pop("parents", None) is None
    assert found == {
        "dataset": "pets",
        "revision": "v1",
        "commit": commit,
        "author": ADA,
        "time": "2024-05-01T12:00:00+00:00",
        "message": "First batch",
        **COUNTS,
        "conflicts": 0,
        "media": {"stored": 2, "elsewhere": 0, "absent": 0, "bytes": size, "types": {"image/png": 2}},
        "tasks": {"boxes": 2, "polygons": 1},
        "concept_counts": {"cat": 1, "dog": 1},
    }
    draft = document(dsvc, "show")
    assert draft.keys() == found.keys()
    assert (draft["revision"], draft["commit"], draft["author"]) == (None, None, None)


def test_show_an_input(dsvc, commit: str) -> None:
    found = document(dsvc, "show", "b.jpg")
    media = found["input"].pop("media")
    assert ID.fullmatch(media.pop("blob"))
    assert media == {"type": "image/png", "size": media["size"], "width": 4, "height": 3}
    assert found["input"] == {"key": "b.jpg", "declared_width": 320, "declared_height": 240, "number": 2}
    (annotation,) = found["annotations"]
    id = annotation.pop("id")
    assert annotation == {
        "key": "b.jpg",
        "concept": "dog",
        "number": 6,
        "shape": {
            "box": [0, 0, 9, 9],
            "polygons": [[0.5, 0.5, 9, 0, 9, 9.25], [1, 1, 2, 2, 3, 1]],
            "area": 81,
            "unit": "pixel",
        },
    }
    assert document(dsvc, "show", f"b.jpg#{id}") == {"annotation": {**annotation, "id": id}}


def test_log(dsvc, commit: str) -> None:
    made = document(dsvc, "commit", "-m", "Same", "--allow-empty", *SIGNED)
    expected = {
        "id": made["id"],
        "parents": [commit],
        "author": ADA,
        "time": "2024-05-01T12:00:00+02:00",
        "message": "Same",
        "versions": [],
    }
    assert made == {"dataset": "pets", "branch": "main", **expected}
    first, second = document(dsvc, "log")["commits"]
    stat = {"inputs": NO_CHANGE, "annotations": NO_CHANGE, "concepts": NO_CHANGE}
    assert first == {**expected, "branches": ["main"], "sources": {}, "stat": stat}
    assert "stat" not in document(dsvc, "log", "--no-stat")["commits"][0]
    assert list(second["sources"]) == ["pets"] and list(second["sources"].values()) == second["parents"]
    assert second["versions"] == ["v1"]
    assert document(dsvc, "log", "-n", "0") == {"commits": []}


def test_diff(dsvc, commit: str) -> None:
    dsvc("annotate", "a.jpg", "--concept", "bird")
    dsvc("rm", "b.jpg")
    found = document(dsvc, "diff", "--exit-code", code=1)
    assert (found["from"], found["to"]) == ("HEAD", None)
    assert [(c["verb"], c["noun"], c["name"].split("#")[0]) for c in found["changes"]] == [
        ("added", "concept", "bird"),
        ("added", "annotation", "a.jpg"),
        ("removed", "input", "b.jpg"),
        ("removed", "annotation", "b.jpg"),
    ]
    assert found["changes"][0] == {
        "verb": "added",
        "noun": "concept",
        "name": "bird",
        "old_name": None,
        "kind": ["added"],
        "iou": None,
        "pixels": None,
        "fields": [],
        "in_conflict": [],
        "settled": [],
        "old": None,
        "new": {"id": "bird", "name": "bird"},
    }
    stat = document(dsvc, "diff", "--stat")["stat"]
    assert stat["inputs"] == {"added": 0, "changed": 0, "renamed": 0, "removed": 1}
    assert stat["concepts"] == {"added": 1, "changed": 0, "removed": 0}
    assert {name: count for name, count in stat["annotations"].items() if count} == {"added": 1, "removed": 1}
    nothing = dict.fromkeys(("added", "removed", "moved", "reshaped", "relabelled_from", "relabelled_to", "other"), 0)
    assert stat["by_concept"] == [
        {"concept": "bird", **nothing, "added": 1},
        {"concept": "dog", **nothing, "removed": 1},
    ]
    assert document(dsvc, "diff", "v1", "v1") == {"from": "v1", "to": "v1", "changes": []}


def test_versions(dsvc, commit: str) -> None:
    v1 = {
        "dataset": "pets",
        "name": "v1",
        "commit": commit,
        "message": "As it came",
        "author": ADA,
        "time": "2024-05-01T12:00:00+00:00",
        "origin": "manual",
        "used_by": [],
        **COUNTS,
        "unlabeled_inputs": 0,
    }
    assert document(dsvc, "version", "show", "v1") == v1
    assert document(dsvc, "version", "list") == {"dataset": "pets", "auto_generated": 0, "versions": [v1]}
    assert document(dsvc, "version", "create", "v1", *SIGNED) == {"created": False, **v1}
    v2 = {**v1, "name": "v2", "message": "x", "time": "2024-05-01T12:00:00+02:00"}
    assert document(dsvc, "version", "create", "-m", "x", *SIGNED) == {"created": True, **v2}
    dsvc("create", "birds")
    assert document(dsvc, "version", "list") == {"dataset": "birds", "auto_generated": 0, "versions": []}


def test_add(dsvc, commit: str, project: Path) -> None:
    expected = {"dataset": "pets", "new": 2, "changed": 0, "unchanged": 0, "problems": [], "tracked": ["images"]}
    expected |= {
        "moved": 0,
        "removed": 0,
        "removed_annotations": 0,
        "notes": [
            "a.jpg and 1 more are in the dataset without images/: the same files? "
            "dsvc undo, then: dsvc add images --root images"
        ],
        "left_out": {"hidden": 0, "ignored": 0, "other": 0},
        "edited": [],
    }
    assert document(dsvc, "add", "images") == expected
    (project / "images" / "link.jpg").symlink_to("/etc/hostname")
    found = document(dsvc, "add", "images", code=1)
    assert found["unchanged"] == 2
    assert [set(problem) for problem in found["problems"]] == [{"path", "reason"}]


def test_import(dsvc, commit: str, project: Path, write, coco) -> None:
    annotations = [*coco()["annotations"], {"id": 9, "image_id": 99, "category_id": 1, "bbox": [1, 2, 3, 4]}]
    write(coco(annotations=annotations), "project/more.json")
    (project / "images" / "b.jpg").unlink()
    dsvc("create", "other")
    found = document(dsvc, "import", "more.json", "--images", "images", "--on-error", "skip")
    (problem,) = found.pop("problems")
    assert "99" in problem
    assert found == {
        "dataset": "other",
        "source": "more",
        "changed": True,
        **COUNTS,
        "missing": ["b.jpg"],
        "extra": [],
        "notes": [],
        "refused": 1,
        "rejects": "more.rejects.json",
        "dry_run": False,
        "conflicts": 0,
        "removed": {"inputs": 0, "annotations": 0},
        "unlisted_inputs": 0,
        "matched": {
            "unchanged": 0,
            "renumbered": 0,
            "by_number": 0,
            "by_place": 0,
            "joined": 0,
            "new": 2,
            "gone": 0,
        },
        "altered_inputs": {"new": 2, "changed": 0},
    }


def test_annotate_rm_discard(dsvc, commit: str) -> None:
    found = document(dsvc, "annotate", "a.jpg", "--text", "hi")
    assert (found["dataset"], found["verb"], found["annotation"]["text"]) == ("pets", "added", "hi")
    assert found["new_concept"] is False
    removed = {"dataset": "pets", "dry_run": True, "inputs": ["a.jpg"], "annotations": 2}
    assert document(dsvc, "rm", "a.jpg", "--dry-run") == removed
    assert document(dsvc, "discard") == {"dataset": "pets", "dry_run": False, "changes": 1}


def test_export(dsvc, commit: str) -> None:
    found = document(dsvc, "export", "v1", "--format", "coco", "-o", "out")
    entries, notes = found.pop("entries"), found.pop("notes")
    assert entries > 0
    assert isinstance(notes, list)
    expected = {"dataset": "pets", "commit": commit, "path": "out", "profile": "coco/1", "inputs": 2, "annotations": 2}
    assert found == {**expected, "unchanged": False, "losses": []}


def test_op_log(dsvc, commit: str) -> None:
    dsvc("undo")
    undo, *_, first = document(dsvc, "op", "log")["operations"]
    assert set(undo) == {"id", "parents", "author", "time", "workspace", "command", "action", "inverts"}
    assert undo["action"] == "undo"
    assert ID.fullmatch(undo["inverts"])
    assert first["parents"] == []
    assert (first["action"], first["inverts"]) == (None, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", undo["time"])


def test_check(dsvc, commit: str) -> None:
    found = document(dsvc, "check", code=1)
    assert set(found) == {"objects", "damage", "findings", "orphans", "notes", "elsewhere", "purged"}


def test_keys_are_printed_as_they_are(dsvc, commit: str, project: Path) -> None:
    (project / "ünï\n.txt").write_text("x")
    dsvc("add", "ünï\n.txt")
    assert document(dsvc, "show", "--inputs")["inputs"][-1] == "ünï\n.txt"
