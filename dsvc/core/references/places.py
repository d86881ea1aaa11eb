"""Places: where bytes lie that dsvc does not hold. An absolute path, or the URL of a web server or an object store.

A place is kept as text. What it says of its bytes is a `Look`; what cannot be had of it is a `PlaceError`, which
names no more of a URL than may be shown.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from dsvc.core.files.worktree import reason, wrong_kind
from dsvc.core.keys import display
from dsvc.errors import DsvcError, RefusedError, RemoteError

if TYPE_CHECKING:
    from dsvc.core.workspace import Workspace

PIECE = 1024 * 1024
ENOUGH = 50  # places in a row that are out of reach
WEB = ("http", "https")
CLOUD = ("s3", "gs", "az")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SECRETS = re.compile(
    r"x-(amz|goog)-(signature|credential|security-token)|signature|sig|(access_?)?token|api[_-]?key|password|secret",
    re.IGNORECASE,
)
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)

# Why a place does not give what was asked: it is not there, is out of reach, is not what it was, or cannot be read.
Trouble = Literal["gone", "unreachable", "changed", "refused"]


class PlaceError(Exception):
    """A place that does not give its bytes; `reason` is the end of a sentence that begins with the place."""

    def __init__(self, place: str, trouble: Trouble, reason: str) -> None:
        super().__init__(f"{shown_place(place)}: {reason}")
        self.place = place
        self.trouble = trouble
        self.reason = reason

    def told(self, key: str) -> DsvcError:
        """The error for an input whose bytes lie there."""
        message = f"{display(key)}: {self}"
        if self.trouble == "unreachable":
            return RemoteError(message, "see that the server can be reached, and run the command again")
        if self.trouble == "refused":
            return RefusedError(message, "see that you may read it, and run the command again")
        if self.trouble == "gone":
            return RefusedError(message, "bring it back, or take the input away: dsvc rm")
        return RefusedError(message, f"where it is meant to be so: dsvc add --reference {shown_place(self.place)}")


class Patience:
    """Ends a run that asks in vain: when so many places in a row are out of reach, the rest will be, too."""

    def __init__(self) -> None:
        self._count = 0

    def see(self, answer: object) -> None:
        """Take note of an answer. Raises RemoteError."""
        if not (isinstance(answer, PlaceError) and answer.trouble == "unreachable"):
            self._count = 0
            return
        self._count += 1
        if self._count == ENOUGH:
            message = f"{ENOUGH} places in a row are out of reach; the last is {answer}"
            raise RemoteError(message, "run the command again when they can be reached: it goes on where it stopped")


class Look(NamedTuple):
    """What a place tells of its bytes: how many, and an ETag or the time of the last change in nanoseconds."""

    size: int | None = None
    etag: str | None = None
    mtime: int | None = None


class Source(NamedTuple):
    """A place that is open: what it told then, and its bytes, once; `file` is there for local files only."""

    look: Look
    pieces: Iterator[bytes]
    file: BinaryIO | None = None


class Places:
    """Looks at places and reads them, from any thread. `workspace` has the settings of object stores."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        from dsvc.core.references.cloud import Cloud

        self.cloud = Cloud(workspace)

    def look(self, place: str) -> Look:
        """What a place tells of its bytes. Raises PlaceError."""
        kind = scheme(place)
        if kind in CLOUD:
            return self.cloud.look(place)
        if kind in WEB:
            from dsvc.core.references.web import look

            return look(place)
        return _local_look(place)

    def open(self, place: str) -> AbstractContextManager[Source]:
        """Open a place, as a context. Raises PlaceError, then or while its pieces are taken."""
        kind = scheme(place)
        if kind in CLOUD:
            return self.cloud.open(place)
        if kind in WEB:
            from dsvc.core.references.web import open_url

            return open_url(place)
        return _open_local(place)


def scheme(place: str) -> str:
    """What kind of URL a place is: "https", "s3", ...; empty for a local path."""
    found = _SCHEME.match(place)
    return found[1].lower() if found and not place.startswith(os.sep) else ""


def parse_place(text: str, folder: Path) -> str:
    """The place that a person's text names; a path is relative to `folder`.

    Paths become absolute and keep their links as spelled. Raises RefusedError for what cannot be a place, and for a
    URL that holds a secret, which would be committed for everybody to read.
    """
    kind = scheme(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError(f"{display(text)}: is not Unicode", "rename it") from None
    if kind == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise RefusedError(f"{display(text)}: lies on another machine", "name a path of this one, or a URL")
        return _parse_path(unquote(parts.path), Path(os.sep))
    if kind in WEB:
        return _parse_web(text)
    if kind in CLOUD:
        return _parse_cloud(text)
    if kind:
        raise RefusedError(f"{shown_place(text)}: no place of this kind is known", "a path, or https, s3, gs, az, file")
    return _parse_path(text, folder)


def _parse_path(text: str, folder: Path) -> str:
    if not text or "\0" in text:
        raise RefusedError(f"{display(text) or 'an empty text'}: names no file", "name a path or a URL")
    path = os.path.join(folder.absolute(), text)  # noqa: PTH118 (Path would take a final separator away unseen)
    parts = path.split(os.sep)  # noqa: PTH206 (the same)
    if ".." in parts:  # what lies above a link is known to the system alone
        last = len(parts) - parts[::-1].index("..")
        path = os.path.join(os.path.realpath(os.sep.join(parts[:last])), *parts[last:])  # noqa: PTH118
    path = os.path.normpath(path)
    return "/" + path.lstrip("/") if path.startswith("//") else path


def _parse_web(text: str) -> str:
    try:
        parts = urlsplit(text.partition("#")[0])
        _ = parts.port
    except ValueError:
        raise RefusedError(f"{shown_place(text)}: is no URL", "https://HOST/PATH") from None
    if _CONTROL.search(text) or not parts.hostname:
        raise RefusedError(f"{shown_place(text)}: is no URL", "https://HOST/PATH")
    if "@" in parts.netloc:
        raise _secret(text, "holds a user name or password")
    if any(_SECRETS.fullmatch(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise _secret(text, "is signed or holds a token")
    return parts._replace(scheme=parts.scheme.lower()).geturl()


def _secret(text: str, what: str) -> RefusedError:
    hint = "it would be committed, and may expire; use a URL without secrets, or s3://, gs://, az://"
    return RefusedError(f"{shown_place(text)}: {what}, and is not kept", hint)


def _parse_cloud(text: str) -> str:
    kind = scheme(text)
    bucket, _, path = text[len(kind) + 3 :].partition("/")
    if "@" in bucket:
        raise _secret(text, "holds a user name or password")
    parts = path.removesuffix("/").split("/")
    if not _BUCKET.fullmatch(bucket) or _CONTROL.search(path) or (path and not {"", ".", ".."}.isdisjoint(parts)):
        raise RefusedError(f"{shown_place(text)}: names no object", f"{kind}://BUCKET/PATH, or a prefix that ends in /")
    return f"{kind}://{bucket}/{path}"


def shown_place(place: str) -> str:
    """A place for people: of a URL, no user, no password, and no query that holds a secret."""
    kind = scheme(place)
    if not kind:
        return display(place)
    head, mark, query = place.partition("?") if kind not in CLOUD else (place, "", "")
    host, slash, path = head[len(kind) + 3 :].partition("/")
    if mark and any(_SECRETS.fullmatch(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        query = "..."
    return display(f"{kind}://{host.rpartition('@')[2]}{slash}{path}{mark}{query}")


# ---- local files


def _local_look(place: str) -> Look:
    try:
        status = os.stat(place)  # noqa: PTH116 (there may be 200,000)
    except OSError as error:
        raise local_error(place, error) from error
    return _checked(place, status)


def _checked(place: str, status: os.stat_result) -> Look:
    wrong = wrong_kind(status.st_mode)
    if wrong:
        raise PlaceError(place, "refused", wrong)
    return Look(status.st_size, None, status.st_mtime_ns)


def local_error(place: str, error: OSError) -> PlaceError:
    """What a failed call on a local file says."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    return PlaceError(place, "gone" if gone else "refused", "is not there" if gone else reason(error))


@contextmanager
def _open_local(place: str) -> Iterator[Source]:
    try:
        handle = os.open(place, _OPEN_FLAGS)
    except OSError as error:
        raise local_error(place, error) from error
    with open(handle, "rb", buffering=0) as file:
        status = os.fstat(handle)
        yield Source(_checked(place, status), _local_pieces(place, file, status), file)


def _local_pieces(place: str, file: BinaryIO, before: os.stat_result) -> Iterator[bytes]:
    """The bytes of an open file, which must stay as it is until the last is read."""
    read = 0
    try:
        while read <= before.st_size and (piece := file.read(min(PIECE, before.st_size - read + 1))):
            read += len(piece)
            yield piece
        after = os.fstat(file.fileno())
    except OSError as error:
        raise local_error(place, error) from error
    if read != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise PlaceError(place, "refused", "changed while it was read")


def is_folder(place: str) -> bool:
    """Whether a local place is a folder now. Raises PlaceError where nothing is there."""
    try:
        return stat.S_ISDIR(os.stat(place).st_mode)  # noqa: PTH116
    except OSError as error:
        raise local_error(place, error) from error
