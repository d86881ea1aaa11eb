"""Classes: random sets against scikit-learn's own calls, small ones by hand, and the odd cases."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from scored import made, named
from sklearn import metrics

from dsvc.core.scoring.classes import score_classes
from dsvc.core.scoring.kept import decode_scores, encode_scores
from dsvc.core.scoring.scores import NOTHING, Counts
from dsvc.errors import InvalidRecordsError, RefusedError, UsageError
from dsvc.model.records import Annotation, Shape
from dsvc.model.walk import Sample

NAMES = ("ant", "bee", "cat", "dog")


@pytest.fixture(autouse=True)
def no_warnings() -> None:
    warnings.simplefilter("error")


def guesses(key: str, **scores: float) -> list[Annotation]:
    return [named(key, at, name, value) for at, (name, value) in enumerate(scores.items())]


def has(key: str, *concepts: str) -> Sample:
    return made(key, *(named(key, at, concept) for at, concept in enumerate(concepts)))


def test_single_labels_give_what_scikit_learn_gives() -> None:
    """Among them a concept that is never there, and one that is never predicted."""
    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 80)
    table = random.random((80, 4)).round(1) + np.eye(4)[truth] * 0.3
    table[:, 2] *= 0.01
    keys = [f"{at:02}.jpg" for at in range(80)]
    predicted = {key: guesses(key, **dict(zip(NAMES, row, strict=True))) for key, row in zip(keys, table, strict=True)}
    samples = [has(key, NAMES[at]) for key, at in zip(keys, truth, strict=True)]

    scores = score_classes(samples, predicted)

    best = table.argmax(axis=1)
    assert set(best) == {0, 1, 3}
    figures = scores.figures
    assert list(figures) == ["accuracy", "precision", "recall", "f1", "roc_auc", "average_precision"]
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(truth, best))
    macro = metrics.precision_recall_fscore_support(truth, best, average="macro", zero_division=0)[:3]
    assert [figures[name] for name in ("precision", "recall", "f1")] == pytest.approx(list(macro))
    areas = [metrics.roc_auc_score(truth == at, table[:, at]) for at in range(3)]
    assert figures["roc_auc"] == pytest.approx(np.mean(areas))
    assert [scores.concepts[name]["roc_auc"] for name in NAMES] == [*map(pytest.approx, areas), None]
    precisions = [metrics.average_precision_score(truth == at, table[:, at]) for at in range(3)]
    assert figures["average_precision"] == pytest.approx(np.mean(precisions))
    assert scores.confusion.labels == NAMES
    assert scores.confusion.rows == tuple(map(tuple, metrics.confusion_matrix(truth, best)))
    each = metrics.precision_recall_fscore_support(truth, best, labels=range(4), zero_division=0)
    for at, name in enumerate(NAMES):
        concept = scores.concepts[name]
        assert [concept[part] or 0 for part in ("precision", "recall", "f1")] == pytest.approx(
            [p[at] for p in each[:3]]
        )
        assert concept["annotations"] == each[3][at]
    assert (scores.concepts["cat"]["precision"], scores.concepts["dog"]["recall"]) == (None, None)
    assert list(scores.curves) == ["ant", "bee", "cat"]
    curve = scores.curves["bee"]
    precision, recall, thresholds = metrics.precision_recall_curve(truth == 1, table[:, 1])
    assert (curve.precision, curve.recall) == (tuple(precision[-2::-1]), tuple(recall[-2::-1]))
    assert curve.scores == tuple(thresholds[::-1])
    right = {key: at == best_ for key, at, best_ in zip(keys, truth, best, strict=True)}
    assert scores.inputs == {key: Counts(found=1) if right[key] else Counts(wrong=1, missed=1) for key in keys}
    assert decode_scores(encode_scores(scores)) == scores


def test_multiple_labels_give_what_scikit_learn_gives() -> None:
    random = np.random.default_rng(2)
    truth = random.random((60, 3)) < 0.4
    truth[0] = True
    table = (random.random((60, 3)) * 0.6 + truth * 0.3).round(2)
    keys = [f"{at:02}.jpg" for at in range(60)]
    names = NAMES[:3]
    samples = [has(key, *np.array(names)[row]) for key, row in zip(keys, truth, strict=True)]
    predicted = {key: guesses(key, **dict(zip(names, row, strict=True))) for key, row in zip(keys, table, strict=True)}

    scores = score_classes(samples, predicted, score=0.45)

    said = table >= 0.45
    figures = scores.figures
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    macro = metrics.precision_recall_fscore_support(truth, said, average="macro", zero_division=0)[:3]
    assert [figures[name] for name in ("precision", "recall", "f1")] == pytest.approx(list(macro))
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, table, average="macro"))
    assert figures["average_precision"] == pytest.approx(metrics.average_precision_score(truth, table, average="macro"))
    found, extra, lost = ((truth & said).sum(0), (~truth & said).sum(0), (truth & ~said).sum(0))
    assert scores.confusion.labels == (*names, NOTHING)
    assert scores.confusion.rows == (
        *((*row, lost[at]) for at, row in enumerate(np.diag(found).tolist())),
        (*extra, 0),
    )
    counts = scores.inputs[keys[0]]
    assert (counts.found, counts.wrong, counts.missed) == (said[0].sum(), 0, 3 - said[0].sum())
    assert scores.score == 0.45


def test_by_hand() -> None:
    samples = [has("a", "cat"), has("b", "cat"), has("c", "dog"), made("d")]
    predicted = {
        "a": guesses("a", cat=0.9, dog=0.1),
        "b": guesses("b", cat=0.2, dog=0.8),
        "c": guesses("c", dog=0.6),
        "unknown": guesses("unknown", fox=1),
    }
    scores = score_classes(samples, predicted)
    assert scores.figures == {
        "accuracy": pytest.approx(2 / 3),
        "precision": pytest.approx((1 + 1 / 2) / 2),
        "recall": pytest.approx((1 / 2 + 1) / 2),
        "f1": pytest.approx(2 / 3),
        "roc_auc": pytest.approx((1 + 1 / 2) / 2),  # cat .9 .2 against 0; dog .6 against .1 and .8
        "average_precision": pytest.approx((1 + 1 / 2) / 2),
    }
    assert scores.confusion.labels == ("cat", "dog")
    assert scores.confusion.rows == ((1, 1), (0, 1))
    # What is not annotated has no class that could be right.
    assert scores.inputs == {"a": Counts(1, 0, 0), "b": Counts(0, 1, 1), "c": Counts(1, 0, 0)}


def test_where_inputs_have_several_concepts_those_without_have_none() -> None:
    samples = [has("a", "cat", "dog"), made("b"), made("c", named("c", 1, "cat", 0))]
    predicted = {key: guesses(key, cat=0.7) for key in "abc"}
    scores = score_classes(samples, predicted)
    assert scores.inputs == {"a": Counts(1, 0, 1), "b": Counts(0, 1, 0), "c": Counts(0, 1, 0)}
    assert (scores.figures["accuracy"], scores.figures["roc_auc"]) == (0, 0.5)
    assert (scores.concepts["dog"]["precision"], scores.concepts["dog"]["recall"]) == (None, 0)


def test_a_negative_makes_an_input_one_of_no_concept() -> None:
    samples = [has("a", "cat"), made("b", named("b", 1, "cat", 0))]
    scores = score_classes(samples, {"a": guesses("a", cat=0.9), "b": []})
    assert scores.figures["accuracy"] == 1
    assert scores.confusion.labels == ("cat", NOTHING)


def test_shapes_are_no_classes_and_the_best_score_of_a_concept_counts() -> None:
    box = named("a", 2, "dog", shape=Shape(box=(0, 0, 9, 9)))
    samples = [made("a", named("a", 1), named("a", 3), box)]
    said = [*guesses("a", cat=0.3, dog=0.5), named("a", 5, "cat", 0.6), named("a", 6, "dog", None, shape=box.shape)]
    scores = score_classes(samples, {"a": said})
    assert scores.confusion.rows == ((1,),)
    assert scores.inputs == {"a": Counts(found=1)}
    assert scores.figures["roc_auc"] is None  # every input has it, or none
    assert scores.curves["cat"].scores == (0.6,)


def test_equal_scores_go_to_the_first_concept() -> None:
    assert score_classes([has("a", "cat")], {"a": guesses("a", dog=0.5, cat=0.5)}).figures["accuracy"] == 1
    assert score_classes([has("a", "cat")], {"a": guesses("a", bee=0.5, cat=0.5)}).figures["accuracy"] == 0


def test_with_nothing_to_score() -> None:
    for samples in ([], [made("a")]):
        scores = score_classes(samples, {"a": guesses("a", cat=1)})
        assert set(scores.figures.values()) == {None}
        assert (scores.concepts, scores.inputs, scores.confusion.labels) == ({}, {}, ())


def test_inputs_without_a_prediction_are_named() -> None:
    samples = [has("a", "cat"), has("b\x1b", "cat"), has("c", "dog"), has("d", "dog")]
    predicted = {"a": guesses("a", cat=float("nan"), dog=1), "c": [], "d": guesses("d", cat=0.5)}
    with pytest.raises(InvalidRecordsError) as caught:
        score_classes(samples, predicted)
    assert caught.value.message == "3 inputs cannot be scored"
    assert caught.value.problems == (
        "a: the score of 'cat' is nan",
        "b\\x1b: no class was predicted",
        "c: no class was predicted",
    )
    assert "--predicted" in (caught.value.hint or "")


def test_long_curves_are_thinned() -> None:
    samples = [has(f"{at:05}", NAMES[at % 2]) for at in range(3000)]
    predicted = {sample.input.key: guesses(sample.input.key, ant=at / 3000) for at, sample in enumerate(samples)}
    told: list[tuple[str, int, int | None]] = []
    curve = score_classes(samples, predicted, progress=lambda *what: told.append(what)).curves["ant"]
    assert len(curve.recall) == len(curve.scores) == 1000
    assert (curve.scores[0], curve.recall[-1]) == (2999 / 3000, 1)
    assert list(curve.recall) == sorted(curve.recall)
    assert told == [("score concepts", 1, 2), ("score concepts", 2, 2)]


def test_what_cannot_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError):
        score_classes([], {}, score=float("inf"))
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(RefusedError, match="scoring classes needs scikit-learn") as caught:
        score_classes([], {})
    assert caught.value.hint == "pip install 'dsvc[sklearn]'"
