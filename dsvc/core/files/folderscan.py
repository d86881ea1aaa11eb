"""Looking through the tracked folders: which files there are now, and which keys differ from the last look."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from dsvc.core.files.choosing import (
    HIDDEN,
    IGNORE_FILE,
    OWN_FOLDERS,
    TAKEN,
    WRONG,
    Rules,
    read_ignore_file,
    rules_for,
)
from dsvc.core.files.filetable import NO_BLOB, FileTable, Folder
from dsvc.core.files.scanning import STAMP, Lister, Listing, split_known
from dsvc.core.files.tracking import Tracked
from dsvc.core.files.worktree import Problem, reason, wrong_link
from dsvc.core.keys import check_key
from dsvc.errors import RefusedError
from dsvc.model.incoming import Progress

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})


class FolderScan:
    """One look. It brings the table up to date; `absent` names tracked folders that are not there."""

    def __init__(self, root: str, tracked: list[Tracked], table: FileTable, progress: Progress | None = None) -> None:
        self._root = root
        self._tracked = tracked
        self._table = table
        self._progress = progress
        self._visited: dict[str, Tracked] = {}
        self._problems: list[Problem] = []
        self._touched: set[str] = set()
        self._files = 0
        self.absent: list[str] = []

    def run(self) -> set[str]:
        """Look through all. The keys whose file came, went, or may have other bytes than before."""
        known = [(p, len(f.kinds)) for p, f in self._table.folders.items() if any(t.holds(p) for t in self._tracked)]
        lister = Lister(self._root, split_known(known))
        for tracked in self._tracked:
            self._walk(tracked, lister)
        for path, _ in known:
            if path not in self._visited:
                self._forget(path)
        return self._touched

    def report(self, problem: Problem) -> None:
        """Note a file that cannot be read."""
        self._problems.append(problem)

    def folders(self) -> Iterator[tuple[Tracked, str, Folder]]:
        """The folders that there are, with their paths."""
        for path, tracked in self._visited.items():
            folder = self._table.folders.get(path)
            if folder is not None:
                yield tracked, path, folder

    def problems(self) -> Iterator[Problem]:
        """What could not be taken, and why."""
        yield from self._problems
        for tracked, path, folder in self.folders():
            wrong = [name for name, kind in zip(folder.listed(), folder.kinds, strict=True) if kind == WRONG]
            for name in (*wrong, *(other[1:] for other in folder.others if other[0] == chr(WRONG))):
                below = f"{path}/{name}" if path else name
                yield Problem(Path(self._root, below), self._what_is_wrong(tracked, below) or "is no regular file")

    # ---- walking

    def _walk(self, tracked: Tracked, lister: Lister) -> None:
        stack = [(tracked.folder, rules_for(self._root, tracked.folder, tracked.all_files))]
        while stack:
            path, rules = stack.pop()
            if path in self._visited:
                continue
            listing = lister.list(path)
            if isinstance(listing, int):
                self._fail(tracked, path, listing)
                continue
            self._visited[path] = tracked
            names = listing[1]
            if IGNORE_FILE.encode() in names:
                rules = rules.below(path, read_ignore_file(f"{self._root}/{path}" if path else self._root))
            folder = self._update(tracked, path, rules, listing)
            stack += [(below, rules) for below in reversed(self._enter(path, rules, listing, folder))]
            self._files += len(folder.kinds)
            if self._progress:
                self._progress("look through folders", self._files, None)

    def _fail(self, tracked: Tracked, path: str, number: int) -> None:
        """A folder that is not there has no files; of one that can't be read, what was known of it stands."""
        if number not in _GONE:
            self._problems.append(Problem(Path(self._root, path), reason(OSError(number, os.strerror(number)))))
            self._visited[path] = tracked
        if path == tracked.folder:
            self.absent.append(path)

    def _enter(self, path: str, rules: Rules, listing: Listing, folder: Folder) -> list[str]:
        """The folders to go on with; what else there is, is noted."""
        found: list[str] = []
        others = [chr(WRONG) + name for name in listing[3] if not name.startswith(".")]
        for name in sorted(listing[0]):
            below = f"{path}/{name}" if path else name
            kind = rules.folder(below, name)
            if kind == TAKEN:
                found.append(below)
            elif not (kind == HIDDEN and name in OWN_FOLDERS):
                others.append(chr(kind) + name)
        folder.others = others
        return found

    def _update(self, tracked: Tracked, path: str, rules: Rules, listing: Listing) -> Folder:
        _, names, stamps, _ = listing
        old = self._table.folders.get(path)
        if old is not None and old.names == names and old.stamps == stamps and old.digest == rules.digest:
            return old
        new = self._merged(tracked, path, rules, (names, stamps), old)
        self._table.folders[path] = new
        self._table.touch()
        return new

    def _merged(
        self, tracked: Tracked, path: str, rules: Rules, listed: tuple[bytes, bytes], old: Folder | None
    ) -> Folder:
        """The folder as it is now; of files with the stamp that they had, what was known stays."""
        names, stamps = listed
        new = Folder(names, stamps, b"", b"", rules.digest)
        same_rules = old is not None and old.digest == rules.digest
        left = dict(old.places) if old is not None else {}
        kinds, blobs = bytearray(), bytearray()
        for at, name in enumerate(new.listed()):
            before = left.pop(name, None) if old is not None else None
            is_same = (
                old is not None
                and before is not None
                and stamps[at * STAMP : (at + 1) * STAMP] == (old.stamps[before * STAMP : (before + 1) * STAMP])
            )
            if is_same and same_rules:
                assert old is not None and before is not None
                kinds.append(old.kinds[before])
                blobs += old.blob(before)
                continue
            below = f"{path}/{name}" if path else name
            kind = self._kind(tracked, below, name, rules)
            kinds.append(kind)
            blobs += old.blob(before) if is_same and old is not None and before is not None else NO_BLOB
            if kind == TAKEN or (old is not None and before is not None and old.kinds[before] == TAKEN):
                self._touch(tracked, below, is_there=kind == TAKEN)
        new.kinds, new.blobs = bytes(kinds), bytes(blobs)
        for name, before in left.items():
            if old is not None and old.kinds[before] == TAKEN:
                self._touch(tracked, f"{path}/{name}" if path else name, is_there=False)
        return new

    def _forget(self, path: str) -> None:
        """A folder that is no more."""
        folder = self._table.folders.pop(path)
        tracked = next(t for t in self._tracked if t.holds(path))
        for name, _ in folder.taken():
            self._touch(tracked, f"{path}/{name}" if path else name, is_there=False)
        self._table.touch()

    def _touch(self, tracked: Tracked, path: str, is_there: bool) -> None:
        key = tracked.key(path)
        self._touched.add(key)
        if is_there:
            self._table.gone.discard(key)
        elif not tracked.prefix:
            self._table.gone.add(key)

    def _kind(self, tracked: Tracked, path: str, name: str, rules: Rules) -> int:
        place = f"{self._root}/{path}"
        kind = rules.file(path, name, place)
        if kind == TAKEN and self._what_is_wrong(tracked, path):
            return WRONG
        return kind

    def _what_is_wrong(self, tracked: Tracked, path: str) -> str | None:
        try:
            check_key(tracked.key(path))
        except RefusedError as error:
            return error.message
        base = f"{self._root}/{tracked.folder}" if tracked.folder else self._root
        try:
            return wrong_link(f"{self._root}/{path}", base, self._root)
        except OSError as error:
            return reason(error)
