"""Fetching media: what a revision's inputs name and this repository lacks comes here from its remotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.keys import display
from dsvc.errors import NotFoundError, RefusedError, RemoteError
from dsvc.model.reach import blobs_of
from dsvc.model.view import tombstones

if TYPE_CHECKING:
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress
    from dsvc.model.records import Input
    from dsvc.store.ids import ObjectId
    from dsvc.store.objects import ObjectStore

_WINDOW = 2048  # files
_WINDOW_BYTES = 64 << 20


class MediaFetched(NamedTuple):
    """What came: so many files, of `bytes` bytes; in a dry run, what would. `here` were here already, `purged` are gone
    for good. `missing` are the keys of inputs whose media no remote has."""

    files: int
    bytes: int
    here: int
    purged: int
    missing: tuple[str, ...]


class _Wanted(NamedTuple):
    """A blob that is absent, with the key of an input that names it, and its bytes."""

    blob: ObjectId
    key: str
    size: int


def fetch_media(
    state: State, *, where: str | None = None, dry_run: bool = False, progress: Progress | None = None
) -> MediaFetched:
    """Bring the media of a state, or of the inputs that a filter is true of. What came stays, whatever comes after; so
    a fetch that broke off is taken up by another one.

    Raises FilterError, RemoteError, and RefusedError where what came cannot be stored.
    """
    store = state.repository.store
    absent, here, purged = _sort(state, _records(state, where, progress))
    found, missing = _locate(store, absent)
    size = sum(one.size for one in found)
    if not dry_run:
        for done in _bring(store, found):
            if progress:
                progress("fetch media", done, size)
    keys = tuple(dict.fromkeys(one.key for one in missing))
    return MediaFetched(len(found), size, here, purged, keys)


def _records(state: State, where: str | None, progress: Progress | None) -> Iterator[Input]:
    if where is None:
        return state.inputs()
    from dsvc.core.filters.matching import Part
    from dsvc.core.filters.narrowing import matching_keys

    return Part(state, matching_keys(state.snapshot, where, progress)).inputs()


def _sort(state: State, records: Iterator[Input]) -> tuple[list[_Wanted], int, int]:
    """The blobs that are absent, each once and in the order of the keys; how many are here, and how many purged."""
    store, gone = state.repository.store, tombstones(state.repository.view)
    seen: set[ObjectId] = set()
    absent: list[_Wanted] = []
    here = purged = 0
    for record in records:
        for blob in blobs_of(record):
            if blob in seen:
                continue
            seen.add(blob)
            if store.has_media(blob):
                here += 1
            elif blob in gone:
                purged += 1
            else:
                absent.append(_Wanted(blob, record.key, 0))
    return absent, here, purged


def _locate(store: ObjectStore, absent: Sequence[_Wanted]) -> tuple[list[_Wanted], list[_Wanted]]:
    """The blobs that a remote has, with their sizes, and those that none has."""
    if not absent or store.elsewhere is None:
        return [], list(absent)
    entries = store.elsewhere.entries([one.blob for one in absent])
    found = [one._replace(size=entries[one.blob].raw) for one in absent if one.blob in entries]
    return found, [one for one in absent if one.blob not in entries]


def _bring(store: ObjectStore, found: Sequence[_Wanted]) -> Iterator[int]:
    """Bring blobs; gives how many bytes came by then."""
    done = 0
    for window in _windows(found):
        store.prefetch([one.blob for one in window])
        for one in window:
            yield from _read(store, one, done)
            done += one.size
    store.close()
    if (failure := store.not_kept) is not None:
        raise RefusedError(f"what came cannot be stored here: {failure}", "make room, or see that .dsvc can be written")


def _read(store: ObjectStore, one: _Wanted, done: int) -> Iterator[int]:
    try:
        for piece in store.open_blob(one.blob):
            done += len(piece)
            yield done
    except (NotFoundError, RemoteError) as error:
        raise type(error)(f"{display(one.key)}: {error.message}", error.hint) from error


def _windows(found: Sequence[_Wanted]) -> Iterator[Sequence[_Wanted]]:
    """Parts of some hundred blobs, or of some tens of MiB."""
    start = size = 0
    for end, one in enumerate(found, 1):
        size += one.size
        if size >= _WINDOW_BYTES or end - start >= _WINDOW or end == len(found):
            yield found[start:end]
            start, size = end, 0
