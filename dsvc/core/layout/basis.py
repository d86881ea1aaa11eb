"""What a folder's files are compared with: the records that were laid out, and those that were taken in since.

Of a file that was left alone when the folder moved on, it is what the folder had before. Of a file that was taken into
the draft, it is what the draft has, as long as it has that: a draft that is dropped has taken nothing in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsvc.core.draft import committed_state
from dsvc.core.files.comparing import stored_media
from dsvc.core.layout.record import Record
from dsvc.model.clashes import with_fields
from dsvc.model.node import Reader, Store
from dsvc.model.records import decode_input, encode_input
from dsvc.model.snapshot import Roots, Snapshot, SnapshotEdits, edit_roots
from dsvc.store.ids import Kind, ObjectId, object_id

if TYPE_CHECKING:
    from dsvc.core.repository import Repository


class Scratch:
    """A store that keeps what is put in memory, beside what is stored."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._put: dict[ObjectId, bytes] = {}

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """The bytes of an object."""
        found = self._put.get(id)
        return found if found is not None else self._store.get(id, kind)

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        """Keep an object."""
        id = object_id(kind, data)
        self._put[id] = data
        return id


def basis_of(store: Store, repository: Repository, record: Record, draft: Snapshot) -> Roots:
    """The records that the files of a folder are compared with."""
    assert record.commit is not None
    roots, edits = committed_state(store, record.commit).roots, SnapshotEdits()
    now = Snapshot(store, roots, repository.cache)
    for key, commit in record.behind.items():
        if not key.startswith("/"):
            before = committed_state(store, ObjectId(bytes.fromhex(commit))).roots if commit else None
            _go_back(
                edits, now, Snapshot(store, before, repository.cache) if before is not None else None, key.encode()
            )
    for key, taken in record.media.items():
        _go_on(edits, now, draft, key.encode(), bytes.fromhex(taken))
    return edit_roots(store, roots, edits, repository.cache) if edits else roots


def _go_back(edits: SnapshotEdits, now: Snapshot, before: Snapshot | None, key: bytes) -> None:
    """An input as the folder has it, which did not move on; none, where nothing was laid out."""
    was = before.input_tree.get(key) if before is not None else None
    value = now.input_tree.get(key)
    if was is None or before is None:
        edits.inputs[key] = None
    elif value is not None:
        media = decode_input(key, was).media
        edits.inputs[key] = encode_input(with_fields(decode_input(key, value), {"media": media}))
    else:
        edits.inputs[key] = was
        edits.annotations |= dict(before.annotation_tree.prefix(key + b"\0"))


def _go_on(edits: SnapshotEdits, now: Snapshot, draft: Snapshot, key: bytes, taken: bytes) -> None:
    """An input as it was taken into the draft, where the draft has it so."""
    value = draft.input_tree.get(key)
    media = stored_media(value) if value is not None else None
    blob = media.blob if media is not None else None
    if (blob or b"") != taken or (not taken and value is not None):
        return
    if value is None:
        edits.inputs[key] = None
        edits.annotations |= dict.fromkeys(name for name, _ in now.annotation_tree.prefix(key + b"\0"))
        return
    was = now.input_tree.get(key)
    if was is not None:
        found = decode_input(key, value).media
        value = encode_input(with_fields(decode_input(key, was), {"media": found}))
    else:  # with all that came to it, so that it follows the file
        edits.annotations |= dict(draft.annotation_tree.prefix(key + b"\0"))
    edits.inputs[key] = value
