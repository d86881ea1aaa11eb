"""A repository on a static web server, to be read only.

Such a server knows nothing of repositories: it may ignore ranges and send no ETag. Nothing is ever listed there.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import IO, Any, NoReturn

from dsvc.errors import NotFoundError, RefusedError, RemoteError
from dsvc.store.attempts import Attempts, PeekedHead, is_beyond_end, is_missing
from dsvc.store.backend import FileInfo, Upload
from dsvc.store.clouds import import_obstore

HEAD = "head"
_HEAD_LIMIT = 1 << 20
_PIECE = 1 << 20
_IN_MEMORY = 1 << 20  # bytes of a whole file that need no file here
_WHOLE_FILES = 8  # of a server that ignores ranges, kept for the reads that follow
_DENIED_HINT = "see in a browser whether the address is the right one; private places are better shared as a bucket"


class WebBackend:
    """The files below a URL as a backend. `place` names it to people."""

    def __init__(self, url: str, place: str) -> None:
        import_obstore()
        from obstore.store import HTTPStore

        self._url = url.rstrip("/")
        client: dict[str, Any] = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(minutes=10)}
        client["read_timeout"] = timedelta(seconds=40)  # without a byte
        client |= {"allow_http": url.startswith("http://"), "user_agent": "dsvc"}
        # Caches on the way must not answer for the head: they may not know the new one yet.
        fresh = client | {"default_headers": {"Cache-Control": "no-cache"}}
        once: Any = {"max_retries": 0}
        self._store = HTTPStore.from_url(self._url, client_options=client, retry_config=once)  # type: ignore[arg-type]
        self._fresh = HTTPStore.from_url(self._url, client_options=fresh, retry_config=once)  # type: ignore[arg-type]
        self.attempts = Attempts(place, denied_hint=_DENIED_HINT)
        self._head = PeekedHead(self._ask_head)
        self._whole: OrderedDict[str, IO[bytes]] = OrderedDict()
        self._whole_lock = threading.Lock()
        self._has_ranges = True

    def below(self, folder: str) -> WebBackend:
        """The same for a folder below."""
        return WebBackend(f"{self._url}/{folder}", f"{self.attempts.place.rstrip('/')}/{folder}")

    # ---- reading

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read by range; where the server has none, read the file whole once and keep it for a while."""
        import obstore

        if length == 0:
            self.size(name)
            return b""
        if not self._has_ranges and (offset or length is not None):
            return self._read_whole(name, offset, length)
        asked = {"offset": offset} if length is None else (offset, offset + length)
        options: Any = {"range": asked} if offset or length is not None else None

        def ask() -> bytes | None:
            try:
                return bytes(obstore.get(self._store, name, options=options).bytes())
            except Exception as error:
                if is_beyond_end(error):
                    return b""
                if type(error).__name__ == "NotSupportedError":
                    return None
                raise

        with self._naming(name):
            found = self.attempts.do(ask)
        if found is None:
            self._has_ranges = False
            return self._read_whole(name, offset, length)
        return found

    def _read_whole(self, name: str, offset: int, length: int | None) -> bytes:
        with self._whole_lock:
            file = self._whole.get(name)
            if file is None:
                with self._naming(name):
                    file = self._whole[name] = self.attempts.do(lambda: self._download(name))
                if len(self._whole) > _WHOLE_FILES:
                    self._whole.popitem(last=False)[1].close()
            self._whole.move_to_end(name)
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def _download(self, name: str) -> IO[bytes]:
        import obstore

        found = obstore.get(self._store, name)
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (kept for the reads that follow)
        for piece in found.stream(min_chunk_size=_PIECE):
            file.write(piece)
        return file

    @contextlib.contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            raise NotFoundError(f"{self.attempts.place}: {name} does not exist") from error

    def size(self, name: str) -> int:
        """The byte size of a file."""
        import obstore

        with self._naming(name):
            return int(self.attempts.do(lambda: obstore.head(self._store, name))["size"])

    def peek_head(self) -> bytes | None:
        """The head's bytes; the next `read_head` gives the same, if it comes at once."""
        return self._head.peek()

    def read_head(self) -> bytes | None:
        """Get the head, past all caches."""
        return self._head.read()

    def _ask_head(self) -> bytes | None:
        import obstore

        def ask() -> bytes | None:
            try:
                found = obstore.get(self._fresh, HEAD)
            except Exception as error:
                if is_missing(error):
                    return None
                raise
            if found.meta["size"] > _HEAD_LIMIT:
                raise RemoteError(f"{self.attempts.place}: its head is no head", "is this the place that is meant?")
            return bytes(found.bytes())

        return self.attempts.do(ask)

    # ---- what a static web server does not do

    def _refuse(self, what: str) -> NoReturn:
        hint = "name the place that it serves, a folder or a bucket, as a remote of its own, and use that one"
        raise RefusedError(f"{self.attempts.place}: a web server cannot {what}", hint)

    def create(self) -> Upload:
        """Refuse. Raises RefusedError."""
        self._refuse("be written to")

    def delete(self, name: str) -> None:
        """Refuse. Raises RefusedError."""
        self._refuse("be written to")

    def delete_all(self, names: Iterable[str]) -> None:
        """Refuse. Raises RefusedError."""
        self._refuse("be written to")

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Refuse. Raises RefusedError."""
        self._refuse("be written to")

    def names(self, prefix: str = "") -> list[str]:
        """Refuse. Raises RefusedError."""
        self._refuse("list its files")

    def files(self, prefix: str = "") -> list[FileInfo]:
        """Refuse. Raises RefusedError."""
        self._refuse("list its files")

    def clock(self) -> float:
        """Refuse. Raises RefusedError."""
        self._refuse("be asked for the time")

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Nobody writes here."""
        return contextlib.nullcontext()
