"""The laws of one field: the formula, its exceptions, and what holds of both."""

from __future__ import annotations

from typing import Any

import plain
from hypothesis import given
from hypothesis import strategies as st
from trees import law

from dsvc.model.facts import Values, values_of
from dsvc.model.merging import merge_field
from dsvc.model.numbers import pack_numbers
from dsvc.store import codec

Side = frozenset[bytes]
ANY = st.sampled_from([1, 1.0, True, {}, {"a": 1}])
NUMBERS = st.sampled_from([1, 2, 10, "1", "10", "x"])
BOXES = st.sampled_from([pack_numbers((1, 2, 3, 4)), pack_numbers((1, 2, 3, 5))])
SHAPES = st.fixed_dictionaries(
    {}, optional={"a": st.sampled_from([1, 1.5]), "b": BOXES, "p": st.just([]), "u": st.just(1)}
).filter(lambda shape: shape.keys() - {"u"})
ONE_SHAPE = SHAPES.map(lambda shape: plain.values({**shape, "m": [1, 1, "1"]}))
MEDIA = st.fixed_dictionaries(
    {"type": st.sampled_from(["image/png", "image/jpeg"])},
    optional={"blob": st.sampled_from([b"a", b"b"]), "size": st.just(1)},
)


def sides(of: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Side]:
    return st.lists(of, max_size=most).map(lambda some: plain.values(*some))


PLAIN = st.sampled_from(["c", "metadata\0camera", "extras\0coco\0eyes:absent", "at", "exists"])
# A field's path, and three sets of its values.
FIELDS = st.one_of(
    st.tuples(PLAIN, sides(ANY, 6), sides(ANY), sides(ANY)),
    st.tuples(st.sampled_from(["n", "number"]), *[sides(NUMBERS, 1)] * 3),
    st.tuples(st.just("name"), *[sides(st.sampled_from(["cat", "Cat", "CAT"]), 1)] * 3),
    st.tuples(st.just("shape"), *[sides(SHAPES, 2)] * 3),
    st.tuples(st.just("shape"), *[ONE_SHAPE] * 3),
    st.tuples(st.just("media"), *[sides(MEDIA, 2)] * 3),
    st.tuples(
        st.sampled_from(["extras\0coco:absent", "x\0coco:absent"]),
        *[sides(st.lists(st.sampled_from(["height", "width", "id"]), unique=True), 1)] * 3,
    ),
)


def stored(side: Side) -> Values:
    return values_of(*map(codec.decode, side))


def merged(path: str, base: Side, ours: Side, theirs: Side) -> Side:
    found = merge_field(path, stored(base), stored(ours), stored(theirs))
    assert all(codec.encode(value) == encoded for encoded, value in found.items())
    return frozenset(found)


@law
@given(FIELDS)
def test_the_formula(case: tuple[str, Side, Side, Side]) -> None:
    path, base, ours, theirs = case
    assert merged(path, base, ours, theirs) == plain.merge_field(plain.path_of(path), base, ours, theirs)


@law
@given(PLAIN, sides(ANY, 6), sides(ANY), sides(ANY))
def test_the_formula_in_words(path: str, base: Side, ours: Side, theirs: Side) -> None:
    """Not how it is worked out, but what it promises, of fields that are no group and settle nothing themselves."""
    found = merged(path, base, ours, theirs)
    assert found <= ours | theirs  # nothing is made up
    assert ours & theirs <= found  # what both say holds
    assert (ours | theirs) - base <= found  # what is new on either side holds
    if len(ours) == 1 and ours != base:
        assert ours <= found  # what somebody settled on is there to be seen
    if ours and theirs:
        assert found  # a field does not vanish while both have it
    for value in base - ours:  # what one side took away, and the other merely kept, goes
        if theirs == base:
            assert value not in found


@law
@given(FIELDS)
def test_a_field_merges_alike_from_both_sides(case: tuple[str, Side, Side, Side]) -> None:
    path, base, ours, theirs = case
    found = merged(path, base, ours, theirs)
    assert found == merged(path, base, theirs, ours)
    assert merged(path, base, ours, ours) == ours == merged(path, base, ours, base)
    assert merged(path, ours, found, ours) == found


@law
@given(FIELDS)
def test_a_field_without_a_base_merges_in_any_order(case: tuple[str, Side, Side, Side]) -> None:
    path, *some = case
    a, b, c = (merged(path, plain.NOTHING, side, side) for side in some)
    if path in ("shape", "media"):  # as every merge leaves them
        a, b, c = (plain.merge_group(plain.path_of(path), plain.NOTHING, side, plain.NOTHING) for side in (a, b, c))
        a, b, c = (largest(path, side) for side in (a, b, c))
    left = merged(path, plain.NOTHING, merged(path, plain.NOTHING, a, b), c)
    assert left == merged(path, plain.NOTHING, a, merged(path, plain.NOTHING, b, c))


def largest(path: str, side: Side) -> Side:
    parts = {value: plain.parts_of(plain.path_of(path), value).items() for value in side}
    return frozenset(value for value in side if not any(parts[value] < parts[other] for other in side))


@law
@given(FIELDS, st.sampled_from(["ours", "theirs"]))
def test_a_preferred_side_has_the_word(case: tuple[str, Side, Side, Side], side: Any) -> None:
    path, *some = case
    base, ours, theirs = (stored(one) for one in some)
    found, preferred = merge_field(path, base, ours, theirs), merge_field(path, base, ours, theirs, side)
    if len(found) < 2:
        assert preferred == found
    elif found not in (ours, theirs):
        assert preferred == ((ours if side == "ours" else theirs) or found)
