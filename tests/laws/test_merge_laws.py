"""The laws of the merge, on ids: what any two people do, in any order, comes out the same, and nothing is lost."""

from __future__ import annotations

from hypothesis import given
from plain import EXISTS, SHAPE, World, dangling, differences, merge
from trees import Merging, law
from worlds import Tape, edited, new_world, tapes, three

from dsvc.core.merging.roots import merge_roots
from dsvc.model.snapshot import Snapshot, empty_roots
from dsvc.store import codec


@law
@given(tapes)
def test_a_merge_is_what_the_specification_says(tape: Tape) -> None:
    at = Merging()
    base, ours, theirs = three(tape)
    b, x, y = at(base, ours, theirs)
    assert differences(at.world(at.merge(b, x, y)), at.world(at(merge(base, ours, theirs))[0])) == []
    assert at.id(at.merge(b, x, y)) == at.id(at(merge(base, ours, theirs))[0])
    assert at.id(at.merge(None, x, y)) == at.id(at(merge(None, ours, theirs))[0])


@law
@given(tapes)
def test_commutative(tape: Tape) -> None:
    at = Merging()
    b, x, y = at(*three(tape))
    for base in (b, None):
        assert at.id(at.merge(base, x, y)) == at.id(at.merge(base, y, x))


@law
@given(tapes)
def test_idempotent(tape: Tape) -> None:
    at = Merging()
    b, x, y = at(*three(tape))
    for base in (b, None):
        assert at.merge(base, x, x) == x
        merged = at.merge(base, x, y)
        for side in (x, y):
            assert at.merge(side, merged, side) == merged == at.merge(side, side, merged)
        assert at.merge(base, merged, merged) == merged
    union = at.merge(None, x, y)
    for side in (x, y):
        assert at.id(at.merge(None, union, side)) == at.id(union)


@law
@given(tapes)
def test_associative_without_a_base(tape: Tape) -> None:
    at = Merging()
    a, b, c = at(new_world(tape), new_world(tape), new_world(tape))
    left, right = at.merge(None, at.merge(None, a, b), c), at.merge(None, a, at.merge(None, b, c))
    assert differences(at.world(left), at.world(right)) == []
    assert at.id(left) == at.id(right)


@law
@given(tapes)
def test_nothing_is_the_identity(tape: Tape) -> None:
    at = Merging()
    b, x, y = at(*three(tape))
    nothing = empty_roots(at.store)
    for base in (None, nothing):
        assert at.merge(base, x, nothing) == x == at.merge(base, nothing, x)
    assert at.merge(b, x, b) == x == at.merge(b, b, x)
    assert at.id(at.merge(None, x, y)) == at.id(at.merge(nothing, x, y))


@law
@given(tapes)
def test_nothing_that_somebody_said_is_lost(tape: Tape) -> None:
    at = Merging()
    base, ours, theirs = three(tape)
    merged = at.world(at.merge(*at(base, ours, theirs)))
    for side, other in ((ours, theirs), (theirs, ours)):
        for noun in ("concepts", "inputs", "annotations"):
            for key, record in getattr(side, noun).items():
                was, also, now = (getattr(world, noun).get(key) for world in (base, other, merged))
                if now is None:  # somebody deleted it, and nobody had said anything new of it
                    assert was is not None and also is None and not _new(was, record)
                    continue
                assert _new(was or {}, record) <= _said(now) | _quiet(record), (noun, key)
                if also is not None:
                    assert _said(record) & _said(also) <= _said(now) | _quiet(record), (noun, key)
        for format, words in side.meta.items():
            assert words.keys() <= merged.meta.get(format, {}).keys() | base.meta.get(format, {}).keys()


def _said(record: dict) -> set:
    """What a record says: its fields' values, of groups the parts."""
    said = set()
    for path, some in record.items():
        for value in some:
            said |= {(path, *part) for part in _parts(path, value)} if path in (SHAPE, ("media",)) else {(path, value)}
    return said


def _parts(path: tuple, value: bytes) -> list:
    return [(name, codec.encode(part)) for name, part in codec.decode(value).items()]


def _new(base: dict, record: dict) -> set:
    return {said for said in _said(record) - _said(base) if said[0] not in (("n",), ("number",))}


def _quiet(record: dict) -> set:
    """What gives way without a word: numbers, spellings, what a source did not have, room for what is in it."""
    quiet = (("n",), ("number",), ("name",), ("extras", "coco:absent"))
    return {said for said in _said(record) if said[0] in quiet or said[1] == b"\x80"}


@law
@given(tapes)
def test_no_dangling_reference(tape: Tape) -> None:
    at = Merging()
    b, x, y = at(*three(tape))
    for base in (b, None):
        for prefer in (None, "ours", "theirs"):
            assert dangling(at.world(at.merge(base, x, y, prefer))) == []


@law
@given(tapes)
def test_preferring_a_side_opens_no_conflict(tape: Tape) -> None:
    at = Merging()
    b, x, y = at(*three(tape))
    before = _open(at.world(x)) | _open(at.world(y))
    for base in (b, None):
        ours, theirs = at.merge(base, x, y, "ours"), at.merge(base, x, y, "theirs")
        for merged in (ours, theirs):
            assert _open(at.world(merged)) <= before
        assert at.id(theirs) == at.id(at.merge(base, y, x, "ours"))


def _open(world: World) -> set:
    return {
        (noun, key, path)
        for noun in ("concepts", "inputs", "annotations")
        for key, record in getattr(world, noun).items()
        for path, some in record.items()
        if len(some) > 1
    }


@law
@given(tapes)
def test_conflicts_are_counted_and_do_not_multiply(tape: Tape) -> None:
    """Two who merged the same, and went on, have no more to settle than what they themselves did anew."""
    at = Merging()
    base, ours, theirs = three(tape)
    b, x, y = at(base, ours, theirs)
    merged = at.merge(b, x, y)
    world = at.world(merged)
    assert Snapshot(at.store, merged).conflicts == len({place[:2] for place in _open(world)})
    mine, other = edited(tape, world, 3), edited(tape, world, 3)
    again = at.world(at.merge(merged, *at(mine, other)))
    for noun, key, path in _open(again) - _open(mine) - _open(other):
        sides = [getattr(side, noun).get(key) for side in (world, mine, other)]
        if path == EXISTS:
            assert None in sides[1:]
        else:
            assert len({side.get(path) if side is not None else None for side in sides}) == 3
    # And whoever merges the sides themselves once more finds nothing to do.
    for side in (x, y):
        assert at.merge(side, *at(mine), side) == at(mine)[0]


@law
@given(tapes)
def test_the_report_says_what_came_and_went(tape: Tape) -> None:
    at = Merging()
    b, x, y = at(*three(tape))
    merged = merge_roots(at.store, b, x, y)
    ours, now = at.world(x), at.world(merged.roots)
    for noun in ("concepts", "inputs", "annotations"):
        counts, mine, result = getattr(merged.report, noun), getattr(ours, noun), getattr(now, noun)
        assert min(counts.added, counts.removed, counts.changed, counts.combined, counts.restored) >= 0
        assert counts.removed == len(mine.keys() - result.keys()), noun
        assert counts.added <= len(result.keys() - mine.keys()) <= counts.added + counts.restored + counts.conflicts
    assert set(merged.inputs) <= now.inputs.keys() - ours.inputs.keys()
