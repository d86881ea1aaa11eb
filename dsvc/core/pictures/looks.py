"""Looks: what an input's media looks like: a picture, the first frame of a video, or why there is none."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from dsvc.core.keys import display
from dsvc.core.media import SIZED, media_kind
from dsvc.core.pictures.frames import SWAPPING
from dsvc.errors import (
    DamagedError,
    DsvcError,
    NotFoundError,
    PurgedError,
    RefusedError,
    RemoteError,
)
from dsvc.model.records import Input, Media

if TYPE_CHECKING:
    from dsvc.core.state import State

# Pillow's names for what dsvc knows as images; no other of its decoders is let near the bytes.
_DECODERS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "DIB", "JPEG2000", "AVIF", "PPM")
# Those that a Pillow may lack.
_OPTIONAL = {"image/avif": "AVIF", "image/heic": "HEIF", "image/jpx": "JPEG2000", "image/webp": "WEBP"}
_ORIENTATION = 0x0112
_TEXT_BYTES = 4096
_LINES = 40
# What lies elsewhere is read whole: more bytes than this are not brought to show one frame of them.
_MOST_FETCHED = 256 << 20
# Pillow may scale a picture up by so much without drawing its pixels as squares.
_SMOOTH = 3
# Larger images of odd modes are thinned out before they are converted: in pixels.
_MANY = 4_000_000
_DEEP = frozenset(("I", "F", "I;16", "I;16L", "I;16B", "I;16N"))


class Picture(NamedTuple):
    """A picture as people see it, in RGB and scaled to its place; `stored` is its size as stored, `orientation` EXIF's,
    which has been applied."""

    image: Any
    stored: tuple[int, int]
    orientation: int = 1


class Look(NamedTuple):
    """What is shown of an input's media: a picture, or a card of a word and some lines.

    `problem` says why there is no picture where one was to be expected.
    """

    picture: Picture | None = None
    word: str = ""
    lines: tuple[str, ...] = ()
    problem: str | None = None


def look_at(state: State, record: Input, side: int) -> Look:
    """What to show of an input in a square of `side` pixels. No media is an error, however absent or broken."""
    media = record.media
    if media is None or (media.blob is None and media.reference is None):
        return Look(word="no media", problem="the repository does not hold its bytes")
    if media.size == 0:
        return Look(word="empty", problem="has no bytes")
    kind = media_kind(media.type)
    if media.type not in SIZED and kind not in ("video", "text"):
        look = _card(kind, media)
        return look._replace(problem=f"there is no decoder for {media.type} here") if kind == "image" else look
    if (media.size or 0) > _MOST_FETCHED and not _is_here(state, media):
        return Look(word="not here", problem="it lies elsewhere, and is too large to be brought for a picture")
    try:
        with state.open_media(record) as file:
            return _look_into(file, media, side)
    except (DsvcError, OSError) as error:
        return Look(word=_word(error), problem=_reason(record, error))


def _look_into(file: BinaryIO, media: Media, side: int) -> Look:
    if media_kind(media.type) == "text":
        return _text(file)
    try:
        picture = _frame(file, media, side) if media_kind(media.type) == "video" else _picture(file, media, side)
    except (DsvcError, OSError):
        raise
    except MemoryError as error:
        raise _BrokenError("there is not enough memory for it") from error
    except Exception as error:  # whatever a decoder raises on broken bytes
        raise _BrokenError(str(error) or type(error).__name__) from error
    return Look(picture) if picture is not None else _card(media_kind(media.type), media)


def _is_here(state: State, media: Media) -> bool:
    return media.blob is not None and state.repository.store.has_media(media.blob)


class _BrokenError(OSError):
    """Bytes that no decoder understands."""


class _TooLargeError(OSError):
    """A header that promises more pixels than are decoded."""


def _word(error: Exception) -> str:
    """One or two words for a card. The order matters: some errors are of two kinds."""
    words: tuple[tuple[type[Exception], str], ...] = (
        (PurgedError, "purged"),
        (RemoteError, "out of reach"),
        (DamagedError, "damaged"),
        (NotFoundError, "not here"),
        (RefusedError, "not read"),
        (_TooLargeError, "too large"),
    )
    return next((word for kind, word in words if isinstance(error, kind)), "not decoded")


def _reason(record: Input, error: DsvcError | OSError) -> str:
    """Why, without the key, which is said before it."""
    if isinstance(error, DsvcError):
        return error.message.removeprefix(f"{display(record.key)}: ")
    if isinstance(error, _TooLargeError):
        return str(error)
    return f"cannot be decoded: {error.strerror or error}"


# ---- images


def _picture(file: BinaryIO, media: Media, side: int) -> Picture:
    from PIL import Image, UnidentifiedImageError

    Image.init()
    if _OPTIONAL.get(media.type or "", "PNG") not in Image.OPEN:
        raise _BrokenError(f"there is no decoder for {media.type} here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=[name for name in _DECODERS if name in Image.OPEN]) as image:
                return _loaded(image, side)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise _TooLargeError(f"its header promises more than {Image.MAX_IMAGE_PIXELS:,} pixels") from error
        except UnidentifiedImageError as error:
            raise _BrokenError("its header cannot be read") from error


def _loaded(image: Any, side: int) -> Picture:
    stored, orientation = image.size, _orientation(image)
    to = fitting(stored, side)
    image.draft("RGB", to)  # a JPEG is decoded smaller
    image.load()
    return Picture(_turned(_on_ground(_scaled(_plain(_thinned(image, to)), to)), orientation), stored, orientation)


def _orientation(image: Any) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF that is broken turns nothing
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _turned(image: Any, orientation: int) -> Any:
    from PIL.Image import Transpose

    ways = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(ways[orientation]) if orientation in ways else image


def fitting(size: tuple[float, float], side: int) -> tuple[int, int]:
    """The largest size of these proportions in a square, a pixel at least each way."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _scaled(image: Any, to: tuple[int, int]) -> Any:
    from PIL.Image import Resampling

    if image.size == to:
        return image
    # Few pixels are shown as what they are.
    rough = to[0] >= _SMOOTH * image.width and to[1] >= _SMOOTH * image.height
    return image.resize(to, Resampling.NEAREST if rough else Resampling.LANCZOS)


def _thinned(image: Any, to: tuple[int, int]) -> Any:
    """A large image of a mode that takes much memory to convert, with some of its pixels left out."""
    from PIL.Image import Resampling

    if image.mode in ("RGB", "RGBA", "L") or image.width * image.height <= _MANY:
        return image
    sides = [min(have, 3 * want) for have, want in zip(image.size, to, strict=True)]
    return image.resize(sides, Resampling.NEAREST)


def _plain(image: Any) -> Any:
    """An image in RGB, or RGBA where some of it may be clear; a deep one goes from its darkest to its lightest."""
    if image.mode in _DEEP:
        return _stretched(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_ground(image: Any) -> Any:
    """An image in RGB; where it is clear, on a chequered ground."""
    if image.mode == "RGB":
        return image
    ground = _chequered(image.size)
    ground.paste(image, (0, 0), image)
    return ground


def _stretched(image: Any) -> Any:
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    values = (values - low) * (255 / ((high - low) or 1.0))
    return Image.fromarray(values.round().astype(np.uint8)).convert("RGB")


def _chequered(size: tuple[int, int]) -> Any:
    """White and light grey squares: some sixteen along the longer side."""
    from PIL import Image

    square = max(1, max(size) // 16)
    tile = Image.new("RGB", (2 * square, 2 * square), (255, 255, 255))
    for at in ((0, 0), (square, square)):
        tile.paste((222, 224, 228), (*at, at[0] + square, at[1] + square))
    ground = Image.new("RGB", size)
    for x in range(0, size[0], 2 * square):
        for y in range(0, size[1], 2 * square):
            ground.paste(tile, (x, y))
    return ground


# ---- others


def _frame(file: BinaryIO, media: Media, side: int) -> Picture | None:
    """The first frame of a video; None where nothing here decodes it."""
    from dsvc.core.av_facts import DEMUXERS, Bounded, open_container, pyav
    from dsvc.core.decoding import MAX_DECODED

    av, demuxer = pyav(), DEMUXERS.get(media.type or "")
    if av is None or demuxer is None:
        return None
    with open_container(av, Bounded(file), demuxer) as container:
        stream = next((one for one in container.streams if one.type == "video"), None)
        context = stream.codec_context if stream is not None else None
        if context is None:
            return None
        if context.width * context.height > MAX_DECODED:
            raise _TooLargeError(f"its header promises more than {MAX_DECODED:,} pixels")
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_DECODED)}
        frame = next(container.decode(stream), None)
        if frame is None:
            raise _BrokenError("it holds no frame")
        image = frame.to_image()
    return Picture(_scaled(image.convert("RGB"), fitting(image.size, side)), image.size)


def _text(file: BinaryIO) -> Look:
    """The first lines of a text."""
    data = file.read(_TEXT_BYTES)
    text = data.decode("utf-8-sig", "replace")
    if len(data) == _TEXT_BYTES:
        text = text.rstrip("\ufffd")  # a letter that was cut
    return Look(word="" if text.strip() else "empty", lines=tuple(text.splitlines()[:_LINES]))


def _card(kind: str, media: Media) -> Look:
    """What is known of media that cannot be looked at."""
    word = kind if kind != "other" else (media.type or "of no known type")
    lines = []
    if media.duration is not None:
        lines.append(f"{media.duration:,.1f} s")
    if media.width is not None and media.height is not None:
        lines.append(f"{media.width} x {media.height}")
    if media.size is not None:
        lines.append(f"{media.size:,} bytes")
    return Look(word=word, lines=tuple(lines))


def shown_size(stored: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The size of a picture of a stored size, once it is turned."""
    return (stored[1], stored[0]) if orientation in SWAPPING else stored
