"""Keypoints: synthetic sets of 17 and of 14 points against pycocotools itself, and the odd cases."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest
from scored import direct, from_results, made, named, stats

from dsvc.core.scoring.scores import Counts
from dsvc.core.scoring.shapes import score_shapes
from dsvc.errors import InvalidRecordsError, UsageError
from dsvc.model.records import Shape
from dsvc.model.walk import Sample


def points_of(random_: random.Random, number: int, hidden: float) -> list[float]:
    points: list[float] = []
    x, y = random_.uniform(0, 400), random_.uniform(0, 400)
    for _ in range(number):
        seen = 0 if random_.random() < hidden else random_.choice((1, 2))
        points += [x + random_.uniform(0, 90), y + random_.uniform(0, 90), seen] if seen else [0, 0, 0]
    return points


def random_set(seed: int, number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO document of persons and their predictions; some crowds, some without labelled points, some alike."""
    random_ = random.Random(seed)
    images = [{"id": image, "file_name": f"{image:02}.jpg", "width": 500, "height": 500} for image in range(1, 16)]
    annotations = []
    for id in range(1, 46):
        points = points_of(random_, number, random_.choice((0.2, 0.5, 1)))
        box = [random_.uniform(0, 300), random_.uniform(0, 300), 90, random_.choice((20, 90, 200))]
        annotations.append(
            {
                "id": id,
                "image_id": random_.randrange(1, 15),
                "category_id": 1,
                "keypoints": points,
                "num_keypoints": sum(seen > 0 for seen in points[2::3]),
                "bbox": box,
                "area": box[2] * box[3] * 0.6,
                "iscrowd": int(random_.random() < 0.1),
            }
        )
    rows = []
    for _ in range(90):
        like = random_.choice(annotations)
        points = [value + random_.gauss(0, 3) if at % 3 < 2 else 1 for at, value in enumerate(like["keypoints"])]
        rows.append({"image_id": like["image_id"], "category_id": 1, "keypoints": points, "score": random_.random()})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}, rows


def samples_of(document: dict[str, Any]) -> list[Sample]:
    return [
        made(
            image["file_name"],
            *(
                named(
                    image["file_name"],
                    row["id"],
                    "person",
                    keypoints=tuple(row["keypoints"]),
                    crowd=row["iscrowd"],
                    shape=Shape(box=tuple(row["bbox"]), area=row["area"]),
                )
                for row in document["annotations"]
                if row["image_id"] == image["id"]
            ),
            size=(500, 500),
        )
        for image in document["images"]
    ]


@pytest.mark.parametrize(
    ("number", "given", "sigmas"),
    [(17, None, None), (14, None, [0.067] * 14), (14, [0.1] * 7 + [0.05] * 7, [0.1] * 7 + [0.05] * 7)],
)
def test_keypoints_give_what_pycocotools_gives(number: int, given: Any, sigmas: Any) -> None:
    document, rows = random_set(number, number)
    keys = {image["id"]: image["file_name"] for image in document["images"]}
    predicted = from_results(rows, keys, {1: "person"})

    scores = score_shapes("keypoints", samples_of(document), predicted, sigmas=given)

    evaluation = direct("keypoints", document, rows, sigmas)
    assert list(scores.figures) == ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
    assert list(scores.figures.values()) == pytest.approx(stats(evaluation), abs=1e-12)
    assert 0 < (scores.figures["AP"] or 0) < 1
    assert list(scores.concepts["person"])[:4] == ["AP", "AP50", "AP75", "AR"]
    assert scores.curves["person"].precision == tuple(evaluation.eval["precision"][0, :, 0, 0, 0].tolist())
    # With one concept, the matching is COCO's own as long as it ends at no bound and no score.
    whole = score_shapes("keypoints", samples_of(document), predicted, sigmas=given, score=0)
    first = [image for image in evaluation.evalImgs[: len(keys)] if image is not None]
    found = sum(((image["dtMatches"][0] > 0) & ~image["dtIgnore"][0]).sum() for image in first)
    wrong = sum(((image["dtMatches"][0] == 0) & ~image["dtIgnore"][0]).sum() for image in first)
    assert [whole.concepts["person"][name] for name in ("found", "wrong")] == [found, wrong]


def test_concepts_of_different_numbers_of_keypoints() -> None:
    """Each by its own; they are nothing to each other."""
    person = named("a", 1, "person", keypoints=(5, 5, 2) * 17, shape=Shape(box=(0, 0, 50, 50)))
    dog = named("a", 2, "dog", keypoints=(5, 5, 2) * 5, shape=Shape(box=(0, 0, 50, 50)))
    scores = score_shapes("keypoints", [made("a", person, dog)], {"a": [dog, person]})
    assert scores.figures["AP"] == 1
    assert scores.confusion.rows == ((1, 0, 0), (0, 1, 0), (0, 0, 0))


def test_what_is_not_labelled_is_no_ground_truth() -> None:
    hidden = named("a", 1, "person", keypoints=(0, 0, 0) * 17, shape=Shape(box=(0, 0, 50, 50)))
    said = named("a", 2, "person", keypoints=(20, 20, 1) * 17)
    scores = score_shapes("keypoints", [made("a", hidden)], {"a": [said, said]})
    assert scores.inputs == {"a": Counts(found=0, wrong=1, missed=0)}  # one stands for it, and is ignored
    assert scores.figures["AP"] is None


def test_other_numbers_of_keypoints_are_named() -> None:
    truth = made("a", named("a", 1, keypoints=(5, 5, 2) * 3), named("a", 2, keypoints=(5, 5, 2) * 4))
    with pytest.raises(InvalidRecordsError) as caught:
        score_shapes("keypoints", [truth], {"a": [named("a", 1, keypoints=(5.0, 5.0))]})
    assert caught.value.problems == (
        "a#000002: it has 4 keypoints, others of its concept have 3",
        "a: a prediction of 'cat': 2 numbers are not x, y, visibility of each keypoint",
    )


def test_sigmas_that_cannot_be() -> None:
    truth = made("a", named("a", 1, keypoints=(5, 5, 2) * 3))
    for sigmas in ((0.1,), (0.1, 0.1, 0), (0.1, 0.1, float("nan"))):
        with pytest.raises(UsageError):
            score_shapes("keypoints", [truth], {}, sigmas=sigmas)


def test_numbers_near_the_end_of_float64() -> None:
    """They are far away, and warn of nothing."""
    far = named("a", 1, keypoints=(1e300, -1e300, 2) * 3, shape=Shape(box=(0, 0, 1e300, 1e300)))
    near = named("a", 2, keypoints=(5, 5, 2) * 3, shape=Shape(box=(0, 0, 1e300, 20), area=400))
    truth = made("a", far, near)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = score_shapes("keypoints", [truth], {"a": [near]})
    assert scores.inputs == {"a": Counts(found=1, wrong=0, missed=1)}
    assert scores.figures["AP50"] == 1  # what is far is too large to count
