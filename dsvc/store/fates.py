"""Fates: which objects a collection keeps where, and what becomes of the packs."""

from __future__ import annotations

from typing import NamedTuple

from dsvc.errors import DamagedError, NotFoundError
from dsvc.store.backend import Backend
from dsvc.store.bulk import read_frames, stretches
from dsvc.store.frame import FRAME_OVERHEAD, check_frame
from dsvc.store.merge import SMALL_PACK
from dsvc.store.pack import PACK_ROW, PackClass
from dsvc.store.table import Array, Table

WASTE = 0.2  # a pack of which this much is garbage is written anew
_EMPTY_PACK = 45  # bytes of a pack beside its frames and their rows


class Fates(NamedTuple):
    """What stays of a table, as arrays of truth: `kept` beside its rows; beside its packs, which `move`, that is, what
    stays of them is copied to others, and which `go` since nothing does."""

    kept: Array
    move: Array
    go: Array


def choose(backend: Backend, table: Table, live: Array) -> Array:
    """Which rows to keep so that each live object has one: of several of an object the first one that is sound."""
    import numpy as np

    kept = live & table.is_first
    for row in np.flatnonzero(~table.is_first).tolist():
        first = row - 1
        while not table.is_first[first]:
            first -= 1
        if kept[row - 1] and not _is_sound(backend, table, row - 1) and _is_sound(backend, table, row):
            kept[first:row], kept[row] = False, True
    return kept


def _is_sound(backend: Backend, table: Table, row: int) -> bool:
    try:
        for stretch in stretches(table, [row]):
            for _, id, entry, frame in read_frames(backend, table, stretch):
                check_frame(frame, id, entry, "a pack")
    except (DamagedError, NotFoundError):
        return False
    return True


def decide(table: Table, kept: Array, fixed: Array, banned: Array, scope: int) -> Fates:
    """The fates where the rows `kept` stay, but for those that are `banned`, whose bytes must go.

    Packs that are `fixed` are not written anew, unless banned rows lie there, or they are history packs, of which all
    objects have to be listed. Nothing happens to packs of segments that follow the first `scope`, nor to their rows.
    """
    import numpy as np

    packs, count = table.rows["pack"].astype(np.int64), len(table.packs)
    judged = table.owners < scope
    kept = kept & ~(banned & judged[packs])
    sizes = np.array([pack.size for pack in table.packs], np.float64)
    bytes_kept = (table.rows["stored"].astype(np.float64) + FRAME_OVERHEAD + PACK_ROW.size) * kept
    waste = sizes - np.bincount(packs, bytes_kept, minlength=count) - _EMPTY_PACK
    go = (np.bincount(packs[kept], minlength=count) == 0) & judged
    # Who has read a history pack goes by its own index: it must name nothing that is not listed.
    is_history = np.array([pack.pack_class is PackClass.HISTORY for pack in table.packs], bool)
    must = (np.bincount(packs[banned], minlength=count) > 0) | (
        is_history & (np.bincount(packs[~kept], minlength=count) > 0)
    )
    worth = ((waste >= WASTE * sizes) | _joined(table, judged & ~fixed & ~go)) & ~fixed
    return Fates(kept, (must | worth) & judged & ~go, go)


def _joined(table: Table, candidates: Array) -> Array:
    """Which of some packs are small and not the only ones of their class that are."""
    import numpy as np

    small = candidates & np.array([pack.size < SMALL_PACK for pack in table.packs], bool)
    found = np.zeros(len(table.packs), bool)
    for pack_class in PackClass:
        mine = small & np.array([pack.pack_class == pack_class for pack in table.packs], bool)
        if mine.sum() > 1:
            found |= mine
    return found
