"""The Git repository that a project lies in: its folders, commits, refs, index and what they say of a file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dsvc.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from dulwich.repo import Repo

_SHORT = re.compile(r"[0-9a-f]{4,40}")
# Where Git keeps what it was at before a merge, a rebase or a reset.
_PSEUDO_REFS = (b"ORIG_HEAD", b"MERGE_HEAD", b"CHERRY_PICK_HEAD", b"REBASE_HEAD", b"FETCH_HEAD")
NOTHING = b"0" * 40


class GitRepository:
    """An open Git repository with a working tree. Use it as a context."""

    def __init__(self, repo: Repo) -> None:
        self._repo: Any = repo  # dulwich's types of ids say more than they hold

    @classmethod
    def find(cls, folder: Path) -> GitRepository | None:
        """The repository whose working tree a folder lies in, or None. Raises RefusedError where it cannot be read."""
        folder = folder.absolute()
        for place in (folder, *folder.parents):
            if (place / ".git").exists():
                return cls(_open(place))
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._repo.close()

    @property
    def root(self) -> Path:
        """The working tree's folder."""
        return Path(self._repo.path).absolute()

    @property
    def folder(self) -> Path:
        """Where Git keeps what is of this working tree: `.git`, or of a linked one a folder in the main one's."""
        return Path(self._repo.controldir()).resolve()

    @property
    def common(self) -> Path:
        """Where Git keeps what all working trees share."""
        return Path(self._repo.commondir()).resolve()

    def inside(self, path: Path) -> bytes:
        """A file's path as Git writes it, from the working tree's folder. Raises RefusedError where it is outside."""
        try:
            relative = path.absolute().relative_to(self.root)
        except ValueError:
            try:
                relative = path.resolve().relative_to(self.root.resolve())
            except ValueError:
                raise RefusedError(f"{path} lies outside of the working tree {self.root}") from None
        return os.fsencode(relative.as_posix())

    # ---- commits

    def commit(self, revision: str) -> bytes:
        """The id of the commit that a revision names, such as HEAD~3. Raises NotFoundError."""
        from dulwich.objects import Commit, Tag
        from dulwich.objectspec import parse_commit, parse_object

        name = os.fsencode(revision)
        for parse in (parse_object, parse_commit) if name else ():
            if parse is parse_commit and not _SHORT.fullmatch(revision):
                continue
            with contextlib.suppress(KeyError, ValueError, IndexError, TypeError, AttributeError, OSError):
                found: Any = parse(self._repo, name)
                while isinstance(found, Tag):
                    found = self._repo[found.object[1]]
                if isinstance(found, Commit):
                    return bytes(found.id)
        raise NotFoundError(
            f"Git has no commit {revision!r}", "see: git log; in a shallow clone: git fetch --unshallow"
        )

    def head(self) -> bytes | None:
        """The id of the commit that is checked out; None before the first."""
        try:
            return bytes(self._repo.head())
        except KeyError:
            return None

    def has_commit(self, id: bytes) -> bool:
        """Whether an id is that of a commit that is here."""
        from dulwich.objects import Commit

        return id in self._repo and isinstance(self._repo[id], Commit)

    def parents(self, commit: bytes) -> list[bytes]:
        """A commit's parents; none where a shallow clone ends."""
        try:
            return [bytes(parent) for parent in self._repo.get_parents(commit)]
        except KeyError:
            return []

    def read(self, commit: bytes, path: bytes) -> bytes | None:
        """What a file holds in a commit; None where it is not there, or the commit is not."""
        from dulwich.objects import Blob

        id = self._entry(commit, path)
        found = self._repo[id] if id is not None and id in self._repo else None
        return bytes(found.data) if isinstance(found, Blob) else None

    def walk(self, heads: list[bytes], path: bytes) -> Iterator[Any]:
        """The commits (of dulwich) behind some in which a file is another one than in all of their parents: the newest
        first, and of one second those first that lead to the others."""
        order = count()
        waiting = [(0, next(order), head) for head in heads]
        seen = set(heads)
        while waiting:
            _, _, id = heappop(waiting)
            commit, parents = self._repo[id], self.parents(id)
            entry = self._entry(id, path)
            if all(self._entry(parent, path) != entry for parent in parents) and (entry or parents):
                yield commit
            for parent in parents:
                if parent not in seen and parent in self._repo:
                    seen.add(parent)
                    heappush(waiting, (-self._repo[parent].commit_time, next(order), parent))

    def _entry(self, commit: bytes, path: bytes) -> bytes | None:
        """The id of what a path names in a commit, or None."""
        from dulwich.objects import Tree

        try:
            found: bytes = self._repo[commit].tree
            for part in path.split(b"/"):
                tree = self._repo[found]
                if not isinstance(tree, Tree):
                    return None
                found = tree[part][1]
        except KeyError:
            return None
        return found

    # ---- refs

    def refs(self) -> dict[bytes, bytes]:
        """All refs and the commits that they name, stashes too; and what Git was at before its last large step."""
        found: dict[bytes, bytes] = dict(self._repo.get_refs())
        for name in _PSEUDO_REFS:
            with contextlib.suppress(OSError):
                text = (self.folder / os.fsdecode(name)).read_bytes()[:40]
                if len(text) == 40:
                    found[name] = text
        return {name: _peeled(self._repo, sha) for name, sha in found.items()}

    def reflog(self, count: int, name: str = "HEAD") -> list[bytes]:
        """The last commits that a ref (by default HEAD) named before, the latest first."""
        folder = self.folder if name == "HEAD" else self.common
        try:
            lines = (folder / "logs" / name).read_bytes().splitlines()[-count:]
        except OSError:
            return []
        found = [sha for line in reversed(lines) for sha in (line[41:81], line[:40])]
        return [sha for sha in dict.fromkeys(found) if len(sha) == 40 and sha != NOTHING]

    # ---- the index

    def stages(self, path: bytes, index: Path | None = None) -> dict[int, bytes]:
        """What the index holds of a file: {0: content}, or of one in conflict the base's (1), ours (2), theirs (3).

        `index` is another file than the repository's own to look in.
        """
        from dulwich.index import ConflictedIndexEntry

        try:
            entry: Any = self._index(index)[path]
        except (KeyError, OSError, ValueError):
            return {}
        if not isinstance(entry, ConflictedIndexEntry):
            return {0: self._repo[entry.sha].data}
        sides = {1: entry.ancestor, 2: entry.this, 3: entry.other}
        return {stage: self._repo[side.sha].data for stage, side in sides.items() if side is not None}

    def stage(self, path: bytes) -> None:
        """Stage a file as it is in the working tree. Raises RefusedError where the index is locked, say."""
        try:
            self._repo.get_worktree().stage([path])
        except (OSError, ValueError) as error:
            raise RefusedError(f"{os.fsdecode(path)} cannot be staged: {error}", "stage it: git add") from error

    def _index(self, file: Path | None) -> Any:
        if file is None:
            return self._repo.open_index()
        from dulwich.index import Index

        return Index(str(self.root / file))


def _open(place: Path) -> Repo:
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        repo = Repo(str(place))
        if not (Path(repo.controldir()) / "HEAD").is_file():
            raise NotGitRepository(f"{repo.controldir()} is no Git repository")
        return repo
    except (NotGitRepository, OSError, ValueError, KeyError) as error:
        hint = "see what Git says: git status"
        raise RefusedError(
            f"the Git repository of {place} cannot be read: {error or type(error).__name__}", hint
        ) from error


def _peeled(repo: Repo, sha: bytes) -> bytes:
    """The commit behind a tag."""
    from dulwich.objects import Tag

    try:
        found: Any = repo[sha]
        while isinstance(found, Tag):
            found = repo[found.object[1]]
    except KeyError:
        return sha
    return bytes(found.id)
