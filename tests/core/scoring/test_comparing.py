"""Two scores against each other: figures, concepts, and the inputs that account for it."""

from __future__ import annotations

import msgspec
import pytest
from scored import boxed, made

from dsvc.core.scoring.comparing import Change, InputChange, compare_scores
from dsvc.core.scoring.scores import Confusion, Counts, Scores
from dsvc.core.scoring.shapes import score_shapes
from dsvc.errors import RefusedError


def scores(**inputs: Counts) -> Scores:
    return Scores(kind="box", figures={}, concepts={}, curves={}, confusion=Confusion((), ()), inputs=inputs)


def test_inputs_are_told_by_how_much_they_changed() -> None:
    before = scores(
        a=Counts(1, 1, 1), b=Counts(0, 5, 0), c=Counts(3, 0, 0), d=Counts(1, 0, 1), e=Counts(1, 1, 1), z=Counts()
    )
    after = scores(a=Counts(2, 1, 0), b=Counts(), c=Counts(2, 0, 1), d=Counts(2, 1, 0), e=Counts(1, 1, 1), y=Counts())
    comparison = compare_scores(before, after)
    assert comparison.better == (
        InputChange("b", Counts(0, 5, 0), Counts(), -5),
        InputChange("a", Counts(1, 1, 1), Counts(2, 1, 0), -1),
    )
    assert comparison.worse == (InputChange("c", Counts(3, 0, 0), Counts(2, 0, 1), 1),)
    assert comparison.even == (InputChange("d", Counts(1, 0, 1), Counts(2, 1, 0), 0),)
    assert (comparison.removed, comparison.added) == (("z",), ("y",))


def test_figures_of_the_whole_and_of_concepts() -> None:
    truth = [made("a", boxed("a", 1, (0, 0, 9, 9)), boxed("a", 2, (50, 50, 40, 40), "dog"))]
    dog = boxed("a", 1, (50, 50, 40, 40), "dog")
    before, after = (
        score_shapes("box", truth, {}),
        score_shapes("box", truth, {"a": [dog, boxed("a", 2, (1, 1, 1, 1), "fox")]}),
    )
    comparison = compare_scores(before, after)
    assert comparison.kind == "box"
    assert list(comparison.figures) == list(before.figures)
    assert comparison.figures["AP"] == Change(0.0, 0.5, 0.5)
    assert comparison.figures["APl"] == Change(None, None, None)
    assert comparison.concepts["dog"]["AP"] == Change(0.0, 1.0, 1.0)
    assert comparison.concepts["dog"]["missed"] == Change(1, 0, -1)
    assert comparison.concepts["cat"]["AP"] == Change(0.0, 0.0, 0.0)
    assert comparison.concepts["fox"]["wrong"] == Change(None, 1, None)
    assert list(comparison.concepts) == ["cat", "dog", "fox"]
    assert not compare_scores(after, after).better


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "mask"}, "evaluations of different type cannot be compared: box and mask"),
        ({"iou": 0.75}, "evaluations of different IoU cannot be compared: 0.5 and 0.75"),
        ({"score": 0.3}, "evaluations of different score cannot be compared: 0.5 and 0.3"),
    ],
)
def test_what_cannot_be_compared(fields, message: str) -> None:
    with pytest.raises(RefusedError) as caught:
        compare_scores(scores(), msgspec.structs.replace(scores(), **fields))
    assert caught.value.message == message
    assert caught.value.hint
