"""Deleting at a remote: the only way in which a branch, a version, a run or a dataset goes away there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.automatic import drop
from dsvc.core.ledger import Uses
from dsvc.core.nearest import near_names
from dsvc.core.transaction import Refs
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.view import (
    BRANCH,
    DATASET,
    DRAFT,
    EVALUATION,
    MANUAL,
    REMOTE,
    RUN,
    VERSION,
    BranchRef,
    Ref,
    VersionRef,
)
from dsvc.remote.guarded import blaming
from dsvc.remote.opening import open_remote
from dsvc.remote.tracking import tracking_ref
from dsvc.remote.travel import seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsvc.core.repository import Repository
    from dsvc.remote.settings import Remote
    from dsvc.store.ids import ObjectId


class Deleted(NamedTuple):
    """What went away at a remote: a dataset, or `pets:side`, or `pets@v1`, or a run or an evaluation by its id, and the
    commit where that stood."""

    kind: str
    name: str
    commit: ObjectId | None


def delete_refs(
    repository: Repository, remote: Remote, names: Sequence[str], current: str | None = None, *, dry_run: bool = False
) -> list[Deleted]:
    """Take datasets, branches, versions, runs and evaluations away at a remote, by name: `pets`, `pets:side`,
    `pets@v1`, `pets@1a2b3c4d`; without a dataset those of the `current` one. With a run or an evaluation go the
    auto-generated versions of its data. Nothing here changes but what is known of the remote; its operation log keeps
    all.

    Raises NotFoundError, UsageError for a name that is ambiguous, RefusedError where the remote is not trusted, and for
    an auto-generated version that is in use; RemoteError. `dry_run` only looks.
    """
    there = open_remote(repository, remote, dry_run=dry_run)

    def change(refs: Refs) -> list[Deleted]:
        chosen = list(dict.fromkeys(_find(refs, remote, name, current) for name in names))
        found = [_describe(refs, ref) for ref in chosen]
        for ref in sorted(chosen, key=lambda ref: ref[0] == VERSION):  # what names a version goes before it
            if refs.get(*ref) is not None:  # it may have gone with another one
                found += [_describe(refs, gone) for gone in _take_away(there, remote, refs, ref) if gone not in chosen]
        return found

    with blaming(remote.name), there.transaction(f"push --delete from {repository.workspace.id}") as transaction:
        if dry_run:
            return change(Refs(seen(there)))
        found = transaction.run(change)
        gone = Refs(seen(there))
    _forget(repository, remote, gone)
    return found


def _take_away(there: Repository, remote: Remote, refs: Refs, ref: Ref) -> list[Ref]:
    """Take a ref away with all that goes with it; the versions that go with a run or an evaluation."""
    if ref[0] in (RUN, EVALUATION):
        return drop(refs, there.store, ref)[1:]
    version = refs.get(*ref)
    if isinstance(version, VersionRef) and version.origin != MANUAL:
        users = Uses(refs, there.store, ref[1]).of(ref[2], version)
        if users:
            message = f"{_name(ref)} is the data of {users[0][0]} {users[0][2]} there; nothing was deleted"
            way = f"dsvc push {remote.name} --delete {_name(users[0])}"
            raise RefusedError(message, f"delete that, and the version goes with it: {way}")
    for gone in _below(refs, ref):
        refs.set(gone, None)
    return []


_MARKS = ((":", (BRANCH,)), ("@", (VERSION, RUN, EVALUATION)))


def _find(refs: Refs, remote: Remote, text: str, current: str | None) -> Ref:
    """The ref that a name means at the remote."""
    name = text.removeprefix(f"{remote.name}/")
    for mark, kinds in _MARKS:
        dataset, found, own = name.partition(mark)
        if found:
            dataset = dataset or _require_current(text, current)
            return _only(refs, remote, text, [(kind, dataset, own) for kind in kinds])
    wanted: list[Ref] = [(DATASET, name)]
    if current is not None:
        wanted += [(kind, current, name) for _, kinds in _MARKS for kind in kinds]
    return _only(refs, remote, text, wanted)


def _only(refs: Refs, remote: Remote, text: str, wanted: list[Ref]) -> Ref:
    """The one of some refs that is there."""
    candidates = [ref for ref in wanted if refs.get(*ref) is not None]
    if not candidates:
        raise _unknown(refs, remote, text)
    if len(candidates) > 1:
        first, others = candidates[0][0], ", ".join(_name(ref) for ref in candidates[1:])
        raise UsageError(f"{text!r} is a {first} at {remote.name}, and stands for {others} too", "rename one of them")
    return candidates[0]


def _require_current(text: str, current: str | None) -> str:
    if current is None:
        raise UsageError(f"{text!r} names no dataset, and none is selected here", "say it in full: DATASET:BRANCH")
    return current


def _unknown(refs: Refs, remote: Remote, text: str) -> NotFoundError:
    names = [_name(ref) for kind in (DATASET, BRANCH, VERSION, RUN, EVALUATION) for ref, _ in refs.list(kind)]
    near = near_names(text, names)
    hint = f"did you mean {', '.join(near)}?" if near else f"see what is there: dsvc fetch {remote.name}"
    return NotFoundError(f"{remote.name} has no {text}", hint)


def _name(ref: Ref) -> str:
    return ref[1] if ref[0] == DATASET else f"{ref[1]}{':' if ref[0] == BRANCH else '@'}{ref[2]}"


def _describe(refs: Refs, ref: Ref) -> Deleted:
    value = refs.get(*ref)
    commit = value.commit if isinstance(value, BranchRef | VersionRef) else None
    return Deleted(ref[0], _name(ref), commit)


def _below(refs: Refs, ref: Ref) -> list[Ref]:
    """A ref with all that goes with it."""
    kind, dataset = ref[0], ref[1]
    drafts = [draft for draft, _ in refs.list(DRAFT) if draft[2] == dataset]
    if kind == DATASET:
        parts = [part for kind in (BRANCH, VERSION, RUN, EVALUATION) for part, _ in refs.list(kind, dataset)]
        return [ref, *parts, *drafts]
    return [ref, *(draft for draft in drafts if kind == BRANCH and draft[3] == ref[2])]


def _forget(repository: Repository, remote: Remote, there: Refs) -> None:
    """Note here what is gone there."""

    def change(refs: Refs) -> None:
        for ref, _ in list(refs.list(REMOTE, remote.name)):
            _, _, dataset, kind, name = ref
            if there.get(kind, dataset, name) is None:
                refs.set(tracking_ref(remote, cast(Ref, (kind, dataset, name))), None)

    repository.change(f"push --delete {remote.name}", change)
