"""The store that objects come from when they travel: this repository's own, or a remote's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dsvc.errors import DamagedError, DsvcError
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.remote.reading import Found, Look, Run
    from dsvc.store.frame import Packed
    from dsvc.store.objects import ObjectStore


class Source:
    """The store that objects come from. `failure` makes the error that is told of what is damaged or missing in it,
    `lack` that of an input, by key, whose media is at neither end.

    It `is_near` where reading it costs nothing beside sending.
    """

    def __init__(
        self,
        store: ObjectStore,
        failure: Callable[[DamagedError], DsvcError],
        lack: Callable[[str], DsvcError],
        *,
        is_near: bool,
    ) -> None:
        from dsvc.remote.reading import BulkReader

        self._store = store
        self._reader = BulkReader(store, near=is_near)
        self.failure = failure
        self.lack = lack
        self.is_near = is_near
        self.verb = "send" if is_near else "receive"

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Tell of what the body finds damaged as of damage in this store."""
        try:
            yield
        except DamagedError as error:
            raise self.failure(error) from error

    def close(self) -> None:
        """End what was begun to be read. It may be used again."""
        self._reader.close()

    def objects(self, ids: Sequence[ObjectId], kind: Kind) -> Iterator[Packed]:
        """Objects, verified, with their frames, in this order."""
        with self.blamed():
            yield from self._reader.objects(ids, kind)

    def locate(self, ids: Sequence[ObjectId], kind: Kind) -> list[Found | None]:
        """Where objects lie, None for those that are not there."""
        with self.blamed():
            return self._reader.locate(ids, kind)

    def runs(self, found: Iterable[Found]) -> Iterator[Run]:
        """Objects that were located, verified, as they lie."""
        with self.blamed():
            yield from self._reader.runs(found)

    def structure(self) -> list[Found]:
        """Where all structure lies that is not with history; none where there is too much to be told at once."""
        with self.blamed():
            return self._reader.structure()

    def whole(self, found: Iterable[Found], look: Look) -> Iterator[Run]:
        """Objects that were located, many at once, as they lie, each verified and then given to `look`. What cannot be
        read, or is damaged, is left out."""
        yield from self._reader.whole(found, look)

    def has_commit(self, id: ObjectId) -> bool:
        """Whether the commit is there."""
        with self.blamed():
            return self._store.has(id, Kind.COMMIT)

    def pieces(self, id: ObjectId) -> Iterator[bytes]:
        """A blob piece by piece, verified at the end."""
        with self.blamed():
            yield from self._store.open_blob(id)
