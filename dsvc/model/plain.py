"""Plain leaves: those whose soundness a few passes in C can tell, since they hold nothing unusual. Nearly all are.

What is not plain is no worse for it: who asks looks at it closely then.
"""

from __future__ import annotations

import re
from itertools import repeat
from operator import contains, lt
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from dsvc.model.node import CONFLICT_MARK, MAX_INLINE, MAX_KEY
from dsvc.store.codec import NOT_FINITE

_LEAF = b"\x93\x00"  # a list of three, and level 0
_BYTES = {bytes}
# Of lists of 16 records or more; shorter ones have their length in the first byte.
_LIST = b"\xdc"
# A relative path of components that begin with a letter, a digit, a dash or an underscore.
_NAME = re.compile(rb"(?:[\w-][\w.-]*/)*[\w-][\w.-]*")
_MAX_NAME = 1024
_Id = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Scalar = str | int | float | bool | None
_Part = _Scalar | list[_Scalar]


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """Fields that are absent stay absent: encoded again, a record is what it was, if that was canonical."""


class _Media(_Plain):
    blob: _Id | UnsetType = UNSET
    chunks: _Id | UnsetType = UNSET
    duration: int | float | UnsetType = UNSET
    fps: int | float | UnsetType = UNSET
    height: int | UnsetType = UNSET
    size: int | UnsetType = UNSET
    type: str | UnsetType = UNSET
    width: int | UnsetType = UNSET


class _Input(_Plain):
    extras: dict[str, dict[str, _Part]] | UnsetType = UNSET
    height: int | float | UnsetType = UNSET
    license: str | UnsetType = UNSET
    media: _Media | UnsetType = UNSET
    metadata: dict[str, _Part] | UnsetType = UNSET
    number: int | str | UnsetType = UNSET
    split: str | UnsetType = UNSET
    width: int | float | UnsetType = UNSET


_decode = msgspec.msgpack.Decoder().decode
_decode_inputs = msgspec.msgpack.Decoder(list[_Input]).decode
_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_ERRORS = (msgspec.DecodeError, TypeError, ValueError, OverflowError, RecursionError)


def plain_leaf(data: bytes) -> tuple[list[bytes], list[bytes]] | None:
    """The keys and values of a leaf that holds all its values, none of which has a conflict; None for anything else,
    and for what `decode_node` would refuse."""
    if data[:2] != _LEAF or CONFLICT_MARK in data:
        return None
    try:
        _, keys, values = fields = _decode(data)
        if type(keys) is not list or type(values) is not list or len(keys) != len(values):
            return None
        if {*map(type, keys)} != _BYTES or {*map(type, values)} != _BYTES:
            return None
        is_small = max(map(len, keys)) <= MAX_KEY and max(map(len, values)) <= MAX_INLINE
        return (keys, values) if is_small and all(map(lt, keys, keys[1:])) and _encode(fields) == data else None
    except _ERRORS:
        return None


def are_annotation_keys(keys: list[bytes]) -> bool:
    """Whether all keys of a leaf are such as those of annotations."""
    return all(map(contains, keys, repeat(0)))


def plain_inputs(keys: list[bytes], values: list[bytes]) -> list[bytes | None] | None:
    """The blob that each input of a leaf names, if it does; None unless all are plain and sound, and their keys too."""
    joined = b"".join(values)
    if NOT_FINITE.search(joined) or len(values) >= 1 << 16:
        return None
    # A longer one lies outside of its leaf, and may have more parts than are allowed.
    if max(map(len, values), default=0) > MAX_INLINE:
        return None
    if not all(map(_NAME.fullmatch, keys)) or max(map(len, keys), default=0) > _MAX_NAME:
        return None
    try:
        records: list[Any] = _decode_inputs(_LIST + len(values).to_bytes(2, "big") + joined)
        if [*map(_encode, records)] != values:  # each by itself: none may end where another begins
            return None
    except _ERRORS:
        return None
    return [None if record.media is UNSET or record.media.blob is UNSET else record.media.blob for record in records]
