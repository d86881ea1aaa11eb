"""Rebasing a draft: what it changed, laid over a commit that came after its base."""

from __future__ import annotations

from dsvc.core.draft import DraftState, committed_state
from dsvc.errors import RefusedError
from dsvc.model.node import Store
from dsvc.model.snapshot import Roots, SnapshotEdits, edit_roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.store.ids import ObjectId


def rebase(store: Store, state: DraftState, head: ObjectId | None) -> DraftState:
    """The draft's changes on a new base. Raises RefusedError where both sides changed one record differently."""
    old, new = committed_state(store, state.base), committed_state(store, head)
    edits = SnapshotEdits()
    for name in ("concepts", "inputs", "annotations"):
        _collect(store, getattr(edits, name), name, (old.roots, state.roots, new.roots))
    edits.meta = {k: v for k, v in state.roots.meta.items() if old.roots.meta.get(k) != v}
    roots = edit_roots(store, new.roots, edits)
    return DraftState(head, roots, {**new.sources, **state.sources})


def _collect(store: Store, edits: dict[bytes, bytes | None], name: str, roots: tuple[Roots, Roots, Roots]) -> None:
    base, draft, head = (Tree(store, getattr(side, name)) for side in roots)
    moved = {change.key: change.new for change in diff_trees(base, head)}
    for change in diff_trees(base, draft):
        if change.key in moved and moved[change.key] != change.new:
            record = change.key.decode().replace("\0", "#")
            hint = "take your change of it back first: dsvc discard KEY"
            raise RefusedError(f"{record}: changed both in the draft and by a commit since", hint)
        edits[change.key] = change.new
