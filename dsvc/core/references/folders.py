"""The files below a folder with what the system says of each: one look at every file, folder by folder.

For 200,000 files on a slow file system: nothing is opened, names come with their kinds, and where looks have to be
waited for, they are made side by side.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from operator import attrgetter
from time import perf_counter
from typing import NamedTuple

from dsvc.core.files.worktree import reason, wrong_kind
from dsvc.core.keys import display
from dsvc.core.references.threads import side_by_side

CHUNK = 4096  # files of one folder, before they are handed on
SLOW = 200e-6  # seconds: a look that takes longer is waited for, not worked on
_OWN_FOLDERS = frozenset({".git", ".dsvc"})

# A file's name in its folder, its size, its ETag (no file has one), its time of change in nanoseconds.
Row = tuple[str, int | None, str | None, int | None]
# What cannot be taken: the place, and why.
Report = Callable[[str, str], None]


class Listing(NamedTuple):
    """Files of one folder. `inner` names the folders in it once all of its files are told; None before that.

    `hidden` counts dot files and dot folders that were passed over, so far.
    """

    folder: str
    rows: list[Row]
    inner: list[str] | None = None
    hidden: int = 0


class FolderWalk:
    """Walks a folder. What `known` has of an earlier walk is not looked at again; `look` False leaves sizes out.

    Links are followed to files inside the start, and never to folders; other kinds of files go to `report`.
    """

    def __init__(self, start: str, known: Mapping[str, Listing], report: Report, look: bool = True) -> None:
        self._start = start
        self._known = known
        self._report = report
        self._look = look
        self._slow = False

    def __iter__(self) -> Iterator[tuple[Listing, bool]]:
        """The listings, and whether each is new, in the order of the folders' names."""
        stack = [self._start]
        while stack:
            folder = stack.pop()
            known = self._known.get(folder)
            if known is not None and known.inner is not None:
                yield known, False
                inner = known.inner
            else:
                inner = yield from self._folder(folder, known)
            lead = folder if folder.endswith(os.sep) else folder + os.sep
            stack += [lead + name for name in reversed(inner)]

    def _folder(self, folder: str, known: Listing | None) -> Generator[tuple[Listing, bool], None, list[str]]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=attrgetter("name"))
        except OSError as error:
            self._report(folder, reason(error))
            return []
        names = {row[0] for row in known.rows} if known is not None else set[str]()
        inner, files, others, hidden = list[str](), list[os.DirEntry[str]](), list[os.DirEntry[str]](), 0
        for entry in entries:
            if entry.name[0] == ".":
                hidden += entry.name not in _OWN_FOLDERS
            elif not entry.name.isascii() and not _is_unicode(entry.name):
                others.append(entry)
            elif entry.is_file(follow_symlinks=False):
                if entry.name not in names:
                    files.append(entry)
            elif entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            elif entry.name not in names:
                others.append(entry)
        if known is not None:
            yield known, False
        chunks = [files[at : at + CHUNK] for at in range(0, len(files), CHUNK)] or [[]]
        whole = True
        for chunk in chunks[:-1]:
            rows = self._rows(chunk)
            whole = whole and len(rows) == len(chunk)
            yield Listing(folder, rows), True
        rows = self._rows(chunks[-1]) + [row for entry in others if (row := self._other(entry))]
        whole = whole and len(rows) == len(chunks[-1]) + len(others)
        # Where something was reported, whoever goes on with this walk has to report it again, and so to look again.
        yield Listing(folder, rows, inner if whole else None, hidden), True
        return inner

    def _rows(self, entries: list[os.DirEntry[str]]) -> list[Row]:
        """What the system says of regular files, less those that had to be reported."""
        if not self._look:
            return [(entry.name, None, None, None) for entry in entries]
        begin = perf_counter()
        found = list(side_by_side(_look, entries, 16) if self._slow else map(_look, entries))
        if not self._slow:
            self._slow = perf_counter() - begin > SLOW * max(len(entries), 20)
        rows = [row for row in found if type(row) is tuple]
        if len(rows) < len(found):
            for entry, row in zip(entries, found, strict=True):
                if type(row) is str:
                    self._report(entry.path, row)
        return rows

    def _other(self, entry: os.DirEntry[str]) -> Row | None:
        """What the system says of a link's target; None for what had to be reported."""
        if not _is_unicode(entry.name):
            self._report(entry.path, "is not Unicode: its name holds bytes that are not UTF-8")
            return None
        try:
            status = entry.stat()
            wrong = wrong_kind(status.st_mode, is_link=entry.is_symlink())
            target = os.path.realpath(entry.path)
        except OSError as error:
            self._report(entry.path, reason(error))
            return None
        if wrong is None and not target.startswith(os.path.join(os.path.realpath(self._start), "")):  # noqa: PTH118
            wrong = f"is a link that leads out of the folder, to {display(target)}"
        if wrong:
            self._report(entry.path, wrong)
            return None
        return entry.name, status.st_size, None, status.st_mtime_ns


def _look(entry: os.DirEntry[str]) -> Row | str:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return reason(error)
    return entry.name, status.st_size, None, status.st_mtime_ns


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
