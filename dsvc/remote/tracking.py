"""Tracking: what stands at a remote, as this repository saw it last. `origin/pets:main`, `origin/pets@v1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.merging.graph import Graph
from dsvc.core.nearest import near_names
from dsvc.core.operations import describe_ref
from dsvc.core.repository import MAIN
from dsvc.errors import NotFoundError
from dsvc.model.view import BRANCH, DATASET, REMOTE, VERSION, AnyRef, BranchRef, Ref, RemoteRef, VersionRef
from dsvc.remote.fetching import is_named, source_of
from dsvc.remote.guarded import blaming
from dsvc.remote.ledgers import (
    Entered,
    Ledger,
    commits_in,
    enter,
    entry_commits,
    is_generated,
    lacking,
    ledger_of,
    sift,
)
from dsvc.remote.opening import open_remote
from dsvc.remote.pushing import is_behind
from dsvc.remote.travel import receiver, seen, unite_tombstones
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs
    from dsvc.model.incoming import Progress
    from dsvc.model.view import View
    from dsvc.remote.settings import Remote


class Seen(NamedTuple):
    """What is different at a remote since it was last seen: `name` is such as `origin/pets:main`; None is not there.

    It `went_back` where the commit that stood there is not behind the new one: something was taken back there, or what
    is shown is older than what was shown before. Of a version, every change is such.
    """

    name: str
    dataset: str
    old: ObjectId | None
    new: ObjectId | None
    went_back: bool = False


class FetchedAll(NamedTuple):
    """What a fetch brought: how many commits, objects and bytes, and what is different at the remote. `left_out` counts
    the media that was purged and stayed there. `entered` tells of runs and evaluations, which are this repository's own
    where their dataset is here."""

    commits: int
    objects: int
    bytes: int
    changes: list[Seen]
    left_out: int = 0
    entered: Entered = Entered()


def fetch(repository: Repository, remote: Remote, progress: Progress | None = None) -> FetchedAll:
    """Bring all that the remote's branches and versions reach, and note where they stand; and the runs and evaluations
    of datasets that are here. Nothing else moves here.

    All of it becomes visible at once, or nothing. Raises RefusedError where the remote is not trusted, RemoteError.
    """
    return bring(repository, remote, f"fetch {remote.name}", progress=progress)


def bring(
    repository: Repository, remote: Remote, command: str, *, adopt: bool = False, progress: Progress | None = None
) -> FetchedAll:
    """A fetch, under the name of a command. With `adopt`, the datasets, branches and versions there become this
    repository's own, where it has none of the name. Raises NotFoundError where the remote lacks a dataset that is
    wanted of it."""
    there = open_remote(repository, remote)
    with repository.transaction(command) as transaction:
        with blaming(remote.name):
            view = seen(there)
            theirs = {ref: value for kind in (DATASET, BRANCH, VERSION) for ref, value in view.list(kind)}
            copier = receiver(transaction, there, remote, source_of(there, remote), progress)
        theirs = {ref: value for ref, value in theirs.items() if is_named(ref) and not is_generated(value)}
        theirs = _wanted(remote, theirs)
        tracked = _tracked(remote, theirs)
        with blaming(remote.name):
            ledger = _ledger(repository, view, theirs, adopt)
        copier.copy({ref.commit for ref in tracked.values()} | commits_in(ledger), whole=not remote.datasets)
        sound, refused = sift(transaction.writer, ledger)

        def change(refs: Refs) -> tuple[list[Seen], Entered]:
            if adopt:
                _adopt(refs, theirs)
            unite_tombstones(refs, view)
            return _note(refs, remote, tracked), enter(refs, sound, refused)

        seen_now, entered = transaction.run(change)
        changes = [_told(repository, seen) for seen in seen_now]
    commits = len(copier.commits - entry_commits(ledger))
    return FetchedAll(commits, copier.objects, copier.bytes, changes, copier.left_out, entered)


def _adopt(refs: Refs, theirs: Mapping[Ref, AnyRef]) -> None:
    """Set what is free here of a remote's datasets, branches and versions. One without a commit has no branch there."""
    for ref, value in theirs.items():
        refs.set(ref, refs.get(*ref) or value)
    for ref in theirs:
        if ref[0] == DATASET and not any(refs.list(BRANCH, ref[1])):
            refs.set((BRANCH, ref[1], MAIN), BranchRef())


def _ledger(repository: Repository, view: View, theirs: Mapping[Ref, AnyRef], adopt: bool) -> Ledger:
    """What is lacking here of a remote's ledgers, in the datasets that are here or are to be."""
    ours = seen(repository)
    datasets = [ref[1] for ref in theirs if ref[0] == DATASET and (adopt or ours.get(*ref) is not None)]
    return lacking(ours, ledger_of(view, datasets))


def _told(repository: Repository, seen: Seen) -> Seen:
    """A change with whether the remote has gone back."""
    if seen.old is None or seen.new is None:
        return seen
    is_version = "@" in seen.name
    return seen._replace(went_back=is_version or not is_behind(Graph(repository.store), seen.old, seen.new))


def _wanted(remote: Remote, theirs: dict[Ref, AnyRef]) -> dict[Ref, AnyRef]:
    """Of a remote's refs, those of the datasets that are wanted of it."""
    if not remote.datasets:
        return theirs
    for name in remote.datasets:
        if (DATASET, name) not in theirs:
            names = [ref[1] for ref in theirs if ref[0] == DATASET]
            near = near_names(name, names) or names[:8]
            hint = f"there is: {', '.join(near)}" if near else "nothing was pushed there yet"
            raise NotFoundError(f"{remote.name} has no dataset {name!r}", hint)
    return {ref: value for ref, value in theirs.items() if ref[1] in remote.datasets}


def _tracked(remote: Remote, theirs: Mapping[Ref, AnyRef]) -> dict[Ref, RemoteRef]:
    """The refs that note where a remote's branches and versions stand."""
    found = ((ref, value.commit) for ref, value in theirs.items() if isinstance(value, BranchRef | VersionRef))
    return {tracking_ref(remote, ref): RemoteRef(commit) for ref, commit in found if commit is not None}


def tracking_ref(remote: Remote, ref: Ref) -> Ref:
    """The ref that notes where a branch or a version of a remote stands."""
    kind, dataset, name = ref
    return (REMOTE, remote.name, dataset, kind, name)


def _note(refs: Refs, remote: Remote, standing: Mapping[Ref, RemoteRef]) -> list[Seen]:
    before = {ref: cast(RemoteRef, value) for ref, value in refs.list(REMOTE, remote.name)}
    if remote.datasets:  # of others, nothing is known
        before = {ref: value for ref, value in before.items() if ref[2] in remote.datasets}
    changes = []
    for ref in sorted(before.keys() | standing.keys()):
        old, new = before.get(ref), standing.get(ref)
        if old != new:
            refs.set(ref, new)
            before_it, now = (side.commit if side is not None else None for side in (old, new))
            changes.append(Seen(describe_ref(ref), ref[2], before_it, now))
    return changes
