"""dsvc check: odd names and media, told exactly."""

import json
import sys
from pathlib import Path

import pytest


@pytest.fixture
def odd(dsvc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with names that clash, a text that is called a picture, and an empty file."""
    folder = tmp_path / "odd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    dsvc("init")
    dsvc("create", "pets")
    for name, data in (("A.txt", b"one"), ("a.txt", b"two"), ("photo.jpg", b"<html>404"), ("empty.png", b"")):
        (folder / name).write_bytes(data)
    if len(list(folder.glob("?.txt"))) < 2:
        pytest.skip("this file system takes A.txt and a.txt for one")
    dsvc("add", "A.txt", "a.txt", "photo.jpg", "empty.png")
    return folder


def test_names_that_clash_elsewhere(dsvc, odd: Path) -> None:
    result = dsvc("check", code=1)
    lines = result.out.splitlines()
    assert lines[0] == "odd: input a.txt: differs from A.txt in case only: Windows and macOS take the two for one"
    assert len(lines) == 2 and lines[1].endswith("objects: all whole, 1 odd record")
    assert result.err == ""


def test_media_that_is_not_what_it_is_called(dsvc, odd: Path) -> None:
    result = dsvc("check", "--media", code=1)
    assert result.out.splitlines()[:-1] == [
        "odd: input empty.png: has no bytes",
        "odd: input photo.jpg: named .jpg, but its bytes are text/plain",
        "odd: input a.txt: differs from A.txt in case only: Windows and macOS take the two for one",
    ]
    assert result.err == ""


def test_what_cannot_be_decoded_here_is_said_and_no_finding(dsvc, project: Path, monkeypatch) -> None:
    for name in ("a.jpg", "b.jpg"):
        dsvc("rm", name)
        Path("images", name).rename(Path("images", name).with_suffix(".png"))
    dsvc("add", "images")
    dsvc("commit", "-m", "only png", "--author", "Ada <ada@example.org>")
    dsvc("version", "delete", "v1")
    monkeypatch.setitem(sys.modules, "PIL", None)
    note = "2 images were not decoded, since Pillow is not here: pip install 'dsvc[images]'"
    result = dsvc("check", "--media")
    assert result.out.splitlines()[0] == f"note: {note}" and len(result.out.splitlines()) == 2
    document = json.loads(dsvc("check", "--media", "--json").out)
    assert document["notes"] == [note] and document["findings"] == []
    assert json.loads(dsvc("check", "--json").out)["notes"] == []
