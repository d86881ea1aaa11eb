"""Folders of classes: what is a class, what is a split, and what is passed over."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.formats.folder_read import ClassFolderImporter, ClassFolderIncoming
from dsvc.model.incoming import Setup
from dsvc.model.records import annotation_fields, content_id, decode_annotation

JPEG = b"\xff\xd8\xff"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Make files in a folder; their bytes begin as a JPEG file's do, and hold their own name."""

    def folder(*names: str) -> Path:
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(JPEG + name.encode())
        return tmp_path / "data"

    return folder


def read(folder: Path, root: Path | None = None) -> ClassFolderIncoming:
    return ClassFolderImporter().open_folder(folder, Setup(inputs=lambda: iter(()), root=root or folder))


def classes(incoming: ClassFolderIncoming) -> dict[str, tuple[str | None, str | None]]:
    """Each input's split and class."""
    marks = {}
    for batch in incoming.annotations():
        for stem, value in batch:
            one = decode_annotation(stem, value)
            assert one.id == content_id(one.key, annotation_fields(one))
            assert one.concept is not None and one.key not in marks
            marks[one.key] = one.concept
    return {one.key: (one.split, marks.get(one.key)) for one in incoming.inputs()}


def test_a_subfolder_is_a_class(folder: Callable[..., Path]) -> None:
    found = read(folder("cat/a.jpg", "cat/b.jpg", "dog/a.jpg"))
    assert classes(found) == {"cat/a.jpg": (None, "cat"), "cat/b.jpg": (None, "cat"), "dog/a.jpg": (None, "dog")}
    assert [(one.id, one.name) for one in found.concepts()] == [("cat", "cat"), ("dog", "dog")]
    assert (found.notes, found.problems.count, dict(found.meta), found.rejects()) == ([], 0, {}, None)


def test_all_below_a_class_is_of_it(folder: Callable[..., Path]) -> None:
    assert classes(read(folder("cat/a.jpg", "cat/siam/blue/b.jpg"))) == {
        "cat/a.jpg": (None, "cat"),
        "cat/siam/blue/b.jpg": (None, "cat"),
    }


def test_folders_above_the_classes_are_splits(folder: Callable[..., Path]) -> None:
    names = "train/cat/a.jpg", "Valid/cat/a.jpg", "test2017/dog/train/a.jpg", "validation/cat/b.jpg"
    assert classes(read(folder(*names))) == {
        "train/cat/a.jpg": ("train", "cat"),
        "Valid/cat/a.jpg": ("val", "cat"),
        "test2017/dog/train/a.jpg": ("test", "dog"),
        "validation/cat/b.jpg": ("val", "cat"),
    }


def test_a_class_may_be_called_train(folder: Callable[..., Path]) -> None:
    """Where other folders beside it are no splits."""
    assert classes(read(folder("train/a.jpg", "bus/a.jpg", "test/a.jpg"))) == {
        "train/a.jpg": (None, "train"),
        "bus/a.jpg": (None, "bus"),
        "test/a.jpg": (None, "test"),
    }


@pytest.mark.parametrize("names", [("a.jpg", "b.jpg"), ("train/a.jpg", "val/b.jpg"), ("cat/notes.xyz",), ()])
def test_without_a_class_it_is_no_folder_of_classes(folder: Callable[..., Path], names: tuple[str, ...]) -> None:
    path = folder(*names)
    path.mkdir(exist_ok=True)
    if names == ("cat/notes.xyz",):
        (path / "cat/notes.xyz").write_text("no media")
    with pytest.raises(RefusedError, match="lies in the folder of a class") as error:
        read(path)
    assert error.value.hint is not None and "dsvc add FOLDER" in error.value.hint


def test_files_in_no_class_are_inputs_and_told(folder: Callable[..., Path]) -> None:
    found = read(folder("train/cat/a.jpg", "train/loose.jpg", "top.jpg"))
    assert classes(found) == {
        "train/cat/a.jpg": ("train", "cat"),
        "train/loose.jpg": ("train", None),
        "top.jpg": (None, None),
    }
    assert found.notes == ["2 files lie in no class's folder, and have no annotation: top.jpg ..."]
    path = folder()
    (path / "top.jpg").unlink()
    assert read(path).notes == ["1 file lies in no class's folder, and has no annotation: train/loose.jpg"]


def test_what_is_hidden_ignored_or_no_media_is_passed_over(folder: Callable[..., Path]) -> None:
    path = folder("cat/a.jpg", "cat/.b.jpg", ".hidden/c.jpg", "cat/skip.jpg", "cat/model.xyz", "dog/other.xyz")
    (path / ".dsvcignore").write_text("skip.jpg\n")
    for name in ("cat/model.xyz", "dog/other.xyz"):
        (path / name).write_text("no media")
    found = read(path)
    assert classes(found) == {"cat/a.jpg": (None, "cat")}
    assert [one.name for one in found.concepts()] == ["cat"]
    assert found.notes == ["2 files that are no media were passed over"]
    (path / "dog/other.xyz").unlink()
    assert read(path).notes == ["1 file that is no media was passed over"]


def test_two_spellings_of_one_class_are_one_concept(folder: Callable[..., Path]) -> None:
    composed, parted = (unicodedata.normalize(form, "né") for form in ("NFC", "NFD"))
    found = read(folder(f"{composed}/a.jpg", f"{parted}/a.jpg"))
    assert set(classes(found)) == {f"{composed}/a.jpg", f"{parted}/a.jpg"}
    assert {name for _, name in classes(found).values()} == {composed}
    assert [(one.id, one.name) for one in found.concepts()] == [(composed, parted)]


def test_what_cannot_be_taken_is_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    path = folder("cat/a.jpg")
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(JPEG)
    (path / "cat/out.jpg").symlink_to(outside)
    (path / "cat/in.jpg").symlink_to("a.jpg")
    os.mkfifo(path / "cat/pipe.jpg")
    (path / "linked").symlink_to("cat")
    Path(os.fsdecode(os.fsencode(path) + b"/cat/\xff.jpg")).write_bytes(JPEG)
    found = read(path)
    assert set(classes(found)) == {"cat/a.jpg", "cat/in.jpg"}
    told = found.problems.found
    assert len(told) == 4
    assert any("out.jpg: is a link that leads out of the folder" in text for text in told)
    assert any("pipe.jpg: is a named pipe" in text for text in told)
    assert any("linked: is a link to a folder" in text for text in told)
    assert any("is not Unicode" in text for text in told)


def test_keys_are_those_that_add_gives(repo: Repository, pets: Dataset, folder: Callable[..., Path]) -> None:
    """Also where names clash on other systems, which is told later and by another command."""
    assert repo.root is not None
    path = folder("Cat/a.jpg", "cat/a.jpg", "cat/A.jpg").rename(repo.root / "data")
    pets.import_(path, format="folder")
    keys = [one.key for one in pets.draft()]
    assert keys == ["data/Cat/a.jpg", "data/cat/A.jpg", "data/cat/a.jpg"]
    report = pets.add(path)
    assert (report.new, report.changed, report.unchanged) == (0, 0, 3)
    other = repo.create("other")
    other.import_(path, format="folder", root=path)
    assert [one.key for one in other.draft()] == ["Cat/a.jpg", "cat/A.jpg", "cat/a.jpg"]


def test_outside_the_project_keys_begin_in_the_folder(pets: Dataset, folder: Callable[..., Path]) -> None:
    pets.import_(folder("cat/a.jpg"), format="folder")
    assert [(one.key, one.read_bytes()) for one in pets.draft()] == [("cat/a.jpg", JPEG + b"cat/a.jpg")]


def test_a_grown_folder_gives_its_new_files(pets: Dataset, folder: Callable[..., Path]) -> None:
    path = folder("cat/a.jpg", "dog/b.jpg")
    assert pets.import_(path, format="folder").changed
    assert not pets.import_(path, format="folder").changed
    folder("cat/c.jpg", "bird/d.jpg")
    (path / "cat/a.jpg").write_bytes(JPEG + b"other bytes")
    (path / "dog/b.jpg").unlink()
    report = pets.import_(path, format="folder")
    stays = "1 input that the source listed before, and does not list now, stays; remove it with --sync=inputs"
    assert report.notes == (stays,)
    found = {one.key: ([mark.concept for mark in one.annotations], one.read_bytes()[3:]) for one in pets.draft()}
    assert found == {
        "bird/d.jpg": (["bird"], b"bird/d.jpg"),
        "cat/a.jpg": (["cat"], b"other bytes"),
        "cat/c.jpg": (["cat"], b"cat/c.jpg"),
        "dog/b.jpg": (["dog"], b"dog/b.jpg"),
    }


def test_a_class_that_was_corrected_here_stays_corrected(pets: Dataset, folder: Callable[..., Path]) -> None:
    path = folder("cat/a.jpg")
    pets.import_(path, format="folder")
    with pets.edit() as draft:
        (mark,) = pets.draft()["cat/a.jpg"].annotations
        draft.change_annotation("cat/a.jpg", mark.id, {"concept": "dog"})
    folder("cat/b.jpg")
    pets.import_(path, format="folder")
    assert {one.key: [mark.concept for mark in one.annotations] for one in pets.draft()} == {
        "cat/a.jpg": ["dog"],
        "cat/b.jpg": ["cat"],
    }


def test_errors_stop_it_or_are_skipped(pets: Dataset, folder: Callable[..., Path]) -> None:
    path = folder("cat/a.jpg")
    os.mkfifo(path / "cat/pipe.jpg")
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(path, format="folder")
    assert error.value.message == f"{path}: 1 error"
    assert error.value.hint == "nothing was imported; mend them, or import the rest: --on-error skip"
    report = pets.import_(path, format="folder", on_error="skip")
    assert (report.inputs, report.refused, report.rejects) == (1, 1, None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read(pets: Dataset, folder: Callable[..., Path]) -> None:
    path = folder("cat/a.jpg", "cat/b.jpg")
    (path / "cat/b.jpg").chmod(0)
    with pytest.raises(InvalidRecordsError) as error:
        pets.import_(path, format="folder")
    assert "cat/b.jpg: " in error.value.problems[0] and "Permission denied" in error.value.problems[0]
    assert not pets.has_draft()
