"""Which incoming annotation of an input is which one from before: each rule, and their order."""

from __future__ import annotations

import random

import pytest
from deliveries import entry

from dsvc.core.imports.matching import Values, match
from dsvc.model.records import Annotation, Shape

KEY = "a.jpg"


def one(number: int | None, concept: str | None, *box: float, text: str | None = None) -> Annotation:
    return Annotation(key=KEY, id="", number=number, concept=concept, shape=Shape(box=box) if box else None, text=text)


def values(side: dict[str, Annotation]) -> Values:
    return {id: entry(annotation)[1] for id, annotation in side.items()}


def rules(before: dict[str, Annotation], incoming: dict[str, Annotation]) -> dict[str, tuple[str, str]]:
    """Incoming id -> the rule that found its partner, and the partner's id."""
    found = match(KEY, values(before), values(incoming))
    named = {"same": found.same, "number": found.by_number, "place": found.by_place}
    assert len(found.all()) == sum(map(len, named.values())) == len(set(found.all().values()))
    return {id: (rule, partner) for rule, pairs in named.items() for id, partner in pairs.items()}


BOX, NEAR, HALF, FAR = (0, 0, 100, 100), (0, 0, 100, 95), (0, 0, 100, 60), (500, 500, 10, 10)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (one(1, "cat", *BOX), one(1, "cat", *BOX), "same"),
        (one(1, "cat", *BOX), one(2, "cat", *BOX), "same"),
        (one(1, "cat", *BOX), one(None, "cat", *BOX), "same"),
        (one(1, "cat", *BOX), one(1, "dog", *BOX), "number"),
        (one(1, "cat", *BOX), one(1, "dog", *HALF), "number"),
        (one(1, "cat", *BOX), one(1, "cat", *FAR), "number"),
        (one(1, "cat", *BOX), one(1, "dog", *FAR), None),
        (one(1, "cat", *BOX), one("1", "cat", *FAR), None),
        (one(1, "cat", *BOX), one(2, "cat", *NEAR), "place"),
        (one(None, "cat", *BOX), one(None, "cat", *NEAR), "place"),
        (one(1, "cat", *BOX), one(2, "dog", *NEAR), None),
        (one(1, "cat", *BOX), one(2, "dog", *BOX), "place"),
        (one(1, "cat"), one(2, "dog"), None),
        (one(1, "cat", *BOX), one(2, "cat", *HALF), None),
        (one(1, None, text="a cat"), one(1, None, text="a black cat"), "number"),
        (one(1, None, text="a cat"), one(2, None, text="a black cat"), None),
        (one(1, "cat"), one(1, "cat", *BOX), "number"),
        (one(1, "cat"), one(1, "dog"), None),
    ],
)
def test_each_rule(old: Annotation, new: Annotation, rule: str | None) -> None:
    assert rules({"o": old}, {"n": new}) == ({"n": (rule, "o")} if rule else {})
    assert rules({"n": new}, {"o": old}) == ({"o": (rule, "n")} if rule else {})


def test_a_relative_box_is_in_no_place_of_one_in_pixels() -> None:
    relative = Annotation(key=KEY, id="", number=1, concept="dog", shape=Shape(box=(0, 0, 1, 1), unit="relative"))
    assert rules({"o": one(1, "cat", 0, 0, 1, 1)}, {"n": relative}) == {}
    moved = Annotation(key=KEY, id="", concept="dog", shape=Shape(box=(0, 0, 1, 0.95), unit="relative"))
    assert rules({"o": relative}, {"n": moved}) == {"n": ("place", "o")}


def test_the_same_content_comes_first_and_of_copies_the_highest_is_left() -> None:
    cat = one(1, "cat", *BOX)
    copies = {"x": cat, "x-2": cat, "x-10": cat}
    assert rules(copies, {"x": cat, "x-2": cat}) == {"x": ("same", "x"), "x-2": ("same", "x-2")}
    moved = one(1, "cat", *NEAR)
    assert rules({"x": cat, "y": moved}, {"n": moved}) == {"n": ("same", "y")}


def test_a_number_is_taken_by_the_nearest() -> None:
    """One number twice in a file."""
    before = {"x": one(1, "cat", *BOX), "y": one(1, "cat", *FAR)}
    found = rules(before, {"n": one(1, "cat", *HALF), "m": one(1, "cat", 501, 500, 10, 10)})
    assert found == {"n": ("number", "x"), "m": ("number", "y")}


def test_neighbours_that_changed_numbers_are_known_by_their_places() -> None:
    """All numbers went up by one, and all boxes were drawn a little tighter: no number may say who is who."""
    boxes = [(n * 200, 0, 100, 100) for n in range(5)]
    before = {f"o{n}": one(n, "cat", *box) for n, box in enumerate(boxes)}
    incoming = {f"n{n}": one(n + 1, "cat", x, y, w, 96) for n, (x, y, w, _) in enumerate(boxes)}
    assert rules(before, incoming) == {f"n{n}": ("place", f"o{n}") for n in range(5)}


def test_a_number_alone_says_nothing_where_numbers_are_new() -> None:
    before = {"o1": one(1, "cat", 0, 0, 9, 9), "o2": one(2, "cat", 100, 0, 9, 9), "o3": one(3, "cat", 200, 0, 9, 9)}
    incoming = {"n2": one(2, "cat", 0, 0, 9, 9), "n3": one(3, "cat", 300, 0, 9, 9), "n4": one(4, "cat", 200, 0, 9, 9)}
    assert rules(before, incoming) == {"n2": ("same", "o1"), "n4": ("same", "o3")}


def test_the_order_makes_no_difference() -> None:
    chance = random.Random(1)
    boxes = [(chance.randrange(300), chance.randrange(300), 100, 100) for _ in range(40)]
    before = {f"o{n}": one(n % 30, chance.choice(["cat", "dog"]), *box) for n, box in enumerate(boxes)}
    incoming = {
        f"n{n}": one((n + n % 3) % 30, chance.choice(["cat", "dog"]), x + n % 4, y, w, h)
        for n, (x, y, w, h) in enumerate(boxes)
    }
    found = rules(before, incoming)
    for _ in range(5):
        shuffled = [dict(chance.sample(list(side.items()), len(side))) for side in (before, incoming)]
        assert rules(*shuffled) == found
    assert {rule for rule, _ in found.values()} == {"same", "number", "place"}
