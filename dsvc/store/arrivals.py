"""Arrivals: blobs that are brought from elsewhere when they are read, or before, where it is known what comes next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from dsvc.store.elsewhere import Elsewhere
from dsvc.store.frame import CHUNKED, Packed
from dsvc.store.ids import ObjectId
from dsvc.store.keeper import Keeper

WHOLE = 16 << 20  # bytes: a bigger blob comes in pieces
_HELD = 64 << 20  # bytes of blobs that came and may still be read
_WINDOWS = 8  # that were announced, and of which nothing was missing yet


class Arrivals:
    """Blobs on their way here. May be used from several threads.

    What is announced is only asked for once a blob was found missing: where all media is here, it costs nothing.
    """

    def __init__(self, elsewhere: Elsewhere, keeper: Keeper | None, is_here: Callable[[ObjectId], bool]) -> None:
        """`is_here` tells whether a blob needs no bringing; without a keeper, nothing that came is stored."""
        self.elsewhere = elsewhere
        self._keeper = keeper
        self.is_here = is_here
        self._lock = threading.RLock()
        self._announced: list[Sequence[ObjectId]] = []
        self._is_lacking = keeper is None
        self._expected: dict[ObjectId, Iterator[Packed]] = {}
        self._came: OrderedDict[ObjectId, Packed] = OrderedDict()
        self._held = 0

    def announce(self, ids: Sequence[ObjectId]) -> None:
        """Say which blobs are read next, in order."""
        with self._lock:
            self._announced = [*self._announced[1 - _WINDOWS :], ids]
            if self._is_lacking:
                self._is_lacking = self._ask_announced() or self._keeper is None

    def _ask_announced(self) -> bool:
        """Ask for what was announced and is not here; whether there was any."""
        windows, self._announced = self._announced, []
        asked = [self._ask(window) for window in windows]
        return any(asked)

    def _ask(self, ids: Sequence[ObjectId]) -> bool:
        known = self._expected.keys() | self._came.keys()
        wanted = [id for id in dict.fromkeys(ids) if id not in known and not self.is_here(id) and not self._kept(id)]
        if wanted:
            self._expected |= dict.fromkeys(wanted, self.elsewhere.fetch(wanted))
        return bool(wanted)

    def _kept(self, id: ObjectId) -> bool:
        return self._keeper is not None and self._keeper.has(id)

    def ahead(self, id: ObjectId) -> Packed | None:
        """A blob that was announced, if it is on its way or came. Raises RemoteError."""
        if id not in self._expected and id not in self._came:
            return None
        return self._receive(id)

    def take(self, id: ObjectId) -> Packed | None:
        """A blob that is not here; None where no place has it. Raises RemoteError."""
        with self._lock:
            self._is_lacking = True
            self._ask_announced()
            kept = self._keeper.get(id) if self._keeper is not None and id not in self._came else None
            if kept is not None:
                return kept
            if id not in self._expected and id not in self._came:
                self._expected[id] = self.elsewhere.fetch((id,))
            return self._receive(id)

    def _receive(self, id: ObjectId) -> Packed | None:
        """Take blobs in until this one came; None where its stream ended without."""
        with self._lock:
            while id not in self._came:
                stream = self._expected.get(id)
                if stream is None:
                    return None
                self._step(stream)
            packed = self._came[id]
            self._came.move_to_end(id, last=False)  # it is read now, so it is the first to go
            return packed

    def _step(self, stream: Iterator[Packed]) -> None:
        """Take the next blob of a stream in."""
        try:
            packed = next(stream, None)
        except BaseException:
            self._forget(stream)
            raise
        if packed is None:
            self._forget(stream)
            return
        self._expected.pop(packed.id, None)
        if packed.entry.codec != CHUNKED:
            self.keep(packed)
        self._came[packed.id] = packed
        self._held += _weight(packed)
        while self._held > _HELD and len(self._came) > 1:
            self._held -= _weight(self._came.popitem(last=False)[1])

    def keep(self, packed: Packed) -> None:
        """Store a blob that came. The list of a big one's chunks only when these are here: then all of it is."""
        if self._keeper is not None:
            self._keeper.keep(packed)

    def _forget(self, stream: Iterator[Packed]) -> None:
        self._expected = {id: other for id, other in self._expected.items() if other is not stream}

    def pieces(self, id: ObjectId, size: int) -> Iterator[bytes] | None:
        """A blob of more than `WHOLE` bytes, not here, in pieces; None where it was stored, so that it is here now."""
        if self._keeper is not None and self._keeper.keep_pieces(self.elsewhere.pieces(id), size):
            return None
        return self.elsewhere.pieces(id)

    @property
    def stored(self) -> int:
        """How often something that came was stored."""
        return self._keeper.published if self._keeper is not None else 0

    @property
    def not_kept(self) -> Exception | None:
        """Why what comes is not stored, if it is not."""
        return self._keeper.failure if self._keeper is not None else None

    def close(self) -> None:
        """Store what came; more may come later."""
        with self._lock:
            self._announced, self._expected = [], {}
            self._came.clear()
            self._held = 0
            if self._keeper is not None:
                self._keeper.flush()


def _weight(packed: Packed) -> int:
    return len(packed.frame) + len(packed.data)
