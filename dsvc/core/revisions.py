"""Revisions: expressions that name a commit.

Such as `pets`, `pets:cleanup`, `pets@v1`, `@3fa9c1`, `pets@v2~1`, and by a lock in Git's history `pets@git:HEAD~3`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.nearest import near_names
from dsvc.core.registry import lock_reader
from dsvc.core.selection import no_branch, selected_head, version_names
from dsvc.errors import NotFoundError, UsageError
from dsvc.model.commit import load_commit
from dsvc.model.view import BRANCH, DATASET, PIN, REMOTE, VERSION, BranchRef, RemoteRef, VersionRef
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.repository import Repository

_PARTS = re.compile(r"(?P<name>[^:@~\0]*)(?::(?P<branch>[^:@~\0]+))?(?:@(?P<at>[^:@~\0]+))?(?P<back>(?:~\d{0,9})*)")
_DIGITS = re.compile(r"[0-9a-fA-F]{4,64}")
_SHOWN = 8
# What comes after it is a revision of Git's, whose lock file names the commit.
_BY_GIT = "@git:"


class Revision(NamedTuple):
    """What an expression names. `commit` is None for a branch without commits; `is_pinned` tells that the expression
    itself names a commit (by version, id or `~`), not where a branch happens to stand. `remote` is the expression, such
    as `origin/pets:main`, where it tells what stood at a remote."""

    dataset: str
    branch: str | None
    version: str | None
    commit: ObjectId | None
    is_pinned: bool
    remote: str | None = None


def resolve(repository: Repository, text: str = "HEAD", current: Dataset | None = None) -> Revision:
    """The revision of an expression; `current` is what HEAD and names alone are of, by default what is selected.

    Raises UsageError, for an ambiguous one too, and NotFoundError.
    """
    if _BY_GIT in text:
        dataset, _, pinned = text.partition(_BY_GIT)
        return _pinned(_Names(repository, current), dataset, pinned)
    match = _PARTS.fullmatch(text)
    if not match or not text or not _is_unicode(text):
        raise UsageError(f"{text!r} is not a revision", "such as pets, pets:branch, pets@v1, @3fa9c1, pets@v1~2")
    name, branch, at, back = match.group("name", "branch", "at", "back")
    if at and branch:
        raise UsageError(f"a revision names a branch or a version, not both: {name}:{branch}@{at}")
    names = _Names(repository, current)
    if "/" in name:
        revision = names.at_remote(name, branch, at)
    else:
        revision = names.at("" if name == "HEAD" else name, at) if at else names.named(name, branch)
    if not back:
        return revision
    steps = sum(int(part or 1) for part in back.split("~")[1:])
    commit = _ancestor(repository, revision, steps, text)
    return revision._replace(commit=commit, version=None, is_pinned=True, remote=None)


class _Names:
    """What names mean in a repository to somebody who works on a dataset, or on none."""

    def __init__(self, repository: Repository, current: Dataset | None) -> None:
        self.repository = repository
        self.view = repository.view
        if current is None:
            selected = repository.workspace.dataset
            if selected is not None and self.view.get(DATASET, selected) is not None:
                current = repository.dataset()
        self.current = current

    def named(self, name: str, branch: str | None) -> Revision:
        """A bare word: a dataset, a branch or version of the current dataset, else a commit's id. Raises UsageError
        where it is several of them."""
        if name in ("", "HEAD"):
            return self._head(self._selected, branch)
        if branch is not None:
            return self._head(self._dataset(name), branch)
        found = list(self._candidates(name))
        if len(found) > 1:
            words = [f"a {kind}" for kind, _, _ in found]
            ways = ", ".join(f"{way} for the {kind}" for kind, way, _ in found)
            raise UsageError(f"{name!r} is {', '.join(words[:-1])} and {words[-1]}", f"say {ways}")
        if found:
            return found[0][2]()
        if _DIGITS.fullmatch(name):
            return self.at("", name)
        raise self._unknown(name)

    def _candidates(self, name: str) -> Iterator[tuple[str, str, Callable[[], Revision]]]:
        """What a word may name: the kind, how to say so without doubt, and the revision."""
        current = self.current
        if self.view.get(DATASET, name) is not None:
            dataset = self._dataset(name)
            yield "dataset", f"{name}@HEAD", lambda: self._head(dataset)
        if current is None:
            return
        if self.view.get(BRANCH, current.name, name) is not None:
            yield "branch", f"{current.name}:{name}", lambda: self._head(current, name)
        if self.view.get(VERSION, current.name, name) is not None:
            yield "version", f"{current.name}@{name}", lambda: self.at(current.name, name)

    def at(self, name: str, at: str) -> Revision:
        """`NAME@VERSION`, `NAME@HEAD`, or `@ID` with at least 4 digits of a commit's id. A version's name goes before
        the id that it looks like."""
        dataset = self._dataset(name) if name else self.current
        if at == "HEAD":
            return self._head(dataset if dataset is not None else self._selected)
        version = self.view.get(VERSION, dataset.name, at) if dataset is not None else None
        if dataset is not None and version is not None:
            return Revision(dataset.name, None, at, cast(VersionRef, version).commit, True)
        if _DIGITS.fullmatch(at) and (found := self._by_id(name, at.lower())):
            return found
        raise self._no_version(dataset, at)

    def at_remote(self, name: str, branch: str | None, version: str | None) -> Revision:
        """`REMOTE/NAME:BRANCH` and `REMOTE/NAME@VERSION`: what stood at a remote when it was last fetched."""
        from dsvc.core.operations import describe_ref
        from dsvc.core.repository import MAIN

        remote, _, dataset = name.partition("/")
        kind, called = (VERSION, version) if version is not None else (BRANCH, branch or MAIN)
        ref = cast("RemoteRef | None", self.view.get(REMOTE, remote, dataset, kind, called))
        text = describe_ref((REMOTE, remote, dataset, kind, called))
        if ref is None:
            raise self._not_at_remote(name if branch is None and version is None else text, remote)
        return Revision(dataset, None, None, ref.commit, True, text)

    def _by_id(self, name: str, digits: str) -> Revision | None:
        found: dict[ObjectId, str] = {}
        for dataset, id in reachable(self.repository, name or None):
            if id.hex().startswith(digits) and (self.current is None or found.get(id) != self.current.name):
                found[id] = dataset
        if len(found) > 1:
            candidates = "; ".join(self._words(id) for id in sorted(found)[:_SHOWN])
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise UsageError(f"{digits!r} begins the ids of {len(found)} commits", f"it may be {candidates}{more}")
        return next((Revision(dataset, None, None, id, True) for id, dataset in found.items()), None)

    def _words(self, id: ObjectId) -> str:
        message = load_commit(self.repository.store, id).message.strip()
        return f"{id.short()} ({message.splitlines()[0][:60] if message else 'no message'})"

    def _head(self, dataset: Dataset, branch: str | None = None) -> Revision:
        """Where a branch stands, by default what is selected of the dataset."""
        if branch is None and dataset.pinned is not None:
            return Revision(dataset.name, None, dataset.pinned, selected_head(self.view, dataset), True)
        branch = branch or dataset.branch
        ref = cast("BranchRef | None", self.view.get(BRANCH, dataset.name, branch))
        if ref is None:
            raise no_branch(self.view, dataset.name, branch)
        return Revision(dataset.name, branch, None, ref.commit, False)

    @property
    def _selected(self) -> Dataset:
        """The current dataset. Raises NotFoundError."""
        return self.current if self.current is not None else self.repository.dataset()

    def _dataset(self, name: str) -> Dataset:
        if self.current is not None and self.current.name == name:
            return self.current
        return self.repository.dataset(name)

    # ---- what is not there

    def _not_at_remote(self, text: str, remote: str) -> NotFoundError:
        from dsvc.core.operations import describe_ref

        known = [describe_ref(ref) for ref, _ in self.view.list(REMOTE, remote)]
        if not known:
            message = f"{text!r} is no revision: nothing was fetched from a remote {remote!r}"
            return NotFoundError(message, "see: dsvc remote list; then: dsvc fetch REMOTE")
        near = near_names(text, known)
        lead = f"did you mean {', '.join(near)}? " if near else ""
        hint = f"{lead}what is new there comes with: dsvc fetch {remote}"
        return NotFoundError(f"no {text} is known here", hint)

    def _no_version(self, dataset: Dataset | None, at: str) -> NotFoundError:
        if dataset is None:
            hint = "name the dataset too: NAME@VERSION; of a commit's id, give 4 digits or more"
            return NotFoundError(f"the repository has no commit {at!r}", hint)
        name = dataset.name
        versions = version_names(self.view, name, at)
        if self.view.get(BRANCH, name, at) is not None:
            hint = f"{at} is a branch: {name}:{at}"
        elif near := near_names(at, versions):
            hint = f"did you mean {', '.join(f'{name}@{version}' for version in near)}?"
        else:
            known = f"there is: {', '.join(versions[-_SHOWN:])}" if versions else f"see: dsvc log {name}"
            hint = f"{known}; of a commit's id, give 4 digits or more"
        return NotFoundError(f"dataset {name!r} has no version or commit {at!r}", hint)

    def _unknown(self, name: str) -> NotFoundError:
        """What to say of a word that names nothing."""
        words = [ref[1] for ref, _ in self.view.list(DATASET)]
        if self.current is not None:
            words += [ref[2] for ref, _ in self.view.list(BRANCH, self.current.name)]
            words += version_names(self.view, self.current.name, name)
        words = list(dict.fromkeys(words))
        if near := near_names(name, ["HEAD", *words]):
            hint = f"did you mean {', '.join(near)}?"
        elif words:
            more = ", ..." if len(words) > _SHOWN else ""
            hint = f"there is: {', '.join(words[:_SHOWN])}{more}; of a commit's id, give 4 digits or more"
        else:
            hint = "make a dataset: dsvc create NAME"
        return NotFoundError(f"no dataset, branch, version or commit named {name!r}", hint)


def _pinned(names: _Names, name: str, revision: str) -> Revision:
    """`NAME@git:REVISION`: the commit that the lock file of one of Git's commits names. Raises NotFoundError."""
    repository = names.repository
    selected = names.current if names.current is not None or repository.workspace.dataset is None else names._selected
    dataset = name if name not in ("", "HEAD") else selected.name if selected is not None else None
    if dataset is None:
        raise NotFoundError("no dataset is selected here", f"name it: NAME{_BY_GIT}{revision}")
    commit = lock_reader()(repository.root, revision, dataset)
    if not repository.store.has(commit):
        message = f"{commit.short()}, which the lock of {revision} names for {dataset}, is not here"
        raise NotFoundError(message, "bring it: dsvc pull")
    return Revision(dataset, None, None, commit, True)


def reachable(repository: Repository, dataset: str | None = None) -> Iterator[tuple[str, ObjectId]]:
    """Every commit that a branch, a version or a pin reaches, or what was fetched, those on lines of sources too, each
    once per dataset."""
    from dsvc.core.history.walking import History

    view, history = repository.view, History(repository.store)
    for name in [dataset] if dataset else [ref[1] for ref, _ in view.list(DATASET)]:
        refs = [ref for kind in (BRANCH, VERSION, PIN) for _, ref in view.list(kind, name)]
        refs += [ref for names, ref in view.list(REMOTE) if names[2] == name]
        seen = {commit for ref in refs if (commit := cast("BranchRef", ref).commit) is not None}
        queue = list(seen)
        while queue:
            id = queue.pop()
            yield name, id
            behind = set(history.commit(id).parents) - seen
            seen |= behind
            queue += behind


def _ancestor(repository: Repository, revision: Revision, steps: int, text: str) -> ObjectId | None:
    if not steps:
        return revision.commit
    from dsvc.core.history.walking import History

    id = revision.commit
    found = History(repository.store).ancestor(id, steps) if id is not None else None
    if found is None:
        raise NotFoundError(f"{text}: history does not go back that far", "see: dsvc log")
    return found


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
