"""Reading many objects of a store at once: neighbours in one go, verified on other threads while the caller works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dsvc.errors import DamagedError, NotFoundError
from dsvc.store.frame import FRAME_OVERHEAD, Entry, Packed, open_frame, open_structure, verify_frame
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.index import ROW
from dsvc.store.limits import is_allowed
from dsvc.store.objects import ObjectStore
from dsvc.store.pack import HISTORY_KINDS, PackClass, PackInfo

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from dsvc.store.catalog import Catalog

SPAN = 4 << 20  # bytes that are read at once, but for a single bigger frame
_GROUP = 512  # objects that are located at once
_NEAR_GAP, _FAR_GAP = 4 << 10, 128 << 10  # bytes nobody asked for that are read rather than two ranges
_NEAR_HANDS, _FAR_HANDS = 2, 8
_WHOLE = 16 << 20  # bytes of structure that are read at once, where all of it is wanted
_WHOLE_HANDS = 3
_MOST_ROWS = 1 << 21  # of the indexes of a place of which all structure is told at once
_FEW = 256 << 10  # bytes of a store at hand that are read here and now: beginning threads costs more
Look = Callable[[ObjectId, int, bytes], None]
T = TypeVar("T")
R = TypeVar("R")


class Found(NamedTuple):
    """An object and where it lies."""

    id: ObjectId
    pack: PackInfo
    entry: Entry


class Span(NamedTuple):
    """A range of a pack with the objects in it that are wanted, in order."""

    members: list[Found]

    @property
    def start(self) -> int:
        """Where in the pack it begins."""
        return self.members[0].entry.offset

    @property
    def length(self) -> int:
        """Its bytes."""
        last = self.members[-1].entry
        return last.offset + last.length - self.start


class Run(NamedTuple):
    """Verified frames, one after the other, and where in them each object's begins."""

    data: memoryview
    rows: list[tuple[ObjectId, Entry]]


class BulkReader:
    """Reads a store that is `near`, on a disk at hand, or far, where it takes more requests at once. A context."""

    def __init__(self, store: ObjectStore, *, near: bool) -> None:
        self._store = store
        self._near = near
        self._gap = _NEAR_GAP if near else _FAR_GAP
        self._hands = _NEAR_HANDS if near else _FAR_HANDS
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def locate(self, ids: Sequence[ObjectId], kind: Kind) -> list[Found | None]:
        """Where objects lie; None for one that no index lists, or as another kind. Raises DamagedError."""

        def find(id: ObjectId) -> Found | None:
            try:
                found = self._store.follow(lambda catalog: catalog.find(id, kind in HISTORY_KINDS))
            except NotFoundError as error:
                raise DamagedError(f"the index is incomplete: {error.message}") from error
            return Found(id, *found) if found is not None and found.entry.kind == kind else None

        return [find(id) for id in ids]

    def objects(self, ids: Sequence[ObjectId], kind: Kind) -> Iterator[Packed]:
        """The objects, verified, in the order in which they were asked for. Raises DamagedError."""
        parts = (ids[at : at + _GROUP] for at in range(0, len(ids), _GROUP))
        groups = (group for part in parts for group in self._groups(part, kind))
        for group, spans in self._ahead(groups, self._read_objects):
            read: dict[ObjectId, Packed] = {}
            for span in spans:
                read.update(span() or {})
            for id in group:
                yield read.get(id) or self._alone(id, kind)

    def _groups(self, ids: Sequence[ObjectId], kind: Kind) -> Iterator[tuple[list[ObjectId], list[Span]]]:
        """Some objects, in parts of about a span, each with the ranges that hold them."""
        group: list[ObjectId] = []
        found: list[Found] = []
        size = 0
        for id, one in zip(ids, self.locate(ids, kind), strict=True):
            group.append(id)
            if one is not None:
                found.append(one)
                size += one.entry.length
            if size >= SPAN:
                yield group, self._spans(found)
                group, found, size = [], [], 0
        if group:
            yield group, self._spans(found)

    def _alone(self, id: ObjectId, kind: Kind) -> Packed:
        """An object that could not be read with others: it says what is wrong, or lies elsewhere by now."""
        packed = self._store.get_packed(id, kind)
        assert packed is not None  # whatever its size
        return packed

    def runs(self, found: Iterable[Found]) -> Iterator[Run]:
        """The objects, verified, in the order in which they lie. Raises DamagedError."""
        for span, (read,) in self._ahead(((span, [span]) for span in self._spans(found)), self._read_runs):
            runs = read()
            if runs is not None:
                yield from runs
                continue
            for member in span.members:
                packed = self._alone(member.id, Kind(member.entry.kind))
                yield Run(memoryview(packed.frame), [(packed.id, packed.entry._replace(offset=0))])

    def structure(self) -> list[Found]:
        """Where all structure lies that is not with history; none where that is too much to be told at once.

        Raises DamagedError.
        """
        try:
            return self._store.follow(_structure)
        except NotFoundError as error:
            raise DamagedError(f"the index is incomplete: {error.message}") from error

    def whole(self, found: Iterable[Found], look: Look) -> Iterator[Run]:
        """The objects in big ranges, as they lie, each verified and given to `look`. What is not sound is left out."""

        spans = ((span, [span]) for span in self._spans(found, _WHOLE))
        for span, (read,) in self._ahead(spans, self._read, _WHOLE_HANDS):
            data = read()
            if data is not None:
                yield from _sound_runs(data, span, look)

    def _spans(self, found: Iterable[Found], most: int = SPAN) -> list[Span]:
        """The ranges to read for some objects."""
        spans: list[Span] = []
        end = 0
        for one in sorted(found, key=lambda found: (found.pack.id, found.entry.offset)):
            last = spans[-1] if spans else None
            if (
                last is not None
                and last.members[0].pack.id == one.pack.id
                and one.entry.offset - end <= self._gap
                and one.entry.offset + one.entry.length - last.start <= most
            ):
                last.members.append(one)
            else:
                spans.append(Span([one]))
            end = one.entry.offset + one.entry.length
        return spans

    def _ahead(
        self, works: Iterable[tuple[T, list[Span]]], read: Callable[[Span], R], hands: int = 0
    ) -> Iterator[tuple[T, list[Callable[[], R | None]]]]:
        """Begin to read what is asked for next. Each call waits for a range; None where it cannot be read whole."""
        waiting: deque[tuple[T, list[Callable[[], R | None]]]] = deque()
        for work, spans in works:
            waiting.append((work, [self._begin(span, read) for span in spans]))
            if len(waiting) > (hands or self._hands):
                yield waiting.popleft()
        yield from waiting

    def _begin(self, span: Span, read: Callable[[Span], R]) -> Callable[[], R | None]:
        if self._pool is None:
            if self._near and span.length < _FEW:
                return lambda: _tried(read, span)
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._hands, "dsvc-read")
        return self._pool.submit(_tried, read, span).result

    def _read_objects(self, span: Span) -> dict[ObjectId, Packed]:
        data = self._read(span)
        found = {}
        for id, pack, entry in span.members:
            at = entry.offset - span.start
            frame = data[at : at + entry.length]
            found[id] = Packed(id, entry, frame, open_frame(frame, id, entry, f"pack {pack.id.short()}"))
        return found

    def _read_runs(self, span: Span) -> list[Run]:
        data = memoryview(self._read(span))
        runs: list[Run] = []
        begin = end = 0
        for id, pack, entry in span.members:
            at = entry.offset - span.start
            verify_frame(data[at : at + entry.length], id, entry, f"pack {pack.id.short()}")
            if at != end or not runs:
                begin = at
                runs.append(Run(data, []))
            end = at + entry.length
            runs[-1].rows.append((id, entry._replace(offset=at - begin)))
            runs[-1] = Run(data[begin:end], runs[-1].rows)
        return runs

    def _read(self, span: Span) -> bytes:
        return self._store.backend.read(span.members[0].pack.name, span.start, span.length)


def _sound_runs(data: bytes, span: Span, look: Look) -> Iterator[Run]:
    """The sound objects of structure in a span that was read, in runs, after a look at each."""
    view, rows = memoryview(data), list[tuple[ObjectId, Entry]]()
    start = begin = end = span.start
    members = [(id, entry) for id, _, entry in span.members]
    for (id, entry), found in zip(members, open_structure(data, start, members), strict=True):
        if found is None or entry.offset != end:
            if rows:
                yield Run(view[begin - start : end - start], rows)
            begin, end, rows = entry.offset, entry.offset, []
        if found is not None:
            offset, stored, raw, kind, codec = entry
            look(id, kind, found)
            rows.append((id, Entry(offset - begin, stored, raw, kind, codec)))
            end = offset + stored + FRAME_OVERHEAD
    if rows:
        yield Run(view[begin - start : end - start], rows)


def _structure(catalog: Catalog) -> list[Found]:
    """The structure in packs of its own. Raises NotFoundError or DamagedError."""
    if sum(info.rows for info in catalog.manifest.segments) > _MOST_ROWS:
        return []
    found: dict[bytes, Found] = {}
    for number in range(len(catalog.manifest.segments)):
        segment, gone = catalog.segment(number), catalog.manifest.gone
        wanted = [pack.pack_class is PackClass.STRUCTURE and pack.id not in gone for pack in segment.packs]
        if not any(wanted):
            continue
        for id, pack, *fields in ROW.iter_unpack(segment.read_rows()):
            if pack < len(wanted) and wanted[pack]:
                entry = Entry(*fields)
                if is_allowed(entry.kind, entry.codec, entry.raw, entry.stored) and entry.kind in (
                    Kind.NODE,
                    Kind.VALUE,
                ):
                    found[id] = Found(ObjectId(id), segment.packs[pack], entry)
    return list(found.values())


def _tried(read: Callable[[Span], R], span: Span) -> R | None:
    """What is read, or None where a part of it is missing or damaged."""
    try:
        return read(span)
    except (NotFoundError, DamagedError):
        return None
