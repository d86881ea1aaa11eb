"""How big objects and files may be. What is bigger is refused before it is read: nobody who writes a repository can
make a reader of it take more memory than these bounds allow.

They belong to format 1, but for the narrower ones for what people make, which leave room for what merges make of it.
"""

from __future__ import annotations

from dsvc.errors import RefusedError
from dsvc.store.ids import Kind

# Bytes of an object of each kind of structure; blobs have no bound.
MAX_BYTES = {
    Kind.NODE: 64 << 10,
    Kind.VALUE: 16 << 20,
    Kind.SNAPSHOT: 16 << 20,
    Kind.COMMIT: 1 << 20,
    Kind.OPERATION: 1 << 20,
}
MAX_ITEMS = 1 << 20  # elements of lists and entries of maps in one encoded value, in all
FEW_BYTES = 64 << 10  # an encoded value of no more need not be counted
MADE_BYTES = 4 << 20  # of a record that somebody makes or imports
MADE_ITEMS = 1 << 18
MAX_SAID = 8 << 20  # bytes of the snapshot that holds what is said of a run or an evaluation
MAX_HEAD = 1 << 20
MAX_MANIFEST = 4 << 20
MAX_SEGMENTS = 1 << 10  # of a repository; writers keep them at a few dozen
MAX_HISTORY_PACK = 80 << 20  # it is read whole
MAX_BUCKET_ROWS = 1 << 20
MAX_SEGMENT_PACKS = 1 << 17


def is_allowed(kind: int, codec: int, raw: int, stored: int) -> bool:
    """Whether an object of a kind may have these lengths, raw and stored. For codec 0, both are the same."""
    most = MAX_BYTES.get(kind)  # type: ignore[call-overload] # a kind is its number
    return most is None or (raw <= most and stored <= raw)


def require_allowed(kind: Kind, size: int) -> None:
    """Raise RefusedError where an object would be bigger than the format allows."""
    most = MAX_BYTES.get(kind)
    if most is not None and size > most:
        what = "record" if kind is Kind.VALUE else kind.name.lower()
        message = f"a {what} of {size:,} bytes cannot be stored: {most:,} are the most; nothing was changed"
        raise RefusedError(message, "give it less text, metadata or other fields")
