"""The files of a project folder: finding them, in a fixed order.

What cannot be taken (links out, pipes, unreadable folders, names that are no keys) is reported by name and
passed over; nothing is opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from dsvc.core.files.choosing import (
    HIDDEN,
    IGNORED,
    OTHER,
    OWN_FOLDERS,
    TAKEN,
    LeftOut,
    Rules,
    looks_like_media,
)
from dsvc.core.keys import check_key, display
from dsvc.errors import NotFoundError, RefusedError

_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was passed over, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{display(str(self.path))}: {self.reason}"


class FoundFile(NamedTuple):
    """A regular file: its input key, and where its bytes lie (a link's target)."""

    key: str
    path: str


Report = Callable[[Problem], None]


class FoundFiles(Iterator[FoundFile]):
    """The files under some paths, in the order of their keys below each; `left_out` counts what was passed over.

    A folder counts once, `.git` and `.dsvc` not at all.
    """

    def __init__(self, starts: list[str], root: str, report: Report, rules: Rules | None = None) -> None:
        self._counts = dict.fromkeys((HIDDEN, IGNORED, OTHER), 0)
        self._prefix = root if root.endswith(os.sep) else root + os.sep
        self._report = report
        # By folder; without any, hidden files are all that is passed over.
        self._rules = {root: rules.read(root, "", self._unusable)} if rules is not None else {}
        self._seen: set[str] | None = set() if len(starts) > 1 else None
        self._files = (file for start in starts for file in self._walk(start))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FoundFile:
        return next(self._files)

    @property
    def left_out(self) -> LeftOut:
        """What was passed over so far."""
        return LeftOut(*self._counts.values())

    def _unusable(self, place: str, error: OSError) -> None:
        self._report(Problem(Path(place), f"{reason(error)}; nothing is taken of what it may name"))

    def _walk(self, start: str) -> Iterator[FoundFile]:
        stack: list[Iterator[os.DirEntry[str]]] = []
        if Path(start).is_dir():
            stack.append(self._entries(start))
        else:
            yield from filter(None, [self._take(start, None, self._prefix)])
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif entry.is_dir(follow_symlinks=False):
                stack.append(self._entries(entry.path))
            elif file := self._take(entry.path, entry, start):
                yield file

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """What a folder holds, sorted so that the walk meets keys in their order."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=_place)
        except OSError as error:
            self._report(Problem(Path(folder), reason(error)))
            return
        rules = self._rules_of(folder)
        for entry in entries:
            kind = self._kind(entry, rules)
            if kind == TAKEN:
                yield entry
            elif entry.name not in OWN_FOLDERS:
                self._counts[kind] += 1

    def _rules_of(self, folder: str) -> Rules | None:
        if not self._rules:
            return None
        found = self._rules.get(folder)
        if found is None:
            over = self._rules_of(os.path.dirname(folder))  # noqa: PTH120
            assert over is not None
            path = folder.removeprefix(self._prefix).replace(os.sep, "/")
            root = self._prefix.rstrip(os.sep)
            found = over.closed() if over.ignores(f"{path}/") else over.read(root, path, self._unusable)
            self._rules[folder] = found
        return found

    def _kind(self, entry: os.DirEntry[str], rules: Rules | None) -> int:
        if rules is None:
            return HIDDEN if entry.name.startswith(".") else TAKEN
        path = entry.path.removeprefix(self._prefix).replace(os.sep, "/")
        if entry.is_dir(follow_symlinks=False):
            return rules.folder(path, entry.name)
        kind = rules.file(path, entry.name)
        if kind is not None:
            return kind
        is_file = entry.is_file()  # else it is taken, so that it is named as what it is
        return TAKEN if not is_file or looks_like_media(entry.path) else OTHER

    def _take(self, path: str, entry: os.DirEntry[str] | None, within: str) -> FoundFile | None:
        """The file at `path`, or None if it may not be taken; a link must end in the folder `within`."""
        target, wrong = path, None
        try:
            # A folder's entry says by itself whether it is a regular file: for most files, no call is needed.
            if entry is None or not entry.is_file(follow_symlinks=False):
                target, wrong = self._target(path, within)
            key = check_key(path.removeprefix(self._prefix).replace(os.sep, "/"))
        except OSError as error:
            wrong = reason(error)
        except RefusedError as error:
            wrong = error.message
        if wrong:
            self._report(Problem(Path(path), wrong))
            return None
        return FoundFile(key, target) if self._is_new(key) else None

    def _target(self, path: str, within: str) -> tuple[str, str | None]:
        """Where the bytes of `path` lie, and why they may not be read. Raises OSError."""
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode):
            return path, wrong_kind(status.st_mode)
        return os.path.realpath(path), wrong_link(path, within, self._prefix.rstrip(os.sep))

    def _is_new(self, key: str) -> bool:
        if self._seen is None:
            return True
        before = len(self._seen)
        self._seen.add(key)
        return len(self._seen) > before


def find_files(paths: Iterable[Path], root: Path, *, report: Report, rules: Rules | None = None) -> FoundFiles:
    """The regular files at and under `paths`, each once; keys are relative to `root`.

    Raises, before anything is yielded, NotFoundError for a path that doesn't exist and RefusedError for one
    outside `root` or in a `.dsvc` folder. What else cannot be taken goes to `report`. Inside folders, dot
    files and dot folders are passed over (named themselves, they are taken), links to files are followed when
    they stay in the folder, and links to folders never. `rules`, those of `root`, may pass over more.
    """
    base = os.path.realpath(root)
    return FoundFiles([real_start(path, root) for path in paths], base, report, rules)


def real_start(start: Path, root: Path) -> str:
    """Where a path really lies, its last part as spelled when that is a link to a file. Raises as `find_files` does."""
    path, base = os.fspath(start), os.path.realpath(root)
    shown = display(path)
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise NotFoundError(f"{shown}: there is no such file or folder") from error
    except OSError as error:
        raise RefusedError(f"{shown}: {reason(error)}") from error
    whole = stat.S_ISDIR(mode) or Path(path).is_dir()
    head, tail = os.path.split(path)
    real = os.path.realpath(path) if whole else str(Path(os.path.realpath(head), tail))
    if not _inside(real, base):
        hint = "name a folder that holds it with --root"
        raise RefusedError(f"{shown}: lies outside {display(base)}", hint)
    own = OWN_FOLDERS.intersection(Path(os.path.relpath(real, base)).parts)
    if own:
        whose = "the repository itself" if ".dsvc" in own else "Git"
        raise RefusedError(f"{shown}: belongs to {whose}", "name the files that are data")
    return real


def _place(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def wrong_link(path: str, within: str, root: str) -> str | None:
    """Why a link is not followed: it must end in a regular file in the folder `within`. None for what is none, too.

    Raises OSError for a link that leads nowhere, or in a circle.
    """
    if not stat.S_ISLNK(os.lstat(path).st_mode):
        return None
    target = os.path.realpath(path)
    if not _inside(target, within):
        return f"is a link that leads out of the folder, to {display(target)}"
    if OWN_FOLDERS.intersection(Path(target.removeprefix(root + os.sep)).parts):
        return f"is a link into {display(target)}, which is no data"
    mode = os.lstat(target).st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return wrong_kind(mode, is_link=True)


def wrong_kind(mode: int, is_link: bool = False) -> str | None:
    """Why what has this mode is not read, or None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    kind = _KINDS.get(stat.S_IFMT(mode), "a device")
    return f"is {'a link to ' if is_link else ''}{kind}, and only regular files are read"


def reason(error: OSError) -> str:
    """Why a file is passed over, for people."""
    if error.errno == errno.ELOOP:
        return "is a link that leads in a circle, or became one while it was read"
    if error.errno == errno.ENOENT:
        return "is not there any more, or a link to nothing"
    return f"cannot be read: {error.strerror or error}"
