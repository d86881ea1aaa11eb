"""Sweeping: publishing a manifest that lists less, and then removing the files that nothing lists any more.

What stays of packs that are mostly garbage is copied to new packs; segments become one. The head is swapped before
anything is removed, so that a crash at any instant leaves the old state or the new one, and files that nothing lists.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dsvc.errors import DamagedError, DsvcError, NotFoundError
from dsvc.store.bulk import NEAR
from dsvc.store.catalog import Catalog, State
from dsvc.store.fates import Fates
from dsvc.store.head import HeadMovedError
from dsvc.store.ids import ObjectId
from dsvc.store.index import ROW, segment_name, write_segment
from dsvc.store.manifest import Collected, Manifest, SegmentInfo, manifest_name, write_manifest
from dsvc.store.moving import Move, Tell
from dsvc.store.pack import PackInfo
from dsvc.store.table import Array, Table

if TYPE_CHECKING:
    from dsvc.store.objects import ObjectStore


class Swept(NamedTuple):
    """What a sweep did: the files that went and their bytes, the bytes that were written, packs that stay since they
    are damaged, and why files could not be removed."""

    files: int
    bytes: int
    written: int
    damaged: Mapping[ObjectId, DamagedError]
    failure: str | None


class Sweep:
    """One collection's work on the files. Where others publish first it is tried again, with what was copied before."""

    def __init__(self, store: ObjectStore, near: int = NEAR, tell: Tell | None = None) -> None:
        """`near` is how many bytes between two objects are read over rather than asked for apart."""
        self._store = store
        self._backend = store.backend
        self._move = Move(store.backend, near, tell)
        self._segment: tuple[bytes, list[PackInfo], SegmentInfo] | None = None
        self._written: dict[str, int] = {}  # files of this sweep, by name
        self._may_be_listed = False  # whether what was written is listed, or a swap that would list it went unanswered
        self._scope: tuple[SegmentInfo, ...] = ()

    def scope(self, state: State) -> int:
        """How many segments of a state to work on: all at first, then those that others left as they were. These were
        worked on before, so that little is left to do and the next try comes in time."""
        segments = state.catalog.manifest.segments
        pairs = enumerate(zip(self._scope, segments, strict=False))
        same = next((at for at, (mine, theirs) in pairs if mine != theirs), min(len(self._scope), len(segments)))
        self._scope = segments[: same or len(segments)]
        return len(self._scope)

    def run(
        self, state: State, table: Table, fates: Fates, collected: Collected, leftovers: Mapping[str, int]
    ) -> Swept:
        """Publish what is kept, then remove what became superfluous, and of `leftovers`, files by name with their byte
        sizes, those that nothing lists. Raises HeadMovedError where others published first."""
        try:
            manifest, packs = self._prepare(state, table, fates, collected)
        except NotFoundError as error:
            if self._backend.read_head() != state.raw:
                raise HeadMovedError("another operation was published first") from error
            raise DamagedError(f"a file is missing: {error.message}", "run: dsvc check; nothing was changed") from error
        self._publish(state, manifest)
        listed = {manifest_name(manifest.id), *(segment_name(info.id) for info in manifest.segments)}
        listed |= {pack.name for pack in packs}
        assert state.head is not None
        old = {segment_name(info.id): info.size for info in self._scope}
        old |= {manifest_name(state.head.manifest): len(state.catalog.manifest.encode())}
        old |= {pack.name: pack.size for pack in table.packs}
        gone = {name: size for name, size in {**old, **leftovers}.items() if name not in listed}
        failure = self._remove({*gone, *self._written} - listed)
        written = sum(size for name, size in self._written.items() if name in listed)
        return Swept(len(gone), sum(gone.values()), written, self._move.damaged, failure)

    def _prepare(
        self, state: State, table: Table, fates: Fates, collected: Collected
    ) -> tuple[Manifest, list[PackInfo]]:
        """Write all but the head; the new manifest, and all packs that it lists."""
        import numpy as np

        packs = table.rows["pack"].astype(np.int64)
        mine = table.owners < len(self._scope)
        self._move.copy(table, np.flatnonzero(fates.kept & fates.move[packs]))
        rows, listed = self._rows(table, fates.kept & mine[packs], fates.move)
        segments = (self._list(rows, listed),) if rows else ()
        rest = state.catalog.manifest.segments[len(self._scope) :]
        listed += [pack for pack, is_mine in zip(table.packs, mine.tolist(), strict=True) if not is_mine]
        # The table leaves out packs that are gone, but a segment that stays may list them.
        numbers = range(len(self._scope), len(state.catalog.manifest.segments))
        others = (pack for number in numbers for pack in state.catalog.segment(number).packs)
        manifest = state.catalog.manifest.listing((*segments, *rest), dict.fromkeys((*listed, *others)))
        return replace(manifest, collected=collected), listed

    def _rows(self, table: Table, kept: Array, move: Array) -> tuple[bytes, list[PackInfo]]:
        """The rows of the new segment, and its packs."""
        import numpy as np

        homes, offsets = self._move.homes(table)
        new = self._move.finish()
        self._written |= {pack.name: pack.size for pack in new}
        rows, homes, offsets = table.rows[kept].copy(), homes[kept], offsets[kept]
        old = rows["pack"].astype(np.int64)
        moved = (homes >= 0) & move[old]
        places = np.where(moved, len(table.packs) + homes, old)
        used, numbers = np.unique(places, return_inverse=True)
        rows["pack"] = numbers
        rows["offset"] = np.where(moved, offsets, rows["offset"])
        everything = [*table.packs, *new]
        return rows.tobytes(), [everything[at] for at in used.tolist()]

    def _list(self, rows: bytes, packs: list[PackInfo]) -> SegmentInfo:
        """A segment of these rows; the one that was written for the last try, where that has them."""
        if self._segment is None or self._segment[:2] != (rows, packs):
            info = write_segment(self._backend, _cut(rows), len(rows) // ROW.size, packs)
            self._segment = rows, packs, info
            self._written[segment_name(info.id)] = info.size
        return self._segment[2]

    def _publish(self, state: State, manifest: Manifest) -> None:
        """Swap the head and read from it, unless another one is there by now."""
        assert state.head is not None
        data = manifest.encode()
        write_manifest(self._backend, manifest)
        self._written[manifest_name(manifest.id)] = len(data)
        head = replace(state.head, manifest=manifest.id)
        raw = head.encode()
        self._may_be_listed = True
        try:
            done = self._backend.swap_head(state.raw, raw)
        except Exception:  # no answer is neither yes nor no
            if self._backend.read_head() != raw:
                raise
            done = True
        if not done and self._backend.read_head() != raw:
            self._may_be_listed = False
            raise HeadMovedError("another operation was published first")
        self._store.adopt(State(raw, head, Catalog(self._backend, manifest, state.catalog)))

    def _remove(self, names: Iterable[str]) -> str | None:
        """Remove files; why that failed, which costs no more than their room."""
        try:
            self._backend.delete_all(sorted(names))
        except DsvcError as error:
            return error.message
        return None

    def give_up(self) -> None:
        """Remove what was written for nothing, where it is known that nothing lists it."""
        if not self._may_be_listed:
            with contextlib.suppress(DsvcError):
                self._move.drop()
                self._remove(self._written)


def _cut(rows: bytes) -> Iterator[bytes]:
    return (rows[at : at + ROW.size] for at in range(0, len(rows), ROW.size))
