"""Scores of predicted classes: of inputs that have one concept each, or any number of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.keys import display
from dsvc.core.scoring.matching import Outcome, Tally
from dsvc.core.scoring.scores import Counts, Curve, Scores
from dsvc.errors import InvalidRecordsError, RefusedError, UsageError
from dsvc.model.incoming import Problems, Progress
from dsvc.model.records import Annotation
from dsvc.model.walk import Sample

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

# A curve has a point for each score; more of them than this nobody can see.
_MOST_POINTS = 1000
_COUNTED = ("precision", "recall", "f1")


class _Classified(NamedTuple):
    """An input: the concepts that it has, and the scores that were predicted."""

    key: str
    truth: frozenset[str]
    scores: dict[str, float]


def score_classes(
    samples: Iterable[Sample],
    predicted: Mapping[str, Sequence[Annotation]],
    *,
    score: float = 0.5,
    progress: Progress | None = None,
) -> Scores:
    """Score predicted classes against ground truth, by scikit-learn.

    `samples` is the ground truth: an input has the concepts of its annotations without a shape or another place, less
    those of value 0. `predicted` maps an input's key to its predictions, whose `value` is the score (1 where absent;
    the highest of a concept counts; a concept without a score has 0).

    Where every input that is annotated has exactly one concept, the highest score is what is predicted (among equals
    the first concept by id), and inputs without annotation are left out. Else each concept is predicted where its score
    reaches `score`, accuracy is the share of inputs that are right in all concepts, and inputs without annotation have
    none; what was missed and what was wrong are then in the last column and row of the confusion matrix.

    Precision, recall and f1 are means over the concepts that are there or predicted, 0 for one that has none; ROC AUC
    over those that some inputs have and others have not; average precision over those that are there. The thresholds
    of a concept's curve fall as its recall rises; of more than 1,000 points it has an even choice.

    Raises InvalidRecordsError naming inputs without a prediction, and scores that are no number; RefusedError without
    scikit-learn; UsageError for a wrong threshold.
    """
    if not math.isfinite(score):
        raise UsageError(f"a score to count from is a number, not {score}", "0.5 is usual")
    _require_sklearn()
    inputs, is_single = _classified(samples, predicted)
    outcomes = {one.key: _outcomes(one, is_single, score) for one in inputs}
    tally = Tally()
    counts = {key: tally.add(found) for key, found in sorted(outcomes.items())}
    columns = _Columns(inputs)
    concepts: dict[str, dict[str, int | float | None]] = {}
    curves: dict[str, Curve] = {}
    for done, name in enumerate(columns.names, 1):
        truth, scores = columns.column(name)
        concepts[name] = _by_score(truth, scores) | _by_count(tally.of_concept(name))
        if truth.any():
            curves[name] = _curve(truth, scores)
        if progress is not None:
            progress("score concepts", done, len(columns.names))
    named = sorted({name for found in outcomes.values() for pair in found for name in pair if name is not None})
    return Scores(
        kind="classification",
        figures=_figures(counts, concepts, named),
        concepts=concepts,
        curves=curves,
        confusion=tally.confusion(named, with_nothing=not is_single),
        inputs=counts,
        score=score,
    )


def _require_sklearn() -> None:
    try:
        import sklearn.metrics  # noqa: F401 - whether it can be loaded at all
    except ImportError:
        raise RefusedError("scoring classes needs scikit-learn", "pip install 'dsvc[sklearn]'") from None


# ---- what is there, and what was predicted


def _classified(
    samples: Iterable[Sample], predicted: Mapping[str, Sequence[Annotation]]
) -> tuple[list[_Classified], bool]:
    """The inputs, and whether each has exactly one concept. Raises InvalidRecordsError."""
    whole = [(sample.input.key, [one for one in sample.annotations if _is_class(one)]) for sample in samples]
    truths = [frozenset(one.concept for one in found if one.concept and one.value != 0) for _, found in whole]
    is_single = all(len(truth) == 1 for truth, (_, found) in zip(truths, whole, strict=True) if found)
    inputs, problems = [], Problems()
    for (key, _), truth in zip(whole, truths, strict=True):
        if truth or not is_single:
            inputs.append(_Classified(key, truth, _scores(key, predicted.get(key), problems, is_single)))
    if problems.count:
        noun = "input" if problems.count == 1 else "inputs"
        hint = "give a prediction for each input, or evaluate only those that have one: --predicted"
        raise InvalidRecordsError(
            f"{problems.count:,} {noun} cannot be scored", problems.found, hint, count=problems.count
        )
    return inputs, is_single


def _is_class(annotation: Annotation) -> bool:
    """Whether an annotation is about its input as a whole."""
    places = ("shape", "keypoints", "point", "span", "time", "frame")
    return annotation.concept is not None and all(getattr(annotation, place) is None for place in places)


def _scores(key: str, predicted: Sequence[Annotation] | None, problems: Problems, is_single: bool) -> dict[str, float]:
    """The highest score of each concept that was predicted for an input."""
    scores: dict[str, float] = {}
    for one in predicted or ():
        value = 1.0 if one.value is None else float(one.value)
        if not math.isfinite(value):
            problems.add(f"{display(key)}: the score of {display(str(one.concept))!r} is {value}")
        elif one.concept is not None and _is_class(one):
            scores[one.concept] = max(value, scores.get(one.concept, value))
    if predicted is None or (is_single and not scores):
        problems.add(f"{display(key)}: no class was predicted")
    return scores


def _outcomes(one: _Classified, is_single: bool, score: float) -> list[Outcome]:
    """What became of the concepts of an input, and of those that were predicted."""
    if is_single:
        (truth,) = one.truth
        return [(truth, min(one.scores, key=lambda name: (-one.scores[name], name)))]
    said = {name for name, value in one.scores.items() if value >= score}
    return [
        *((name, name) for name in one.truth & said),
        *((name, None) for name in one.truth - said),
        *((None, name) for name in said - one.truth),
    ]


class _Columns:
    """The truth and the scores of one concept after another, over all inputs."""

    def __init__(self, inputs: Sequence[_Classified]) -> None:
        self._length = len(inputs)
        self._truth: dict[str, list[int]] = {}
        self._scores: dict[str, tuple[list[int], list[float]]] = {}
        for at, one in enumerate(inputs):
            for name in one.truth:
                self._truth.setdefault(name, []).append(at)
            for name, value in one.scores.items():
                places, values = self._scores.setdefault(name, ([], []))
                places.append(at)
                values.append(value)
        self.names = sorted(self._truth.keys() | self._scores.keys())

    def column(self, name: str) -> tuple[Flags, Floats]:
        """Which inputs have a concept, and the score of each; 0 where none was given."""
        import numpy as np

        truth, scores = np.zeros(self._length, bool), np.zeros(self._length)
        truth[self._truth.get(name, [])] = True
        places, values = self._scores.get(name, ([], []))
        scores[places] = values
        return truth, scores


# ---- numbers


def _by_count(counts: Counts) -> dict[str, int | float | None]:
    found, wrong, missed = counts.found, counts.wrong, counts.missed
    return {
        "precision": _share(found, found + wrong),
        "recall": _share(found, found + missed),
        "f1": _share(2 * found, 2 * found + wrong + missed),
        "annotations": found + missed,
        "predictions": found + wrong,
        "found": found,
        "wrong": wrong,
        "missed": missed,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _by_score(truth: Flags, scores: Floats) -> dict[str, int | float | None]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "roc_auc": float(roc_auc_score(truth, scores)) if truth.any() and not truth.all() else None,
        "average_precision": float(average_precision_score(truth, scores)) if truth.any() else None,
    }


def _curve(truth: Flags, scores: Floats) -> Curve:
    import numpy as np
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(truth, scores)
    # The last point, of recall 0, is an end for drawing, with no threshold; here the first is that of the best score.
    parts = [part[: len(thresholds)][::-1] for part in (recall, precision, thresholds)]
    chosen = np.linspace(0, len(thresholds) - 1, min(len(thresholds), _MOST_POINTS)).round().astype(int)
    return Curve(*(tuple(part[chosen].tolist()) for part in parts))


def _figures(
    counts: Mapping[str, Counts], concepts: Mapping[str, Mapping[str, int | float | None]], named: Sequence[str]
) -> dict[str, float | None]:
    right = sum(1 for one in counts.values() if not one.wrong and not one.missed)
    means: dict[str, float | None] = {name: _mean([concepts[one][name] or 0.0 for one in named]) for name in _COUNTED}
    scored = {name: _mean([one[name] for one in concepts.values()]) for name in ("roc_auc", "average_precision")}
    return {"accuracy": _share(right, len(counts)), **means, **scored}


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None
