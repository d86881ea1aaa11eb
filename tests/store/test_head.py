"""The head file."""

from __future__ import annotations

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dsvc.errors import DamagedError, UnsupportedFormatError
from dsvc.store.head import Head
from dsvc.store.ids import ObjectId

ONE, TWO = ObjectId(bytes(32)), ObjectId(b"\xab" * 32)
NAMES = st.sets(st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}", fullmatch=True)).map(lambda s: tuple(sorted(s)))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), NAMES)
def test_a_head_comes_back(operation: bytes, manifest: bytes, may: tuple[str, ...]) -> None:
    head = Head(ObjectId(operation), ObjectId(manifest), (), may)
    assert Head.decode(head.encode()) == head


def test_an_unknown_feature_that_must_be_understood_is_refused() -> None:
    with pytest.raises(UnsupportedFormatError, match="columns, holograms") as caught:
        Head.decode(Head(ONE, TWO, ("columns", "holograms")).encode())
    assert caught.value.hint and "Upgrade" in caught.value.hint


def test_a_newer_format_is_refused_whatever_follows() -> None:
    with pytest.raises(UnsupportedFormatError, match="format 2") as caught:
        Head.decode(b"dsvc 2\nanything at all")
    assert caught.value.hint and "Upgrade" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"dsvc", b"dsvc 0\n", b"dsvc 01\n", b"\xff" * 100, b"dsvc 1\n"])
def test_nonsense_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedError):
        Head.decode(data)


def test_every_truncation_is_damaged() -> None:
    data = Head(ONE, TWO).encode()
    for end in range(len(data)):
        with pytest.raises(DamagedError):
            Head.decode(data[:end])
    with pytest.raises(DamagedError):
        Head.decode(data + b"\n")


def test_every_flipped_bit_is_noticed() -> None:
    data = Head(ONE, TWO, (), ("a", "b")).encode()
    for at in range(len(data)):
        for bit in range(8):
            flipped = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises((DamagedError, UnsupportedFormatError)):
                Head.decode(flipped)


def test_features_out_of_order_are_damaged() -> None:
    body = f"dsvc 1\nmust\nmay b a\noperation {ONE}\nmanifest {TWO}\n".encode()
    with pytest.raises(DamagedError):
        Head.decode(body + f"check {xxhash.xxh3_64_hexdigest(body)}\n".encode())
