"""Fields of inputs, set and taken away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.operations import undo
from dsvc.core.setting import new_fields, plan_fields, set_fields
from dsvc.errors import NotFoundError, UsageError


@pytest.fixture
def labelled(pets: Dataset, coco: Callable[..., Any], write: Callable[..., Path]) -> Dataset:
    pets.import_(write(coco()))
    pets.commit("first")
    return pets


def get(dataset: Dataset, key: str = "a.jpg") -> Any:
    record = dataset.draft().input(key)
    assert record is not None
    return record


def counts(report: Any) -> tuple[int, int]:
    return report.changed, report.unchanged


def test_fields_are_set_and_the_rest_stays(labelled: Dataset) -> None:
    before = get(labelled)
    metadata = {"camera": "left", "year": 2024, "ok": True, "f": 0.5, "list": [1, {"a": None}], "big": 1 << 70}
    assert counts(labelled.set("a.jpg", metadata=metadata, split="val", geo=(8.5, 47.4))) == (1, 0)
    after = get(labelled)
    assert after == msgspec.structs.replace(before, metadata=metadata, split="val", geo=(8.5, 47.4))
    assert get(labelled, "b.jpg").split is None
    assert counts(labelled.set("a.jpg", "b.jpg", split="val", metadata={"ok": True})) == (1, 1)
    assert get(labelled).metadata == metadata
    undo(labelled.repository)
    undo(labelled.repository)
    assert get(labelled) == before and not labelled.has_draft()


def test_fields_are_taken_away(labelled: Dataset) -> None:
    labelled.set("a.jpg", metadata={"a": 1, "b.c": 2, "split": 3}, split="val", geo=(0, 0))
    assert counts(labelled.set("a.jpg", unset=("geo", "metadata.b.c", "metadata.none"))) == (1, 0)
    assert (get(labelled).metadata, get(labelled).geo, get(labelled).split) == ({"a": 1, "split": 3}, None, "val")
    assert counts(labelled.set("a.jpg", unset=("metadata.a", "split"), metadata={"new": 0})) == (1, 0)
    assert (get(labelled).metadata, get(labelled).split) == ({"split": 3, "new": 0}, None)
    assert counts(labelled.set("a.jpg", "b.jpg", unset=("metadata.split", "metadata.new"))) == (1, 1)
    assert not labelled.has_draft()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metadata": {"a": None}}, "metadata 'a' cannot be null"),
        ({"metadata": {"a": float("nan")}}, "metadata 'a': NaN"),
        ({"metadata": {"a": float("inf")}}, "metadata 'a': NaN and infinity"),
        ({"metadata": {"a": "\ud800"}}, "lone surrogate"),
        ({"metadata": {"a": object()}}, "of type object"),
        ({"metadata": {"a": {1: 2}}}, "a key is not text"),
        ({"metadata": {"": 1}}, "the name must be text"),
        ({"metadata": {"a\0": 1}}, "the name must be text"),
        ({"metadata": {"\ud800": 1}}, "the name must be text"),
        ({"metadata": {5: 1}}, "the name must be text"),
        ({"metadata": {"x" * 1025: 1}}, "the name must be text"),
        ({"split": ""}, "cannot name a split"),
        ({"split": "a/b"}, "cannot name a split"),
        ({"split": ".."}, "cannot name a split"),
        ({"split": "x" * 65}, "cannot name a split"),
        ({"split": "tr\xe4in"}, "cannot name a split"),
        ({"geo": (1,)}, "is no place"),
        ({"geo": (1, float("nan"))}, "is no place"),
        ({"geo": ("1", "2")}, "is no place"),
        ({"geo": (180.1, 0)}, "the longitude 180.1, which comes first, is beyond 180"),
        ({"geo": (47, -90.5)}, "the latitude -90.5, which comes second, is beyond 90"),
        ({"unset": ("camera",)}, "'camera' cannot be taken away"),
        ({"unset": ("metadata.",)}, "cannot be taken away"),
        ({"unset": ("media",)}, "cannot be taken away"),
        ({"unset": ("split",), "split": "val"}, "split is to be set and taken away"),
        ({"unset": ("metadata.a",), "metadata": {"a": 1}}, "metadata.a is to be set and taken away"),
        ({}, "say what to set"),
    ],
)
def test_what_cannot_be_meant_is_refused(labelled: Dataset, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        labelled.set("a.jpg", **fields)
    assert not labelled.has_draft()


def test_metadata_may_be_as_deep_as_a_record_can_hold(labelled: Dataset) -> None:
    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    labelled.set("a.jpg", metadata={"deep": nested(62)})
    assert get(labelled).metadata == {"deep": nested(62)}
    for depth in (63, 100_000):
        with pytest.raises(UsageError, match="nested deeper"):
            labelled.set("a.jpg", metadata={"deep": nested(depth)})


def test_an_unknown_key_changes_nothing(labelled: Dataset) -> None:
    with pytest.raises(NotFoundError, match=r"no input 'c\.jpg'"):
        labelled.set("a.jpg", "c.jpg", split="val")
    with pytest.raises(UsageError, match="one of the two"):
        labelled.set(split="val")
    assert not labelled.has_draft()


def test_one_of_many_is_looked_up_and_many_are_walked(pets: Dataset, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"\xff\xd8\xff")
    pets.add(tmp_path, root=tmp_path)
    names = [record.key for record in pets.draft().inputs()]
    assert counts(pets.set(names[7], names[7], split="val")) == (1, 0)
    assert counts(pets.set(*names, split="val")) == (39, 1)
    for wrong in (["nope.jpg"], [*names, "nope.jpg"]):
        with pytest.raises(NotFoundError, match=r"nope\.jpg"):
            pets.set(*wrong, split="test")
    assert {record.split for record in pets.draft().inputs()} == {"val"}


def test_a_plan_changes_nothing(labelled: Dataset) -> None:
    edits, report = plan_fields(labelled.draft().snapshot, new_fields(split="val"), ["a.jpg"])
    assert counts(report) == (1, 0) and list(edits) == [b"a.jpg"]
    assert not labelled.has_draft()


def test_what_another_program_set_meanwhile_stays(labelled: Dataset) -> None:
    other = dsvc.open(labelled.repository.root or "", author=dsvc.Author("Bob")).dataset("pets")
    with labelled.edit() as draft:
        report = set_fields(draft, new_fields({"a": 1}), ["a.jpg", "b.jpg"])
        other.set("a.jpg", metadata={"a": 1, "b": 2}, split="val")
    # Drafts are each workspace's own: what the other one staged is in the same, since both opened one folder.
    assert counts(report) == (1, 1)
    assert get(labelled).metadata == {"a": 1, "b": 2} and get(labelled).split == "val"
    assert get(labelled, "b.jpg").metadata == {"a": 1}
