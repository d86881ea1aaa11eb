"""What a workspace works on: a dataset's branch, or one of its versions, which is read-only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from dsvc.core.names import RESERVED
from dsvc.core.nearest import near_names
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.view import BRANCH, MANUAL, VERSION, AnyRef, BranchRef, VersionRef, View
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset

_FORM = re.compile(r"([^:@~\0]+)(?::([^:@~\0]+)|@([^:@~\0]+))?")


class Selection(NamedTuple):
    """A dataset by name, and a branch or a version of it, if one is named."""

    dataset: str
    branch: str | None = None
    version: str | None = None


class _Refs(Protocol):
    def get(self, *ref: str) -> AnyRef | None: ...


def parse_selection(text: str) -> Selection:
    """The selection of `NAME`, `NAME:BRANCH` or `NAME@VERSION`. Raises UsageError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} names no dataset", "such as pets, pets:branch, pets@v1")
    return Selection(*match.groups())


def selected_head(refs: _Refs, dataset: Dataset) -> ObjectId | None:
    """The commit that a dataset's branch stands on, or that its version is; None before the first commit.

    Raises NotFoundError where the branch or the version is no more.
    """
    name = dataset.name
    if dataset.pinned is not None:
        version = refs.get(VERSION, name, dataset.pinned)
        if version is None:
            raise _no_version(dataset, dataset.pinned)
        return cast(VersionRef, version).commit
    branch = refs.get(BRANCH, name, dataset.branch)
    if branch is None:
        raise no_branch(dataset.repository.view, name, dataset.branch)
    return cast(BranchRef, branch).commit


def version_names(view: View, dataset: str, text: str) -> list[str]:
    """The versions to suggest to who wrote a text: those that people made, and auto-generated ones only where it begins
    as these do."""
    is_auto = text.startswith(RESERVED[:5])
    listed = ((ref[2], cast(VersionRef, value)) for ref, value in view.list(VERSION, dataset))
    return [name for name, version in listed if is_auto or version.origin == MANUAL]


def _no_version(dataset: Dataset, version: str) -> NotFoundError:
    names = version_names(dataset.repository.view, dataset.name, version)
    if near := near_names(version, names):
        known = f"did you mean {', '.join(f'{dataset.name}@{name}' for name in near)}? or "
    else:
        known = f"there is: {', '.join(names[-8:])}; or " if names else ""
    hint = f"{known}go back to branch {dataset.branch}: dsvc use {dataset.name}"
    return NotFoundError(f"dataset {dataset.name!r} has no version {version!r}", hint)


def no_branch(view: View, dataset: str, name: str) -> NotFoundError:
    """The error for a branch that is not there: it names those spelled like it, else some of those that are."""
    names = [ref[2] for ref, _ in view.list(BRANCH, dataset)]
    if view.get(VERSION, dataset, name) is not None:
        hint = f"{name} is a version: {dataset}@{name}; to look at it: dsvc use {dataset}@{name}"
    elif near := near_names(name, names):
        hint = f"did you mean {', '.join(near)}? or begin it: dsvc switch -c {name}"
    else:
        hint = f"there is: {', '.join(names[:8])}; go there with: dsvc switch BRANCH" if names else "see: dsvc branch"
    return NotFoundError(f"dataset {dataset!r} has no branch {name!r}", hint)


def require_writable(dataset: Dataset) -> None:
    """Refuse to change a dataset of which a version is selected. Raises RefusedError."""
    if dataset.pinned is not None:
        hint = f"go back to branch {dataset.branch}: dsvc use {dataset.name}; or begin one here: dsvc switch -c NAME"
        raise RefusedError(f"{dataset.name}@{dataset.pinned} is a version, which is read-only", hint)
