"""Filters of the commands that edit inputs: `set`, `split` and `materialize` with --where."""

import json
from pathlib import Path


def test_set(dsvc, project: Path) -> None:
    assert dsvc("set", "--where", "width > 400", "--metadata", "size=large", "--split", "val").out == (
        "1 input changed, 0 unchanged\nnext: dsvc commit -m TEXT, or take it back: dsvc undo\n"
    )
    record = json.loads(dsvc("show", "a.jpg", "--json").out)["input"]
    assert (record["split"], record["metadata"]) == ("val", {"size": "large"})
    assert "metadata" not in json.loads(dsvc("show", "b.jpg", "--json").out)["input"]
    assert dsvc("set", "--where", "metadata->>'size' = 'large'", "--unset", "metadata.size").out.startswith(
        "1 input ch"
    )
    dsvc("undo")
    assert json.loads(dsvc("show", "a.jpg", "--json").out)["input"]["metadata"] == {"size": "large"}


def test_set_of_inputs_with_an_annotation(dsvc, project: Path) -> None:
    assert dsvc("set", "--where", "concept = 'dog'", "--split", "test", "--dry-run").out.startswith("1 input")
    assert json.loads(dsvc("status", "--json").out)["clean"]
    dsvc("set", "--where", "concept = 'dog'", "--split", "test")
    assert json.loads(dsvc("show", "b.jpg", "--json").out)["input"]["split"] == "test"


def test_nothing_matches(dsvc, project: Path) -> None:
    before = dsvc("op", "log").out
    dsvc("set", "--where", "key = 'nope'", "--split", "val")
    dsvc("split", "--ratio", "100/0", "--where", "key = 'nope'")
    assert dsvc("op", "log").out == before


def test_a_filter_that_is_wrong(dsvc, project: Path) -> None:
    for command in (("set", "--split", "val"), ("split", "--ratio", "50/50"), ("materialize",)):
        result = dsvc(*command, "--where", "wdith > 3", code=2)
        assert "wdith" in result.err and "width" in result.err
        assert dsvc(*command, "--where", "key =", code=2).err.count("^") == 1
    assert json.loads(dsvc("status", "--json").out)["clean"]


def test_split(dsvc, project: Path) -> None:
    dsvc("split", "--ratio", "train=100,val=0", "--where", "key like 'a%'")
    assert json.loads(dsvc("show", "a.jpg", "--json").out)["input"]["split"] == "train"
    assert "split" not in json.loads(dsvc("show", "b.jpg", "--json").out)["input"]


def test_materialize(dsvc, project: Path) -> None:
    outside = project.parent / "nas"
    outside.mkdir()
    for name in ("one.txt", "two.txt"):
        (outside / name).write_text(name)
    dsvc("add", "--reference", outside)
    assert (
        dsvc("materialize", "--where", "key like '%one%'").out == "copied 1 input, 7 bytes\nnext: dsvc commit -m TEXT\n"
    )
    stored = {row: "blob" in json.loads(dsvc("show", f"nas/{row}", "--json").out)["input"]["media"]
              for row in ("one.txt", "two.txt")}  # fmt: skip
    assert stored == {"one.txt": True, "two.txt": False}


def test_check_compares_what_is_referred_to(dsvc, project: Path) -> None:
    outside = project.parent / "nas"
    outside.mkdir()
    for name in ("changed.txt", "gone.txt", "same.txt"):
        (outside / name).write_text(name)
    dsvc("add", "--reference", outside)
    assert "changed.txt" not in dsvc("check", "--media", code=None).out
    (outside / "changed.txt").write_text("other")
    (outside / "gone.txt").unlink()
    found = json.loads(dsvc("check", "--media", "--json", code=1).out)["findings"]
    texts = {finding["name"]: finding["text"] for finding in found if finding["name"].startswith("nas/")}
    assert texts.keys() == {"nas/changed.txt", "nas/gone.txt"}
    assert "has 5 bytes, and had 11" in texts["nas/changed.txt"] and "is not there" in texts["nas/gone.txt"]
