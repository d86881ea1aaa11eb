"""Revisions: expressions that name a commit, such as `pets`, `pets:cleanup`, `pets@v1`, `@3fa9c1`, `pets@v2~1`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.errors import NotFoundError, UsageError
from dsvc.model.commit import load_commit
from dsvc.model.view import BRANCH, DATASET, VERSION, BranchRef, VersionRef
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

_PARTS = re.compile(r"(?P<name>[^:@~]*)(?::(?P<branch>[^:@~]+))?(?:@(?P<at>[^:@~]+))?(?P<back>(?:~\d*)*)")
_DIGITS = re.compile(r"[0-9a-fA-F]{4,64}")


class Revision(NamedTuple):
    """What an expression names. `commit` is None for a branch without commits; `is_pinned` tells that the expression
    itself names a commit (by version, id or `~`), not where a branch happens to stand."""

    dataset: str
    branch: str | None
    version: str | None
    commit: ObjectId | None
    is_pinned: bool


def resolve(repository: Repository, text: str = "HEAD") -> Revision:
    """The revision of an expression. Raises UsageError, NotFoundError."""
    match = _PARTS.fullmatch(text)
    if not match or not text:
        raise UsageError(f"{text!r} is not a revision", "such as pets, pets:branch, pets@v1, @3fa9c1, pets@v1~2")
    name, branch, at, back = match.group("name", "branch", "at", "back")
    revision = _at(repository, name, branch, at) if at else _named(repository, name, branch)
    steps = sum(int(part or 1) for part in back.split("~")[1:])
    if not back:
        return revision
    commit = _ancestor(repository, revision, steps, text)
    return revision._replace(commit=commit, version=None, is_pinned=True)


def _named(repository: Repository, name: str, branch: str | None) -> Revision:
    """A bare word: a dataset, else a branch or version of the current dataset."""
    if name in ("", "HEAD"):
        return _branch(repository, repository.dataset().name, branch)
    view = repository.view
    current = repository.workspace.dataset
    found = []
    if view.get(DATASET, name) is not None:
        found.append(_branch(repository, name, branch))
    elif branch is None and current is not None:
        if view.get(BRANCH, current, name) is not None:
            found.append(_branch(repository, current, name))
        if (version := view.get(VERSION, current, name)) is not None:
            commit = cast(VersionRef, version).commit
            found.append(Revision(current, None, name, commit, True))
    if len(found) > 1:
        hint = f"say {current}:{name} for the branch, {current}@{name} for the version"
        raise UsageError(f"{name!r} is a branch and a version", hint)
    if not found:
        if _DIGITS.fullmatch(name):
            return _at(repository, "", None, name)
        raise _unknown(repository, name)
    return found[0]


def _unknown(repository: Repository, name: str) -> NotFoundError:
    """What to say of a word that names nothing."""
    import difflib

    view, current = repository.view, repository.workspace.dataset
    words = [ref[1] for ref, _ in view.list(DATASET)]
    if current is not None:
        words += [ref[2] for kind in (BRANCH, VERSION) for ref, _ in view.list(kind, current)]
    near = difflib.get_close_matches(name, words, 5) or words[:8]
    hint = f"there is: {', '.join(near)}" if near else "make a dataset: dsvc create NAME"
    return NotFoundError(f"no dataset, branch, version or commit named {name!r}", hint)


def _branch(repository: Repository, name: str, branch: str | None) -> Revision:
    dataset = repository.dataset(name, branch)
    ref = cast("BranchRef | None", repository.view.get(BRANCH, dataset.name, dataset.branch))
    if ref is None:
        names = ", ".join(found[2] for found, _ in repository.view.list(BRANCH, dataset.name))
        raise NotFoundError(f"dataset {name!r} has no branch {dataset.branch!r}", f"there is: {names}")
    return Revision(dataset.name, dataset.branch, None, ref.commit, False)


def _at(repository: Repository, name: str, branch: str | None, at: str) -> Revision:
    """`NAME@VERSION`, or `@ID` with at least 4 digits of a commit's id."""
    if branch:
        raise UsageError(f"a revision names a branch or a version, not both: {name}:{branch}@{at}")
    dataset = None
    if name or repository.workspace.dataset:
        dataset = repository.dataset(name or None)
        version = cast("VersionRef | None", repository.view.get(VERSION, dataset.name, at))
        if version is not None:
            return Revision(dataset.name, None, at, version.commit, True)
    if _DIGITS.fullmatch(at):
        found = sorted({c for c in reachable(repository, name or None) if c[1].hex().startswith(at.lower())})
        ids = sorted({commit for _, commit in found})
        if len(ids) > 1:
            raise UsageError(f"{at!r} is ambiguous", "it may be " + ", ".join(id.short() for id in ids[:8]))
        if ids:
            return Revision(found[0][0], None, None, ids[0], True)
    where = f"dataset {dataset.name!r}" if dataset else "the repository"
    hint = "see: dsvc version list" + (f" -d {dataset.name}" if dataset else "") + ", dsvc log"
    raise NotFoundError(f"{where} has no version or commit {at!r}", hint)


def reachable(repository: Repository, dataset: str | None = None) -> Iterator[tuple[str, ObjectId]]:
    """Every commit that a branch or version reaches, each once per dataset."""
    view = repository.view
    for name in [dataset] if dataset else [ref[1] for ref, _ in view.list(DATASET)]:
        refs = [*view.list(BRANCH, name), *view.list(VERSION, name)]
        heads = [commit for _, ref in refs if (commit := cast("BranchRef | VersionRef", ref).commit) is not None]
        for id in ancestors(repository, heads):
            yield name, id


def ancestors(repository: Repository, heads: list[ObjectId]) -> Iterator[ObjectId]:
    """These commits and all theirs behind them, each once."""
    seen, queue = set(heads), list(heads)
    while queue:
        id = queue.pop()
        yield id
        for parent in load_commit(repository.store, id).parents:
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)


def _ancestor(repository: Repository, revision: Revision, steps: int, text: str) -> ObjectId | None:
    id = revision.commit
    for _ in range(steps):
        parents = load_commit(repository.store, id).parents if id is not None else ()
        if not parents:
            raise NotFoundError(f"{text}: history does not go back that far", "see: dsvc log")
        id = parents[0]
    return id
