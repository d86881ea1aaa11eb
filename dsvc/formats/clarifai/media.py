"""An input's media as the field of `Data` that says its kind: a URL, the bytes themselves, or only its facts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dsvc.formats.clarifai.form import Form
from dsvc.formats.clarifai.schema import MEDIA_FIELDS
from dsvc.model.records import Input, Media
from dsvc.model.walk import Walk

MAX_INLINE = 128 << 20
TOO_LARGE = "media files over 128 MiB, left out"
NOT_HERE = "media files that dsvc does not hold, left out"
NOT_TEXT = "text files that are not UTF-8, left out"
NO_KIND = "media files that are no image, video, audio or text, left out"
NO_MEDIA = Media()
_SIGNED = 1 << 31
_MANY = 4096


class MediaWriter:
    """Writes media fields; with a walk, the bytes of what the repository holds."""

    def __init__(self, form: Form, walk: Walk | None, counts: Counter[str]) -> None:
        self.form = form
        self.walk = walk
        self.counts = counts
        self._sizes: dict[tuple[float | None, float | None], dict[str, bytes]] = {}

    def fields(self, record: Input) -> dict[str, bytes]:
        """The media field of an input by its name, or nothing where its kind is not known."""
        media = record.media or NO_MEDIA
        kind = _kind(record)
        if self.walk is not None and record.media is None:
            self.counts[NOT_HERE] += 1
        if kind is None:
            self.counts[NO_KIND] += self.walk is not None and record.media is not None
            return {}
        if record.media is None:  # so it has a size, and nothing else
            size = record.declared_width, record.declared_height
            if size not in self._sizes:
                if len(self._sizes) == _MANY:
                    self._sizes.clear()
                self._sizes[size] = {kind: self.form.message(MEDIA_FIELDS[kind], self._facts(kind, record, media))}
            return self._sizes[size]
        values: dict[str, Any] = {}
        place = media.reference.place if media.reference is not None else None
        url = place if place is not None and "://" in place else None
        content = self._content(self.walk, record, media, url) if self.walk is not None else None
        if url is not None:
            values["url"] = url
        if kind == "text":
            values = self._text(content) | values
        elif content is not None:
            values["base64"] = content
        if kind != "text":
            values |= self._facts(kind, record, media)
        return {kind: self.form.message(MEDIA_FIELDS[kind], values)}

    def _text(self, content: bytes | None) -> dict[str, Any]:
        try:
            return {"raw": content.decode()} if content is not None else {}
        except UnicodeDecodeError:
            self.counts[NOT_TEXT] += 1
            return {}

    def _content(self, walk: Walk, record: Input, media: Media, url: str | None) -> bytes | None:
        """The bytes of what is held here, or lies in a file of this machine; a URL stands for its bytes itself."""
        if media.blob is None and (media.reference is None or url is not None):
            self.counts[NOT_HERE] += 1
            return None
        pieces, size = [], media.size or 0
        if size <= MAX_INLINE:
            size = 0
            for piece in walk.read_media(record):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_INLINE:
                    break
        if size > MAX_INLINE:
            self.counts[TOO_LARGE] += 1
            return None
        return b"".join(pieces)

    def _facts(self, kind: str, record: Input, media: Media) -> dict[str, bytes]:
        facts: dict[str, Any] = {}
        if kind != "audio":
            facts["width"] = _pixels(media.width) or _pixels(record.declared_width)
            facts["height"] = _pixels(media.height) or _pixels(record.declared_height)
        if kind == "video":
            facts["fps"] = _seconds(media.fps)
        if kind != "image":
            facts["durationSeconds"] = _seconds(media.duration)
        if all(value is None for value in facts.values()):
            return {}
        return {f"{kind}Info": self.form.message(f"{MEDIA_FIELDS[kind]}Info", facts)}


def _kind(record: Input) -> str | None:
    """image, video, text or audio; what has a size and no type counts as an image."""
    type_ = record.media.type if record.media is not None else None
    if type_ is not None:
        kind = type_.partition("/")[0]
        return kind if kind in MEDIA_FIELDS else None
    media = record.media or NO_MEDIA
    return "image" if record.declared_width is not None or media.width is not None else None


def _pixels(value: float | None) -> int | None:
    return int(value) if value is not None and 0 < value < _SIGNED else None


def _seconds(value: float | None) -> float | None:
    return value if value is not None and 0 <= value < 1e30 else None


def frame_time(record: Input, frame: int) -> int:
    """A frame's time in milliseconds, 0 where the frames a second are not known."""
    fps = (record.media or NO_MEDIA).fps
    return min(round(frame * 1000 / fps), (1 << 63) - 1) if fps is not None and fps > 0 else 0
