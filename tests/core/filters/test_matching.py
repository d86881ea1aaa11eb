"""Exports of the inputs that a filter is true of."""

import json
from pathlib import Path

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.filters.matching import Matching
from dsvc.core.state import State
from dsvc.errors import FilterError, RefusedError
from dsvc.model.records import Annotation

FORMATS = ("coco", "clarifai-json", "clarifai-protobuf")


@pytest.fixture
def state(pets: Dataset, write, coco) -> State:
    """40 inputs: every fourth one is for validation, every fifth has cats, and the others have two dogs each."""
    numbers = range(40)
    images = [{"id": n, "file_name": f"{n:02}.jpg", "width": 640, "height": 480, "license": 1} for n in numbers]
    boxes = [
        {"id": 2 * n + k, "image_id": n, "category_id": 1 if n % 5 == 0 else 3, "bbox": [n, k, 9, 9], "area": 81}
        for n in numbers
        for k in (0, 1)
    ]
    pets.import_(write(coco(images=images, annotations=boxes)))
    pets.set(*(f"{n:02}.jpg" for n in numbers if n % 4 == 0), split="val")
    pets.commit("all")
    return pets.at("HEAD")


@pytest.mark.parametrize("where", ["split = 'val'", "concept = 'cat'", "key = '03.jpg'", "true", "key >= '05.jpg'"])
def test_it_is_what_the_same_dataset_without_the_others_gives(
    state: State, pets: Dataset, where: str, tmp_path: Path
) -> None:
    for format in FORMATS:
        state.export(format, tmp_path / f"{format}.zip", where=where)
    pets.remove_matching("inputs", f"not coalesce({where}, false)")
    pets.commit("the others", allow_empty=True)
    for format in FORMATS:
        pets.at("HEAD").export(format, tmp_path / f"{format}-rest.zip")
        assert (tmp_path / f"{format}.zip").read_bytes() == (tmp_path / f"{format}-rest.zip").read_bytes()


def test_all_concepts_stay(state: State, tmp_path: Path) -> None:
    report = state.export("coco", tmp_path / "out.json", where="concept = 'cat'")
    assert (report.inputs, report.annotations) == (8, 16)
    document = json.loads((tmp_path / "out.json").read_text())
    assert [category["name"] for category in document["categories"]] == ["cat", "dog"]
    assert [image["id"] for image in document["images"]] == [0, 5, 10, 15, 20, 25, 30, 35]


def test_an_input_comes_with_all_its_annotations(state: State, pets: Dataset) -> None:
    pets.annotate(Annotation(key="00.jpg", id="", concept="dog"))
    (sample, *_) = Matching(pets.draft(), "concept = 'cat'").samples()
    assert sorted(annotation.concept or "" for annotation in sample.annotations) == ["cat", "cat", "dog"]


def test_samples_are_those_of_the_state(state: State, pets: Dataset) -> None:
    with pets.edit() as draft:
        for key in ("00.jpg", "07.jpg"):
            for annotation in list(state.annotations(key)):
                draft.remove_annotation(key, annotation.id)
    draft_state = pets.draft()
    for where in ("true", "key <= '07.jpg'", "split is null", "key = '07.jpg'", "id is null"):
        chosen = Matching(draft_state, where)
        keys = {record.key for record in chosen.inputs()}
        assert list(chosen.samples()) == [sample for sample in draft_state.samples() if sample.input.key in keys]
        assert len(keys) > 0
    assert chosen.input("00.jpg") is not None and chosen.input("01.jpg") is None


def test_nothing_matches(state: State, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no input matches"):
        state.export("coco", tmp_path / "out.json", where="concept = 'cow'")
    with pytest.raises(FilterError, match="no column 'conept'"):
        state.export("coco", tmp_path / "out.json", where="conept = 'cow'")
    assert not (tmp_path / "out.json").exists()
