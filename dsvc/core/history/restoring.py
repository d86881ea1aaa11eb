"""Bringing earlier states back into a draft: inputs as they were, or a commit's changes taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.core.compare import Summary, summarize_states
from dsvc.core.draft import Draft, DraftState, Step, committed_state
from dsvc.core.history.walking import History
from dsvc.core.merging.states import Content, Merger
from dsvc.core.nearest import no_input
from dsvc.core.selection import require_writable
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.extras import concept_lists
from dsvc.model.node import Store
from dsvc.model.records import CONFLICTS, annotation_key
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots
from dsvc.model.stored import stored_fields
from dsvc.model.tree import Tree
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset


class Restored(NamedTuple):
    """What a draft changed by: `commit` is the one that was restored or reverted, `conflicts` the number of records in
    which a conflict was opened."""

    commit: ObjectId | None
    summary: Summary
    conflicts: int = 0


def restore(dataset: Dataset, revision: str, names: Sequence[str], dry_run: bool) -> Restored:
    """Bring inputs with their annotations (KEY), single annotations (KEY#ANN), or with no names everything into the
    draft as they were in a revision. Raises NotFoundError, RefusedError.

    Everything is also how far sources had been taken in, so that a later delivery is compared with what was known then.
    """
    commit = dataset._resolve(revision).commit
    then = committed_state(dataset._scratch, commit)

    def step(store: Store, state: DraftState) -> DraftState:
        if not names:
            return msgspec.structs.replace(state, roots=then.roots, sources=then.sources)
        cache = dataset.repository.cache
        edits = _Restoring(Snapshot(store, state.roots, cache), Snapshot(store, then.roots, cache), revision).of(names)
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits, cache))

    summary = _apply(dataset, f"restore {revision} {' '.join(names)}".strip(), step, dry_run)
    return Restored(commit, summary)


def revert(dataset: Dataset, revision: str, parent: int | None, dry_run: bool) -> Restored:
    """Take a commit's changes back in the draft: a merge whose base is the commit, and whose other side its parent.

    `parent` says which of a merge's parents, from 1, is gone back to. Raises UsageError, NotFoundError, RefusedError.
    """
    id = dataset._resolve(revision).commit
    if id is None:
        raise RefusedError(f"{revision} has no commit yet", "see: dsvc log")
    history = History(dataset.repository.store, dataset.repository.cache)
    before = _parent(history, id, parent)
    conflicts = 0

    def step(store: Store, state: DraftState) -> DraftState:
        nonlocal conflicts
        base, theirs = (_content(committed_state(store, one)) for one in (id, before))
        made = Merger(store, dataset.repository.cache).merge(base, _content(state), theirs)
        conflicts = made.merged.report.conflicts
        return msgspec.structs.replace(state, roots=made.content.roots, sources=made.content.sources)

    summary = _apply(dataset, f"revert {id.short()}", step, dry_run)
    return Restored(id, summary, conflicts)


def _content(state: DraftState) -> Content:
    return Content(state.roots, state.sources)


def _parent(history: History, id: ObjectId, number: int | None) -> ObjectId | None:
    """The parent that is gone back to; None before the first commit."""
    if history.is_source(id):
        raise RefusedError(f"{id.short()} is what a source delivered", "revert the commit that took it in: dsvc log")
    parents = history.parents(id)
    if number is None:
        if len(parents) > 1:
            names = ", ".join(f"{at} is {one.short()}" for at, one in enumerate(parents, 1))
            hint = f"say which of its parents to go back to: --parent N; {names}"
            raise RefusedError(f"{id.short()} is a merge", hint)
        number = 1
    if not 1 <= number <= max(len(parents), 1):
        raise UsageError(f"{id.short()} has no parent {number}", f"it has {len(parents)}; see: dsvc log")
    return parents[number - 1] if parents else None


def _apply(dataset: Dataset, command: str, step: Step, dry_run: bool) -> Summary:
    """Take a step in the draft, or only look at what it would do; what changed."""
    require_writable(dataset)
    with dataset.repository.transaction(command[:200]) as transaction:
        draft = Draft(dataset, transaction)
        before = draft.snapshot
        draft.apply(step)
        summary = summarize_states(before, draft.snapshot)
        if not dry_run:
            draft.finish()
    return summary


class _Restoring:
    """The edits that make named records what they were."""

    def __init__(self, now: Snapshot, then: Snapshot, revision: str) -> None:
        self._now, self._then, self._revision = now, then, revision
        self._edits = SnapshotEdits()

    def of(self, names: Sequence[str]) -> SnapshotEdits:
        """The edits for all names. Raises NotFoundError."""
        for name in names:
            key, mark, id = name.rpartition("#")
            if self._then.input_tree.get(name.encode()) is not None:
                self._restore_input(name)
            elif mark and self._then.annotation_tree.get(annotation_key(key, id)) is not None:
                self._restore_annotation(key, id)
            else:
                raise self._absent(name, key, id)
        for concept in sorted(self._named()):
            self._bring(self._now.concept_tree, self._then.concept_tree, concept.encode(), self._edits.concepts)
        return self._edits

    def _restore_input(self, key: str) -> None:
        prefix = f"{key}\0".encode()
        self._edits.inputs[key.encode()] = self._then.input_tree.get(key.encode())
        self._edits.annotations |= dict.fromkeys(k for k, _ in self._now.annotation_tree.prefix(prefix))
        self._edits.annotations |= dict(self._then.annotation_tree.prefix(prefix))

    def _restore_annotation(self, key: str, id: str) -> None:
        tree_key = annotation_key(key, id)
        self._edits.annotations[tree_key] = self._then.annotation_tree.get(tree_key)
        self._bring(self._now.input_tree, self._then.input_tree, key.encode(), self._edits.inputs)

    def _bring(self, now: Tree, then: Tree, key: bytes, edits: dict[bytes, bytes | None]) -> None:
        """Bring along what is named, unless it is there."""
        if key not in edits and key not in now and (value := then.get(key)) is not None:
            edits[key] = value

    def _named(self) -> set[str]:
        """The concepts that the records name which come back."""
        found = set[Any]()
        for value in filter(None, self._edits.annotations.values()):
            fields = stored_fields(value, "annotation")
            found.update((fields.get("c"), *fields.get(CONFLICTS, {}).get("c", ())))
        for value in filter(None, self._edits.inputs.values()):
            for _, listed in concept_lists(stored_fields(value, "input")):
                found.update(listed)
        return {name for name in found if isinstance(name, str)}

    def _absent(self, name: str, key: str, id: str) -> NotFoundError:
        message = f"{self._revision} has no {name!r}"
        if self._now.input(name) is not None or (key and self._now.annotation(key, id) is not None):
            return NotFoundError(message, f"it is there now; to take it out: dsvc rm {name!r}")
        if key and self._then.input(key) is not None:
            return NotFoundError(message, f"see: dsvc show {self._revision} {key!r}")
        all_of_it = f"name its inputs one by one, or restore everything: dsvc restore {self._revision}"
        return NotFoundError(message, no_input(key or name, self._then, all_of_it).hint)
