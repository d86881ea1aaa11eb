"""A distant place, with a cache of its immutable files nearby: few requests, and each for a big piece."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from dsvc.errors import DsvcError
from dsvc.store.backend import Backend, FileInfo, Upload
from dsvc.store.shelf import Shelf

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

SMALL = 1 << 20  # bytes: a smaller file is fetched whole, whatever part of it is wanted
BLOCK = 256 << 10
_AHEAD = 32  # blocks that are fetched at once, at most, where reading goes on sequentially
_EARLY = 4  # from so many on, the next ones are fetched while these are used
_IN_MEMORY = 64 << 20
_LARGEST = 64 << 20  # bytes of the largest file that is kept whole
_STREAMS = 8  # places of a file where reading may go on
_COPIES = ("manifests", "index", "packs", "blocks")


class CachedBackend:
    """A distant backend whose files are kept on a shelf.

    Files that are read or written whole are kept whole, others by blocks: in memory, and with `keeps_blocks` on the
    shelf. `read` of a part fetches just that part, for media; `read_near` goes by blocks. The head is never kept.
    """

    def __init__(self, backend: Backend, shelf: Shelf, *, keeps_blocks: bool = False) -> None:
        self.distant = backend
        self.shelf = shelf
        self._keeps_blocks = keeps_blocks
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._streams: dict[str, OrderedDict[int, int]] = {}  # of each file: the block that comes next -> how many
        self._coming: dict[tuple[str, int], Future[None]] = {}
        self._fetcher: ThreadPoolExecutor | None = None
        self._by_blocks: set[str] = set()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a file that is kept whole, or fetch what is wanted; what is fetched whole is kept."""
        found = self.shelf.read(name, offset, length)
        if found is not None:
            return found
        data = self.distant.read(name, offset, length)
        is_whole = offset == 0 and (length is None or len(data) < length)
        if is_whole and len(data) <= _LARGEST:
            self.shelf.put(name, data)
        return data

    def read_near(self, name: str, size: int, offset: int, length: int) -> bytes:
        """A part of a file of `size` bytes of which more will be wanted; fewer bytes where the file ends."""
        if name not in self._by_blocks:
            found = self.shelf.read(name, offset, length)
            if found is not None:
                return found
            if size <= SMALL:
                return self.read(name, 0, size + 1)[offset : offset + length]
            self._by_blocks.add(name)
        end = min(offset + length, size)
        if end <= offset:
            return b""
        first, last = offset // BLOCK, (end - 1) // BLOCK
        data = b"".join(self._block(name, size, number, last) for number in range(first, last + 1))
        return data[offset - first * BLOCK : end - first * BLOCK]

    def _block(self, name: str, size: int, number: int, last: int) -> bytes:
        """A block, fetched with those up to the `last` that is wanted where it is not here."""
        with self._lock:
            coming = self._coming.get((name, number))
        if coming is not None:
            coming.result()
        found = self._kept(name, number)
        if found is not None:
            if number in self._streams.get(name, ()):
                self._go_on(name, size, number)
            return found
        count, goes_on = self._reach(name, number, last + 1 - number)
        self._fetch(name, size, number, count)
        if goes_on:
            self._look_ahead(name, size, number + count, count)
        found = self._kept(name, number)
        return b"" if found is None else found

    def _kept(self, name: str, number: int) -> bytes | None:
        with self._lock:
            found = self._blocks.get((name, number))
            if found is not None:
                self._blocks.move_to_end((name, number))
                return found
        if not self._keeps_blocks:
            return None
        found = self.shelf.read(_block_name(name, number))
        if found is not None:
            self._hold(name, number, found)
        return found

    def _hold(self, name: str, number: int, data: bytes) -> None:
        with self._lock:
            self._blocks[name, number] = data
            while len(self._blocks) * BLOCK > _IN_MEMORY:
                self._blocks.popitem(last=False)

    def _reach(self, name: str, number: int, wanted: int) -> tuple[int, bool]:
        """How many blocks to fetch at once, more each time where the last ones ended here, and whether they did."""
        with self._lock:
            streams = self._streams.setdefault(name, OrderedDict())
            before = streams.pop(number, 0)
            count = max(wanted, min(2 * before, _AHEAD))
            streams[number + count] = count
            if len(streams) > _STREAMS:
                streams.popitem(last=False)
        return count, before > 0

    def _fetch(self, name: str, size: int, number: int, count: int) -> None:
        start = number * BLOCK
        data = self.distant.read(name, start, min(count * BLOCK, size - start))
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            self._hold(name, number + at // BLOCK, block)
            if self._keeps_blocks:
                self.shelf.put(_block_name(name, number + at // BLOCK), block)

    def _go_on(self, name: str, size: int, number: int) -> None:
        """Blocks that were fetched ahead are used now: fetch the next ones."""
        with self._lock:
            streams = self._streams.setdefault(name, OrderedDict())
            count = streams.pop(number, 0)
            if count:
                following = number + count
                count = min(2 * count, _AHEAD)
                streams[following] = count
        if count:
            self._look_ahead(name, size, following, count)

    def _look_ahead(self, name: str, size: int, number: int, count: int) -> None:
        """Begin to fetch what comes next, where reading has gone on sequentially for a while."""
        count = min(count, -(-(size - number * BLOCK) // BLOCK))
        if count < _EARLY:
            return
        with self._lock:
            if (name, number) in self._coming or (name, number) in self._blocks:
                return
            if self._fetcher is None:
                from concurrent.futures import ThreadPoolExecutor

                self._fetcher = ThreadPoolExecutor(2, "dsvc-ahead")
            coming = self._fetcher.submit(self._fetch_ahead, name, size, number, count)
            for at in range(number, number + count):
                self._coming[name, at] = coming

    def _fetch_ahead(self, name: str, size: int, number: int, count: int) -> None:
        try:
            self._fetch(name, size, number, count)
        except DsvcError:
            pass  # who wants it fetches it again, and is told
        finally:
            with self._lock:
                for at in range(number, number + count):
                    self._coming.pop((name, at), None)

    def holds(self, name: str) -> bool:
        """Whether a file is here whole."""
        return self.shelf.size(name) is not None

    def size(self, name: str) -> int:
        """The byte size of a file."""
        known = self.shelf.size(name)
        return self.distant.size(name) if known is None else known

    def create(self) -> Upload:
        """Begin a new file, which is kept too where it is small."""
        return self.begin(SMALL)

    def begin(self, most: int) -> Upload:
        """Begin a new file, which is kept too where it has at most `most` bytes."""
        return _KeptUpload(self.distant.create(), self.shelf, min(most, _LARGEST))

    def delete(self, name: str) -> None:
        """Remove a file, here and there."""
        self.shelf.drop((name,))
        self.distant.delete(name)

    def delete_all(self, names: Iterable[str]) -> None:
        """Remove files, here and there."""
        names = list(names)
        self.shelf.drop(names)
        self.distant.delete_all(names)

    def retain(self, kinds: Iterable[str], listed: set[str]) -> None:
        """Of files of some kinds, keep no copies but of those that are listed."""
        files = {name.rpartition("/")[2] for name in listed}
        for kind in kinds:
            gone = (name for name in self.shelf.names(kind) if _file(name) not in files)
            self.shelf.drop(list(gone))

    def forget(self) -> None:
        """Keep no copy of anything: what is damaged there may be mended."""
        for kind in _COPIES:
            self.shelf.drop(self.shelf.names(kind))
        with self._lock:
            self._blocks.clear()

    def names(self, prefix: str = "") -> list[str]:
        """List the files there."""
        return self.distant.names(prefix)

    def files(self, prefix: str = "") -> list[FileInfo]:
        """List the files there with what the place tells of each."""
        return self.distant.files(prefix)

    def clock(self) -> float:
        """The place's own time."""
        return self.distant.clock()

    def read_head(self) -> bytes | None:
        """The head's present bytes."""
        return self.distant.read_head()

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        """Compare and swap the head."""
        return self.distant.swap_head(expected, new)

    def turn(self) -> AbstractContextManager[None]:
        """Hold off other writers, where there is a lock for that."""
        return self.distant.turn()


class _KeptUpload:
    """An upload of which a copy goes on the shelf, unless it becomes too big."""

    def __init__(self, upload: Upload, shelf: Shelf, most: int) -> None:
        self._upload = upload
        self._shelf = shelf
        self._most = most
        self._copy: bytearray | None = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        self._upload.write(data)
        if self._copy is not None:
            self._copy += data
            if len(self._copy) > self._most:
                self._copy = None

    def read(self, offset: int, length: int) -> bytes:
        return self._upload.read(offset, length)

    def finish(self, name: str) -> None:
        self._upload.finish(name)
        if self._copy is not None:
            self._shelf.put(name, bytes(self._copy))
            self._copy = None

    def abort(self) -> None:
        self._upload.abort()


def near(backend: Backend, name: str, size: int, offset: int, length: int) -> bytes:
    """A part of a file of `size` bytes of which more will be wanted. Raises NotFoundError."""
    if isinstance(backend, CachedBackend):
        return backend.read_near(name, size, offset, length)
    return backend.read(name, offset, length)


def begin(backend: Backend, most: int) -> Upload:
    """A new file, of which a cache that there is keeps a copy of at most `most` bytes."""
    return backend.begin(most) if isinstance(backend, CachedBackend) else backend.create()


def _block_name(name: str, number: int) -> str:
    return f"blocks/{name.rpartition('/')[2]}.{number}"


def _file(name: str) -> str:
    """The file that a copy is of, without its kind."""
    kind, _, file = name.partition("/")
    return file.partition(".")[0] if kind == "blocks" else file
