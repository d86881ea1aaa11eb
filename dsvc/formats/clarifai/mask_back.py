"""The mask that a picture of Clarifai's shows: its runs, column by column."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.masks import MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.bool_]
    Counts = npt.NDArray[np.int64]

_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PLAIN = bytes((1, 0, 0, 0, 0))  # one bit, grey, deflate, filters, not interlaced


def mask_runs(data: bytes) -> tuple[int, int, Counts]:
    """Height, width and runs of what is not black in a PNG. Raises BadMessage."""
    pixels = _own_picture(data)
    if pixels is None:
        pixels = _any_picture(data)
    return pixels.shape[0], pixels.shape[1], _runs(pixels)


def _runs(pixels: Pixels) -> Counts:
    """Found row by row, as the pixels lie: where one differs from that above it, or on top of the next column."""
    import numpy as np

    height, width = pixels.shape
    rows, columns = np.nonzero(pixels[1:] != pixels[:-1])
    tops = np.flatnonzero(pixels[0, 1:] != pixels[-1, :-1]) + 1
    edges = np.concatenate((columns * height + rows + 1, tops * height))
    edges.sort()
    first = [0] if not pixels[0, 0] else [0, 0]
    counts: Counts = np.diff(np.concatenate((first, edges, [height * width])))
    return counts


def _own_picture(data: bytes) -> Pixels | None:
    """The pixels of a PNG as dsvc writes them, whose rows have no filters; None for all others."""
    import numpy as np

    if not data.startswith(_HEAD) or data[24:29] != _PLAIN or data[37:41] != b"IDAT":
        return None
    width, height = struct.unpack(">II", data[16:24])
    size = int.from_bytes(data[33:37], "big")
    stride = (width + 7) // 8 + 1
    if not width or not height or width * height > MAX_PIXELS or data[45 + size :][4:8] != b"IEND":
        return None
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(data[41 : 41 + size], stride * height + 1)
    except zlib.error:
        return None
    if len(raw) != stride * height or not stream.eof:
        return None
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(height, stride)
    if rows[:, 0].any():
        return None
    pixels: Pixels = np.unpackbits(rows[:, 1:], axis=1, count=width).view(np.bool_)
    return pixels


def _any_picture(data: bytes) -> Pixels:
    from dsvc.formats.mask_png import read_picture

    try:
        shown: Pixels = read_picture(data).pixels != 0
        return shown
    except ImportError:
        hint = "has a mask of a form that needs Pillow: pip install 'dsvc[images]'"
        raise BadMessage(hint) from None
    except ValueError as error:
        raise BadMessage(f"has a mask whose picture {error}") from None
