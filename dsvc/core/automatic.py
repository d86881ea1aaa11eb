"""Auto-generated versions: those that training and evaluation make of their data, without anyone thinking of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dsvc.core.draft import draft_ref, load_state
from dsvc.core.ledger import Uses, find_ref, load_entry, versions_in
from dsvc.core.merging.conflicts import require_settled
from dsvc.errors import DamagedError, RefusedError
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.snapshot import Snapshot, store_roots
from dsvc.model.view import EVALUATION, MANUAL, RUN, VERSION, EvaluationRef, Ref, RunRef, VersionRef

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.transaction import Refs
    from dsvc.model.node import Reader, Store
    from dsvc.model.view import View
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


def require_unkept(refs: Refs | View, store: Reader, version: Ref) -> None:
    """Raise RefusedError where an auto-generated version is the data of a run or an evaluation; DamagedError where that
    cannot be known."""
    _, dataset, name = version
    found = cast("VersionRef | None", refs.get(*version))
    if found is None or found.origin == MANUAL:
        return
    uses = Uses(refs, store, dataset)
    if kept := uses.of(name, found):
        kind, _, id = kept[0]
        message = f"version {name!r} is the data of {kind} {id}"
        raise RefusedError(message, f"delete that, and the version goes with it: {_DELETES[kind]} {id}")
    if uses.damage is not None:
        raise uses.damage


def drop_entry(refs: Refs, dataset: Dataset, kind: str, id: str) -> list[str]:
    """Take a run or an evaluation away, with the auto-generated versions of its data that no other one names; the
    names of these. Raises NotFoundError, UsageError."""
    found = find_ref(refs, kind, dataset.name, id)
    gone = drop(refs, dataset.repository.store, (kind, dataset.name, found[1]))
    return [ref[2] for ref in gone if ref[0] == VERSION]


def drop(refs: Refs, store: Reader, entry: Ref) -> list[Ref]:
    """Take the ref of an entry away, with those of the auto-generated versions of its data that no other one names;
    all that went. Where damage hides what names them, the versions stay."""
    kind, dataset, id = entry
    commit = cast("RunRef | EvaluationRef", refs.get(*entry)).commit
    refs.set(entry, None)
    gone = [entry]
    try:
        dropped = load_entry(store, kind, id, commit)
    except DamagedError:
        return gone
    uses = Uses(refs, store, dataset)
    for name in versions_in(dropped.record) if uses.damage is None else ():
        version = cast("VersionRef | None", refs.get(VERSION, dataset, name))
        is_its = version is not None and version.origin != MANUAL and version.commit in dropped.of
        if version is not None and is_its and not uses.of(name, version):
            refs.set((VERSION, dataset, name), None)
            gone.append((VERSION, dataset, name))
    return gone
