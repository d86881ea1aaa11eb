"""Sending branches: `push` as a person says it. A branch goes forward at the remote, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.merging.graph import Graph
from dsvc.core.selection import no_branch
from dsvc.core.transaction import Refs
from dsvc.errors import RefusedError
from dsvc.model.view import BRANCH, DATASET, VERSION, BranchRef, DatasetRef, Ref, RemoteRef, VersionRef, View
from dsvc.remote.copying import Copier
from dsvc.remote.fetching import Versions
from dsvc.remote.guarded import blaming, owning
from dsvc.remote.opening import open_remote
from dsvc.remote.pushing import Moved, move_branch, own_source, require_free, set_versions
from dsvc.remote.tracking import tracking_ref
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.model.incoming import Progress
    from dsvc.remote.settings import Remote


class Sent(NamedTuple):
    """What a push of branches sent: how many commits, objects and bytes. `branches` pairs a dataset with what became of
    a branch of it; `versions` are new there."""

    commits: int
    objects: int
    bytes: int
    branches: list[tuple[str, Moved]]
    versions: Versions


def push(
    repository: Repository,
    remote: Remote,
    dataset: str | None = None,
    branch: str | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Sent:
    """Bring a branch of a dataset to a remote, with the versions of commits that it reaches; without `dataset` all
    branches and versions of all datasets. All of it becomes visible there at once, or nothing.

    Raises RefusedError where a branch has gone another way there, a version's name stands for another commit there, or
    the remote is not trusted; RemoteError. `dry_run` only counts the commits.
    """
    load = _Load(repository, remote)
    for name in [dataset] if dataset is not None else [found.name for found in repository.datasets()]:
        load.add(name, branch)
    there = open_remote(repository, remote, create=True, dry_run=dry_run)
    with blaming(remote.name), there.transaction(f"push from {repository.workspace.id}") as transaction:
        moves, versions = load.unload(Refs(there.view))  # refusals come before anything is sent
        copier = Copier(own_source(repository, remote), transaction.writer, progress)
        if dry_run:
            lacking = {id for id in load.commits() if not transaction.writer.has(id)}
            return Sent(len(lacking), 0, 0, moves, versions)
        copier.copy(load.heads())
        moves, versions = transaction.run(load.unload)
    load.note(moves)
    return Sent(len(copier.commits), copier.objects, copier.bytes, moves, versions)


class _Load:
    """What is to be sent, and how it is put in place."""

    def __init__(self, repository: Repository, remote: Remote) -> None:
        self._repository = repository
        self._remote = remote
        self._view = repository.view
        self._graph = Graph(repository.store)
        self._datasets: dict[str, DatasetRef] = {}
        self._branches: dict[Ref, ObjectId] = {}
        self._versions: list[tuple[Ref, VersionRef]] = []

    def add(self, dataset: str, branch: str | None) -> None:
        """Take a branch along, or all of a dataset."""
        self._datasets[dataset] = cast(DatasetRef, self._view.get(DATASET, dataset))
        listed = [(ref, cast(BranchRef, value)) for ref, value in self._view.list(BRANCH, dataset)]
        if branch is not None:
            listed = [(ref, value) for ref, value in listed if ref[2] == branch]
            _require_commit(self._view, dataset, branch, listed)
        commits = {ref: value.commit for ref, value in listed if value.commit is not None}
        self._branches |= commits
        with owning():
            behind = self._graph.behind(commits.values())
        versions = ((ref, cast(VersionRef, value)) for ref, value in self._view.list(VERSION, dataset))
        self._versions += [(ref, version) for ref, version in versions if branch is None or version.commit in behind]

    def heads(self) -> set[ObjectId]:
        """The commits of the branches and versions."""
        return {*self._branches.values(), *(version.commit for _, version in self._versions)}

    def commits(self) -> set[ObjectId]:
        """Every commit that they reach."""
        with owning():
            return self._graph.behind(self.heads())

    def unload(self, refs: Refs) -> tuple[list[tuple[str, Moved]], Versions]:
        """Put all in place in a remote's refs. Raises RefusedError."""
        require_free(refs, self._versions, self._remote)
        for dataset, described in self._datasets.items():
            if refs.get(DATASET, dataset) is None:
                refs.set((DATASET, dataset), described)
        moves = [(ref[1], self._move(refs, ref, commit)) for ref, commit in self._branches.items()]
        return moves, set_versions(refs, self._versions)

    def _move(self, refs: Refs, ref: Ref, commit: ObjectId) -> Moved:
        _, dataset, branch = ref
        remote = self._remote.name
        moved = move_branch(refs, self._graph, ref, commit)
        if moved.move == "diverged":
            theirs = f"{remote}/{dataset}:{branch}"
            message = f"{dataset}:{branch} has commits at {remote} that are not here; nothing was pushed"
            raise RefusedError(message, f"take them in first: dsvc fetch {remote}, then dsvc merge {theirs}")
        if refs.get(VERSION, dataset, branch) is not None:
            message = f"{branch!r} is a version of {dataset} at {remote}, and a branch here; nothing was pushed"
            raise RefusedError(message, "begin a branch of another name, and push that: dsvc switch -c NAME")
        return moved

    def note(self, moves: list[tuple[str, Moved]]) -> None:
        """Note here where things stand there now."""
        standing: dict[Ref, ObjectId] = {ref: version.commit for ref, version in self._versions}
        standing |= {(BRANCH, dataset, moved.branch): moved.commit for dataset, moved in moves}

        def change(refs: Refs) -> None:
            for ref, commit in standing.items():
                refs.set(tracking_ref(self._remote, ref), RemoteRef(commit))

        self._repository.change(f"push {self._remote.name}", change)


def _require_commit(view: View, dataset: str, branch: str, found: list[tuple[Ref, BranchRef]]) -> None:
    if not found:
        raise no_branch(view, dataset, branch)
    if found[0][1].commit is None:
        raise RefusedError(f"{dataset}:{branch} has no commit yet", "commit what is staged: dsvc commit -m TEXT")
