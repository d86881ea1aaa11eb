"""Which code a folder holds, as Git knows it: the commit that is checked out, and whether something was changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from dsvc.errors import DsvcError
from dsvc.git.working import GitRepository

_FILES = 20_000  # tracked; to look at more would keep people waiting
_PROBLEMS = (DsvcError, OSError, ValueError, KeyError, AttributeError, TypeError, AssertionError, NotImplementedError)


def find_code(folder: Path) -> tuple[str, bool | None] | None:
    """Git's commit (40 or 64 hex digits) and whether tracked files differ from it, None where that is not known.

    None where the folder is in no Git repository, or in one that has no commit or cannot be read.
    """
    try:
        git = GitRepository.find(folder)
        if git is None:
            return None
        with git:
            head = git.head()
            return (head.decode(), _is_dirty(git, head)) if head is not None else None
    except _PROBLEMS:
        return None


def _is_dirty(git: GitRepository, head: bytes) -> bool | None:
    """Whether the index is another tree than the commit's, or a file is another one than the index says."""
    from dulwich.index import ConflictedIndexEntry, commit_index
    from dulwich.object_store import MemoryObjectStore

    try:
        repo: Any = git._repo
        index: Any = repo.open_index()
        if len(index) > _FILES:
            return None
        entries = list(index.items())
        if any(isinstance(entry, ConflictedIndexEntry) for _, entry in entries):
            return True
        if commit_index(MemoryObjectStore(), index) != repo[head].tree:
            return True
        root = os.fsencode(git.root)
        return any(_differs(root + b"/" + path, entry) for path, entry in entries)
    except _PROBLEMS:
        return None


def _differs(path: bytes, entry: Any) -> bool:
    """Whether a file is another one than its entry in the index says."""
    from dulwich.index import blob_from_path_and_stat

    if stat.S_IFMT(entry.mode) not in (stat.S_IFREG, stat.S_IFLNK):
        return False  # a submodule
    try:
        found = os.lstat(path)
        if stat.S_IFMT(found.st_mode) != stat.S_IFMT(entry.mode) or found.st_size != entry.size:
            return True
        if entry.mtime == divmod(found.st_mtime_ns, 1_000_000_000):
            return False
        return bool(blob_from_path_and_stat(path, found).id != entry.sha)
    except OSError:
        return True
