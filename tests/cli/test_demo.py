"""The demo: what it prints is what its commands print when a person types them."""

import shlex
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from dsvc.cli.demo_data import PICTURES, coco, write_demo

DSVC = [sys.executable, "-m", "dsvc.cli.main"]


def steps(text: str) -> list[tuple[str, str]]:
    """The commands that the demo shows, each with its output."""
    found: list[tuple[str, str]] = []
    for line in text.partition("\nThe folder ")[0].splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and line and not line.startswith("# "):
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


def test_every_command_prints_the_same_when_it_is_typed(dsvc, tmp_path: Path) -> None:
    shown = steps(dsvc("demo", "here").out)
    assert shown[0] == ("cd here", "")
    assert len(shown) > 15
    again = tmp_path / "again"
    again.mkdir()
    write_demo(again)
    for command, output in shown[1:]:
        program, *arguments = shlex.split(command)
        assert program == "dsvc"
        result = subprocess.run([*DSVC, *arguments], cwd=again, capture_output=True, text=True, check=True)
        # What a command prints may have empty lines, by which the demo parts its steps.
        assert result.stdout.replace("\n\n", "\n") == output, command
        assert result.stderr == "", command
    for name in ("v1-protobuf.zip", "v1-json.zip"):
        assert (again / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_the_folder_stays_and_works(dsvc, tmp_path: Path) -> None:
    out = dsvc("demo").out
    assert "The folder dsvc-demo is yours to play in." in out
    for line in out.partition("Try there:\n")[2].splitlines():
        program, *arguments = shlex.split(line)
        assert program == "dsvc"
        dsvc("-C", tmp_path / "dsvc-demo", *arguments)


def test_it_does_not_matter_which_dataset_is_selected(dsvc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSVC_DATASET", "other")
    dsvc("demo", "here")


def test_a_folder_with_something_in_it_is_refused(dsvc, tmp_path: Path) -> None:
    (tmp_path / "dsvc-demo").mkdir()
    (tmp_path / "dsvc-demo" / "mine").touch()
    assert dsvc("demo", code=3).err == "error: dsvc-demo exists already\nhint: name a new folder: dsvc demo PATH\n"
    assert [path.name for path in (tmp_path / "dsvc-demo").iterdir()] == ["mine"]


def test_an_empty_folder_will_do(dsvc, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    dsvc("demo", "empty")


def test_pictures_are_whole_and_boxes_true(tmp_path: Path) -> None:
    write_demo(tmp_path)
    annotations = coco()["annotations"]
    for image in coco()["images"]:
        rows = pixels((tmp_path / "images" / image["file_name"]).read_bytes())
        assert (len(rows[0]), len(rows)) == (image["width"], image["height"])
        for annotation in (a for a in annotations if a["image_id"] == image["id"]):
            x, y, width, height = annotation["bbox"]
            inside = [row[round(x) : round(x + width)] for row in rows[round(y) : round(y + height)]]
            painted = sum(pixel != 0 for row in inside for pixel in row)
            # A pixel is painted whole or not at all, so the area is off by less than half the outline.
            assert abs(painted - annotation["area"]) < width + height
    assert len(annotations) == sum(map(len, PICTURES.values()))


def pixels(data: bytes) -> list[bytes]:
    """The rows of a PNG file with a palette; checks its checksums."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(body),)
        chunks[body[:4]] = body[4:]
        at += 12 + length
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    raw = zlib.decompress(chunks[b"IDAT"])
    return [raw[y * (width + 1) + 1 : (y + 1) * (width + 1)] for y in range(height)]
