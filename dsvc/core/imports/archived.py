"""What an archive brings beside records: bytes of media, stored while it is read, and the metadata of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from dsvc.core.files.adding import list_of, media_notes, media_of
from dsvc.core.imports.originals import MediaReport, gone_note
from dsvc.core.media import probe
from dsvc.core.merging.roots import merge_meta
from dsvc.model.records import Media, decode_input
from dsvc.store.ids import Kind, ObjectId, object_id

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState
    from dsvc.model.node import Store

PIECE = 1 << 20


class Brought(Protocol):
    """What an archive has of an input's media: what they are here, and what dsvc said of them when it was written."""

    @property
    def media(self) -> Media | None:
        """The media."""

    @property
    def said(self) -> Media | None:
        """What was said of them."""


class DraftMedia:
    """Stores the bytes of media for a draft, as they come."""

    def __init__(self, draft: Draft) -> None:
        self._writer = draft.transaction.writer

    def put(self, data: bytes, name: str) -> Media:
        """Store bytes; the media that they are. The name tells one kind of text from another."""
        blob = object_id(Kind.BLOB, data)
        if not self._writer.has(blob):
            pieces = (data[at : at + PIECE] for at in range(0, len(data), PIECE))
            blob = self._writer.put_blob(pieces, len(data))
        return media_of(probe(data, name), blob, len(data), list_of(self._writer, blob, len(data)))

    def has(self, blob: ObjectId) -> bool:
        """Whether bytes are stored already."""
        return self._writer.has(blob)

    def list_of(self, blob: ObjectId, size: int) -> ObjectId | None:
        """The id of the list of a stored blob's chunks, of a big one."""
        return list_of(self._writer, blob, size)


def take_media(draft: Draft, brought: Mapping[str, Brought]) -> MediaReport:
    """Give inputs the media of an archive. Those that an input has stay where the archive has only facts of them.

    Inputs of whose media only facts are known then are missing in the report.
    """
    inputs, wanted, gone, missing = draft.snapshot.input_tree, dict[str, Media](), 0, list[str]()
    for key, found in brought.items():
        value = inputs.get(key.encode())
        old = decode_input(key.encode(), value).media if value is not None else None
        if value is None:
            gone += 1
            continue
        if found.media is not None and _is_news(old, found):
            wanted[key] = old = found.media
        if old is None or (old.blob is None and old.reference is None):
            missing.append(key)
    new, changed, _ = draft.put_media(wanted) if wanted else (0, 0, 0)
    read = {key: media for key, media in wanted.items() if media.blob is not None}
    notes = (*media_notes(draft, read), *gone_note(gone))
    return MediaReport(tuple(sorted(missing)), changed=bool(new or changed), notes=notes)


def _is_news(old: Media | None, found: Brought) -> bool:
    if old is None:
        return True
    # Archives say nothing of chunks.
    if any(
        one is not None and old == msgspec.structs.replace(one, chunks=old.chunks) for one in (found.media, found.said)
    ):
        return False
    has_bytes = found.media is not None and found.media.blob is not None
    return has_bytes or (old.blob is None and old.reference is None)


def settle_meta(draft: Draft, format: str, source: str, meta: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Give the dataset the metadata of the whole dataset that an archive is, in place of what a source would say.

    `known` are the dataset's metadata before the import.
    """

    def step(store: Store, state: DraftState) -> DraftState:
        now = {name: dict(value) for name, value in merge_meta({}, state.roots.meta, meta).items()}
        for about in (known, meta):
            if source in about.get(format, {}):
                break
        else:
            now.get(format, {}).pop(source, None)
            if format not in known and not now.get(format):
                now.pop(format, None)
        if now == state.roots.meta:
            return state
        return msgspec.structs.replace(state, roots=msgspec.structs.replace(state.roots, meta=now))

    draft.apply(step)
