"""What scoring predictions against ground truth gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Kind = Literal["box", "mask", "keypoints", "classification"]
KINDS: tuple[Kind, ...] = ("box", "mask", "keypoints", "classification")
# The row and the column of a confusion matrix for what has no counterpart: it is the last one.
NOTHING = "(nothing)"
# What is counted is a whole number; every other figure is 0 to 1.
Figures = Mapping[str, int | float | None]


class Counts(msgspec.Struct, frozen=True):
    """Of one input or concept, at the chosen IoU and score: what was found, found wrongly, and missed.

    `found` and `missed` are all annotations, `found` and `wrong` all predictions that reach the score: what was found
    as another concept is wrong, and its annotation is missed.
    """

    found: int = 0
    wrong: int = 0
    missed: int = 0


class Curve(msgspec.Struct, frozen=True):
    """A precision-recall curve of one concept, by rising recall; `scores` has that of each point where it is known."""

    recall: tuple[float, ...]
    precision: tuple[float, ...]
    scores: tuple[float, ...] = ()


class Confusion(msgspec.Struct, frozen=True):
    """A confusion matrix: `rows[i][j]` counts what is `labels[i]` and was predicted as `labels[j]`.

    For shapes the last label is `NOTHING`: missed in its column, found where nothing is in its row.
    """

    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of an evaluation. A figure is 0 to 1, or None where it is not defined (no ground truth of the kind).

    `figures` are those of the whole, in the order in which they are shown; `concepts` those of each concept by id,
    `curves` by concept id, `inputs` by key. `iou` and `score` are the thresholds of the confusion matrix and of counts.
    """

    kind: Kind
    figures: Figures
    concepts: Mapping[str, Figures]
    curves: Mapping[str, Curve]
    confusion: Confusion
    inputs: Mapping[str, Counts]
    iou: float = 0.5
    score: float = 0.5
