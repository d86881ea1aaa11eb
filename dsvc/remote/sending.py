"""Sending datasets: `push` as a person says it. A branch goes forward at the remote, or is refused, or is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.merging.graph import Graph
from dsvc.core.selection import no_branch
from dsvc.core.transaction import Refs
from dsvc.errors import RefusedError
from dsvc.model.view import BRANCH, DATASET, VERSION, BranchRef, DatasetRef, Ref, RemoteRef, VersionRef
from dsvc.remote.fetching import Versions
from dsvc.remote.guarded import blaming, owning
from dsvc.remote.ledgers import Entered, Ledger, commits_in, enter, entry_commits, is_generated, lacking, ledger_of
from dsvc.remote.opening import open_remote
from dsvc.remote.pushing import Moved, move_branch, own_source, require_free, set_versions
from dsvc.remote.settings import pull_hint
from dsvc.remote.tracking import tracking_ref
from dsvc.remote.travel import seen, sender, unite_tombstones
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.model.incoming import Progress
    from dsvc.model.view import View
    from dsvc.remote.settings import Remote


class Sent(NamedTuple):
    """What a push of datasets sent: how many commits, objects and bytes. `branches` pairs a dataset with what became of
    a branch of it; `versions` are new there; `left_out` counts the media that was purged and stayed here. `entered`
    tells of runs and evaluations."""

    commits: int
    objects: int
    bytes: int
    branches: list[tuple[str, Moved]]
    versions: Versions
    left_out: int = 0
    entered: Entered = Entered()


def push(
    repository: Repository,
    remote: Remote,
    dataset: str | None = None,
    branch: str | None = None,
    *,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Sent:
    """Bring the branches of a dataset to a remote, with the versions of commits that they reach, and its runs and
    evaluations with their data; without `dataset` all of all datasets. All of it becomes visible there at once, or
    nothing.

    `branch`, and without `dataset` the branch that is current here, must go forward there; others that have gone
    another way are left as they are. With `force` it moves in any case, if it stands there where it was last seen.
    Raises RefusedError where a branch does not go forward, a version's name stands for another commit there, or the
    remote is not trusted; RemoteError. `dry_run` only counts the commits.
    """
    load = _Load(repository, remote, _required(repository, dataset, branch), force)
    for name in [dataset] if dataset is not None else [found.name for found in repository.datasets()]:
        load.add(name, is_whole=dataset is None)
    there = open_remote(repository, remote, create=True, dry_run=dry_run)
    with blaming(remote.name), there.transaction(f"push from {repository.workspace.id}") as transaction:
        load.look(seen(there))
        moves, versions, entered = load.unload(Refs(seen(there)))  # refusals come before anything is sent
        if dry_run:
            absent = {id for id in load.commits() if not transaction.writer.has(id)}
            return Sent(len(absent - load.entries), 0, 0, moves, versions, entered=entered)
        copier = sender(transaction, repository, remote, own_source(repository, remote), progress)
        copier.copy(load.heads())
        moves, versions, entered = transaction.run(load.unload)
    load.note(moves)
    commits = len(copier.commits - load.entries)
    return Sent(commits, copier.objects, copier.bytes, moves, versions, copier.left_out, entered)


def _required(repository: Repository, dataset: str | None, branch: str | None) -> Ref | None:
    """The branch that has to go forward."""
    if dataset is not None:
        return (BRANCH, dataset, branch) if branch is not None else None
    name = repository.workspace.dataset
    if name is None:
        return None
    current = (BRANCH, name, repository.workspace.branch(name))
    known = cast("BranchRef | None", repository.view.get(*current))
    return current if known is not None and known.commit is not None else None


class _Load:
    """What is to be sent, and how it is put in place."""

    def __init__(self, repository: Repository, remote: Remote, required: Ref | None, force: bool) -> None:
        self._repository = repository
        self._remote = remote
        self._required = required
        self._force = force
        self._view = repository.view
        self._graph = Graph(repository.store)
        self._datasets: dict[str, DatasetRef] = {}
        self._branches: dict[Ref, ObjectId] = {}
        self._left: set[Ref] = set()  # branches that have gone another way there
        self._versions: list[tuple[Ref, VersionRef]] = []
        self._ledger: Ledger = {}

    def add(self, dataset: str, *, is_whole: bool) -> None:
        """Take a dataset along, with the versions that its branches reach, or with all of them."""
        self._datasets[dataset] = cast(DatasetRef, self._view.get(DATASET, dataset))
        listed = {ref: cast(BranchRef, value).commit for ref, value in self._view.list(BRANCH, dataset)}
        if self._required is not None and self._required[1] == dataset:
            self._require_commit(self._required, listed)
        commits = {ref: commit for ref, commit in listed.items() if commit is not None}
        self._branches |= commits
        listed_versions = ((ref, cast(VersionRef, value)) for ref, value in self._view.list(VERSION, dataset))
        versions = [(ref, version) for ref, version in listed_versions if not is_generated(version)]
        if not is_whole and versions:
            with owning():
                behind = self._graph.behind(commits.values())
            versions = [(ref, version) for ref, version in versions if version.commit in behind]
        self._versions += versions

    def _require_commit(self, branch: Ref, listed: dict[Ref, ObjectId | None]) -> None:
        _, dataset, name = branch
        if branch not in listed:
            raise no_branch(self._view, dataset, name)
        if listed[branch] is None:
            raise RefusedError(f"{dataset}:{name} has no commit yet", "commit what is staged: dsvc commit -m TEXT")

    def look(self, there: View) -> None:
        """Choose of the ledgers what is not there yet."""
        with owning():
            ours = ledger_of(self._view, self._datasets)
        self._ledger = lacking(there, ours)

    @property
    def entries(self) -> set[ObjectId]:
        """The commits that keep runs and evaluations."""
        return entry_commits(self._ledger)

    def heads(self) -> set[ObjectId]:
        """The commits of the versions, of the ledgers and of the branches that go."""
        going = {commit for ref, commit in self._branches.items() if ref not in self._left}
        return going | {version.commit for _, version in self._versions} | commits_in(self._ledger)

    def commits(self) -> set[ObjectId]:
        """Every commit that they reach."""
        with owning():
            return self._graph.behind(self.heads())

    def unload(self, refs: Refs) -> tuple[list[tuple[str, Moved]], Versions, Entered]:
        """Put all in place in a remote's refs. Raises RefusedError."""
        require_free(refs, self._versions, self._remote)
        for dataset, described in self._datasets.items():
            if refs.get(DATASET, dataset) is None:
                refs.set((DATASET, dataset), described)
        moves = [(ref[1], self._move(refs, ref, commit)) for ref, commit in self._branches.items()]
        unite_tombstones(refs, self._view)
        return moves, set_versions(refs, self._versions), enter(refs, self._ledger)

    def _move(self, refs: Refs, ref: Ref, commit: ObjectId) -> Moved:
        _, dataset, branch = ref
        remote = self._remote.name
        # What was left at the first look was not sent, wherever the branch stands there by now.
        moved = move_branch(refs, self._graph, ref, commit) if ref not in self._left else left(refs, ref, commit)
        if self._force and ref == self._required and moved.commit != commit:
            return self._put_aside(refs, ref, commit)
        if moved.move == "diverged":
            if ref == self._required:
                message = f"{dataset}:{branch} has commits at {remote} that are not here; nothing was pushed"
                raise RefusedError(message, f"take them in first: {pull_hint(self._repository, self._remote)}")
            self._left.add(ref)
        elif refs.get(VERSION, dataset, branch) is not None:
            message = f"{branch!r} is a version of {dataset} at {remote}, and a branch here; nothing was pushed"
            raise RefusedError(message, "begin a branch of another name, and push that: dsvc switch -c NAME")
        return moved

    def _put_aside(self, refs: Refs, ref: Ref, commit: ObjectId) -> Moved:
        """Move a branch there to where it would not go forward, if it stands where it was last seen."""
        _, dataset, branch = ref
        present = cast(BranchRef, refs.get(*ref)).commit
        known = cast("RemoteRef | None", self._view.get(*tracking_ref(self._remote, ref)))
        if known is None or known.commit != present:
            name = self._remote.name
            message = f"{dataset}:{branch} has moved at {name} since it was last seen; nothing was pushed"
            raise RefusedError(message, f"look at it first: dsvc fetch {name}, then dsvc log {name}/{dataset}:{branch}")
        refs.set(ref, BranchRef(commit))
        return Moved(branch, commit, "forced", present)

    def note(self, moves: list[tuple[str, Moved]]) -> None:
        """Note here where things stand there now, as far as that is known here."""
        standing: dict[Ref, ObjectId] = {ref: version.commit for ref, version in self._versions}
        standing |= {
            (BRANCH, dataset, moved.branch): moved.commit for dataset, moved in moves if moved.move != "diverged"
        }

        def change(refs: Refs) -> None:
            for ref, commit in standing.items():
                refs.set(tracking_ref(self._remote, ref), RemoteRef(commit))

        self._repository.change(f"push {self._remote.name}", change)


def left(refs: Refs, branch: Ref, commit: ObjectId) -> Moved:
    """A branch that stays where it stands at the remote."""
    present = cast("BranchRef | None", refs.get(*branch))
    stands = present.commit if present is not None else None
    return Moved(branch[2], stands or commit, "diverged", stands)
