"""Annotation files as other programs write them, laid out: written again they change nothing, and one edit is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.layout.checkout import checkout, update_folders

FILES = (
    "coco/datumaro_stuff_val.json",
    "coco/instances_val2014_100.json",
    "coco/labelformat_instances_with_binary_mask.json",
    "coco/labelformat_weird_filenames/train.json",
    "coco/lvis_val_100.json",
    "coco/mmdet_vis_sample.json",
    "coco/mmpose_coco_wholebody.json",
    "coco/roboflow_bccd_valid.coco.json",
)


def rewrite(root: Path, names: tuple[str, ...], change: Callable[[Any], object] = lambda document: None) -> None:
    """Write annotation files again, as another program would."""
    for name in names:
        path = root / "pets" / name
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document, indent=1))


def widen(document: Any) -> None:
    """Move one edge of one box."""
    boxed = [one for one in document["annotations"] if len(one.get("bbox") or ()) == 4]
    boxed[len(boxed) // 2]["bbox"][2] += 1.5


@pytest.mark.parametrize("name", FILES)
def test_one_edit_is_one(name: str, corpus: Path, pets: Dataset, root: Path) -> None:
    pets.import_(corpus / name)
    pets.commit("as it came")
    names = checkout(pets.repository, "pets").annotations
    rewrite(root, names)
    assert [tuple(one)[1:] for one in pets.add_all().edited] == [(0, 0, 0)] * len(names)
    assert pets.status().is_clean
    rewrite(root, names, widen)
    pets.add_all()
    assert dict(pets.status().summary.annotations) == {"added": 0, "removed": 0, "changed": 1}
    assert pets.draft().snapshot.conflicts == 0
    pets.commit("one edit")
    assert all(update.is_whole for update in update_folders(pets.repository))
    [folder] = pets.folders()
    assert folder.is_clean


@pytest.fixture
def three(pets: Dataset, write: Callable[..., Path], root: Path) -> tuple[str, ...]:
    """The names of the files of a dataset that came as instances, keypoints and captions."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n in (1, 2)]
    categories = [{"id": 1, "name": "person", "keypoints": ["a", "b"], "skeleton": [[1, 2]]}, {"id": 2, "name": "cat"}]
    box = {"image_id": 1, "bbox": [1, 1, 8, 8], "area": 64, "iscrowd": 0}
    person = {**box, "id": 10, "category_id": 1}
    points = {"keypoints": [2, 2, 2, 5, 5, 1], "num_keypoints": 2}
    documents = {
        "instances": [person, {**box, "id": 11, "category_id": 2, "image_id": 2}],
        "person_keypoints": [{**person, **points}],
        "captions": [{"id": 20, "image_id": n, "caption": f"text {n}"} for n in (1, 2)],
    }
    for task, rows in documents.items():
        used = {"images": images, "annotations": rows}
        pets.import_(write({**used, "categories": categories} if task != "captions" else used, f"{task}.json"))
    pets.commit("three files")
    return checkout(pets.repository, "pets").annotations


def test_several_files(pets: Dataset, root: Path, three: tuple[str, ...]) -> None:
    assert sorted(Path(name).stem for name in three) == ["captions", "instances", "person_keypoints"]
    rewrite(root, three)
    pets.add_all()
    assert pets.status().is_clean
    pets.discard()
    edits: dict[str, Callable[[Any], object]] = {
        "instances": lambda document: document["annotations"][0].update(bbox=[1, 1, 9, 9]),
        "person_keypoints": lambda document: document["annotations"][0]["keypoints"].__setitem__(0, 3),
        "captions": lambda document: document["annotations"][1].update(caption="another text"),
    }
    for task, edit in edits.items():
        rewrite(root, (f"annotations/{task}.json",), edit)
    pets.add_all()
    assert dict(pets.status().summary.annotations) == {"added": 0, "removed": 0, "changed": 2}
    [person] = [one for one in pets.draft().annotations("1.jpg") if one.keypoints]
    assert person.shape is not None and tuple(person.shape.box or ()) == (1, 1, 9, 9)  # type: ignore[arg-type]
    texts = [one.text for one in pets.draft().annotations("2.jpg") if one.text]
    assert texts == ["another text"] and pets.draft().snapshot.conflicts == 0
    pets.commit("edited")
    assert all(update.is_whole for update in update_folders(pets.repository))
    [folder] = pets.folders()
    assert folder.is_clean


def test_what_one_file_drops_the_others_keep(pets: Dataset, root: Path, three: tuple[str, ...]) -> None:
    """A caption is no annotation that the file of instances could leave out."""
    rewrite(root, ("annotations/instances.json",), lambda document: document.update(annotations=[]))
    pets.add_all()
    left = [(one.concept, one.text) for key in ("1.jpg", "2.jpg") for one in pets.draft().annotations(key)]
    assert (None, "text 1") in left and (None, "text 2") in left and ("cat", None) not in left
