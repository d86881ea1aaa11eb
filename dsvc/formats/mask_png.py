"""Reading a PNG mask: chunks are checked here, pixels decoded by Pillow, and the values are those of the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.formats.mask_form import GRAY, GRAY_ALPHA, PALETTE, RGB, RGB_ALPHA, Form
from dsvc.formats.masks import MAX_PIXELS

if TYPE_CHECKING:
    from dsvc.formats.mask_form import Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
_CRITICAL = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND"))
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}
# Interlaced rows come in passes: first column and row, and the steps between.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
PIECE = 1 << 20
# Pillow spreads the levels of few bits over 0 to 255.
_SPREAD = {1: 1, 2: 85, 4: 17}


class Picture(NamedTuple):
    """The pixels of a mask, height × width, and their form."""

    pixels: Pixels
    form: Form


def read_picture(data: bytes) -> Picture:
    """The picture of a PNG file's bytes.

    Raises ValueError for a file that is damaged, too large, or has what masks have not; its text is the end of a
    sentence that begins with the file's name.
    """
    if not data:
        raise ValueError("is empty")
    if not data.startswith(SIGNATURE):
        raise ValueError("is no PNG file")
    chunks: dict[bytes, list[memoryview]] = {}
    for kind, content in _chunks(memoryview(data)):
        if not chunks and kind != b"IHDR":
            raise ValueError("is damaged: it does not begin with a header")
        chunks.setdefault(kind, []).append(content)
        if kind == b"IHDR":
            _check_header(content)
    form = _form(chunks)
    _check_length(chunks)
    return Picture(_pixels(_minimal(chunks, form), form), form)


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks, IEND last, each with a right checksum."""
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise ValueError("is cut off: it ends before its last chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise ValueError("is cut off: it ends within a chunk")
        content = data[at + 8 : at + 8 + length]
        if zlib.crc32(data[at + 4 : at + 8 + length]) != int.from_bytes(
            data[at + 8 + length : at + 12 + length], "big"
        ):
            raise ValueError(f"is damaged: the checksum of its {_shown(kind)} chunk is wrong")
        if kind not in _CRITICAL and not kind[0] & 32:
            raise ValueError(f"has a chunk {_shown(kind)} that no reader of PNG knows")
        if kind == b"acTL":
            raise ValueError("is an animation, not one picture")
        yield kind, content
        at += 12 + length


def _shown(kind: bytes) -> str:
    return ascii(kind.decode("latin-1"))[1:-1]


def _check_header(content: memoryview) -> None:
    if len(content) != 13:
        raise ValueError("is damaged: its header is not that of a PNG file")
    width, height, depth, color, *methods = struct.unpack(">IIBBBBB", content)
    if depth not in _DEPTHS.get(color, ()) or methods[:2] != [0, 0] or methods[2] > 1 or not width or not height:
        raise ValueError("is damaged: its header is not that of a PNG file")
    if width * height > MAX_PIXELS:
        raise ValueError(f"says it has {width:,} × {height:,} pixels; at most {MAX_PIXELS:,} are read")
    if depth == 16 and color != GRAY:
        raise ValueError("has 16 bits for each of several channels; masks of colours have 8")


def _form(chunks: dict[bytes, list[memoryview]]) -> Form:
    if len(chunks[b"IHDR"]) > 1 or len(chunks.get(b"PLTE", ())) > 1:
        raise ValueError("is damaged: it has two headers or two palettes")
    if b"IDAT" not in chunks:
        raise ValueError("is damaged: it has no pixels")
    depth, color = chunks[b"IHDR"][0][8:10]
    # In pictures of colours a palette is but a suggestion.
    palette = bytes(chunks.get(b"PLTE", [b""])[0]) if color == PALETTE else b""
    if color == PALETTE and (len(palette) % 3 or not 0 < len(palette) <= 3 << depth):
        raise ValueError("is damaged: it has no right palette")
    transparency = bytes(chunks.get(b"tRNS", [b""])[0])
    allowed = {GRAY: {0, 2}, RGB: {0, 6}, PALETTE: set(range(len(palette) // 3 + 1))}.get(color, {0})
    if len(transparency) not in allowed:
        raise ValueError("is damaged: its transparency is not that of its pixels")
    return Form(color, depth, palette, transparency)


def _check_length(chunks: dict[bytes, list[memoryview]]) -> None:
    """Refuse a file whose rows are not those of its header, since Pillow makes up what is missing."""
    wanted, found, stream = _length(chunks[b"IHDR"][0]), 0, zlib.decompressobj()
    try:
        for content in chunks[b"IDAT"]:
            rest: bytes | memoryview = content
            while rest and found <= wanted and not stream.eof:
                found += len(stream.decompress(rest, PIECE))
                rest = stream.unconsumed_tail
        while found <= wanted and not stream.eof and (more := stream.decompress(b"", PIECE)):
            found += len(more)
    except zlib.error:
        raise ValueError("is damaged: its pixels cannot be unpacked") from None
    if found > wanted:
        raise ValueError("is damaged: it has more pixels than its header says")
    if found < wanted or not stream.eof:
        raise ValueError("is damaged: its pixels end too early")


def _length(header: memoryview) -> int:
    """How many bytes the rows have, each with its filter's number before it."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    total = 0
    for left, top, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * depth * _CHANNELS[color] + 7) // 8)
    return total


def _minimal(chunks: dict[bytes, list[memoryview]], form: Form) -> bytes:
    """The file with nothing but its picture: no profile, text or transparency is for Pillow to stumble over."""
    kinds = [b"IHDR", b"PLTE", b"IDAT", b"IEND"] if form.palette else [b"IHDR", b"IDAT", b"IEND"]
    made: list[bytes | memoryview] = [SIGNATURE]
    for kind in kinds:
        for content in chunks[kind]:
            checksum = zlib.crc32(content, zlib.crc32(kind))
            made += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)]
    return b"".join(made)


def _pixels(data: bytes, form: Form) -> Pixels:
    import io

    import numpy as np
    from PIL.PngImagePlugin import PngImageFile

    try:
        # Not Image.open, whose limit of pixels is a setting of the whole process and below ours.
        with PngImageFile(io.BytesIO(data)) as image:
            image.load()
            decoded = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"cannot be decoded: {error}") from error
    except MemoryError:
        raise ValueError("is too large for this machine's memory") from None
    return _values(np, decoded, form)


def _values(np: Any, decoded: Any, form: Form) -> Pixels:
    """What Pillow gives, as the file has it."""
    if form.color in (GRAY_ALPHA, RGB_ALPHA):
        clear = int(np.count_nonzero(decoded[:, :, -1] != 255))
        if clear:
            raise ValueError(f"has {clear:,} pixels that are transparent, so that their values are in doubt")
        decoded = decoded[:, :, 0] if form.color == GRAY_ALPHA else decoded[:, :, :3]
    if form.is_color:
        red, green, blue = (decoded[:, :, channel].astype(np.uint32) for channel in range(3))
        pixels: Pixels = red << 16 | green << 8 | blue
        return pixels
    if form.color == GRAY and form.depth < 8:
        return decoded.astype(np.uint8) // _SPREAD[form.depth]  # type: ignore[no-any-return]
    if form.color == PALETTE and (highest := int(decoded.max())) >= form.size:
        raise ValueError(f"has pixels of index {highest}, and its palette ends at {form.size - 1}")
    return decoded.astype(np.uint16 if form.depth == 16 else np.uint8)  # type: ignore[no-any-return]
