"""COCO's run-length masks: their compressed text; and pictures as PNG files of fixed bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dsvc.model.records import Mask
from dsvc.model.runs import MAX_PIXELS as MAX_PIXELS
from dsvc.model.runs import runs as runs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def compressed(counts: Sequence[int]) -> str:
    """COCO's compressed text of runs."""
    text = bytearray()
    for index, run in enumerate(counts):
        value = run - counts[index - 2] if index > 2 else run
        while True:
            digit = value & 31
            value >>= 5
            more = value != (-1 if digit & 16 else 0)
            text.append(digit + 48 + (32 if more else 0))
            if not more:
                break
    return text.decode()


def canonical_runs(counts: Sequence[int]) -> bool:
    """True where the runs are what the picture gives back: no run is empty but perhaps the first."""
    return bool(counts) and all(counts[1:])


def bitmap(mask: Mask, counts: Sequence[int]) -> npt.NDArray[np.uint8]:
    """The picture of a mask: height × width, 0 or 1."""
    import numpy as np

    values = np.arange(len(counts), dtype=np.uint8) & 1
    columns = np.repeat(values, np.asarray(counts, dtype=np.int64))
    return columns.reshape(mask.width, mask.height).T


# ---- PNG: no filter; a deflate stream of fixed Huffman codes that only ever copies from one row above


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """A PNG of one bit a pixel, by fixed rules: the same picture gives the same bytes, whatever zlib is installed."""
    import numpy as np

    return png_file(np.packbits(picture, axis=1), picture.shape[1], 1, 0)


def png_file(
    rows: npt.NDArray[np.uint8], width: int, depth: int, color: int, chunks: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """A PNG, by the same rules, of rows of packed samples: height × bytes a row.

    `depth` is in bits a sample, `color` PNG's colour type; `chunks` (a palette) go before the pixels.
    """
    import numpy as np

    height = rows.shape[0]
    filtered = np.zeros((height, rows.shape[1] + 1), dtype=np.uint8)
    filtered[:, 1:] = rows
    data = filtered.tobytes()
    packed = b"\x78\x01" + _deflate(data, filtered.shape[1]) + struct.pack(">I", zlib.adler32(data))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = ((b"IHDR", header), *chunks, (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _deflate(data: bytes, stride: int) -> bytes:
    """One block with fixed codes. Where at least three bytes equal those one row above, they are copied."""
    import numpy as np

    flat = np.frombuffer(data, dtype=np.uint8)
    copies = _copies(np, flat, stride) if stride <= 32768 and len(flat) > stride else []
    distance = _distance(stride)
    parts: list[str] = ["110"]  # last block, fixed codes; the bits in the order of the stream
    at = 0
    for start, end in copies:
        parts.extend(_LITERALS[byte] for byte in data[at:start])
        at = start
        while end - at >= 3:
            length = min(258, end - at)
            parts.append(_LENGTHS[length])
            parts.append(distance)
            at += length
        parts.extend(_LITERALS[byte] for byte in data[at:end])
        at = end
    parts.extend(_LITERALS[byte] for byte in data[at:])
    parts.append("0000000")
    bits = np.frombuffer("".join(parts).encode(), dtype=np.uint8) & 1
    return np.packbits(bits, bitorder="little").tobytes()


def _copies(np: Any, flat: Any, stride: int) -> list[tuple[int, int]]:
    """Where at least three bytes equal those one row above: starts and ends."""
    same = np.zeros(len(flat) + 2, dtype=np.int8)
    same[stride + 1 : -1] = flat[stride:] == flat[:-stride]
    edges = np.flatnonzero(np.diff(same))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= 3
    return list(zip(starts[long].tolist(), ends[long].tolist(), strict=True))


def _code(value: int, length: int) -> str:
    return format(value, f"0{length}b")


def _extra(value: int, length: int) -> str:
    return format(value, f"0{length}b")[::-1] if length else ""


def _symbol(symbol: int) -> str:
    """The fixed code of a literal or length symbol (RFC 1951, 3.2.6), first bit first."""
    if symbol < 144:
        return _code(0x30 + symbol, 8)
    if symbol < 256:
        return _code(0x190 + symbol - 144, 9)
    if symbol < 280:
        return _code(symbol - 256, 7)
    return _code(0xC0 + symbol - 280, 8)


def _length_codes() -> dict[int, str]:
    codes, base = {}, 3
    for symbol in range(257, 285):
        bits = max(0, (symbol - 261) // 4)
        for offset in range(1 << bits):
            codes[base + offset] = _symbol(symbol) + _extra(offset, bits)
        base += 1 << bits
    codes[258] = _symbol(285)
    return codes


def _distance(distance: int) -> str:
    base = 1
    for symbol in range(30):
        bits = max(0, symbol // 2 - 1)
        if distance < base + (1 << bits):
            return _code(symbol, 5) + _extra(distance - base, bits)
        base += 1 << bits
    return ""


_LITERALS = tuple(_symbol(byte) for byte in range(256))
_LENGTHS = _length_codes()
