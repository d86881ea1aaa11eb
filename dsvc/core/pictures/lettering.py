"""Lettering: text of one size, with what no font here can draw as escapes."""

from __future__ import annotations

import importlib.util
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

from dsvc.core.keys import display
from dsvc.core.pictures.colours import Colour

ELLIPSIS = "…"
# So many characters of a text are looked at: no line of a sheet has room for more.
MOST = 300
_NO_GLYPH = "\U0010fffe"
_FALLBACK = "mpl-data/fonts/ttf/DejaVuSans.ttf"


class Lettering:
    """Text in one size, in pixels: its width, its height, and drawing it.

    ASCII and what else Pillow's own font has is drawn in that. Else DejaVu, which comes with Matplotlib, is used where
    that is installed; a character that it lacks is drawn as an escape, as `\\u732b`.
    """

    def __init__(self, size: int) -> None:
        from PIL import ImageFont

        self.size = size
        self._fonts: list[Any] = [ImageFont.load_default(size)]
        if (path := _fallback()) is not None:
            # Its letters are larger at the same size.
            self._fonts.append(ImageFont.truetype(path, max(1, round(size * 0.92))))
        self._drawable: dict[tuple[int, str], bool] = {}
        ascent, descent = self._fonts[0].getmetrics()
        self.ascent: int = ascent
        self.height: int = ascent + descent

    def width(self, text: str) -> int:
        """How wide a text is that `prepared` gave."""
        return int(self._font(text).getlength(text) + 0.999)

    def draw(self, canvas: Any, at: tuple[int, int], text: str, colour: Colour) -> None:
        """Draw a text that `prepared` gave; `at` is the upper left corner of its line, `canvas` an ImageDraw."""
        canvas.text((at[0], at[1] + self.ascent), text, font=self._font(text), fill=colour, anchor="ls")

    def prepared(self, text: str) -> str:
        """A text as it can be drawn: one line, no controls, and escapes for what the fonts lack."""
        cut = text if len(text) <= MOST else text[: MOST // 2] + ELLIPSIS + text[-MOST // 2 :]
        clean = unicodedata.normalize("NFC", display(cut))
        if any(all(self._has(at, char) for char in clean) for at in range(len(self._fonts))):
            return clean
        last = len(self._fonts) - 1
        return "".join(char if self._has(last, char) else _escape(char) for char in clean)

    def fitted(self, text: str, width: int, *, keep_end: bool = False) -> str:
        """A text prepared and cut to a width, with an ellipsis at its end, or in its middle with `keep_end`."""
        whole = self.prepared(text)
        if self.width(whole) <= width:
            return whole
        low, high = 0, len(whole) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.width(_cut(whole, middle, keep_end)) <= width:
                low = middle
            else:
                high = middle - 1
        return _cut(whole, low, keep_end)

    def _font(self, text: str) -> Any:
        for at, font in enumerate(self._fonts[:-1]):
            if all(self._has(at, char) for char in text):
                return font
        return self._fonts[-1]

    def _has(self, at: int, char: str) -> bool:
        if char == " ":
            return True
        known = self._drawable.get((at, char))
        if known is None:
            font = self._fonts[at]
            known = bytes(font.getmask(char)) != bytes(font.getmask(_NO_GLYPH))
            self._drawable[at, char] = known
        return known


@lru_cache(maxsize=32)
def lettering(size: int) -> Lettering:
    """The lettering of a size, made once."""
    return Lettering(size)


def _cut(text: str, kept: int, keep_end: bool) -> str:
    if not keep_end:
        return text[:kept].rstrip() + ELLIPSIS
    front = kept // 3
    return text[:front] + ELLIPSIS + text[len(text) - (kept - front) :]


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode() if ord(char) > 126 else "?"


def _fallback() -> str | None:
    """The file of the font for what Pillow's own lacks."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / _FALLBACK
    return str(path) if path.is_file() else None
