"""What happened to an annotation, in one word or several."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dsvc.core.diffing.change import Change
from dsvc.core.diffing.diff import Diff
from dsvc.model.records import Annotation, Input, Mask, Shape
from dsvc.model.snapshot import Snapshot

Make = Callable[..., Snapshot]
RING = (0.0, 0.0, 10.0, 0.0, 10.0, 10.0)
CAT: dict[str, Any] = {"concept": "cat"}


def shape(**parts: Any) -> dict[str, Any]:
    return {"concept": "cat", "shape": Shape(**parts)}


def shifted(numbers: tuple[float, ...], x: float, y: float) -> tuple[float, ...]:
    return tuple(value + (y if at % 2 else x) for at, value in enumerate(numbers))


def change_of(snapshot: Make, old: dict[str, Any], new: dict[str, Any], *records: Any) -> Change:
    """The one change of an annotation that was and is so."""
    sides = (snapshot(*records, Annotation(key="a.jpg", id="1", **fields)) for fields in (old, new))
    (change,) = Diff(*sides)
    return change


BOX = shape(box=(0, 0, 10, 10))
POLYGON = shape(box=(0, 0, 10, 10), polygons=(RING,), area=50)
KEYPOINTS = {"concept": "cat", "keypoints": (0, 0, 2, 10, 10, 1, 0, 0, 0)}
MASK = shape(mask=Mask(height=4, width=4, counts=(5, 2, 9)))


@pytest.mark.parametrize(
    ("old", "new", "kinds", "iou", "pixels"),
    [
        (BOX, shape(box=(1, 0, 10, 10)), ["moved"], 90 / 110, 1),
        (BOX, shape(box=(0, 0, 10, 15)), ["moved"], 2 / 3, 5),
        (BOX, shape(box=(0, 0, 10, 10.5)), ["moved"], 1 / 1.05, 0.5),
        (BOX, shape(box=(50, 50, 10, 10)), ["moved"], 0, 50),
        (BOX, {**shape(box=(1, 0, 10, 10)), "concept": "dog"}, ["moved", "relabelled"], 90 / 110, 1),
        (BOX, shape(box=(1, 0, 10, 10), area=100), ["moved"], 90 / 110, 1),
        (BOX, shape(box=(0, 0, 10, 10), area=99), ["reshaped"], 1, None),
        (BOX, CAT, ["reshaped"], None, None),
        (CAT, BOX, ["reshaped"], None, None),
        (BOX, shape(), ["reshaped"], None, None),
        (BOX, {**BOX, "concept": "dog"}, ["relabelled"], None, None),
        (BOX, {**BOX, "concept": None}, ["relabelled"], None, None),
        (BOX, {**BOX, "attributes": {"color": "red"}}, ["attributes"], None, None),
        (BOX, {**BOX, "attributes": {}}, ["attributes"], None, None),
        (BOX, {**BOX, "text": "hi"}, ["text"], None, None),
        (BOX, {**BOX, "crowd": 0}, ["other"], None, None),
        (BOX, {**BOX, "frame": 3}, ["moved"], 1, None),
        (BOX, {**BOX, "text": "hi", "attributes": {"a": 1}, "crowd": 1, "concept": "dog", "shape": None},
         ["reshaped", "relabelled", "attributes", "text", "other"], None, None),
        # Outlines: reshaped where the box hardly differs, moved where all of it was shifted, else both.
        (POLYGON, shape(box=(0, 0, 10, 10), polygons=(RING, RING), area=50), ["reshaped"], 1, None),
        (POLYGON, shape(box=(0, 0, 10, 10), polygons=((*RING, 0, 9),), area=60), ["reshaped"], 1, None),
        (POLYGON, shape(box=(0, 0, 10, 9.5), polygons=((0, 0, 10, 0, 10, 9.5),), area=47), ["reshaped"], 0.95, None),
        (POLYGON, shape(box=(0, 0, 10, 5), polygons=((0, 0, 10, 0, 10, 5),), area=25), ["moved", "reshaped"], 0.5, 5),
        (POLYGON, shape(box=(3, 4, 10, 10), polygons=(shifted(RING, 3, 4),), area=50), ["moved"], 42 / 158, 4),
        (POLYGON, shape(box=(0.5, 0, 10, 10), polygons=(shifted(RING, 0.5, 0),), area=50), ["moved"], 95 / 105, 0.5),
        (POLYGON, shape(box=(0, 0, 10, 10), area=50), ["reshaped"], 1, None),
        (shape(polygons=(RING,)), shape(polygons=(RING,), box=(0, 0, 10, 10)), ["other"], 1, None),
        (MASK, shape(mask=Mask(height=4, width=4, counts=(5, 3, 8))), ["moved", "reshaped"], 2 / 3, 1),
        (MASK, shape(mask=Mask(height=4, width=4, counts="12F3")), ["reshaped"], None, None),
        (KEYPOINTS, {**CAT, "keypoints": (5, 5, 2, 15, 15, 1, 0, 0, 0)}, ["moved"], 25 / 175, 5),
        (KEYPOINTS, {**CAT, "keypoints": (0, 0, 1, 10, 10, 1, 0, 0, 0)}, ["reshaped"], 1, None),
        (KEYPOINTS, {**CAT, "keypoints": (0, 0, 2, 10, 10, 1, 5, 5, 2)}, ["reshaped"], 1, None),
        ({**CAT, "point": (1, 1)}, {**CAT, "point": (4, 5)}, ["moved"], 0, 4),
        # In text and in time.
        ({**CAT, "span": (3, 9)}, {**CAT, "span": (3, 12)}, ["moved"], 2 / 3, None),
        ({**CAT, "time": (0, 4)}, {**CAT, "time": (0, 1)}, ["moved"], 1 / 4, None),
        ({**CAT, "time": (0, 4)}, {**CAT, "span": (0, 4)}, ["moved"], None, None),
    ],
)  # fmt: skip
def test_the_words_for_a_change(
    snapshot: Make, old: Any, new: Any, kinds: list[str], iou: float | None, pixels: float | None
) -> None:
    change = change_of(snapshot, old, new)
    assert (change.noun, change.verb, change.name) == ("annotation", "changed", "a.jpg#1")
    assert list(change.kinds) == kinds
    assert change.iou == pytest.approx(iou)
    assert change.pixels == pytest.approx(pixels)
    assert change.fields()


@pytest.mark.parametrize(
    "size",
    [{"declared_width": 200, "declared_height": 100}, {"declared_width": None}],
    ids=["known", "unknown"],
)
def test_relative_places_are_told_in_pixels_where_the_size_is_known(snapshot: Make, size: dict[str, Any]) -> None:
    record = Input(key="a.jpg", **size)
    old, new = (shape(box=(x, 0.5, 0.25, 0.25), unit="relative") for x in (0.5, 0.55))
    change = change_of(snapshot, old, new, record)
    assert change.kinds == ("moved",)
    assert change.iou == pytest.approx(2 / 3)
    assert change.pixels == pytest.approx(10 if record.declared_width else None)


def test_another_unit_is_no_move(snapshot: Make) -> None:
    record = Input(key="a.jpg", declared_width=300, declared_height=100)
    change = change_of(snapshot, shape(box=(100, 50, 30, 20)),
                       shape(box=(0.333333, 0.5, 0.1, 0.2), unit="relative"), record)  # fmt: skip
    assert change.kinds == ("other",)
    assert list(change.fields()) == ["shape.box", "shape.unit"]
    moved = change_of(snapshot, shape(box=(100, 50, 30, 20)), shape(box=(0.5, 0.5, 0.1, 0.2), unit="relative"), record)
    assert moved.kinds == ("moved", "other")
    assert moved.pixels == pytest.approx(50)


def test_units_that_cannot_be_compared(snapshot: Make) -> None:
    change = change_of(snapshot, shape(box=(100, 50, 30, 20)), shape(box=(0.5, 0.5, 0.1, 0.2), unit="relative"))
    assert (change.kinds, change.iou, change.pixels) == (("reshaped", "other"), None, None)


def test_places_at_the_end_of_what_float64_holds(snapshot: Make) -> None:
    change = change_of(snapshot, shape(box=(1e308, 0, 1e308, 1)), shape(box=(-1e308, 0, 1e308, 1)))
    assert (change.kinds, change.iou, change.pixels) == (("moved",), 0, None)


def test_numbers_are_no_change(snapshot: Make) -> None:
    old, new = (Annotation(key="a.jpg", id="1", number=number, **BOX) for number in (1, 2))
    assert list(Diff(snapshot(old), snapshot(new))) == []


@pytest.mark.parametrize(("old", "new"), [(True, 1), (1, 1.5), (0.0, -0.0), (None, False), ([1], [1.0]), ({}, None)])
def test_values_that_python_takes_for_equal_differ(snapshot: Make, old: Any, new: Any) -> None:
    change = change_of(snapshot, {**CAT, "attributes": {"a.b": old}}, {**CAT, "attributes": {"a.b": new}})
    assert change.kinds == ("attributes",)
    assert repr(change.fields()) == repr({"attributes.a.b": (old, new)})


def test_fields_have_their_old_and_new_values(snapshot: Make) -> None:
    old = {**BOX, "attributes": {"color": "red", "same": 1}, "extras": {"coco": {"score": 1}}}
    new = {**shape(box=(1, 1, 10, 10)), "attributes": {"same": 1, "size": [1, 2]}, "extras": {"coco": {"score": 2}}}
    assert change_of(snapshot, old, new).fields() == {
        "attributes.color": ("red", None),
        "attributes.size": (None, [1, 2]),
        "extras.coco.score": (1, 2),
        "shape.box": ((0, 0, 10, 10), (1, 1, 10, 10)),
    }


class TestPairs:
    def changes(self, snapshot: Make, old: list[Annotation], new: list[Annotation]) -> list[tuple[Any, ...]]:
        found = Diff(snapshot(Input(key="a"), *old), snapshot(Input(key="a"), *new))
        return [(change.verb, change.old_name, change.name, change.kinds) for change in found]

    def test_another_id_in_the_same_place_is_one_change(self, snapshot: Make) -> None:
        old, new = (Annotation(key="a", id=id, **BOX) for id in "19")
        assert self.changes(snapshot, [old], [new]) == [("changed", "a#1", "a#9", ("new_id",))]
        (change,) = Diff(snapshot(old), snapshot(new))
        assert (change.old, change.new, change.iou, change.fields()) == (old, new, 1, {})
        assert str(change) == "annotation a#1 -> a#9: given a new id"

    def test_it_may_have_moved_a_little_and_changed_otherwise(self, snapshot: Make) -> None:
        old = Annotation(key="a", id="1", **BOX)
        new = Annotation(key="a", id="9", text="hi", **shape(box=(0, 0, 10, 10.5)))
        (change,) = Diff(snapshot(old), snapshot(new))
        assert change.kinds == ("new_id", "moved", "text")
        assert change.iou == pytest.approx(1 / 1.05)
        assert str(change) == "annotation a#1 -> a#9: given a new id and moved and given another text"

    def test_another_concept_or_place_is_another_annotation(self, snapshot: Make) -> None:
        old = [Annotation(key="a", id="1", **BOX)]
        for fields in ({**BOX, "concept": "dog"}, shape(box=(2, 0, 10, 10)), CAT):
            new = [Annotation(key="a", id="9", **fields)]
            expected = [("removed", None, "a#1", ("removed",)), ("added", None, "a#9", ("added",))]
            assert self.changes(snapshot, old, new) == expected

    def test_classes_without_a_place_pair_by_content(self, snapshot: Make) -> None:
        old = [Annotation(key="a", id="1", **CAT), Annotation(key="a", id="2", concept="dog")]
        new = [Annotation(key="a", id="9", number=4, **CAT), Annotation(key="a", id="8", concept="fox")]
        assert self.changes(snapshot, old, new) == [
            ("removed", None, "a#2", ("removed",)),
            ("added", None, "a#8", ("added",)),
            ("changed", "a#1", "a#9", ("new_id",)),
        ]
        (change,) = Diff(snapshot(old[0]), snapshot(new[0]))
        assert change.iou is None

    def test_units_are_converted_by_the_size(self, snapshot: Make) -> None:
        record = Input(key="a", declared_width=100, declared_height=50)
        old = Annotation(key="a", id="1", **shape(box=(50, 25, 10, 10)))
        new = Annotation(key="a", id="9", **shape(box=(0.5, 0.5, 0.1, 0.2), unit="relative"))
        (change,) = Diff(snapshot(record, old), snapshot(record, new))
        assert (change.kinds, change.iou) == (("new_id", "other"), 1)

    def test_annotations_of_different_inputs_are_not_paired(self, snapshot: Make) -> None:
        old, new = Annotation(key="a", id="1", **BOX), Annotation(key="b", id="9", **BOX)
        sides = snapshot(Input(key="b"), old), snapshot(Input(key="a"), new)
        assert [change.kinds for change in Diff(*sides)] == [("removed",), ("added",)]


class TestConflicts:
    PLAIN = Annotation(key="a", id="1", text="x", **BOX)
    OPEN = msgspec.structs.replace(PLAIN, concept=None, conflicts={"c": ("cat", "dog")})

    def only(self, snapshot: Make, old: Annotation, new: Annotation) -> Change:
        (change,) = Diff(snapshot(old), snapshot(new))
        return change

    def test_a_conflict_opens(self, snapshot: Make) -> None:
        change = self.only(snapshot, self.PLAIN, self.OPEN)
        assert (change.kinds, change.opened, change.settled) == (("conflict",), ("concept",), ())
        assert str(change) == "annotation a#1: in conflict"

    def test_a_conflict_is_settled(self, snapshot: Make) -> None:
        change = self.only(snapshot, self.OPEN, self.PLAIN)
        assert (change.kinds, change.opened, change.settled) == (("settled",), (), ("concept",))
        assert change.fields() == {"concept": (None, "cat")}

    def test_a_conflict_gets_other_values(self, snapshot: Make) -> None:
        other = msgspec.structs.replace(self.OPEN, conflicts={"c": ("cat", "dog", "fox")})
        assert self.only(snapshot, self.OPEN, other).opened == ("concept",)
        assert list(Diff(snapshot(self.OPEN), snapshot(self.OPEN))) == []

    def test_what_else_changed_is_told_too(self, snapshot: Make) -> None:
        change = self.only(snapshot, self.PLAIN, msgspec.structs.replace(self.OPEN, text="y"))
        assert (change.kinds, list(change.fields())) == (("text", "conflict"), ["text"])
        back = self.only(snapshot, msgspec.structs.replace(self.OPEN, text="y"), self.PLAIN)
        assert (back.kinds, list(back.fields())) == (("text", "settled"), ["concept", "text"])

    def test_a_shape_in_conflict_did_not_move(self, snapshot: Make) -> None:
        boxes = tuple({"b": bytes([0, 0, 0, 9, size])} for size in (8, 9))
        other = msgspec.structs.replace(self.PLAIN, shape=None, conflicts={"shape": boxes})
        assert self.only(snapshot, self.PLAIN, other)[5:] == (("conflict",), None, None, None, (), ("shape",), ())
        back = self.only(snapshot, other, self.PLAIN)
        assert (back.kinds, back.settled) == (("settled",), ("shape",))

    def test_an_added_record_may_be_in_conflict(self, snapshot: Make) -> None:
        change = next(c for c in Diff(snapshot(), snapshot(self.OPEN)) if c.noun == "annotation")
        assert (change.kinds, change.opened) == (("added", "conflict"), ("concept",))

    def test_fields_within_metadata(self, snapshot: Make) -> None:
        old = Input(key="a", metadata={"camera": "left", "year": 1})
        new = Input(key="a", metadata={"year": 2}, conflicts={"metadata\0camera": ("left", "right")})
        (change,) = Diff(snapshot(old), snapshot(new))
        assert (change.kinds, change.opened) == (("changed", "conflict"), ("metadata.camera",))
        assert change.fields() == {"metadata.year": (1, 2)}
