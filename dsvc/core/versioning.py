"""Versions: named tags on commits, made, listed and taken away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.draft import committed_state, draft_ref
from dsvc.core.names import check_name
from dsvc.core.nearest import near_names
from dsvc.core.selection import selected_head, version_names
from dsvc.errors import NotFoundError, RefusedError
from dsvc.model.commit import Author, Moment
from dsvc.model.snapshot import Snapshot
from dsvc.model.view import BRANCH, MANUAL, VERSION, VersionRef

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.state import State
    from dsvc.core.transaction import Refs
    from dsvc.model.node import Store
    from dsvc.store.ids import ObjectId


class NamedVersion(NamedTuple):
    """A version and its name."""

    name: str
    version: VersionRef


class Versioning:
    """A dataset's versions."""

    def create_version(
        self,
        name: str | None = None,
        message: str = "",
        *,
        revision: str | None = None,
        commit: bool = False,
        author: Author | None = None,
        time: Moment | None = None,
    ) -> State:
        """Tag a commit, by default the branch's head, as a version. Without a name: v1, v2, ...

        Raises RefusedError where the draft has changes (`commit` commits them first), where the name is bound to
        another commit, where conflicts are open. Tagging the same commit by the same name again changes nothing.
        """
        dataset = cast("Dataset", self)
        who = dataset._author(author)
        if name is not None:
            check_name(name, "version")

        def change(refs: Refs) -> str:
            target = _target(dataset, refs, transaction.writer, revision, commit, (who, message, time, name))
            return _tag(dataset, refs, transaction.writer, name, target, (who, message, time))

        with dataset.repository.transaction(f"version create {name or ''}".strip()) as transaction:
            made = transaction.run(change)
        return dataset.at(f"@{made}")

    def versions(self, *, auto: bool = False) -> list[NamedVersion]:
        """The versions that people made, or the auto-generated ones, in the order in which they were made."""
        dataset = cast("Dataset", self)
        listed = dataset.repository.view.list(VERSION, dataset.name)
        found = [NamedVersion(ref[2], cast(VersionRef, value)) for ref, value in listed]
        found = [version for version in found if (version.version.origin != MANUAL) == auto]
        return sorted(found, key=lambda v: (v.version.time.seconds, v.name))

    def version(self, name: str) -> NamedVersion:
        """A version by name. Raises NotFoundError."""
        dataset = cast("Dataset", self)
        version = dataset.repository.view.get(VERSION, dataset.name, name)
        if version is None:
            near = near_names(name, version_names(dataset.repository.view, dataset.name, name))
            names = ", ".join(near or [v.name for v in self.versions()[-5:]])
            hint = f"{'did you mean' if near else 'there is:'} {names}" if names else "make one: dsvc version create"
            hint += "?" if near else ""
            raise NotFoundError(f"dataset {dataset.name!r} has no version {name!r}", hint)
        return NamedVersion(name, cast(VersionRef, version))

    def delete_version(self, name: str) -> None:
        """Take a version's name away; its commit stays, and `undo` brings the name back. Raises RefusedError for an
        auto-generated one that is the data of a run or an evaluation."""
        from dsvc.core.automatic import require_unkept

        dataset = cast("Dataset", self)

        def change(refs: Refs) -> None:
            require_unkept(refs, dataset.repository.store, (VERSION, dataset.name, name))
            refs.set((VERSION, dataset.name, name), None)

        self.version(name)
        dataset.repository.change(f"version delete {name}", change)


def _target(
    dataset: Dataset,
    refs: Refs,
    store: Store,
    revision: str | None,
    commit: bool,
    signed: tuple[Author, str, Moment | None, str | None],
) -> ObjectId:
    who, message, time, name = signed
    if revision is not None:
        id = dataset._resolve(revision).commit
    elif dataset.pinned is not None or refs.get(*draft_ref(dataset)) is None:
        id = selected_head(refs, dataset)
    elif commit:
        id = dataset._commit(refs, store, who, message or f"version {name or ''}".strip(), time).id
    else:
        hint = "commit them first: dsvc commit -m TEXT, or: dsvc version create --commit"
        raise RefusedError("the draft has changes that are in no commit", hint)
    if id is None:
        raise RefusedError(f"dataset {dataset.name!r} has no commit yet", "dsvc add PATH, then dsvc commit -m TEXT")
    return id


def _tag(
    dataset: Dataset,
    refs: Refs,
    store: Store,
    name: str | None,
    id: ObjectId,
    signed: tuple[Author, str, Moment | None],
) -> str:
    from dsvc.core.merging.conflicts import require_settled

    who, message, time = signed
    name = name or _free_name(ref[2] for kind in (VERSION, BRANCH) for ref, _ in refs.list(kind, dataset.name))
    existing = cast("VersionRef | None", refs.get(VERSION, dataset.name, name))
    if existing is not None:
        if existing.commit == id:
            return name
        hint = f"choose another name, or first: dsvc version delete {name}"
        raise RefusedError(f"version {name!r} is bound to another commit, {existing.commit.short()}", hint)
    require_settled(Snapshot(store, committed_state(store, id).roots))
    if refs.get(BRANCH, dataset.name, name) is not None:
        raise RefusedError(f"{name!r} is a branch of {dataset.name}", "a version needs a name that no branch has")
    refs.set((VERSION, dataset.name, name), VersionRef(id, message, who, time or dataset._now()))
    return name


def _free_name(taken: Iterable[str]) -> str:
    names, number = set(taken), 1
    while f"v{number}" in names:
        number += 1
    return f"v{number}"
