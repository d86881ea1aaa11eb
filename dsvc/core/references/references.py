"""References: the bytes of inputs that lie elsewhere, read only as what they were when they were added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsvc.core.keys import display
from dsvc.core.references.places import Look, PlaceError, Places, Source, shown_place
from dsvc.core.references.threads import side_by_side
from dsvc.errors import DsvcError
from dsvc.model.incoming import Progress
from dsvc.model.records import Reference, decode_input
from dsvc.store.ids import ObjectId, blob_hasher

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.model.snapshot import Snapshot

OTHER_BYTES = "has other bytes than when it was added"
# What the clocks of file systems count in, in nanoseconds; a time that one has cut off is the same time.
_TICKS = (1, 100, 1_000, 1_000_000, 1_000_000_000)


def read_reference(places: Places, key: str, reference: Reference) -> Iterator[bytes]:
    """The bytes that an input refers to, in pieces of about 1 MiB, verified at the end.

    Raises, naming the input, RefusedError where they are gone, changed or cannot be read, RemoteError where the
    place is out of reach. Where no hash is known, another ETag or time of change counts as a change.
    """
    try:
        with places.open(reference.place) as source:
            yield from verified(reference, source)
    except PlaceError as error:
        raise error.told(key) from error


def verified(reference: Reference, source: Source) -> Iterator[bytes]:
    """The pieces of an open place, which must be what a reference says. Raises PlaceError."""
    wrong = wrong_size(reference, source.look.size)
    if wrong is None and reference.hash is None and not same_look(reference, source.look):
        wrong = "has changed since it was added"
    if wrong:
        raise PlaceError(reference.place, "changed", wrong)
    hasher, size = blob_hasher(), 0
    for piece in source.pieces:
        size += len(piece)
        if reference.size is not None and size > reference.size:  # and who knows when it ends
            raise PlaceError(reference.place, "changed", f"has more than {reference.size:,} bytes")
        if reference.hash is not None:
            hasher.update(piece)
        yield piece
    wrong = wrong_size(reference, size)
    if wrong is None and reference.hash is not None and hasher.digest() != reference.hash:
        wrong = OTHER_BYTES
    if wrong:
        raise PlaceError(reference.place, "changed", wrong)


def wrong_size(reference: Reference, size: int | None) -> str | None:
    """What is wrong with a number of bytes, or None."""
    if size is None or reference.size is None or size == reference.size:
        return None
    return f"has {size:,} bytes, and had {reference.size:,}"


def same_look(reference: Reference, look: Look) -> bool:
    """Whether a place's ETag, or its time of change, is still that of a reference, or the reference has neither."""
    if reference.etag is not None:
        return reference.etag == look.etag
    if reference.mtime is None:
        return True
    return look.mtime is not None and any(
        reference.mtime // tick == look.mtime // tick and 0 in (reference.mtime % tick, look.mtime % tick)
        for tick in _TICKS
    )


def find_changed(
    repository: Repository, state: Snapshot, progress: Progress | None = None
) -> Iterator[tuple[str, str]]:
    """Compare what a state refers to, and does not hold, with what lies there now: key, and what is wrong, in words.

    A place whose size and ETag or time are the same is not read. One that was touched is, where a hash tells.
    """
    places = Places(repository.workspace)

    def compare(found: tuple[str, Reference]) -> tuple[str, str | None]:
        key, reference = found
        try:
            return key, _what_changed(places, reference)
        except PlaceError as error:
            return key, f"its bytes at {error}"
        except DsvcError as error:  # object stores cannot be opened here
            return key, f"its bytes at {shown_place(reference.place)}: {error.message}"

    for done, (key, text) in enumerate(side_by_side(compare, _referring(state), 4), 1):
        if progress and done % 64 == 0:
            progress("compare references", done, None)
        if text is not None:
            yield key, text


def _referring(state: Snapshot) -> Iterator[tuple[str, Reference]]:
    for tree_key, value in state.input_tree:
        if b"reference" in value:  # most inputs of most datasets need no decoding
            media = decode_input(tree_key, value).media
            if media is not None and media.blob is None and media.reference is not None:
                yield tree_key.decode(), media.reference


def _what_changed(places: Places, reference: Reference) -> str | None:
    look, place = places.look(reference.place), shown_place(reference.place)
    wrong = wrong_size(reference, look.size)
    if wrong:
        return f"its bytes at {place} changed: the place {wrong}"
    is_same = same_look(reference, look)
    if reference.hash is None:
        evidence = "the ETag" if reference.etag is not None else "the time of change"
        return None if is_same else f"its bytes at {place} may have changed: {evidence} did, and no hash is known"
    if is_same and (reference.etag is not None or reference.mtime is not None):
        return None
    if hash_place(places, reference.place) != reference.hash:
        return f"its bytes at {place} changed: the place {OTHER_BYTES}"
    return None


def hash_place(places: Places, place: str) -> ObjectId:
    """The blob id that the bytes at a place have. Raises PlaceError."""
    hasher = blob_hasher()
    with places.open(place) as source:
        for piece in source.pieces:
            hasher.update(piece)
    return ObjectId(hasher.digest())


def reference_text(reference: Reference) -> str:
    """A reference in words: where, ETag or time, hash."""
    from datetime import UTC, datetime

    words = [f"at {shown_place(reference.place)}"]
    if reference.etag is not None:
        words.append(f"etag {display(reference.etag)}")
    if reference.mtime is not None:
        try:
            words.append(f"mtime {datetime.fromtimestamp(reference.mtime // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}")
        except (ValueError, OverflowError, OSError):  # a file system may say anything
            words.append(f"mtime @{reference.mtime} ns")
    words.append(f"hash {reference.hash.short()}" if reference.hash is not None else "not hashed yet")
    return ", ".join(words)
