"""dsvc export --strict, and inputs that are no images."""

import json
from pathlib import Path

HINT = "hint: to leave it out: the same without --strict\n"


def test_strict_says_what_would_be_left_out(dsvc, project: Path, write) -> None:
    write("a note", "project/notes/one.txt")
    dsvc("add", "notes")
    dsvc("annotate", "a.jpg", "--concept", "cat", "--point", "1,2")
    dsvc("commit", "-m", "more", "--author", "Ada <ada@example.org>")
    refused = dsvc("export", "--format", "coco", "-o", "out", "--strict", code=3)
    losses = ["1 input is no image, left out: text 1", "1 annotation lost its point, which COCO has no field for"]
    assert refused.out == ""
    assert refused.err == (
        "error: coco/1 has no place for all of this; nothing was written\n"
        + "".join(f"  {loss}\n" for loss in losses)
        + HINT
    )
    assert not Path("out").exists()
    done = dsvc("export", "--format", "coco", "-o", "out")
    assert done.out == "wrote out: coco/1, 2 inputs, 3 annotations\n" + "".join(f"note: {loss}\n" for loss in losses)
    assert json.loads(dsvc("export", "--format", "coco", "-o", "out", "--json").out)["losses"] == losses
    images = json.loads(Path("out/annotations/instances.json").read_text())["images"]
    assert [row["file_name"] for row in images] == ["a.jpg", "b.jpg"]


def test_strict_where_nothing_is_left_out(dsvc, project: Path) -> None:
    line = "coco/1, 2 inputs, 2 annotations\n"
    assert dsvc("export", "v1", "--format", "coco", "-o", "out", "--strict").out == f"wrote out: {line}"
    assert (
        dsvc("export", "v1", "--format", "coco", "-o", "out", "--strict").out == f"out holds the same already: {line}"
    )
    for format in ("clarifai-protobuf", "clarifai-json"):
        assert dsvc("export", "v1", "--format", format, "-o", f"{format}.zip", "--strict", "--media").err == ""


def test_strict_leaves_what_is_there(dsvc, project: Path) -> None:
    dsvc("export", "v1", "--format", "coco", "-o", "out.json")
    before = Path("out.json").read_bytes()
    dsvc("annotate", "a.jpg", "--text", "a cat")
    dsvc("commit", "-m", "more", "--author", "Ada <ada@example.org>")
    dsvc("export", "--format", "coco", "-o", "out.json", "--strict", "--force", code=3)
    assert Path("out.json").read_bytes() == before
    assert [path.name for path in Path().iterdir() if path.name.startswith(".dsvc-export")] == []


def test_a_dataset_without_inputs(dsvc, project: Path) -> None:
    dsvc("rm", "a.jpg", "b.jpg")
    dsvc("commit", "-m", "empty", "--author", "Ada <ada@example.org>")
    assert dsvc("export", "--format", "coco", "-o", "out.json", "--strict").out.startswith(
        "wrote out.json: coco/1, 0 inp"
    )
    assert json.loads(Path("out.json").read_text())["images"] == []
