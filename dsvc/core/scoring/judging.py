"""COCO's own evaluation of boxes, masks and keypoints, by pycocotools, one concept at a time.

Concepts have no part in each other's numbers, and neither have images without a concept; so an evaluation of each
gives the same as one of all, without a visit to every image for every concept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.scoring.rows import Row, Scene
from dsvc.core.scoring.scores import Curve, Figures, Kind
from dsvc.model.incoming import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# Name -> precision or recall, the IoU (None: the mean of .5, .55 to .95), the area, how many predictions of an image.
_Figure = tuple[str, float | None, str, int]
_SHAPES: Mapping[str, _Figure] = {
    "AP": ("precision", None, "all", 100),
    "AP50": ("precision", 0.5, "all", 100),
    "AP75": ("precision", 0.75, "all", 100),
    "APs": ("precision", None, "small", 100),
    "APm": ("precision", None, "medium", 100),
    "APl": ("precision", None, "large", 100),
    "AR1": ("recall", None, "all", 1),
    "AR10": ("recall", None, "all", 10),
    "AR100": ("recall", None, "all", 100),
    "ARs": ("recall", None, "small", 100),
    "ARm": ("recall", None, "medium", 100),
    "ARl": ("recall", None, "large", 100),
}
_KEYPOINTS: Mapping[str, _Figure] = {
    "AP": ("precision", None, "all", 20),
    "AP50": ("precision", 0.5, "all", 20),
    "AP75": ("precision", 0.75, "all", 20),
    "APm": ("precision", None, "medium", 20),
    "APl": ("precision", None, "large", 20),
    "AR": ("recall", None, "all", 20),
    "AR50": ("recall", 0.5, "all", 20),
    "AR75": ("recall", 0.75, "all", 20),
    "ARm": ("recall", None, "medium", 20),
    "ARl": ("recall", None, "large", 20),
}
_TYPES = {"box": "bbox", "mask": "segm", "keypoints": "keypoints"}
# So many of COCO's own IoUs come first; after them the one that was asked for, if it is another.
_OWN = 10
_OFTEN = 512  # steps between two reports


class Judged(NamedTuple):
    """Of one concept, by IoU, recall (101 steps), 1, area, and how many predictions of an image; `recall` has no steps.

    -1 is what pycocotools says where there is no ground truth.
    """

    precision: Floats
    recall: Floats
    scores: Floats


class Sum(NamedTuple):
    """What a figure is the mean of: a total, and of how many."""

    total: float = 0.0
    number: int = 0

    @property
    def mean(self) -> float | None:
        """The figure, or None where nothing is defined.

        pycocotools adds 2.2e-16 to what it divides by, so that what is right in all may be just below 1.
        """
        return round(self.total / self.number, 14) if self.number else None

    def plus(self, other: Sum) -> Sum:
        """The sum of both."""
        return Sum(self.total + other.total, self.number + other.number)


class Judge:
    """Evaluates scenes for one kind of shape; `sigmas` gives those of a concept's keypoints."""

    def __init__(self, kind: Kind, iou: float, sigmas: Callable[[str], Sequence[float]]) -> None:
        self._kind = kind
        self._sigmas = sigmas
        self._table = _KEYPOINTS if kind == "keypoints" else _SHAPES
        params = _params(kind)
        own = params.iouThrs.tolist()
        # COCO's thresholds are sums of steps, so that 0.55 may be its neighbour.
        near = [at for at, threshold in enumerate(own) if abs(threshold - iou) < 1e-9]
        self._at = near[0] if near else _OWN
        self._thresholds = own if near else [*own, iou]
        self._areas: list[str] = params.areaRngLbl
        self._most: list[int] = params.maxDets
        self._recalls: tuple[float, ...] = tuple(params.recThrs.tolist())

    def judge(
        self, scenes: Sequence[Scene], concepts: Sequence[str], progress: Progress | None = None
    ) -> Iterator[Judged]:
        """Evaluate concept by concept; progress counts the images of each."""
        truth: dict[str, dict[int, list[Row]]] = {concept: {} for concept in concepts}
        predicted: dict[str, dict[int, list[Row]]] = {concept: {} for concept in concepts}
        for image, scene in enumerate(scenes, 1):
            for side, rows in ((truth, scene.truth), (predicted, scene.predicted)):
                for row in rows:
                    side[row["concept"]].setdefault(image, []).append(row)
        visits = sum(len(truth[concept].keys() | predicted[concept].keys()) for concept in concepts)
        watch = _Watch(visits, 1 + len(self._areas), progress) if progress is not None else None
        for concept in concepts:
            yield self._judge_one(concept, truth[concept], predicted[concept], watch)

    def _judge_one(
        self, concept: str, truth: dict[int, list[Row]], predicted: dict[int, list[Row]], watch: _Watch | None
    ) -> Judged:
        import numpy as np

        own, accumulate = _silenced()
        images = sorted(truth.keys() | predicted.keys())
        evaluation = _evaluation(_TYPES[self._kind])
        evaluation.cocoGt, evaluation.cocoDt = _coco(images, truth), _coco(images, predicted)
        params = evaluation.params
        params.imgIds, params.catIds, params.iouThrs = images, [1], np.array(self._thresholds)
        if self._kind == "keypoints":
            params.kpt_oks_sigmas = np.array(self._sigmas(concept))
        with watch.over(evaluation) if watch is not None else nullcontext():
            own(evaluation)
        accumulate(evaluation)
        return Judged(*(evaluation.eval[name] for name in Judged._fields))

    @property
    def names(self) -> tuple[str, ...]:
        """The twelve (of keypoints ten) figures of COCO."""
        return tuple(self._table)

    def concept_figures(self, sums: Mapping[str, Sum]) -> Figures:
        """The main figures of one concept."""
        names = ("AP", "AP50", "AP75", "AR" if self._kind == "keypoints" else "AR100")
        return {name: sums[name].mean for name in names}

    def sums(self, judged: Judged) -> dict[str, Sum]:
        """What each figure is the mean of, over the IoUs and recalls of one concept."""
        return {name: self._sum(judged, figure) for name, figure in self._table.items()}

    def _sum(self, judged: Judged, figure: _Figure) -> Sum:
        what, iou, area, most = figure
        values: Floats = getattr(judged, what)
        values = values[..., self._areas.index(area), self._most.index(most)]
        values = values[:_OWN] if iou is None else values[round((iou - 0.5) / 0.05)]
        defined = values[values > -1]
        return Sum(float(defined.sum()), defined.size)

    def curve(self, judged: Judged) -> Curve | None:
        """The curve of one concept at the IoU, whose AP is the mean of its precision; None without ground truth."""
        precision, scores = judged.precision[self._at, :, 0, 0, -1], judged.scores[self._at, :, 0, 0, -1]
        if precision[0] < 0:
            return None
        return Curve(self._recalls, tuple(precision.tolist()), tuple(scores.tolist()))


class _Watch:
    """Tells how far pycocotools is: it compares each image of a concept once, and then visits it once for each area."""

    def __init__(self, visits: int, steps: int, progress: Progress) -> None:
        self._visits, self._steps, self._progress = visits, steps, progress
        self._done = 0
        progress("score shapes", 0, visits)

    @contextmanager
    def over(self, evaluation: Any) -> Iterator[None]:
        """Count the steps of one concept's evaluation."""
        names = ("computeIoU", "computeOks", "evaluateImg")
        for name in names:
            setattr(evaluation, name, self._counted(getattr(evaluation, name)))
        yield
        for name in names:  # else it would hold itself, and its memory be free late
            delattr(evaluation, name)

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._done += 1
            if self._done % _OFTEN == 0 or self._done == self._visits * self._steps:
                self._progress("score shapes", self._done // self._steps, self._visits)
            return function(*arguments)

        return counted


def _params(kind: Kind) -> Any:
    from pycocotools.cocoeval import Params

    return Params(_TYPES[kind])


def _evaluation(iou_type: str) -> Any:
    from pycocotools.cocoeval import COCOeval

    return COCOeval(iouType=iou_type)


@cache
def _silenced() -> tuple[FunctionType, FunctionType]:
    """pycocotools' evaluate() and accumulate() with a print of their own: they tell on stdout how far they are.

    Turning stdout elsewhere meanwhile would take it from other threads, too.
    """
    from pycocotools.cocoeval import COCOeval

    def quiet(function: FunctionType) -> FunctionType:
        names = {**function.__globals__, "print": lambda *_: None}
        return FunctionType(function.__code__, names, function.__name__, function.__defaults__)

    return quiet(COCOeval.evaluate), quiet(COCOeval.accumulate)


def _coco(images: list[int], rows: Mapping[int, list[Row]]) -> Any:
    """Rows of one concept as what pycocotools reads from a file, numbered from 1: 0 means unmatched to it."""
    from pycocotools.coco import COCO

    coco = COCO()
    # Masks are packed already; pycocotools asks for the size of their image all the same.
    coco.imgs = {image: {"id": image, "height": 0, "width": 0} for image in images}
    coco.cats = {1: {"id": 1}}
    number = 0
    for image in images:
        for row in rows.get(image, ()):
            number += 1
            row |= {"id": number, "image_id": image, "category_id": 1}
            coco.anns[number] = row
            coco.imgToAnns[image].append(row)
    return coco
