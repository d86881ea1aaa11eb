"""One value has one encoding."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.errors import DamagedError
from dsvc.store import codec

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 100), 1 << 100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5), max_leaves=20
)


def same(left: Any, right: Any) -> bool:
    """Equal in type and sign of zero too."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


@given(VALUES)
def test_a_value_comes_back(value: Any) -> None:
    assert same(codec.decode(codec.encode(value)), value)


@given(st.dictionaries(TEXT, SCALARS, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert codec.encode(dict(items)) == codec.encode(value)


@given(st.binary(max_size=60))
def test_whatever_decodes_is_canonical(data: bytes) -> None:
    try:
        value = codec.decode(data)
    except DamagedError:
        return
    assert codec.encode(value) == data


@given(VALUES, st.data())
def test_a_changed_byte_is_refused_or_another_canonical_value(value: Any, data: Any) -> None:
    encoded = bytearray(codec.encode(value))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = codec.decode(bytes(encoded))
    except DamagedError:
        return
    assert codec.encode(decoded) == bytes(encoded)


@given(VALUES, st.binary(min_size=1, max_size=4))
def test_trailing_and_missing_bytes_are_refused(value: Any, tail: bytes) -> None:
    encoded = codec.encode(value)
    for bad in (encoded + tail, encoded[:-1]):
        with pytest.raises(DamagedError):
            codec.decode(bad)


NOT_CANONICAL = {
    "uint8 for a small integer": b"\xcc\x05",
    "uint16 for a small integer": b"\xcd\x00\x05",
    "uint32": b"\xce\x00\x00\x00\x05",
    "uint64": b"\xcf" + bytes(7) + b"\x05",
    "int8 of a positive": b"\xd0\x05",
    "int8 of a small negative": b"\xd0\xff",
    "int64 of a small negative": b"\xd3" + b"\xff" * 8,
    "float32": b"\xca\x3f\x80\x00\x00",
    "NaN": b"\xcb\x7f\xf8" + bytes(6),
    "infinity": b"\xcb\x7f\xf0" + bytes(6),
    "str8 for a short text": b"\xd9\x01a",
    "str16": b"\xda\x00\x01a",
    "str32": b"\xdb\x00\x00\x00\x01a",
    "bin16 for short bytes": b"\xc5\x00\x01a",
    "bin32": b"\xc6\x00\x00\x00\x01a",
    "array16 for a short list": b"\xdc\x00\x01\x05",
    "array32": b"\xdd\x00\x00\x00\x01\x05",
    "map16": b"\xde\x00\x01\xa1a\x05",
    "map32": b"\xdf\x00\x00\x00\x01\xa1a\x05",
    "keys out of order": b"\x82\xa1b\x01\xa1a\x02",
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
    "a key that is no text": b"\x81\x01\x02",
    "a key of bytes": b"\x81\xc4\x01a\x02",
    "text that is not UTF-8": b"\xa1\xff",
    "a lone surrogate": b"\xa3\xed\xa0\x80",
    "a big integer that is small": b"\xd4\x01\x05",
    "a big integer with a zero in front": b"\xc7\x0b\x01\x00\x00\x01" + bytes(8),
    "ext8 where fixext does": b"\xc7\x10\x01\x01" + bytes(15),
    "the byte that is never used": b"\xc1",
    "nothing": b"",
    "a list of four billion": b"\xdd\xff\xff\xff\xff",
    "bytes of four billion": b"\xc6\xff\xff\xff\xff",
    "unsorted deep inside": b"\x91\x91\x82\xa1b\x01\xa1a\x02",
    "float32 deep inside": b"\x81\xa1a\x91\xca\x3f\x80\x00\x00",
}


@pytest.mark.parametrize("data", NOT_CANONICAL.values(), ids=NOT_CANONICAL.keys())
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedError, match="the sample"):
        codec.decode(data, "the sample")


def test_depth_is_bounded_both_ways() -> None:
    value: Any = 1
    for _ in range(codec.MAX_DEPTH):
        value = [value]
    assert codec.decode(codec.encode(value)) == value
    with pytest.raises(codec.EncodeError):
        codec.encode([value])
    for depth in (codec.MAX_DEPTH + 1, 100_000):
        with pytest.raises(DamagedError):
            codec.decode(b"\x91" * depth + b"\x01")


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {1: 2}, {"\udfff": 1}, object(), {1, 2}])
def test_what_has_no_encoding_is_refused(value: Any) -> None:
    with pytest.raises(codec.EncodeError):
        codec.encode([value])


def test_the_timestamp_extension_is_not_read_as_a_time() -> None:
    with pytest.raises(DamagedError):
        codec.decode(msgpack.packb(msgpack.Timestamp(1, 0)))
