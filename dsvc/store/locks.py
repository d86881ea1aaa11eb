"""The lock on a repository's folder: taken where locking works, and refused, by name, where it doesn't.

Network file systems may refuse locks, grant them to everybody, or keep them on one machine. A writer that trusted such
a lock could overwrite what another one publishes at the same moment. So on these the first lock of a process is put
to the test. Reading takes no lock, and goes on working.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from dsvc.errors import RefusedError

MOUNTS = Path("/proc/self/mountinfo")
# What lies on another machine, or is reached through a program that may treat locks as it likes.
NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs2", "glusterfs", "gpfs", "lustre",
        "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs",
    }
)  # fmt: skip
# FUSE file systems that know no locks: the kernel keeps them on this machine.
_LOCAL_ONLY = frozenset({"fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.davfs2"})
# Options of a mount that keep locks on this machine.
_LOCAL_OPTIONS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "nobrl", "localflock"})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP})
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_ELSEWHERE = "keep the repository on a local disk, and reach it from other machines through a clone"
_SETTING = "one_machine = true under [locks] in dsvc.toml"

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        while True:
            try:
                return msvcrt.locking(fd, msvcrt.LK_LOCK, 1)
            except OSError:  # LK_LOCK gives up after ten tries, a second apart
                continue

    def _is_free(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX)

    def _is_free(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        return True


class Mount(NamedTuple):
    """The file system that a path lies on: its type as Linux names it, and its options."""

    type: str
    options: frozenset[str]

    @property
    def is_network(self) -> bool:
        """Whether other machines may have it too, or a program decides what a lock is."""
        return self.type in NETWORK or self.type.startswith("fuse")

    @property
    def local_only(self) -> str | None:
        """Why its locks are known to hold on this machine only; None where they may reach others."""
        if self.type in _LOCAL_ONLY:
            return "it has none of its own"
        found = sorted(self.options & _LOCAL_OPTIONS) if self.type in NETWORK else []
        return f"it is mounted with {found[0]}" if found else None


def take_lock(fd: int, path: Path) -> None:
    """Wait for the lock on the open file `path`. Raises RefusedError where its file system has none, OSError."""
    try:
        _lock(fd)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise _refusal(path, f"locks don't work on {_place(path)}: {error.strerror}") from error
        raise


def try_lock(fd: int) -> bool:
    """Take the lock on an open file, if nobody holds it; whether it was taken. Raises OSError where there is none."""
    return _is_free(fd)


def prove_lock(path: Path, one_machine: bool) -> None:
    """See that the lock on `path`, which this process holds, keeps others out. Raises RefusedError where it doesn't.

    Only network file systems are tried. With `one_machine`, a lock that keeps out this machine's others will do.
    """
    mount = mount_of(path)
    if mount is None or not mount.is_network:
        return
    second = os.open(path, os.O_RDWR)  # a description of its own, as another process would have
    try:
        if _is_free(second):
            raise _refusal(path, f"locks do nothing on {_place(path)}: two writers get the same one at once")
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise _refusal(path, f"locks don't work on {_place(path)}: {error.strerror}") from error
        raise
    finally:
        os.close(second)
    if mount.local_only is not None and not one_machine:
        hint = f"mount it with locking; or {_ELSEWHERE}; or, if only this machine writes to it: {_SETTING}"
        message = f"locks on {_place(path)} don't reach other machines, since {mount.local_only}; nothing was changed"
        raise RefusedError(message, hint)


def mount_of(path: Path) -> Mount | None:
    """The file system that a path lies on, or None where the system doesn't say."""
    try:
        rows = MOUNTS.read_bytes().splitlines()
        wanted = os.fsencode(os.path.realpath(path))
    except OSError:
        return None
    best, found = -1, None
    for row in rows:
        fields, _, rest = row.partition(b" - ")
        parts, kinds = fields.split(b" "), rest.split(b" ")
        if len(parts) < 6 or len(kinds) < 3:
            continue
        point = _ESCAPE.sub(lambda code: bytes([int(code[1], 8) & 255]), parts[4])
        inside = wanted == point or wanted.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= best:  # of two at one point, the later one covers the other
            options = b",".join((parts[5], kinds[2])).decode(errors="replace").split(",")
            best, found = len(point), Mount(kinds[0].decode(errors="replace"), frozenset(options))
    return found


def _place(path: Path) -> str:
    mount = mount_of(path)
    return f"the file system of {path.parent}" + (f" ({mount.type})" if mount is not None else "")


def _refusal(path: Path, message: str) -> RefusedError:
    hint = f"mount it with locking, or {_ELSEWHERE}; reading works as it is"
    return RefusedError(f"{message}; nothing was changed", hint)
