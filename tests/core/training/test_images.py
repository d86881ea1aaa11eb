"""The ready trainer: what it learns, what it holds out, what it leaves behind, and what it refuses."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from digits import write_digits
from pictures import picture

from dsvc.core.dataset import Dataset
from dsvc.core.training.images import Options, train_images
from dsvc.errors import InvalidRecordsError, RefusedError, UsageError
from dsvc.model.records import Annotation, Shape

Train = Callable[..., dict[str, float]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty dark and twenty bright pictures; of each, the last five are to be held out."""
    for number in range(40):
        split, name = "test" if number % 20 >= 15 else "train", ("dark", "light")[number // 20]
        file = tmp_path / "project" / "pics" / split / name / f"{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(6, 6, number % 20 * 3 + 180 * (number // 20)))
    return tmp_path / "project" / "pics"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def train(pets: Dataset, tmp_path: Path, run: Path) -> Train:
    """Import a folder of classes unless it was, lay the dataset out, and learn from it."""

    def train(folder: Path | None = None, say: Any = lambda _: None, **options: Any) -> dict[str, float]:
        if folder is not None:
            with pets.edit() as draft:
                draft.import_(folder, format="folder", root=folder)
        if not (tmp_path / "data").exists():
            pets.draft().export("coco", tmp_path / "data", media=True)
        return train_images(tmp_path / "data", run, Options(**options), say)

    return train


def predictions(run: Path) -> list[dict[str, Any]]:
    return json.loads((run / "predictions.json").read_text())


def images_of(data: Path, split: str) -> dict[int, str]:
    images = json.loads((data / f"annotations/labels_{split}.json").read_text())["images"]
    return {image["id"]: image["file_name"] for image in images}


# ---- what it learns


def test_digits_are_learned(pets: Dataset, tmp_path: Path, run: Path, train: Train) -> None:
    assert write_digits(tmp_path / "project" / "digits") == 1797
    with pets.edit() as draft:
        draft.import_(tmp_path / "project" / "digits", format="folder", root=tmp_path / "project" / "digits")
    pets.split("train=80,test=20")
    metrics = train()
    assert metrics["accuracy"] >= 0.95 and metrics["f1"] >= 0.95
    assert metrics["n_train"] + metrics["n_test"] == 1797 and 300 < metrics["n_test"] < 420
    assert json.loads((run / "metrics.json").read_text()) == metrics
    # The predictions say the same: of each picture, the class of the highest score against the folder it lay in.
    best: dict[int, tuple[float, int]] = {}
    for row in predictions(run):
        assert row.keys() == {"image_id", "category_id", "score"}
        best[row["image_id"]] = max(best.get(row["image_id"], (-1.0, 0)), (row["score"], row["category_id"]))
    document = json.loads((tmp_path / "data/annotations/labels_test.json").read_text())
    names = {row["id"]: row["name"] for row in document["categories"]}
    images = images_of(tmp_path / "data", "test")
    assert best.keys() == images.keys() and len(predictions(run)) == 10 * len(images)
    right = sum(images[image].startswith(names[concept] + "/") for image, (_, concept) in best.items())
    assert right / len(images) == metrics["accuracy"]


def test_it_comes_out_the_same_again(folder: Path, run: Path, train: Train) -> None:
    first = train(folder)
    files = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    assert sorted(file.relative_to(run).as_posix() for file in files) == [
        "metrics.json",
        "model/labels.json",
        "model/model.joblib",
        "predictions.json",
    ]
    assert first == {
        **dict.fromkeys(("accuracy", "precision", "recall", "f1"), 1.0),
        "n_train": 30,
        "n_test": 10,
        "n_classes": 2,
        "n_skipped": 0,
    }
    assert train() == first
    assert {file: file.read_bytes() for file in files} == files


def test_the_model_works_as_its_description_says(folder: Path, run: Path, train: Train) -> None:
    import joblib
    import numpy as np
    from PIL import Image

    train(folder)
    about = json.loads((run / "model/labels.json").read_text())
    version = sys.modules["sklearn"].__version__
    assert {name: about[name] for name in about if name != "pixels"} == {
        "labels": ["dark", "light"], "model": "svm", "size": 6, "mode": "L", "scikit-learn": version,
    }  # fmt: skip
    model = joblib.load(run / "model/model.joblib")
    with Image.open(folder / "test/light/39.png") as image:
        row = np.asarray(image.convert(about["mode"]).resize((about["size"],) * 2)).reshape(1, -1) / 255
    assert about["labels"][model.predict(row)[0]] == "light"


@pytest.mark.parametrize("model", ["svm", "logistic"])
def test_scores_of_two_classes_sum_to_one(model: str, folder: Path, run: Path, train: Train) -> None:
    assert train(folder, model=model)["accuracy"] == 1
    sums: dict[int, float] = {}
    for row in predictions(run):
        assert 0 <= row["score"] <= 1
        sums[row["image_id"]] = sums.get(row["image_id"], 0) + row["score"]
    assert len(sums) == 10 and all(abs(total - 1) < 1e-5 for total in sums.values())


def test_a_model_of_another_name(folder: Path, train: Train) -> None:
    with pytest.raises(UsageError, match="no model 'forest'"):
        train(folder, model="forest")


def test_colours_count_where_there_are_some(folder: Path, run: Path, train: Train) -> None:
    from PIL import Image

    for number in range(20):
        for name, colour in (("red", (150 + number, 0, 0)), ("green", (0, 76 + number // 2, 0))):  # alike in grey
            Image.new("RGB", (5, 5), colour).save(folder / "train" / "light" / f"{name}{number}.png")
            split = folder / ("test" if number > 15 else "train") / name
            split.mkdir(exist_ok=True)
            (folder / "train" / "light" / f"{name}{number}.png").rename(split / f"{number}.png")
    assert train(folder)["accuracy"] == 1
    assert json.loads((run / "model/labels.json").read_text())["mode"] == "RGB"


def test_what_was_never_learned_counts_as_wrong(folder: Path, train: Train) -> None:
    (folder / "test" / "blank").mkdir()
    (folder / "test" / "blank" / "x.png").write_bytes(picture(6, 6, 128))
    said: list[str] = []
    metrics = train(folder, said.append)
    assert metrics["accuracy"] == 10 / 11
    assert metrics["n_classes"] == 2
    assert said == [
        "30 to learn from, 11 held out: split test",
        "held out, but never learned from: blank",
        "svm on 6 x 6 grey pixels",
        f"of what was held out: accuracy 90.9%, f1 {metrics['f1']:.1%}",
    ]


# ---- what it is told of images


def test_pictures_of_splits_that_each_had_a_folder(pets: Dataset, folder: Path, run: Path, train: Train) -> None:
    """COCO files beside their images, as Roboflow makes them: each numbers its images by itself, and names them so."""
    for split in ("train", "test"):
        files = sorted((folder / split).rglob("*.png"))
        images = [{"id": n, "file_name": f"{n}.png"} for n, _ in enumerate(files)]
        labels = [
            {"id": n, "image_id": n, "category_id": 1 + (file.parent.name == "light")} for n, file in enumerate(files)
        ]
        for n, file in enumerate(files):
            file.rename(folder / split / f"{n}.png")
        names = [{"id": 1, "name": "dark"}, {"id": 2, "name": "light"}]
        document = {"images": images, "annotations": labels, "categories": names}
        (folder / split / "_annotations.coco.json").write_text(json.dumps(document))
    with pets.edit() as draft:
        draft.import_(folder, format="coco")
    metrics = train()
    assert (metrics["accuracy"], metrics["n_train"], metrics["n_test"]) == (1, 30, 10)
    assert {row["file_name"] for row in predictions(run)} == {f"pics/test/{n}.png" for n in range(10)}
    assert not any("image_id" in row for row in predictions(run))
    pets.commit("all")
    evaluation = pets.evaluate(pets.name, str(run / "predictions.json"), predicted=True)
    assert evaluation.entry.record["figures"]["accuracy"] == 1


def test_boxes_are_no_classes(pets: Dataset, folder: Path, train: Train) -> None:
    with pets.edit() as draft:
        draft.import_(folder, format="folder", root=folder)
        draft.annotate(Annotation(key="train/dark/00.png", id="", concept="light", shape=Shape(box=(1, 1, 2, 2))))
    said: list[str] = []
    assert train(None, said.append)["n_train"] == 30


def test_a_class_said_twice_is_one(pets: Dataset, folder: Path, train: Train) -> None:
    with pets.edit() as draft:
        draft.import_(folder, format="folder", root=folder)
        draft.annotate(Annotation(key="train/dark/00.png", id="", concept="dark"))
    assert train()["n_train"] == 30


def test_an_image_of_two_classes_is_named(pets: Dataset, folder: Path, run: Path, train: Train) -> None:
    with pets.edit() as draft:
        draft.import_(folder, format="folder", root=folder)
        draft.annotate(Annotation(key="train/dark/00.png", id="", concept="light"))
    with pytest.raises(InvalidRecordsError, match="1 image has more than one class") as error:
        train()
    assert error.value.problems == ("train/dark/00.png: dark, light",)
    assert not any(run.iterdir())


def test_images_without_a_class_are_passed_over(folder: Path, train: Train) -> None:
    (folder / "train" / "loose.png").write_bytes(picture(6, 6, 1))
    said: list[str] = []
    assert train(folder, said.append)["n_train"] == 30
    assert said[1] == "1 without a class passed over"


def test_nothing_is_classified(pets: Dataset, folder: Path, train: Train) -> None:
    with pets.edit() as draft:
        draft.add(folder)
    with pytest.raises(RefusedError, match="none of the 40 images is classified") as error:
        train()
    assert error.value.hint is not None and "dsvc annotate KEY --concept NAME" in error.value.hint


def test_all_are_of_one_class(folder: Path, train: Train) -> None:
    for file in (folder / "train" / "light").iterdir():
        file.unlink()
    with pytest.raises(RefusedError, match="all pictures to learn from are of one class: dark"):
        train(folder)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"images": 3}', b"\xff\xfe"])
def test_a_folder_that_is_no_coco_export(content: bytes | None, tmp_path: Path, run: Path) -> None:
    data = tmp_path / "other"
    (data / "annotations").mkdir(parents=True)
    if content is not None:
        (data / "annotations" / "labels.json").write_bytes(content)
    with pytest.raises(RefusedError, match=r"(holds|is) no COCO file") as error:
        train_images(data, run)
    assert error.value.hint == "the ready trainer reads COCO: leave --format out"


# ---- pictures that cannot be read


def broken(folder: Path) -> list[str]:
    """Spoil three pictures: one is cut, one promises 10,000 x 10,000 pixels, one has nothing but its header."""
    whole = picture(6, 6, 9)
    promising = b"IHDR" + struct.pack(">II", 10_000, 10_000) + whole[24:29]
    (folder / "train/dark/00.png").write_bytes(whole[:60])
    (folder / "train/dark/01.png").write_bytes(
        whole[:12] + promising + struct.pack(">I", zlib.crc32(promising)) + whole[33:]
    )
    (folder / "test/dark/15.png").write_bytes(whole[:33])
    return ["train/dark/00.png", "train/dark/01.png", "test/dark/15.png"]


def test_pictures_that_cannot_be_read_are_named(folder: Path, run: Path, train: Train) -> None:
    names = broken(folder)
    with pytest.raises(InvalidRecordsError, match="3 pictures cannot be read") as error:
        train(folder)
    assert [problem.partition(": ")[0] for problem in error.value.problems] == names
    assert error.value.problems[1] == (
        "train/dark/01.png: its header promises 10,000 x 10,000 pixels, and more than 89,478,485 are not decoded"
    )
    assert error.value.hint == "mend them, or leave them out: --on-error skip"
    assert not any(run.iterdir())


def test_pictures_that_cannot_be_read_are_skipped_when_that_is_asked_for(folder: Path, run: Path, train: Train) -> None:
    names = broken(folder)
    said: list[str] = []
    metrics = train(folder, said.append, skip=True)
    assert (metrics["n_train"], metrics["n_test"], metrics["n_skipped"]) == (28, 9, 3)
    assert said[1] == "3 pictures skipped:"
    assert [line.strip().partition(": ")[0] for line in said[2:5]] == names
    assert len({row["image_id"] for row in predictions(run)}) == 9


def test_nothing_that_is_held_out_can_be_read(folder: Path, train: Train) -> None:
    for file in (folder / "test").rglob("*.png"):
        file.write_bytes(picture()[:40])
    with pytest.raises(InvalidRecordsError, match="no picture that is held out can be read"):
        train(folder, skip=True)


def test_an_image_without_bytes_is_named(tmp_path: Path, folder: Path, train: Train) -> None:
    train(folder)
    (tmp_path / "data/images/train/dark/00.png").unlink()
    (tmp_path / "data/images/train/dark/01.png").write_bytes(b"")
    with pytest.raises(InvalidRecordsError) as error:
        train()
    assert error.value.problems == (
        "train/dark/00.png: its bytes are not there",
        "train/dark/01.png: has no bytes",
    )


@pytest.mark.parametrize(("module", "name"), [("sklearn", "scikit-learn"), ("PIL", "Pillow")])
def test_a_library_that_is_not_installed(
    module: str, name: str, folder: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(folder)
    for loaded in [one for one in sys.modules if one.split(".")[0] == module]:
        monkeypatch.setitem(sys.modules, loaded, None)
    with pytest.raises(RefusedError, match=f"the trainer sklearn needs {name}") as error:
        train()
    assert error.value.hint == "pip install 'dsvc[sklearn]'"
