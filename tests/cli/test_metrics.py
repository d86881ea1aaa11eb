"""dsvc metrics: what it prints, as text and as JSON, and what it refuses."""

import json
from pathlib import Path

import pytest
from pictures import picture

from dsvc.core.repository import Repository
from dsvc.model.records import Shape

SIGNED = ("--author", "Ada <ada@example.org>", "--date", "2024-05-01T12:00:00+00:00")
V1 = """\
pets@v1, commit COMMIT
inputs         2  2 image
annotations    2  1.0 an input, at most 1
regions        3  in 2 inputs
  boxes        2  100.0 % small
  polygons     2
positive tags  3  3 of regions
concepts: 2
  cat  1   50.0 %  ########################
  dog  1   50.0 %  ########################
"""


@pytest.fixture
def second(dsvc, project: Path) -> str:
    """Version v2 with a copy of a picture, a concept that is not there, one that nobody uses, and splits."""
    (project / "images" / "c.jpg").write_bytes((project / "images" / "a.jpg").read_bytes())
    (project / "images" / "d.png").write_bytes(picture(color=7))
    dsvc("add", "images/c.jpg", "images/d.png")
    dsvc("set", "a.jpg", "b.jpg", "--split", "train", "--metadata", "camera=left")
    dsvc("set", "images/c.jpg", "--metadata", "camera=7")
    dsvc("annotate", "a.jpg", "--concept", "dog")
    dataset = Repository.open(project).dataset()
    dataset.annotate("b.jpg", "bird", value=0)
    dataset.annotate("b.jpg", "cat", shape=Shape(box=(300, 200, 100, 0)))
    dsvc("commit", "-m", "more", *SIGNED)
    dsvc("version", "create", "v2", *SIGNED)
    return "v2"


def commit_of(dsvc, revision: str) -> str:
    return json.loads(dsvc("show", revision, "--json").out)["commit"]


def test_text(dsvc, project: Path) -> None:
    commit = commit_of(dsvc, "v1")
    assert dsvc("metrics", "v1").out == V1.replace("COMMIT", commit[:12])
    assert dsvc("metrics").out.splitlines()[0] == f"pets, at {commit[:12]}"
    assert dsvc("metrics").out.splitlines()[1:] == dsvc("metrics", "v1").out.splitlines()[1:]
    empty = dsvc("create", "nothing") and dsvc("metrics")
    assert empty.out == "nothing, no commits yet\ninputs       0\nannotations  0\n"


def test_what_was_counted_without_a_revision(dsvc, project: Path) -> None:
    commit = commit_of(dsvc, "v1")[:12]
    dsvc("rm", "a.jpg")
    assert dsvc("metrics").out.splitlines()[0] == f"pets, at {commit}, with staged changes"
    assert dsvc("show").out.splitlines()[0] == f"dataset pets, at {commit}, with staged changes"
    assert dsvc("metrics", "v1").out.splitlines()[0] == f"pets@v1, commit {commit}"


def test_a_name_that_is_very_long_is_cut(dsvc, project: Path) -> None:
    dsvc("annotate", "a.jpg", "--concept", "c" * 300)
    text = dsvc("metrics").out + dsvc("metrics", "--by", "concept").out
    assert f"  {'c' * 57}...  1 " in text and max(map(len, text.splitlines())) < 200
    assert "c" * 300 in json.loads(dsvc("metrics", "--json").out)["by_concept"]


def test_what_is_odd(dsvc, second: str) -> None:
    commit = commit_of(dsvc, second)
    assert dsvc("metrics", second).out == (
        f"pets@v2, commit {commit[:12]}\n"
        "inputs             4  4 image\n"
        "  unlabeled        2  50.0 %\n"
        "  unannotated      2  50.0 %\n"
        "  with metadata    3\n"
        "annotations        5  1.2 an input, at most 3\n"
        "  negative labels  1\n"
        "regions            4  in 2 inputs\n"
        "  boxes            3  100.0 % small\n"
        "  polygons         2\n"
        "positive tags      5  1 of inputs, 4 of regions\n"
        "concepts: 3\n"
        "  cat   2   50.0 %  ########################\n"
        "  dog   2   50.0 %  ########################\n"
        "  bird  0    0.0 %\n"
        "together in inputs: cat + dog 2\n"
        "note: 1 duplicate: inputs whose bytes an earlier one has; see: dsvc metrics v2 --duplicates\n"
        "note: 1 concept without a positive label\n"
        "note: 1 box beyond the picture\n"
        "note: 1 box without width or height\n"
    )
    assert dsvc("metrics", "--duplicates").out == "a.jpg, images/c.jpg\n"
    assert json.loads(dsvc("metrics", "--duplicates", "--json").out) == {"duplicates": [["a.jpg", "images/c.jpg"]]}
    assert dsvc("metrics", "v1", "--duplicates").out == "no two inputs have the same bytes\n"


def test_groups(dsvc, second: str) -> None:
    head = dsvc("metrics", second).out.splitlines()[0]
    assert dsvc("metrics", second, "--by", "split").out == (
        f"{head}\n"
        "split   inputs  unlabeled inputs  annotations  regions  bounding boxes  polygons\n"
        "(none)       2                 2            0        0               0         0\n"
        "train        2                 0            5        4               3         2\n"
    )
    assert dsvc("metrics", second, "--by", "concept").out == (
        f"{head}\n"
        "concept  inputs  annotations  negative labels  regions  bounding boxes  polygons\n"
        "cat           2            2                0        2               2         0\n"
        "dog           2            2                0        2               1         2\n"
        "bird          0            1                1        0               0         0\n"
    )
    names = {
        by: list(json.loads(dsvc("metrics", "--by", by, "--json").out)["by_value"])
        for by in ("type", "metadata.camera", "metadata.no.such")
    }
    assert names == {"type": ["image"], "metadata.camera": ["(none)", "7", "left"], "metadata.no.such": ["(none)"]}


def test_json(dsvc, second: str) -> None:
    found = json.loads(dsvc("metrics", "v2", "--by", "type", "--json").out)
    assert found["commit"] == commit_of(dsvc, "v2")
    assert (found["dataset"], found["revision"], found["by"]) == ("pets", "v2", "type")
    counts = {"inputs": 4, "unlabeled_inputs": 2, "annotations": 5, "regions": 4, "duplicate_inputs": 1, "concepts": 3}
    assert {name: found[name] for name in counts} == counts
    assert sum(map(sum, found["region_location_matrix"])) == 4
    assert found["groups"]["input_type"] == {"image": 4}
    assert found["groups"]["concept_id"] == {"bird": 0, "cat": 2, "dog": 2}
    assert found["groups"]["annotations_count"] == {"0": 2, "2": 1, "3": 1}
    assert found["box_sizes"] == {"small": 3, "medium": 0, "large": 0, "unknown": 0}
    assert found["class_balance"] == {"concepts": 2, "most": 2, "least": 2, "ratio": 1.0, "evenness": 1.0}
    assert found["co_occurrence"] == [{"concepts": ["cat", "dog"], "inputs": 2}]
    assert found["by_value"]["image"]["annotations"] == found["annotations"]
    shown = json.loads(dsvc("show", "v2", "--json").out)
    assert (found["tasks"], found["media"]) == (shown["tasks"], shown["media"])
    assert {name: one["annotations"] for name, one in found["by_concept"].items()} == shown["concept_counts"]


def test_two(dsvc, second: str) -> None:
    commits = [commit_of(dsvc, version) for version in ("v1", "v2")]
    told = dsvc("metrics", "v1", "v2", "--by", "split").out
    assert told.startswith(f"pets@v1, commit {commits[0][:12]} -> pets@v2, commit {commits[1][:12]}\ninputs  ")
    lines = [" ".join(line.split()) for line in told.splitlines()]
    for line in ("inputs 2 4 +2", "unlabeled inputs 0 2 +2", "annotations 2 5 +3", "cat positive labels 1 2 +1"):
        assert line in lines
    assert lines[lines.index("by split:") + 1 :] == [
        "(none) annotations 2 0 -2",
        "train inputs 0 2 +2",
        "train annotations 0 5 +5",
    ]
    found = json.loads(dsvc("metrics", "v2", "v1", "--json").out)
    assert found["from"] == {"revision": "v2", "commit": commits[1]}
    assert found["counts"]["inputs"] == {"from": 4, "to": 2, "change": -2}
    assert "polygons" not in found["counts"]
    assert found["by_concept"]["bird"]["annotations"] == {"from": 1, "to": 0, "change": -1}
    assert dsvc("metrics", "v1", "v1").out.splitlines()[1:] == ["the numbers are the same"]


def test_refusals(dsvc, project: Path) -> None:
    for by in ("", "nothing", "metadata", "metadata.", "Split"):
        assert dsvc("metrics", "--by", by, code=2).err == (
            f"error: metrics cannot be grouped by {by!r}\nhint: by concept, type, split or metadata.FIELD\n"
        )
    assert dsvc("metrics", "v9", code=4).err.startswith("error: ")
    assert dsvc("metrics", "v1", "v9", code=4).err.startswith("error: ")
    assert dsvc("metrics", "v1", "v1", "--duplicates", code=2).err == (
        "error: --duplicates goes with one revision and nothing else\nhint: dsvc metrics REV --duplicates\n"
    )


def test_names_are_shown_safely(dsvc, project: Path) -> None:
    dsvc("annotate", "a.jpg", "--concept", "red\x1b[31m")
    dsvc("set", "a.jpg", "--metadata", 'm="\x1b[2J"')
    for arguments in ((), ("--by", "concept"), ("--by", "metadata.m")):
        assert "\x1b" not in dsvc("metrics", *arguments).out
    assert "\x1b" not in dsvc("metrics", "v1", "HEAD").out


def test_conflicts(dsvc, project: Path) -> None:
    name = next(word for word in dsvc("show", "a.jpg").out.split() if word.startswith("a.jpg#"))
    dsvc("switch", "-c", "side")
    dsvc("annotate", name, "--concept", "lion")
    dsvc("commit", "-m", "lion", *SIGNED)
    dsvc("switch", "main")
    dsvc("annotate", name, "--concept", "tiger")
    dsvc("commit", "-m", "tiger", *SIGNED)
    dsvc("merge", "side", *SIGNED)
    lines = dsvc("metrics").out.splitlines()
    assert lines[1] == "1 record with open conflicts, which count as absent; see: dsvc conflicts"
    found = json.loads(dsvc("metrics", "--json").out)
    assert (found["conflicts"], found["annotations"], found["positive_labels"]) == (1, 2, 1)
    assert {name: one["annotations"] for name, one in found["by_concept"].items() if one["annotations"]} == {"dog": 1}
