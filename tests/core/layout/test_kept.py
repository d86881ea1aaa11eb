"""Inputs whose file lies in a tracked folder and in a folder that is laid out: the tracked folder's word counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.files.adding import AddReport
from dsvc.core.layout.checkout import checkout, checkout_all, update_folders
from dsvc.core.layout.kept import Kept

Picture = Callable[[str], bytes]
ALL = ["a.jpg", "b.jpg", "deep/c.jpg"]


@pytest.fixture
def images(root: Path) -> Path:
    """The folder which the inputs' keys are relative to."""
    return root / "incoming"


@pytest.fixture
def laid(dataset: Dataset, images: Path, root: Path) -> Path:
    """The media of the folder pets, which is laid out; beside it, the folder of images is tracked."""
    dataset.add(images, root=images)
    checkout(dataset.repository, "pets")
    return root / "pets/images"


def keys(dataset: Dataset) -> list[str]:
    return [sample.key for sample in dataset.draft()]


def taken(report: AddReport) -> tuple[int, int, int, int, int]:
    return report.new, report.changed, report.moved, report.removed, report.removed_annotations


def kept(dataset: Dataset) -> tuple[Kept, ...]:
    [folder] = dataset.folders()
    assert folder.media.missing == () and folder.media.renamed == () and folder.is_clean
    return folder.kept


def count(dataset: Dataset, key: str) -> int:
    return len(list(dataset.draft().annotations(key)))


def test_what_is_deleted_in_the_checkout_alone_stays(dataset: Dataset, laid: Path) -> None:
    (laid / "a.jpg").unlink()
    for _ in range(2):
        assert kept(dataset) == (Kept("a.jpg", None, "incoming"),)
        report = dataset.add_all()
        assert taken(report) == (0, 0, 0, 0, 0)
        assert report.notes == ("pets/images/a.jpg is gone, and left alone: its file is still in incoming",)
    assert keys(dataset) == ALL and not dataset.has_draft() and dataset.files().is_clean
    (laid / "deep/c.jpg").unlink()
    assert dataset.add_all().notes == (
        "pets/images/a.jpg and 1 more are gone, and left alone: their files are still in incoming",
    )
    checkout_all(dataset.repository)
    assert kept(dataset) == () and (laid / "a.jpg").exists()


def test_what_is_renamed_in_the_checkout_alone_stays(dataset: Dataset, laid: Path) -> None:
    (laid / "a.jpg").rename(laid / "z.jpg")
    for _ in range(2):
        assert kept(dataset) == (Kept("a.jpg", "z.jpg", "incoming"),)
        report = dataset.add_all()
        assert taken(report) == (0, 0, 0, 0, 0)
        assert report.notes == ("pets/images/a.jpg is renamed to z.jpg, and left alone: its file is still in incoming",)
    assert keys(dataset) == ALL and dataset.files().is_clean and count(dataset, "a.jpg") == 1
    (laid / "b.jpg").rename(laid / "y.jpg")
    assert dataset.add_all().notes == (
        "pets/images/a.jpg and 1 more are renamed, and left alone: their files are still in incoming",
    )


def test_the_annotation_file_of_a_renamed_one_that_stays(dataset: Dataset, laid: Path) -> None:
    """What is said of the new name is said of the input."""
    (laid / "a.jpg").rename(laid / "z.jpg")
    path = laid.parent / "annotations/instances.json"
    document: Any = json.loads(path.read_text())
    [image] = [one for one in document["images"] if one["file_name"] == "a.jpg"]
    image["file_name"] = "z.jpg"
    [box] = [one for one in document["annotations"] if one["image_id"] == image["id"]]
    box["bbox"] = [5, 5, 5, 5]
    path.write_text(json.dumps(document))
    report = dataset.add_all()
    assert [tuple(one)[1:] for one in report.edited] == [(0, 1, 0)] and keys(dataset) == ALL
    [found] = dataset.draft().annotations("a.jpg")
    assert found.shape is not None and tuple(found.shape.box or ()) == (5, 5, 5, 5)
    assert dataset.draft().snapshot.conflicts == 0 and kept(dataset) == (Kept("a.jpg", "z.jpg", "incoming"),)


def test_two_that_change_places(dataset: Dataset, laid: Path) -> None:
    (laid / "a.jpg").rename(laid / "x")
    (laid / "b.jpg").rename(laid / "a.jpg")
    (laid / "x").rename(laid / "b.jpg")
    assert set(kept(dataset)) == {Kept("a.jpg", "b.jpg", "incoming"), Kept("b.jpg", "a.jpg", "incoming")}
    before = list(dataset.draft().snapshot.input_tree)
    assert taken(dataset.add_all()) == (0, 0, 0, 0, 0) and list(dataset.draft().snapshot.input_tree) == before


def test_a_name_that_stays_taken(dataset: Dataset, images: Path, root: Path) -> None:
    """a.jpg's file lies in the checkout alone, and takes the name of b.jpg, which stays: so it stays, too."""
    (images / "a.jpg").unlink()
    dataset.add(images, root=images)
    checkout(dataset.repository, "pets")
    laid = root / "pets/images"
    (laid / "b.jpg").rename(laid / "w.jpg")
    (laid / "a.jpg").rename(laid / "b.jpg")
    assert set(kept(dataset)) == {Kept("a.jpg", "b.jpg", "incoming"), Kept("b.jpg", "w.jpg", "incoming")}
    before = list(dataset.draft().snapshot.input_tree)
    assert taken(dataset.add_all()) == (0, 0, 0, 0, 0) and list(dataset.draft().snapshot.input_tree) == before


def test_a_deletion_in_the_tracked_folder_counts(dataset: Dataset, images: Path, laid: Path) -> None:
    (images / "a.jpg").unlink()
    (images / "b.jpg").rename(images / "m.jpg")
    report = dataset.add_all()
    assert taken(report) == (0, 0, 1, 1, 1) and report.notes == ()
    assert keys(dataset) == ["deep/c.jpg", "m.jpg"] and count(dataset, "m.jpg") == 1
    assert taken(dataset.add_all()) == (0, 0, 0, 0, 0) and dataset.files().is_clean
    dataset.commit("without")
    update_folders(dataset.repository)
    assert sorted(path.name for path in laid.rglob("*.jpg")) == ["c.jpg", "m.jpg"]
    assert kept(dataset) == () and dataset.files().is_clean


def test_the_same_in_both(dataset: Dataset, images: Path, laid: Path) -> None:
    for folder in (images, laid):
        (folder / "a.jpg").unlink()
        (folder / "b.jpg").rename(folder / "m.jpg")
    dataset.add_all()
    assert keys(dataset) == ["deep/c.jpg", "m.jpg"] and count(dataset, "m.jpg") == 1
    assert dataset.files().is_clean and kept(dataset) == ()


def test_what_the_tracked_folder_does_not_have(dataset: Dataset, images: Path, root: Path) -> None:
    """The file was never there, or is what no file is: the checkout's word counts."""
    (images / "a.jpg").unlink()
    (images / "a.jpg").mkdir()
    (images / "deep/c.jpg").unlink()
    dataset.add(images, root=images)
    checkout(dataset.repository, "pets")
    laid = root / "pets/images"
    (laid / "a.jpg").unlink()
    (laid / "deep/c.jpg").rename(laid / "c.jpg")
    [folder] = dataset.folders()
    assert (folder.media.missing, folder.media.renamed) == (("a.jpg",), (("deep/c.jpg", "c.jpg"),))
    assert taken(dataset.add_all()) == (0, 0, 1, 1, 1) and keys(dataset) == ["b.jpg", "c.jpg"]


def test_a_tracked_folder_of_another_dataset(dataset: Dataset, images: Path, laid: Path) -> None:
    dataset.untrack("incoming")
    dataset.repository.create("birds").add(images, root=images)
    dataset.repository.use("pets")
    (laid / "a.jpg").unlink()
    assert taken(dataset.add_all()) == (0, 0, 0, 1, 1) and keys(dataset) == ALL[1:]


def test_a_checkout_in_the_tracked_folder_is_not_its_file(dataset: Dataset, root: Path) -> None:
    """The project is tracked as a whole: the path of the key pets/images/a.jpg lies in the folder that is laid out."""
    desk = root / "desk/pets/images"
    desk.mkdir(parents=True)
    (desk / "a.jpg").write_bytes(b"\xff\xd8\xffanother")
    dataset.add(desk / "a.jpg", root=root / "desk")
    dataset.commit("another")
    checkout(dataset.repository, "pets")
    dataset.add(root)
    (root / "pets/images/pets/images/a.jpg").unlink()
    [folder] = dataset.folders()
    assert folder.media.missing == ("pets/images/a.jpg",) and folder.kept == ()
