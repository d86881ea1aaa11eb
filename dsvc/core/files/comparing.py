"""Which keys differ between the files of tracked folders and the inputs of a dataset.

An input stays compared with its file when the rules have come to pass that over: only what is new is left out. A file
that cannot be taken (a link that leads out, a pipe) is a problem that is named, and its input is not missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.core.files.choosing import TAKEN, WRONG
from dsvc.core.files.filetable import NO_BLOB
from dsvc.model.records import CONFLICTS
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.files.workfiles import WorkFiles

MEDIA = "media"
SETS = ("new", "modified", "missing", "elsewhere", "unread", "named")


class StoredMedia(msgspec.Struct, gc=False):
    """What of an input's media counts here."""

    blob: bytes | None = None
    size: int | None = None
    reference: Any = None


class _StoredInput(msgspec.Struct, gc=False, rename={"conflicts": CONFLICTS}):
    media: StoredMedia | None = None
    conflicts: dict[str, msgspec.Raw] | None = None


_decode = msgspec.msgpack.Decoder(_StoredInput).decode


def stored_blob(value: bytes) -> bytes | None:
    """The id of the bytes of an input by its encoded value; None where none are stored."""
    media = _decode(value).media
    return media.blob if media is not None else None


def stored_media(value: bytes) -> StoredMedia | None:
    """The media of an input by its encoded value."""
    return _decode(value).media


class Compared:
    """The keys that differ, by kind. `named` are those of new files whose input is there, without bytes.

    Of inputs without a file, `missing` are those whose file was here, `elsewhere` the others.
    """

    def __init__(self, inputs: Tree, files: WorkFiles) -> None:
        self.inputs = inputs
        self._files = files
        self.new: set[str] = set()
        self.modified: set[str] = set()
        self.missing: set[str] = set()
        self.elsewhere: set[str] = set()
        self.unread: set[str] = set()
        self.named: set[str] = set()
        self.has_moved = True
        self._root = inputs.root

    def take(self, kept: dict[str, Any]) -> None:
        """Begin with the differences of the last look."""
        for name in SETS:
            setattr(self, name, set(kept[name]))
        self.has_moved = kept["root"] != bytes(self._root)

    def media(self, key: str) -> StoredMedia | None:
        """The media of an input, or None."""
        value = self.inputs.get(key.encode())
        return _decode(value).media if value is not None else None

    def look(self, key: str) -> None:
        """Compare one key anew."""
        self.has_moved = True
        for name in SETS:
            getattr(self, name).discard(key)
        try:
            value = self.inputs.get(key.encode())
        except UnicodeEncodeError:  # the name of a file that can be no key
            return
        found = self._files.find(key)
        self._judge(key, value, found.kind if found is not None else None, found.blob if found is not None else b"")

    def look_at_all(self) -> None:
        """Compare all keys."""
        for name in SETS:
            getattr(self, name).clear()
        taken: dict[str, bytes] = {}
        others: dict[str, tuple[int, bytes]] = {}
        for key, kind, blob in self._files.files():
            if kind == TAKEN:
                taken.setdefault(key, blob)
            else:
                others.setdefault(key, (kind, blob))
        judge, pop = self._judge, taken.pop
        for tree_key, value in self.inputs:
            key = tree_key.decode()
            found = pop(key, None)
            if found is not None:
                judge(key, value, TAKEN, found)
            else:
                judge(key, value, *others.get(key, (None, b"")))
        self.new.update(taken)

    def _judge(self, key: str, value: bytes | None, kind: int | None, blob: bytes) -> None:
        """Say what is to be said of a key: the value of its input, and what its file is (None for no file)."""
        if value is None:
            if kind == TAKEN:
                self.new.add(key)
            return
        record = _decode(value)
        media = record.media
        stored = media.blob if media is not None else None
        if stored is None:
            if record.conflicts is not None and MEDIA in record.conflicts and self._files.is_all:
                return  # which bytes hold is asked by `dsvc conflicts`, and not answered by whichever file lies there
            if kind == TAKEN and (media is None or media.reference is None):
                self.new.add(key)
                self.named.add(key)
        elif kind is None:
            if (media is None or media.reference is None) and self._files.owns(key):
                (self.missing if self._files.was_here(key, stored) else self.elsewhere).add(key)
        elif kind == WRONG:
            return
        elif blob == NO_BLOB:
            self.unread.add(key)
        elif blob != stored:
            self.modified.add(key)
