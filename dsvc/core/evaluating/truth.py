"""The ground truth of an evaluation: a commit, narrowed to the inputs that a filter is true of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.filters.matching import Part
from dsvc.core.filters.narrowing import input_entries, matching_keys
from dsvc.core.merging.conflicts import require_settled
from dsvc.core.revisions import Revision
from dsvc.errors import RefusedError
from dsvc.model.node import Store
from dsvc.model.tree import build_tree
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress


class Truth(NamedTuple):
    """A commit's state to compare with. `keys` are the sorted tree keys of the inputs that are evaluated, None: all."""

    dataset: Dataset
    state: State
    commit: ObjectId
    where: str | None = None
    keys: list[bytes] | None = None

    @property
    def name(self) -> str:
        """What errors call it: pets@v1."""
        return called(self.state.revision)

    def part(self) -> Part:
        """The inputs that are evaluated, with their annotations."""
        return Part(self.state, self.keys)

    def inputs_root(self, store: Store) -> ObjectId:
        """The tree of the inputs that are evaluated, as they are in the commit."""
        if self.keys is None:
            return self.state.snapshot.roots.inputs
        return build_tree(store, input_entries(self.state.snapshot, self.keys))


def find_truth(state: State, where: str | None, progress: Progress | None) -> Truth:
    """The ground truth of a state. Raises RefusedError where there is no commit, conflicts are open, or a filter
    matches nothing; FilterError."""
    revision = state.revision
    if revision.commit is None:
        raise RefusedError(f"{revision.dataset} has no commit yet", "dsvc add PATH, then dsvc commit -m TEXT")
    require_settled(state.snapshot)
    keys = None
    if where is not None:
        keys = matching_keys(state.snapshot, where, progress)
        if not keys:
            hint = 'see what there is, such as: dsvc query "select key, split from inputs"'
            raise RefusedError("no input matches; nothing was evaluated", hint)
    # What is entered goes to the dataset that has the revision, whichever is the current one.
    dataset = state.repository.dataset(revision.dataset)
    return Truth(dataset, state, revision.commit, where, keys)


def called(revision: Revision) -> str:
    """A revision for people: pets@v1, or pets@3fa9c1d2."""
    if revision.version is not None:
        return f"{revision.dataset}@{revision.version}"
    return f"{revision.dataset}@{revision.commit.short()}" if revision.commit is not None else revision.dataset
