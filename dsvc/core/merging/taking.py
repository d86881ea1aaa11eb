"""Taking a part of another line: a commit that holds what both have in common, overlaid with some of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.filters.narrowing import matching_keys, named_concepts
from dsvc.core.merging.roots import merge_meta
from dsvc.core.merging.states import Content, Merger
from dsvc.model.commit import TAKEN_FROM, Commit, store_commit
from dsvc.model.snapshot import Roots, Snapshot, SnapshotEdits, edit_roots, empty_roots, store_roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.model.incoming import Progress


class Taken(NamedTuple):
    """A part of a line: the commit that holds it (None where there is nothing new in it), its content, and how many
    inputs match."""

    commit: ObjectId | None
    content: Content
    matched: int


def take_part(
    merger: Merger, bases: list[ObjectId], theirs: ObjectId, where: str, progress: Progress | None = None
) -> Taken:
    """Take the inputs of a commit that a filter is true of, with their annotations and the concepts that those name.

    Inputs that were taken from that line before come along as they are now. Raises FilterError.
    """
    snapshot = Snapshot(merger.store, merger.content(theirs).roots, merger.cache)
    return take_inputs(merger, bases, theirs, matching_keys(snapshot, where, progress), where)


def take_inputs(merger: Merger, bases: list[ObjectId], theirs: ObjectId, matched: list[bytes], where: str) -> Taken:
    """Take some inputs of a commit, given by tree key; see `take_part`. `where` says in words which they are."""
    store = merger.store
    base = merger.base(bases)
    ground = base.roots if base is not None else empty_roots(store)
    snapshot = Snapshot(store, merger.content(theirs).roots)
    behind = merger.graph.behind([theirs])
    keys = set(matched).union(*(_taken_before(merger, id, behind) for id in bases))
    roots = _overlaid(merger, ground, snapshot, keys)
    content = Content(roots, base.sources if base is not None else {})
    if roots == ground:
        return Taken(None, content, len(matched))
    origin = merger.graph.commit(theirs)
    commit = Commit(
        snapshot=store_roots(store, roots),
        parents=tuple(bases),
        # Made by a machine of what there is: two who take the same part make the same commit.
        author=origin.author,
        time=origin.time,
        message=f"part of {theirs.short()} where {where}",
        sources=content.sources,
        notes={TAKEN_FROM: theirs, "where": where},
    )
    return Taken(store_commit(store, commit), content, len(matched))


def _overlaid(merger: Merger, ground: Roots, line: Snapshot, keys: set[bytes]) -> Roots:
    """A snapshot with the records of a line in place of its own for some inputs."""
    store, edits, owners = merger.store, SnapshotEdits(), sorted(keys)
    for key, _, new in diff_trees(Tree(store, ground.inputs), line.input_tree, owners):
        if key in keys:
            edits.inputs[key] = new
    for key, _, new in diff_trees(Tree(store, ground.annotations), line.annotation_tree, owners):
        if key[: key.index(0)] in keys:
            edits.annotations[key] = new
    concepts = [(key, new) for key, _, new in diff_trees(Tree(store, ground.concepts), line.concept_tree)]
    if concepts:
        named = named_concepts(line, [key for key in owners if key in line.input_tree])
        edits.concepts = {key: new for key, new in concepts if key in named}
    edits.meta = merge_meta({}, ground.meta, line.meta) if edits else {}
    return edit_roots(store, ground, edits)


def _taken_before(merger: Merger, id: ObjectId, line: set[ObjectId]) -> set[bytes]:
    """The inputs that a commit has taken from a line, and those before it; of commits that took no part, and of those
    that the line itself began with or went through, none."""
    found: set[bytes] = set()
    queue = [id]
    while queue:
        part = queue.pop()
        commit = merger.graph.commit(part)
        if TAKEN_FROM not in commit.notes or part in line:
            continue
        queue += commit.parents
        before = merger.base(commit.parents)
        roots = before.roots if before is not None else empty_roots(merger.store)
        after = Snapshot(merger.store, merger.content(part).roots)
        found.update(change.key for change in diff_trees(Tree(merger.store, roots.inputs), after.input_tree))
        changes = diff_trees(Tree(merger.store, roots.annotations), after.annotation_tree)
        found.update(change.key[: change.key.index(0)] for change in changes)
    return found
