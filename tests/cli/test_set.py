"""dsvc set, split: exact output, exit codes, and how values are read."""

import json
from pathlib import Path
from typing import Any

import pytest

NEXT = "next: dsvc commit -m TEXT, or take it back: dsvc undo\n"


def record(dsvc, key: str = "a.jpg") -> dict[str, Any]:
    return json.loads(dsvc("show", key, "--json").out)["input"]


class TestSet:
    def test_story(self, dsvc, project: Path) -> None:
        line = ("set", "a.jpg", "--metadata", "camera=left", "--split", "val", "--geo", "8.5,47")
        assert dsvc(*line, "--dry-run").out == "1 input would change, 0 unchanged\n"
        assert "split" not in record(dsvc)
        assert dsvc(*line).out == f"1 input changed, 0 unchanged\n{NEXT}"
        found = record(dsvc)
        assert (found["metadata"], found["split"], found["geo"]) == ({"camera": "left"}, "val", [8.5, 47])
        assert dsvc(*line).out == "0 inputs changed, 1 unchanged\n"
        assert dsvc("set", "a.jpg", "b.jpg", "--unset", "metadata.camera", "--unset", "geo").out == (
            f"1 input changed, 1 unchanged\n{NEXT}"
        )
        assert record(dsvc)["split"] == "val" and not {"geo", "metadata"} & record(dsvc).keys()
        dsvc("undo")
        dsvc("undo")
        assert dsvc("status").out.endswith("nothing staged\n")

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("2024", 2024),
            ("-1.5", -1.5),
            ("1e3", 1000),
            ("0", 0),
            ("true", True),
            ("True", "True"),
            ("007", "007"),
            ('"007"', "007"),
            ('"null"', "null"),
            ("left", "left"),
            ("", ""),
            ("a=b", "a=b"),
            ("[1, null]", [1, None]),
            ('{"a": {"b": "c"}}', {"a": {"b": "c"}}),
            ("{a}", "{a}"),
            ("12345678901234567890123", 12345678901234567890123),
            ("nan", "nan"),
        ],
    )
    def test_values(self, dsvc, project: Path, text: str, value: object) -> None:
        dsvc("set", "a.jpg", "--metadata", f"x={text}")
        found = record(dsvc)["metadata"]["x"]
        assert found == value and type(found) in (type(value), float)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (["--metadata", "x=null"], "x: null is no value; to take a field away: --unset metadata.NAME; "),
            (["--metadata", "x=NaN"], "x: NaN is no number; for the text: '\"NaN\"'"),
            (["--metadata", "x=[-Infinity]"], "x: -Infinity is no number"),
            (["--metadata", "x=1e999"], "x: 1e999 is no number"),
            (["--metadata", 'x={"a":1,"a":2}'], "x: a key of an object comes twice"),
            (["--metadata", "x=" + "[" * 100_000], "x: is nested too deep"),
            (["--metadata", "x"], "'x' is not of the form NAME=VALUE"),
            (["--metadata", "=x"], "'=x' is not of the form NAME=VALUE"),
            (["--metadata", "x=1", "--metadata", "x=2"], "a name of --metadata comes twice"),
            (["--metadata", "x=" + "[" * 63 + "]" * 63], "metadata 'x': nested deeper than 64 levels"),
            (["--geo", "1"], "'1' is not of the form LON,LAT: longitude first, in degrees"),
            (["--geo", "1,2,3"], "is not of the form LON,LAT"),
            (["--geo", "nan,2"], "is no place"),
            (["--geo", "47,95"], "the latitude 95, which comes second, is beyond 90 degrees\nhint: geo is longitude,"),
            (["--split", ""], "'' cannot name a split"),
            (["--unset", "name"], "'name' cannot be taken away\nhint: split, geo, or metadata.NAME"),
            ([], "say what to set\nhint: --metadata NAME=VALUE, --split NAME, --geo LON,LAT, or --unset NAME"),
        ],
    )
    def test_errors(self, dsvc, project: Path, arguments: list[str], error: str) -> None:
        for dry in ((), ("--dry-run",)):
            assert error in dsvc("set", "a.jpg", *arguments, *dry, code=2).err
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_which_inputs(self, dsvc, project: Path) -> None:
        assert dsvc("set", "--split", "val", code=2).err == (
            "error: name inputs, or match them with --where\nhint: see: dsvc set --help\n"
        )
        assert dsvc("set", "a.jpg", "--where", "true", "--split", "val", code=2).err == (
            "error: name inputs, or match them with --where, not both\nhint: see: dsvc set --help\n"
        )
        assert dsvc("set", "x/a.jpg", "--split", "val", code=4).err == (
            "error: no input 'x/a.jpg' in the dataset\nhint: did you mean a.jpg?\n"
        )

    def test_json(self, dsvc, project: Path) -> None:
        found = json.loads(dsvc("set", "a.jpg", "b.jpg", "--split", "val", "--dry-run", "--json").out)
        assert found == {"dataset": "pets", "dry_run": True, "changed": 2, "unchanged": 0}


class TestSplit:
    def test_story(self, dsvc, project: Path) -> None:
        table = (
            "train   1 input  asked 80 %  got 50.0 %\n"
            "val    0 inputs  asked 10 %   got 0.0 %\n"
            "test    1 input  asked 10 %  got 50.0 %\n"
        )
        note = "note: with only 2 inputs a hash strays from the ratio; with more it comes nearer\n"
        line = ("split", "--by", "key", "--ratio", "80/10/10", "--seed", "1")
        assert dsvc(*line, "--dry-run").out == f"{table}2 inputs would change, 0 unchanged\n{note}"
        assert "split" not in record(dsvc)
        assert dsvc(*line).out == f"{table}2 inputs changed, 0 unchanged\n{note}{NEXT}"
        assert [record(dsvc, key)["split"] for key in ("a.jpg", "b.jpg")] == ["train", "test"]
        assert dsvc(*line).out == f"{table}0 inputs changed, 2 unchanged\n{note}"
        assert dsvc(*line, "--keep").out == "no inputs to split, 2 kept their split\n"
        dsvc("set", "a.jpg", "--unset", "split")
        assert dsvc("split", "--ratio", "all=100", "--keep").out == (
            f"all  1 input  asked 100 %  got 100.0 %\n1 input changed, 0 unchanged, 1 kept their split\n{NEXT}"
        )

    def test_groups_are_told(self, dsvc, project: Path) -> None:
        assert dsvc("split", "--ratio", "50/50", "--group", r".*(\.jpg)", "--dry-run").out.endswith(
            "note: with only 1 group a hash strays from the ratio; with more it comes nearer\n"
        )

    def test_no_inputs(self, dsvc, project: Path) -> None:
        dsvc("create", "empty")
        assert dsvc("split", "--ratio", "50/50").out == "no inputs to split\n"

    def test_inputs_that_lack_the_field(self, dsvc, project: Path) -> None:
        dsvc("set", "a.jpg", "--metadata", "video=7")
        assert dsvc("split", "--ratio", "50/50", "--by", "metadata.video", code=3).err == (
            "error: 1 input has no metadata.video\n  b.jpg\n"
            "hint: set it: dsvc set KEY... --metadata video=VALUE, or leave these inputs out with --where\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (["--ratio", "80/10/11"], "the parts sum to 101, and must sum to 100\nhint: --ratio 80/20, "),
            (["--ratio", "0.8/0.2"], "'0.8' in the ratio '0.8/0.2' is no whole number of percent"),
            (["--ratio", "80/20", "--by", "size"], "'size' is nothing to split by\nhint: --by key, content, or "),
            (["--ratio", "80/20", "--group", "("], "'(' is no regular expression"),
            (["--ratio", "80/20", "--seed", "-1"], "-1 is not in the range x>=0"),
            ([], "missing option '--ratio'"),
        ],
    )
    def test_errors(self, dsvc, project: Path, arguments: list[str], error: str) -> None:
        assert error in dsvc("split", *arguments, code=2).err
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_json(self, dsvc, project: Path) -> None:
        found = json.loads(dsvc("split", "--ratio", "a=0,b=100", "--seed", "3", "--json").out)
        part = {"name": "b", "asked": 100, "got": 100.0, "inputs": 2}
        counts = {"groups": 2, "changed": 2, "unchanged": 0, "kept": 0}
        assert found == {
            "dataset": "pets",
            "dry_run": False,
            "by": "key",
            "group": None,
            "seed": 3,
            "parts": [{"name": "a", "asked": 0, "got": 0.0, "inputs": 0}, part],
            **counts,
        }
