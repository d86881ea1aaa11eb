"""Packed coordinates: exact, and the same bytes from both packers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.errors import DamagedError
from dsvc.model.numbers import count_numbers, pack_numbers, pack_ragged, unpack_numbers

decimals = st.builds(lambda i, e: i / 10**e, st.integers(-(2**34), 2**34), st.integers(0, 11))
floats = st.floats(allow_nan=False, allow_infinity=False)
narrow = st.floats(0, 1, width=32)
rows = st.lists(st.one_of(*(st.lists(kind, max_size=8) for kind in (decimals, floats, narrow))), max_size=8)


def same(a: float, b: float) -> bool:
    return a == b and math.copysign(1, a) == math.copysign(1, b)


@given(rows)
@settings(max_examples=600)
def test_every_number_comes_back_and_both_packers_agree(sequences: list[list[float]]) -> None:
    singles = [pack_numbers(sequence) for sequence in sequences]
    for sequence, packed in zip(sequences, singles, strict=True):
        back = unpack_numbers(packed)
        assert len(back) == len(sequence) == count_numbers(packed)
        assert all(same(a, b) for a, b in zip(sequence, back, strict=True))
    flat = np.array([v for sequence in sequences for v in sequence], dtype=np.float64)
    assert pack_ragged(flat, map(len, sequences)) == singles


def test_whole_and_float_numbers_pack_alike() -> None:
    assert pack_numbers([1, 2]) == pack_numbers([1.0, 2.0]) == bytes([0, 1, 2])


@pytest.mark.parametrize(
    ("values", "packed"),
    [
        ([123.45], "223930"),
        ([-1], "10ff"),
        ([0.5, 640], "2105000019"),
        ([70000], "4070110100"),
        ([2**40], "6000008053"),
        ([1 / 3], "70555555555555d53f"),
    ],
)
def test_layout_is_pinned(values: list[float], packed: str) -> None:
    assert pack_numbers(values).hex() == packed


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 2**53 + 1])
def test_what_cannot_be_kept_is_refused(bad: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        pack_numbers([1.0, bad])


@pytest.mark.parametrize("data", ["80aa", "0a01", "2001", "20", "ff"])
def test_damaged_bytes_are_refused(data: str) -> None:
    with pytest.raises(DamagedError):
        unpack_numbers(bytes.fromhex(data))
