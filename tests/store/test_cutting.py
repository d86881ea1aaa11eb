"""Content-defined cutting: a function of content alone, which an edit disturbs only where it is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
import xxhash
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.store.cutting import (
    EASY,
    MAX_CHUNK,
    MIN_CHUNK,
    NORMAL_CHUNK,
    ROLLING_MATCH,
    STRICT,
    WINDOW,
    Cutter,
    rolling_table,
)

MIB = 1 << 20


def cut(pieces: Iterable[bytes]) -> list[bytes]:
    cutter = Cutter()
    chunks = [chunk for piece in pieces for chunk in cutter.feed(piece)]
    return chunks + list(cutter.finish())


def noise(seed: int, size: int) -> bytes:
    return blake3(b"%d" % seed).digest(length=size)


def by_the_book(data: bytes) -> list[int]:
    """The lengths of the chunks, as the specification says it: byte by byte."""
    table, lengths, length, rolled = rolling_table(), [], 0, 0
    for at, byte in enumerate(data):
        length += 1
        rolled = (2 * rolled + table[byte]) % 65536
        if length >= MIN_CHUNK:
            strong = xxhash.xxh3_64_intdigest(data[at + 1 - WINDOW : at + 1]) if rolled == ROLLING_MATCH else EASY
            if length == MAX_CHUNK or strong < (STRICT if length < NORMAL_CHUNK else EASY):
                lengths.append(length)
                length = 0
    return lengths + [length] * (length > 0)


def words(seed: int, count: int) -> bytes:
    return ",".join(map(str, random.Random(seed).choices(range(10**6), k=count))).encode()


@pytest.mark.parametrize("data", [noise(1, 6 * MIB), bytes(5 * MIB), words(1, 700_000)], ids=["noise", "zeros", "text"])
def test_the_cuts_are_those_of_the_specification(data: bytes) -> None:
    assert [len(chunk) for chunk in cut([data])] == by_the_book(data)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 3),
    st.lists(st.one_of(st.integers(1, 3000), st.integers(1, 3 * MIB)), min_size=1, max_size=30),
)
def test_pieces_of_any_size_are_cut_the_same(seed: int, sizes: list[int]) -> None:
    data = (noise(seed, 3 * MIB), bytes(9 * MIB), noise(seed, 1000) * 5000, noise(seed, MIN_CHUNK - 1))[seed]
    pieces, at = [], 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)] if len(pieces) < 2000 else MIB
        pieces.append(data[at : at + size])
        at += size
    chunks = cut(pieces)
    assert chunks == cut([data]) and b"".join(chunks) == data
    assert all(MIN_CHUNK <= len(chunk) <= MAX_CHUNK for chunk in chunks[:-1])


EDITED = noise(7, 12 * MIB)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(EDITED)), st.integers(0, 300_000), st.binary(max_size=100_000))
def test_an_edit_changes_few_chunks(at: int, removed: int, put: bytes) -> None:
    """What is cut anew around an edit is a few chunks, wherever it is and whatever its size."""
    before, after = cut([EDITED]), cut([EDITED[:at] + put + EDITED[at + removed :]])
    new = sum(map(len, set(after) - set(before)))
    assert new <= len(put) + 8 * MIB
    assert sum(chunk in set(after) for chunk in before) >= len(before) - 7


def test_cuts_come_about_every_mib_in_data_of_every_kind() -> None:
    for data in (noise(3, 32 * MIB), words(5, 2_000_000), EDITED):
        chunks = cut([data])
        assert 0.6 * MIB < len(data) / len(chunks) < 1.6 * MIB


def test_the_table_lets_no_run_of_one_byte_match() -> None:
    """A run of one byte rolls to minus what the byte adds: where that matched, every chunk would be a small one."""
    table = rolling_table()
    assert len(set(table)) == 256
    assert ROLLING_MATCH not in {-added % 65536 for added in table}


def test_no_more_than_a_chunk_is_held() -> None:
    cutter = Cutter()
    held = [len(cutter._held) for _ in range(3) for _ in cutter.feed(noise(9, 20 * MIB))]
    assert max(held) <= MAX_CHUNK + 256 * 1024


def test_nothing_has_no_chunks() -> None:
    assert cut([]) == [] and cut([b""]) == [] and cut([b"x"]) == [b"x"]


def test_the_cuts_of_format_1() -> None:
    """Pinned: of the first 20 MiB that BLAKE3 puts out for `dsvc` when asked for more than 32 bytes."""
    ends = [0]
    for chunk in cut([blake3(b"dsvc").digest(length=20 * MIB)]):
        ends.append(ends[-1] + len(chunk))
    assert [b - a for a, b in pairwise(ends)] == GOLDEN
    assert rolling_table()[:4] == TABLE


GOLDEN = [
    *(1250950, 843042, 911411, 1203753, 1127160, 1182705, 1040129, 909509, 924952, 1160723, 1125055),
    *(324759, 840275, 809969, 892702, 1034322, 1125626, 804237, 714247, 801075, 1417844, 527075),
]
TABLE = [0, 65143, 29422, 41808]
