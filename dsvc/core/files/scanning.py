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
    from collections.abc import Iterable, Sequence
    from subprocess import Popen

Stamp = tuple[int, int, int]
# (folders, names, stamps): the names of folders; of what else there is, in the order of the disk, joined by NUL; of
# each of these a stamp as three int64: a file's size, mtime in nanoseconds and inode; for a link, those of what it
# leads to, with a mark (below zero) of the place in the inode's stead.
Listing = tuple[list[str], bytes, bytes]
STAMP = 24  # bytes of a stamp
BROKEN_LINK: Stamp = (-1, -1, -1)
NO_FILE: Stamp = (-2, -2, -2)  # a pipe, a socket, a device
UNSURE: Stamp = (-3, -3, -3)  # never found on disk: a file that must be looked at again
PLAN = "plan"  # the name of the file of folders that a second process lists
# With fewer files, a second process would start when all is done.
WORTHWHILE = 20_000
_LONE = 0.9  # of the files in one folder: then there is nothing to share
_PIPE = 1 << 20  # bytes
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
    """Lists folders below a root. A second process, if there is a plan for it, does so meanwhile, from the plan's end.

    Whatever has not come from there when it is asked for is listed here, so nobody waits for the second process.
    """

    def __init__(self, root: str, plan: str | None = None) -> None:
        self.root = root
        self._ahead: dict[str, Listing | int] = {}
        self._output = bytearray()
        self._is_answer = False
        self._process = _start(root, plan) if plan is not None else None

    def list(self, folder: str) -> Listing | int:
        """What a folder, named by its path below the root, holds."""
        self._receive()
        found = self._ahead.pop(folder, None)
        return found if found is not None else list_folder(f"{self.root}/{folder}" if folder else self.root)

    def close(self) -> None:
        """Have no more listed by the second process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()

    def _receive(self) -> None:
        """Take what the second process has found by now."""
        while self._process is not None and self._process.stdout is not None:
            piece = self._process.stdout.read(_PIPE)
            if piece is None:  # nothing yet
                return
            self._output += piece
            if not (piece and self._understand()):
                self.close()

    def _understand(self) -> bool:
        """Take whole answers from the output. False for what is none."""
        if not self._is_answer:
            if len(self._output) < len(_ANSWER):
                return _ANSWER.startswith(self._output)
            self._is_answer = self._output.startswith(_ANSWER)
            del self._output[: len(_ANSWER)]
        while self._is_answer and len(self._output) >= 4:
            end = 4 + int.from_bytes(self._output[:4], "little")
            if len(self._output) < end:
                break
            try:
                folder, found = marshal.loads(self._output[4:end])
                self._ahead[folder] = found
            except (EOFError, ValueError, TypeError):
                return False
            del self._output[:end]
        return self._is_answer


def lister_of(folder: str) -> Lister:
    """A lister for the project that a folder lies in; started before all else, so that it has looked by the time that
    the rest is loaded."""
    root = above = os.path.realpath(folder)
    while above and not _is_there(f"{above}/.dsvc/head"):
        above = above.rpartition("/")[0]
    return Lister(above or root, f"{above}/.dsvc/cache/{PLAN}" if above else None)


def plan_of(folders: Sequence[tuple[str, int]]) -> bytes | None:
    """What a second process should list: of folders with their counts of files, in the order in which they will be
    asked for, all; None where it would be no help."""
    total = sum(count for _, count in folders)
    if total < WORTHWHILE or max(count for _, count in folders) > total * _LONE:
        return None
    return "\0".join(path for path, count in folders if count).encode("utf-8", "surrogateescape")


def _start(root: str, plan: str) -> Popen[bytes] | None:
    """Start the second process, whose output is read without waiting; None where there is none."""
    if os.name != "posix" or _processors() < 2 or not _is_there(plan):
        return None
    from subprocess import DEVNULL, PIPE, Popen

    # It must read names as this process does, whatever the environment says of that.
    command = [sys.executable, "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}", __file__]
    try:
        process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, bufsize=0)
    except (OSError, ValueError, TypeError):  # no interpreter to start
        return None
    assert process.stdin is not None and process.stdout is not None
    try:
        with process.stdin as asked:
            asked.write(os.fsencode(f"{root}\0{plan}"))
    except OSError:  # it has died already, which its output tells
        pass
    os.set_blocking(process.stdout.fileno(), False)
    _widen(process.stdout.fileno())
    return process


def _widen(pipe: int) -> None:
    """Make room in a pipe, so that its writer need not wait."""
    import contextlib
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):  # more than a user may have
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except (OSError, ValueError):
        return False
    return True


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _answer(root: str, plan: str) -> None:
    with open(plan, "rb") as asked, open(1, "wb", buffering=0) as answered:
        answered.write(_ANSWER)
        folders = asked.read().decode("utf-8", "surrogateescape").split("\0")
        for folder in reversed(folders):
            found = marshal.dumps((folder, list_folder(f"{root}/{folder}" if folder else root)))
            data = memoryview(len(found).to_bytes(4, "little") + found)
            while data:
                data = data[answered.write(data) :]


if __name__ == "__main__":
    with open(0, "rb") as question:
        _answer(*os.fsdecode(question.read()).split("\0"))
