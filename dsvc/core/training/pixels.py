"""Pictures as rows of pixels that a model takes: all of one size, grey or in colours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.decoding import MAX_DECODED

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Row = npt.NDArray[np.uint8]

USUAL_SIZE = 32
GREY, COLOURS = "L", "RGB"
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # more than 8 bits of grey, of which files use 16
_GREYS = ("1", "L", "LA", "La", *_DEEP)


class Form(NamedTuple):
    """How pictures are given to a model: `size` x `size` pixels of `mode` L (grey) or RGB."""

    size: int
    mode: str

    def __str__(self) -> str:
        return f"{self.size} x {self.size} {'grey' if self.mode == GREY else 'RGB'} pixels"


class UnreadableError(Exception):
    """A picture that cannot be read; its text says why."""


def find_form(files: Sequence[Path], size: int | None = None) -> Form:
    """The form for pictures: grey where all of them are, and as large as the largest, 32 at most, or `size`.

    Those that cannot be read are passed over.
    """
    longest, is_grey = 1, True
    for file in files:
        with suppress(UnreadableError), _reading() as image_module, image_module.open(_whole(file)) as picture:
            longest = max(longest, *picture.size)
            is_grey = is_grey and picture.mode in _GREYS
    return Form(size or min(longest, USUAL_SIZE), GREY if is_grey else COLOURS)


def read_row(file: Path, form: Form) -> Row:
    """The pixels of a picture, row by row, turned as its EXIF data says. Raises UnreadableError."""
    import numpy as np
    from PIL import ImageOps

    with _reading() as image_module, image_module.open(_whole(file)) as picture:
        if picture.width * picture.height > MAX_DECODED:
            raise UnreadableError(_too_large(f"{picture.width:,} x {picture.height:,}"))
        picture.draft(form.mode, (2 * form.size, 2 * form.size))  # of a JPEG, no more is decoded than is needed
        upright = ImageOps.exif_transpose(picture)
        small = _in_mode(upright, form.mode).resize((form.size, form.size), image_module.Resampling.BILINEAR)
        row: Row = np.asarray(small, dtype=np.uint8).reshape(-1)
        return row


def _in_mode(picture: Any, mode: str) -> Any:
    """A picture in grey or colours: what is transparent is white."""
    from PIL import Image

    if picture.mode in _DEEP:
        picture = picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    elif picture.mode == "F":
        raise UnreadableError("holds floating-point numbers, which say of no value that it is white")
    elif "A" in picture.getbands() or "transparency" in picture.info:
        full = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", full.size, "white"), full)
    return picture.convert(mode)


def _whole(file: Path) -> Path:
    if file.stat().st_size == 0:
        raise UnreadableError("has no bytes")
    return file


def _too_large(size: str) -> str:
    return f"its header promises {size} pixels, and more than {MAX_DECODED:,} are not decoded"


@contextmanager
def _reading() -> Iterator[Any]:
    """Gives Pillow's module Image; within, whatever it raises on broken bytes becomes an UnreadableError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield Image
    except (UnreadableError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableError(_too_large("so many")) from error
    except UnidentifiedImageError as error:
        raise UnreadableError("cannot be decoded: its header cannot be read") from error
    except Exception as error:  # whatever a decoder raises
        raise UnreadableError(f"cannot be decoded: {error}") from error
