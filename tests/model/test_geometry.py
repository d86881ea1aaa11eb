"""Where annotations lie, how far two agree, and which are the same but for their ids."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_masks

from dsvc.model import geometry
from dsvc.model.geometry import Pair, box_of, extent_of, iou, pair_by_place, size_of
from dsvc.model.records import Annotation, Input, Mask, Media, Shape
from dsvc.model.runs import extent, runs

SQUARE = (0.0, 0.0, 10.0, 10.0)


def boxed(id: str, *box: float, concept: str | None = "cat", unit: Any = "pixel", **fields: Any) -> Annotation:
    return Annotation(key="a.jpg", id=id, concept=concept, shape=Shape(box=box, unit=unit), **fields)


def place(**fields: Any) -> Annotation:
    return Annotation(key="a.jpg", id="1", **fields)


def names(pairs: list[Pair]) -> list[tuple[str, str]]:
    return [(pair.old.id, pair.new.id) for pair in pairs]


class TestBoxes:
    @pytest.mark.parametrize(
        ("annotation", "size", "box"),
        [
            (place(shape=Shape(box=(1, 2, 3, 4))), None, (1, 2, 3, 4)),
            (place(shape=Shape(box=(1, 2, 0, 0))), None, (1, 2, 0, 0)),
            (place(shape=Shape(box=(4, 6, -3, -4))), None, (1, 2, 3, 4)),
            (place(shape=Shape(box=(0.5, 0.25, 0.25, 0.5), unit="relative")), (100, 200), (50, 50, 25, 100)),
            (place(shape=Shape(box=(0.5, 0.25, 0.25, 0.5), unit="relative")), None, None),
            (place(shape=Shape(box=(1, 2, 3))), None, None),
            (place(shape=Shape(box=())), None, None),
            (place(shape=Shape(box=(9, 9, 1, 1), polygons=((0, 0, 5, 0, 5, 5),))), None, (9, 9, 1, 1)),
            (place(shape=Shape(polygons=((1, 2, 5, 2, 5, 9), (0, 3, 1, 1)))), None, (0, 1, 5, 8)),
            (place(shape=Shape(polygons=((1, 2, 5),))), None, (1, 2, 0, 0)),
            (place(shape=Shape(polygons=((),))), None, None),
            (place(shape=Shape(polygons=((0.5, 0.5, 1, 1),), unit="relative")), (10, 20), (5, 10, 5, 10)),
            (place(shape=Shape(area=4)), None, None),
            (place(shape=Shape(mask=Mask(height=3, width=4, counts=(4, 1, 7)))), None, (1, 1, 1, 1)),
            (place(shape=Shape(mask=Mask(height=3, width=4, counts=(4, 1, 7)), unit="relative")), (8, 6), (2, 2, 2, 2)),
            (place(shape=Shape(mask=Mask(height=3, width=4, counts=(12,)))), None, None),
            (place(shape=Shape(mask=Mask(height=3, width=4, counts=(1, 2)))), None, None),
            (place(shape=Shape(mask=Mask(height=3, width=4, counts="~~~")), point=(1, 1)), None, (1, 1, 0, 0)),
            (place(keypoints=(1, 2, 2, 0, 0, 0, 4, 8, 1)), None, (1, 2, 3, 6)),
            (place(keypoints=(0, 0, 0)), None, None),
            (place(keypoints=(5, 6)), None, None),
            (place(shape=Shape(area=4), keypoints=(1, 2, 2, 4, 8, 1)), None, (1, 2, 3, 6)),
            (place(point=(3, 4)), None, (3, 4, 0, 0)),
            (place(point=(3,)), None, None),
            (place(concept="cat"), (10, 10), None),
            (place(span=(0, 5), time=(0.5, 1), frame=3), None, None),
        ],
    )
    def test_the_box_of_an_annotation(self, annotation: Annotation, size: Any, box: Any) -> None:
        assert box_of(annotation, size) == box

    @given(st.integers(1, 7), st.integers(1, 7), st.data())
    def test_the_extent_of_a_mask_is_that_of_its_picture(self, height: int, width: int, data: st.DataObject) -> None:
        bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
        picture = np.array(bits, dtype=np.uint8).reshape(height, width)
        encoded = coco_masks.encode(np.asfortranarray(picture))
        counts = runs(Mask(height=height, width=width, counts=encoded["counts"].decode()))
        expected = tuple(coco_masks.toBbox(encoded).tolist()) if picture.any() else None
        assert extent(counts, height) == expected

    def test_the_size_of_an_input(self) -> None:
        media = Media(width=6, height=4)
        for record, size in [
            (None, None),
            (Input(key="a"), None),
            (Input(key="a", media=media), (6, 4)),
            (Input(key="a", media=media, declared_width=3, declared_height=2), (3, 2)),
            (Input(key="a", media=media, declared_width=3), (3, 4)),
            (Input(key="a", declared_width=3), None),
            (Input(key="a", declared_width=0, declared_height=2), None),
            (Input(key="a", declared_width=10**400, declared_height=2), (1e300, 2)),
        ]:
            assert size_of(record) == size

    def test_integers_without_bounds(self) -> None:
        spans = [place(span=(0, 10**400)), place(span=(10**399, 10**400))]
        assert [extent_of(annotation) for annotation in spans] == [
            ("span", (0, 0, 1e300, 1)),
            ("span", (1e300, 0, 0, 1)),
        ]
        relative = boxed("1", 0.5, 0.5, 0.5, 0.5, unit="relative")
        assert pair_by_place([relative], [boxed("2", *SQUARE)], size=(1e300, 1e300)) == []


class TestIoU:
    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            (SQUARE, SQUARE, 1),
            (SQUARE, (5, 0, 10, 10), 1 / 3),
            (SQUARE, (0, 0, 10, 5), 0.5),
            (SQUARE, (10, 0, 10, 10), 0),
            (SQUARE, (2, 2, 0, 0), 0),
            ((2, 2, 0, 0), (2, 2, 0, 0), 1),
            ((2, 2, 0, 5), (2, 2, 0, 6), 0),
            ((0, 0, 1e200, 1e200), (0, 0, 1e200, 2e200), 0),
            ((-1e308, 0, 1e308, 1), (1e308, 0, 1e308, 1), 0),
            ((0, 0, 1e-200, 1e-200), (0, 0, 1e-200, 2e-200), 0),
        ],
    )
    def test_known_boxes(self, a: Any, b: Any, expected: float) -> None:
        assert iou(a, b) == iou(b, a) == pytest.approx(expected)

    @given(*[st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 4)] * 2)
    def test_it_is_a_share_whatever_the_numbers(self, a: Any, b: Any) -> None:
        boxes = [box_of(boxed("1", *numbers)) for numbers in (a, b)]
        assert 0 <= iou(*boxes) <= 1 and iou(*boxes) == iou(*reversed(boxes))

    @given(*[st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 20)] * 2)] * 2)
    def test_it_is_what_pycocotools_says(self, a: Any, b: Any) -> None:
        (theirs,) = coco_masks.iou(np.array([a], float), np.array([b], float), [0])[0]
        assert iou(a, b) == pytest.approx(theirs)


class TestPairs:
    def test_a_box_that_hardly_moved_is_the_same(self) -> None:
        (pair,) = pair_by_place([boxed("1", 0, 0, 100, 100)], [boxed("9", 0, 0, 100, 95)])
        assert (pair.old.id, pair.new.id, pair.iou) == ("1", "9", 0.95)

    def test_below_the_threshold_there_is_none(self) -> None:
        old, new = [boxed("1", 0, 0, 100, 100)], [boxed("9", 0, 0, 100, 89)]
        assert pair_by_place(old, new) == []
        assert names(pair_by_place(old, new, threshold=0.5)) == [("1", "9")]

    @pytest.mark.parametrize(
        "other",
        [
            boxed("9", *SQUARE, concept="dog"),
            boxed("9", *SQUARE, concept=None),
            boxed("9", *SQUARE, crowd=1),
            boxed("9", *SQUARE, frame=1),
            boxed("9", *SQUARE, time=(0, 1)),
            boxed("9", *SQUARE, unit="relative"),
            Annotation(key="a.jpg", id="9", concept="cat"),
        ],
        ids=lambda other: str(other)[:60],
    )
    def test_what_must_be_equal_besides(self, other: Annotation) -> None:
        assert pair_by_place([boxed("1", *SQUARE)], [other]) == []

    def test_the_concept_need_not_be_the_same(self) -> None:
        old, new = [boxed("1", *SQUARE)], [boxed("9", 0, 0, 10, 9.5, concept="dog")]
        assert names(pair_by_place(old, new, same_concept=False)) == [("1", "9")]
        assert pair_by_place([place(concept="cat")], [place(concept="dog")], same_concept=False) == []

    def test_no_crowd_and_crowd_0_are_one(self) -> None:
        assert names(pair_by_place([boxed("1", *SQUARE)], [boxed("9", *SQUARE, crowd=0)])) == [("1", "9")]
        crowds = [boxed("1", *SQUARE, crowd=1)], [boxed("9", 0, 0, 10, 9.5, crowd=1)]
        assert names(pair_by_place(*crowds)) == [("1", "9")]

    def test_the_best_match_comes_first_and_each_is_taken_once(self) -> None:
        old = [boxed("1", 0, 0, 100, 100), boxed("2", 0, 0, 100, 96)]
        new = [boxed("8", 0, 0, 100, 97), boxed("9", 0, 0, 100, 91)]
        assert names(pair_by_place(old, new)) == [("1", "9"), ("2", "8")]
        assert names(pair_by_place(old, new[:1])) == [("2", "8")]

    def test_ties_are_taken_by_id(self) -> None:
        old = [boxed(id, *SQUARE, text=id) for id in "cab"]
        new = [boxed(id, *SQUARE, text=id) for id in "zyx"]
        assert names(pair_by_place(old, new)) == [("a", "x"), ("b", "y"), ("c", "z")]
        near = [boxed(id, 0, 0, 10, 9.5, text=id) for id in "zyx"]
        assert names(pair_by_place(old, near)) == [("a", "x"), ("b", "y"), ("c", "z")]

    def test_among_equal_places_equal_content_is_paired(self) -> None:
        old = [boxed("1", *SQUARE, text="one"), boxed("2", *SQUARE, text="two")]
        new = [boxed("8", *SQUARE, text="two", number=7), boxed("9", *SQUARE, text="one")]
        assert names(pair_by_place(old, new)) == [("1", "9"), ("2", "8")]

    def test_annotations_without_a_place_are_paired_by_equal_content(self) -> None:
        old = [Annotation(key="a", id=id, concept=c, number=1) for id, c in (("1", "cat"), ("2", "dog"), ("3", "cat"))]
        new = [Annotation(key="a", id=id, concept=c, number=2) for id, c in (("8", "cat"), ("9", "cat"), ("7", "fox"))]
        pairs = pair_by_place(old, new)
        assert names(pairs) == [("1", "8"), ("3", "9")]
        assert {pair.iou for pair in pairs} == {None}

    def test_spans_and_times_are_places(self) -> None:
        def spanned(id: str, begin: int, end: int) -> Annotation:
            return Annotation(key="a.txt", id=id, concept="name", span=(begin, end))

        def timed(id: str, begin: float, end: float, **fields: Any) -> Annotation:
            return Annotation(key="a.wav", id=id, concept="bark", time=(begin, end), **fields)

        (pair,) = pair_by_place([spanned("1", 10, 30)], [spanned("9", 10, 29)])
        assert pair.iou == 0.95
        assert pair_by_place([spanned("1", 10, 30)], [spanned("9", 20, 40)]) == []
        assert names(pair_by_place([timed("1", 0, 2)], [timed("9", 0.1, 2)])) == [("1", "9")]
        assert pair_by_place([timed("1", 0, 2)], [timed("9", 0.1, 2, span=(0, 2))]) == []
        assert pair_by_place([timed("1", 10, 30)], [spanned("9", 10, 30)]) == []

    def test_units_are_converted_through_the_size_of_the_input(self) -> None:
        old = [boxed("1", 100, 50, 200, 100)]
        new = [boxed("9", 0.25, 0.25, 0.5, 0.495, unit="relative")]
        assert pair_by_place(old, new) == []
        ((_, _, share),) = pair_by_place(old, new, size=(400, 200))
        assert share == pytest.approx(0.99)

    def test_relative_boxes_need_no_size(self) -> None:
        old, new = (boxed(id, 0.25, 0.25, 0.5, h, unit="relative") for id, h in (("1", 0.5), ("9", 0.48)))
        ((_, _, share),) = pair_by_place([old], [new])
        assert share == pytest.approx(0.96)

    def test_boxes_without_an_area_are_paired_where_they_are_equal(self) -> None:
        old = [boxed("1", 5, 5, 0, 0), boxed("2", 6, 5, 0, 0)]
        new = [boxed("8", 6, 5, 0, 0, text="x"), boxed("9", 7, 5, 0, 0)]
        assert names(pair_by_place(old, new)) == [("2", "8")]

    def test_a_shape_of_another_kind_is_compared_by_its_box(self) -> None:
        ring = (0.0, 0.0, 10.0, 0.0, 10.0, 10.0)
        new = Annotation(key="a.jpg", id="9", concept="cat", shape=Shape(polygons=(ring,)))
        ((_, _, share),) = pair_by_place([boxed("1", *SQUARE)], [new])
        assert share == 1

    def test_nothing_against_something(self) -> None:
        assert pair_by_place([], [boxed("1", *SQUARE)]) == pair_by_place([boxed("1", *SQUARE)], []) == []

    def test_numbers_at_the_end_of_what_there_is(self) -> None:
        far = [boxed(str(n), n * 1e308, 0, 1e308, 1e308) for n in range(2)]
        assert pair_by_place(far[:1], far[1:]) == []


SMALL_BOX = st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(0, 12)] * 2)
FIELDS = st.tuples(SMALL_BOX | st.none(), st.sampled_from("ab"), st.sampled_from(["x", None]))
SIDE = st.dictionaries(st.sampled_from("123456789"), FIELDS, max_size=7)


def annotations(side: dict[str, Any]) -> list[Annotation]:
    return [
        Annotation(key="a", id=id, concept=concept, shape=Shape(box=box) if box is not None else None, text=text)
        for id, (box, concept, text) in side.items()
    ]


class TestLaws:
    @given(SIDE, SIDE)
    def test_pairing_is_symmetrical(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        forth = pair_by_place(annotations(old), annotations(new), 0.5)
        back = pair_by_place(annotations(new), annotations(old), 0.5)
        assert sorted(names(forth)) == sorted((a, b) for b, a in names(back))

    @given(SIDE, SIDE, st.randoms())
    def test_the_order_of_the_sets_makes_no_difference(self, old: Any, new: Any, order: random.Random) -> None:
        sides = annotations(old), annotations(new)
        expected = pair_by_place(*sides, 0.5)
        for side in sides:
            order.shuffle(side)
        assert pair_by_place(*sides, 0.5) == expected

    @given(SIDE, SIDE)
    def test_each_is_taken_once_and_no_pair_is_left(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        removed, added = annotations(old), annotations(new)
        pairs = pair_by_place(removed, added, 0.5)
        assert len({pair.old.id for pair in pairs}) == len({pair.new.id for pair in pairs}) == len(pairs)
        rest_old = [a for a in removed if a.id not in {pair.old.id for pair in pairs}]
        rest_new = [a for a in added if a.id not in {pair.new.id for pair in pairs}]
        assert pair_by_place(rest_old, rest_new, 0.5) == []

    @given(SIDE)
    def test_other_ids_alone_pair_everything(self, side: dict[str, Any]) -> None:
        old = annotations(side)
        new = annotations({f"n{id}": fields for id, fields in side.items()})
        assert len(pair_by_place(old, new)) == len(side)

    def test_many_are_compared_as_few_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        order = random.Random(7)
        corners = [(order.uniform(0, 900), order.uniform(0, 900)) for _ in range(150)]
        old, new = (
            [
                boxed(f"{side}{n}", x + order.gauss(0, 1), y, order.uniform(28, 32), 30, concept=order.choice("ab"))
                for n, (x, y) in enumerate(corners)
            ]
            for side in ("o", "n")
        )
        few = pair_by_place(old, new, 0.6)
        monkeypatch.setattr(geometry, "_FEW", 0)
        assert pair_by_place(old, new, 0.6) == few
        assert 30 < len(few) < 150

    def test_a_crowd_of_nearly_equal_boxes(self) -> None:
        old, new = ([boxed(f"{s}{n:04}", 0, 0, 10_000, 9_999 - 2 * n - s) for n in range(400)] for s in (0, 1))
        pairs = pair_by_place(old, new)
        assert len({pair.new.id for pair in pairs}) == len(pairs) == 400
