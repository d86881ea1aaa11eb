"""The inputs that are loaded, as one compact table: so that the k-th is found, and its media, without the tree.

It is made once, in one walk, and goes to other processes as it is: some 100 bytes an input.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.core.keys import display
from dsvc.core.media import media_kind
from dsvc.errors import DamagedError, RefusedError
from dsvc.model.snapshot import Snapshot
from dsvc.store.codec import unpack_extension
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.model.geometry import Size
    from dsvc.model.incoming import Progress
    from dsvc.store.objects import Place

_SEE = 'see what there is: dsvc query "select split, count(*) from inputs group by 1"'
_SHOWN = 5
# What an input's media is, besides whether it is an image and whether the declared size is that of the turned one.
_STORED, _PLACED, _IMAGE, _TURNED = 1, 2, 4, 8


_ABSENT = msgspec.Raw()


class _Media(msgspec.Struct, gc=False):
    blob: bytes | None = None
    reference: msgspec.Raw = _ABSENT
    type: str | None = None
    size: Any = None
    width: Any = None
    height: Any = None


class _Row(msgspec.Struct, gc=False):
    media: _Media | None = None
    split: str | None = None
    width: Any = None
    height: Any = None


_decode = msgspec.msgpack.Decoder(_Row, ext_hook=lambda code, data: unpack_extension(code, bytes(data))).decode
_NO_MEDIA = _Media()
_NO_BLOB = bytes(ObjectId.SIZE)


class Entries:
    """Some inputs of a snapshot, in the order of their keys; index k is the k-th of them."""

    def __init__(self) -> None:
        self._keys, self._ends = bytearray(), array("q", [0])
        self._blobs = bytearray()
        self._sizes, self._flags = array("q"), bytearray()
        self._widths, self._heights = array("d"), array("d")
        self._files, self._file_numbers = dict[str, int](), array("i")  # of each, where its bytes lie, if that is known
        self._starts, self._lengths = array("q"), array("q")
        self._types, self._type_names = array("i"), dict[str | None, int]()

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, key: bytes, row: _Row) -> None:
        """Take the next input."""
        media = row.media or _NO_MEDIA
        self._keys += key
        self._ends.append(len(self._keys))
        self._blobs += media.blob or _NO_BLOB
        self._sizes.append(media.size if type(media.size) is int and 0 <= media.size < 1 << 62 else -1)
        width, height = _number(row.width), _number(row.height)
        flags = (_STORED if media.blob else 0) | (_PLACED if media.reference is not _ABSENT else 0)
        flags |= _IMAGE if media_kind(media.type) == "image" else 0
        sides = _number(media.width), _number(media.height)
        flags |= _TURNED if (width, height) == sides[::-1] != sides else 0
        self._flags.append(flags)
        self._types.append(self._type_names.setdefault(media.type, len(self._type_names)))
        self._widths.append(width or sides[0])
        self._heights.append(height or sides[1])

    def key(self, at: int) -> str:
        """The key at an index."""
        return self._keys[self._ends[at] : self._ends[at + 1]].decode()

    def raw_key(self, at: int) -> bytes:
        """The tree key at an index."""
        return bytes(self._keys[self._ends[at] : self._ends[at + 1]])

    def blob(self, at: int) -> ObjectId | None:
        """The blob at an index, or None where the repository holds no bytes of it."""
        if not self._flags[at] & _STORED:
            return None
        return ObjectId(bytes(self._blobs[at * ObjectId.SIZE : (at + 1) * ObjectId.SIZE]))

    def byte_size(self, at: int) -> int:
        """How many bytes the media at an index has; -1 where that is not known."""
        return self._sizes[at]

    def place(self, at: int, place: Place | None) -> None:
        """Note where the bytes of the next input lie, the one at this index; None where they are to be looked for."""
        assert at == len(self._starts)
        name, start, length = place or ("", 0, 0)
        self._file_numbers.append(self._files.setdefault(name, len(self._files)))
        self._starts.append(start)
        self._lengths.append(length)

    @cached_property
    def _file_names(self) -> list[str]:
        return list(self._files)

    @cached_property
    def _named_types(self) -> list[str | None]:
        return list(self._type_names)

    def placed(self, at: int) -> Place | None:
        """Where the bytes at an index lay when that was noted; None where it was not."""
        if at >= len(self._starts) or not self._lengths[at]:
            return None
        return self._file_names[self._file_numbers[at]], self._starts[at], self._lengths[at]

    def has_media(self, at: int) -> bool:
        """Whether there are bytes of it: stored, or at a place that it refers to."""
        return bool(self._flags[at] & (_STORED | _PLACED))

    def type(self, at: int) -> str | None:
        """Its media type; None where it is not known."""
        return self._named_types[self._types[at]]

    def is_image(self, at: int) -> bool:
        """Whether its bytes are those of an image."""
        return bool(self._flags[at] & _IMAGE)

    def is_turned(self, at: int) -> bool:
        """Whether its declared size is that of the picture as its EXIF orientation turns it by a quarter."""
        return bool(self._flags[at] & _TURNED)

    def pixels(self, at: int) -> Size | None:
        """Width and height in pixels, as declared, else as the media says; None where either is not known."""
        width, height = self._widths[at], self._heights[at]
        return (width, height) if width > 0 and height > 0 else None

    def require_media(self) -> None:
        """Raise RefusedError, naming some, where inputs have no bytes."""
        lacking = [at for at in range(len(self)) if not self.has_media(at)]
        if lacking:
            names = ", ".join(display(self.key(at)) for at in lacking[:_SHOWN])
            more = ", ..." if len(lacking) > _SHOWN else ""
            message = f"{len(lacking):,} of {len(self):,} inputs have no media: {names}{more}"
            raise RefusedError(message, "add their files: dsvc add PATH; or leave them out: where='size is not null'")

    def names(self) -> bytes:
        """What tells two sets of inputs apart: their keys and blobs, in order."""
        return bytes(self._keys) + b"\0" + self._ends.tobytes() + bytes(self._blobs)


def _number(value: Any) -> float:
    """A side in pixels; 0 where there is none, or none that makes sense."""
    return float(value) if isinstance(value, int | float) and 0 < value < 1e15 else 0.0


def choose(
    snapshot: Snapshot,
    *,
    split: str | Iterable[str] | None = None,
    where: str | None = None,
    progress: Progress | None = None,
) -> Entries:
    """The inputs of a snapshot: all, those of one split or of some, those that a filter is true of.

    Raises FilterError, and RefusedError where none is asked for that there is.
    """
    splits = None if split is None else frozenset((split,) if isinstance(split, str) else split)
    matching: set[str] | None = None
    if where is not None:
        from dsvc.core.filters.query import match_inputs

        matching = set(match_inputs(snapshot, where, progress))
    found, met = Entries(), set[str]()
    for keys, values in snapshot.input_tree.runs():
        for key, row in zip(keys, _rows(keys, values), strict=True):
            if row.split is not None:
                met.add(row.split)
            if (splits is None or row.split in splits) and (matching is None or key.decode() in matching):
                found.add(key, row)
    if splits is not None and (unknown := splits - met):
        there = f"there is: {', '.join(sorted(met))}" if met else "give inputs a split: dsvc split --ratio 80/10/10"
        raise RefusedError(f"no input has split {', '.join(map(repr, sorted(unknown)))}", there)
    if not len(found) and (splits is not None or matching is not None):
        raise RefusedError("no input matches", _SEE)
    return found


def _rows(keys: Sequence[bytes], values: Sequence[bytes]) -> list[_Row]:
    try:
        return list(map(_decode, values))
    except (msgspec.DecodeError, ValueError) as error:
        for key, value in zip(keys, values, strict=True):
            try:
                _decode(value)
            except (msgspec.DecodeError, ValueError):
                raise DamagedError(f"input {display(key.decode())!r} cannot be read") from error
        raise
