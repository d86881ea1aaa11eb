"""What a dataset offers to look back at its history, and to bring back what was."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from dsvc.errors import NotFoundError
from dsvc.model.commit import Commit
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.compare import Summary
    from dsvc.core.dataset import Dataset
    from dsvc.core.history.blame import Blamed
    from dsvc.core.history.restoring import Restored
    from dsvc.core.history.walking import History
    from dsvc.core.repository import Repository
    from dsvc.core.revisions import Revision
    from dsvc.model.node import Store


class LoggedCommit(NamedTuple):
    """A commit and its id; `parents` are those that the log goes on with: none on lines of sources, and of one key the
    changes before it."""

    id: ObjectId
    commit: Commit
    parents: tuple[ObjectId, ...] = ()


class _Open(Protocol):
    name: str
    repository: Repository

    @property
    def _scratch(self) -> Store: ...
    @property
    def history(self) -> History: ...
    def _resolve(self, revision: str) -> Revision: ...


class LookingBack:
    """A dataset's history: who did what, and how to bring it back."""

    @cached_property
    def history(self: _Open) -> History:
        """The repository's commits, to walk; what was read of them is kept."""
        from dsvc.core.history.walking import History

        return History(self._scratch, self.repository.cache)

    def log(self: _Open, revision: str = "HEAD", key: str | None = None) -> Iterator[LoggedCommit]:
        """All commits behind a revision but those on lines of sources, each before its parents, else the newest first.

        With `key` (KEY or KEY#ANN), only those that changed that input or its annotations. Raises NotFoundError,
        UsageError.
        """
        head, history = self._resolve(revision).commit, self.history
        if head is None:
            return
        if key is None:
            ids, parents = history.walk([head]), history.parents
        else:
            from dsvc.core.history.tracing import Focus, Trace

            trace = Trace(Focus(history, key))
            ids, parents = trace.walk(head), trace.parents
        for id in ids:
            yield LoggedCommit(id, history.commit(id), parents(id))

    def change_of(self: _Open, id: ObjectId) -> Summary:
        """How many records a commit changed against its first parent."""
        from dsvc.core.compare import summarize_states
        from dsvc.model.snapshot import Snapshot, empty_roots

        history = self.history
        parents = history.parents(id)
        before = history.roots(parents[0]) if parents else empty_roots(self._scratch)
        cache = self.repository.cache
        return summarize_states(Snapshot(self._scratch, before, cache), history.snapshot(id))

    def blame(self: _Open, key: str) -> list[Blamed]:
        """Who brought an input (KEY) and each of its annotations, or one annotation (KEY#ANN), as they stand in the
        draft, and who changed them last. Raises NotFoundError."""
        from dsvc.core.draft import load_state
        from dsvc.core.history.blame import blame
        from dsvc.core.transaction import Refs

        state = load_state(self._scratch, Refs(self.repository.view), cast("Dataset", self))
        heads = [*([state.base] if state.base is not None else []), *state.merged]
        found = blame(self.history, key, state.roots, heads)
        if not found:
            from dsvc.core.nearest import no_input
            from dsvc.model.snapshot import Snapshot

            if next(cast("Dataset", self).log(key=key), None) is not None:
                raise NotFoundError(f"{key!r} is not in the dataset any more", f"its history: dsvc log --key {key!r}")
            name_one = "name one of them: dsvc show --inputs"
            raise no_input(key, Snapshot(self._scratch, state.roots, self.repository.cache), name_one)
        return found

    def restore(self: _Open, revision: str, *names: str, dry_run: bool = False) -> Restored:
        """Bring inputs with their annotations (KEY) and single annotations (KEY#ANN), or without names everything, into
        the draft as they were in a revision; the concepts that they name come along. Raises NotFoundError."""
        from dsvc.core.history.restoring import restore

        return restore(cast("Dataset", self), revision, names, dry_run)

    def revert(self: _Open, revision: str, *, parent: int | None = None, dry_run: bool = False) -> Restored:
        """Take a commit's changes back in the draft; what changed differently since is a conflict. Of a merge, `parent`
        says which of its parents, from 1, to go back to. Raises NotFoundError, UsageError, RefusedError."""
        from dsvc.core.history.restoring import revert

        return revert(cast("Dataset", self), revision, parent, dry_run)
