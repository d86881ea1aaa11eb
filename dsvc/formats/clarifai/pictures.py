"""The PNG of a mask, straight from its runs: the very bytes of `masks.png`, without looking at every pixel.

Where no run begins in a byte's eight columns of a row, the byte is that of the row above, which is all that the
deflate stream ever copies. So the work grows with the runs, not with the picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from dsvc.formats.masks import bitmap, png
from dsvc.model.records import Mask

_LONGEST = 258
_MAX_STRIDE = 32768
_END = 7  # the bits of the end of the block, all zero


def picture(mask: Mask, counts: Sequence[int]) -> bytes:
    """The PNG of a mask whose runs fill it, none of them empty but perhaps the first."""
    stride = (mask.width + 7) // 8 + 1
    if stride > _MAX_STRIDE:
        return png(bitmap(mask, counts))
    rows, changed = _rows(mask, counts, stride)
    data = rows.tobytes()
    packed = b"\x78\x01" + _deflate(rows.reshape(-1), changed, stride) + struct.pack(">I", zlib.adler32(data))
    header = struct.pack(">IIBBBBB", mask.width, mask.height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _rows(mask: Mask, counts: Sequence[int], stride: int) -> tuple[Any, Any]:
    """The rows of a PNG, each behind its filter byte, and where they differ from the row above."""
    import numpy as np

    height, width = mask.height, mask.width
    edges = np.array(counts, dtype=np.int64).cumsum()[:-1]
    # Rows as 64-bit words: what changes from row to row, then all changes up to each row together.
    words = np.zeros((height, (stride + 6) // 8), dtype=np.uint64)
    bytes_ = words.view(np.uint8)
    column, row = np.divmod(edges, height)
    places = row * bytes_.shape[1] + (column >> 3)
    inside = row > 0
    places, bits = places[inside], (128 >> (column[inside] & 7)).astype(np.uint8)
    order = places.argsort(kind="stable")
    places, bits = places[order], bits[order]
    firsts = np.flatnonzero(np.diff(places, prepend=-1))
    places = places[firsts]
    if len(places):
        bytes_.reshape(-1)[places] = np.bitwise_or.reduceat(bits, firsts)
    top = edges.searchsorted(np.arange(0, width * height, height), side="right") & 1
    bytes_[0, : stride - 1] = np.packbits(top.astype(np.uint8))
    np.bitwise_xor.accumulate(words, axis=0, out=words)
    rows = np.zeros((height, stride), dtype=np.uint8)
    rows[:, 1:] = bytes_[:, : stride - 1]
    row, place = np.divmod(places, bytes_.shape[1])
    return rows, row * stride + place + 1


def _deflate(data: Any, changed: Any, stride: int) -> bytes:
    """One block with fixed codes: the first row and what changes as literals, the rest copied from one row above."""
    import numpy as np

    tables = _tables()
    # Each gap of bytes like those above, and the changed byte behind it.
    starts = np.concatenate(([stride], changed + 1))
    ends = np.concatenate((changed, [len(data)]))
    copies, rest = np.divmod(ends - starts, _LONGEST)
    short = rest < 3
    literals = np.where(short, rest, 0)
    matches = copies + ~short
    tokens = matches + literals + 1
    tokens[-1] -= 1
    before = tokens.cumsum() - tokens
    gaps = np.repeat(np.arange(len(tokens)), tokens)
    index = np.arange(len(gaps)) - before[gaps]
    behind = index - matches[gaps]
    is_match = behind < 0
    codes = np.empty(stride + len(gaps), dtype=np.uint64)
    sizes = np.empty(len(codes), dtype=np.int64)
    codes[:stride], sizes[:stride] = tables.literals[data[:stride]], tables.literal_sizes[data[:stride]]
    lengths = np.where(index < copies[gaps], _LONGEST, rest[gaps])[is_match]
    code, size = _distance(stride)
    which = np.flatnonzero(is_match) + stride
    codes[which] = tables.lengths[lengths] | np.uint64(code) << tables.length_sizes[lengths].astype(np.uint64)
    sizes[which] = tables.length_sizes[lengths] + size
    where = ~is_match
    bytes_ = data[(ends - literals)[gaps[where]] + behind[where]]
    which = np.flatnonzero(where) + stride
    codes[which], sizes[which] = tables.literals[bytes_], tables.literal_sizes[bytes_]
    return _pack(np, codes, sizes)


def _pack(np: Any, codes: Any, sizes: Any) -> bytes:
    """Codes of up to 31 bits one after the other, between the block's header and its end."""
    ends = sizes.cumsum() + 3
    at = ends - sizes
    total = int(ends[-1]) + _END
    shifted = codes << (at & 31).astype(np.uint64)
    word = at >> 5
    count = (total >> 5) + 2
    # No two codes share a bit, so that a sum of them is exact in float64.
    low = np.bincount(word, weights=shifted & np.uint64(0xFFFFFFFF), minlength=count)
    high = np.bincount(word + 1, weights=shifted >> np.uint64(32), minlength=count)
    words = (low + high).astype(np.uint32)
    words[0] |= np.uint32(3)  # last block, fixed codes
    data: bytes = words.astype("<u4").tobytes()
    return data[: (total + 7) >> 3]


# ---- the fixed codes (RFC 1951, 3.2.6), the first bit lowest


class _Tables(NamedTuple):
    literals: Any
    literal_sizes: Any
    lengths: Any
    length_sizes: Any


def _reversed(value: int, length: int) -> int:
    return int(format(value, f"0{length}b")[::-1], 2)


@cache
def _tables() -> _Tables:
    import numpy as np

    literals = [
        (_reversed(0x30 + byte, 8), 8) if byte < 144 else (_reversed(0x190 + byte - 144, 9), 9) for byte in range(256)
    ]
    lengths = [(0, 0)] * 3
    for symbol in range(257, 285):
        bits = max(0, (symbol - 261) // 4)
        code, size = (_reversed(symbol - 256, 7), 7) if symbol < 280 else (_reversed(0xC0 + symbol - 280, 8), 8)
        lengths += [(code | extra << size, size + bits) for extra in range(1 << bits)]
    lengths[_LONGEST:] = [(_reversed(0xC5, 8), 8)]
    return _Tables(
        *(
            np.array(column, dtype=kind)
            for table in (literals, lengths)
            for column, kind in zip(zip(*table, strict=True), (np.uint64, np.int64), strict=True)
        )
    )


@cache
def _distance(distance: int) -> tuple[int, int]:
    """The code of a distance up to 32768, and its bits."""
    base = 1
    for symbol in range(30):
        bits = max(0, symbol // 2 - 1)
        if distance < base + (1 << bits):
            break
        base += 1 << bits
    return _reversed(symbol, 5) | (distance - base) << 5, 5 + bits
