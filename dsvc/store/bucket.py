"""A repository in an object store: S3, Google Cloud Storage, Azure, or the client's own memory, by obstore.

Files are whole objects. The head is written with a condition, so that of two writers one wins and the other knows.
"""

from __future__ import annotations

import contextlib
import mmap
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from dsvc.errors import NotFoundError, RefusedError, RemoteError
from dsvc.store.attempts import Attempts, PeekedHead, RefusedConditionError, is_beyond_end, is_missing
from dsvc.store.backend import FOLDERS, FileInfo, Upload

HEAD = "head"
_HEAD_LIMIT = 1 << 20
_IN_MEMORY = 1 << 20  # bytes of an upload that need no file
_WHOLE = 128 << 20  # bytes of a file that is sent in one request
_PART = 32 << 20  # bytes of a part of a bigger one; two are under way at a time
_MOST_PARTS = 9000
_BATCH = 1000  # files that one request removes, at S3
_NEVER_CACHED = {"Cache-Control": "no-store"}  # a public bucket would let the head be an hour old


class _BucketUpload:
    """A file that grows in memory or on this machine's disk, and is sent when it is whole."""

    def __init__(self, backend: BucketBackend) -> None:
        self._backend = backend
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed by finish and abort)
        self._size = 0
        self._lock = threading.Lock()

    def write(self, data: bytes | memoryview) -> None:
        with self._lock, _on_disk():
            self._file.seek(self._size)
            self._file.write(data)
            self._size += len(data)

    def read(self, offset: int, length: int) -> bytes:
        with self._lock, _on_disk():
            self._file.seek(offset)
            return self._file.read(length)

    def finish(self, name: str) -> None:
        with self._lock:
            try:
                self._send(name)
            finally:
                self._file.close()

    def _send(self, name: str) -> None:
        if self._size <= _IN_MEMORY:
            self._file.seek(0)
            self._backend.put(name, self._file.read())
            return
        if self._size > _WHOLE:
            self._backend.put_parts(name, self._file, self._size)
            return
        with _on_disk():
            self._file.flush()
            # The pages of the file are sent as they are; a copy of each pack in memory would be 64 MiB.
            whole = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._backend.put(name, whole)  # which closes with the last one who holds it

    def abort(self) -> None:
        self._file.close()


class BucketBackend:
    """The objects below a prefix of a bucket, as a backend. `store` is one of obstore, `place` names it to people.

    `open_uploads` opens a store for sending much, where that takes another one.
    """

    def __init__(
        self,
        store: Any,
        prefix: str = "",
        place: str = "the object store",
        open_uploads: Callable[[], Any] | None = None,
    ) -> None:
        self._store = store
        self._open_uploads = open_uploads
        self._uploads: Any = None
        self._prefix = prefix.strip("/")
        self.attempts = Attempts(place)
        self._turn = threading.RLock()
        self._head = PeekedHead(self._ask_head)
        self._seen: tuple[bytes, Any] | None = None  # a head, and by what the store tells that it still is there

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextlib.contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            raise NotFoundError(f"{self.attempts.place}: {name} does not exist") from error

    # ---- reading

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read by range, in one request."""
        import obstore

        if length == 0:
            self.size(name)
            return b""
        path = self._path(name)
        asked = {"offset": offset} if length is None else (offset, offset + length)
        options: Any = {"range": asked} if offset or length is not None else None

        def ask() -> bytes:
            try:
                return bytes(obstore.get(self._store, path, options=options).bytes())
            except Exception as error:
                if is_beyond_end(error):
                    return b""
                raise

        with self._naming(name):
            return self.attempts.do(ask)

    def size(self, name: str) -> int:
        """The byte size of a file."""
        import obstore

        with self._naming(name):
            return int(self.attempts.do(lambda: obstore.head(self._store, self._path(name)))["size"])

    # ---- writing

    def create(self) -> Upload:
        """Begin a file on this machine."""
        return _BucketUpload(self)

    def put(self, name: str, data: bytes | mmap.mmap) -> None:
        """Write a file whole, in one request."""
        import obstore

        path, store = self._path(name), self._store_for(len(data))
        self.attempts.do(lambda: obstore.put(store, path, data, use_multipart=False))

    def put_parts(self, name: str, file: IO[bytes], size: int) -> None:
        """Write a file of many bytes in parts; it is there once all of them are."""
        import obstore

        path, store = self._path(name), self._store_for(size)
        options: Any = {"use_multipart": True, "chunk_size": max(_PART, size // _MOST_PARTS), "max_concurrency": 2}

        def send() -> None:
            with _on_disk():
                file.seek(0)
            obstore.put(store, path, file, **options)

        self.attempts.do(send)

    def _store_for(self, size: int) -> Any:
        """The store for sending so many bytes."""
        if size <= _IN_MEMORY or self._open_uploads is None:
            return self._store
        with self._turn:
            self._uploads = self._uploads or self._open_uploads()
            return self._uploads

    def delete(self, name: str) -> None:
        """Remove a file."""
        import obstore

        with contextlib.suppress(NotFoundError):
            self.attempts.do(lambda: obstore.delete(self._store, self._path(name)))

    def delete_all(self, names: Iterable[str]) -> None:
        """Remove files, as many in a request as the store takes."""
        import obstore

        paths = [self._path(name) for name in names]
        for start in range(0, len(paths), _BATCH):
            some = paths[start : start + _BATCH]
            try:
                self.attempts.do(lambda some=some: obstore.delete(self._store, some))  # type: ignore[misc]
            except NotFoundError:  # some stores say so, and stop there
                for path in some:
                    with contextlib.suppress(NotFoundError):
                        self.attempts.do(lambda path=path: obstore.delete(self._store, path))  # type: ignore[misc]

    # ---- listing

    def names(self, prefix: str = "") -> list[str]:
        """List the names of the repository's files."""
        return [info.name for info in self.files(prefix)]

    def files(self, prefix: str = "") -> list[FileInfo]:
        """List the repository's files, 1,000 in a request; what else lies below the prefix is left alone."""
        folders = [folder for folder in FOLDERS if f"{folder}/".startswith(prefix) or prefix.startswith(f"{folder}/")]
        found = [info for folder in folders for info in self.attempts.do(lambda folder=folder: self._list(folder))]  # type: ignore[misc]
        return sorted(info for info in found if info.name.startswith(prefix))

    def _list(self, folder: str) -> list[FileInfo]:
        import obstore

        lead = len(self._path(""))
        batches = obstore.list(self._store, prefix=self._path(folder), chunk_size=_BATCH)
        return [
            FileInfo(meta["path"][lead:], meta["size"], meta["last_modified"].timestamp())
            for batch in batches
            for meta in batch
        ]

    def clock(self) -> float:
        """The store's time: that of an object written now. Takes three requests and the right to write."""
        import obstore

        name = f"tmp/{secrets.token_hex(16)}"
        self.put(name, b"what time is it")
        try:
            meta = self.attempts.do(lambda: obstore.head(self._store, self._path(name)))
        finally:
            self.delete(name)
        return float(meta["last_modified"].timestamp())

    # ---- the head

    def peek_head(self) -> bytes | None:
        """The head's bytes; the next `read_head` gives the same, if it comes at once."""
        return self._head.peek()

    def read_head(self) -> bytes | None:
        """Get the head, and note by what the store tells it from others."""
        return self._head.read()

    def _ask_head(self) -> bytes | None:
        import obstore

        def ask() -> tuple[bytes, Any] | None:
            try:
                found = obstore.get(self._store, self._path(HEAD))
            except Exception as error:
                if is_missing(error):
                    return None
                raise
            if found.meta["size"] > _HEAD_LIMIT:
                raise RemoteError(f"{self.attempts.place}: its head is no head", "is this the place that is meant?")
            return bytes(found.bytes()), _version(found.meta)

        found = self.attempts.do(ask)
        self._seen = found
        return found[0] if found else None

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Put the head on the condition that it is still the one which was read."""
        with self._turn:
            seen = self._seen
            if expected is None or seen is None or seen[0] != expected:
                if self._ask_head() != expected:
                    return False
                seen = self._seen
            if expected is None:
                self._prove_conditions()
            return self._swap(new, "create" if seen is None else seen[1])

    def _swap(self, new: bytes, mode: Any) -> bool:
        """Put a head on a condition."""
        self._seen = None
        try:
            result = self.attempts.write_if(lambda: self._put_if(HEAD, new, mode))
        except RefusedConditionError as error:
            # What is there may come from an attempt whose answer was lost.
            return error.is_doubtful and self._ask_head() == new
        self._seen = (new, _version(result))
        return True

    def _put_if(self, name: str, data: bytes, mode: Any) -> Any:
        import obstore

        options: Any = {"attributes": _NEVER_CACHED, "use_multipart": False}
        return obstore.put(self._store, self._path(name), data, mode=mode, **options)

    def _prove_conditions(self) -> None:
        """See, before a repository is made, that the store refuses a write whose condition does not hold.

        Some take the condition and ignore it: there the work of whoever swaps first would be lost without a word.
        """
        name = f"tmp/{secrets.token_hex(16)}"
        self.put(name, b"first")
        try:
            for mode in ("create", {"e_tag": '"0123456789abcdef0123456789abcdef"', "version": "1"}):
                try:
                    self.attempts.write_if(lambda mode=mode: self._put_if(name, b"second", mode))  # type: ignore[misc]
                except RefusedConditionError:
                    continue
                message = f"{self.attempts.place}: it does not do conditional writes (If-Match, If-None-Match)"
                raise RefusedError(message, "the work of two who push at once would get lost there; use another store")
        finally:
            self.delete(name)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold off the other threads that use this backend; nobody else can be."""
        with self._turn:
            yield


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    """Tell what goes wrong with a temporary file on this machine."""
    try:
        yield
    except OSError as error:
        message = f"a temporary file cannot be written: {error.strerror or error}"
        raise RefusedError(message, "free some space, or name a folder that has room: TMPDIR=FOLDER") from error


def _version(result: Any) -> dict[str, str]:
    """By what an update is bound to an object: stores that have versions go by these, others by the ETag."""
    return {key: result[key] for key in ("e_tag", "version") if result[key]}
