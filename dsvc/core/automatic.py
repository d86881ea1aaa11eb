"""Auto-generated versions: those that training and evaluation make of their data, without anyone thinking of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dsvc.core.draft import draft_ref, load_state
from dsvc.core.ledger import keepers
from dsvc.core.merging.conflicts import require_settled
from dsvc.errors import RefusedError
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.snapshot import Snapshot, store_roots
from dsvc.model.view import EVALUATION, MANUAL, RUN, VERSION, VersionRef

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.transaction import Refs
    from dsvc.model.node import Store
    from dsvc.store.ids import ObjectId

_DELETES = {RUN: "dsvc runs delete", EVALUATION: "dsvc evaluate delete"}


def commit_data(dataset: Dataset, refs: Refs, store: Store, message: str, author: Author, time: Moment) -> ObjectId:
    """The commit of what a dataset holds now: its head, or where something is staged a commit of that, which no branch
    reaches and which leaves the draft as it is.

    Raises RefusedError where conflicts are open, or there is no commit and nothing staged.
    """
    state = load_state(store, refs, dataset)
    require_settled(Snapshot(store, state.roots))
    if dataset.pinned is not None or refs.get(*draft_ref(dataset)) is None:
        if state.base is None:
            raise RefusedError(f"dataset {dataset.name!r} holds nothing yet", "dsvc add PATH, then dsvc commit -m TEXT")
        return state.base
    commit = Commit(
        snapshot=store_roots(store, state.roots),
        parents=(*([state.base] if state.base else []), *state.merged),
        author=author,
        time=time,
        message=message,
        sources=state.sources,
    )
    return store_commit(store, commit)


def require_unkept(refs: Refs, dataset: Dataset, name: str) -> None:
    """Raise RefusedError where an auto-generated version is the data of a run or an evaluation."""
    version = cast("VersionRef | None", refs.get(VERSION, dataset.name, name))
    if version is None or version.origin == MANUAL:
        return
    if kept := keepers(refs, dataset, version.commit):
        first = kept[0]
        message = f"version {name!r} is the data of {first.kind} {first.id}"
        raise RefusedError(message, f"delete that, and the version goes with it: {_DELETES[first.kind]} {first.id}")


def drop_entry(refs: Refs, dataset: Dataset, kind: str, id: str) -> list[str]:
    """Take a run or an evaluation away, with the auto-generated versions of its data that no other one names; the
    names of these. Raises NotFoundError."""
    from dsvc.core.ledger import find_entry

    entry = find_entry(dataset, kind, id)
    refs.set((kind, dataset.name, entry.id), None)
    gone = []
    for ref, value in list(refs.list(VERSION, dataset.name)):
        version = cast(VersionRef, value)
        is_its = version.origin != MANUAL and version.commit in entry.of
        if is_its and not keepers(refs, dataset, version.commit):
            refs.set(ref, None)
            gone.append(ref[2])
    return gone
