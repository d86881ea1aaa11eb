"""What a dataset offers for merging; the work is done in `dsvc.core.merging`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.merging.conflicts import Conflict
    from dsvc.core.merging.merge import MergeOutcome
    from dsvc.core.merging.resolving import Resolved
    from dsvc.core.revisions import Revision


class _Mergeable(Protocol):
    def _resolve(self, revision: str) -> Revision: ...


class Merges:
    """Merging other lines into a dataset's branch, and settling what clashed."""

    def merge(self: _Mergeable, revision: str, *, dry_run: bool = False, **asked: Any) -> MergeOutcome:
        """Merge another dataset, branch, version or commit into the current branch.

        `where` takes the inputs that a filter is true of in it, with all their annotations and the concepts that those
        name. `prefer`, "ours" or "theirs", settles what clashes at once; else it is stored as conflicts. `dedupe` makes
        one of inputs of the same bytes, and of annotations that are equal in all but their id. Without `commit` the
        result is left in the draft. `message`, `author`, `time` are the commit's; `progress` is told of the filter's
        reading. Staged changes are laid over the result. Raises NotFoundError, RefusedError, FilterError.
        """
        from dsvc.core.merging.merge import Request, merge

        return merge(cast("Dataset", self), self._resolve(revision), Request(**asked), dry_run)

    def conflicts(self, key: str | None = None, most: int | None = None) -> list[Conflict]:
        """The fields in conflict in the draft, each with its candidates and who brought them.

        With `key` those that go by a name (KEY, KEY#ANN, a concept); at most so many as `most` says.
        """
        from itertools import islice

        from dsvc.core.draft import load_state
        from dsvc.core.merging.conflicts import list_conflicts
        from dsvc.core.transaction import ReadOnly, Refs

        dataset = cast("Dataset", self)
        store = ReadOnly(dataset.repository.store)
        state = load_state(store, Refs(dataset.repository.view), dataset)
        return list(islice(list_conflicts(dataset, store, state, key), most))

    def count_conflicts(self, key: str | None = None) -> int:
        """How many fields are in conflict in the draft, in all or of those that go by a name."""
        from dsvc.core.merging.conflicts import open_places

        places = open_places(cast("Dataset", self).draft().snapshot)
        return sum(1 for place, _ in places if key is None or key in place.names)

    def resolve(
        self,
        name: str | None = None,
        field: str | None = None,
        *,
        concept: bool = False,
        take: int | None = None,
        revision: str | None = None,
        author: str | None = None,
        dry_run: bool = False,
    ) -> Resolved:
        """Settle conflicts in the draft: those of a record (KEY, KEY#ANN, or with `concept` a concept), or all.

        One of these says what holds: `take` the candidate's number, `revision` a revision that has it, `author` who
        brought it. Raises NotFoundError, UsageError, RefusedError.
        """
        from dsvc.core.draft import Draft
        from dsvc.core.merging.resolving import Choice, Wanted, resolve
        from dsvc.errors import UsageError

        dataset = cast("Dataset", self)
        if sum(one is not None for one in (take, revision, author)) != 1:
            raise UsageError("say which candidate holds", "one of: --take N, --from REV, --author NAME")
        state = dataset.at(revision) if revision is not None else None
        wanted, choice = Wanted(name, field, concept), Choice(take, state, author)
        command = f"resolve {name or '--all'}"[:200]
        if dry_run:
            with dataset.repository.transaction(command) as transaction:
                return resolve(Draft(dataset, transaction), wanted, choice)
        with dataset.edit(command) as draft:
            return resolve(draft, wanted, choice)
