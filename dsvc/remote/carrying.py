"""Carrying objects from one store to a transaction of another: structure as it is asked for, blobs many at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from dsvc.errors import DamagedError
from dsvc.model.incoming import Progress
from dsvc.remote.looking import Seen
from dsvc.store.chunklist import ChunkList
from dsvc.store.cutting import BIG
from dsvc.store.frame import CHUNKED, RAW
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.model.node import Child
    from dsvc.remote.reading import Found
    from dsvc.remote.source import Source
    from dsvc.store.writer import ObjectWriter

MANY = 1 << 17  # blobs that are wanted, before they are brought
_TOLD = 1 << 20  # bytes between two reports of progress


class Carrier:
    """Stages objects that are not there, verified, and counts what travelled.

    Without `media` no blob is taken; those that are `purged` never are, and are noted in `left_out`.
    """

    def __init__(
        self,
        source: Source,
        writer: ObjectWriter,
        progress: Progress | None,
        *,
        media: bool,
        purged: Collection[ObjectId],
    ) -> None:
        self._source = source
        self._writer = writer
        self._progress = progress
        self._media = media
        self._purged = purged
        self._wanted: dict[ObjectId, bytes] = {}  # blobs, and the key of an input that names them
        self._told = 0
        self._seen: Seen | None = None
        self.left_out: set[ObjectId] = set()
        self.objects = 0
        self.bytes = 0

    # ---- structure

    def lacking(self, ids: Iterable[ObjectId], kind: Kind) -> list[ObjectId]:
        """Those of some objects that are not there, each once."""
        return [id for id in dict.fromkeys(ids) if not self._writer.has(id, kind)]

    def bring(self, ids: list[ObjectId], kind: Kind) -> Iterator[tuple[ObjectId, bytes]]:
        """Stage structure that is not there, and give its bytes, in this order. What a transaction that broke off has
        packed does not travel again."""
        adopted = {id for id in ids if self._writer.adopt(id, kind)}
        taken = ids if self._source.is_near else [id for id in ids if id not in adopted]
        arriving = self._source.objects(taken, kind)
        for id in ids:
            if id in adopted and not self._source.is_near:
                data = self._seen.take(id, kind) if self._seen is not None else None
                yield id, self._writer.get(id, kind) if data is None else data
                continue
            packed = next(arriving)
            if id not in adopted:
                self._writer.put_packed(packed)
                self._count(1, len(packed.frame))
            yield id, packed.data

    def bring_whole(self) -> None:
        """Pack all structure of a distant place, of which what is asked for then is staged without another request."""
        if self._source.is_near or self._writer.has_structure:
            return
        found = [one for one in self._source.structure() if not self._writer.is_offered(one.id)]
        total = sum(one.entry.length for one in found)
        self._seen = Seen(blobs=self._media or bool(self._purged))
        for run in self._source.whole(found, self._seen.look):
            self._writer.offer_run(run.data, run.rows)
            self._count(len(run.rows), len(run.data), self.bytes + total)

    def forget_rest(self) -> None:
        """Leave what `bring_whole` packed and nothing asked for without a row."""
        if self._seen is not None:
            self._seen = None
            self._writer.withdraw()

    def stage_plain(self, id: ObjectId, promised: Child, tree: str) -> bool:
        """Stage a leaf of a tree that was seen to be what its parent says, and to name nothing, if it is such a one."""
        if self._seen is None or not self._seen.is_plain(id, promised, tree):
            return False
        return self._writer.has_staged(id) or self._writer.adopt(id)

    def held(self, id: ObjectId, kind: Kind) -> bytes:
        """An object that is there already: read at the end that is near."""
        return next(self._source.objects([id], kind)).data if self._source.is_near else self._writer.get(id, kind)

    # ---- media

    def want(self, id: ObjectId, key: bytes) -> None:
        """Note a blob that an input names, unless it is there."""
        if id in self._purged:
            self.left_out.add(id)
        elif self._media and id not in self._wanted and not self._writer.has(id, Kind.BLOB):
            self._wanted[id] = key

    @property
    def has_many(self) -> bool:
        """Whether it is time to bring the blobs that are wanted."""
        return len(self._wanted) >= MANY

    def bring_blobs(self, *, is_last: bool = False) -> None:
        """Bring the blobs that are wanted, in the order in which they lie, and the chunks of those that lie in chunks.
        With `is_last` it is known how much is left."""
        keys = self._wanted
        found = self._located()
        lists = [one.id for one in found if one.entry.codec == CHUNKED]
        if lists:
            self._bring_lists({id: keys[id] for id in lists})
            found = [one for one in found if one.entry.codec != CHUNKED] + self._located()
            found = list({one.id: one for one in found}.values())  # a chunk may be somebody's whole file
        found = [one for one in found if not self._writer.adopt(one.id)]
        total = self.bytes + sum(one.entry.length for one in found) if is_last else None
        big = [one for one in found if one.entry.raw > BIG and one.entry.codec == RAW]
        for one in big:  # of before there were chunks
            self._writer.put_blob(self._source.pieces(one.id), one.entry.raw)
            self._count(1, one.entry.length, total)
        left_out = {one.id for one in big}
        for run in self._source.runs(one for one in found if one.id not in left_out):
            self._writer.put_run(run.data, run.rows)
            self._count(len(run.rows), len(run.data), total)
        for id in lists if not self._source.is_near else ():
            self._verify(id)

    def _located(self) -> list[Found]:
        """Where the blobs lie that are wanted, which are none any more."""
        wanted, self._wanted = self._wanted, {}
        ids = list(wanted)
        with self._source.blamed():
            places = self._source.locate(ids, Kind.BLOB)
        for id, place in zip(ids, places, strict=True):
            if place is None:
                raise self._source.lack(wanted[id].decode())
        return [place for place in places if place is not None]

    def _bring_lists(self, keys: dict[ObjectId, bytes]) -> None:
        """Stage the lists of blobs in chunks, each with the key of an input that names it, and want their chunks."""
        for packed in self._source.objects(list(keys), Kind.BLOB):
            self._writer.put_packed(packed)
            self._count(1, len(packed.frame))
            for chunk in ChunkList.decode(packed.data).ids():
                self.want(chunk, keys[packed.id])

    def _verify(self, id: ObjectId) -> None:
        """See that the chunks that came make up their blob, which no list can prove."""
        try:
            for _ in self._writer.open_blob(id):
                pass
        except DamagedError as error:
            raise self._source.failure(error) from error

    # ---- what travelled

    def _count(self, objects: int, size: int, total: int | None = None) -> None:
        self.objects += objects
        self.bytes += size
        if self.bytes - self._told >= _TOLD:
            self.tell(total)

    def tell(self, total: int | None) -> None:
        """Report how many bytes travelled, of how many where that is known."""
        self._told = self.bytes
        if self._progress is not None:
            self._progress(self._source.verb, self.bytes, total)
