"""The laws of merging lines of commits: filtered merges, bases of several ancestors, and edits in any order."""

from __future__ import annotations

from random import Random

from hypothesis import given
from plain import World, dangling, differences, owner, roots_of, together
from trees import Lines, Merging, law
from worlds import KEYS, Tape, edited, new_world, tapes, three

from dsvc.model.snapshot import SnapshotEdits, edit_roots, empty_roots
from dsvc.store.ids import ObjectId


def fork(tape: Tape, lines: Lines) -> tuple[ObjectId, ObjectId]:
    """The heads of two lines: mostly two branches of one, else of no common past."""
    base, ours, theirs = three(tape)
    past = () if tape.chance(20) else (lines.commit(base),)
    return lines.commit(ours, *past), lines.commit(theirs, *past)


def some_inputs(tape: Tape) -> set[bytes]:
    return {key for key in KEYS["inputs"] if tape.chance(50)}


@law
@given(tapes)
def test_filtered_and_then_full_is_full(tape: Tape) -> None:
    lines = Lines()
    keys = some_inputs(tape)
    ours, theirs = fork(tape, lines)
    part, whole = lines.part(ours, theirs, keys), lines.full(ours, theirs)
    both = lines.full(part, theirs)
    assert differences(lines.world(lines.at(both)), lines.world(lines.at(whole))) == []
    assert lines.content(both) == lines.content(whole) == lines.content(lines.full(theirs, part))
    assert dangling(lines.world(lines.at(part))) == []
    assert lines.full(both, theirs) == both


@law
@given(tapes)
def test_filtered_twice_is_filtered_by_either(tape: Tape) -> None:
    lines = Lines()
    first, second = some_inputs(tape), some_inputs(tape)
    ours, theirs = fork(tape, lines)
    part = lines.part(ours, theirs, first)
    twice, once = lines.part(part, theirs, second), lines.part(ours, theirs, first | second)
    assert differences(lines.world(lines.at(twice)), lines.world(lines.at(once))) == []
    assert lines.content(twice) == lines.content(once)
    assert lines.part(twice, theirs, first) == twice
    assert lines.content(lines.full(twice, theirs)) == lines.content(lines.full(ours, theirs))


@law
@given(tapes)
def test_what_was_taken_before_comes_along_as_it_is_now(tape: Tape) -> None:
    """Where the other line goes on, what we took and left alone is as it is there; and full is full."""
    lines = Lines()
    keys = some_inputs(tape)
    ours, theirs = fork(tape, lines)
    part = lines.part(ours, theirs, keys)
    later = lines.commit(edited(tape, lines.world(lines.at(theirs))), theirs)
    again = lines.part(part, later, some_inputs(tape))
    whole = lines.full(again, later)
    assert lines.full(whole, later) == whole
    assert lines.content(whole) == lines.content(lines.full(later, again))
    base = lines.merger.base(lines.bases(ours, theirs))
    before, mine = lines.world(base.roots) if base else World({}, {}, {}, {}), lines.world(lines.at(ours))
    there, now = lines.world(lines.at(later)), lines.world(lines.at(whole))
    for noun in ("concepts", "inputs", "annotations"):
        for key, record in getattr(there, noun).items():
            if getattr(mine, noun).get(key) == getattr(before, noun).get(key):
                assert getattr(now, noun)[key] == record, (noun, key)


@law
@given(tapes)
def test_who_merged_each_other_merge_again_alike(tape: Tape) -> None:
    """Criss-cross: two ancestors are in common, and they are merged first."""
    lines = Lines()
    ours, theirs = fork(tape, lines)
    mine, other = lines.full(ours, theirs), lines.full(theirs, ours)
    assert lines.content(mine) == lines.content(other)
    merged = lines.at(mine)
    left, right = (edited(tape, lines.world(merged)) for _ in range(2))
    x, y = lines.commit(left, mine), lines.commit(right, other)
    if mine not in (ours, theirs) and other not in (ours, theirs):
        assert lines.bases(x, y) == sorted({ours, theirs})
    assert lines.content(lines.full(x, y)) == lines.content(lines.full(y, x))
    assert lines.content(lines.full(x, y)) == lines.id(lines.merge(merged, lines.at(x), lines.at(y)))


@law
@given(tapes)
def test_lines_that_merge_each_other_anyhow_merge_alike(tape: Tape) -> None:
    lines = Lines()
    heads = list(fork(tape, lines))
    heads.append(lines.commit(edited(tape, lines.world(lines.at(heads[0])), 4), heads[0]))
    for _ in range(5):
        at, other = tape.below(3), tape.below(3)
        if tape.chance(45):
            heads[at] = lines.commit(edited(tape, lines.world(lines.at(heads[at])), 3), heads[at])
        elif tape.chance(50):
            heads[at] = lines.full(heads[at], heads[other])
        else:
            heads[at] = lines.part(heads[at], heads[other], some_inputs(tape))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        one, two = lines.full(heads[a], heads[b]), lines.full(heads[b], heads[a])
        assert lines.content(one) == lines.content(two)
        assert dangling(lines.world(lines.at(one))) == []
        assert lines.full(one, heads[b]) == one
        part = lines.part(heads[a], heads[b], some_inputs(tape))
        assert dangling(lines.world(lines.at(part))) == []


@law
@given(tapes)
def test_the_order_of_edits_does_not_matter(tape: Tape) -> None:
    at = Merging()
    base = new_world(tape)
    new = edited(tape, base)
    rng = Random(tape.below(256))
    b, n = at(base, new)
    nothing = empty_roots(at.store)
    for start, world in ((nothing, World({}, {}, {}, {})), (b, base)):
        changes = [
            (noun, key, getattr(new, noun).get(key))
            for noun in KEYS
            for key in getattr(world, noun).keys() | getattr(new, noun).keys()
            if getattr(world, noun).get(key) != getattr(new, noun).get(key)
        ]
        rng.shuffle(changes)
        roots = start
        while changes:
            edits = SnapshotEdits()
            for noun, key, record in [changes.pop() for _ in range(rng.randint(1, len(changes)))]:
                getattr(edits, noun)[key] = together(record) if record is not None else None
            roots = edit_roots(at.store, roots, edits)
        assert (roots.concepts, roots.inputs, roots.annotations) == (n.concepts, n.inputs, n.annotations)


@law
@given(tapes)
def test_edits_on_branches_come_together_in_any_order(tape: Tape) -> None:
    """Edits of different records, each on a branch of its own, give what one person who made them all has."""
    lines = Lines()
    base = new_world(tape)
    new = edited(tape, base)._replace(meta=base.meta)
    b = lines.commit(base)
    branches = [lines.commit(world, b) for world in apart(base, new)]
    Random(tape.below(256)).shuffle(branches)
    while len(branches) > 1:
        branches.append(lines.full(branches.pop(0), branches.pop(0)))
    if branches:
        assert differences(lines.world(lines.at(branches[0])), new) == []
        assert lines.content(branches[0]) == lines.id(roots_of(lines.store, new))


def apart(base: World, new: World) -> list[World]:
    """Worlds with a part of what changed each: an input and its annotations, or a concept; all in one where one of
    them could not stand alone."""
    keys = [key for noun in KEYS for key in (*getattr(base, noun), *getattr(new, noun))]
    names = {key: {k for k in KEYS["concepts"] if k == key} | {owner(key)} for key in keys}
    worlds = []
    for name in sorted(set().union(*names.values())):
        world = base.copy()
        for noun in KEYS:
            tree, now = getattr(world, noun), getattr(new, noun)
            for key in [key for key in tree.keys() | now.keys() if owner(key) == name]:
                tree.pop(key, None)
                if key in now:
                    tree[key] = now[key]
        if dangling(world):
            return [new]
        if world != base:
            worlds.append(world)
    return worlds or [new]
