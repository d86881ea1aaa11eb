"""Inputs with other keys: annotations follow with their ids, and no key is taken twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.moving import move_inputs, plan_moves
from dsvc.core.operations import undo
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.extras import forget_spelling


@pytest.fixture
def labelled(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> Dataset:
    pets.import_(write(coco()))
    pets.commit("first")
    return pets


def keys(dataset: Dataset) -> list[str]:
    return [record.key for record in dataset.draft().inputs()]


def test_annotations_follow_with_their_ids(labelled: Dataset) -> None:
    labelled.annotate("a.jpg", "dog")
    before = labelled.draft()["a.jpg"]
    report = labelled.move("a.jpg", to="z/new.jpg")
    after = labelled.draft()["z/new.jpg"]
    assert (report.moves, report.annotations) == ({"a.jpg": "z/new.jpg"}, 2)
    assert keys(labelled) == ["b.jpg", "z/new.jpg"]
    assert after.input == msgspec.structs.replace(before.input, key="z/new.jpg")
    assert after.annotations == tuple(msgspec.structs.replace(a, key="z/new.jpg") for a in before.annotations)
    assert list(labelled.draft().annotations("a.jpg")) == []
    undo(labelled.repository)
    assert labelled.draft()["a.jpg"].annotations == before.annotations


def test_there_and_back_changes_nothing(labelled: Dataset) -> None:
    labelled.move("a.jpg", to="c.jpg")
    labelled.move("c.jpg", to="a.jpg")
    assert not labelled.has_draft()


def test_keys_that_begin_alike_are_not_mixed_up(labelled: Dataset, tmp_path: Path) -> None:
    for name in ("a", "a.jpg.txt", "a.jpgx"):
        (tmp_path / name).write_bytes(b"x")
        labelled.add(tmp_path / name, root=tmp_path)
        labelled.annotate(name, "cat")
    labelled.move("a.jpg", to="moved.jpg")
    counts = {sample.key: len(sample.annotations) for sample in labelled.draft()}
    assert counts == {"a": 1, "a.jpg.txt": 1, "a.jpgx": 1, "b.jpg": 1, "moved.jpg": 1}


def test_several_move_to_a_folder(labelled: Dataset) -> None:
    report = labelled.move("a.jpg", "b.jpg", to="train/")
    assert report.moves == {"a.jpg": "train/a.jpg", "b.jpg": "train/b.jpg"} and report.annotations == 2
    labelled.move("train/a.jpg", to="val/deep/")
    assert keys(labelled) == ["train/b.jpg", "val/deep/a.jpg"]


@pytest.mark.parametrize(
    ("names", "target", "error", "said"),
    [
        (["a.jpg"], "b.jpg", RefusedError, "there is an input 'b.jpg' already"),
        (["a.jpg"], "a.jpg", RefusedError, "there is an input 'a.jpg' already"),
        (["a.jpg"], "../x", RefusedError, "leads out"),
        (["a.jpg"], "/x", RefusedError, "is absolute"),
        (["a.jpg"], "/", RefusedError, "is absolute"),
        (["a.jpg"], "", RefusedError, "is empty"),
        (["a.jpg"], "x" * 1025, RefusedError, "1,024 are the most"),
        (["a.jpg"], "a\0b", RefusedError, "NUL"),
        (["a.jpg"], "b.jpg/x", RefusedError, "'b.jpg' is an input, so it cannot be a folder"),
        (["a.jpg", "b.jpg"], "c", UsageError, "2 inputs can only be moved to a folder"),
        (["a.jpg", "x/a.jpg"], "c/", RefusedError, "'a.jpg' and 'x/a.jpg' would both become 'c/a.jpg'"),
        ([], "c/", UsageError, "name the inputs"),
        (["c.jpg"], "d.jpg", NotFoundError, r"no input 'c\.jpg'"),
        (["a.jpg", "c.jpg"], "d/", NotFoundError, r"no input 'c\.jpg'"),
    ],
)
def test_what_is_refused_changes_nothing(
    labelled: Dataset, names: list[str], target: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        labelled.move(*names, to=target)
    assert not labelled.has_draft()


def test_a_folder_is_no_key(labelled: Dataset) -> None:
    labelled.move("a.jpg", to="x y/a.jpg")
    with pytest.raises(RefusedError, match="'x y' is a folder of inputs") as caught:
        labelled.move("b.jpg", to="x y")
    assert caught.value.hint == "to move there, end it with /: dsvc mv KEY 'x y'/"


def test_an_input_may_become_a_file_in_a_folder_of_its_own_name(labelled: Dataset) -> None:
    labelled.move("a.jpg", to="a.jpg/full.jpg")
    assert keys(labelled) == ["a.jpg/full.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("elsewhere/a.jpg", "did you mean a.jpg?"),
        ("c.jpg", "did you mean b.jpg, a.jpg?"),
        ("nothing like it", "add it first: dsvc add PATH; list: dsvc show --inputs"),
        ("a/", "add it first: dsvc add PATH; list: dsvc show --inputs"),
    ],
)
def test_an_unknown_key_is_told_with_near_ones(labelled: Dataset, key: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        labelled.move(key, to="x")
    assert caught.value.hint == hint


def test_the_same_name_in_a_folder_is_near(labelled: Dataset) -> None:
    labelled.move("a.jpg", to="deep/down/a.jpg")
    with pytest.raises(NotFoundError) as caught:
        labelled.move("a.jpg", to="x")
    assert caught.value.hint == "did you mean deep/down/a.jpg?"


def test_an_export_has_the_new_name(
    pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    images = [
        {"id": 1, "file_name": ".\\a.jpg", "width": 640, "height": 480},
        {"id": 2, "coco_url": "http://example.org/val/b.jpg", "width": 320, "height": 240},
    ]
    pets.import_(write(coco(images=images)))
    assert keys(pets) == ["a.jpg", "val/b.jpg"]
    pets.move("a.jpg", to="one.jpg")
    pets.move("val/b.jpg", to="two.jpg")
    pets.commit("moved")
    pets.at().export("coco", tmp_path / "out.json")
    document = msgspec.json.decode((tmp_path / "out.json").read_bytes())
    assert [image["file_name"] for image in document["images"]] == ["one.jpg", "two.jpg"]
    assert document["images"][1]["coco_url"] == "http://example.org/val/b.jpg"
    assert [annotation["image_id"] for annotation in document["annotations"]] == [1, 2]


def test_only_what_spells_the_key_is_forgotten() -> None:
    fields: dict[str, Any] = {"extras": {"coco": {"file_name": "x", "b": None}, "other": {"file_name": "y"}}}
    assert forget_spelling(fields)
    assert fields == {"extras": {"coco": {"b": None}, "other": {"file_name": "y"}}}
    assert not forget_spelling(fields) and not forget_spelling({})


def test_what_another_program_added_meanwhile_follows_too(labelled: Dataset) -> None:
    other = dsvc.open(labelled.repository.root or "", author=dsvc.Author("Bob")).dataset("pets")
    with labelled.edit() as draft:
        report = move_inputs(draft, plan_moves(["a.jpg"], "c.jpg"))
        other.annotate("a.jpg", "dog")
    assert report.annotations == 2
    assert [a.concept for a in labelled.draft().annotations("c.jpg")].count("dog") == 1
    with pytest.raises(RefusedError, match=r"there is an input 'd\.jpg' already"), labelled.edit() as draft:
        move_inputs(draft, {"b.jpg": "d.jpg"})
        other.move("c.jpg", to="d.jpg")
