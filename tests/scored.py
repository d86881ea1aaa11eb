"""Small ground truth and predictions, and what pycocotools says of the same in its own form."""

import contextlib
import copy
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dsvc.model.records import Annotation, Input, Mask, Shape
from dsvc.model.walk import Sample

TYPES = {"box": "bbox", "mask": "segm", "keypoints": "keypoints"}


def made(key: str, *annotations: Annotation, size: tuple[float, float] | None = (100, 100), **fields: Any) -> Sample:
    """An input with annotations."""
    width, height = size or (None, None)
    return Sample(Input(key=key, declared_width=width, declared_height=height, **fields), annotations)


def named(key: str, number: int, concept: str | None = "cat", value: float | None = None, **fields: Any) -> Annotation:
    """An annotation or a prediction; its id sorts as its number does."""
    return Annotation(key=key, id=f"{number:06}", concept=concept, value=value, **fields)


def boxed(key: str, number: int, box: Sequence[float], concept: str = "cat", **fields: Any) -> Annotation:
    """A box."""
    return named(key, number, concept, shape=Shape(box=tuple(box)), **fields)


def from_results(
    rows: Iterable[Mapping[str, Any]], keys: Mapping[int, str], names: Mapping[int, str]
) -> dict[str, list[Annotation]]:
    """The records of a COCO results file as predictions; `keys` are those of images by number."""
    predicted: dict[str, list[Annotation]] = {}
    for number, row in enumerate(rows):
        key = keys[row["image_id"]]
        runs = row.get("segmentation")
        mask = Mask(height=runs["size"][0], width=runs["size"][1], counts=runs["counts"]) if runs else None
        shape = Shape(box=tuple(row["bbox"]) if "bbox" in row else None, mask=mask)
        points = tuple(row["keypoints"]) if "keypoints" in row else None
        concept = names[row["category_id"]]
        is_shaped = shape.box is not None or mask is not None
        predicted.setdefault(key, []).append(
            named(key, number, concept, row["score"], shape=shape if is_shaped else None, keypoints=points)
        )
    return predicted


def direct(
    kind: str, document: Mapping[str, Any], rows: list[dict[str, Any]], sigmas: Sequence[float] | None = None
) -> COCOeval:
    """pycocotools on a COCO document and a results file, as its manual has it."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(dict(document))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(rows)), TYPES[kind])
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def stats(evaluation: COCOeval) -> list[float | None]:
    """Its figures, None for -1."""
    return [None if value == -1 else float(value) for value in evaluation.stats]
