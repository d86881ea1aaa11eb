"""Folders of COCO files: which files are parts, of which split, and where their images may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsvc.core.imports.splits import split_of
from dsvc.formats.coco_folder import CocoFolder, find_parts


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("TRAIN2017", "train"),
        ("train_2017", "train"),
        ("train-2017", "train"),
        ("valid", "val"),
        ("validation", "val"),
        ("val2014", "val"),
        ("test", "test"),
        ("testing", "test"),
        ("test1999", "test"),
        ("2017", None),
        ("train3017", None),
        ("train20171", None),
        ("trainval", None),
        ("dev", None),
        ("", None),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


def folder(path: Path, *names: str) -> Path:
    """A folder with these files; a name that ends in a slash is a folder."""
    for name in names:
        place = path / name
        if name.endswith("/"):
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("{}")
    return path


def parts(path: Path) -> list[tuple[str, str, list[str], str | None, bool]]:
    return [
        (
            part.file.relative_to(path).as_posix(),
            part.name,
            [place.relative_to(path).as_posix() for place in part.images],
            part.split,
            part.beside,
        )
        for part in find_parts(path).parts
    ]


def test_a_file_in_each_splits_folder(tmp_path: Path) -> None:
    names = [f"{name}/_annotations.coco.json" for name in ("train", "valid", "test", "extra")]
    assert parts(folder(tmp_path, *names, "README.roboflow.txt", "empty/")) == [
        ("extra/_annotations.coco.json", "extra", ["extra"], None, True),
        ("test/_annotations.coco.json", "test", ["test"], "test", True),
        ("train/_annotations.coco.json", "train", ["train"], "train", True),
        ("valid/_annotations.coco.json", "val", ["valid"], "val", True),
    ]


def test_one_file_for_the_whole_folder(tmp_path: Path) -> None:
    assert parts(folder(tmp_path, "_annotations.coco.json")) == [("_annotations.coco.json", "", ["."], None, True)]


def test_two_folders_of_one_split_have_names_of_their_own(tmp_path: Path) -> None:
    folder(tmp_path, "val/_annotations.coco.json", "valid/_annotations.coco.json", "train/_annotations.coco.json")
    assert [(name, split) for _, name, _, split, _ in parts(tmp_path)] == [
        ("train", "train"),
        ("val", "val"),
        ("valid", "val"),
    ]


def test_a_folder_of_annotations(tmp_path: Path) -> None:
    folder(
        tmp_path,
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
        "annotations/instances_my-own.json",
        "annotations/instances.json",
        "train2017/",
        "images/val/",
        "images/my-own/",
    )
    assert parts(tmp_path) == [
        ("annotations/instances.json", "instances", ["images"], None, False),
        ("annotations/instances_my-own.json", "my-own", ["images/my-own", "images"], "my-own", False),
        ("annotations/instances_train2017.json", "train", ["train2017", "images"], "train", False),
        ("annotations/instances_val2017.json", "val", ["images/val", "images"], "val", False),
    ]


def test_several_tasks_of_a_split(tmp_path: Path) -> None:
    folder(
        tmp_path,
        "annotations/captions_val.json",
        "annotations/instances_val.json",
        "annotations/person_keypoints_val.json",
    )
    assert [name for _, name, *_ in parts(tmp_path)] == ["captions_val", "instances_val", "person_keypoints_val"]


def test_files_that_are_called_like_a_split(tmp_path: Path) -> None:
    folder(tmp_path, "annotations/train.json", "annotations/valid.json", "annotations/words.json", "train/")
    assert parts(tmp_path) == [
        ("annotations/train.json", "train", ["train"], "train", False),
        ("annotations/valid.json", "val", [], "val", False),
    ]
    assert find_parts(tmp_path).others == (tmp_path / "annotations/words.json",)


def test_other_files_are_told_and_rejects_are_not(tmp_path: Path) -> None:
    folder(
        tmp_path,
        "annotations/image_info_test2017.json",
        "annotations/instances_train.rejects.json",
        "annotations/instances_train.rejects-2.json",
        "annotations/readme.txt",
        "annotations/instances_odd.json/",
    )
    assert find_parts(tmp_path) == CocoFolder((), (tmp_path / "annotations/image_info_test2017.json",))


@pytest.mark.parametrize("names", [("a.jpg",), ("annotations",), ("train/_annotations.coco.json/",), ("x/y/z.json",)])
def test_what_is_no_such_folder(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert find_parts(folder(tmp_path, *names)) == CocoFolder()


def test_files_at_the_top_say_nothing(tmp_path: Path) -> None:
    assert find_parts(folder(tmp_path, "labels.json", "data/")) == CocoFolder((), (tmp_path / "labels.json",))
