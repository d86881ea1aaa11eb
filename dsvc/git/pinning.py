"""What a lock says, beside what is here: how each dataset stands to its line, and what the lock should say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from dsvc.core.merging.graph import Graph
from dsvc.core.repository import LOCK_FILE
from dsvc.errors import NotFoundError, RefusedError
from dsvc.git.lockfile import Lock, Locked, decode, parse_lock
from dsvc.model.view import BRANCH, DATASET, MANUAL, VERSION, BranchRef, VersionRef, View
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from pathlib import Path

    from dsvc.core.repository import Repository
    from dsvc.git.working import GitRepository

# How a dataset stands to its line: it is what the line says; has commits that the line lacks; lacks commits that the
# line has; both; has no line; or the line's commit is not here.
Place = Literal["same", "ahead", "behind", "apart", "new", "absent"]
# Git's HEAD is asked where it was, so many steps back.
_REFLOG = 100
# And the operations so far back, whether a dataset was here.
_OPERATIONS = 1000


class Standing(NamedTuple):
    """A dataset beside its line of the lock: `here` is the line that says what is here, None where no commit is.

    `is_deleted` tells that the line's dataset was here and is no more.
    """

    dataset: str
    place: Place
    line: Locked | None
    here: Locked | None
    is_deleted: bool = False


def lines_here(repository: Repository, view: View | None = None, before: Lock | None = None) -> dict[str, Locked]:
    """The lines of a lock that says what is here: of each dataset with a commit its current branch.

    Of several versions of a commit the one that `before` names, else the first that was made.
    """
    view = view or repository.view
    found = {}
    for (_, name), _ref in view.list(DATASET):
        branch = repository.workspace.branch(name)
        ref = cast("BranchRef | None", view.get(BRANCH, name, branch))
        if ref is not None and ref.commit is not None:
            version = _version(view, name, ref.commit, (before or {}).get(name))
            found[name] = Locked(name, branch, ref.commit, version)
    return found


def _version(view: View, dataset: str, commit: ObjectId, before: Locked | None) -> str | None:
    bound = {ref[2]: cast(VersionRef, value) for ref, value in view.list(VERSION, dataset)}
    if before is not None and before.commit == commit and before.version is not None:
        ref = bound.get(before.version)
        if ref is None or ref.commit == commit:  # a name that is not here may be at the remote
            return before.version
    names = [name for name, ref in bound.items() if ref.commit == commit and ref.origin == MANUAL]
    return min(names, key=lambda name: (bound[name].time.seconds, name), default=None)


def stand(repository: Repository, lock: Lock, only: str | None = None) -> list[Standing]:
    """How each dataset, or one of them, stands to its line, by name."""
    here, graph = lines_here(repository, before=lock), Graph(repository.store)
    names = [name for name in sorted({*lock, *here}) if only in (None, name)]
    view = repository.view
    deleted = _deleted(repository, {name for name in names if view.get(DATASET, name) is None})
    return [_stand(repository, graph, name, lock.get(name), here.get(name), name in deleted) for name in names]


def _deleted(repository: Repository, names: set[str]) -> set[str]:
    """Those of some datasets that are not here, and were after one of the last operations."""
    from dsvc.core.operations import operations

    found, seen = set[str](), set[ObjectId]()
    for _, operation in islice(operations(repository), _OPERATIONS if names else 0):
        if operation.view not in seen:
            seen.add(operation.view)
            view = View(repository.store, operation.view, repository.cache)
            found |= {ref[1] for ref, _ in view.list(DATASET)} & names
        if found == names:
            break
    return found


def _stand(
    repository: Repository, graph: Graph, name: str, line: Locked | None, here: Locked | None, is_deleted: bool
) -> Standing:
    if line is None:
        return Standing(name, "new", None, here)
    if here is not None and here.commit == line.commit:
        return Standing(name, "same", line, here)
    if not repository.store.has(line.commit, Kind.COMMIT):
        return Standing(name, "absent", line, here)
    if here is None:
        return Standing(name, "behind", line, None, is_deleted)
    if graph.contains(here.commit, line.commit):
        return Standing(name, "ahead", line, here)
    return Standing(name, "behind" if graph.contains(line.commit, here.commit) else "apart", line, here)


class Kept:
    """Which commits of datasets Git keeps: those that the lock of a ref, a stash or of where HEAD was names, and all
    behind them."""

    def __init__(
        self, repository: Repository, git: GitRepository | None, path: bytes, more: Iterable[bytes] = ()
    ) -> None:
        self._repository, self._git, self._path, self._more = repository, git, path, list(more)
        self._named: dict[str, set[ObjectId]] | None = None
        self._behind: dict[str, set[ObjectId]] = {}

    def __call__(self, dataset: str, commit: ObjectId) -> bool:
        """Whether a commit of a dataset is kept."""
        if self._named is None:
            self._named = self._read()
        named = self._named.get(dataset, set())
        if commit in named:
            return True
        if dataset not in self._behind:
            store = self._repository.store
            self._behind[dataset] = Graph(store).behind(id for id in named if store.has(id, Kind.COMMIT))
        return commit in self._behind[dataset]

    def _read(self) -> dict[str, set[ObjectId]]:
        found: dict[str, set[ObjectId]] = {}
        if self._git is None:
            return found
        commits = {*self._more, *self._git.refs().values(), *self._git.reflog(_REFLOG)}
        for data in {self._git.read(commit, self._path) for commit in commits}:
            for name, line in readable(data).items():
                found.setdefault(name, set()).add(line.commit)
        return found


def readable(data: bytes | None) -> Mapping[str, Locked]:
    """What a lock of Git's history says; nothing where it is absent or damaged."""
    if data is None:
        return {}
    try:
        return parse_lock(decode(data))
    except RefusedError:
        return {}


def path_in(git: GitRepository, project: Path) -> bytes:
    """The path of a project's lock as Git writes it. Raises RefusedError where the project lies outside."""
    return git.inside(project / LOCK_FILE)


def find_pinned(project: Path | None, revision: str, dataset: str) -> ObjectId:
    """The commit that the lock of one of Git's commits names for a dataset. Raises NotFoundError, RefusedError."""
    from dsvc.git.working import GitRepository

    git = GitRepository.find(project) if project is not None else None
    if git is None or project is None:
        raise NotFoundError("this project is in no Git repository", "see: dsvc log")
    with git:
        commit = git.commit(revision)
        data = git.read(commit, path_in(git, project))
    if data is None:
        raise NotFoundError(f"Git's commit {revision} has no {LOCK_FILE}", "see which have one: dsvc log --git")
    lock = parse_lock(decode(data), f"{LOCK_FILE} of {revision}")
    if dataset not in lock:
        known = f"it names: {', '.join(sorted(lock))}" if lock else "it names none"
        raise NotFoundError(f"the {LOCK_FILE} of {revision} does not name {dataset!r}", known)
    return lock[dataset].commit


def pinned_by(git: GitRepository, path: bytes, commits: Iterable[bytes]) -> Iterator[tuple[bytes, Locked]]:
    """Of some commits of Git the lines of their locks."""
    for commit in commits:
        for line in readable(git.read(commit, path)).values():
            yield commit, line
