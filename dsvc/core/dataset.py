"""A dataset: a named line of history, its draft and its versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dsvc.core.branching import Branching
from dsvc.core.compare import RecordChange, Summary, compare, summarize_states
from dsvc.core.draft import Draft, DraftState, committed_state, draft_ref, load_state, require_clean
from dsvc.core.intake import Intake
from dsvc.core.looking_back import LoggedCommit, LookingBack
from dsvc.core.merges import Merges
from dsvc.core.record_edits import RecordEdits
from dsvc.core.revisions import Revision, resolve
from dsvc.core.selection import require_writable, selected_head
from dsvc.core.state import State
from dsvc.core.studies import Studies
from dsvc.core.transaction import ReadOnly, Refs
from dsvc.core.versioning import Versioning
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.incoming import Progress
from dsvc.model.node import Store
from dsvc.model.records import Annotation
from dsvc.model.snapshot import Snapshot, store_roots
from dsvc.model.view import BRANCH, DATASET, BranchRef, DatasetRef, DraftRef
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.diffing.diff import Diff
    from dsvc.core.filters.bulk import Noun, Outcome, Plan
    from dsvc.core.filters.patch import Patch
    from dsvc.core.queries.answer import Answer
    from dsvc.core.repository import Repository

AUTHOR_HINT = "give --author 'NAME <EMAIL>', set DSVC_AUTHOR_NAME and DSVC_AUTHOR_EMAIL, or: git config user.name NAME"
# A clock that is behind the last operation by more than this is wrong, not merely out of step with another machine.
CLOCK_SLACK = 86400


class Status(NamedTuple):
    """Where a dataset stands: its branch, that branch's head, and what the draft changes. `version` is the one that is
    looked at instead of the branch, read-only; `merged` are the commits that the draft merges."""

    dataset: str
    branch: str
    head: ObjectId | None
    versions: list[str]
    counts: dict[str, int]
    summary: Summary
    conflicts: int
    version: str | None = None
    merged: tuple[ObjectId, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether the draft changes nothing."""
        return not self.summary


class Dataset(Intake, RecordEdits, Merges, Branching, LookingBack, Versioning, Studies):
    """A dataset of an open repository. Values that it gives are immutable; edits go through `edit`."""

    def __init__(self, repository: Repository, name: str, branch: str, pinned: str | None = None) -> None:
        self.repository = repository
        self.name = name
        self.branch = branch
        # Where a version is selected, all that is read is read of it, and nothing can be changed.
        self.pinned: str | None = pinned

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})"

    def _repr_html_(self) -> str:
        from dsvc.core.pictures.notebook import dataset_html

        return dataset_html(self)

    @property
    def description(self) -> str:
        """What the dataset is for."""
        return self._ref().description

    def _ref(self) -> DatasetRef:
        ref = self.repository.view.get(DATASET, self.name)
        if ref is None:
            raise NotFoundError(f"no dataset named {self.name!r}", "see: dsvc list")
        return cast(DatasetRef, ref)

    @property
    def head(self) -> ObjectId | None:
        """The commit that the current branch stands on, or that the selected version is. Raises NotFoundError."""
        return selected_head(self.repository.view, self)

    # ---- states

    def at(self, revision: str = "HEAD") -> State:
        """The state of a commit. Raises NotFoundError, UsageError."""
        return self.state_of(self._resolve(revision))

    def state_of(self, revision: Revision) -> State:
        """The state that a revision names."""
        state = committed_state(self._scratch, revision.commit)
        return State(self.repository, state.roots, revision)

    def draft(self) -> State:
        """The state with the uncommitted edits."""
        store = self._scratch
        state = load_state(store, Refs(self.repository.view), self)
        commit = state.base if self.pinned is not None else None
        return State(self.repository, state.roots, Revision(self.name, self.branch, self.pinned, commit, False))

    @property
    def _scratch(self) -> Store:
        return ReadOnly(self.repository.store)

    def _resolve(self, revision: str) -> Revision:
        return resolve(self.repository, revision, self)

    def __len__(self) -> int:
        return len(self.draft())

    # ---- edits

    @contextmanager
    def edit(
        self,
        command: str = "edit",
        *,
        message: str | None = None,
        author: Author | None = None,
        time: Moment | None = None,
    ) -> Iterator[Draft]:
        """Edit the draft in one transaction: all of it is published at the end, or none.

        With a message the edits are committed in the same operation. Raises RefusedError where others are staged then.
        """
        commit = None
        require_writable(self)
        with self.repository.transaction(command) as transaction:
            if message is not None:
                require_clean(self.repository.view, self)
                _require_message(message)
                sign = (self._author(author), message, time)
                commit = lambda refs: self._commit(refs, transaction.writer, *sign)  # noqa: E731 (shorter than a def)
            draft = Draft(self, transaction, commit)
            yield draft
            draft.finish()

    def annotate(self, key: str | Annotation, concept: str | None = None, **fields: Any) -> Annotation:
        """Add one annotation to an input of the draft, and give it with its id.

        `fields` are those of `Annotation`, or the first argument is one, with an empty id. Raises UsageError.
        """
        from dsvc.core.draft import new_annotation

        try:
            made = key if isinstance(key, Annotation) else new_annotation(key, concept, **fields)
        except TypeError as error:
            raise UsageError(f"an annotation cannot be made of this: {error}") from error
        with self.edit(f"annotate {made.key}") as draft:
            draft.annotate(made)
        # Where another writer added an equal one first, publishing gave it another id.
        assert draft.annotated is not None
        return draft.annotated

    def remove(self, *names: str) -> int:
        """Take inputs (KEY) and annotations (KEY#ANN) out of the draft; how many annotations went."""
        with self.edit(f"rm {' '.join(names)}"[:200]) as draft:
            keys = [name for name in names if draft.snapshot.input(name) is not None or "#" not in name]
            removed = draft.remove_inputs(keys) if keys else 0
            for name in names:
                if name not in keys:
                    draft.remove_annotation(*name.rsplit("#", 1))
                    removed += 1
            return removed

    def remove_matching(
        self, noun: Noun, where: str, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Outcome:
        """Take the inputs, with their annotations, or the annotations out of the draft that a filter is true of.

        Raises FilterError. `dry_run` only says what would go.
        """
        from dsvc.core.filters.bulk import removal

        return self._apply(removal(noun, where, progress), f"rm --{noun} --where {where}", dry_run)

    def annotate_matching(
        self, noun: Noun, where: str, patch: Patch, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Outcome:
        """Add an annotation to every input that a filter is true of, or change every such annotation.

        Raises FilterError, UsageError, RefusedError. `dry_run` only says how many.
        """
        from dsvc.core.filters.bulk import annotation

        return self._apply(annotation(noun, where, patch, progress), f"annotate --{noun} --where {where}", dry_run)

    def _apply(self, plan: Plan, command: str, dry_run: bool) -> Outcome:
        from dsvc.core.filters.bulk import Applied

        if dry_run:
            return plan(self.draft().snapshot)[1]
        with self.edit(command[:200]) as draft:
            applied = Applied(draft, plan)
        return applied.outcome

    def discard(self, *keys: str) -> None:
        """Drop the draft, or what it changed of some inputs."""
        with self.edit("discard") as draft:
            draft.discard(keys or None)

    # ---- history

    def status(self) -> Status:
        """Where the dataset stands."""
        self._ref()
        store, view = self._scratch, self.repository.view
        state = load_state(store, Refs(view), self)
        clean = committed_state(store, state.base)
        cache = self.repository.cache
        now, before = Snapshot(store, state.roots, cache), Snapshot(store, clean.roots, cache)
        head = self.head
        versions = [v.name for v in self.versions() if v.version.commit == head]
        summary = summarize_states(before, now)
        counts = now.counts()
        return Status(self.name, self.branch, head, versions, counts, summary, now.conflicts, self.pinned, state.merged)

    def changes(self) -> Iterator[RecordChange]:
        """What the draft changes."""
        store = self._scratch
        state = load_state(store, Refs(self.repository.view), self)
        clean = committed_state(store, state.base)
        cache = self.repository.cache
        return compare(Snapshot(store, clean.roots, cache), Snapshot(store, state.roots, cache))

    def query(self, sql: str, at: str | None = None, **others: str) -> Answer:
        """The answer to one SELECT over the draft, or over the revision `at`; see `State.query`.

        Other revisions go by names: `query("... old.annotations ...", old="@v1")`. Raises FilterError, NotFoundError.
        """
        state = self.draft() if at is None else self.at(at)
        return state.query(sql, **{name: self.at(revision) for name, revision in others.items()})

    def diff(
        self,
        old: str = "HEAD",
        new: str | None = None,
        *,
        keys: Iterable[str] = (),
        where: str | None = None,
        progress: Progress | None = None,
    ) -> Diff:
        """What changed from one revision to another, or to the draft: see `State.diff`.

        From HEAD to the draft is what is staged: what somebody else committed since it was begun is no part of it.
        """
        if new is not None:
            after, before = self.at(new), self.at(old)
        else:
            after, before = self.draft(), self._begun() if old == "HEAD" else self.at(old)
        return before.diff(after, keys=keys, where=where, progress=progress)

    def _begun(self) -> State:
        """The state that the draft was begun on."""
        store = self._scratch
        state = load_state(store, Refs(self.repository.view), self)
        clean = committed_state(store, state.base)
        return State(self.repository, clean.roots, Revision(self.name, self.branch, None, state.base, True))

    def commit(
        self,
        message: str,
        author: Author | None = None,
        time: Moment | None = None,
        allow_empty: bool = False,
    ) -> LoggedCommit:
        """Make a commit of the draft. Raises RefusedError where nothing is staged or nobody signs."""
        _require_message(message)
        require_writable(self)
        who = self._author(author)

        def change(refs: Refs) -> LoggedCommit:
            return self._commit(refs, transaction.writer, who, message, time, allow_empty)

        with self.repository.transaction(f"commit -m {message.splitlines()[0][:80]}") as transaction:
            return transaction.run(change)

    def _commit(
        self, refs: Refs, store: Store, author: Author, message: str, time: Moment | None, allow_empty: bool = False
    ) -> LoggedCommit:
        branch_ref = (BRANCH, self.name, self.branch)
        draft = cast("DraftRef | None", refs.get(*draft_ref(self)))
        branch = cast("BranchRef | None", refs.get(*branch_ref))
        if draft is None and not allow_empty:
            raise RefusedError("nothing to commit", "stage something first: dsvc add, import, annotate, rm")
        head = branch.commit if branch else None
        state = load_state(store, refs, self)
        if state.base != head:
            state = self._rebased(store, state, head)
        known = committed_state(store, head).sources
        lines = [id for name, id in sorted(state.sources.items()) if known.get(name) != id]
        commit = Commit(
            snapshot=store_roots(store, state.roots),
            parents=(*([head] if head else []), *state.merged, *lines),
            author=author,
            time=time or self._now(),
            message=message,
            sources=state.sources,
        )
        id = store_commit(store, commit)
        refs.set(branch_ref, BranchRef(id))
        refs.set(draft_ref(self), None)
        return LoggedCommit(id, commit)

    def _rebased(self, store: Store, state: DraftState, head: ObjectId | None) -> DraftState:
        from dsvc.core.rebase import rebase

        return rebase(store, state, head)

    def _author(self, author: Author | None) -> Author:
        who = author or self.repository.author
        if who is None:
            raise RefusedError("no author is known", AUTHOR_HINT)
        return who

    def _now(self) -> Moment:
        now, last = self.repository.now(), self.repository.operation.time
        if now.seconds < last.seconds - CLOCK_SLACK:
            raise RefusedError(
                "the clock is more than a day behind this repository's last operation",
                "set the clock, or give the time: --date",
            )
        return now

    def has_draft(self) -> bool:
        """Whether this workspace has uncommitted work on the current branch."""
        return self.pinned is None and self.repository.view.get(*draft_ref(self)) is not None


def _require_message(message: str) -> None:
    if not message.strip():
        raise UsageError("a commit needs a message", "-m TEXT")
