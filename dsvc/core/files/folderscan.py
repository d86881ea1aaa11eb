"""Looking through the tracked folders: which files there are now, and which keys differ from the last look."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from dsvc.core.files.choosing import (
    EXPORT_MARK,
    HIDDEN,
    IGNORE_FILE,
    IGNORED,
    OTHER,
    OWN_FOLDERS,
    PASSED,
    TAKEN,
    WRONG,
    LeftOut,
    Rules,
    looks_like_media,
    rules_for,
)
from dsvc.core.files.filetable import GRAIN, NO_BLOB, FileTable, Folder, now
from dsvc.core.files.scanning import STAMP, UNSURE, Lister, Listing, packed
from dsvc.core.files.tracking import Tracked, is_in, owner
from dsvc.core.files.worktree import Problem, reason, wrong_kind, wrong_link
from dsvc.core.keys import check_key
from dsvc.errors import RefusedError
from dsvc.model.incoming import Progress

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_UNSURE = packed(UNSURE)


class FolderScan:
    """One look. It brings the table up to date.

    `unreadable` names folders of which nothing is known. A folder that the rules pass over is entered where
    `has_inputs` says, of what keys in it begin with, that inputs came from there.
    Those that are `closed`, by their paths, are never entered.
    """

    def __init__(
        self,
        root: str,
        tracked: list[Tracked],
        table: FileTable,
        has_inputs: Callable[[str], bool],
        closed: Collection[str] = (),
    ) -> None:
        self._root = root
        self._closed = frozenset(closed)
        self._tracked = tracked
        self._table = table
        self._has_inputs = has_inputs
        self._visited: dict[str, Tracked] = {}
        self._problems: list[Problem] = []
        self._touched: set[str] = set()
        self._files = 0
        self._begun = now()
        self.unreadable: list[str] = []

    def run(self, starts: Collection[str], lister: Lister, progress: Progress | None = None) -> set[str]:
        """Look through folders that are tracked or lie in one that is.

        The keys whose file came, went, or may have other bytes than before.
        """
        for start in starts:
            self._walk(start, lister, progress)
        for path in list(self._table.folders):
            if path not in self._visited and any(is_in(path, start) for start in starts):
                self._forget(path)
        return self._touched

    def report(self, problem: Problem) -> None:
        """Note a file that cannot be read."""
        self._problems.append(problem)

    def folders(self) -> Iterator[tuple[Tracked, str, Folder]]:
        """The folders that there are, with their paths."""
        for path, tracked in self._visited.items():
            yield tracked, path, self._table.folders[path]

    def saw(self, path: str) -> bool:
        """Whether a folder was looked through."""
        return path in self._visited

    def problems(self) -> Iterator[Problem]:
        """What could not be taken, and why."""
        yield from self._problems
        for tracked, path, folder in self.folders():
            if WRONG in folder.kinds:
                for name, at in sorted(folder.places.items()):
                    if folder.kinds[at] == WRONG:
                        below = _join(path, name)
                        yield Problem(Path(self._root, below), self._what_is_wrong(tracked, below) or "is no file")

    def left_out(self) -> LeftOut:
        """How many files were passed over."""
        totals = dict.fromkeys((HIDDEN, IGNORED, OTHER), 0)
        for _, _, folder in self.folders():
            for kind in totals:
                totals[kind] += folder.kinds.count(kind) + folder.passed.count(kind)
        return LeftOut(*totals.values())

    # ---- walking

    def _walk(self, start: str, lister: Lister, progress: Progress | None) -> None:
        tracked = owner(self._tracked, start)
        assert tracked is not None
        # Keys, and where links may lead, follow from these.
        seed = f"{tracked.folder}\0{tracked.root}".encode("utf-8", "surrogateescape")
        stack = [(start, rules_for(self._root, start, tracked.all_files, self._unusable, seed))]
        while stack:
            path, rules = stack.pop()
            if path in self._visited:
                continue
            listing = lister.list(path)
            if isinstance(listing, int):
                self._fail(path, listing)
                continue
            self._visited[path] = tracked
            if IGNORE_FILE.encode() in listing[1]:
                rules = rules.read(self._root, path, self._unusable)
            if path != start and _is_export(listing[1]):
                rules = rules.closed(IGNORED)
            folder = self._update(tracked, path, rules, listing)
            stack += reversed(self._enter(tracked, path, rules, listing, folder))
            self._files += len(folder.kinds)
            if progress:
                progress("look through folders", self._files, None)

    def _unusable(self, place: str, error: OSError) -> None:
        self.report(Problem(Path(place), f"{reason(error)}; nothing new is taken of what it may name"))

    def _fail(self, path: str, number: int) -> None:
        """A folder that is not there has no files; of one that can't be read, nothing is known."""
        if number not in _GONE:
            self.report(Problem(Path(self._root, path), reason(OSError(number, os.strerror(number)))))
            self.unreadable.append(path)

    def _enter(
        self, tracked: Tracked, path: str, rules: Rules, listing: Listing, folder: Folder
    ) -> list[tuple[str, Rules]]:
        """The folders to go on with, and their rules; what else there is, is noted."""
        found = []
        passed = bytearray()
        for name in sorted(listing[0]):
            below = _join(path, name)
            kind = rules.folder(below, name)
            if any(below == one.folder for one in self._tracked) or name in OWN_FOLDERS or below in self._closed:
                continue
            if kind == TAKEN:
                found.append((below, rules))
                continue
            passed.append(kind)
            if self._has_inputs(f"{tracked.key(below)}/"):
                found.append((below, rules.closed(PASSED)))
        folder.passed = bytes(passed)
        return found

    def _update(self, tracked: Tracked, path: str, rules: Rules, listing: Listing) -> Folder:
        _, names, stamps = listing
        old = self._table.folders.get(path)
        if old is not None and old.names == names and old.stamps == stamps and old.digest == rules.digest:
            return old
        new = self._table.folders[path] = self._merged(tracked, path, rules, Folder(names, stamps, b"", b"", b""), old)
        self._table.touch()
        return new

    def _merged(self, tracked: Tracked, path: str, rules: Rules, new: Folder, old: Folder | None) -> Folder:
        """The folder as it is now; of files with the stamp that they had, what was known stays."""
        left = dict(old.places) if old is not None else {}
        kinds, blobs, stamps = bytearray(), bytearray(), bytearray(new.stamps)
        for at, name in enumerate(new.listed()):
            stamp, before = slice(at * STAMP, (at + 1) * STAMP), left.pop(name, None)
            known = _known(old, before, new.stamps[stamp])
            blobs += known[1] if known is not None else NO_BLOB
            if known is not None and old is not None and old.digest == rules.digest:
                kinds.append(known[0])
                continue
            below = _join(path, name)
            kind, is_sure = self._kind(tracked, below, name, rules, new.stamp(at))
            kinds.append(kind)
            if not is_sure:
                stamps[stamp] = _UNSURE
            self._touched.add(tracked.key(below))
        self._touched.update(tracked.key(_join(path, name)) for name in left)
        new.kinds, new.blobs, new.stamps, new.digest = bytes(kinds), bytes(blobs), bytes(stamps), rules.digest
        return new

    def _forget(self, path: str) -> None:
        """A folder that is no more."""
        folder = self._table.folders.pop(path)
        tracked = owner(self._tracked, path)
        if tracked is not None:
            self._touched.update(tracked.key(_join(path, name)) for name in folder.listed())
        self._table.touch()

    def _kind(
        self, tracked: Tracked, path: str, name: str, rules: Rules, stamp: tuple[int, int, int]
    ) -> tuple[int, bool]:
        """What becomes of a file, and whether that stands as long as it has this stamp."""
        kind = rules.file(path, name)
        if kind is not None and kind != TAKEN:
            return kind, True
        # A stamp below zero is that of a link, or of what is no file at all.
        if _is_no_key(tracked.key(path)) or (stamp[2] < 0 and self._what_is_wrong(tracked, path)):
            return WRONG, True
        if kind is None:
            is_media = looks_like_media(f"{self._root}/{path}")
            return TAKEN if is_media else OTHER, is_media is not None and stamp[1] < self._begun - GRAIN
        return TAKEN, True

    def _what_is_wrong(self, tracked: Tracked, path: str) -> str | None:
        if wrong := _is_no_key(tracked.key(path)):
            return wrong
        place, base = f"{self._root}/{path}", self._root
        if tracked.folder:
            base = os.path.realpath(f"{self._root}/{tracked.folder}")
        try:
            return wrong_link(place, base, self._root) or wrong_kind(Path(place).stat().st_mode)
        except OSError as error:
            return reason(error)


def _known(folder: Folder | None, at: int | None, stamp: bytes | bytearray) -> tuple[int, bytes] | None:
    """What was known of a file, its kind and the id of its bytes, if it has the stamp that it had then."""
    if folder is None or at is None or folder.stamps[at * STAMP : (at + 1) * STAMP] != stamp:
        return None
    return folder.kinds[at], folder.blob(at)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _is_no_key(key: str) -> str | None:
    """Why a file's name can be no key, or None."""
    try:
        check_key(key)
    except RefusedError as error:
        return error.message
    return None


def _is_export(names: bytes) -> bool:
    """Whether the files of a folder say that it is an export of dsvc's own."""
    mark = EXPORT_MARK.encode()
    return mark in names and mark in names.split(b"\0")
