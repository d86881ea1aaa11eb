"""dsvc import of archives, as it is typed: what it prints, and its exit codes."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NEXT = "next: dsvc commit -m TEXT\n"
SIGNED = ("--author", "Ada <ada@example.org>")
SKIP = "hint: nothing was imported; mend the file, or import the rest: --on-error skip\n"


@pytest.fixture
def packed(project: Path) -> Callable[..., Path]:
    """Write an archive into the project."""

    def packed(entries: dict[str, Any], name: str = "x.zip") -> Path:
        with zipfile.ZipFile(project / name, "w") as archive:
            for entry, data in entries.items():
                archive.writestr(entry, data if isinstance(data, str | bytes) else json.dumps(data))
        return project / name

    return packed


@pytest.mark.parametrize("format", ["clarifai-protobuf", "clarifai-json"])
@pytest.mark.parametrize("media", [(), ("--media",)])
def test_an_export_of_ones_own_changes_nothing(dsvc, project: Path, format: str, media: tuple[str, ...]) -> None:
    dsvc("export", "@v1", "--format", format, "-o", "own.zip", *media)
    for _ in range(2):
        result = dsvc("import", "own.zip")
        assert (result.out, result.err) == (
            "nothing new from source own: 2 inputs, 2 annotations, 2 concepts, as before\n",
            "",
        )
    assert "staged: no records, only what was taken from a source" in dsvc("status").out


@pytest.mark.parametrize("format", ["clarifai-protobuf", "clarifai-json"])
def test_to_another_project_and_back(dsvc, project: Path, tmp_path: Path, monkeypatch, format: str) -> None:
    dsvc("export", "@v1", "--format", format, "-o", tmp_path / "pets.zip", "--media")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    dsvc("init")
    dsvc("create", "pets")
    result = dsvc("import", "../pets.zip", "--source", "team")
    assert (result.out, result.err) == (
        f"imported 2 inputs, 2 annotations, 2 concepts from source team\n{NEXT}",
        "",
    )
    dsvc("commit", "-m", "From the team", *SIGNED)
    dsvc("export", "--format", format, "-o", "again.zip", "--media")
    assert Path("again.zip").read_bytes() == (tmp_path / "pets.zip").read_bytes()
    assert "media: image/png" in dsvc("show", "a.jpg").out


def test_a_trial_changes_nothing(dsvc, project: Path, tmp_path: Path, monkeypatch) -> None:
    dsvc("export", "@v1", "-o", tmp_path / "pets.zip", "--media")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    dsvc("init")
    dsvc("create", "pets")
    before = dsvc("status").out
    assert json.loads(dsvc("import", "../pets.zip", "--dry-run", "--json").out)["inputs"] == 2
    assert dsvc("status").out == before


def test_media_that_are_nowhere(dsvc, project: Path, tmp_path: Path, monkeypatch) -> None:
    dsvc("export", "@v1", "-o", tmp_path / "pets.zip")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    dsvc("init")
    dsvc("create", "pets")
    assert dsvc("import", "../pets.zip").out == (
        f"imported 2 inputs, 2 annotations, 2 concepts from source pets\n2 inputs without a file: a.jpg, b.jpg\n{NEXT}"
    )
    assert "  media: image/png, 4 x 3, 83 bytes\n" in dsvc("show", "a.jpg").out


def test_as_json_and_with_the_format_named(dsvc, project: Path) -> None:
    dsvc("export", "@v1", "-o", "own.zip")
    Path("own.zip").rename("own.archive")
    found = json.loads(dsvc("import", "own.archive", "--format", "clarifai", "--split", "val", "--json").out)
    assert (found["source"], found["changed"], found["inputs"], found["annotations"]) == ("own", True, 2, 2)
    assert "  split: val\n" in dsvc("show", "a.jpg").out
    # By how it begins, too.
    assert dsvc("import", "own.archive", "--source", "other").out.startswith("nothing new from source other")


def test_coco_in_an_archive(dsvc, project: Path, tmp_path: Path, monkeypatch) -> None:
    dsvc("export", "@v1", "--format", "coco", "-o", tmp_path / "pets.zip", "--media")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    dsvc("init")
    dsvc("create", "pets")
    result = dsvc("import", "../pets.zip")
    assert (result.out, result.err) == (
        f"imported 2 inputs, 2 annotations, 2 concepts from source pets\n{NEXT}",
        "",
    )
    dsvc("commit", "-m", "From the team", *SIGNED)
    dsvc("export", "--format", "coco", "-o", "again.zip", "--media")
    assert Path("again.zip").read_bytes() == (tmp_path / "pets.zip").read_bytes()
    assert dsvc("import", "../pets.zip").out.startswith("nothing new from source pets")


def test_coco_of_several_splits(dsvc, project: Path, tmp_path: Path, monkeypatch) -> None:
    dsvc("set", "a.jpg", "--split", "train")
    dsvc("set", "b.jpg", "--split", "val")
    dsvc("commit", "-m", "Splits", *SIGNED)
    dsvc("export", "--format", "coco", "-o", tmp_path / "pets.zip")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    dsvc("init")
    dsvc("create", "pets")
    assert "source pets-train: 1 input" in dsvc("import", "../pets.zip").out
    dsvc("commit", "-m", "From the team", *SIGNED)
    dsvc("export", "--format", "coco", "-o", "again.zip")
    assert Path("again.zip").read_bytes() == (tmp_path / "pets.zip").read_bytes()


def test_a_coco_file_alone_in_an_archive(dsvc, project: Path, packed, coco) -> None:
    packed({"pets.json": coco()}, "pets.zip")
    assert dsvc("import", "pets.zip").out.startswith("nothing new from source pets")


def test_files_beside_their_images(dsvc, project: Path, packed, coco) -> None:
    """As Roboflow packs them, in a folder or not."""
    one = coco(images=[coco()["images"][0]], annotations=coco()["annotations"][:1])
    entries = {"valid/_annotations.coco.json": one, "valid/a.jpg": (project / "images" / "a.jpg").read_bytes()}
    dsvc("create", "roboflow")
    for prefix, told in (("", "imported"), ("set/", "nothing new")):
        packed({prefix + name: data for name, data in entries.items()}, "set.zip")
        assert dsvc("import", "set.zip").out.startswith(told)
        shown = dsvc("show", "valid/a.jpg").out
        assert "  media: image/png, 4 x 3" in shown and "  split: val\n" in shown


def test_errors_name_the_archive(dsvc, project: Path, packed, coco) -> None:
    packed({"annotations/instances.json": coco(images=[{"id": 1, "file_name": "../x"}])}, "bad.zip")
    result = dsvc("import", "bad.zip", code=3)
    assert "error: bad.zip/annotations/instances.json: " in result.err
    assert "/tmp" not in result.err
    result = dsvc("import", "bad.zip", "--on-error", "skip", code=2)
    assert result.err == (
        "error: --on-error skip goes with files and folders, and not with an archive of COCO files\n"
        "hint: unpack bad.zip, and import the folder: what is refused is written beside its files\n"
    )


def test_what_else_is_in_an_archive(dsvc, project: Path, packed) -> None:
    packed({"photos/a.jpg": b"x", "photos/b.jpg": b"y"})
    result = dsvc("import", "x.zip", code=3)
    assert (result.out, result.err) == (
        "",
        "error: x.zip is an archive, but neither of Clarifai's nor of COCO files; it holds photos/a.jpg, photos/b.jpg\n"
        "hint: unpack it, and name what was in it: dsvc import FILE, or dsvc add FOLDER\n",
    )


def test_records_that_are_wrong(dsvc, project: Path, packed) -> None:
    packed({"mimetype": "application/x.clarifai-data+json", "all/0_n2": {"inputs": [{"id": "a"}, {"id": "/b"}]}})
    before = dsvc("status").out
    result = dsvc("import", "x.zip", code=3)
    wrong = "  all/0_n2, input 2: has no key that can be one: the input key '/b' is absolute\n"
    assert (result.out, result.err) == ("", f"error: x.zip: 1 error\n{wrong}{SKIP}")
    assert dsvc("status").out == before
    result = dsvc("import", "x.zip", "--on-error", "skip")
    assert (result.out, result.err) == (
        f"imported 1 input, 0 annotations, 0 concepts from source x\n{NEXT}",
        f"1 error in x.zip:\n{wrong}",
    )


def test_options_that_have_no_meaning(dsvc, project: Path) -> None:
    dsvc("export", "@v1", "-o", "own.zip")
    assert dsvc("import", "own.zip", "--images", "images", code=2).err.startswith("error: --images goes with COCO")
    assert dsvc("import", "own.zip", "--format", "coco", code=2).err == (
        "error: own.zip is an archive of Clarifai's, and no COCO\nhint: dsvc import own.zip\n"
    )
    assert "is no ZIP archive" in dsvc("import", "pets.json", "--format", "clarifai", code=3).err


def test_an_archive_that_is_cut_short(dsvc, project: Path) -> None:
    dsvc("export", "@v1", "-o", "own.zip")
    Path("own.zip").write_bytes(Path("own.zip").read_bytes()[:-30])
    result = dsvc("import", "own.zip", code=3)
    assert result.err == (
        "error: own.zip is no ZIP archive, or is cut short or damaged (File is not a zip file)\n"
        "hint: copy it, or export it, again\n"
    )
