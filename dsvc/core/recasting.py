"""Giving annotations and inputs other concepts, in a walk over everything that is stored."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dsvc.errors import DamagedError
from dsvc.model.extras import CATEGORY_LISTS, rename_listed
from dsvc.model.rewrite import Entry
from dsvc.model.stored import stored_fields
from dsvc.store import codec

Names = Mapping[str, str | None]


class _Named(msgspec.Struct):
    c: str | None = None


class _Placed(msgspec.Struct):
    b: bytes | None = None
    t: str | None = None


_decode_place = msgspec.msgpack.Decoder(_Placed).decode
_decode = msgspec.msgpack.Decoder(_Named).decode


def concept_of(key: bytes, value: bytes) -> str | None:
    """The concept of an annotation as it is stored. Raises DamagedError."""
    try:
        return _decode(value).c
    except (msgspec.MsgspecError, ValueError) as error:
        raise _damaged(key) from error


def _damaged(key: bytes) -> DamagedError:
    return DamagedError(f"annotation {key.decode(errors='replace')!r} cannot be read")


def owner_of(key: bytes) -> bytes:
    """The input key that an annotation's tree key begins with."""
    return key[: key.index(0)]


class Recast:
    """A rewriter of annotations: old concept -> new one, or None to take the annotation away. It counts.

    `joined` is the concept that others are merged into: annotations of different concepts that become equal in all
    but id and number are counted as doubles then.
    """

    def __init__(self, names: Names, joined: str | None = None) -> None:
        self.annotations = 0
        self.inputs = 0
        self.doubles = 0
        self._names = names
        self._joined = joined
        # The field that names a concept, as it is encoded: of those that go, and of those that come.
        self._fields = {id: _field(id) for id in (*names, joined) if id is not None}
        self._new_fields = {id: _field(new) for id, new in names.items() if new is not None}
        self._owner = b""
        self._changed = False
        self._group: list[tuple[str, bytes]] = []

    def __call__(self, chunk: list[Entry]) -> dict[int, bytes | None]:
        """The new values of the annotations that change, by index."""
        changes: dict[int, bytes | None] = {}
        for at in self._hits(chunk):
            key, value = chunk[at]
            concept = concept_of(key, value)
            # The bytes may also be those of a text, or of a field of the extras.
            if concept in self._fields:
                self._count(key, value, concept)
                if concept in self._names:
                    changes[at] = self._recast(value, concept)
        return changes

    def _hits(self, chunk: list[Entry]) -> list[int]:
        """Where an encoded concept may be that matters: a search of bytes costs less than decoding everything."""
        needle, *others = self._fields.values()
        found = [at for at, (_, value) in enumerate(chunk) if needle in value]
        if others:
            found = sorted({*found, *(at for n in others for at, (_, value) in enumerate(chunk) if n in value)})
        return found

    def _recast(self, value: bytes, concept: str) -> bytes | None:
        new = self._new_fields.get(concept)
        if new is None:
            return None
        old = self._fields[concept]
        if value.count(old) == 1:  # then it is the field itself: a canonical encoding has it
            return value.replace(old, new)
        fields = stored_fields(value, "annotation")
        fields["c"] = self._names[concept]
        return codec.encode(fields)

    def _count(self, key: bytes, value: bytes, concept: str) -> None:
        owner = owner_of(key)
        if owner != self._owner:
            self.finish()
            self._owner, self._changed = owner, False
        if concept in self._names:
            self.annotations += 1
            self.inputs += not self._changed
            self._changed = True
        if self._joined is not None:
            self._group.append((concept, value))

    def finish(self) -> None:
        """Count the doubles of the last input."""
        group, self._group = self._group, []
        if len(group) > 1 and len({concept for concept, _ in group}) > 1:
            # Few share their box and text with another; the rest need not be compared whole.
            places = [_placed(self._owner, value) for _, value in group]
            if len(set(places)) < len(places):
                alike = zip(group, places, strict=True)
                before = {(c, _content(value)) for (c, value), place in alike if places.count(place) > 1}
                self.doubles += len(before) - len({content for _, content in before})


def _field(id: str) -> bytes:
    """The field that names a concept, as it is encoded in an annotation."""
    return b"\xa1c" + codec.pack(id)


def _placed(owner: bytes, value: bytes) -> tuple[bytes | None, str | None]:
    """The box and the text of an annotation of an input. Raises DamagedError."""
    try:
        found = _decode_place(value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _damaged(owner) from error
    return found.b, found.t


def _content(value: bytes) -> bytes:
    """What an annotation says beside its concept, without its number."""
    fields = stored_fields(value, "annotation")
    return codec.encode({name: item for name, item in fields.items() if name not in ("c", "n")})


class Relist:
    """A rewriter of inputs: the lists of concepts that a source gave them follow. `inputs` counts those changed."""

    def __init__(self, names: Names) -> None:
        self.inputs = 0
        self._names = names
        self._needles = [codec.pack(name) for name in CATEGORY_LISTS]

    def __call__(self, chunk: list[Entry]) -> dict[int, bytes | None]:
        """The new values of the inputs that change, by index."""
        changes: dict[int, bytes | None] = {}
        hits = {at for needle in self._needles for at, (_, value) in enumerate(chunk) if needle in value}
        for at in hits:
            fields = stored_fields(chunk[at][1], "input")
            if rename_listed(fields, self._names):
                changes[at] = codec.encode(fields)
        self.inputs += len(changes)
        return changes
