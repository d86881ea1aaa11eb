"""dsvc diff, in the words of annotators."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+00:00")
RING = [100, 100, 150, 100, 150, 150]


@pytest.fixture
def street(dsvc, tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A dataset of four pictures, committed as v1; its annotations' ids by the x of their boxes, or by their key."""
    images = [{"id": n, "file_name": f"{name}.jpg", "width": 640, "height": 480} for n, name in enumerate("abcd")]
    annotations = [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 1200},
        {"id": 2, "image_id": 0, "category_id": 1, "bbox": [100, 100, 50, 50], "area": 1250, "segmentation": [RING]},
        {"id": 3, "image_id": 0, "category_id": 2, "bbox": [300, 100, 50, 50], "area": 2500},
        {"id": 4, "image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "area": 81},
        {"id": 5, "image_id": 2, "category_id": 2, "bbox": [0, 0, 9, 9], "area": 81},
    ]
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "tram"}]
    write({"images": images, "annotations": annotations, "categories": categories}, "project/street.json")
    monkeypatch.chdir(tmp_path / "project")
    dsvc("init")
    dsvc("create", "street")
    dsvc("import", "street.json")
    dsvc("commit", "-m", "First", *SIGNED)
    dsvc("version", "create", "v1", *SIGNED)
    ids = {}
    for key in "abc":
        for found in json.loads(dsvc("show", f"{key}.jpg", "--json").out)["annotations"]:
            ids[str(round(found["shape"]["box"][0])) if key == "a" else key] = found["id"]
    return ids


def edit(dsvc, ids: dict[str, str]) -> str:
    """Change a good deal; the id of the annotation that was added."""
    dsvc("annotate", f"a.jpg#{ids['1']}", "--box", "11,2,30,40", "--concept", "bus")
    dsvc("annotate", f"a.jpg#{ids['100']}", "--polygon", "100,100,150,100,150,150,100,150")
    dsvc("annotate", f"a.jpg#{ids['300']}", "--attribute", "color=red", "--text", "17")
    added = dsvc("annotate", "a.jpg", "--concept", "car", "--box", "9,9,9,9").out
    dsvc("mv", "b.jpg", "night/b.jpg")
    dsvc("set", "a.jpg", "--split", "val", "--metadata", "camera=left")
    dsvc("rm", "c.jpg")
    return str(re.match(r"added a.jpg#(\w+) car\n", added)[1])


def text_of(ids: dict[str, str], added: str) -> str:
    lines = {
        ids["1"]: f"    ~ bus {ids['1']}: moved by 10 px (IoU 0.5) and relabelled car -> bus",
        ids["100"]: f"    ~ car {ids['100']}: reshaped (polygons)",
        ids["300"]: f"    ~ tram {ids['300']}: attributes.color none -> red, text none -> 17",
        added: f"    + car {added}: box 9,9,9,9",
    }
    return "\n".join([
        "+ concept bus",
        "~ input a.jpg: metadata.camera none -> left, split none -> val",
        *(lines[id] for id in sorted(lines)),
        "- input c.jpg: 1 tram",
        "~ input b.jpg -> night/b.jpg: renamed",
        "",
    ])  # fmt: skip


def test_what_changed_in_words(dsvc, street: dict[str, str]) -> None:
    text = text_of(street, edit(dsvc, street))
    assert dsvc("diff") == (0, text, "")
    assert dsvc("diff", "--exit-code", code=1) == (1, text, "")
    dsvc("commit", "-m", "Second", *SIGNED)
    assert dsvc("diff") == dsvc("diff", "HEAD", "HEAD") == (0, "", "")
    assert dsvc("diff", "v1", "HEAD") == (0, text, "")


def test_counts(dsvc, street: dict[str, str]) -> None:
    edit(dsvc, street)
    text = """\
inputs: 1 changed, 1 renamed, 1 removed
annotations: 1 added, 3 changed (1 moved, 1 reshaped, 1 relabelled), 1 removed
concepts: 1 added
by concept  added  removed  moved  reshaped  relabelled from  relabelled to  other
  car           1        -      -         1                1              -      -
  bus           -        -      1         -                -              1      -
  tram          -        1      -         -                -              -      1
"""
    assert dsvc("diff", "--stat") == (0, text, "")
    assert dsvc("diff", "--stat", "--exit-code", code=1).out == text
    assert dsvc("diff", "--stat", "--key", "a.jpg").out.splitlines()[:3] == [
        "inputs: 1 changed",
        "annotations: 1 added, 3 changed (1 moved, 1 reshaped, 1 relabelled)",
        "by concept  added  moved  reshaped  relabelled from  relabelled to  other",
    ]
    assert dsvc("diff", "--stat", "--where", "key like 'c%'").out == (
        "inputs: 1 removed\nannotations: 1 removed\nby concept  removed\n  tram            1\n"
    )
    assert dsvc("diff", "--stat", "--key", "d.jpg", "--exit-code").out == "no differences\n"


def test_many_concepts_are_cut(dsvc, street: dict[str, str]) -> None:
    for number in range(52):
        dsvc("annotate", "d.jpg", "--concept", f"thing {number:02}")
    lines = dsvc("diff", "--stat").out.splitlines()
    assert lines[2:4] == ["by concept  added", "  thing 00      1"]
    assert lines[-2:] == ["  thing 49      1", "  ... and 2 more; all: --json"]
    assert len(json.loads(dsvc("diff", "--stat", "--json").out)["stat"]["by_concept"]) == 52


def test_some_inputs_and_annotations(dsvc, street: dict[str, str]) -> None:
    text = text_of(street, edit(dsvc, street)).splitlines(keepends=True)
    assert dsvc("diff", "--key", "a.jpg").out == "".join(text[1:6])
    assert dsvc("diff", "--key", "d.jpg", "--exit-code") == (0, "", "")
    assert dsvc("diff", "--key", "c.jpg").out == text[6]
    assert dsvc("diff", "--key", "night/b.jpg", "--key", "b.jpg").out == text[7]
    # Only its own path is looked at, so what it was is not known.
    assert dsvc("diff", "--key", "night/b.jpg").out == "+ input night/b.jpg: 1 tram\n"
    moved = f"    ~ bus {street['1']}: moved by 10 px (IoU 0.5) and relabelled car -> bus\n"
    assert dsvc("diff", "--key", f"a.jpg#{street['1']}").out == "  input a.jpg\n" + moved
    assert dsvc("diff", "--key", f"c.jpg#{street['c']}").out == (
        f"  input c.jpg\n    - tram {street['c']}: box 0,0,9,9, area 81\n"
    )
    assert dsvc("diff", "--where", "split = 'val'").out == "".join(text[1:6])
    assert dsvc("diff", "--where", "concept = 'tram'").out == "".join(text[1:])
    assert dsvc("diff", "--where", "concept = 'tram'", "--key", "c.jpg").out == text[6]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("--key", "e.jpg"), 4, "error: no input 'e.jpg' on either side\nhint: did you mean "),
        (("--key", "xyz"), 4, "error: no input 'xyz' on either side\nhint: list the inputs: dsvc show --inputs\n"),
        (("--key", "a.jpg#none"), 4, "error: no annotation 'a.jpg#none' on either side\nhint: see: dsvc diff --key a"),
        (("--where", "splt = 'val'"), 2, "error: in the filter: no column 'splt'\n"),
        (("--where", ""), 2, "error: the filter is empty\n"),
        (("--key", "\udcff"), 2, "error: invalid value for '--key': '\\udcff' is not Unicode\n"),
    ],
)
def test_what_is_not_there(dsvc, street: dict[str, str], arguments: tuple[str, ...], code: int, error: str) -> None:
    for more in ((), ("--stat",), ("--json",)):
        result = dsvc("diff", *arguments, *more, code=code)
        assert result.err.startswith(error) and not result.out


def test_a_folder_is_no_key(dsvc, street: dict[str, str]) -> None:
    dsvc("mv", "a.jpg", "b.jpg", "it's/")
    error = "error: no input \"it's\" on either side\nhint: it is a folder of inputs: --where \"key like 'it''s/%'\"\n"
    assert dsvc("diff", "--key", "it's", code=4).err == error
    assert dsvc("diff", "--where", "key like 'it''s/%'").out == (
        "~ input a.jpg -> it's/a.jpg: renamed\n~ input b.jpg -> it's/b.jpg: renamed\n"
    )


def test_the_json_document(dsvc, street: dict[str, str]) -> None:
    edit(dsvc, street)
    found = json.loads(dsvc("diff", "--json").out)
    assert (found["from"], found["to"]) == ("HEAD", None)
    changes = {change["name"]: change for change in found["changes"]}
    old, new = ({"key": "a.jpg", "id": street["1"], "concept": concept, "number": 1,
                 "shape": {"box": [x, 2, 30, 40], "area": 1200, "unit": "pixel"}}
                for concept, x in (("car", 1), ("bus", 11)))  # fmt: skip
    assert changes[f"a.jpg#{street['1']}"] == {
        "verb": "changed", "noun": "annotation", "name": f"a.jpg#{street['1']}", "old_name": None,
        "kind": ["moved", "relabelled"], "iou": 0.5, "pixels": 10, "fields": ["concept", "shape.box"],
        "in_conflict": [], "settled": [], "old": old, "new": new,
    }  # fmt: skip
    renamed: Any = changes["night/b.jpg"]
    assert (renamed["verb"], renamed["kind"], renamed["old_name"]) == ("changed", ["renamed"], "b.jpg")
    assert (renamed["old"]["key"], renamed["new"]["key"]) == ("b.jpg", "night/b.jpg")
    assert f"night/b.jpg#{street['b']}" not in changes
    assert [len(json.loads(dsvc("diff", "--json", "--key", key).out)["changes"]) for key in ("c.jpg", "d.jpg")] == [
        2,
        0,
    ]
    dsvc("commit", "-m", "x", *SIGNED)
    back = json.loads(dsvc("diff", "HEAD", "v1", "--json").out)["changes"]
    assert sorted(change["name"] for change in back if change["kind"] == ["added"]) == [
        "c.jpg", f"c.jpg#{street['c']}"
    ]  # fmt: skip


def test_another_id_in_the_same_place(dsvc, street: dict[str, str]) -> None:
    dsvc("rm", f"a.jpg#{street['300']}", f"b.jpg#{street['b']}", f"c.jpg#{street['c']}")
    first = dsvc("annotate", "a.jpg", "--concept", "tram", "--box", "300,100,50,48").out.split()[1].partition("#")[2]
    same = dsvc("annotate", "b.jpg", "--concept", "tram", "--box", "0,0,9,9", "--text", "x").out.split()[1][6:]
    other = dsvc("annotate", "c.jpg", "--concept", "tram", "--box", "20,0,9,9").out.split()[1][6:]
    lines = sorted([f"- tram {street['c']}: box 0,0,9,9, area 81", f"+ tram {other}: box 20,0,9,9"],
                   key=lambda line: line[7:])  # fmt: skip
    assert dsvc("diff").out == (
        "  input a.jpg\n"
        f"    ~ tram {street['300']} -> {first}: same place, new id, moved by 2 px (IoU 0.96)\n"
        "  input b.jpg\n"
        f"    ~ tram {street['b']} -> {same}: same place, new id, reshaped (area taken away), text none -> x\n"
        "  input c.jpg\n"
        f"    {lines[0]}\n"
        f"    {lines[1]}\n"
    )


def test_very_many_annotations_of_one_input_are_cut(dsvc, street: dict[str, str], write: Callable[..., Path]) -> None:
    boxes = [{"id": n, "image_id": 3, "category_id": 9, "bbox": [n, 0, 5, 5]} for n in range(103)]
    images = [{"id": 3, "file_name": "d.jpg", "width": 640, "height": 480}]
    more = {"images": images, "annotations": boxes, "categories": [{"id": 9, "name": "thing"}]}
    dsvc("import", write(more, "project/more.json"))
    lines = dsvc("diff").out.splitlines()
    assert lines[:2] == ["+ concept thing", "  input d.jpg"]
    assert all(line.startswith("    + thing ") for line in lines[2:102])
    assert lines[102:] == ["    ... and 3 more annotations"]


def test_names_are_shown_safely(dsvc, street: dict[str, str]) -> None:
    dsvc("annotate", "a.jpg", "--concept", "red\x1b[31m")
    dsvc("set", "a.jpg", "--metadata", "na\nme=va\x07lue")
    out = dsvc("diff").out
    assert "+ concept red\\x1b[31m\n~ input a.jpg: metadata.na\\nme none -> va\\x07lue\n    + red\\x1b[31m " in out
    assert "\n  red\\x1b[31m      1\n" in dsvc("diff", "--stat").out
