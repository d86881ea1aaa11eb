"""The laws of merging commits without a branch, as Git's merge driver does."""

from __future__ import annotations

from hypothesis import given
from plain import dangling
from test_line_laws import fork
from trees import Lines, law
from worlds import Tape, edited, tapes, three

from dsvc.core.merging.commits import MergedCommit, merge_commits
from dsvc.store.ids import ObjectId


def merged(lines: Lines, ours: ObjectId, theirs: ObjectId, base: ObjectId | None = None) -> MergedCommit:
    return merge_commits(lines.store, None, ours, theirs, base)


@law
@given(tapes)
def test_whoever_merges_makes_the_same_commit(tape: Tape) -> None:
    """Also where the lines had merged each other before, by commits of different people."""
    lines = Lines()
    heads = list(fork(tape, lines))
    for _ in range(tape.below(4)):
        at = tape.below(2)
        if tape.chance(50):
            heads[at] = lines.commit(edited(tape, lines.world(lines.at(heads[at])), 3), heads[at])
        else:
            heads[at] = lines.full(heads[at], heads[1 - at])
    ours, theirs = heads
    mine, other = merged(lines, ours, theirs), merged(lines, theirs, ours)
    assert mine.commit == other.commit
    assert mine.conflicts == other.conflicts
    assert lines.content(mine.commit) == lines.content(lines.full(ours, theirs))
    for side in (ours, theirs):
        again = merged(lines, mine.commit, side)
        assert (again.commit, again.kind) == (mine.commit, "same")
        assert merged(lines, side, mine.commit).commit == mine.commit


@law
@given(tapes)
def test_a_base_behind_both_sides_changes_nothing(tape: Tape) -> None:
    lines = Lines()
    world, mine, other = three(tape)
    base = lines.commit(world)
    ours, theirs = lines.commit(mine, base), lines.commit(other, base)
    assert merged(lines, ours, theirs, base) == merged(lines, ours, theirs)


@law
@given(tapes)
def test_a_change_that_is_laid_over_again_changes_nothing(tape: Tape) -> None:
    lines = Lines()
    world, mine, other = three(tape)
    base = lines.commit(world)
    ours, theirs = lines.commit(mine), lines.commit(other, base)
    one = merged(lines, ours, theirs, base)
    assert dangling(lines.world(lines.at(one.commit))) == []
    assert lines.content(one.commit) == lines.id(lines.merge(lines.at(base), lines.at(ours), lines.at(theirs)))
    if one.kind == "changed":
        assert lines.merger.graph.commit(one.commit).parents == (ours,)
    if not one.conflicts:
        again = merged(lines, one.commit, theirs, base)
        assert (again.commit, again.kind) == (one.commit, "same")
