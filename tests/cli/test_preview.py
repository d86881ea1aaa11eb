"""dsvc preview."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


def test_a_sheet(dsvc, project: Path) -> None:
    found = dsvc("preview", "@v1", "-o", "sheet.png")
    assert found.out == "wrote sheet.png: 2 inputs\n" and found.err == ""
    with Image.open("sheet.png") as image:
        assert image.format == "PNG" and image.width > 640
    assert dsvc("preview", "-o", "one.JPG", "--key", "b.jpg", "--size", "100").out == "wrote one.JPG: 1 input\n"
    with Image.open("one.JPG") as image:
        assert image.format == "JPEG" and image.width < 200
    assert dsvc("preview", "--limit", "1", "-o", "first.jpg").out == "wrote first.jpg: 1 of 2 inputs\n"
    assert dsvc("preview", "--where", "concept = 'dog'", "-o", "dogs.jpg").out == "wrote dogs.jpg: 1 input\n"


def test_json_and_what_cannot_be_shown(dsvc, project: Path) -> None:
    Path("cut.png").write_bytes((project / "images" / "a.jpg").read_bytes()[:40])
    dsvc("add", "cut.png")
    found = dsvc("preview", "-o", "sheet.jpg", "--json")
    assert found.err.startswith("note: cut.png: cannot be decoded: ") and found.err.count("\n") == 1
    document = json.loads(found.out)
    with Image.open("sheet.jpg") as image:
        assert (document["width"], document["height"]) == image.size
    assert document["inputs"] == ["a.jpg", "b.jpg", "cut.png"] and document["of"] == 3
    assert [problem["key"] for problem in document["problems"]] == ["cut.png"] and document["path"] == "sheet.jpg"


def test_what_differs(dsvc, project: Path) -> None:
    dsvc("annotate", "a.jpg", "--concept", "cat", "--box", "5,5,100,100")
    dsvc("commit", "-m", "more", "--author", "Ada <ada@example.org>")
    assert dsvc("preview", "@v1", "HEAD", "-o", "diff.png").out == "wrote diff.png: 1 input that differs\n"
    dsvc("preview", "@v1", "@v1", "-o", "none.png", code=3)
    assert not Path("none.png").exists()


def test_files_that_cannot_be(dsvc, project: Path) -> None:
    assert dsvc("preview", "-o", "sheet.gif", code=2).err == (
        "error: no picture has the form .gif\nhint: let the name end in .jpg, .jpeg or .png\n"
    )
    assert dsvc("preview", "-o", "sheet", code=2).err == (
        "error: 'sheet' does not say which form\nhint: let the name end in .jpg, .jpeg or .png\n"
    )
    Path("sheet.jpg").write_text("mine")
    assert dsvc("preview", "-o", "sheet.jpg", code=3).err == (
        "error: sheet.jpg exists already\nhint: name another file, or replace it: --force\n"
    )
    assert Path("sheet.jpg").read_text() == "mine"
    dsvc("preview", "-o", "sheet.jpg", "--force")
    assert Path("sheet.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert dsvc("preview", "-o", "no/sheet.jpg", code=3).err == (
        "error: no is no folder\nhint: make it first, or name another file\n"
    )
    dsvc("preview", "-o", ".dsvc/sheet.jpg", code=3)
    Path("folder.png").mkdir()
    dsvc("preview", "-o", "folder.png", "--force", code=3)
    assert [path.name for path in Path().iterdir() if path.suffix == ".tmp"] == []


def test_a_folder_that_cannot_be_written(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.suffix == ".tmp":
            raise PermissionError(13, "Permission denied")
        return opening(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert dsvc("preview", "-o", "sheet.png", code=3).err == (
        "error: sheet.png: Permission denied\nhint: Check who owns the file and its folder, and their permissions.\n"
    )
    assert not Path("sheet.png").exists()


def test_what_cannot_be_meant(dsvc, project: Path) -> None:
    assert dsvc("preview", "-o", "a.png", "--size", "9", code=2).err == (
        "error: no size 9\nhint: a thumbnail has 48 to 2,048 pixels each way\n"
    )
    assert dsvc("preview", "-o", "a.png", "--limit", "0", code=2).err == (
        "error: no limit 0\nhint: a sheet has 1 to 1,000 inputs\n"
    )
    assert dsvc("preview", "-o", "a.png", "--key", "c.jpg", code=4).err == (
        "error: no input 'c.jpg' in the dataset\nhint: did you mean b.jpg, a.jpg?\n"
    )
    dsvc("preview", "-o", "a.png", "--where", "concept =", code=2)
    dsvc("preview", "nowhere", "-o", "a.png", code=4)
    dsvc("preview", code=2)
    dsvc("preview", "-o", "a.png", "--key", "a.jpg", "--where", "true", code=2)
    assert not Path("a.png").exists()


def test_without_pillow(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert dsvc("preview", "-o", "a.png", code=3).err == (
        "error: a preview needs Pillow\nhint: pip install 'dsvc[pictures]'\n"
    )


def test_straight_from_another_repository(dsvc, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert dsvc("-R", project, "preview", "pets@v1", "-o", "sheet.png").out == "wrote sheet.png: 2 inputs\n"


def test_media_that_was_purged(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSVC_AUTHOR_NAME", "Ada")
    monkeypatch.setenv("DSVC_AUTHOR_EMAIL", "ada@example.org")
    dsvc("purge", "a.jpg", "--reason", "they asked", "--yes")
    found = dsvc("preview", "@v1", "-o", "sheet.png")
    assert found.out == "wrote sheet.png: 2 inputs\n"
    assert found.err.startswith("note: a.jpg: media ") and "they asked" in found.err


def test_media_that_lies_at_a_remote(dsvc, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command brings what is on the sheet; a notebook does not."""
    import dsvc as library

    dsvc("remote", "add", "origin", tmp_path / "shared")
    dsvc("push", "origin")
    monkeypatch.chdir(tmp_path)
    dsvc("clone", "--no-media", tmp_path / "shared", "light")
    monkeypatch.chdir(tmp_path / "light")
    state = library.open(".").at("pets@v1")
    blobs = [
        record.media.blob for record in state.inputs() if record.media is not None and record.media.blob is not None
    ]
    assert "<img" in state._repr_html_() and not any(map(state.repository.store.has_media, blobs))
    assert dsvc("preview", "pets@v1", "--key", "a.jpg", "-o", "sheet.png").err == ""
    store = library.open(".").store
    assert [store.has_media(blob) for blob in blobs] == [True, False]
