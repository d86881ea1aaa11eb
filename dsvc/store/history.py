"""History packs: what a log reads, in a few packs that the manifest lists, so that it is read with few requests."""

from __future__ import annotations

from collections.abc import Sequence

from dsvc.errors import DamagedError, NotFoundError
from dsvc.store.backend import Backend
from dsvc.store.catalog import Catalog
from dsvc.store.frame import FRAME_HEAD, FRAME_OVERHEAD, Entry, check_frame, damaged
from dsvc.store.ids import ObjectId
from dsvc.store.pack import PACK_TARGET, Frames, PackClass, PackInfo, pack_index, split_history
from dsvc.store.staging import Staging

ALWAYS = 128 << 10  # bytes: smaller history packs are always put together
FACTOR = 8  # how much bigger a history pack is than all that came after it
LARGEST = PACK_TARGET // 2


def history_to_fold(packs: Sequence[PackInfo], own: int) -> list[PackInfo]:
    """Which history packs are copied into a new one of `own` bytes, so that few are left.

    There are at most four while all of them have less than 90 MB, and a byte is copied O(log n) times.
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
        if offset + FRAME_OVERHEAD + stored <= len(data):
            return Entry(offset, stored, raw, kind, codec)
    raise damaged(id, -1, f"pack {pack.id.short()}", "the pack ends too early")


def fold_history(backend: Backend, catalog: Catalog, staging: Staging) -> tuple[set[ObjectId], list[PackInfo]]:
    """Copy small history packs into the one of the transaction: which objects moved, and out of which packs.

    Other structure in them goes to the transaction's structure.
    """
    moved: set[ObjectId] = set()
    folded: list[PackInfo] = []
    loose: list[tuple[ObjectId, Entry, bytes]] = []
    for pack in history_to_fold(catalog.manifest.history, staging.open_size(PackClass.HISTORY)):
        try:
            data = backend.read(pack.name)
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
