"""Sheets as bytes of a file: JPEG or PNG, the same for the same sheet and the same Pillow."""

from __future__ import annotations

import io
from typing import Any

JPEG_QUALITY = 90


def encoded(image: Any, suffix: str, quality: int = JPEG_QUALITY) -> bytes:
    """An image in RGB as the bytes of a file of a suffix, `.png` or else JPEG."""
    file = io.BytesIO()
    if suffix == ".png":
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()
