"""Repairing a repository: the lists, then the objects, and at the end a look at what is left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from dsvc.core.check import CheckReport, check, verified
from dsvc.core.dependents import chunks_of
from dsvc.core.oddities import Finding
from dsvc.core.repairing.aside import Aside
from dsvc.core.repairing.lists import mend_lists
from dsvc.core.repairing.mending import Donor, Mender, MendingLinks
from dsvc.core.repository import FOLDER, Repository
from dsvc.errors import NotRepositoryError
from dsvc.model.commit import Author
from dsvc.model.incoming import Progress
from dsvc.store.backend import Backend
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.index import pack_row, write_segment
from dsvc.store.local import LocalBackend
from dsvc.store.manifest import SegmentInfo
from dsvc.store.objects import ObjectStore
from dsvc.store.overlay import Overlay
from dsvc.store.pack import PackInfo
from dsvc.store.rewrite import Mending, is_there, rewrite, segment_rows
from dsvc.store.staging import Pending, Staging

OpenDonors = Callable[[Repository], Iterable[Donor]]


class RepairReport(NamedTuple):
    """What a repair did, and what a check finds after it. `aside` is where damaged files lie now, None without any."""

    done: tuple[Finding, ...]
    after: CheckReport
    aside: Path | None


def find_broken(start: Path) -> Path:
    """The nearest folder that holds a repository, be it one that lost its head. Raises NotRepositoryError."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / FOLDER / "head").exists() or any((folder / FOLDER / "packs").glob("*")):
            return folder
    raise NotRepositoryError(f"no dsvc repository in {start} or above", "make one with: dsvc init")


def repair(
    root: Path,
    donors: OpenDonors,
    author: Author | None = None,
    *,
    media: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RepairReport:
    """Mend the repository of a project folder, from its own packs and from others that `donors` opens.

    What is replaced is set aside. With `dry_run` the same is done to what would be thrown away. Raises RefusedError
    where nothing is left to go by.
    """
    folder = root / FOLDER
    local = LocalBackend(folder)
    with _overlaid(local) if dry_run else _as_it_is(local) as backend:
        stamp = f"{int(backend.clock())}"
        aside = Aside(None if dry_run else folder, stamp)
        done = mend_lists(backend, aside.keep)
        repository = Repository(backend, root, author)
        done += _ObjectMending(repository, list(donors(repository))).publish(aside)
        if not dry_run and (cache := repository.cache_folder) is not None and cache.is_dir():
            # It is made anew from what is whole; what lies in it may be as broken as the rest.
            shutil.rmtree(cache, ignore_errors=True)
        after = check(Repository(backend, root, author), media=media, progress=progress)
    return RepairReport(tuple(done), after, aside.folder if aside.kept else None)


@contextmanager
def _as_it_is(backend: Backend) -> Iterator[Backend]:
    yield backend


@contextmanager
def _overlaid(backend: Backend) -> Iterator[Backend]:
    with TemporaryDirectory() as scratch:
        yield Overlay(backend, LocalBackend(scratch))


class _ObjectMending:
    """Brings what is damaged or lost, and publishes it with the operation that stands."""

    def __init__(self, repository: Repository, donors: Sequence[Donor]) -> None:
        """Find out what can be done. Nothing is listed yet."""
        self._store = store = repository.store
        store.refresh()
        found = [one for one in verified(store) if one.problem != "orphan"]
        self._broken_packs = {one.pack for one in found if one.object_id is None and one.pack is not None}
        self._bad = {(one.object_id, one.pack) for one in found if one.object_id is not None and one.pack is not None}
        self._lost = {one.object_id for one in found if one.object_id is not None}
        copies = _copies(store, self._lost)
        # Of these another copy is whole.
        self._spare = {id for id, packs in copies.items() if any((id, pack) not in self._bad for pack in packs)}
        self._spare &= {id for id, _ in self._bad}
        self._staging = Staging(store.backend)
        self._mender = Mender(store, donors, self._lost - self._spare, self._staging)
        links = MendingLinks(repository, self._mender)
        self.cut = links.whole_from if links.is_cut else None
        if self.cut is not None:
            # What was before is out of reach, since what leads there is lost: then it need not be whole.
            links = MendingLinks(repository, self._mender, self.cut)
        self._needed = None if links.broken else _needed(store, links)
        for id in sorted(self._lost - self._spare - links.tombstones.keys()):
            if not self._is_needless(id):
                self._mender.bring(id, next(iter(copies.get(id, {}).values()), Kind.BLOB))

    def _is_needless(self, id: ObjectId) -> bool:
        """Whether it is sure that nothing needs an object."""
        return self._needed is not None and id not in self._needed

    def _may_drop(self, id: ObjectId) -> bool:
        """Whether damaged copies of an object may go."""
        return id in self._mender.brought or id in self._spare or self._is_needless(id)

    def _drop(self, id: ObjectId, pack: PackInfo) -> bool:
        """Whether a row goes: of a damaged copy, or of one that was moved out of a pack that is no more."""
        if (id, pack.id) in self._bad:
            return self._may_drop(id)
        is_gone = pack.id in self._store.state.catalog.manifest.gone
        return is_gone and id in self._lost and self._is_needless(id) and id not in self._mender.brought

    def publish(self, aside: Aside) -> list[Finding]:
        """List what was brought, write broken packs anew, and say what was done."""
        is_published = False
        try:
            packs = self._store.state.catalog.packs()
            broken = [pack for pack in packs if pack.id in self._broken_packs]
            anew = frozenset(pack.id for pack in broken if is_there(self._store.backend, pack))
            drops = any(self._may_drop(id) for id, _ in self._bad)
            if not (anew or drops or self._mender.brought or self.cut):
                return []
            added = _added(self._store, self._staging)
            is_published = bool(added)  # or a head may list it
            mending = Mending(added, anew, aside.keep, self.cut)
            result = rewrite(self._store, self._drop, mending=mending)
            told = list(self._told())
            if self.cut is not None:
                text = f"what was before operation {self.cut.short()} is lost, and cannot be gone back to"
                told.insert(0, Finding("operations", "operations", text))
            if result.packs:
                told.append(Finding("packs", "packs", f"{result.packs:,} written anew, of what is left of them"))
            return told
        finally:
            self._staging.close(drop=not is_published)

    def _told(self) -> Iterator[Finding]:
        for id, where in sorted(self._mender.brought.items()):
            yield Finding("object", id.hex(), f"brought from {where}")
        for id in sorted(self._lost - self._mender.brought.keys()):
            if id in self._spare:
                yield Finding("object", id.hex(), "a damaged copy was dropped: another one is whole")
            elif self._is_needless(id):
                yield Finding("object", id.hex(), "dropped: it is damaged, and nothing needs it")


def _needed(store: ObjectStore, links: MendingLinks) -> set[ObjectId]:
    """All that refs and operations need, with the chunks of media."""
    return links.seen.union(*(chunks for blob, chunks in chunks_of(store).items() if blob in links.seen))


def _copies(store: ObjectStore, ids: set[ObjectId]) -> dict[ObjectId, dict[ObjectId, Kind]]:
    """The packs in which some objects are listed, with their kinds."""
    found: dict[ObjectId, dict[ObjectId, Kind]] = {}
    catalog = store.state.catalog
    for number in range(len(catalog.manifest.segments)) if ids else ():
        segment = catalog.segment(number)
        for id, pack, entry in segment_rows(segment):
            if id in ids and pack < len(segment.packs) and segment.packs[pack].id not in catalog.manifest.gone:
                found.setdefault(id, {})[segment.packs[pack].id] = Kind(entry.kind)
    return found


def _added(store: ObjectStore, staging: Staging) -> tuple[SegmentInfo, ...]:
    """The segment of what was brought."""
    if not staging.objects:
        return ()
    staging.drain()
    packs = staging.finish()
    numbers = {pack.id: number for number, pack in enumerate(packs)}
    rows = []
    for id, held in staging.objects.items():
        assert not isinstance(held, Pending) and held.writer.info is not None  # finished before
        rows.append(pack_row(id, numbers[held.writer.info.id], held.entry))
    return (write_segment(store.backend, sorted(rows), len(rows), packs),)
