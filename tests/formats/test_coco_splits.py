"""Splits in COCO: a file for each goes out and comes in again, with the numbers, licences and fields that it had."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError
from dsvc.model.commit import Author

Document = dict[str, Any]
Write = Callable[..., Path]


def export(dataset: Dataset, out: Path, **options: Any) -> dict[str, Document]:
    """Commit and export; the annotation files by name."""
    if dataset.has_draft():
        dataset.commit("all")
    dataset.at().export("coco", out, **options)
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((out / "annotations").iterdir())}


def texts(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def keys(dataset: Dataset) -> list[tuple[str, str | None]]:
    return [(one.key, one.input.split) for one in dataset.draft()]


def comes_back(out: Path, dataset: Dataset, folder: Path, **options: Any) -> Dataset:
    """Import an export into a new repository, where it must be exported with the same bytes and have the same keys."""
    other = dsvc.init(folder / "again", author=Author("Bo", "bo@example.org")).create("again")
    other.import_(out)
    export(other, folder / "again/out", **options)
    assert texts(folder / "again/out") == texts(out)
    assert keys(other) == keys(dataset)
    return other


def by_id(rows: list[Document]) -> dict[Any, Document]:
    return {row["id"]: row for row in rows}


@pytest.fixture
def splits(write: Write, coco: Callable[..., Document], repo: Repository) -> Path:
    """Two splits in the project as Roboflow lays them out, with the same numbers, and other fields in each."""
    assert repo.root is not None
    for split, licence in (("train", "Free"), ("valid", "Paid")):
        document = coco(info={"of": split}, licenses=[{"id": 1, "name": licence, "url": split}])
        write(document, f"project/set/{split}/_annotations.coco.json")
        for name in ("a.jpg", "b.jpg"):
            write(b"\xff\xd8\xff" + f"{split} {name}".encode(), f"project/set/{split}/{name}")
    return repo.root / "set"


def test_each_split_has_its_file_with_all_that_it_had(
    pets: Dataset, splits: Path, tmp_path: Path, coco: Callable[..., Document]
) -> None:
    pets.import_(splits)
    made = export(pets, tmp_path / "out", media=True)
    assert list(made) == ["instances_train", "instances_val"]
    for name, folder, licence in (("instances_train", "train", "Free"), ("instances_val", "valid", "Paid")):
        came = coco(info={"of": folder}, licenses=[{"id": 1, "name": licence, "url": folder}])
        for row in came["images"]:
            row["file_name"] = f"set/{folder}/{row['file_name']}"
        assert made[name] == came
    other = comes_back(tmp_path / "out", pets, tmp_path, media=True)
    assert {one.key: one.read_bytes() for one in other.draft()} == {one.key: one.read_bytes() for one in pets.draft()}


def test_the_bytes_of_an_export_with_splits_never_change(pets: Dataset, splits: Path, tmp_path: Path) -> None:
    pets.import_(splits)
    export(pets, tmp_path / "out", media=True)
    files = sorted(texts(tmp_path / "out").items())
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + data for name, data in files)).hexdigest()
    assert digest == "d297c80f5681dc3ed9ac7791639ba30e148a8a6e385072fbdb83dd26c1eeaa55"


def test_one_file_takes_all_splits_together(pets: Dataset, splits: Path, tmp_path: Path) -> None:
    """There numbers meet, and so do licences."""
    pets.import_(splits)
    pets.commit("all")
    report = pets.at().export("coco", tmp_path / "out.json")
    assert report.notes == (
        "2 images renumbered, since their numbers were taken",
        "2 annotations renumbered, since their numbers were taken",
        "1 field of whole files was left out, since another file has them too",
        "4 inputs lost their split, which COCO has no field for",
    )
    made = json.loads((tmp_path / "out.json").read_bytes())
    licences = {row["id"]: row["name"] for row in made["licenses"]}
    assert sorted(licences.values()) == ["Free", "Paid"]
    assert {row["file_name"]: licences[row["license"]] for row in made["images"] if "license" in row} == {
        "set/train/a.jpg": "Free",
        "set/valid/a.jpg": "Paid",
    }
    assert made["info"] == {"of": "train"}


def test_a_split_that_was_made_here_has_the_licences_of_its_images(pets: Dataset, splits: Path, tmp_path: Path) -> None:
    pets.import_(splits)
    pets.set("set/train/a.jpg", "set/valid/a.jpg", split="dev")
    made = export(pets, tmp_path / "out")
    assert list(made) == ["instances_dev", "instances_train", "instances_val"]
    dev = made["instances_dev"]
    licences = {row["id"]: row["name"] for row in dev["licenses"]}
    assert [licences[row["license"]] for row in dev["images"]] == ["Free", "Paid"]
    # Those files that there were have no more than they had.
    assert [row["name"] for row in made["instances_train"]["licenses"]] == ["Free"]
    assert {len({row["id"] for row in dev[name]}) for name in ("images", "annotations", "licenses")} == {2}
    comes_back(tmp_path / "out", pets, tmp_path)


def test_an_image_that_moved_to_another_split_takes_its_licence_along(
    pets: Dataset, splits: Path, tmp_path: Path
) -> None:
    pets.import_(splits)
    pets.set("set/valid/a.jpg", split="train")
    train = export(pets, tmp_path / "out")["instances_train"]
    assert train["info"] == {"of": "train"}
    licences = {row["id"]: row["name"] for row in train["licenses"]}
    assert {row["file_name"]: licences[row["license"]] for row in train["images"] if "license" in row} == {
        "set/train/a.jpg": "Free",
        "set/valid/a.jpg": "Paid",
    }
    assert len(licences) == len(train["licenses"]) == 2


def test_inputs_without_a_split_have_a_file_of_their_own(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    pets.import_(write(coco(), "pets.json"))
    pets.set("a.jpg", split="train")
    made = export(pets, tmp_path / "out")
    assert {name: [row["file_name"] for row in one["images"]] for name, one in made.items()} == {
        "instances": ["b.jpg"],
        "instances_train": ["a.jpg"],
    }
    comes_back(tmp_path / "out", pets, tmp_path)


def test_without_splits_there_is_one_file(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    pets.import_(write(coco(), "pets.json"))
    assert list(export(pets, tmp_path / "out")) == ["instances"]
    comes_back(tmp_path / "out", pets, tmp_path)


def test_tasks_and_splits(pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path) -> None:
    points, words = coco(), coco(categories=[])
    for one in points["annotations"]:
        one["keypoints"] = [1, 2, 2]
    words["annotations"] = [{"id": 50 + n, "image_id": n, "caption": f"picture {n}"} for n in (1, 2)]
    for split, prefix in (("train2017", ""), ("val2017", "v")):
        for task, document in (("instances", coco()), ("person_keypoints", points), ("captions", words)):
            images = [{**row, "file_name": prefix + row["file_name"]} for row in document["images"]]
            write({**document, "images": images}, f"set/annotations/{task}_{split}.json")
    pets.import_(tmp_path / "set")
    made = export(pets, tmp_path / "out")
    assert {name: len(one["annotations"]) for name, one in made.items()} == {
        f"{task}_{split}": 2 for task in ("captions", "instances", "person_keypoints") for split in ("train", "val")
    }
    comes_back(tmp_path / "out", pets, tmp_path)


def test_several_files_do_not_fit_in_one(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    words = coco(annotations=[{"id": 1, "image_id": 1, "caption": "x"}], categories=[])
    write(coco(), "set/annotations/instances_train.json")
    write(words, "set/annotations/captions_train.json")
    pets.import_(tmp_path / "set")
    pets.commit("all")
    with pytest.raises(RefusedError, match=r"makes several COCO files: instances\.json, captions\.json"):
        pets.at().export("coco", tmp_path / "out.json")


def test_spellings_of_names_come_back_behind_their_folder(
    pets: Dataset, splits: Path, coco: Callable[..., Document], tmp_path: Path
) -> None:
    document = coco()
    document["images"][0]["file_name"] = ".\\a.jpg"
    (splits / "train/_annotations.coco.json").write_text(json.dumps(document))
    pets.import_(splits)
    made = export(pets, tmp_path / "out", media=True)
    assert [row["file_name"] for row in made["instances_train"]["images"]] == [
        "set/train/.\\a.jpg",
        "set/train/b.jpg",
    ]
    comes_back(tmp_path / "out", pets, tmp_path, media=True)


def test_tables_and_folders_of_classes_cost_an_export_nothing(
    pets: Dataset, coco: Callable[..., Document], write: Write, tmp_path: Path
) -> None:
    pets.import_(write(coco(), "pets.json"))
    pets.import_(write("key,split,concepts\na.jpg,train,sunny\n", "meta.csv"))
    pets.commit("all")
    report = pets.at().export("coco", tmp_path / "out", strict=True)
    assert report.notes == ()


def test_clarifai_has_a_folder_for_each_split(pets: Dataset, splits: Path, tmp_path: Path) -> None:
    pets.import_(splits)
    pets.commit("all")
    pets.at().export("clarifai-json", tmp_path / "out")
    folders = {path.parent.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*_n*")}
    assert folders == {"train", "val"}


# ---- real files


@pytest.fixture
def bccd(corpus: Path, tmp_path: Path) -> Path:
    """Roboflow's files where Roboflow puts them, without their images."""
    for split in ("train", "valid"):
        place = tmp_path / "project/bccd" / split / "_annotations.coco.json"
        place.parent.mkdir(parents=True)
        shutil.copy(corpus / f"coco/roboflow_bccd_{split}.coco.json", place)
    return tmp_path / "project/bccd"


def test_roboflows_folder(pets: Dataset, bccd: Path, tmp_path: Path) -> None:
    report = pets.import_(bccd)
    assert (report.inputs, report.annotations, report.concepts, report.extra, report.notes) == (230, 5417, 3, (), ())
    assert len(report.missing) == 230
    assert not pets.import_(bccd).changed
    made = export(pets, tmp_path / "out")
    for split, folder in (("train", "train"), ("val", "valid")):
        came, went = json.loads((bccd / folder / "_annotations.coco.json").read_bytes()), made[f"instances_{split}"]
        assert came.keys() == went.keys()
        assert (came["info"], came["licenses"]) == (went["info"], went["licenses"])
        for row in came["images"]:
            row["file_name"] = f"bccd/{folder}/{row['file_name']}"
        assert by_id(came["images"]) == by_id(went["images"])
        assert by_id(came["annotations"]) == by_id(went["annotations"])
        assert by_id(came["categories"]) == by_id(went["categories"])
        assert len(came["annotations"]) == len(went["annotations"])
    comes_back(tmp_path / "out", pets, tmp_path)


def test_a_folder_of_coco_with_images(pets: Dataset, corpus: Path, tmp_path: Path) -> None:
    report = pets.import_(corpus / "clarifai_coco10")
    assert (report.inputs, report.annotations, report.missing, report.extra) == (10, 77, (), ())
    assert {split for _, split in keys(pets)} == {"val2017_subset"}
    made = export(pets, tmp_path / "out", media=True)
    came = json.loads((corpus / "clarifai_coco10/annotations/instances_val2017_subset.json").read_bytes())
    went = made["instances_val2017_subset"]
    assert {name: by_id(came[name]) for name in ("images", "annotations", "categories")} == {
        name: by_id(went[name]) for name in ("images", "annotations", "categories")
    }
    comes_back(tmp_path / "out", pets, tmp_path, media=True)
