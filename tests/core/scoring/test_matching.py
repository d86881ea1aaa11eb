"""The confusion matrix and the counts against plain code that knows nothing of ours."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from scored import boxed, made

from dsvc.core.scoring.scores import NOTHING
from dsvc.core.scoring.shapes import score_shapes

CONCEPTS = ("cat", "dog", "fox")
Box = tuple[int, int, int, int]
boxes = st.tuples(*[st.integers(0, 4)] * 2, *[st.integers(0, 4)] * 2)
truths = st.lists(st.tuples(boxes, st.sampled_from(CONCEPTS), st.booleans()), max_size=4)
guesses = st.lists(st.tuples(boxes, st.sampled_from(CONCEPTS), st.sampled_from((0.2, 0.5, 0.7, 0.9))), max_size=5)


def share(a: Box, b: Box, crowd: bool) -> Fraction:
    """Cell by cell."""
    cells, others = (
        {(x, y) for x in range(box[0], box[0] + box[2]) for y in range(box[1], box[1] + box[3])} for box in (a, b)
    )
    whole = len(cells) if crowd else len(cells | others)
    return Fraction(len(cells & others), whole) if cells & others else Fraction(0)


def pairs_by_hand(truth: list, said: list, iou: Fraction, score: float) -> Counter[tuple[str, str]]:
    """(what is there, what was said) of one picture."""
    left = {at for at, (_, _, crowd) in enumerate(truth) if not crowd}
    pairs: Counter[tuple[str, str]] = Counter()
    for box, concept, _ in sorted((one for one in said if one[2] >= score), key=lambda one: -one[2]):
        ranked = [(share(box, truth[at][0], False), truth[at][1] == concept, -at) for at in left]
        best = max((rank for rank in ranked if rank[0] >= iou), default=None)
        if best is not None:
            left.remove(-best[2])
            pairs[truth[-best[2]][1], concept] += 1
        elif not any(crowd and name == concept and share(box, area, True) >= iou for area, name, crowd in truth):
            pairs[NOTHING, concept] += 1
    pairs.update((truth[at][1], NOTHING) for at in left)
    return pairs


@given(st.lists(st.tuples(truths, guesses), min_size=1, max_size=3), st.sampled_from((0.25, 0.5, 1)))
def test_confusion_and_counts_equal_plain_code(pictures, iou: float) -> None:
    samples, predicted, whole = [], {}, Counter()
    for at, (truth, said) in enumerate(pictures):
        key = f"{at}.jpg"
        samples.append(made(key, *(boxed(key, n, box, name, crowd=int(c)) for n, (box, name, c) in enumerate(truth))))
        predicted[key] = [boxed(key, n, box, name, value=score) for n, (box, name, score) in enumerate(said)]
    scores = score_shapes("box", samples, predicted, iou=iou, score=0.5)
    for at, (truth, said) in enumerate(pictures):
        pairs = pairs_by_hand(truth, said, Fraction(iou), 0.5)
        found = sum(count for (there, name), count in pairs.items() if there == name)
        counts = scores.inputs[f"{at}.jpg"]
        assert counts.found == found
        assert counts.found + counts.wrong == sum(count for (_, name), count in pairs.items() if name != NOTHING)
        assert counts.found + counts.missed == sum(not crowd for _, _, crowd in truth)
        whole += pairs
    labels = scores.confusion.labels
    assert labels[-1] == NOTHING
    assert {
        (there, name): count
        for there, row in zip(labels, scores.confusion.rows, strict=True)
        for name, count in zip(labels, row, strict=True)
        if count
    } == whole
    for name in labels[:-1]:
        figures = scores.concepts[name]
        assert figures["found"] == whole[name, name]
        assert (
            figures["missed"] == sum(count for (there, _), count in whole.items() if there == name) - whole[name, name]
        )
        assert figures["wrong"] == sum(count for (_, said), count in whole.items() if said == name) - whole[name, name]
        assert figures["annotations"] == figures["found"] + figures["missed"]
