"""Scores in bytes, and what cannot be scores."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import boxed, made

from dsvc.core.scoring.kept import decode_scores, encode_scores
from dsvc.core.scoring.scores import Confusion, Counts, Curve, Scores
from dsvc.core.scoring.shapes import score_shapes
from dsvc.errors import DamagedError

numbers = st.floats(allow_nan=False, allow_infinity=False)
figures = st.dictionaries(st.text(max_size=5), st.none() | numbers | st.integers(0, 1 << 40), max_size=4)
counts = st.builds(Counts, *[st.integers(0, 1 << 40)] * 3)
curves = st.lists(st.tuples(numbers, numbers, numbers), max_size=4).map(
    lambda rows: Curve(*map(tuple, zip(*rows, strict=True))) if rows else Curve((), ())
)
confusions = st.lists(st.text(max_size=5), max_size=3).map(
    lambda names: Confusion(tuple(names), tuple((1,) * len(names) for _ in names))
)


@given(
    st.builds(
        Scores,
        kind=st.sampled_from(("box", "mask", "keypoints", "classification")),
        figures=figures,
        concepts=st.dictionaries(st.text(max_size=5), figures, max_size=3),
        curves=st.dictionaries(st.text(max_size=5), curves, max_size=3),
        confusion=confusions,
        inputs=st.dictionaries(st.text(max_size=5), counts, max_size=3),
        iou=numbers,
        score=numbers,
    )
)
def test_scores_come_back_as_they_were(scores: Scores) -> None:
    back = decode_scores(encode_scores(scores))
    assert back == scores
    assert repr(back) == repr(scores)  # whole numbers stay whole, and all is in its order


def test_infinite_figures_are_not_kept() -> None:
    scores = score_shapes("box", [], {})
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            encode_scores(msgspec.structs.replace(scores, figures={"AP": value}))


def changed(**fields: Any) -> bytes:
    scores = score_shapes("box", [made("a", boxed("a", 1, (0, 0, 9, 9)))], {})
    return json.dumps(json.loads(encode_scores(scores)) | fields).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        changed(kind="circle"),
        changed(figures={"AP": "high"}),
        changed(figures={"AP": float("nan")}),
        changed(inputs={"a": {"found": -1}}),
        changed(inputs={"a": {"found": 0.5}}),
        changed(confusion={"labels": ["a"], "rows": []}),
        changed(confusion={"labels": ["a"], "rows": [[1, 2]]}),
        changed(confusion={"labels": ["a"], "rows": [[-1]]}),
        changed(curves={"a": {"recall": [0.5], "precision": []}}),
        changed(curves={"a": {"recall": [0.5], "precision": [1], "scores": [1, 2]}}),
        changed()[:-20],
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_cannot_be_scores_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError, match="the scores of an evaluation cannot be"):
        decode_scores(data)
