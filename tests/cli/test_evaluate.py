"""dsvc evaluate as it is typed: what it prints, its JSON and its exit codes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+00:00")
CAT = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "score": 0.9}
DOG = {"image_id": 2, "category_id": 3, "bbox": [0, 0, 9, 9], "score": 0.8}
WRONG = {"image_id": 2, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.7}
FIGURES = """\
AP     {:<6}  average precision, over IoUs from 0.50 to 0.95
AP50   {:<6}  average precision at IoU 0.50
AP75   {:<6}  average precision at IoU 0.75
APs    {:<6}  of small ones, below 32 x 32 pixels
APm         -  of medium ones
APl         -  of large ones, above 96 x 96 pixels
AR1    {:<6}  average recall with 1 prediction an input
AR10   {:<6}  average recall with 10
AR100  {:<6}  average recall with 100
ARs    {:<6}  recall of small ones
ARm         -  recall of medium ones
ARl         -  recall of large ones
"""
WAYS = "give a results file, or a revision, or the run that made them: --run ID"
HALF = FIGURES.format(*["0.5000"] * 8)
COLUMNS = "      AP    AP50    AP75   AR100  annotations  predictions  found  wrong  missed"


@pytest.fixture
def results(project: Path) -> Any:
    """Write a results file and give its name."""

    def results(*rows: Any, name: str = "results.json") -> str:
        Path(name).write_text(json.dumps(rows))
        return name

    return results


def evaluate(dsvc: Any, *arguments: str) -> str:
    """The id of an evaluation."""
    return str(json.loads(dsvc("evaluate", *arguments, "--json", *SIGNED).out)["id"])


def test_the_story(dsvc, results) -> None:
    result = dsvc("evaluate", "pets@v1", results(CAT, WRONG), "-m", "First model", *SIGNED)
    id = re.match("evaluation ([0-9a-f]{8}) ", result.out)[1]
    head = f"""\
evaluation {id} of pets@v1: boxes
Ada <ada@example.org>, 2024-05-01 12:00:00 +0000
    First model
2 predictions of results.json, 2 inputs, 2 annotations

{HALF}at IoU 0.5, score 0.5: 1 found, 1 wrong, 1 missed

concepts, the worst AP first:
  concept{COLUMNS}
  dog      0.0000  0.0000  0.0000  0.0000            1            0      0      0       1
  cat      1.0000  1.0000  1.0000  1.0000            1            2      1      1       0
"""
    steps = f"dsvc evaluate show {id}, dsvc plot --evaluation {id} -o FILE.png, dsvc evaluate compare OTHER {id}"
    assert (result.out, result.err) == (f"{head}\nnext: {steps}\n", "")
    shown = f"""\
{head}
confused most often:
  1  dog taken for cat

most mistakes, of 1 input with some:
  b.jpg  0 found, 1 wrong, 1 missed
"""
    assert dsvc("evaluate", "show", id[:4]).out == shown
    line = f"{id}  2024-05-01 12:00:00 +0000  box  AP 0.5000  results.json on pets@v1  First model\n"
    assert dsvc("evaluate", "list").out == line
    better = evaluate(dsvc, "pets@v1", results(CAT, DOG, name="better.json"))
    assert (
        dsvc("evaluate", "compare", id, better).out
        == f"""\
from {id}: results.json on pets@v1
to   {better}: better.json on pets@v1

AP     0.5000  1.0000  +0.5000
AP50   0.5000  1.0000  +0.5000
AP75   0.5000  1.0000  +0.5000
APs    0.5000  1.0000  +0.5000
APm         -       -        -
APl         -       -        -
AR1    0.5000  1.0000  +0.5000
AR10   0.5000  1.0000  +0.5000
AR100  0.5000  1.0000  +0.5000
ARs    0.5000  1.0000  +0.5000
ARm         -       -        -
ARl         -       -        -

1 concept better, by AP:
  dog  0.0000  1.0000  +1.0000

fewer mistakes on 1 input, 2 in all:
  b.jpg  -2  0 found, 1 wrong, 1 missed  to  1 found, 0 wrong, 0 missed
"""
    )
    worse = dsvc("evaluate", "compare", better, id).out
    assert "1 concept worse, by AP:\n  dog  1.0000  0.0000  -1.0000\n" in worse
    assert "more mistakes on 1 input, 2 in all:\n  b.jpg  +2  1 found" in worse
    assert dsvc("evaluate", "compare", id, id).out.endswith("\nno input has more mistakes, or fewer\n")
    assert dsvc("version", "list").out.endswith("\nand 4 auto-generated versions: dsvc version list --auto\n")
    would = dsvc("evaluate", "delete", id, "--dry-run").out
    assert would == f"would delete evaluation {id} of pets, with 2 auto-generated versions\n"
    gone = f"deleted evaluation {id} of pets, with 2 auto-generated versions\ndsvc undo brings it back\n"
    assert dsvc("evaluate", "delete", id).out == gone
    assert dsvc("evaluate", "list").out.startswith(better)
    dsvc("undo")
    assert line in dsvc("evaluate", "list").out


def test_where_some_is_left_out(dsvc, results) -> None:
    out = dsvc("evaluate", "pets", results(CAT, DOG), "--where", "key = 'a.jpg'", "--predicted", *SIGNED).out
    assert (
        "1 prediction of results.json, 1 input, 1 annotation\nonly inputs of --where key = 'a.jpg' --predicted\n" in out
    )
    assert "\nnote: left out 1 prediction of inputs that the filter leaves out\nnext: " in out
    dsvc("rm", "a.jpg")
    assert "\nnote: what is staged on pets is no part of it\n" in dsvc("evaluate", "pets", "pets", *SIGNED).out


def test_the_list_tells_evaluations_apart(dsvc, results) -> None:
    file = results(CAT, DOG)
    long = " or ".join(["key = 'a.jpg'"] * 9)
    for options in (
        (),
        ("--where", "key = 'a.jpg'", "--predicted"),
        ("--iou", "0.75", "--score", "0.25"),
        ("--where", long),
    ):
        evaluate(dsvc, "pets@v1", file, *options)
    lines = [line.partition("results.json on pets@v1")[2].strip() for line in dsvc("evaluate", "list").out.splitlines()]
    assert lines[:3] == ["", "--where key = 'a.jpg' --predicted", "--iou 0.75 --score 0.25"]
    assert lines[3].startswith("--where key = 'a.jpg' or key") and lines[3].endswith("...") and len(lines[3]) == 60


def test_evaluations_of_a_dataset_that_was_renamed(dsvc, results) -> None:
    one, two = evaluate(dsvc, "pets@v1", results(CAT)), evaluate(dsvc, "pets", "pets@v1")
    listed = dsvc("evaluate", "list").out
    record = json.loads(dsvc("evaluate", "show", two, "--json").out)
    dsvc("rename", "pets", "animals")
    assert dsvc("evaluate", "list").out == listed.replace("pets@", "animals@")
    assert dsvc("evaluate", "show", one).out.startswith(f"evaluation {one} of animals@v1: boxes\n")
    assert " predictions of animals@v1, " in dsvc("evaluate", "show", two).out
    found = json.loads(dsvc("evaluate", "show", two, "--json").out)
    assert (record["dataset"], found["dataset"]) == ("pets", "animals")
    assert found["truth"]["revision"] == record["truth"]["revision"].replace("pets@", "animals@")
    assert found["truth"]["version"] == record["truth"]["version"]
    all = json.loads(dsvc("evaluate", "list", "--json").out)
    assert {entry["dataset"] for entry in all["evaluations"]} == {"animals"}
    assert dsvc("evaluate", "compare", two, two).out.startswith(f"from {two}: animals@v1 on animals@")
    assert "pets" not in dsvc("evaluate", "compare", two, two).out
    dsvc("undo")
    assert dsvc("evaluate", "list").out == listed


def test_many_of_all(dsvc, results, coco) -> None:
    images = [{"id": n, "file_name": f"{n:02}.jpg", "width": 99, "height": 99} for n in range(25)]
    categories = [{"id": n, "name": f"c{n:02}"} for n in range(25)]
    boxes = [{"id": n, "image_id": n, "category_id": n, "bbox": [0, 0, 9, 9], "area": 81} for n in range(25)]
    Path("many.json").write_text(json.dumps(coco(images=images, categories=categories, annotations=boxes)))
    dsvc("create", "many", "-m", "x")
    dsvc("import", "many.json")
    dsvc("commit", "-m", "x", *SIGNED)
    rows = [{"image_id": n, "category_id": (n + 1) % 25, "bbox": [0, 0, 9, 9], "score": 0.5} for n in range(25)]
    id = evaluate(dsvc, "many", results(*rows))
    out = dsvc("evaluate", "show", id).out
    assert "  ... and 5 more; all are in --json\n\nconfused most often:\n  1  c00 taken for c01\n" in out
    assert "  ... and 15 more; all are in --json\n\nmost mistakes, of 25 inputs with some:\n  00.jpg" in out
    right = evaluate(dsvc, "many", "many")
    out = dsvc("evaluate", "compare", id, right).out
    assert "\n25 concepts better, by AP:\n" in out and "  ... and 15 more; all are in --json\n" in out
    out = dsvc("evaluate", "show", evaluate(dsvc, "many", results(rows[0], name="one.json"), "--score", "0.6")).out
    assert "confused most often:\n  1  c00 missed\n" in out


def test_json(dsvc, results) -> None:
    made = json.loads(dsvc("evaluate", "pets@v1", results(CAT, WRONG), "--json", *SIGNED).out)
    id, commit = made["id"], json.loads(dsvc("log", "--json").out)["commits"][0]["id"]
    truth = {"version": made["truth"]["version"], "commit": commit, "revision": "pets@v1"}
    predictions = {**made["predictions"], "run": None, "file": "results.json", "revision": None}
    figures = {"AP": 0.5, "AP50": 0.5, "AP75": 0.5, "APs": 0.5, "APm": None, "APl": None}
    figures |= {"AR1": 0.5, "AR10": 0.5, "AR100": 0.5, "ARs": 0.5, "ARm": None, "ARl": None}
    counts = {"annotations": 1, "predictions": 2, "found": 1, "wrong": 1, "missed": 0}
    cat = {"AP": 1.0, "AP50": 1.0, "AP75": 1.0, "AR100": 1.0, **counts}
    dog = {"AP": 0.0, "AP50": 0.0, "AP75": 0.0, "AR100": 0.0, "annotations": 1, "predictions": 0}
    record = {
        "id": id,
        "type": "box",
        "dataset": "pets",
        "message": "",
        "truth": truth,
        "predictions": predictions,
        "where": None,
        "predicted": False,
        "iou": 0.5,
        "score": 0.5,
        "counts": {"inputs": 2, "annotations": 2, "predictions": 2},
        "figures": figures,
        "concepts": {"cat": cat, "dog": {**dog, "found": 0, "wrong": 0, "missed": 1}},
        "author": {"name": "Ada", "email": "ada@example.org"},
        "time": "2024-05-01T12:00:00+00:00",
    }
    assert made == {**record, "notes": []}
    assert list(made["figures"]) == list(figures)
    assert made["predictions"].keys() == {"version", "commit", "run", "file", "revision"}
    assert re.fullmatch(f"auto-generated-20240501T120000Z-{id}", predictions["version"])
    assert json.loads(dsvc("evaluate", "list", "--json").out) == {"dataset": "pets", "evaluations": [record]}
    shown = json.loads(dsvc("evaluate", "show", id, "--json").out)
    curves = shown.pop("curves")
    assert curves.keys() == {"cat", "dog"} and curves["cat"].keys() == {"recall", "precision", "scores"}
    assert shown == {
        **record,
        "confusion": {"labels": ["cat", "dog", "(nothing)"], "rows": [[1, 0, 0], [1, 0, 0], [0, 0, 0]]},
        "inputs": {
            "a.jpg": {"found": 1, "wrong": 0, "missed": 0},
            "b.jpg": {"found": 0, "wrong": 1, "missed": 1},
        },
    }
    better = evaluate(dsvc, "pets@v1", results(CAT, DOG))
    compared = json.loads(dsvc("evaluate", "compare", id, better, "--json").out)
    assert compared["figures"]["AP"] == {"old": 0.5, "new": 1.0, "delta": 0.5}
    assert compared["concepts"]["dog"]["found"] == {"old": 0, "new": 1, "delta": 1}
    change = {"old": {"found": 0, "wrong": 1, "missed": 1}, "new": {"found": 1, "wrong": 0, "missed": 0}}
    inputs = {"better": [{"key": "b.jpg", "mistakes": -2, **change}], "worse": [], "even": []}
    assert compared["inputs"] == {**inputs, "removed": [], "added": []}
    rest = {name: compared[name] for name in ("from", "to", "type", "iou", "score", "notes")}
    assert rest == {"from": id, "to": better, "type": "box", "iou": 0.5, "score": 0.5, "notes": []}


def test_the_known_figures(dsvc, project: Path, corpus: Path) -> None:
    dsvc("create", "coco", "-m", "x")
    dsvc("import", corpus / "coco" / "instances_val2014_100.json")
    dsvc("commit", "-m", "x", *SIGNED)
    file = corpus / "results" / "instances_val2014_fakebbox100_results.json"
    figures = json.loads(dsvc("evaluate", "coco", file, "--json", *SIGNED).out)["figures"]
    known = "0.5046 0.6970 0.5730 0.5856 0.5194 0.5014 0.3868 0.5937 0.5954 0.6398 0.5664 0.5643"
    assert " ".join(f"{value:.4f}" for value in figures.values()) == known


def test_wrong_predictions_leave_no_trace(dsvc, results, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dsvc("op", "log").out
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    result = dsvc("evaluate", "pets@v1", results(CAT, {**DOG, "score": "high"}, {**CAT, "image_id": 9}), code=3)
    assert (result.out, result.err) == (
        "",
        "error: results.json: 2 of 3 records cannot be evaluated\n"
        '  record 2 (image 2): score is "high", which is no number\n'
        "  record 3 (image 9): its image is not in pets@v1\n"
        "hint: nothing was stored; mend the records\n",
    )
    many = results(*[{**CAT, "image_id": number} for number in range(10, 40)])
    result = dsvc("evaluate", "pets@v1", many, code=3)
    assert result.err.splitlines()[20:] == [
        "  record 20 (image 29): its image is not in pets@v1",
        "  ... and 10 more",
        "hint: were they made on another version? its images have other numbers; say which: --made-on REV",
    ]
    result = dsvc("evaluate", "pets@v1", "pets.json", code=3)
    assert "pets.json: looks like a COCO annotation file" in result.err
    assert dsvc("op", "log").out == before and dsvc("evaluate", "list").out.startswith("no evaluations yet")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ((), 2, f"no predictions are named\nhint: {WAYS}\n"),
        (("pets",), 2, f"no predictions are named\nhint: {WAYS}\n"),
        (("pets", "a", "b"), 2, "got unexpected extra argument (b)\nhint: see: dsvc evaluate --help"),
        (("pets", "no.json"), 4, "no file no.json\nhint: name a COCO results file, or a revision"),
        (("pets", "images"), 2, "images is a folder\nhint: name the results file in it"),
        (("no", "pets.json"), 4, "no dataset, branch, version or commit named 'no'"),
        (("pets", "pets", "--type", "boxes"), 2, "invalid value for '--type'"),
        (("pets", "pets.json", "--numbers", "x"), 2, "invalid value for '--numbers'"),
        (("pets", "pets", "--numbers", "single"), 2, "the inputs of a revision go by their keys, not by numbers"),
        (("pets", "pets", "--iou", "x"), 2, "invalid value for '--iou'"),
        (("pets", "pets", "--iou", "2"), 2, "an IoU to match at is above 0 and up to 1, not 2.0"),
        (("pets", "pets", "--where", "nope"), 2, "in the filter: "),
        (("pets", "pets", "--run", "aaaa"), 2, "both predictions and a run are named"),
        (("--run", "aaaa"), 4, "dataset 'pets' has no run 'aaaa'"),
        (("show", "aaaa"), 4, "dataset 'pets' has no evaluation 'aaaa'\nhint: see: dsvc evaluate list"),
        (("compare", "aaaa", "bbbb"), 4, "dataset 'pets' has no evaluation 'aaaa'"),
        (("delete", "aaaa"), 4, "dataset 'pets' has no evaluation 'aaaa'"),
        (("show",), 2, "missing argument 'ID'"),
        (("list", "--type", "box"), 2, "no such option"),
        (("--type", "box", "list"), 2, "no predictions are named"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(
    dsvc, project: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, error: str
) -> None:
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    assert dsvc("evaluate", *arguments, code=code).err.startswith(f"error: {error}")


def test_commands_go_before_revisions(dsvc, results) -> None:
    dsvc("version", "create", "list", *SIGNED)
    file = results(CAT)
    assert dsvc("evaluate", "list").out == "no evaluations yet; next: dsvc evaluate REV PREDICTIONS\n"
    assert dsvc("evaluate", "-d", "pets", "list").out == "no evaluations yet; next: dsvc evaluate REV PREDICTIONS\n"
    evaluate(dsvc, "--iou", "0.75", "@list", file)
    evaluate(dsvc, "-d", "pets", "@list", "--dataset=pets", file)
    assert dsvc("evaluate", "--dataset", "pets", "list").out.count("results.json on pets@list") == 2
    assert "dsvc evaluate [OPTIONS] REV [PREDICTIONS]" in dsvc("evaluate", "--help").out


def test_from_afar_evaluations_are_read_and_not_made(dsvc, results) -> None:
    id = evaluate(dsvc, "pets@v1", results(CAT))
    for arguments in (("list",), ("show", id), ("compare", id, id)):
        here = dsvc("evaluate", *arguments).out
        assert dsvc("-R", ".", "evaluate", *arguments).out == here
        assert dsvc("evaluate", *arguments, "-R", ".").out == here
    assert "dsvc evaluate delete needs a clone" in dsvc("evaluate", "delete", id, "-R", ".", code=3).err
    for arguments in (("-R", ".", "evaluate", "pets", "pets"), ("evaluate", "pets", "pets", "-R", ".")):
        assert "dsvc evaluate needs a clone" in dsvc(*arguments, code=3).err


def test_hostile_names_are_shown_as_escapes(dsvc, results) -> None:
    name = "a\x1b[31m.json"
    out = dsvc("evaluate", "pets@v1", results(CAT, name=name), "-m", "x\x07y", *SIGNED).out
    assert "\x1b" not in out and "1 prediction of a\\x1b[31m.json," in out and "    x\\x07y\n" in out
    assert "\x1b" not in dsvc("evaluate", "list").out
