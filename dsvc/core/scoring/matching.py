"""Which prediction stands for which annotation, whatever their concepts: for the confusion matrix and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dsvc.core.scoring.rows import Row, Scene
from dsvc.core.scoring.scores import NOTHING, Confusion, Counts, Kind

# A concept, or None for nothing: what is there, and what was predicted.
Outcome = tuple[str | None, str | None]
Sigmas = Callable[[str], Sequence[float]]


def is_ignored(row: Row) -> bool:
    """Whether COCO does not count an annotation as ground truth: a crowd, or one without labelled keypoints."""
    return bool(row["iscrowd"]) or row.get("num_keypoints") == 0


class Matcher:
    """Matches predictions of at least `score` with annotations that they overlap by at least `iou`."""

    def __init__(self, kind: Kind, iou: float, score: float, sigmas: Sigmas) -> None:
        self._kind = kind
        self._iou = min(iou, 1 - 1e-10)  # as COCO has it: equal boxes may miss 1 by rounding
        self._score = score
        self._sigmas = sigmas

    def outcomes(self, scene: Scene) -> Iterator[Outcome]:
        """What became of each annotation and prediction.

        The highest score chooses first, the annotation that it overlaps most (among equals: one of its own concept);
        each annotation is taken once. What is left over is no mistake where a crowd of its concept covers it.
        """
        predicted = [row for row in scene.predicted if row["score"] >= self._score]
        predicted.sort(key=lambda row: -row["score"])
        truth = scene.truth
        overlaps = self._overlaps(predicted, truth)
        ignored = [at for at, row in enumerate(truth) if is_ignored(row)]
        open_ = [at for at in range(len(truth)) if at not in set(ignored)]
        for row, shares in zip(predicted, overlaps, strict=True):
            best = self._best(row["concept"], shares, truth, open_)
            if best is not None:
                open_.remove(best)
                yield truth[best]["concept"], row["concept"]
            elif not self._take_ignored(row["concept"], shares, truth, ignored):
                yield None, row["concept"]
        yield from ((truth[at]["concept"], None) for at in open_)

    def _best(self, concept: str, shares: list[float], truth: list[Row], open_: list[int]) -> int | None:
        best, rank = None, (self._iou, False)
        for at in open_:
            found = (shares[at], truth[at]["concept"] == concept)
            if found[0] >= self._iou and (best is None or found > rank):
                best, rank = at, found
        return best

    def _take_ignored(self, concept: str, shares: list[float], truth: list[Row], ignored: list[int]) -> bool:
        """Whether something that COCO does not count stands for a prediction; a crowd does for any number."""
        for at in ignored:
            if shares[at] >= self._iou and truth[at]["concept"] == concept:
                if not truth[at]["iscrowd"]:
                    ignored.remove(at)
                return True
        return False

    def _overlaps(self, predicted: list[Row], truth: list[Row]) -> list[list[float]]:
        """IoU (of keypoints: OKS) by prediction and annotation."""
        if not predicted or not truth:
            return [[] for _ in predicted]
        if self._kind == "keypoints":
            found = [_similarities(predicted, row, self._sigmas(row["concept"])) for row in truth]
            return [list(shares) for shares in zip(*found, strict=True)]
        from pycocotools import mask as coco_mask

        part = "segmentation" if self._kind == "mask" else "bbox"
        sides = ([row[part] for row in side] for side in (predicted, truth))
        shares: list[list[float]] = coco_mask.iou(*sides, [row["iscrowd"] for row in truth]).tolist()
        return shares


def _similarities(predicted: list[Row], truth: Row, sigmas: Sequence[float]) -> list[float]:
    """Object keypoint similarity of predictions with an annotation; 0 for those of another number of keypoints."""
    import numpy as np

    points = np.array(truth["keypoints"], float).reshape(-1, 3)
    same = [at for at, row in enumerate(predicted) if len(row["keypoints"]) == points.size]
    found = np.zeros(len(predicted))
    if not same:
        return found.tolist()
    theirs = np.array([predicted[at]["keypoints"] for at in same], float).reshape(len(same), -1, 3)[..., :2]
    labelled = points[:, 2] > 0
    if labelled.any():
        away = theirs[:, labelled] - points[labelled, :2]
    else:
        # Nothing is labelled: what lies within twice the box, about its middle, is near enough.
        x, y, width, height = truth["bbox"]
        low, high = np.array((x - width, y - height)), np.array((x + 2 * width, y + 2 * height))
        away = np.maximum(0, low - theirs) + np.maximum(0, theirs - high)
        labelled = ~labelled
    spread = (2 * np.array(sigmas)[labelled]) ** 2
    exponent = (away**2).sum(axis=2) / spread / (truth["area"] + np.spacing(1)) / 2
    found[same] = np.exp(-exponent).mean(axis=1)
    return found.tolist()


class Tally:
    """Sums up outcomes: by input, by concept, and as a confusion matrix."""

    def __init__(self) -> None:
        self._pairs: Counter[Outcome] = Counter()

    def add(self, outcomes: Sequence[Outcome]) -> Counts:
        """Add those of one input, and give its counts."""
        self._pairs.update(outcomes)
        found = sum(1 for there, said in outcomes if there == said)
        return Counts(
            found=found,
            wrong=sum(1 for _, said in outcomes if said is not None) - found,
            missed=sum(1 for there, _ in outcomes if there is not None) - found,
        )

    def of_concept(self, concept: str) -> Counts:
        """The counts of one concept."""
        found = self._pairs[concept, concept]
        return Counts(
            found=found,
            wrong=sum(count for (_, said), count in self._pairs.items() if said == concept) - found,
            missed=sum(count for (there, _), count in self._pairs.items() if there == concept) - found,
        )

    def confusion(self, concepts: Sequence[str], with_nothing: bool = True) -> Confusion:
        """The matrix of these concepts, and of nothing as the last."""
        names: list[Any] = [*concepts, None] if with_nothing else list(concepts)
        rows = tuple(tuple(self._pairs[there, said] for said in names) for there in names)
        return Confusion(tuple(NOTHING if name is None else name for name in names), rows)
