"""Scores in bytes: a JSON document, for keeping."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dsvc.core.scoring.scores import Scores
from dsvc.errors import DamagedError

_DECODER = msgspec.json.Decoder(Scores)


def encode_scores(scores: Scores) -> bytes:
    """Scores as a JSON document; `decode_scores` gives the same back. Raises ValueError for NaN and infinity."""
    data = msgspec.json.encode(scores)
    # What JSON has no number for would come back as None.
    if _DECODER.decode(data) != scores:
        raise ValueError("scores are finite numbers")
    return data


def decode_scores(data: bytes) -> Scores:
    """The scores of their bytes. Raises DamagedError."""
    try:
        scores = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError(f"the scores of an evaluation cannot be read: {error}") from error
    wrong = next(_oddities(scores), None)
    if wrong is not None:
        raise DamagedError(f"the scores of an evaluation cannot be right: {wrong}")
    return scores


def _oddities(scores: Scores) -> Iterator[str]:
    labels, rows = scores.confusion.labels, scores.confusion.rows
    if len(rows) != len(labels) or any(len(row) != len(labels) for row in rows):
        yield "its confusion matrix is not square"
    if any(count < 0 for row in rows for count in row):
        yield "its confusion matrix has a count below 0"
    for concept, curve in scores.curves.items():
        if len(curve.recall) != len(curve.precision) or len(curve.scores) not in (0, len(curve.recall)):
            yield f"the curve of {concept!r} has sides of different lengths"
    for key, counts in scores.inputs.items():
        if min(counts.found, counts.wrong, counts.missed) < 0:
            yield f"{key!r} has a count below 0"
