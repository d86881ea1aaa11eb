"""Tracking: what stands at a remote, as this repository saw it last. `origin/pets:main`, `origin/pets@v1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.operations import describe_ref
from dsvc.model.view import BRANCH, REMOTE, VERSION, BranchRef, Ref, RemoteRef, View
from dsvc.remote.copying import Copier
from dsvc.remote.fetching import is_named, source_of
from dsvc.remote.guarded import blaming
from dsvc.remote.opening import open_remote
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs
    from dsvc.model.incoming import Progress
    from dsvc.remote.settings import Remote


class Seen(NamedTuple):
    """What is different at a remote since it was last seen: `name` is such as `origin/pets:main`; None is not there."""

    name: str
    dataset: str
    old: ObjectId | None
    new: ObjectId | None


class FetchedAll(NamedTuple):
    """What a fetch brought: how many commits, objects and bytes, and what is different at the remote."""

    commits: int
    objects: int
    bytes: int
    changes: list[Seen]


def fetch(repository: Repository, remote: Remote, progress: Progress | None = None) -> FetchedAll:
    """Bring all that the remote's branches and versions reach, and note where they stand. Nothing else moves here.

    All of it becomes visible at once, or nothing. Raises RefusedError where the remote is not trusted, RemoteError.
    """
    there = open_remote(repository, remote)
    with repository.transaction(f"fetch {remote.name}") as transaction:
        with blaming(remote.name):
            standing = _standing(there.view, remote)
        copier = Copier(source_of(there, remote), transaction.writer, progress)
        copier.copy({ref.commit for ref in standing.values()})

        def change(refs: Refs) -> list[Seen]:
            return _note(refs, remote, standing)

        changes = transaction.run(change)
    return FetchedAll(len(copier.commits), copier.objects, copier.bytes, changes)


def _standing(view: View, remote: Remote) -> dict[Ref, RemoteRef]:
    """Where the branches and versions of a remote stand. What no dsvc would name so is left out."""
    found: dict[Ref, RemoteRef] = {}
    for kind in (BRANCH, VERSION):
        for ref, value in view.list(kind):
            commit = cast(BranchRef, value).commit  # or a version's
            if commit is not None and is_named(ref):
                found[tracking_ref(remote, ref)] = RemoteRef(commit)
    return found


def tracking_ref(remote: Remote, ref: Ref) -> Ref:
    """The ref that notes where a branch or a version of a remote stands."""
    kind, dataset, name = ref
    return (REMOTE, remote.name, dataset, kind, name)


def _note(refs: Refs, remote: Remote, standing: Mapping[Ref, RemoteRef]) -> list[Seen]:
    before = {ref: cast(RemoteRef, value) for ref, value in refs.list(REMOTE, remote.name)}
    changes = []
    for ref in sorted(before.keys() | standing.keys()):
        old, new = before.get(ref), standing.get(ref)
        if old != new:
            refs.set(ref, new)
            commits = (side.commit if side is not None else None for side in (old, new))
            changes.append(Seen(describe_ref(ref), ref[2], *commits))
    return changes
