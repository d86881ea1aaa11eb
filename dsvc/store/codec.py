"""Canonical msgpack: one value has one encoding, and decoders refuse every other.

Maps have string keys in the order of their UTF-8 bytes, integers take their shortest form, floats are float64
(-0.0 is kept; NaN and infinities are refused), integers beyond 64 bits are extension 1 (two's complement,
big-endian, as short as possible), and nothing is deeper than `MAX_DEPTH`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

import msgpack
import msgspec
from msgpack import ExtType, Timestamp

from dsvc.errors import DamagedError
from dsvc.store.limits import FEW_BYTES, MAX_ITEMS

MAX_DEPTH = 64
BIG_INTEGER = 1
OUTSIDE_VALUE = 2

_SMALL = 1 << 62
_packer: Any = msgpack.Packer(use_bin_type=True)


class EncodeError(ValueError):
    """A value that has no canonical encoding. The text says why, for the caller to name the record."""


def canonical(value: Any, depth: int = 0) -> Any:
    """`value` with maps in key order and big integers as extensions, ready to be packed.

    Raises EncodeError for NaN, infinity, a lone surrogate, a key that is no string, an unknown type, or
    nesting beyond `MAX_DEPTH`.
    """
    kind = type(value)
    if kind is str:
        check_text(value)
        return value
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 64 else _pack_big(value)
    if kind is float:
        if not math.isfinite(value):
            raise EncodeError("NaN and infinity are not allowed")
        return value
    if value is None or kind is bool or kind is ExtType:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if depth >= MAX_DEPTH:
        raise EncodeError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list | tuple):
        return [canonical(item, depth + 1) for item in value]
    if hasattr(value, "items"):
        return _canonical_map(value, depth)
    if isinstance(value, int):
        return canonical(int(value), depth)
    raise EncodeError(f"a value of type {kind.__name__} cannot be stored")


def _canonical_map(value: Any, depth: int) -> dict[str, Any]:
    for key in value:
        if type(key) is not str:
            raise EncodeError(f"a key is not text: {key!r}")
    made: dict[str, Any] = {}
    for key in sorted(value):  # code-point order is UTF-8's byte order
        if not key.isascii():
            check_text(key)
        item = value[key]
        # Plain text and small integers are nearly all there is; they need no further call.
        plain = item.isascii() if type(item) is str else type(item) is int and -_SMALL < item < _SMALL
        made[key] = item if plain else canonical(item, depth + 1)
    return made


def check_text(text: str) -> None:
    """Raise EncodeError where `text` holds a lone surrogate, which UTF-8 cannot say."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise EncodeError(f"a lone surrogate in {text[:40]!r}") from error


def _pack_big(value: int) -> ExtType:
    length = (value + (value < 0)).bit_length() // 8 + 1
    return ExtType(BIG_INTEGER, value.to_bytes(length, "big", signed=True))


def encode(value: Any) -> bytes:
    """The canonical encoding of `value`. Raises EncodeError."""
    return pack(canonical(value))


def pack(value: Any) -> bytes:
    """Pack what is known to be canonical already: the fast half of `encode`."""
    packed: bytes = _packer.pack(value)
    return packed


def unpack(data: bytes | memoryview, what: str = "object") -> Any:
    """Unpack what need not be known to be canonical: the fast half of `decode`. Raises DamagedError."""
    if len(data) > FEW_BYTES and count_items(data, MAX_ITEMS) > MAX_ITEMS:
        raise DamagedError(f"{what} has more than {MAX_ITEMS:,} parts")
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=True, ext_hook=unpack_extension)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise DamagedError(f"{what} cannot be decoded: {error}") from error


def repack(value: Any) -> bytes:
    """The canonical encoding of what was unpacked of one, perhaps with keys taken away."""
    try:
        return pack(value)
    except OverflowError:  # an integer beyond 64 bits
        return encode(value)


def decode(data: bytes | memoryview, what: str = "object") -> Any:
    """The value of a canonical encoding. Raises DamagedError, naming `what`, for anything else."""
    value = unpack(data, what)
    if not _is_canonical(value, data):
        raise DamagedError(f"{what} is not in canonical form")
    return value


# For a short map one pass in C tells, if it holds no extension: encoded again in order, it is what it was. What looks
# like a float that is not finite, or could be nested too deeply, is looked at closely.
_ordered = msgspec.msgpack.Encoder(order="deterministic").encode
NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
_CONTAINERS = bytes((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
_SHORT = 4096


def _is_plainly_canonical(value: Any, data: bytes | memoryview) -> bool:
    if type(value) is not dict or len(data) > _SHORT or type(data) is not bytes:
        return False
    if len(data) - len(data.translate(None, _CONTAINERS)) > MAX_DEPTH or NOT_FINITE.search(data):
        return False
    try:
        return _ordered(value) == data
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False


def _is_canonical(value: Any, data: bytes | memoryview) -> bool:
    if _is_plainly_canonical(value, data):
        return True
    try:
        if _maps_are_sorted(value, 0):
            return pack(value) == data
        return False
    except OverflowError:  # an integer beyond 64 bits: msgpack cannot pack it back by itself
        try:
            return encode(value) == data
        except EncodeError:
            return False


def _maps_are_sorted(value: Any, depth: int) -> bool:
    kind = type(value)
    if depth >= MAX_DEPTH and kind in (dict, list):
        return False
    if kind is dict:
        keys = list(value)
        try:
            if keys != sorted(keys):
                return False
        except TypeError:  # text and bytes together
            return False
        if keys and type(keys[0]) is not str:
            return False
        return _parts_are_sorted(value.values(), depth)
    if kind is list:
        return _parts_are_sorted(value, depth)
    if kind is Timestamp:  # msgpack's own extension -1, which format 1 does not have
        return False
    return kind is not float or math.isfinite(value)


_NESTED = frozenset((dict, list, float, Timestamp))


def _parts_are_sorted(values: Collection[Any], depth: int) -> bool:
    # Most lists and maps hold nothing that could be wrong, which one pass in C tells.
    if _NESTED.isdisjoint(map(type, values)):
        return True
    return all(_maps_are_sorted(value, depth + 1) for value in values if type(value) in _NESTED)


def unpack_extension(code: int, data: bytes) -> Any:
    """The value of a MessagePack extension. Raises ValueError for an integer that needs none."""
    if code != BIG_INTEGER:
        return ExtType(code, data)
    value = int.from_bytes(data, "big", signed=True)
    if -(1 << 63) <= value < 1 << 64 or _pack_big(value).data != data:
        raise ValueError("an integer that is not in its shortest form")
    return value


def _sizes() -> list[tuple[int, int, int]]:
    """By an encoding's first byte: how many bytes of length follow, how many bytes there are beside, and whether the
    length counts parts (1) or bytes (0)."""
    table = [(0, 0, 0)] * 256
    table[0xC4:0xC7] = table[0xD9:0xDC] = [(1, 0, 0), (2, 0, 0), (4, 0, 0)]
    table[0xC7:0xCA] = [(1, 1, 0), (2, 1, 0), (4, 1, 0)]
    table[0xCA:0xCC] = [(0, 4, 0), (0, 8, 0)]
    table[0xCC:0xD0] = table[0xD0:0xD4] = [(0, 1, 0), (0, 2, 0), (0, 4, 0), (0, 8, 0)]
    table[0xD4:0xD9] = [(0, 2, 0), (0, 3, 0), (0, 5, 0), (0, 9, 0), (0, 17, 0)]
    table[0xDC:0xE0] = [(2, 0, 1), (4, 0, 1)] * 2
    table[0x80:0xA0] = [(0, 0, 1)] * 32
    return table


_SIZES = _sizes()


def count_items(data: bytes | memoryview, most: int) -> int:
    """How many elements of lists and entries of maps an encoding has in all, by what its heads say; counted no further
    than to beyond `most`. Nothing is built for it. What is cut off counts as far as it goes."""
    at, end, found = 0, len(data), 0
    while at < end and found <= most:
        head = data[at]
        at += 1
        if head < 0x80 or head >= 0xE0:
            continue
        if 0xA0 <= head < 0xC0:
            at += head & 31
            continue
        width, beside, parts = _SIZES[head]
        length = int.from_bytes(data[at : at + width], "big") if width else head & 15 if parts else 0
        at += width + beside
        if parts:
            found += length
        else:
            at += length
    return found
