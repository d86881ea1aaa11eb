"""A vendor who delivers again and again: what is said, what stays, and what comes to a conflict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NEXT = "next: dsvc commit -m TEXT\n"
SIGNED = ("--author", "Ada <ada@example.org>")
Row = tuple[int, str, str, tuple[float, ...]]
# Number, image, category, box.
WEEK_1: list[Row] = [
    (1, "a.jpg", "cat", (10, 10, 100, 100)),
    (2, "a.jpg", "dog", (200, 10, 100, 100)),
    (3, "a.jpg", "cat", (400, 10, 100, 100)),
    (4, "b.jpg", "cat", (10, 10, 100, 100)),
    (5, "b.jpg", "dog", (200, 10, 100, 100)),
    (6, "c.jpg", "cat", (10, 10, 100, 100)),
]
# All renumbered; number 3 moved, 5 relabelled, 6 dropped, one added.
WEEK_2: list[Row] = [
    (101, "c.jpg", "dog", (300, 300, 50, 50)),
    (102, "b.jpg", "cat", (200, 10, 100, 100)),
    (103, "b.jpg", "cat", (10, 10, 100, 100)),
    (104, "a.jpg", "cat", (402, 10, 100, 100)),
    (105, "a.jpg", "dog", (200, 10, 100, 100)),
    (106, "a.jpg", "cat", (10, 10, 100, 100)),
]
COUNTS = "3 inputs, 6 annotations, 2 concepts from source vendor"


@pytest.fixture
def deliver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write what the vendor delivers to vendor.json in the project, which is the current folder."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")

    def deliver(rows: list[Row], images: str = "abc", name: str = "vendor.json", **fields: Any) -> None:
        document = {
            "images": [
                {"id": n, "file_name": f"{key}.jpg", "width": 640, "height": 480} for n, key in enumerate(images)
            ],
            "annotations": [
                {
                    "id": number,
                    "image_id": images.index(image[0]),
                    "category_id": 1 if concept == "cat" else 2,
                    "bbox": list(box),
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
                for number, image, concept, box in rows
            ],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
            **fields,
        }
        Path(name).write_text(json.dumps(document))

    return deliver


@pytest.fixture
def ids(dsvc, deliver) -> dict[int, str]:
    """The dataset after the first week, committed: the vendor's number -> KEY#ANN."""
    deliver(WEEK_1)
    dsvc("init")
    dsvc("create", "pets")
    assert dsvc("import", "vendor.json").out == f"imported {COUNTS}\n{NEXT}"
    dsvc("commit", "-m", "Week 1", *SIGNED)
    shown = {f"{key}.jpg": json.loads(dsvc("show", f"{key}.jpg", "--json").out)["annotations"] for key in "abc"}
    return {one["number"]: f"{key}#{one['id']}" for key, found in shown.items() for one in found}


def said(dsvc, name: str) -> dict[str, Any]:
    """An annotation."""
    key, _, id = name.rpartition("#")
    shown = json.loads(dsvc("show", key, "--json").out)["annotations"]
    return next((one for one in shown if one["id"] == id), {})


def test_renumbered_with_work_done_here_meanwhile(dsvc, deliver, ids: dict[int, str]) -> None:
    dsvc("annotate", ids[1], "--box", "12,12,100,100")
    dsvc("annotate", ids[2], "--concept", "wolf")
    deliver(WEEK_2)
    tallied = (
        "annotations: 3 unchanged (renumbered), 2 changed (matched 2 by place), 1 new, 1 listed no more\n"
        "note: 1 annotation that the source listed before, and does not list now, stays; remove it with --sync\n"
    )
    before = dsvc("show", "--json").out
    assert dsvc("import", "vendor.json", "--dry-run").out == f"would import {COUNTS}\n{tallied}"
    assert dsvc("show", "--json").out == before
    result = dsvc("import", "vendor.json")
    assert (result.out, result.err) == (f"imported {COUNTS}\n{tallied}{NEXT}", "")
    # What was done here stays, what the vendor did has come, under the ids that were there.
    assert said(dsvc, ids[1])["shape"]["box"] == [12, 12, 100, 100]
    assert said(dsvc, ids[2])["concept"] == "wolf"
    assert said(dsvc, ids[3])["shape"]["box"] == [402, 10, 100, 100]
    assert (said(dsvc, ids[5])["concept"], said(dsvc, ids[5])["number"]) == ("cat", 102)
    assert said(dsvc, ids[6])["concept"] == "cat"
    assert json.loads(dsvc("status", "--json").out)["conflicts"] == 0
    # The same file again changes nothing.
    operations = dsvc("op", "log").out
    stays = "1 annotation that the source listed before, and does not list now, stays; remove it with --sync\n"
    assert dsvc("import", "vendor.json").out == (
        f"nothing new from source vendor: 3 inputs, 6 annotations, 2 concepts, as before\nnote: {stays}"
    )
    assert dsvc("op", "log").out == operations
    # And it is one step, which can be taken back.
    dsvc("undo")
    assert said(dsvc, ids[3])["shape"]["box"] == [400, 10, 100, 100]
    assert said(dsvc, ids[1])["shape"]["box"] == [12, 12, 100, 100]


def test_sync_removes_what_is_listed_no_more(dsvc, deliver, ids: dict[int, str]) -> None:
    deliver(WEEK_2)
    dsvc("import", "vendor.json")
    lines = "annotations: 6 unchanged, 1 listed no more\n"
    assert dsvc("import", "--sync", "vendor.json", "--dry-run").out == (
        f"would import {COUNTS}\n{lines}would remove 1 annotation\n"
    )
    assert said(dsvc, ids[6])
    assert dsvc("import", "vendor.json", "--sync").out == f"imported {COUNTS}\n{lines}removed 1 annotation\n{NEXT}"
    assert not said(dsvc, ids[6])
    assert dsvc("import", "vendor.json", "--sync").out.startswith("nothing new from source vendor: ")


def test_what_was_edited_here_and_is_dropped_there_is_a_question(dsvc, deliver, ids: dict[int, str]) -> None:
    dsvc("annotate", ids[6], "--box", "12,12,100,100")
    deliver(WEEK_1[:5])
    counts = "3 inputs, 5 annotations, 2 concepts from source vendor"
    assert dsvc("import", "vendor.json", "--sync").out == (
        f"imported {counts}\nannotations: 5 unchanged, 1 listed no more\n"
        f"1 record is in conflict: what the source says and what is here differ; see: dsvc conflicts\n{NEXT}"
    )
    (conflict,) = json.loads(dsvc("conflicts", "--json").out)["conflicts"]
    assert (conflict["field"], [one["value"] for one in conflict["candidates"]]) == ("exists", ["no", "yes"])


def test_a_double_edit_is_a_conflict(dsvc, deliver, ids: dict[int, str]) -> None:
    dsvc("annotate", ids[3], "--box", "399,10,100,100")
    dsvc("annotate", ids[5], "--concept", "wolf")
    deliver(WEEK_2)
    assert dsvc("import", "vendor.json").out == (
        f"imported {COUNTS}\n"
        "annotations: 3 unchanged (renumbered), 2 changed (matched 2 by place), 1 new, 1 listed no more\n"
        "2 records are in conflict: what the source says and what is here differ; see: dsvc conflicts\n"
        "note: 1 annotation that the source listed before, and does not list now, stays; remove it with --sync\n"
        f"{NEXT}"
    )
    assert json.loads(dsvc("import", "vendor.json", "--json").out)["conflicts"] == 0
    found = json.loads(dsvc("conflicts", "--json").out)["conflicts"]
    assert [one["field"] for one in found] == ["shape", "concept"]
    # The same change on both sides is none.
    dsvc("discard")
    dsvc("annotate", ids[5], "--concept", "cat")
    assert json.loads(dsvc("import", "vendor.json", "--json").out)["conflicts"] == 0


def test_matched_by_number_and_by_place(dsvc, deliver, ids: dict[int, str]) -> None:
    rows = [*WEEK_1[:4], (5, "b.jpg", "cat", (205, 10, 100, 100)), (60, "c.jpg", "cat", (10, 12, 100, 100))]
    deliver(rows)
    assert dsvc("import", "vendor.json").out == (
        f"imported {COUNTS}\nannotations: 4 unchanged, 2 changed (matched 1 by number, 1 by place)\n{NEXT}"
    )
    found = json.loads(dsvc("import", "vendor.json", "--json", "--dry-run").out)
    assert found["matched"] == {
        "unchanged": 6,
        "renumbered": 0,
        "by_number": 0,
        "by_place": 0,
        "joined": 0,
        "new": 0,
        "gone": 0,
    }
    assert (found["dry_run"], found["changed"], found["removed"]) == (True, False, {"inputs": 0, "annotations": 0})


# ---- inputs


def on_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal and answer what it asks: exit code, and what the terminal showed."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "dsvc.cli.main", *arguments]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "dumb"}) as run:
        os.close(slave)
        os.write(master, f"{answer}\n".encode())
        shown = b""
        while True:
            try:
                shown += os.read(master, 4096)
            except OSError:  # nobody writes to it any more
                break
    os.close(master)
    return run.returncode, shown.decode().replace("\r", "")


def test_inputs_go_with_a_yes(dsvc, deliver, ids: dict[int, str]) -> None:
    deliver(WEEK_1[:3], "a")
    counts = "1 input, 3 annotations, 2 concepts from source vendor"
    stay = "note: 2 inputs that the source listed before, and does not list now, stay; remove them with --sync=inputs\n"
    nothing = "nothing new from source vendor: 1 input, 3 annotations, 2 concepts, as before\n"
    assert dsvc("import", "vendor.json").out == nothing + stay
    assert dsvc("import", "vendor.json", "--sync").out == nothing + stay
    assert dsvc("import", "vendor.json", "--sync=inputs", "--dry-run").out == (
        f"would import {counts}\nwould remove 2 inputs, 3 annotations\n"
    )
    refused = dsvc("import", "vendor.json", "--sync=inputs", code=3)
    assert (refused.out, refused.err) == (
        "",
        "error: 2 inputs with 3 annotations are listed no more; removing them needs a yes on a terminal\n"
        "hint: or say: --yes; see first: --dry-run\n",
    )
    code, shown = on_a_terminal("n", "import", "vendor.json", "--sync=inputs")
    assert "2 inputs with 3 annotations are listed no more by source vendor. Remove them? [y/N]" in shown
    assert code == 3 and " nothing was imported\n" in shown
    assert json.loads(dsvc("status", "--json").out)["clean"]
    assert on_a_terminal("y", "import", "vendor.json", "--sync=inputs")[0] == 0
    dsvc("undo")
    assert dsvc("import", "vendor.json", "--sync=inputs", "--yes").out == (
        f"imported {counts}\nremoved 2 inputs, 3 annotations\n{NEXT}"
    )
    assert [line.split()[0] for line in dsvc("show", "--inputs").out.splitlines()] == ["a.jpg"]
    dsvc("undo")
    assert len(dsvc("show", "--inputs").out.splitlines()) == 3


def test_sync_wants_a_file_without_errors(dsvc, deliver, ids: dict[int, str]) -> None:
    """Or what is refused would count as dropped, and go."""
    deliver(WEEK_1, categories=[{"id": 1, "name": "cat"}])
    assert dsvc("import", "vendor.json", "--on-error", "skip", "--sync", code=3).err == (
        "error: vendor.json: what is refused would count as listed no more\nhint: mend it, or leave out --sync\n"
    )
    assert json.loads(dsvc("status", "--json").out)["clean"]
    assert dsvc("import", "vendor.json", "--sync=all", code=2).err.startswith("error: ")


def test_an_input_that_was_removed_here_stays_away(dsvc, deliver, ids: dict[int, str]) -> None:
    dsvc("rm", "c.jpg")
    deliver(WEEK_1[:4])
    dsvc("import", "vendor.json", "--sync")
    assert len(dsvc("show", "--inputs").out.splitlines()) == 2


# ---- several sources


def test_another_vendor_brings_keypoints(dsvc, deliver, ids: dict[int, str]) -> None:
    """They join the boxes by number, concept and box, and each vendor is followed by itself."""
    deliver(WEEK_1, name="points.json")
    document = json.loads(Path("points.json").read_text())
    for one in document["annotations"]:
        one |= {"keypoints": [1, 2, 2], "num_keypoints": 1}
    document["annotations"][5]["bbox"] = [300, 300, 20, 20]
    Path("points.json").write_text(json.dumps(document))
    assert dsvc("import", "points.json").out == (
        "imported 3 inputs, 6 annotations, 2 concepts from source points\n"
        "annotations: 5 there already, 1 new\n"
        "note: 1 annotation has the number of one that was there, but says something else: both stand\n"
        f"note: if this is a new delivery of source vendor: dsvc undo, then import it with --source vendor\n{NEXT}"
    )
    one = said(dsvc, ids[1])
    assert (one["keypoints"], one["shape"]["box"]) == ([1, 2, 2], [10, 10, 100, 100])
    assert dsvc("import", "points.json").out.startswith("nothing new from source points: ")
    assert dsvc("import", "vendor.json").out.startswith("nothing new from source vendor: ")
    deliver(WEEK_2)
    dsvc("import", "vendor.json", "--sync")
    one = said(dsvc, ids[3])
    assert (one["keypoints"], one["shape"]["box"]) == ([1, 2, 2], [402, 10, 100, 100])
    assert dsvc("import", "points.json").out.startswith("nothing new from source points: ")


def test_two_writers_import_at_once(dsvc, deliver, ids: dict[int, str]) -> None:
    """The one that comes second is matched with what the first has left."""
    import dsvc as library

    dataset = library.open(".", author=library.Author("Ada")).dataset("pets")
    deliver(WEEK_2)
    with dataset.edit("import") as draft:
        report = draft.import_("vendor.json")
        dsvc("import", "vendor.json")
        dsvc("annotate", ids[1], "--concept", "wolf")
    assert report.changed
    assert said(dsvc, ids[1])["concept"] == "wolf"
    shown = dsvc("show", "--inputs").out
    assert dsvc("import", "vendor.json").out.startswith("nothing new from source vendor: ")
    assert dsvc("show", "--inputs").out == shown


# ---- the split that was said with a delivery


def splits(dsvc) -> dict[str, str]:
    """The split of each input."""
    found = dsvc("query", "select key, split from inputs order by key", "--format", "csv").out
    return dict(line.split(",") for line in found.splitlines()[1:])


def test_the_split_holds_for_the_next_delivery_until_another_is_said(dsvc, deliver) -> None:
    deliver(WEEK_1)
    dsvc("init")
    dsvc("create", "pets")
    dsvc("import", "vendor.json", "--split", "val")
    dsvc("commit", "-m", "Week 1", *SIGNED)
    assert dsvc("import", "vendor.json").out.startswith("nothing new from source vendor: 3 inputs, ")
    deliver([*WEEK_2, (107, "d.jpg", "cat", (1, 1, 50, 50))], "abcd")
    assert "\ninputs: 1 new\n" in dsvc("import", "vendor.json").out
    assert splits(dsvc) == dict.fromkeys(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "val")
    assert "\ninputs: 4 changed\n" in dsvc("import", "vendor.json", "--split", "test").out
    assert set(splits(dsvc).values()) == {"test"}
    dsvc("set", "a.jpg", "--split", "train")
    dsvc("import", "vendor.json", "--split", "test")
    dsvc("import", "vendor.json")
    assert splits(dsvc)["a.jpg"] == "train"


def test_a_revert_is_no_delivery(dsvc, deliver, ids: dict[int, str]) -> None:
    """It goes back to what was known of the source then, so that the delivery can be imported again."""
    deliver(WEEK_2)
    dsvc("import", "vendor.json")
    dsvc("commit", "-m", "Week 2", *SIGNED)
    dsvc("revert", "HEAD")
    dsvc("commit", "-m", "Not yet", *SIGNED)
    log = json.loads(dsvc("log", "--json").out)["commits"]
    assert [(one["message"], list(one["sources"])) for one in log] == [
        ("Not yet", []),
        ("Week 2", ["vendor"]),
        ("Week 1", ["vendor"]),
    ]
    assert "source" not in dsvc("blame", ids[3]).out.partition("changed by ")[2]
    assert "2 changed (matched 2 by place), 1 new" in dsvc("import", "vendor.json").out
