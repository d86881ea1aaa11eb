"""Which of Git's commits pinned what: the history of a project's lock."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dsvc.core.repository import LOCK_FILE
from dsvc.errors import NotFoundError
from dsvc.git.lockfile import Locked
from dsvc.git.pinning import path_in, readable
from dsvc.git.working import GitRepository
from dsvc.model.commit import Moment
from dsvc.store.ids import ObjectId


class Pin(NamedTuple):
    """One of Git's commits that changed the line of a dataset; `line` is None where it took the line away. `author` is
    the name alone."""

    git: str
    author: str
    time: Moment
    subject: str
    line: Locked | None


def list_pins(project: Path | None, revision: str, dataset: str) -> Iterator[Pin]:
    """Git's commits behind one that gave a dataset another line, the newest first. Raises NotFoundError."""
    git = GitRepository.find(project) if project is not None else None
    if git is None or project is None:
        raise NotFoundError("this project is in no Git repository", "see: dsvc log")
    with git:
        if revision == "HEAD" and git.head() is None:
            return
        path = path_in(git, project)
        for commit in git.walk([git.commit(revision)], path):
            line = readable(git.read(commit.id, path)).get(dataset)
            before = [readable(git.read(parent, path)).get(dataset) for parent in git.parents(commit.id)]
            if line not in before and (line is not None or before):
                yield _pin(commit, line)


def locked_anywhere(project: Path | None) -> set[tuple[str, ObjectId]] | None:
    """The datasets and commits that the project's lock names, as it is or as it was in any of Git's commits: behind
    refs, stashes, and where HEAD was. None where the project is in no Git repository. Raises RefusedError."""
    git = GitRepository.find(project) if project is not None else None
    if git is None or project is None:
        return None
    with git:
        path = path_in(git, project)
        heads = {*git.refs().values(), *git.reflog(sys.maxsize)}
        there = [head for head in sorted(heads) if git.has_commit(head)]
        locks = {git.read(commit.id, path) for commit in git.walk(there, path)}
        locks |= {git.read(head, path) for head in there}  # where a shallow clone ends, no commit changed it
        locks |= set(git.stages(path).values())
    with contextlib.suppress(OSError):
        locks.add((project / LOCK_FILE).read_bytes())
    return {(line.dataset, line.commit) for data in locks for line in readable(data).values()}


def _pin(commit: Any, line: Locked | None) -> Pin:
    time = Moment(commit.author_time, commit.author_timezone // 60)
    author = _text(commit.author).partition(" <")[0]
    return Pin(commit.id.decode(), author, time, _text(commit.message).strip().partition("\n")[0], line)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
