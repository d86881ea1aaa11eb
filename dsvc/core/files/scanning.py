"""Listing folders with the stamps of their files: many at once, some of them by a second process.

The second process runs this module as a script, so it imports next to nothing, not even `typing`.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence

Stamp = tuple[int, int, int]
# (folders, names, stamps): the names of folders; of what else there is, in the order of the disk, joined by NUL; of
# each of these a stamp as three int64: a file's size, mtime in nanoseconds and inode; for a link, those of what it
# leads to, with a mark (below zero) of the place in the inode's stead.
Listing = tuple[list[str], bytes, bytes]
STAMP = 24  # bytes of a stamp
BROKEN_LINK: Stamp = (-1, -1, -1)
NO_FILE: Stamp = (-2, -2, -2)  # a pipe, a socket, a device
UNSURE: Stamp = (-3, -3, -3)  # never found on disk: a file that must be looked at again
# With fewer files, a second process would start when all is done.
WORTHWHILE = 20_000
_WRAP = 1 << 63
_ANSWER = b"dsvclist"
_FOLDER_FLAGS = os.O_RDONLY
for _flag in ("O_DIRECTORY", "O_CLOEXEC"):
    _FOLDER_FLAGS |= getattr(os, _flag, 0)


def list_folder(path: str) -> Listing | int:
    """What a folder holds, or the number of the error that reading it gave."""
    try:
        # Relative to an open folder the system finds files faster than by their whole paths.
        handle = os.open(path, _FOLDER_FLAGS) if os.scandir in os.supports_fd else None
    except OSError as error:
        return error.errno or -1
    except ValueError:  # a name that the system cannot have
        return 2
    try:
        return _list(handle if handle is not None else path, path)
    except OSError as error:
        return error.errno or -1
    finally:
        if handle is not None:
            os.close(handle)


def _list(source: int | str, path: str) -> Listing:
    folders: list[str] = []
    names: list[str] = []
    stamps: list[int] = []
    take_name, take_stamp = names.append, stamps.extend
    with os.scandir(source) as entries:
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
            else:
                take_name(entry.name)
                take_stamp(_link(f"{path}/{entry.name}") if entry.is_symlink() else NO_FILE)
    return folders, "\0".join(names).encode("utf-8", "surrogateescape"), packed(stamps)


def packed(stamps: Iterable[int]) -> bytes:
    """Stamps as bytes."""
    values = list(stamps)
    try:
        return array("q", values).tobytes()
    except OverflowError:  # inodes beyond 63 bits
        return array("q", [(value + _WRAP) % (2 * _WRAP) - _WRAP for value in values]).tobytes()


def _link(path: str) -> Stamp:
    try:
        target = os.path.realpath(path)
        found = os.lstat(target)
    except (OSError, ValueError):
        return BROKEN_LINK
    return link_stamp(target, (found.st_size, found.st_mtime_ns, found.st_ino), found.st_mode)


def link_stamp(target: str, stamp: Stamp, mode: int = stat.S_IFREG) -> Stamp:
    """The stamp of a link by where it ends and the stamp of what is there."""
    from hashlib import blake2b

    text = f"{stamp[2]} {stat.S_IFMT(mode)} {target}".encode("utf-8", "surrogateescape")
    mark = int.from_bytes(blake2b(text, digest_size=7).digest(), "big")
    return stamp[0], stamp[1], -16 - mark


class Lister:
    """Lists folders. Some that are known beforehand are listed by a second process meanwhile."""

    def __init__(self, root: str, known: Sequence[str] = ()) -> None:
        self._root = root
        self._known = frozenset(known)
        self._ahead: dict[str, Listing | int] | None = None
        self._output = b""
        self._thread: threading.Thread | None = None
        if known and os.name == "posix":
            import threading

            self._thread = threading.Thread(target=self._run, args=("\0".join((root, *known)),), daemon=True)
            self._thread.start()

    def list(self, folder: str) -> Listing | int:
        """What a folder, named by its path below the root, holds."""
        if folder in self._known:
            found = self._listed().get(folder)
            if isinstance(found, int | tuple):
                return found
        return list_folder(f"{self._root}/{folder}" if folder else self._root)

    def _listed(self) -> dict[str, Listing | int]:
        if self._ahead is None:
            if self._thread is not None:
                self._thread.join()
            self._ahead = _understood(self._output)
            self._output = b""
        return self._ahead

    def _run(self, request: str) -> None:
        import subprocess

        # It must read names as this process does, whatever the environment says of that.
        command = [sys.executable, "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}", __file__]
        try:
            done = subprocess.run(
                command, input=os.fsencode(request), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            )
        except (OSError, ValueError, TypeError):  # no interpreter to start, or a name that cannot be handed over
            return
        self._output = done.stdout if done.returncode == 0 else b""


def _understood(output: bytes) -> dict[str, Listing | int]:
    """The answer of the second process; where it could not start, or died, nothing: then all is listed here."""
    if not output.startswith(_ANSWER):
        return {}
    try:
        return dict(marshal.loads(memoryview(output)[len(_ANSWER) :]))
    except (EOFError, ValueError, TypeError):
        return {}


def split_known(folders: Iterable[tuple[str, int]]) -> list[str]:
    """Of folders with their counts of files, those that a second process should list: about half of the files."""
    found = list(folders)
    total = sum(count for _, count in found)
    if total < WORTHWHILE or _processors() < 2:
        return []
    ahead, taken = 0, list[str]()
    half = total // 2
    for folder, count in reversed(found):
        # The first folders are looked for at once, so they are none of these: whoever waits for one waits for all.
        if taken and (ahead >= half or ahead + count > half):
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
        answered.write(_ANSWER + marshal.dumps(dict(_answer(os.fsdecode(asked.read())))))
