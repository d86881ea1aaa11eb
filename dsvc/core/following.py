"""Following a lock: moving datasets to the commits that it names, and what is staged with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from dsvc.core.branching import only_here
from dsvc.core.dataset import Dataset
from dsvc.core.draft import draft_ref, load_state, save_state
from dsvc.core.merging.graph import Graph
from dsvc.core.rebase import rebase
from dsvc.core.repository import MAIN
from dsvc.model.snapshot import Snapshot
from dsvc.model.view import BRANCH, DATASET, BranchRef, DatasetRef, PinRef, pin_of
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs, Transaction

What = Literal["here", "made", "moved", "left", "missing", "unfit"]
# Whether a commit of a dataset is kept elsewhere, so that its branch may leave it.
IsKept = Callable[[str, ObjectId], bool]


class Target(NamedTuple):
    """Where a lock wants a dataset: a branch, and the commit that it stands on."""

    dataset: str
    branch: str
    commit: ObjectId


class Followed(NamedTuple):
    """What became of one dataset: it was `here` already, was `made` or `moved`; was `left` because its branch holds
    commits that nothing else keeps; or the commit is `missing`, or `unfit`, being what a source delivered and no state
    of a dataset. `before` is where the branch stood.

    `is_ahead` says of one that was left that it goes on from the commit that it should stand on; `rebased` that staged
    changes were laid over the new commit, `conflicts` how many records are in conflict with them.
    """

    target: Target
    what: What
    before: ObjectId | None = None
    rebased: bool = False
    conflicts: int = 0
    is_ahead: bool = False


def follow(repository: Repository, targets: Iterable[Target], is_kept: IsKept, command: str) -> list[Followed]:
    """Move each dataset's branch to the commit that it should stand on, and make that branch the current one.

    A branch goes forward in any case. It leaves a commit that the new one does not hold only where `is_kept` says so,
    or where another branch or a version has it; the commit is pinned then. Datasets that are absent are made.
    All is one operation.
    """
    wanted = list(targets)
    with repository.transaction(command) as transaction:

        def change(refs: Refs) -> list[Followed]:
            graph = Graph(transaction.writer)
            return [_Following(repository, transaction, refs, graph, target, is_kept).run() for target in wanted]

        found = transaction.run(change)
    _select(repository, wanted, [one.target for one in found if one.what not in ("left", "missing", "unfit")], is_kept)
    return found


class _Following:
    """One dataset on the refs of one moment."""

    def __init__(
        self,
        repository: Repository,
        transaction: Transaction,
        refs: Refs,
        graph: Graph,
        target: Target,
        is_kept: IsKept,
    ) -> None:
        self._repository, self._store, self._refs, self._graph = repository, transaction.writer, refs, graph
        self._target, self._is_kept = target, is_kept

    def run(self) -> Followed:
        """Move it."""
        target, refs = self._target, self._refs
        name, branch, commit = target
        ref = cast("BranchRef | None", refs.get(BRANCH, name, branch))
        before = ref.commit if ref is not None else None
        if before == commit:
            return Followed(target, "here", before)
        if not self._store.has(commit, Kind.COMMIT):
            return Followed(target, "missing", before)
        if "source" in self._graph.commit(commit).notes:
            return Followed(target, "unfit", before)
        if before is not None and not self._graph.contains(commit, before):
            if not self._is_kept(name, before) and only_here(self._repository, refs, (name, branch), before):
                refs.set(pin_of(name, commit), PinRef(commit))  # so that it can be merged by its id
                return Followed(target, "left", before, is_ahead=self._graph.contains(before, commit))
            refs.set(pin_of(name, before), PinRef(before))
        is_new = refs.get(DATASET, name) is None
        if is_new:
            refs.set((DATASET, name), DatasetRef())
        refs.set((BRANCH, name, branch), BranchRef(commit))
        rebased, conflicts = self._rebase(commit)
        return Followed(target, "made" if is_new else "moved", before, rebased, conflicts)

    def _rebase(self, commit: ObjectId) -> tuple[bool, int]:
        """Lay what is staged on the branch over the commit."""
        dataset = Dataset(self._repository, self._target.dataset, self._target.branch)
        if self._refs.get(*draft_ref(dataset)) is None:
            return False, 0
        cache = self._repository.cache
        state = rebase(self._store, load_state(self._store, self._refs, dataset), commit, cache)
        save_state(self._store, self._refs, dataset, state)
        committed = load_state(self._store, self._refs, dataset).roots  # of the branch where nothing is left of it
        return True, Snapshot(self._store, committed, cache).conflicts


def _select(repository: Repository, wanted: list[Target], targets: list[Target], is_kept: IsKept) -> None:
    """Make the branches of targets the current ones, and select a dataset where none was, or by its other name."""
    workspace, changes = repository.workspace, dict[str, Any]()
    names = {t.dataset: t.branch for t in targets if (workspace.kept_branch(t.dataset) or MAIN) != t.branch}
    if names:
        changes["branches"] = lambda table: {**(table if isinstance(table, dict) else {}), **names}
    chosen = workspace.chosen
    if targets and (chosen is None or repository.view.get(DATASET, chosen) is None):
        changes["dataset"] = min(target.dataset for target in targets)
    elif chosen is not None and all(chosen != target.dataset for target in wanted):
        changes |= _renamed(repository, chosen, targets, is_kept)
    if changes:
        workspace.save(**changes)


def _renamed(repository: Repository, chosen: str, targets: list[Target], is_kept: IsKept) -> dict[str, str]:
    """The one target that is the current dataset by another name: on the other branch of Git's it was renamed."""
    ref = cast("BranchRef | None", repository.view.get(BRANCH, chosen, repository.workspace.branch(chosen)))
    tip = ref.commit if ref is not None else None
    if tip is None or not is_kept(chosen, tip):
        return {}
    graph = Graph(repository.store)
    found = [one.dataset for one in targets if graph.contains(one.commit, tip) or graph.contains(tip, one.commit)]
    return {"dataset": found[0]} if len(found) == 1 else {}
