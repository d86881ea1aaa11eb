"""Learning with scikit-learn: rows of pixels and their classes give a model, and its scores for other rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dsvc.core.training.pixels import Row

    Floats = npt.NDArray[np.float64]

MODELS = ("svm", "logistic")
_ROUNDS = 1000


class Learned(NamedTuple):
    """A model (a scikit-learn estimator whose classes are 0, 1, ...), the scores of other rows (one row each, one
    column a class, summing to 1), and the version of scikit-learn that made it."""

    estimator: Any
    scores: Floats
    version: str


def learn(model: str, rows: Sequence[Row], classes: Sequence[int], others: Sequence[Row]) -> Learned:
    """Fit `model`, svm or logistic, to rows of pixels (0 to 255) and their classes, and score other rows.

    Raises UsageError for a model of another name.
    """
    import numpy as np
    import sklearn
    from threadpoolctl import threadpool_limits

    estimator = _estimator(model)
    # Sums in another order, as of several threads, would give other last digits.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it could have gone on: the metrics tell how good it is
        estimator.fit(np.stack(rows) / 255, np.array(classes))
        scores = _scores(estimator, np.stack(others) / 255)
    return Learned(estimator, scores, sklearn.__version__)


def _estimator(model: str) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    if model == "svm":
        return SVC(C=10, gamma="scale")
    if model == "logistic":
        return LogisticRegression(max_iter=_ROUNDS)
    raise UsageError(f"no model {model!r}", f"there are {', '.join(MODELS)}")


def _scores(estimator: Any, rows: Floats) -> Floats:
    """Each class's share: of a support vector machine, whose decisions are no probabilities, their softmax."""
    import numpy as np

    decisions = np.asarray(estimator.decision_function(rows), dtype=np.float64)
    if decisions.ndim == 1:  # of two classes, one number says it
        decisions = np.column_stack((np.zeros(len(decisions)), decisions))
    powers = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    scores: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scores


def measure(truth: Sequence[str], said: Sequence[str]) -> dict[str, float]:
    """Accuracy, and precision, recall and f1 as means over the classes that either names."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(truth, said, average="macro", zero_division=0)
    return {
        "accuracy": float(accuracy_score(truth, said)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }


def store_model(learned: Learned, file: Path) -> None:
    """Write a model as joblib does. (That is a pickle: who opens one runs what is in it.) Raises OSError."""
    import joblib

    joblib.dump(learned.estimator, file)
