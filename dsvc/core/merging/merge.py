"""Merging another line into a branch: a commit with two parents, a fast-forward, or nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from dsvc.core.draft import DraftState, draft_ref, load_state, save_state
from dsvc.core.merging.report import MergeReport
from dsvc.core.merging.roots import Merged
from dsvc.core.merging.states import Content, Merger
from dsvc.core.merging.taking import take_part
from dsvc.core.merging.twins import Twins, count_folded, find_twins, fold_twins
from dsvc.core.rebase import rebase
from dsvc.core.repository import MAIN
from dsvc.core.selection import require_writable, selected_head
from dsvc.core.transaction import Refs
from dsvc.errors import RefusedError
from dsvc.model.commit import Author, Commit, Moment, store_commit
from dsvc.model.merging import Prefer
from dsvc.model.snapshot import Snapshot, empty_roots, store_roots
from dsvc.model.view import BRANCH, BranchRef
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.revisions import Revision
    from dsvc.core.transaction import Transaction
    from dsvc.model.incoming import Progress

Kind = Literal["up to date", "fast-forward", "merged", "staged"]


class Request(NamedTuple):
    """What is asked of a merge; see `Dataset.merge`."""

    where: str | None = None
    prefer: Prefer | None = None
    dedupe: bool = False
    commit: bool = True
    message: str | None = None
    author: Author | None = None
    time: Moment | None = None
    progress: Progress | None = None


class MergeOutcome(msgspec.Struct, frozen=True):
    """What a merge did. `commit` is where the branch stands now; `matched` counts the inputs that a filter is true of.

    `twins` are records that are there twice, `folded` says whether they were made one. `conflicts` counts all records
    that hold an open conflict now; `rebased` says that staged changes were laid over it, `draft_conflicts` how many
    records they have in conflict.
    """

    kind: Kind
    theirs: ObjectId
    report: MergeReport
    twins: Twins
    commit: ObjectId | None = None
    matched: int | None = None
    folded: bool = False
    conflicts: int = 0
    rebased: bool = False
    draft_conflicts: int = 0


def merge(dataset: Dataset, revision: Revision, asked: Request, dry_run: bool = False) -> MergeOutcome:
    """Merge what a revision names into a dataset's branch. Raises RefusedError, FilterError."""
    require_writable(dataset)
    theirs = _require_other(dataset, revision)
    name = revision_name(revision)
    with dataset.repository.transaction(f"merge {name}"[:200]) as transaction:

        def change(refs: Refs) -> MergeOutcome:
            return _Merging(dataset, transaction, refs, (theirs, name), asked).run()

        if dry_run:
            return change(Refs(dataset.repository.view))
        return transaction.run(change)


def revision_name(revision: Revision) -> str:
    """A revision as somebody would write it."""
    if revision.remote is not None:
        return revision.remote
    if revision.version is not None:
        return f"{revision.dataset}@{revision.version}"
    if revision.branch is not None:
        return revision.dataset if revision.branch == MAIN else f"{revision.dataset}:{revision.branch}"
    return f"{revision.dataset}@{revision.commit.short() if revision.commit else ''}"


def _require_other(dataset: Dataset, revision: Revision) -> ObjectId:
    if not revision.is_pinned and (revision.dataset, revision.branch) == (dataset.name, dataset.branch):
        hint = "name another one: dsvc merge DATASET, dsvc merge BRANCH; there is: dsvc list, dsvc branch"
        raise RefusedError(f"{revision_name(revision)} is the current branch, and a merge takes in another one", hint)
    if revision.commit is None:
        hint = f"commit what is staged there: dsvc -d {revision.dataset} commit -m TEXT"
        raise RefusedError(f"{revision_name(revision)} has no commit yet", hint)
    return revision.commit


class _Merging:
    """One merge on the refs of one moment."""

    def __init__(
        self,
        dataset: Dataset,
        transaction: Transaction,
        refs: Refs,
        theirs: tuple[ObjectId, str],
        asked: Request,
    ) -> None:
        self._dataset, self._refs, self._asked = dataset, refs, asked
        self._store = transaction.writer
        self._theirs, self._name = theirs
        self._cache = dataset.repository.cache
        self._merger = Merger(self._store, self._cache)
        self._branch = (BRANCH, dataset.name, dataset.branch)
        self._head = selected_head(refs, dataset)

    def run(self) -> MergeOutcome:
        """Merge."""
        graph, head = self._merger.graph, self._head
        ours = [head] if head is not None else []
        if not self._asked.commit:  # what is staged has what was merged into it, too
            ours += load_state(self._store, self._refs, self._dataset).merged
        bases = graph.bases(ours, [self._theirs])
        if self._asked.where is not None:  # first, since a wrong filter is told of in any case
            return self._take(bases, self._asked.where)
        if self._theirs in bases:
            return self._nothing()
        if bases == ours and self._asked.commit:
            return self._forward()
        return self._join(bases, self._theirs, self._merger.content(self._theirs))

    def _nothing(self, matched: int | None = None) -> MergeOutcome:
        return MergeOutcome("up to date", self._theirs, MergeReport(), Twins({}, {}), self._head, matched)

    def _take(self, bases: list[ObjectId], where: str) -> MergeOutcome:
        part = take_part(self._merger, bases, self._theirs, where, self._asked.progress)
        if part.commit is None:
            return self._nothing(part.matched)
        return self._join(bases, part.commit, part.content, part.matched)

    def _forward(self) -> MergeOutcome:
        """The other line goes on where ours ends."""
        content = self._merger.content(self._theirs)
        base = self._committed()
        report = self._merger.merge(base, base, content).merged.report
        return self._finish("fast-forward", self._theirs, report, Twins({}, {}))

    def _join(
        self, bases: list[ObjectId], theirs: ObjectId, content: Content, matched: int | None = None
    ) -> MergeOutcome:
        """Merge two lines that both went on."""
        base, ours = self._merger.base(bases), self._ours()
        made, merged = self._merger.merge(base, ours, content, self._asked.prefer)
        made, twins = self._deduped(ours, made, merged)
        if not self._asked.commit:
            return self._stage(theirs, made, merged.report, twins, matched)
        commit = Commit(
            snapshot=store_roots(self._store, made.roots),
            parents=(*([self._head] if self._head is not None else []), theirs),
            author=self._dataset._author(self._asked.author),
            time=self._asked.time or self._dataset._now(),
            message=self._asked.message or self._message(),
            sources=made.sources,
        )
        id = store_commit(self._store, commit)
        return self._finish("merged", id, merged.report, twins, matched)

    def _ours(self) -> Content:
        if not self._asked.commit:
            state = load_state(self._store, self._refs, self._dataset)
            return Content(state.roots, state.sources)
        return self._committed()

    def _committed(self) -> Content:
        if self._head is None:
            return Content(empty_roots(self._store), {})
        return self._merger.content(self._head)

    def _deduped(self, ours: Content, made: Content, merged: Merged) -> tuple[Content, Twins]:
        twins = find_twins(self._store, ours.roots, merged)
        if not twins or not self._asked.dedupe:
            return made, twins
        folded = fold_twins(self._store, made.roots, twins)
        count_folded(self._store, merged.report, ours.roots, made.roots, folded)
        return made._replace(roots=folded), twins

    def _message(self) -> str:
        where = f" where {self._asked.where}" if self._asked.where is not None else ""
        return f"merge {self._name}{where}"

    def _stage(
        self, theirs: ObjectId, made: Content, report: MergeReport, twins: Twins, matched: int | None
    ) -> MergeOutcome:
        """Leave the merge in the draft."""
        state = load_state(self._store, self._refs, self._dataset)
        parents = tuple(dict.fromkeys((*state.merged, theirs)))
        staged = DraftState(state.base, made.roots, made.sources, parents)
        save_state(self._store, self._refs, self._dataset, staged)
        return self._outcome("staged", self._head, report, twins, matched, self._conflicts(made))

    def _finish(
        self, kind: Kind, head: ObjectId, report: MergeReport, twins: Twins, matched: int | None = None
    ) -> MergeOutcome:
        """Move the branch, and the draft with it."""
        is_staged = self._refs.get(*draft_ref(self._dataset)) is not None
        self._refs.set(self._branch, BranchRef(head))
        conflicts = self._conflicts(self._merger.content(head))
        outcome = self._outcome(kind, head, report, twins, matched, conflicts)
        if not is_staged:
            return outcome
        state = rebase(self._store, load_state(self._store, self._refs, self._dataset), head, self._cache)
        save_state(self._store, self._refs, self._dataset, state)
        found = self._conflicts(Content(state.roots, state.sources))
        return msgspec.structs.replace(outcome, rebased=True, draft_conflicts=max(0, found - conflicts))

    def _conflicts(self, content: Content) -> int:
        return Snapshot(self._store, content.roots, self._cache).conflicts

    def _outcome(
        self,
        kind: Kind,
        commit: ObjectId | None,
        report: MergeReport,
        twins: Twins,
        matched: int | None,
        conflicts: int,
    ) -> MergeOutcome:
        folded = self._asked.dedupe and bool(twins)
        return MergeOutcome(kind, self._theirs, report, twins, commit, matched, folded, conflicts)
