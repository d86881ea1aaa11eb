"""The operation log: what was done, and how to take it back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.files.tracking import renaming
from dsvc.core.transaction import Refs
from dsvc.errors import DamagedError, NotFoundError, RefusedError, UsageError
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.model.view import (
    BRANCH,
    DATASET,
    DRAFT,
    EVALUATION,
    MANUAL,
    PIN,
    REMOTE,
    RUN,
    TOMBSTONE,
    VERSION,
    Operation,
    Ref,
    VersionRef,
    View,
    decode_ref,
    load_operation,
    split_ref,
)
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository


# A ref that moved, with its encoded values before and after.
Moved = tuple[Ref, bytes | None, bytes | None]


class LoggedOperation(NamedTuple):
    """An operation and its id."""

    id: ObjectId
    operation: Operation


def operations(repository: Repository) -> Iterator[LoggedOperation]:
    """All operations that are still there, the last first."""
    store = repository.store
    id: ObjectId | None = store.head.operation
    before = store.state.catalog.manifest.collected
    while id is not None:
        try:
            operation = load_operation(store, id)
        except DamagedError:
            store.refresh()
            if store.state.catalog.manifest.collected != before:
                return  # a collection has cut the chain meanwhile
            raise
        yield LoggedOperation(id, operation)
        id = operation.parents[0] if operation.parents and id != before.oldest else None


def oldest_operation(repository: Repository) -> ObjectId | None:
    """The operation before which others were collected, so that nothing is known of them; None where all are there."""
    return repository.store.state.catalog.manifest.collected.oldest


def _collected(repository: Repository) -> str:
    """What an error adds where what it misses may have been collected."""
    oldest = oldest_operation(repository)
    return f"; what was before {oldest.short()} was collected" if oldest is not None else ""


def find_operation(repository: Repository, prefix: str) -> LoggedOperation:
    """The operation whose id begins with these digits. Raises NotFoundError, UsageError."""
    if len(prefix) < 4:
        raise UsageError(f"{prefix!r} is too short to name an operation", "give at least 4 digits; see: dsvc op log")
    found = [logged for logged in operations(repository) if logged.id.hex().startswith(prefix.lower())]
    if not found:
        raise NotFoundError(f"no operation {prefix!r}", f"see: dsvc op log{_collected(repository)}")
    if len(found) > 1:
        raise UsageError(f"{prefix!r} is ambiguous", ", ".join(logged.id.short() for logged in found[:5]))
    return found[0]


def undo(repository: Repository, prefix: str | None = None) -> LoggedOperation:
    """Invert this workspace's last operation, or the one named. Raises RefusedError, NotFoundError.

    Again goes one further back. Refs that moved since are named in the refusal.
    """
    target = find_operation(repository, prefix) if prefix else _last(repository)
    if not target.operation.parents:
        raise RefusedError("the repository's first operation cannot be undone")
    if target.id == oldest_operation(repository):
        message = f"{target.operation.command!r} cannot be undone: what was before it was collected by dsvc gc"
        raise RefusedError(message, "dsvc gc keeps what operations of the last 30 days need, unless --keep says less")
    _invert(repository, target, "undo")
    return target


def redo(repository: Repository) -> LoggedOperation:
    """Invert this workspace's last `undo`. Raises RefusedError where there is none, or something came after it."""
    cancelled: set[ObjectId] = set()
    for logged in _own(repository):
        if logged.operation.action == "redo":
            if logged.operation.inverts:
                cancelled.add(logged.operation.inverts)
        elif logged.operation.action != "undo":
            break
        elif logged.id not in cancelled:
            _invert(repository, logged, "redo")
            return logged
    raise RefusedError("nothing to redo", "redo follows an undo: dsvc op log")


def restore(repository: Repository, prefix: str) -> LoggedOperation:
    """Set every ref to what it was after an operation. That is an operation too, so it can be undone."""
    target = find_operation(repository, prefix)

    def change(refs: Refs) -> None:
        wanted = Tree(repository.store, target.operation.view, repository.cache)
        for entry in diff_trees(refs.view.tree, wanted):
            ref = split_ref(entry.key)
            if ref[0] != TOMBSTONE:  # what was purged is gone for good, and is not to come back
                refs.set(ref, decode_ref(ref[0], entry.new) if entry.new is not None else None)

    with repository.transaction(f"op restore {target.id.short()}") as transaction:
        transaction.run(change, inverts=None, action="restore")
    return target


def _own(repository: Repository) -> Iterator[LoggedOperation]:
    workspace = repository.workspace.id
    return (logged for logged in operations(repository) if logged.operation.workspace == workspace)


def _last(repository: Repository) -> LoggedOperation:
    """This workspace's last operation that is neither an undo nor undone."""
    cancelled: set[ObjectId] = set()
    for logged in _own(repository):
        if logged.id in cancelled:
            continue
        if logged.operation.inverts is None:
            return logged
        cancelled.add(logged.operation.inverts)
    hint = "all that this workspace did is undone, or it did nothing; see: dsvc op log"
    raise RefusedError("nothing to undo", hint + _collected(repository))


def changed_refs(repository: Repository, operation: Operation) -> Iterator[Moved]:
    """The refs that an operation moved, with their encoded values before and after."""
    parent = load_operation(repository.store, operation.parents[0])
    before = Tree(repository.store, parent.view, repository.cache)
    after = Tree(repository.store, operation.view, repository.cache)
    for entry in diff_trees(before, after):
        yield split_ref(entry.key), entry.old, entry.new


def _invert(repository: Repository, target: LoggedOperation, action: str) -> None:
    moved = list(changed_refs(repository, target.operation))
    purged = [ref for ref, _, _ in moved if ref[0] == TOMBSTONE]
    moved = [one for one in moved if one[0][0] != TOMBSTONE]
    if purged and not moved:
        raise _purge_stays(repository, target)

    def change(refs: Refs) -> None:
        stuck = [ref for ref, _, new in moved if _encoded(refs.view, ref) != new]
        if stuck:
            names = ", ".join(describe_ref(ref) for ref in stuck)
            hint = "undo what came after it first: dsvc op log"
            raise RefusedError(f"{target.operation.command!r} cannot be inverted: {names} moved since", hint)
        for ref, old, _ in moved:
            refs.set(ref, decode_ref(ref[0], old) if old is not None else None)
        for ref, old, _ in moved:
            if ref[0] == DATASET and old is None:
                _require_empty(refs, ref[1], target)
            elif ref[0] == BRANCH and old is None:
                _require_clean(refs, ref, target)
        _require_unused(refs, repository, moved, target)

    names = renamed(moved)
    settings = renaming(repository.workspace, names.new, names.old) if names is not None else nullcontext()
    command = f"{action} {target.id.short()} ({target.operation.command})"
    with settings, repository.transaction(command) as transaction:
        transaction.run(change, inverts=target.id, action=action)


def _purge_stays(repository: Repository, target: LoggedOperation) -> RefusedError:
    """The refusal to take a purge back; it names the operation before."""
    own = itertools.dropwhile(lambda one: one.id != target.id, _own(repository))
    before = next((one for one in own if one.id != target.id), None)
    hint = f"what came before it can be undone by its id: dsvc undo --op {before.id.short()}" if before else None
    return RefusedError(f"{target.operation.command!r} cannot be taken back: the bytes are gone", hint)


class Renaming(NamedTuple):
    """The names of a dataset before and after an operation."""

    old: str
    new: str


def renamed(moved: Sequence[Moved]) -> Renaming | None:
    """The names of a dataset before and after, if all that moves of refs make is another name for it."""
    gone = {_nameless(ref): old for ref, old, new in moved if new is None}
    come = {_nameless(ref): new for ref, old, new in moved if old is None}
    names = [[ref[1] for ref, *sides in moved if ref[0] == DATASET and sides[at] is None] for at in (1, 0)]
    if gone != come or len(gone) + len(come) != len(moved) or [len(found) for found in names] != [1, 1]:
        return None
    return Renaming(names[0][0], names[1][0])


def _nameless(ref: Ref) -> Ref:
    """A ref without the name of its dataset."""
    at = 2 if ref[0] == DRAFT else 1
    return ref[:at] + ref[at + 1 :]


def _require_empty(refs: Refs, dataset: str, target: LoggedOperation) -> None:
    """Refuse to take a dataset away and leave what was made in it since: it would be out of reach."""
    left = [ref for kind in (BRANCH, VERSION, RUN, EVALUATION) for ref, _ in refs.list(kind, dataset)]
    left += [ref for ref, _ in refs.list(DRAFT) if ref[2] == dataset]
    if left:
        names = ", ".join(describe_ref(ref) for ref in left)
        hint = "undo what came after it first: dsvc op log"
        raise RefusedError(f"{target.operation.command!r} cannot be inverted: it would leave {names}", hint)


def _require_clean(refs: Refs, branch: Ref, target: LoggedOperation) -> None:
    """Refuse to take a branch away and leave what was staged on it since."""
    if any(ref[2:] == branch[1:] for ref, _ in refs.list(DRAFT)):
        hint = f"drop it first: dsvc discard, on branch {branch[2]}"
        raise RefusedError(f"{target.operation.command!r} cannot be inverted: something is staged on that branch", hint)


def _require_unused(refs: Refs, repository: Repository, moved: Sequence[Moved], target: LoggedOperation) -> None:
    """Refuse to take an auto-generated version away from a run or an evaluation that was made of it since."""
    from dsvc.core.ledger import Uses

    named = [(ref, new) for ref, old, new in moved if ref[0] == VERSION and old is None and new is not None]
    versions = [(ref, cast(VersionRef, decode_ref(VERSION, new))) for ref, new in named]
    gone = [(ref, version) for ref, version in versions if version.origin != MANUAL]
    uses = {name: Uses(refs, repository.store, name) for name in {ref[1] for ref, _ in gone}}
    for ref, version in gone:
        if users := uses[ref[1]].of(ref[2], version):
            why = f"{ref[2]} is the data of {describe_ref(users[0])}"
            hint = "undo what came after it first: dsvc op log"
            raise RefusedError(f"{target.operation.command!r} cannot be inverted: {why}", hint)


def _encoded(view: View, ref: Ref) -> bytes | None:
    return view.tree.get("\0".join(ref).encode())


def describe_ref(ref: Ref) -> str:
    """A ref in words: its kind and names, without the workspace."""
    if ref[0] == REMOTE:
        _, remote, dataset, kind, name = ref
        return f"{remote}/{dataset}{'@' if kind == VERSION else ':'}{name}"
    if ref[0] == PIN:
        return f"pin of {ref[1]}@{ref[2][:12]}"
    if ref[0] == TOMBSTONE:
        return f"tombstone of {ref[1][:12]}"
    names = ref[2:] if ref[0] == "draft" else ref[1:]
    return f"{ref[0]} {' '.join(names)}"
