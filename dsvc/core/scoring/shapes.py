"""Scores of predicted boxes, masks and keypoints, as COCO defines them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from dsvc.core.scoring.judging import Judge, Sum
from dsvc.core.scoring.matching import Matcher, Outcome, Tally, is_ignored
from dsvc.core.scoring.rows import Rows, Scene, by_number
from dsvc.core.scoring.scores import Counts, Curve, Kind, Scores
from dsvc.errors import InvalidRecordsError, UsageError
from dsvc.model.incoming import Progress
from dsvc.model.records import Annotation, Number
from dsvc.model.walk import Sample

_KINDS = ("box", "mask", "keypoints")
# Nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles: how far people place COCO's points apart.
_PERSON = (0.026, *(n for n in (0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089) for _ in range(2)))
# About the mean of COCO's, for points that nobody has measured.
_UNIFORM = 0.067


def score_shapes(
    kind: Kind,
    samples: Iterable[Sample],
    predicted: Mapping[str, Sequence[Annotation]],
    *,
    iou: float = 0.5,
    score: float = 0.5,
    sigmas: Sequence[float] | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score predicted shapes (`kind` is box, mask or keypoints) against ground truth, by pycocotools.

    `samples` is the ground truth; `predicted` maps an input's key to its predictions, whose `value` is the score (1
    where absent). Inputs without predictions count as empty; predictions for other inputs don't count. Annotations
    without a concept or without such a shape are left out, as are those of value 0. Boxes are made of polygons, masks
    or keypoints where there is none; a predicted box is a mask, too. Each frame of a video is compared by itself.

    `iou` (above 0, up to 1) is that of the precision-recall curves, and with `score` that of the confusion matrix and
    of all counts, which have no bound of 100 predictions an image. Of 17 keypoints the spread (`sigmas`) is that of
    COCO's persons, of other numbers 0.067 for each; `sigmas` gives others, one for each keypoint.

    Raises InvalidRecordsError naming what cannot be scored: shapes that need a size in pixels which is not known,
    damaged masks, masks of one input of different sizes, other numbers of keypoints; UsageError for thresholds,
    sigmas and kinds that cannot be.
    """
    if kind not in _KINDS:
        raise UsageError(f"{kind!r} is no kind of shape that can be scored", f"one of: {', '.join(_KINDS)}")
    _require_thresholds(iou, score)
    rows = Rows(kind)
    keys, scenes = _scenes(rows, samples, predicted, progress)
    concepts = sorted({row["concept"] for scene in scenes for side in scene[1:] for row in side})
    spread = _spread(rows.points, sigmas)
    judged = _Judged(Judge(kind, iou, spread), scenes, concepts, progress)
    tally = Tally()
    counts = _count(Matcher(kind, iou, score, spread), tally, scenes, len(keys), progress)
    return Scores(
        kind=kind,
        figures=judged.figures,
        concepts={name: judged.concepts[name] | _counted(tally.of_concept(name)) for name in concepts},
        curves=judged.curves,
        confusion=tally.confusion(concepts),
        inputs=dict(sorted(zip(keys, counts, strict=True))),
        iou=iou,
        score=score,
    )


def _require_thresholds(iou: float, score: float) -> None:
    if not 0 < iou <= 1:
        raise UsageError(f"an IoU to match at is above 0 and up to 1, not {iou}", "0.5 is usual")
    if not math.isfinite(score):
        raise UsageError(f"a score to count from is a number, not {score}", "0.5 is usual")


def _scenes(
    rows: Rows, samples: Iterable[Sample], predicted: Mapping[str, Sequence[Annotation]], progress: Progress | None
) -> tuple[list[str], list[Scene]]:
    """The keys of all inputs, and their scenes. Raises InvalidRecordsError."""
    keys: list[str] = []
    numbers: list[Number | None] = []
    scenes: list[Scene] = []
    for sample in samples:  # as much of each as is compared is in memory, not all of it
        scenes += rows.scenes(len(keys), sample, predicted.get(sample.input.key, ()))
        keys.append(sample.input.key)
        numbers.append(sample.input.number)
        if progress is not None and len(keys) % 256 == 0:
            progress("read shapes", len(keys), None)
    problems = rows.problems
    if problems.count:
        noun = "record" if problems.count == 1 else "records"
        hint = "mend them; where a size is not known, add the media or import it with its declared size"
        raise InvalidRecordsError(
            f"{problems.count:,} {noun} cannot be scored", problems.found, hint, count=problems.count
        )
    return keys, by_number(scenes, numbers)


def _spread(points: Mapping[str, int], sigmas: Sequence[float] | None) -> Callable[[str], Sequence[float]]:
    """The sigmas of the keypoints of a concept."""
    if sigmas is not None:
        for concept, number in points.items():
            if number != len(sigmas):
                message = f"{len(sigmas)} sigmas cannot be those of the {number} keypoints of {concept!r}"
                raise UsageError(message, "give one for each keypoint")
        if not all(0 < sigma < math.inf for sigma in sigmas):
            raise UsageError("sigmas are numbers above 0", "0.067 is about the mean of COCO's")
        return lambda _: sigmas

    def of_concept(concept: str) -> Sequence[float]:
        return _PERSON if points[concept] == len(_PERSON) else (_UNIFORM,) * points[concept]

    return of_concept


class _Judged:
    """COCO's figures of the whole and of each concept, and the concepts' curves."""

    def __init__(
        self, judge: Judge, scenes: Sequence[Scene], concepts: Sequence[str], progress: Progress | None
    ) -> None:
        self.concepts: dict[str, dict[str, int | float | None]] = {}
        self.curves: dict[str, Curve] = {}
        whole = dict.fromkeys(judge.names, Sum())
        numbers = _numbers(scenes)
        for done, (concept, judged) in enumerate(
            zip(concepts, judge.judge(scenes, concepts, progress), strict=True), 1
        ):
            sums = judge.sums(judged)
            whole = {name: one.plus(sums[name]) for name, one in whole.items()}
            self.concepts[concept] = {
                **judge.concept_figures(sums),
                "annotations": numbers["truth", concept],
                "predictions": numbers["predicted", concept],
            }
            curve = judge.curve(judged)
            if curve is not None:
                self.curves[concept] = curve
            if progress is not None:
                progress("score concepts", done, len(concepts))
        self.figures = {name: one.mean for name, one in whole.items()}


def _numbers(scenes: Sequence[Scene]) -> Counter[tuple[str, str]]:
    """How many annotations count as ground truth, and how many predictions there are, by concept."""
    numbers: Counter[tuple[str, str]] = Counter()
    for scene in scenes:
        numbers.update(("truth", row["concept"]) for row in scene.truth if not is_ignored(row))
        numbers.update(("predicted", row["concept"]) for row in scene.predicted)
    return numbers


def _count(
    matcher: Matcher, tally: Tally, scenes: Sequence[Scene], inputs: int, progress: Progress | None
) -> list[Counts]:
    """The counts of each input, by its index; all outcomes go to the tally."""
    outcomes: list[list[Outcome]] = [[] for _ in range(inputs)]
    for done, scene in enumerate(scenes):
        outcomes[scene.whose] += matcher.outcomes(scene)
        if progress is not None and done % 256 == 0:
            progress("count mistakes", done, len(scenes))
    return [tally.add(found) for found in outcomes]


def _counted(counts: Counts) -> dict[str, int | float | None]:
    return {"found": counts.found, "wrong": counts.wrong, "missed": counts.missed}
