"""How a PNG mask keeps its values: as gray levels, as indexes of a palette, or as colours; and the PNG of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from blake3 import blake3

from dsvc.formats.masks import png_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    # Height × width: gray levels or indexes as uint8 or uint16, colours as uint32 0xrrggbb.
    Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

# A gray level or an index, or a colour #rrggbb.
Value = int | str

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_KINDS = {GRAY: "gray", RGB: "rgb", PALETTE: "palette", GRAY_ALPHA: "graya", RGB_ALPHA: "rgba"}
_NAME = re.compile(r"(gray|rgb|palette|graya|rgba)(1|2|4|8|16)(?:-[0-9a-f]{16})?")
# One colour channel in all three.
_EACH = 0x010101


class Form(NamedTuple):
    """The form of a PNG: its colour type, bits a sample, the contents of PLTE and tRNS."""

    color: int
    depth: int
    palette: bytes = b""
    transparency: bytes = b""

    @property
    def name(self) -> str:
        """A short name; forms of one name are equal."""
        name = f"{_KINDS[self.color]}{self.depth}"
        if not self.palette and not self.transparency:
            return name
        return f"{name}-{blake3(self.palette + b'/' + self.transparency).hexdigest(length=8)}"

    @property
    def fields(self) -> dict[str, str]:
        """What the name doesn't say, in hex digits."""
        parts = {"palette": self.palette, "transparency": self.transparency}
        return {name: part.hex() for name, part in parts.items() if part}

    @property
    def is_color(self) -> bool:
        """Whether a pixel has red, green and blue."""
        return self.color in (RGB, RGB_ALPHA)

    @property
    def size(self) -> int:
        """How many gray levels or indexes there are: values are below."""
        return len(self.palette) // 3 if self.color == PALETTE else 1 << self.depth

    def pixel(self, value: Value) -> int | None:
        """What pixels of a value hold; None where this form cannot say it."""
        if isinstance(value, str):
            return int(value[1:], 16) if self.is_color else None
        if self.is_color:
            return value * _EACH if value < 256 else None
        return value if value < self.size else None

    def value(self, pixel: int) -> Value:
        """The value that a pixel holds; a colour only where red, green and blue differ."""
        if not self.is_color:
            return pixel
        return pixel & 255 if pixel == (pixel & 255) * _EACH else color_text(pixel)


def color_text(pixel: int) -> str:
    """A colour 0xrrggbb as #rrggbb."""
    return f"#{pixel:06x}"


def form_of(name: str, fields: Mapping[str, Any]) -> Form | None:
    """The form of a name and its other fields; None where they are of no form."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    color = next(color for color, kind in _KINDS.items() if kind == found[1])
    try:
        form = Form(color, int(found[2]), *(bytes.fromhex(fields.get(part, "")) for part in Form._fields[2:]))
    except (TypeError, ValueError):
        return None
    return form if form.name == name else None


def fixed_colors(count: int = 256) -> list[int]:
    """The colours of indexes 0 to 255 where a source gave none: those of Pascal VOC, whose 0 is black.

    The bits of an index go to red, green and blue in turn, the lowest ones to the highest bits of the colours.
    """
    colors = []
    for index in range(count):
        color = 0
        for bit in range(8):
            channel = (2 - bit % 3) * 8
            color |= (index >> bit & 1) << (7 - bit // 3 + channel)
        colors.append(color)
    return colors


def fixed_form() -> Form:
    """The form of masks that came from no source: 8-bit indexes of the fixed palette."""
    return Form(PALETTE, 8, b"".join(color.to_bytes(3, "big") for color in fixed_colors()))


def widened(form: Form, value: int) -> Form:
    """A form like this one that can say a value up to 65,535: more bits, more colours, or 16-bit gray."""
    if form.pixel(value) is not None:
        return form
    if value > 255 or form.color not in (GRAY, PALETTE):
        return Form(GRAY, 16)
    depth = next(depth for depth in (1, 2, 4, 8) if value < 1 << depth and depth >= form.depth)
    if form.color == GRAY:
        return Form(GRAY, depth)
    more = fixed_colors()[form.size : value + 1]
    palette = form.palette + b"".join(color.to_bytes(3, "big") for color in more)
    return Form(PALETTE, depth, palette, form.transparency)


def write_picture(pixels: Pixels, form: Form) -> bytes:
    """The PNG file of pixels in a form, by fixed rules: the same picture gives the same bytes."""
    parts = ((b"PLTE", form.palette), (b"tRNS", form.transparency))
    chunks = [(kind, content) for kind, content in parts if content]
    return png_file(_rows(pixels, form), pixels.shape[1], form.depth, form.color, chunks)


def _rows(pixels: Pixels, form: Form) -> npt.NDArray[np.uint8]:
    import numpy as np

    height = pixels.shape[0]
    if form.depth == 16:
        return pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    if form.depth == 1:
        return np.packbits(pixels, axis=1)
    if form.depth < 8:
        shifts = np.arange(form.depth - 1, -1, -1, dtype=np.uint8)
        bits = (pixels.astype(np.uint8)[:, :, None] >> shifts) & 1
        return np.packbits(bits.reshape(height, -1), axis=1)
    channels = [pixels >> shift for shift in (16, 8, 0)] if form.is_color else [pixels]
    if form.color in (GRAY_ALPHA, RGB_ALPHA):
        channels.append(np.full(pixels.shape, 255, dtype=pixels.dtype))
    return np.stack(channels, axis=2).astype(np.uint8).reshape(height, -1)
