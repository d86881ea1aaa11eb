"""What objects name: the objects that have to be there where they are."""

from __future__ import annotations

from collections.abc import Iterator

from dsvc.errors import DamagedError
from dsvc.model.records import Input, decode_media
from dsvc.store.ids import ObjectId


def blobs_of(record: Input) -> Iterator[ObjectId]:
    """The blobs that an input names: of its media, or of each of those that clash. Raises DamagedError."""
    if record.media is not None and record.media.blob is not None:
        yield record.media.blob
    for value in record.conflicts.get("media", ()):
        try:
            blob = decode_media(value).blob
        except (TypeError, ValueError) as error:
            raise DamagedError(f"input {record.key!r} cannot be read") from error
        if blob is not None:
            yield blob
