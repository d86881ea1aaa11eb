"""Branches: listing, making and deleting them, and going from one to another."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from dsvc.core.names import check_name
from dsvc.core.selection import no_branch
from dsvc.errors import RefusedError
from dsvc.model.commit import Commit
from dsvc.model.view import BRANCH, DRAFT, MANUAL, VERSION, BranchRef, VersionRef, View
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.compare import Summary
    from dsvc.core.dataset import Dataset
    from dsvc.core.repository import Repository
    from dsvc.core.revisions import Revision
    from dsvc.core.transaction import Refs
    from dsvc.model.incoming import Progress
    from dsvc.model.node import Store
    from dsvc.model.tree import NodeCache


class Branch(NamedTuple):
    """A branch: where it stands (no commit yet is None), whether it is the one that edits go to, and whether this
    workspace has staged changes on it."""

    name: str
    id: ObjectId | None
    commit: Commit | None
    is_current: bool
    has_draft: bool


class Switched(NamedTuple):
    """What going to another branch did: `left` is what stays staged on the branch before, `found` what is staged on
    the new one; both are empty where nothing is staged. `came_from` is None where the branch was current already."""

    name: str
    came_from: str | None
    left: Summary | None
    found: Summary | None


class _Open(Protocol):
    name: str
    branch: str
    pinned: str | None
    repository: Repository

    def _resolve(self, revision: str) -> Revision: ...


class Branching:
    """A dataset's branches. Which one is the current one is the workspace's own, and no operation."""

    def branches(self: _Open) -> list[Branch]:
        """All branches, by name. Raises NotFoundError."""
        from dsvc.core.history.walking import History

        view, workspace = self.repository.view, self.repository.workspace.id
        history = History(self.repository.store)
        found = []
        for ref, value in view.list(BRANCH, self.name):
            id = cast(BranchRef, value).commit
            is_current = ref[2] == self.branch and self.pinned is None
            has_draft = view.get(DRAFT, workspace, self.name, ref[2]) is not None
            found.append(Branch(ref[2], id, history.commit(id) if id is not None else None, is_current, has_draft))
        return found

    def create_branch(
        self: _Open, name: str, revision: str = "HEAD", where: str | None = None, progress: Progress | None = None
    ) -> Dataset:
        """Begin a branch at a revision; the current one stays. The dataset on that branch.

        With `where` it begins with a part of it: the inputs that the filter is true of, their annotations, and the
        concepts that those name. What is changed there can be merged back. Raises RefusedError where there is a branch
        or a version of that name or where nothing matches, FilterError.
        """
        check_name(name, "branch")
        id = self._resolve(revision).commit
        if id is not None:
            _require_state(self.repository, id, revision)
        with self.repository.transaction(f"branch {name}") as transaction:
            start = id if where is None else _part(transaction.writer, self.repository.cache, id, where, progress)

            def change(refs: Refs) -> None:
                _require_free(refs, self.name, name)
                refs.set((BRANCH, self.name, name), BranchRef(start))

            transaction.run(change)
        return self.repository.dataset(self.name, name)

    def delete_branch(self: _Open, name: str, *, force: bool = False, dry_run: bool = False) -> ObjectId | None:
        """Take a branch away, with what is staged on it; `undo` brings both back. Where it stood.

        Raises NotFoundError, and RefusedError for the current branch, and without `force` where commits would be out of
        reach or staged changes would be lost. `dry_run` only looks.
        """
        here = (self.name, self.branch)

        def change(refs: Refs) -> ObjectId | None:
            ref = cast("BranchRef | None", refs.get(BRANCH, self.name, name))
            if ref is None:
                raise no_branch(refs.view, self.name, name)
            if here == (self.name, name):
                raise RefusedError(
                    f"{name!r} is the current branch of {self.name}", "go to another: dsvc switch BRANCH"
                )
            drafts = [draft for draft, _ in refs.list(DRAFT) if draft[2:] == (self.name, name)]
            if not force:
                _require_kept(self.repository, refs, (self.name, name), ref.commit, len(drafts))
            for gone in ((BRANCH, self.name, name), *drafts):
                refs.set(gone, None)
            return ref.commit

        with self.repository.transaction(f"branch --delete {name}") as transaction:
            if dry_run:
                from dsvc.core.transaction import Refs

                return change(Refs(self.repository.view))
            return transaction.run(change)

    def switch(self: _Open, name: str, *, create: bool = False, revision: str = "HEAD") -> Switched:
        """Make a branch the current one here; with `create`, begin it at a revision first. What is staged stays staged
        on the branch that it was staged on. Raises NotFoundError, RefusedError."""
        dataset, workspace = cast("Dataset", self), self.repository.workspace
        came_from = self.pinned or self.branch
        if not create and self.repository.view.get(BRANCH, self.name, name) is None:
            raise no_branch(self.repository.view, self.name, name)
        left = _staged(dataset)
        changes = workspace.selecting(self.name, name, None)
        with workspace.saving(**changes) if changes else nullcontext():
            if create:
                dataset.create_branch(name, revision)
        is_there = self.pinned is None and self.branch == name
        dataset.branch, dataset.pinned = name, None
        return Switched(name, None, None, None) if is_there else Switched(name, came_from, left, _staged(dataset))


def _part(store: Store, cache: NodeCache, id: ObjectId | None, where: str, progress: Progress | None) -> ObjectId:
    """A commit of what a filter is true of in another one."""
    from dsvc.core.merging.states import Merger
    from dsvc.core.merging.taking import take_part

    part = take_part(Merger(store, cache), [], id, where, progress).commit if id is not None else None
    if part is None:
        raise RefusedError("no input matches, and the branch would be empty", "see what there is: dsvc query SQL")
    return part


def _staged(dataset: Dataset) -> Summary | None:
    """What is staged on the current branch of a dataset, if that branch is there."""
    if not dataset.has_draft() or dataset.repository.view.get(BRANCH, dataset.name, dataset.branch) is None:
        return None
    return dataset.status().summary


def _require_free(refs: Refs, dataset: str, name: str) -> None:
    if refs.get(BRANCH, dataset, name) is not None:
        raise RefusedError(f"{dataset} has a branch {name!r} already", f"go there: dsvc switch {name}")
    if refs.get(VERSION, dataset, name) is not None:
        hint = f"choose another name; to begin a branch there: dsvc switch -c NAME --from {dataset}@{name}"
        raise RefusedError(f"{name!r} is a version of {dataset}", hint)


def _require_state(repository: Repository, id: ObjectId, revision: str) -> None:
    """Refuse a commit of a source's line, which holds what a file said and is no state of a dataset."""
    from dsvc.core.history.walking import History

    if History(repository.store).is_source(id):
        raise RefusedError(f"{revision} is what a source delivered, and no state of a dataset", "see: dsvc log")


def _require_kept(
    repository: Repository, refs: Refs, branch: tuple[str, str], head: ObjectId | None, drafts: int
) -> None:
    """Refuse to take a branch away where something would be out of reach then."""
    dataset, name = branch
    if drafts:
        hint = f"commit them or drop them there: dsvc switch {name}; or say --force"
        raise RefusedError(f"branch {name!r} of {dataset} has staged changes that are in no commit", hint)
    lost = only_here(repository, refs, branch, head)
    if lost:
        what = "a commit" if lost == 1 else f"{lost:,} commits"
        hint = f"merge it first: dsvc merge {name}; or name it: dsvc version create --at {name}; or say --force"
        raise RefusedError(f"branch {name!r} has {what} that no other branch or version reaches", hint)


def only_here(repository: Repository, view: Refs | View, branch: tuple[str, str], head: ObjectId | None) -> int:
    """How many commits of a branch no other branch or version of the repository reaches. An auto-generated version
    goes with its run, and counts for nothing."""
    from dsvc.core.history.walking import History

    if head is None:
        return 0
    refs = [*view.list(BRANCH), *view.list(VERSION)]
    refs = [(names, ref) for names, ref in refs if getattr(ref, "origin", MANUAL) == MANUAL]
    others = [cast("BranchRef | VersionRef", ref).commit for names, ref in refs if names != (BRANCH, *branch)]
    if head in others:
        return 0
    history = History(repository.store)
    reached = set(history.walk(id for id in others if id is not None))
    return sum(1 for id in history.walk([head]) if id not in reached)
