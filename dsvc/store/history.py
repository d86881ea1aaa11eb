"""History packs: what a log reads, in a few packs that the manifest lists, so that it is read with few requests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsvc.errors import DamagedError, NotFoundError
from dsvc.store.backend import Backend
from dsvc.store.frame import FRAME_HEAD, FRAME_OVERHEAD, Entry, check_frame, damaged
from dsvc.store.ids import ObjectId
from dsvc.store.limits import is_allowed
from dsvc.store.pack import PACK_TARGET, Frames, PackClass, PackInfo, pack_index, split_history

if TYPE_CHECKING:
    from dsvc.store.manifest import Manifest
    from dsvc.store.staging import Staging

ALWAYS = 64 << 10  # bytes: smaller history packs are always put together
FACTOR = 8  # how much bigger a history pack is than all that came after it
LARGEST = PACK_TARGET // 2


def history_to_fold(packs: Sequence[PackInfo], own: int) -> list[PackInfo]:
    """Which history packs are copied into a new one of `own` bytes, so that few are left.

    There are at most four while all of them have less than 45 MB, and a byte is copied O(log n) times.
    """
    small = sorted((pack for pack in packs if pack.size < LARGEST), key=lambda pack: (pack.size, pack.id))
    total, chosen = own, 0
    for number, pack in enumerate(small):
        if pack.size < max(ALWAYS, FACTOR * total):
            chosen = number + 1
        total += pack.size
    return small[:chosen]


def parse_pack(data: bytes, pack: PackInfo) -> Frames:
    """The objects of a pack that was read whole, by id, and where they lie. The frames are not verified yet.

    Raises DamagedError.
    """
    index = pack_index(lambda at, length: data[at : at + length], len(data), pack)
    return [(id, frame_entry(data, id, offset, pack)) for id, offset in index]


def frame_entry(data: bytes, id: ObjectId, offset: int, pack: PackInfo) -> Entry:
    """What a frame of a pack that was read whole says of itself. Raises DamagedError where it does not fit."""
    if offset + FRAME_OVERHEAD <= len(data):
        _, kind, codec, raw, stored = FRAME_HEAD.unpack_from(data, offset)
        if offset + FRAME_OVERHEAD + stored <= len(data) and is_allowed(kind, codec, raw, stored):
            return Entry(offset, stored, raw, kind, codec)
    raise damaged(id, -1, f"pack {pack.id.short()}", "its frame has an impossible length")


class History:
    """The objects of one manifest's history packs, which are fetched whole, the newest first, as they are needed."""

    def __init__(self, backend: Backend, packs: Sequence[PackInfo], known: History | None = None) -> None:
        """`known` is that of an earlier manifest, of which the packs that were read are used again."""
        self._backend = backend
        self._packs = packs
        self._read: dict[ObjectId, _Whole] = {}
        if known is not None:
            ids = {pack.id for pack in packs}
            self._read = {id: pack for id, pack in list(known._read.items()) if id in ids}

    def find(self, id: ObjectId, fetch: bool) -> tuple[PackInfo, Entry] | None:
        """Where an object lies, or None; without `fetch`, only packs that were read are looked at.

        Raises NotFoundError or DamagedError.
        """
        packs = self._packs[::-1]
        for pack in sorted(packs, key=lambda pack: pack.id not in self._read):  # those that were read first
            whole = self._read.get(pack.id)
            if whole is None:
                if not fetch:
                    return None
                whole = self._read[pack.id] = _Whole(self._backend.read(pack.name, 0, pack.size + 1), pack)
            entry = whole.find(id)
            if entry is not None:
                return pack, entry
        return None


class _Whole:
    """A pack in memory."""

    def __init__(self, data: bytes, pack: PackInfo) -> None:
        """Raises DamagedError where its index is not what was written."""
        self._pack = pack
        self._data = data
        self._rows = pack_index(lambda at, length: data[at : at + length], len(data), pack)

    def find(self, id: ObjectId) -> Entry | None:
        """Where an object lies in it, or None. Raises DamagedError."""
        at = bisect_left(self._rows, (id, 0))
        if at == len(self._rows) or self._rows[at][0] != id:
            return None
        return frame_entry(self._data, id, self._rows[at][1], self._pack)


def fold_history(backend: Backend, manifest: Manifest, staging: Staging) -> tuple[set[ObjectId], list[PackInfo]]:
    """Copy small history packs into the one of the transaction: which objects moved, and out of which packs.

    Other structure in them goes to the transaction's structure.
    """
    moved: set[ObjectId] = set()
    folded: list[PackInfo] = []
    loose: list[tuple[ObjectId, Entry, bytes]] = []
    for pack in history_to_fold(manifest.history, staging.open_size(PackClass.HISTORY)):
        try:
            data = backend.read(pack.name, 0, pack.size + 1)
            frames = parse_pack(data, pack)
            where = f"pack {pack.id.short()}"
            for id, entry in frames:
                check_frame(_frame(data, entry), id, entry, where)
        except (DamagedError, NotFoundError):
            continue  # stays listed as it is: what can still be read of it must not get lost
        history, structure = split_history(frames)
        for id, entry in history:
            if staging.held(id) is None:
                staging.fold(id, entry, _frame(data, entry), PackClass.HISTORY)
        loose += [(id, entry, _frame(data, entry)) for id, entry in structure]
        moved |= {id for id, _ in frames}
        folded.append(pack)
    for id, entry, frame in loose:
        if staging.held(id) is None:
            staging.fold(id, entry, frame, PackClass.STRUCTURE)
    return moved, folded


def _frame(data: bytes, entry: Entry) -> bytes:
    return data[entry.offset : entry.offset + entry.length]
