"""Pushing: what commits reach goes from here to a remote, with pins, versions and, where it goes forward, a branch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from dsvc.core.merging.graph import Graph
from dsvc.errors import DamagedError, RefusedError
from dsvc.model.view import BRANCH, DATASET, VERSION, BranchRef, DatasetRef, PinRef, Ref, VersionRef, View, pin_of
from dsvc.remote.fetching import Versions, Wanted, versions_on
from dsvc.remote.guarded import OwnDamageError, blaming, owning
from dsvc.remote.ledgers import Entered, Ledger, commits_in, enter, entry_commits, lacking, ledger_of, standing
from dsvc.remote.opening import open_remote
from dsvc.remote.source import Source
from dsvc.remote.travel import seen, sender, unite_tombstones
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs
    from dsvc.model.incoming import Progress
    from dsvc.remote.settings import Remote
    from dsvc.store.writer import ObjectWriter

# What became of a branch at the remote: it is new there, went forward, stands where it stood, since what was pushed is
# behind it, has gone another way, so that a fetch and a merge are needed, or was moved back or aside all the same.
Move = Literal["new", "forward", "current", "diverged", "forced"]


class Moved(NamedTuple):
    """A branch of a dataset at the remote: where it stands now, what the push did to it, and where it stood before."""

    branch: str
    commit: ObjectId
    move: Move
    before: ObjectId | None


class Pushed(NamedTuple):
    """What went: how many commits, objects and bytes. `missing` are those that neither side has.

    `branches` says of each dataset what became of its branch there; a dataset is absent where none of its commits is on
    the branch that is current here. `versions` are new there, by dataset and name. `left_out` counts the media that was
    purged and stayed here. `entered` tells of runs and evaluations.
    """

    commits: int
    objects: int
    bytes: int
    missing: Wanted
    branches: Mapping[str, Moved]
    versions: Versions
    left_out: int = 0
    entered: Entered = Entered()


# Where branches should stand: dataset -> branch and commit.
Tips = Mapping[str, tuple[str, ObjectId]]


def push_commits(
    repository: Repository,
    remote: Remote,
    wanted: Wanted,
    progress: Progress | None = None,
    *,
    tips: Tips | None = None,
) -> Pushed:
    """Bring commits, by dataset, to a remote with all that they reach, and pin them there. The versions that stand on
    them go along, as do the runs and evaluations of data that is there then. A dataset's branch goes forward there,
    unless it has diverged: the one that `tips` name, to the commit that stands beside it; without `tips` the current
    one, as far as the commits reach.

    All of it becomes visible at once, or nothing. Raises RefusedError where a version's name stands for another commit
    there or the remote is not trusted, RemoteError.
    """
    there = open_remote(repository, remote, create=True)
    with blaming(remote.name), there.transaction(f"push from {repository.workspace.id}") as transaction:
        source = own_source(repository, remote)
        missing = {id for ids in wanted.values() for id in ids if not source.has_commit(id)}
        copier = sender(transaction, repository, remote, source, progress)
        copier.copy({id for ids in wanted.values() for id in ids} - missing)
        missing = {id for id in missing if not transaction.writer.has(id, Kind.COMMIT)}
        plans = [
            _Plan(repository, dataset, ids - missing, copier.commits, tips)
            for dataset, ids in sorted(wanted.items())
            if ids - missing
        ]

        ours = seen(repository)
        ledger = _ledger(ours, seen(there), [plan.dataset for plan in plans], source, transaction.writer)
        if ledger:
            copier.copy(commits_in(ledger))

        def change(refs: Refs) -> tuple[dict[str, Moved], Versions, Entered]:
            require_free(refs, [version for plan in plans for version in plan.versions], remote)
            moves = {plan.dataset: move for plan in plans if (move := plan.carry_out(refs)) is not None}
            unite_tombstones(refs, ours)
            return moves, set_versions(refs, [one for plan in plans for one in plan.versions]), enter(refs, ledger)

        branches, versions, entered = transaction.run(change)
    absent = {dataset: ids & missing for dataset, ids in wanted.items() if ids & missing}
    commits = len(copier.commits - entry_commits(ledger))
    return Pushed(commits, copier.objects, copier.bytes, absent, branches, versions, copier.left_out, entered)


def _ledger(ours: View, there: View, datasets: list[str], source: Source, writer: ObjectWriter) -> Ledger:
    """The runs and evaluations of data that is at the remote, or on its way, and that the remote lacks."""
    with owning():
        found = ledger_of(ours, datasets)
    return standing(lacking(there, found), source, lambda id: writer.has(id, Kind.COMMIT))


def own_source(repository: Repository, remote: Remote) -> Source:
    """This repository's objects, for a remote to take."""

    def lack(key: str) -> RefusedError:
        message = f"the media of input {key!r} is neither here nor at {remote.name}; nothing was pushed"
        hint = "fetch it from where it is: dsvc fetch REMOTE --media HEAD; a run's file: dsvc runs extract ID -o FOLDER"
        return RefusedError(message, hint)

    return Source(repository.store, lambda error: OwnDamageError(error.message, error.hint), lack, is_near=True)


class _Plan:
    """What a push of some commits means for a dataset at the remote, found out here once."""

    def __init__(
        self, repository: Repository, dataset: str, commits: set[ObjectId], new: set[ObjectId], tips: Tips | None
    ) -> None:
        view = repository.view
        self.dataset = dataset
        self.commits = commits
        self.described = cast("DatasetRef | None", view.get(DATASET, dataset)) or DatasetRef()
        self.versions = versions_on(view.list(VERSION, dataset), commits | new)
        self.graph = Graph(repository.store)
        self.branch = repository.workspace.branch(dataset)
        self.tip: ObjectId | None = None
        if tips is None:
            with owning():
                self.tip = _tip(self.graph, view, (BRANCH, dataset, self.branch), commits)
        elif dataset in tips and tips[dataset][1] in commits:
            branch, tip = tips[dataset]
            if repository.store.has(tip, Kind.COMMIT):  # else it came from there, and where it stands is known there
                self.branch, self.tip = branch, tip

    def carry_out(self, refs: Refs) -> Moved | None:
        """Note the dataset and the pins, and move the branch."""
        if refs.get(DATASET, self.dataset) is None:
            refs.set((DATASET, self.dataset), self.described)
        for id in sorted(self.commits):
            refs.set(pin_of(self.dataset, id), PinRef(id))
        return move_branch(refs, self.graph, (BRANCH, self.dataset, self.branch), self.tip) if self.tip else None


def _tip(graph: Graph, view: View, branch: Ref, commits: set[ObjectId]) -> ObjectId | None:
    """Of some commits, the last one on a branch: the one that all others of them there lie behind; None without any."""
    ref = cast("BranchRef | None", view.get(*branch))
    if ref is None or ref.commit is None:
        return None
    if ref.commit in commits:
        return ref.commit
    on_branch = graph.behind([ref.commit]) & commits
    return next((id for id in sorted(on_branch) if on_branch <= graph.behind([id])), None)


def move_branch(refs: Refs, graph: Graph, branch: Ref, commit: ObjectId) -> Moved:
    """Move a branch of the remote to a commit of this repository, unless commits would be out of its reach then."""
    ref = cast("BranchRef | None", refs.get(*branch))
    present = ref.commit if ref is not None else None
    if present is not None:
        with owning():
            goes_forward = is_behind(graph, present, commit)
        if not goes_forward:
            move: Move = "current" if _may_be_behind(graph, commit, present) else "diverged"
            return Moved(branch[2], present, move, present)
    if present == commit:
        return Moved(branch[2], commit, "current", present)
    refs.set(branch, BranchRef(commit))
    return Moved(branch[2], commit, "new" if present is None else "forward", present)


def is_behind(graph: Graph, commit: ObjectId, head: ObjectId) -> bool:
    """Whether a commit is another one or lies behind it. Mostly it is near, and no more is read than up to there."""
    queue, seen = deque([head]), {head}
    while queue:
        id = queue.popleft()
        if id == commit:
            return True
        parents = [parent for parent in graph.commit(id).parents if parent not in seen]
        seen.update(parents)
        queue += parents
    return False


def _may_be_behind(graph: Graph, commit: ObjectId, present: ObjectId) -> bool:
    """Whether a commit lies behind the one where the remote stands, as far as is known here."""
    try:
        return is_behind(graph, commit, present)
    except DamagedError:  # that one is not here
        return False


def require_free(refs: Refs, versions: Iterable[tuple[Ref, VersionRef]], remote: Remote) -> None:
    """Raises RefusedError where the name of a version stands for another commit at the remote."""
    for ref, version in versions:
        _, dataset, name = ref
        present = cast("VersionRef | None", refs.get(*ref))
        if present is not None and present.commit != version.commit:
            theirs, ours = present.commit.short(), version.commit.short()
            message = f"{dataset}@{name} is {theirs} at {remote.name}, and {ours} here; nothing was pushed"
            hint = f"give yours another name: dsvc version create NAME --at {name}; dsvc version delete {name}"
            raise RefusedError(message, hint)
        if present is None and refs.get(BRANCH, dataset, name) is not None:
            message = f"{name!r} is a branch of {dataset} at {remote.name}, and a version here; nothing was pushed"
            hint = f"give the version another name: dsvc version create NAME --at {name}; dsvc version delete {name}"
            raise RefusedError(message, hint)


def set_versions(refs: Refs, versions: Iterable[tuple[Ref, VersionRef]]) -> Versions:
    """Set versions that are free; those that are new."""
    new = [(ref, version) for ref, version in versions if refs.get(*ref) is None]
    for ref, version in new:
        refs.set(ref, version)
    return [(ref[1], ref[2]) for ref, _ in new]
