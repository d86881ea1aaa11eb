"""Listing folders with the stamps of their files: many at once, the last ones by a second process.

This module imports nothing but the standard library, since the second process runs it as a script.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence

# (folders, names, stamps, others): the names of folders; of files, in the order of the disk, joined by NUL; of each
# file size, mtime in nanoseconds and inode as int64; the names of what is neither. A link counts as what it leads to.
Listing = tuple[list[str], bytes, bytes, list[str]]
STAMP = 24  # bytes of a file's stamp
NO_STAMP = (-1, -1, -1)
# With fewer files, a second process would start when all is done.
WORTHWHILE = 20_000
_WRAP = 1 << 63


def list_folder(path: str) -> Listing | int:
    """What a folder holds, or the number of the error that reading it gave."""
    folders: list[str] = []
    names: list[str] = []
    others: list[str] = []
    stamps: list[int] = []
    take_name, take_stamp = names.append, stamps.extend
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    take_name(entry.name)
                    take_stamp((found.st_size, found.st_mtime_ns, found.st_ino))
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_symlink():
                    take_name(entry.name)
                    take_stamp(_target(entry))
                else:
                    others.append(entry.name)
    except OSError as error:
        return error.errno or -1
    return folders, "\0".join(names).encode("utf-8", "surrogateescape"), _packed(stamps), others


def _packed(stamps: list[int]) -> bytes:
    try:
        return array("q", stamps).tobytes()
    except OverflowError:  # inodes beyond 63 bits
        return array("q", [(value + _WRAP) % (2 * _WRAP) - _WRAP for value in stamps]).tobytes()


def _target(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    try:
        found = entry.stat()
    except OSError:
        return NO_STAMP
    return found.st_size, found.st_mtime_ns, found.st_ino


class Lister:
    """Lists folders. Some that are known beforehand are listed by a second process meanwhile."""

    def __init__(self, root: str, known: Sequence[str] = ()) -> None:
        self._root = root
        self._known = frozenset(known)
        self._ahead: dict[str, Listing | int] | None = None
        self._output = b""
        self._thread: threading.Thread | None = None
        if known and os.name == "posix":
            self._thread = threading.Thread(target=self._run, args=("\0".join((root, *known)),), daemon=True)
            self._thread.start()

    def list(self, folder: str) -> Listing | int:
        """What a folder, named by its path below the root, holds."""
        if folder in self._known:
            found = self._listed().get(folder)
            if found is not None:
                return found
        return list_folder(f"{self._root}/{folder}" if folder else self._root)

    def _listed(self) -> dict[str, Listing | int]:
        if self._ahead is None:
            if self._thread is not None:
                self._thread.join()
            try:
                self._ahead = dict(marshal.loads(self._output))
            except (EOFError, ValueError, TypeError):  # it could not start, or died: then they are listed here
                self._ahead = {}
            self._output = b""
        return self._ahead

    def _run(self, request: str) -> None:
        command = [sys.executable, "-I", "-S", __file__]
        try:
            done = subprocess.run(
                command, input=os.fsencode(request), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            )
        except OSError:
            return
        self._output = done.stdout if done.returncode == 0 else b""


def split_known(folders: Iterable[tuple[str, int]]) -> list[str]:
    """Of folders with their counts of files, those that a second process should list: about half of the files."""
    found = list(folders)
    total = sum(count for _, count in found)
    if total < WORTHWHILE or _processors() < 2:
        return []
    ahead, taken = 0, []
    for folder, count in reversed(found):
        if ahead + count > total // 2:
            break
        ahead += count
        taken.append(folder)
    return taken


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _answer(request: str) -> Iterator[tuple[str, Listing | int]]:
    root, *folders = request.split("\0")
    for folder in folders:
        yield folder, list_folder(f"{root}/{folder}" if folder else root)


if __name__ == "__main__":
    with open(0, "rb") as asked, open(1, "wb") as answered:
        answered.write(marshal.dumps(list(_answer(os.fsdecode(asked.read())))))
