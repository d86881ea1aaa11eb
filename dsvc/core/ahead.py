"""Looking ahead over records whose media is read one after the other, so that absent media comes in few requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dsvc.model.records import Concept, Input, Media, decode_input
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.model.walk import Sample, Walk
    from dsvc.store.objects import ObjectStore

T = TypeVar("T")
ITEMS = 2048  # records that are looked at ahead, at most
BYTES = 64 << 20  # of their media
_FIRST = 8  # records, for whom reads one here and one there


class Ahead(Generic[T]):
    """The items of a stream, each of which may have media. Iterate over it, and say `read` whenever media is read.

    Somebody who reads one in two or more is told ahead of; who reads fewer would get what nobody wants.
    """

    def __init__(
        self, store: ObjectStore, items: Iterable[T], media_of: Callable[[T], Media | None], *, all_read: bool = False
    ) -> None:
        """With `all_read`, the media of every item is read."""
        self._store = store
        self._items = iter(items)
        self._media_of = media_of
        self._all_read = all_read
        self._waiting: deque[T] = deque()
        self._told = 0  # of those that wait, how many were announced
        self._current: T | None = None  # what is looked at now, where it was not announced
        self._given = 0
        self._reads = 0

    def __iter__(self) -> Iterator[T]:
        while True:
            if self._all_read:
                self._look(ITEMS)
            if not self._waiting and not self._pull():
                return
            item = self._waiting.popleft()
            self._current = None if self._told else item
            self._told = max(0, self._told - 1)
            self._given += 1
            yield item

    def _pull(self) -> bool:
        """Have one item more wait; False where there is none."""
        for item in self._items:
            self._waiting.append(item)
            return True
        return False

    def read(self) -> None:
        """The media of an item is read now."""
        self._reads += 1
        if not self._all_read and self._reads * 2 >= self._given:
            self._look(min(ITEMS, self._reads * _FIRST))

    def _look(self, most: int) -> None:
        """Announce what comes next, once half of what was announced is read."""
        if self._told > most // 2 or self._store.elsewhere is None:
            return
        found, size = [self._current] if self._current is not None else [], 0
        while self._told < most and size < BYTES and (self._told < len(self._waiting) or self._pull()):
            found.append(self._waiting[self._told])
            self._told += 1
            size += getattr(self._media_of(found[-1]), "size", None) or 0
        self._current = None
        medias = [media for item in found if (media := self._media_of(item)) is not None]
        self._store.prefetch([media.blob for media in medias if media.blob is not None])


def _input_media(record: Input) -> Media | None:
    return record.media


def sample_media(sample: Sample) -> Media | None:
    """The media of a sample."""
    return sample.input.media


def _entry_media(entry: tuple[bytes, bytes]) -> Media | None:
    return decode_input(*entry).media


class WithMedia:
    """A walk of which all media is read, in the order of its inputs."""

    def __init__(self, walk: Walk, store: ObjectStore) -> None:
        self._walk = walk
        self._store = store

    @property
    def meta(self) -> Mapping[str, Any]:
        """The dataset's metadata."""
        return self._walk.meta

    def concepts(self) -> Iterator[Concept]:
        """All concepts."""
        return self._walk.concepts()

    def input(self, key: str) -> Input | None:
        """The input of a key, or None."""
        return self._walk.input(key)

    def inputs(self) -> Iterator[Input]:
        """All inputs; what comes next is announced."""
        return iter(Ahead(self._store, self._walk.inputs(), _input_media, all_read=True))

    def samples(self) -> Iterator[Sample]:
        """All inputs with their annotations; what comes next is announced."""
        return iter(Ahead(self._store, self._walk.samples(), sample_media, all_read=True))

    def input_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All inputs as they are stored; what comes next is announced."""
        return iter(Ahead(self._store, self._walk.input_entries(), _entry_media, all_read=True))

    def annotation_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All annotations as they are stored."""
        return self._walk.annotation_entries()

    def read_blob(self, blob: ObjectId) -> Iterator[bytes]:
        """The bytes of a blob, in pieces."""
        return self._walk.read_blob(blob)

    def read_media(self, record: Input) -> Iterator[bytes]:
        """The bytes of an input's media, in pieces."""
        return self._walk.read_media(record)
