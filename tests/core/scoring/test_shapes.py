"""Boxes and masks: small random sets against pycocotools itself, and the odd cases by hand."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from scored import boxed, direct, from_results, made, named, stats

from dsvc.core.scoring.scores import NOTHING, Counts, Scores
from dsvc.core.scoring.shapes import score_shapes
from dsvc.errors import InvalidRecordsError, UsageError
from dsvc.model.records import Annotation, Mask, Media, Shape
from dsvc.model.runs import runs
from dsvc.model.walk import Sample

NAMES = {1: "cat", 2: "dog", 3: "fox", 7: "hen"}


def packed(random_: random.Random) -> dict[str, Any]:
    """A mask of 200 x 150 pixels, as COCO's compressed text."""
    picture = np.zeros((150, 200), np.uint8, order="F")
    x, y = random_.randrange(0, 150, 10), random_.randrange(0, 100, 10)
    picture[y : y + random_.choice((20, 40, 120)), x : x + random_.choice((20, 50, 130))] = 1
    picture[y + 5, x + 5] = 0
    runs = coco_mask.encode(picture)
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def random_box(random_: random.Random) -> list[float]:
    """On a coarse grid, so that many overlap equally."""
    width, height = random_.choice((8, 10, 40, 110, 0, -8)), random_.choice((8, 12, 60, 100))
    return [random_.randrange(0, 200, 4), random_.randrange(0, 100, 4), width, height]


def random_set(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO document and a results file: crowds, areas of their own, equal scores, boxes of no size, both masks."""
    random_ = random.Random(seed)
    images = [{"id": number, "file_name": f"{99 - number}.jpg", "width": 200, "height": 150} for number in range(12)]
    annotations: list[dict[str, Any]] = []
    for number in range(70):
        box, crowd = random_box(random_), int(random_.random() < 0.1)
        annotation = {"id": number + 1, "image_id": random_.randrange(11), "category_id": random_.choice((1, 2, 3))}
        area = random_.choice((box[2] * box[3], 500, 5000, 20000))
        annotations.append(annotation | {"bbox": box, "area": area, "iscrowd": crowd, "segmentation": packed(random_)})
    results = []
    for _ in range(150):
        like = random_.choice(annotations)
        place = dict(like) if random_.random() < 0.7 else {"bbox": random_box(random_), "segmentation": packed(random_)}
        image = like["image_id"] if random_.random() < 0.9 else random_.randrange(12)
        category = like["category_id"] if random_.random() < 0.7 else random_.choice((1, 2, 3, 7))
        score = random_.choice((0.1, 0.3, 0.5, 0.5, 0.9, random_.random()))
        results.append(
            {
                "image_id": image,
                "category_id": category,
                "score": score,
                "bbox": place["bbox"],
                "segmentation": place["segmentation"],
            }
        )
    categories = [{"id": number, "name": name} for number, name in NAMES.items()]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def samples_of(document: dict[str, Any]) -> tuple[list[Sample], dict[int, str]]:
    """A COCO document as ground truth, and the keys of its images by number."""
    keys = {image["id"]: image["file_name"] for image in document["images"]}
    samples = []
    for image in sorted(document["images"], key=lambda image: image["file_name"]):
        mine = [row for row in document["annotations"] if row["image_id"] == image["id"]]
        made_ = [
            named(
                image["file_name"],
                row["id"],
                NAMES[row["category_id"]],
                crowd=row["iscrowd"],
                shape=Shape(
                    box=tuple(row["bbox"]),
                    mask=Mask(height=150, width=200, counts=row["segmentation"]["counts"]),
                    area=row["area"],
                ),
            )
            for row in mine
        ]
        samples.append(made(image["file_name"], *made_, size=(200, 150), number=image["id"]))
    return samples, keys


@pytest.mark.parametrize("kind", ["box", "mask"])
@pytest.mark.parametrize("seed", range(4))
def test_random_sets_give_what_pycocotools_gives(kind, seed: int) -> None:
    document, rows = random_set(seed)
    part, other = ("bbox", "segmentation") if kind == "box" else ("segmentation", "bbox")
    rows = [{name: value for name, value in row.items() if name != other} for row in rows]
    samples, keys = samples_of(document)

    scores = score_shapes(kind, samples, from_results(rows, keys, NAMES), iou=0.62)

    evaluation = direct(kind, document, rows)
    assert list(scores.figures.values()) == pytest.approx(stats(evaluation), abs=1e-12)
    assert scores.concepts["hen"]["AP"] is None
    assert "hen" not in scores.curves
    evaluation.params.iouThrs = np.array([0.62])
    evaluation.evaluate()
    evaluation.accumulate()
    for at, number in enumerate(evaluation.params.catIds[:3]):
        assert scores.curves[NAMES[number]].precision == tuple(evaluation.eval["precision"][0, :, at, 0, 2].tolist())
    assert part in rows[0]


def test_a_mask_is_one_in_every_form() -> None:
    """Polygons, runs, their compressed text, relative polygons; and a predicted box is the mask that it fills."""
    ring = (10, 20, 10, 60, 50, 60, 50, 20)
    square = coco_mask.merge(coco_mask.frPyObjects([list(ring)], 80, 100))
    forms = [
        Shape(polygons=(ring,)),
        Shape(polygons=(tuple(n / (100, 80)[at % 2] for at, n in enumerate(ring)),), unit="relative"),
        Shape(mask=Mask(height=80, width=100, counts=square["counts"].decode())),
        Shape(
            mask=Mask(height=80, width=100, counts=runs(Mask(height=80, width=100, counts=square["counts"].decode())))
        ),
    ]
    for there in forms:
        for said in (*forms, Shape(box=(10, 20, 40, 40))):
            truth = made("a", named("a", 1, shape=there), size=(100, 80))
            scores = score_shapes("mask", [truth], {"a": [named("a", 1, value=0.9, shape=said)]})
            assert (scores.figures["AP"], scores.figures["APm"], scores.figures["APs"]) == (1, 1, None)


def test_boxes_come_from_what_there_is() -> None:
    """A box around a mask, polygons or keypoints where there is none; relative ones by the size of the media."""
    truth = made("a", boxed("a", 1, (10, 20, 40, 40)), size=None, media=Media(width=100, height=80))
    square = coco_mask.merge(coco_mask.frPyObjects([[10, 20, 10, 60, 50, 60, 50, 20]], 80, 100))
    for shape in (
        Shape(mask=Mask(height=80, width=100, counts=square["counts"].decode())),
        Shape(polygons=((10, 20, 50, 60, 50, 20),)),
        Shape(box=(0.1, 0.25, 0.4, 0.5), unit="relative"),
    ):
        assert score_shapes("box", [truth], {"a": [named("a", 1, shape=shape)]}).figures["AP"] == 1
    points = named("a", 1, keypoints=(10, 20, 2, 50, 60, 1, 0, 0, 0))
    assert score_shapes("box", [truth], {"a": [points]}).figures["AP"] == 1


def test_sizes_are_by_the_area_of_an_annotation() -> None:
    """Its own, else that of its polygons, its mask, its box; relative ones in pixels."""
    mask = coco_mask.encode(np.asfortranarray(np.pad(np.ones((20, 20), np.uint8), ((0, 80), (0, 80)))))
    box = (0, 0, 40, 40)  # medium
    small = (
        Shape(box=box, area=100),
        Shape(box=(0, 0, 0.4, 0.4), area=0.01, unit="relative"),
        Shape(box=box, polygons=((0, 0, 40, 40, 41, 41),)),
        Shape(box=box, mask=Mask(height=100, width=100, counts=mask["counts"].decode())),
    )
    for shape in small:
        assert size_class(shape) == "ARs"
    assert size_class(Shape(box=box)) == "ARm"
    assert size_class(Shape(box=(0, 0, 1, 1), unit="relative")) == "ARl"


def size_class(shape: Shape) -> str:
    figures = score_shapes("box", [made("a", named("a", 1, shape=shape))], {}).figures
    (found,) = [name for name in ("ARs", "ARm", "ARl") if figures[name] is not None]
    return found


def test_without_predictions_all_is_missed() -> None:
    scores = score_shapes("box", [made("a", boxed("a", 1, (0, 0, 9, 9)), boxed("a", 2, (9, 9, 9, 9), "dog"))], {})
    assert (scores.figures["AP"], scores.figures["AR100"], scores.figures["APl"]) == (0, 0, None)
    assert scores.inputs == {"a": Counts(0, 0, 2)}
    assert scores.confusion.labels == ("cat", "dog", NOTHING)
    assert scores.confusion.rows == ((0, 0, 1), (0, 0, 1), (0, 0, 0))
    assert scores.curves["cat"].precision == (0.0,) * 101


def test_without_ground_truth_nothing_is_defined() -> None:
    scores = score_shapes("box", [made("a"), made("b")], {"a": [boxed("a", 1, (0, 0, 9, 9), value=0.8)]})
    assert set(scores.figures.values()) == {None}
    assert scores.inputs == {"a": Counts(0, 1, 0), "b": Counts()}
    assert scores.confusion.rows == ((0, 0), (1, 0))
    assert scores.concepts["cat"] == {
        **dict.fromkeys(("AP", "AP50", "AP75", "AR100")),
        "annotations": 0,
        "predictions": 1,
        "found": 0,
        "wrong": 1,
        "missed": 0,
    }


@pytest.mark.parametrize("kind", ["box", "mask", "keypoints"])
def test_with_nothing_at_all(kind) -> None:
    for samples in ([], [made("a")], [made("a", named("a", 1))]):
        scores = score_shapes(kind, samples, {"unknown": [boxed("unknown", 1, (0, 0, 9, 9))]})
        assert set(scores.figures.values()) == {None}
        assert (scores.concepts, scores.curves, scores.confusion.labels) == ({}, {}, (NOTHING,))


def test_a_confusion_is_wrong_and_missed() -> None:
    """A cat that was found as a dog; the score decides who chooses first, the place what is chosen."""
    truth = made("a", boxed("a", 1, (0, 0, 10, 10)), boxed("a", 2, (50, 50, 10, 10), "dog"))
    said = [
        boxed("a", 1, (0, 0, 10, 9), "dog", value=0.9),
        boxed("a", 2, (0, 0, 10, 10), "cat", value=0.8),
        boxed("a", 3, (50, 50, 10, 10), "dog", value=0.5),
        boxed("a", 4, (50, 50, 10, 10), "dog", value=0.49),
    ]
    scores = score_shapes("box", [truth], {"a": said})
    assert scores.confusion.labels == ("cat", "dog", NOTHING)
    assert scores.confusion.rows == ((0, 1, 0), (0, 1, 0), (1, 0, 0))
    assert scores.inputs == {"a": Counts(found=1, wrong=2, missed=1)}
    assert [scores.concepts["dog"][name] for name in ("found", "wrong", "missed", "predictions")] == [1, 1, 0, 3]
    assert [scores.concepts["cat"][name] for name in ("found", "wrong", "missed", "predictions")] == [0, 1, 1, 1]
    assert score_shapes("box", [truth], {"a": said}, score=0.85).inputs == {"a": Counts(0, 1, 2)}
    assert score_shapes("box", [truth], {"a": said}, iou=0.95).inputs == {"a": Counts(2, 1, 0)}


def test_one_place_for_two_concepts_is_no_confusion() -> None:
    both = (boxed("a", 1, (0, 0, 10, 10)), boxed("a", 2, (0, 0, 10, 10), "animal"))
    assert score_shapes("box", [made("a", *both)], {"a": both[::-1]}).confusion.rows == (
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 0),
    )


def test_among_equals_the_first_is_what_a_stranger_was_taken_for() -> None:
    both = (boxed("a", 1, (0, 0, 10, 10), "dog"), boxed("a", 2, (0, 0, 10, 10), "cat"))
    scores = score_shapes("box", [made("a", *both)], {"a": [boxed("a", 1, (0, 0, 10, 10), "fox")]})
    assert scores.confusion.labels == ("cat", "dog", "fox", NOTHING)
    assert scores.confusion.rows == ((0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0))


def test_crowds_take_any_number_of_their_concept() -> None:
    truth = made("a", boxed("a", 1, (0, 0, 80, 80), crowd=1), boxed("a", 2, (0, 0, 10, 10)))
    said = [boxed("a", at, (at, at, 10, 10), value=0.9) for at in range(0, 40, 10)]
    said.append(boxed("a", 50, (40, 40, 10, 10), "dog", value=0.9))
    scores = score_shapes("box", [truth], {"a": said})
    assert scores.inputs == {"a": Counts(found=1, wrong=1, missed=0)}
    assert scores.concepts["cat"]["annotations"] == 1
    assert scores.figures["AP"] == 1


def test_only_a_hundred_predictions_of_an_image_count_for_the_figures() -> None:
    """The hundred best; those after them are wrong all the same, and counted."""
    truth = made("a", boxed("a", 1, (0, 0, 10, 10)), boxed("a", 2, (80, 80, 10, 10)))
    said = [boxed("a", at, (40, 40, 10, 10), value=0.9) for at in range(998)]
    said += [boxed("a", 998, (0, 0, 10, 10), value=0.95), boxed("a", 999, (80, 80, 10, 10), value=0.8)]
    scores = score_shapes("box", [truth], {"a": said})
    assert (scores.figures["AR1"], scores.figures["AR100"]) == (0.5, 0.5)
    assert scores.inputs == {"a": Counts(found=2, wrong=998, missed=0)}
    assert score_shapes("box", [truth], {"a": [said[-1], *said[:90]]}).figures["AR100"] == 0.5


def test_boxes_of_no_size_match_nothing() -> None:
    flat = [boxed("a", 1, (5, 5, 0, 9)), boxed("a", 2, (5, 5, 0, 0))]
    scores = score_shapes("box", [made("a", *flat)], {"a": flat})
    assert scores.inputs == {"a": Counts(0, 2, 2)}
    assert scores.figures["AP"] == 0


def test_polygons_that_fill_nothing_are_missed_and_none_are_no_mask() -> None:
    degenerate = named("a", 1, shape=Shape(polygons=((1.0, 1.0, 5.0, 5.0),)))
    empty = named("a", 2, shape=Shape(box=(0, 0, 5, 5), polygons=()))
    assert score_shapes("mask", [made("a", degenerate, empty)], {}).inputs == {"a": Counts(0, 0, 1)}
    assert score_shapes("mask", [made("a", degenerate)], {"a": [degenerate]}).inputs == {"a": Counts(0, 1, 1)}


def test_what_is_negative_or_nameless_is_left_out() -> None:
    truth = made("a", boxed("a", 1, (0, 0, 9, 9), value=0), named("a", 2, None, shape=Shape(box=(0, 0, 9, 9))))
    assert score_shapes("box", [truth], {}).inputs == {"a": Counts()}


def test_frames_of_a_video_are_apart() -> None:
    truth = made("v", boxed("v", 1, (0, 0, 9, 9), frame=0), boxed("v", 2, (0, 0, 9, 9), frame=5))
    said = [boxed("v", 1, (0, 0, 9, 9), frame=5), boxed("v", 2, (0, 0, 9, 9), frame=6)]
    assert score_shapes("box", [truth], {"v": said}).inputs == {"v": Counts(found=1, wrong=1, missed=1)}


def test_numbers_near_the_end_of_float64() -> None:
    far = [boxed("a", 1, (-1e308, 0, 1.7e308, 1e308)), boxed("a", 2, (1e200, 1e200, 1e200, 1e200))]
    scores = score_shapes("box", [made("a", *far)], {"a": [*far, boxed("a", 3, (0, 0, 5, 5))]})
    assert all(value is None or 0 <= value <= 1 for value in scores.figures.values())
    assert scores.inputs["a"].wrong >= 1


def problems_of(kind: Any, samples: list[Sample], predicted: dict[str, list[Annotation]]) -> tuple[str, ...]:
    with pytest.raises(InvalidRecordsError) as caught:
        score_shapes(kind, samples, predicted)
    assert caught.value.hint
    assert caught.value.message.startswith(f"{len(caught.value.problems)} record")
    return caught.value.problems


def test_what_needs_a_size_is_named() -> None:
    ring = Shape(polygons=((0, 0, 0, 9, 9, 9),))
    relative = Shape(box=(0, 0, 0.5, 0.5), unit="relative")
    lost = made("a", named("a", 1, shape=ring), size=None)
    assert problems_of("mask", [lost, made("b", named("b", 1, shape=ring))], {"a": [named("a", 2, shape=ring)]}) == (
        "a#000001: the input's size in pixels, which its polygons need, is not known",
        "a: a prediction of 'cat': the input's size in pixels, which its polygons need, is not known",
    )
    assert problems_of("box", [made("a", named("a", 1, shape=relative), size=None)], {}) == (
        "a#000001: the input's size in pixels is not known",
    )


BAD_MASKS = {
    "": "the text of its mask is damaged",
    "0é0": "the text of its mask is damaged",
    "PPPPPPPPPPPPPP1": "the text of its mask is damaged",
    "1P": "the text of its mask ends too early",
    "11": "the runs of its mask cover 2 pixels, not 10000",
    (9, 9): "the runs of its mask cover 18 pixels, not 10000",
    (10001, -1): "the runs of its mask cover 10000 pixels, not 10000",
    (): "the runs of its mask cover 0 pixels, not 10000",
}


@pytest.mark.parametrize("counts", BAD_MASKS, ids=repr)
@pytest.mark.parametrize("kind", ["box", "mask"])
def test_a_damaged_mask_is_named(kind: str, counts: Any) -> None:
    shape = Shape(mask=Mask(height=100, width=100, counts=counts))
    (problem,) = problems_of(kind, [made("a")], {"a": [named("a", 1, shape=shape)]})
    assert problem == f"a: a prediction of 'cat': {BAD_MASKS[counts]}"


def test_masks_that_cannot_be_drawn_are_named() -> None:
    huge = Shape(mask=Mask(height=1 << 20, width=1 << 20, counts=(1 << 40,)))
    flat = Shape(mask=Mask(height=0, width=5, counts=(0,)))
    long = Shape(polygons=((0, 0, 1e9, 1e9, 0, 1e9),))
    annotations = [named("a", at, shape=shape) for at, shape in enumerate((huge, flat, long))]
    assert problems_of("mask", [made("a", *annotations)], {}) == (
        "a#000000: a mask of 1048576 x 1048576 pixels cannot be drawn",
        "a#000001: a mask of 5 x 0 pixels cannot be drawn",
        "a#000002: its polygons are too long to be drawn",
    )


def test_masks_of_different_sizes_are_named() -> None:
    other = Shape(mask=Mask(height=50, width=60, counts=(3000,)))
    truth = made("a", named("a", 1, shape=Shape(polygons=((0, 0, 0, 9, 9, 9),))))
    assert problems_of("mask", [truth], {"a": [named("a", 1, shape=other)]}) == (
        "a: its masks are of different sizes in pixels: 60 x 50, 100 x 100",
    )


def test_a_score_that_is_no_number_is_named() -> None:
    said = {"a\x1b": [boxed("a\x1b", 1, (0, 0, 5, 5), value=float("nan"))]}
    assert problems_of("box", [made("a\x1b")], said) == ("a\\x1b: a prediction of 'cat': its score is nan",)


@pytest.mark.parametrize("wrong", [{"iou": 0}, {"iou": 1.1}, {"iou": float("nan")}, {"score": float("nan")}])
def test_thresholds_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        score_shapes("box", [], {}, **wrong)


def test_a_kind_that_is_no_shape() -> None:
    with pytest.raises(UsageError, match="'classification' is no kind of shape that can be scored"):
        score_shapes("classification", [], {})


@pytest.mark.parametrize("kind", ["box", "mask", "keypoints"])
def test_progress_is_told_within_a_concept(kind: Any) -> None:
    told: list[tuple[str, int, int | None]] = []
    shape = {
        "box": {"shape": Shape(box=(0, 0, 9, 9))},
        "mask": {"shape": Shape(polygons=((0, 0, 9, 0, 9, 9),))},
        "keypoints": {"keypoints": (1, 1, 2, 5, 5, 2), "shape": Shape(box=(0, 0, 9, 9))},
    }[kind]
    keys = [f"{at:03}" for at in range(400)]
    truth = [made(key, Annotation(key=key, id="1", concept="cat", **shape)) for key in keys]  # type: ignore[arg-type]
    score_shapes(kind, truth, {}, progress=lambda *what: told.append(what))
    within = [done for what, done, total in told if (what, total) == ("score shapes", 400)]
    assert len(within) >= 4 and within == sorted(within) and (within[0], within[-1]) == (0, 400)
    assert told.index(("score shapes", within[1], 400)) < told.index(("score concepts", 1, 1))


def test_progress_is_told_and_stdout_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, int, int | None]] = []
    truth = [made(f"{at:03}", boxed(f"{at:03}", 1, (0, 0, 9, 9), f"c{at % 2}")) for at in range(300)]
    results: list[Scores] = []

    def score() -> None:
        results.append(score_shapes("box", truth, {}, progress=lambda *what: told.append(what)))

    threads = [threading.Thread(target=score) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    assert sorted(set(told)) == [
        ("count mistakes", 0, 300),
        ("count mistakes", 256, 300),
        ("read shapes", 256, None),
        ("score concepts", 1, 2),
        ("score concepts", 2, 2),
        ("score shapes", 0, 300),
        ("score shapes", 102, 300),
        ("score shapes", 204, 300),
        ("score shapes", 300, 300),
    ]
    assert capsys.readouterr() == ("", "")
