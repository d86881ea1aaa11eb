"""Decoding media to see whether it is whole: an image, the first frame of a video or a sound, the letters of a text.

One file is looked at a time, and its size is looked at first: one that promises more pixels than can be decoded in
little memory is reported, not tried. What no library here can decode is no finding; `notes` counts it.
"""

from __future__ import annotations

import codecs
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from dsvc.core.av_facts import DEMUXERS, Bounded, open_container, pyav
from dsvc.core.media import SIZED, media_kind
from dsvc.core.mediafile import open_blob
from dsvc.model.records import Media
from dsvc.store.ids import ObjectId
from dsvc.store.objects import ObjectStore

# Pillow's own limit for pictures that are no attack: 270 MB of RGB.
MAX_DECODED = 89_478_485
_TEXT_PIECE = 1 << 20
_PIXELS = re.compile(r"\((\d+) pixels\)")
_NO_PILLOW = "since Pillow is not here: pip install 'dsvc[images]'"
_NO_PYAV = "since PyAV is not here: pip install 'dsvc[video]'"
# What Pillow reads when it was built with some library; all others in `_PILLOWS` it always reads.
_FEATURES = {"image/webp": "webp", "image/avif": "avif", "image/jpx": "jpg_2000"}
_PILLOWS = SIZED - {"image/heic", *_FEATURES}

_IMAGE_NAMES = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heic",
    "jfif": "image/jpeg",
    "jpe": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mpo": "image/jpeg",
    "pbm": "image/x-portable-bitmap",
    "pgm": "image/x-portable-graymap",
    "png": "image/png",
    "ppm": "image/x-portable-pixmap",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
}
# Endings of one container are told apart by a word in it that many programs write as they like.
_CONTAINERS = {
    **dict.fromkeys(("mp4", "m4v", "mov", "3gp", "m4a", "m4b"), "mov"),
    **dict.fromkeys(("mkv", "webm", "mka"), "matroska"),
    **dict.fromkeys(("ogg", "oga", "ogv", "opus"), "ogg"),
    **dict.fromkeys(("wmv", "wma", "asf"), "asf"),
    **dict.fromkeys(("mpg", "mpeg"), "mpeg"),
    **dict.fromkeys(("aif", "aiff"), "aiff"),
    **{name: name for name in ("avi", "flv", "flac", "mp3", "aac", "amr")},
}
_TEXT_NAMES = frozenset({"csv", "htm", "html", "json", "jsonl", "md", "srt", "tsv", "txt", "vtt", "xml", "yaml", "yml"})


def wrong_name(key: str, media: Media) -> str | None:
    """What to say where a key's ending promises another kind of file than its bytes are; None where they agree."""
    ending = key.rpartition("/")[2].rpartition(".")[2].lower()
    type_ = media.type or ""
    if ending in _IMAGE_NAMES:
        agrees = type_ == _IMAGE_NAMES[ending]
    elif ending in _CONTAINERS:
        agrees = DEMUXERS.get(type_) == _CONTAINERS[ending]
    elif ending == "wav":
        agrees = type_ == "audio/x-wav"
    elif ending in _TEXT_NAMES:
        agrees = media_kind(type_) == "text"
    else:
        return None
    return None if agrees else f"named .{ending}, but its bytes are {media.type or 'of no known type'}"


class MediaChecker:
    """Looks at the media of inputs, each blob once. `notes` says what could not be decoded here."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._known: dict[ObjectId, str | None] = {}
        self._skipped: Counter[tuple[str, str]] = Counter()

    def check(self, key: str, media: Media) -> Iterator[str]:
        """What is wrong with an input's media, where the repository holds it."""
        if media.blob is None:
            return
        if media.size == 0:
            yield "has no bytes"
            return
        if (text := wrong_name(key, media)) is not None:
            yield text
        if media.blob not in self._known:
            self._known[media.blob] = self._look(media.blob, media)
        if (text := self._known[media.blob]) is not None:
            yield text

    def notes(self) -> Iterator[str]:
        """What was not decoded, by count, and what would help."""
        for (kind, why), count in sorted(self._skipped.items()):
            why = why.replace("their bytes", "its bytes") if count == 1 else why
            noun = {"audio": "audio file", "other": "file"}.get(kind, kind)
            verb = f"{noun} was" if count == 1 else f"{noun}s were"
            yield f"{count:,} {verb} not decoded, {why}"

    def _look(self, blob: ObjectId, media: Media) -> str | None:
        kind = media_kind(media.type)
        if not self._store.has(blob):
            # Fetching all media to decode them may be far more than was asked for; `fetch --media` does that.
            self._skip("other", "since their bytes are not here")
            return None
        if kind == "text":
            return _wrong_text(self._store.open_blob(blob))
        if kind == "image":
            return self._image(blob, media)
        return self._stream(blob, media) if kind in ("video", "audio") else None

    def _skip(self, kind: str, why: str) -> None:
        self._skipped[kind, why] += 1

    # ---- images

    def _image(self, blob: ObjectId, media: Media) -> str | None:
        if (media.width or 0) * (media.height or 0) > MAX_DECODED:
            return _too_large(f"{media.width:,} x {media.height:,}")
        if media.type not in _PILLOWS and media.type not in _FEATURES:
            self._skip("image", f"since there is no decoder for {media.type} here")
            return None
        try:
            from PIL import features
        except ImportError:
            if media.width is None:
                return "cannot be decoded: its header tells no size"
            self._skip("image", _NO_PILLOW)
            return None
        feature = _FEATURES.get(media.type)
        if feature is not None and not features.check(feature):
            self._skip("image", f"since there is no decoder for {media.type} here")
            return None
        with open_blob(self._store, blob) as file:
            return _wrong_image(file)

    # ---- videos and sounds

    def _stream(self, blob: ObjectId, media: Media) -> str | None:
        kind, av = media_kind(media.type), pyav()
        demuxer = "wav" if media.type == "audio/x-wav" else DEMUXERS.get(media.type or "")
        if demuxer is None:
            self._skip(kind, f"since there is no decoder for {media.type} here")
            return None
        if av is None:
            self._skip(kind, _NO_PYAV)
            return None
        with open_blob(self._store, blob) as file:
            try:
                with open_container(av, Bounded(file), demuxer) as container:
                    return self._first_frame(container, kind)
            except Exception as error:  # whatever FFmpeg makes of broken bytes
                return f"cannot be decoded: {getattr(error, 'strerror', None) or error}"

    def _first_frame(self, container: Any, kind: str) -> str | None:
        streams = [s for s in container.streams if s.type in ("video", "audio")]
        if not streams:
            return "cannot be decoded: it holds neither pictures nor sound"
        stream = next((s for s in streams if s.type == kind), streams[0])
        context = stream.codec_context
        if context is None:
            self._skip(kind, "since there is no decoder for what they hold here")
            return None
        width, height = getattr(context, "width", None) or 0, getattr(context, "height", None) or 0
        if width * height > MAX_DECODED:
            return _too_large(f"{width:,} x {height:,}")
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_DECODED)}
        frame = next(container.decode(stream), None)
        return "cannot be decoded: it holds no frame" if frame is None else None


def _wrong_image(file: BinaryIO) -> str | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                if picture.width * picture.height > MAX_DECODED:
                    return _too_large(f"{picture.width:,} x {picture.height:,}")
                picture.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        pixels = _PIXELS.search(str(error))
        return _too_large(f"{int(pixels[1]):,}" if pixels else "so many")
    except UnidentifiedImageError:
        return "cannot be decoded: its header cannot be read"
    except Exception as error:  # whatever a decoder raises on broken bytes
        return f"cannot be decoded: {error}"
    return None


def _too_large(size: str) -> str:
    return f"its header promises {size} pixels, and more than {MAX_DECODED:,} are not decoded"


def _wrong_text(pieces: Iterator[bytes]) -> str | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    try:
        for piece in pieces:
            waiting = len(decoder.getstate()[0])
            decoder.decode(piece)
            done += len(piece)
        waiting, piece = len(decoder.getstate()[0]), b""
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return f"is no UTF-8 text from byte {done - waiting + error.start:,} on"
    return None
