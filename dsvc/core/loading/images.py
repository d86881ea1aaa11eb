"""Pictures of bytes, for training: decoded whole, in one mode, the way up that their boxes are meant."""

from __future__ import annotations

import io
from typing import Any

from dsvc.core.decoding import MAX_DECODED
from dsvc.core.keys import display
from dsvc.errors import RefusedError

_SEE = "see all that cannot be decoded: dsvc check --media"
_ORIENTATION = 0x0112  # of EXIF


class UndecodableError(RefusedError):
    """Media that cannot be decoded; the message names its input."""


def decode_image(data: bytes, key: str, mode: str | None = "RGB", *, turned: bool = False) -> Any:
    """The picture of some bytes, in a mode of Pillow's, or with None in its own.

    16 bits a sample become the upper 8 of them. With `turned` it is turned as its EXIF orientation says, else it is as
    it is stored. Raises UndecodableError.
    """
    from PIL import Image, ImageOps

    try:
        picture: Any = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MAX_DECODED:
            raise ValueError(f"it has {picture.width:,} x {picture.height:,} pixels, which is too many")
        picture.load()
        if turned and picture.getexif().get(_ORIENTATION, 1) != 1:
            picture = ImageOps.exif_transpose(picture)
        return picture if mode is None or picture.mode == mode else _converted(picture, mode)
    except Exception as error:  # whatever a decoder raises on broken bytes
        why = "its header cannot be read" if type(error).__name__ == "UnidentifiedImageError" else str(error)
        raise UndecodableError(f"{display(key)}: cannot be decoded: {why}", _SEE) from error


def _converted(picture: Any, mode: str) -> Any:
    if picture.mode.startswith("I"):
        import numpy as np
        from PIL import Image

        # Pillow would cut off what is above 255.
        picture = Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return picture.convert(mode)
