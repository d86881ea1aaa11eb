"""The PNG of a mask, straight from its runs: the very bytes of `masks.png`, without looking at every pixel.

Where no run begins in a byte's eight columns of a row, the byte is that of the row above, which is all that the
deflate stream ever copies. So the work grows with the runs, not with the picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]
    Bytes = npt.NDArray[np.uint8]

_LONGEST = 258
_MAX_STRIDE = 32768
_HEADER = 3  # the bits of the block's header
_END = 7  # and of its end, all zero


class Runs(NamedTuple):
    """A mask of at most `MAX_WIDTH`, whose runs fill it; none of them is empty but perhaps the first."""

    height: int
    width: int
    counts: Indices


MAX_WIDTH = (_MAX_STRIDE - 1) * 8


def pictures(masks: Sequence[Runs]) -> list[bytes]:
    """The PNG of each mask."""
    import numpy as np

    if not masks:
        return []
    strides = np.array([(mask.width + 7) // 8 + 1 for mask in masks])
    sizes = strides * [mask.height for mask in masks]
    data = np.zeros(int(sizes.sum()), dtype=np.uint8)
    changed = _draw(masks, data, strides, sizes)
    streams = _deflate(data, changed, strides, sizes)
    made, start = [], 0
    for mask, size, stream in zip(masks, sizes.tolist(), streams, strict=True):
        packed = b"\x78\x01%b%b" % (stream, struct.pack(">I", zlib.adler32(data[start : start + size].data)))
        start += size
        header = struct.pack(">IIBBBBB", mask.width, mask.height, 1, 0, 0, 0, 0)
        made.append(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b""))
    return made


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _draw(masks: Sequence[Runs], data: Bytes, strides: Indices, sizes: Indices) -> Indices:
    """Fill in the rows of all PNGs, each behind its filter byte; where they differ from the row above, in order."""
    import numpy as np

    heights = np.array([mask.height for mask in masks])
    # Rows as 64-bit words: what changes from row to row, then all changes up to each row together.
    widths = (strides + 6) // 8 * 8
    areas = widths * heights
    base = areas.cumsum() - areas
    buffer = np.zeros(int(areas.sum()) // 8, dtype=np.uint64)
    bytes_ = buffer.view(np.uint8)
    edges = [mask.counts.cumsum()[:-1] for mask in masks]
    which = np.repeat(np.arange(len(masks)), [len(part) for part in edges])
    column, row = np.divmod(np.concatenate(edges), heights[which])
    inside = row > 0
    column, row, which = column[inside], row[inside], which[inside]
    places = base[which] + row * widths[which] + (column >> 3)
    order = places.argsort(kind="stable")
    firsts = np.flatnonzero(np.diff(places[order], prepend=-1))
    if len(firsts):
        bits = (128 >> (column & 7)).astype(np.uint8)
        bytes_[places[order[firsts]]] = np.bitwise_or.reduceat(bits[order], firsts)
    at = 0
    table = zip(masks, edges, base.tolist(), areas.tolist(), strides.tolist(), strict=True)
    for mask, part, start, area, stride in table:
        words = buffer[start // 8 : (start + area) // 8].reshape(mask.height, -1)
        rows = words.view(np.uint8)
        top = part.searchsorted(np.arange(0, mask.width * mask.height, mask.height), side="right") & 1
        rows[0, : stride - 1] = np.packbits(top.astype(np.uint8))
        np.bitwise_xor.accumulate(words, axis=0, out=words)
        data[at : at + stride * mask.height].reshape(mask.height, stride)[:, 1:] = rows[:, : stride - 1]
        at += stride * mask.height
    chosen = order[firsts]
    which = which[chosen]
    found: Indices = (sizes.cumsum() - sizes)[which] + row[chosen] * strides[which] + (column[chosen] >> 3) + 1
    return found


def _deflate(data: Bytes, changed: Indices, strides: Indices, sizes: Indices) -> list[bytes]:
    """For each picture one block with fixed codes.

    The first row and what changes are literals, the rest is copied from one row above.
    """
    import numpy as np

    tables = _tables()
    last = sizes.cumsum()
    first = last - sizes + strides
    # Gaps of bytes like those above, each with the changed byte behind it; the first has the first row before it.
    starts = np.sort(np.concatenate((first, changed + 1)))
    ends = np.sort(np.concatenate((changed, last)))
    is_first = np.zeros(len(starts), dtype=bool)
    is_first[starts.searchsorted(first)] = True
    is_last = np.append(is_first[1:], True)
    copies, rest = np.divmod(ends - starts, _LONGEST)
    short = rest < 3
    matches = copies + ~short
    # A run of literals behind the matches of each gap: its end, the changed byte, the first row of the next picture.
    literals = np.where(short, rest, 0)
    begins = ends - literals
    counts = literals + ~is_last
    counts[:-1][is_last[:-1]] += strides[1:]
    tokens = matches + counts
    gaps = np.repeat(np.arange(len(tokens)), tokens)
    index = np.arange(len(gaps)) - (tokens.cumsum() - tokens)[gaps]
    behind = index - matches[gaps]
    is_match = behind < 0
    top = int(strides[0])
    codes = np.empty(top + len(gaps), dtype=np.uint64)
    bits = np.empty(len(codes), dtype=np.int64)
    codes[:top], bits[:top] = tables.literals[data[:top]], tables.literal_bits[data[:top]]
    which = np.flatnonzero(is_match)
    gap = gaps[which]
    lengths = np.where(index[which] < copies[gap], _LONGEST, rest[gap])
    picture = is_first.cumsum() - 1
    code, extra = np.array([_distance(stride) for stride in strides.tolist()]).T[:, picture[gap]]
    codes[which + top] = tables.lengths[lengths] | code.astype(np.uint64) << tables.length_bits[lengths].astype(
        np.uint64
    )
    bits[which + top] = tables.length_bits[lengths] + extra
    which = np.flatnonzero(~is_match)
    bytes_ = data[begins[gaps[which]] + behind[which]]
    codes[which + top], bits[which + top] = tables.literals[bytes_], tables.literal_bits[bytes_]
    # How many codes each picture has: its first row's stand with the gap before.
    each = np.add.reduceat(tokens, np.flatnonzero(is_first)) + strides
    each[:-1] -= strides[1:]
    return _pack(codes, bits, each)


def _pack(codes: npt.NDArray[np.uint64], bits: Indices, each: Indices) -> list[bytes]:
    """Codes of up to 31 bits one after the other, in blocks of so many each, a block with header and end."""
    import numpy as np

    ends = bits.cumsum()
    last = each.cumsum() - 1
    before = np.concatenate(([0], ends[last[:-1]]))
    lengths = (ends[last] - before + _HEADER + _END + 31) // 32  # in words
    starts = lengths.cumsum() - lengths
    at = ends - bits + np.repeat(starts * 32 + _HEADER - before, each)
    shifted = codes << (at & 31).astype(np.uint64)
    word, count = at >> 5, int(lengths.sum()) + 1
    # No two codes share a bit, so that a sum of them is exact in float64.
    low = np.bincount(word, weights=shifted & np.uint64(0xFFFFFFFF), minlength=count)
    high = np.bincount(word + 1, weights=shifted >> np.uint64(32), minlength=count)
    words = (low + high).astype(np.uint32)
    words[starts] |= np.uint32(3)  # last block, fixed codes
    text = words.astype("<u4").tobytes()
    sizes = (ends[last] - before + _HEADER + _END + 7) // 8
    return [text[start : start + size] for start, size in zip((starts * 4).tolist(), sizes.tolist(), strict=True)]


# ---- the fixed codes (RFC 1951, 3.2.6), the first bit lowest


class _Tables(NamedTuple):
    literals: Any
    literal_bits: Any
    lengths: Any
    length_bits: Any


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
