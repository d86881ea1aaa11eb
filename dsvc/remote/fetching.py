"""Fetching: what commits reach comes here from a remote, with the versions that stand on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.names import NAME, RESERVED
from dsvc.core.revisions import reachable
from dsvc.errors import DamagedError, RemoteError
from dsvc.model.view import BRANCH, DATASET, VERSION, AnyRef, PinRef, Ref, VersionRef, View, pin_of
from dsvc.remote.guarded import blaming
from dsvc.remote.ledgers import Entered, bring_ledger, enter, entry_commits, is_generated, lacking, ledger_of, standing
from dsvc.remote.opening import open_remote
from dsvc.remote.source import Source
from dsvc.remote.travel import receiver, seen, unite_tombstones
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs
    from dsvc.model.incoming import Progress
    from dsvc.remote.settings import Remote

Wanted = Mapping[str, set[ObjectId]]
Versions = list[tuple[str, str]]
_LACK_HINT = "nothing was changed here; push it there from a clone that has it, or clone with --no-media"
_DAMAGE_HINT = "nothing was changed here; run dsvc check there, and push from a clone that is whole"


class Fetched(NamedTuple):
    """What came: how many commits, objects and bytes. `missing` are those that the remote doesn't have either.

    `versions` came, by dataset and name; `kept` are those whose name stands for something else here: that stays.
    `left_out` counts the media that was purged and stayed there. `entered` tells of runs and evaluations.
    """

    commits: int
    objects: int
    bytes: int
    missing: Wanted
    versions: Versions
    kept: Versions
    left_out: int = 0
    entered: Entered = Entered()


def fetch_commits(repository: Repository, remote: Remote, wanted: Wanted, progress: Progress | None = None) -> Fetched:
    """Bring commits, by dataset, with all that they reach, and pin them; with them come the versions that stand on them
    there, where the name is free here, the runs and evaluations of what is here, and the dataset where it is not here.

    All of it becomes visible at once, or nothing. Raises RefusedError where the remote is not trusted, RemoteError.
    """
    there = open_remote(repository, remote)
    source = source_of(there, remote)
    with repository.transaction(f"fetch {remote.name}") as transaction:
        has = {id: transaction.writer.has(id, Kind.COMMIT) for ids in wanted.values() for id in ids}
        missing = {id for id, is_here in has.items() if not is_here and not source.has_commit(id)}
        with blaming(remote.name):
            copier = receiver(transaction, there, remote, source, progress)
        copier.copy(has.keys() - missing)
        fetched = {dataset: ids - missing for dataset, ids in wanted.items() if ids - missing}
        with blaming(remote.name):
            view = seen(there)
            news = _news(repository, view, fetched, set(copier.commits))
            ledger = lacking(seen(repository), ledger_of(view, fetched))
        ledger = standing(ledger, source, lambda id: transaction.writer.has(id, Kind.COMMIT))
        came = bring_ledger(copier, transaction.writer, ledger)

        def change(refs: Refs) -> tuple[Versions, Versions, Entered]:
            unite_tombstones(refs, view)
            return *take_in(refs, news), enter(refs, *came)

        versions, kept, entered = transaction.run(change)
    absent = {dataset: ids & missing for dataset, ids in wanted.items() if ids & missing}
    commits = len(copier.commits - entry_commits(ledger))
    return Fetched(commits, copier.objects, copier.bytes, absent, versions, kept, copier.left_out, entered)


def source_of(there: Repository, remote: Remote) -> Source:
    """A remote's objects; what is wrong with them is an error that names the remote."""

    def failure(error: DamagedError) -> RemoteError:
        return RemoteError(f"remote {remote.name}: {error.message}", _DAMAGE_HINT)

    def lack(key: str) -> RemoteError:
        return RemoteError(f"remote {remote.name}: the media of input {key!r} is missing there", _LACK_HINT)

    return Source(there.store, failure, lack, is_near=False)


def _news(repository: Repository, view: View, fetched: Wanted, new: set[ObjectId]) -> list[tuple[Ref, AnyRef]]:
    """The refs that the commits bring along: the dataset, its versions, and pins of what nothing here reaches."""
    found: list[tuple[Ref, AnyRef]] = []
    for dataset, ids in sorted(fetched.items()):
        described = view.get(DATASET, dataset)
        if described is not None:
            found.append(((DATASET, dataset), described))
        found += versions_on(view.list(VERSION, dataset), ids | new)
        old = ids - new
        kept = {id for _, id in reachable(repository, dataset)} if old else set()
        found += [(pin_of(dataset, id), PinRef(id)) for id in sorted(ids - kept)]
    return found


def versions_on(listed: Iterable[tuple[Ref, AnyRef]], commits: Iterable[ObjectId]) -> list[tuple[Ref, VersionRef]]:
    """Of the versions that a view lists and people made, those that stand on some commits. What can be no name is left
    out."""
    wanted = set(commits)
    versions = ((ref, cast(VersionRef, value)) for ref, value in listed if not is_generated(value))
    return [(ref, version) for ref, version in versions if version.commit in wanted and is_named(ref)]


def is_named(ref: Ref) -> bool:
    """Whether the ref of a dataset, a branch or a version has names that people would give."""
    is_whole = len(ref) == (2 if ref[0] == DATASET else 3)
    return is_whole and all(NAME.fullmatch(name) and not name.startswith(RESERVED) for name in ref[1:])


def take_in(refs: Refs, news: Iterable[tuple[Ref, AnyRef]]) -> tuple[Versions, Versions]:
    """Set refs where they are free: the versions that are new here, and those whose name something else has."""
    new: Versions = []
    kept: Versions = []
    for ref, value in news:
        present = refs.get(*ref)
        if not isinstance(value, VersionRef):
            refs.set(ref, present or value)
        elif present is None and refs.get(BRANCH, *ref[1:]) is None:
            refs.set(ref, value)
            new.append((ref[1], ref[2]))
        elif present is None or cast(VersionRef, present).commit != value.commit:
            kept.append((ref[1], ref[2]))
    return new, kept
