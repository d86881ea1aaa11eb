"""Rebasing a draft: what it changed, merged with what its branch has become."""

from __future__ import annotations

from dsvc.core.draft import DraftState, committed_state
from dsvc.core.merging.states import Content, Merger
from dsvc.model.node import Store
from dsvc.model.tree import NodeCache
from dsvc.store.ids import ObjectId


def rebase(store: Store, state: DraftState, head: ObjectId | None, cache: NodeCache | None = None) -> DraftState:
    """The draft's changes on a new base, by the rules of the merge; what clashes is a conflict in the draft."""
    merger = Merger(store, cache)
    mine, theirs = (Content(side.roots, side.sources) for side in (state, committed_state(store, head)))
    made = merger.merge(_base(merger, store, state, head), mine, theirs)
    merged = state.merged
    if merged and head is not None:
        behind = merger.graph.behind([head])
        merged = tuple(id for id in merged if id not in behind)
    return DraftState(head, made.content.roots, made.content.sources, merged)


def _base(merger: Merger, store: Store, state: DraftState, head: ObjectId | None) -> Content:
    """What the draft and the new head have in common. A draft into which others were merged shares those with it."""
    if state.base is not None and state.merged and head is not None:
        base = merger.base(merger.graph.bases([state.base, *state.merged], [head]))
        if base is not None:
            return base
    before = committed_state(store, state.base)
    return Content(before.roots, before.sources)
