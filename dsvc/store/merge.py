"""Geometric merging: how a publish keeps segments and packs few, at a small cost per byte over time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from dsvc.errors import DamagedError, NotFoundError
from dsvc.store.backend import Backend
from dsvc.store.catalog import Catalog
from dsvc.store.frame import check_frame
from dsvc.store.history import ALWAYS, fold_history
from dsvc.store.ids import ObjectId
from dsvc.store.index import PACK_FIELD, Segment, pack_row, segment_name, write_segment
from dsvc.store.manifest import Manifest
from dsvc.store.pack import PACK_TARGET, PackClass, PackInfo, pack_index
from dsvc.store.staging import Staging

SMALL_PACK = PACK_TARGET // 2  # below this a pack may be copied into a bigger one


class Merged(NamedTuple):
    """What a publish lists: the new manifest, the files it wrote for it, and those it makes superfluous."""

    manifest: Manifest
    written: list[str]
    superseded: list[str]


def runs_to_merge(rows: Sequence[int], new: int) -> int:
    """How many of the newest runs join a new one of `new` rows, so that each run stays twice its successor."""
    count = 0
    while count < len(rows) and rows[-1 - count] < 2 * new:
        new += rows[-1 - count]
        count += 1
    return count


def packs_to_fold(packs: Iterable[PackInfo], open_size: int) -> list[PackInfo]:
    """Which small packs of one class are worth copying into the growing pack of `open_size` bytes.

    A pack is copied when all that is smaller adds up to half of it, so that a byte is copied O(log n) times, and in any
    case when it is tiny.
    """
    small = sorted((p for p in packs if p.size < SMALL_PACK), key=lambda pack: (pack.size, pack.id))
    total, chosen = open_size, 0
    for number, pack in enumerate(small):
        if pack.size < max(ALWAYS, 2 * total):
            chosen = number + 1
        total += pack.size
    return small[:chosen] if open_size or chosen > 1 else []


def merge(backend: Backend, catalog: Catalog, staging: Staging) -> Merged:
    """Finish the packs of a transaction, with small older ones folded in, and write its segment."""
    if not staging.objects:
        return Merged(catalog.manifest, [], [])
    staging.withdraw()
    staging.reopen_history()
    moved, folded = fold_history(backend, catalog.manifest, staging)
    staging.pour()
    runs = _newest_runs(catalog, len(staging.objects) + len(moved))
    also_moved, also_folded = _fold_packs(backend, runs, staging)
    moved |= also_moved
    folded += also_folded
    own = staging.finish()
    old = catalog.manifest
    gone = old.gone | {pack.id for pack in folded}
    kept = {p.id: p for run in runs for p in run.packs if p.id not in gone}
    packs = [*kept.values(), *own]
    numbers = {pack.id: number for number, pack in enumerate(packs)}
    fresh = _new_rows(staging, moved, numbers)
    about = len(fresh) + sum(run.info.rows for run in runs)
    rows = heapq.merge(fresh, *(_renumbered(run, numbers, moved, old.gone) for run in runs))
    segment = write_segment(backend, rows, about, packs)
    manifest = replace(
        old,
        segments=(*old.segments[: len(old.segments) - len(runs)], segment),
        history=tuple(p for p in (*old.history, *own) if p.pack_class is PackClass.HISTORY and p.id not in gone),
        gone=gone - {p.id for run in runs for p in run.packs},
    )
    superseded = [segment_name(run.info.id) for run in runs] + [pack.name for pack in folded]
    return Merged(manifest, [segment_name(segment.id)], superseded)


def _newest_runs(catalog: Catalog, new: int) -> list[Segment]:
    """The segments to merge. A damaged one ends the list: it is left as it is, and the commit goes on."""
    segments = catalog.manifest.segments
    runs: list[Segment] = []
    for back in range(runs_to_merge([info.rows for info in segments], new)):
        try:
            run = catalog.segment(len(segments) - 1 - back)
            run.load_all()
        except (DamagedError, NotFoundError):
            break
        runs.append(run)
    return runs


def _fold_packs(backend: Backend, runs: list[Segment], staging: Staging) -> tuple[set[ObjectId], list[PackInfo]]:
    moved: set[ObjectId] = set()
    folded: list[PackInfo] = []
    for pack_class in (PackClass.STRUCTURE, PackClass.MEDIA):
        packs = {p.id: p for run in runs for p in run.packs if p.pack_class == pack_class}
        for pack in packs_to_fold(packs.values(), staging.open_size(pack_class)):
            try:
                moved |= _fold(backend, pack, runs, staging)
                folded.append(pack)
            except (DamagedError, NotFoundError):
                continue  # stays listed as it is: what can still be read of it must not get lost
    return moved, folded


def _fold(backend: Backend, pack: PackInfo, runs: list[Segment], staging: Staging) -> set[ObjectId]:
    """Copy the frames of `pack` that a row names, and say which they are."""
    moved: set[ObjectId] = set()
    where = f"pack {pack.id.short()}"
    data = backend.read(pack.name, 0, pack.size + 1)
    for id, offset in pack_index(lambda at, length: data[at : at + length], len(data), pack):
        for run in runs:
            row = run.find(id)
            if row is None or run.packs[row.pack].id != pack.id or row.entry.offset != offset:
                continue
            if staging.held(id) is None:
                frame = data[offset : offset + row.entry.length]
                check_frame(frame, id, row.entry, where)
                staging.fold(id, row.entry, frame, pack.pack_class)
            moved.add(id)
    return moved


def _new_rows(staging: Staging, moved: set[ObjectId], numbers: dict[ObjectId, int]) -> list[bytes]:
    rows = []
    for id in staging.objects.keys() | moved:
        held = staging.held(id)
        assert held is not None and held.writer.info is not None  # finished before
        rows.append(pack_row(id, numbers[held.writer.info.id], held.entry))
    rows.sort()
    return rows


def _renumbered(
    run: Segment, numbers: dict[ObjectId, int], moved: set[ObjectId], gone: frozenset[ObjectId]
) -> Iterator[bytes]:
    """A run's rows with the new segment's pack numbers, without those that moved to another pack, now or before."""
    before = {number.to_bytes(4, "big") for number, pack in enumerate(run.packs) if pack.id in gone}
    fields = {
        old.to_bytes(4, "big"): numbers[pack.id].to_bytes(4, "big")
        for old, pack in enumerate(run.packs)
        if pack.id in numbers
    }
    for row in run.rows():
        field = fields.get(row[PACK_FIELD])
        if field is not None:
            yield row[: PACK_FIELD.start] + field + row[PACK_FIELD.stop :]
        elif row[PACK_FIELD] not in before and row[: ObjectId.SIZE] not in moved:
            # Never drop a row unless its object was copied.
            raise DamagedError(f"index segment {run.info.id.short()} names an object that its pack does not")
