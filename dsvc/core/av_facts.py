"""What the header of a video or a sound says of size, length and frame rate, read by PyAV where that is installed.

No frame is decoded but where a container leaves the size to the stream (MPEG-4, Sorenson). The demuxer is the one
that the file's type asks for, so that no file is taken for a playlist that opens others, and what it reads is bounded.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, BinaryIO

from msgspec.structs import replace

from dsvc.core.media import MAX_PIXELS, MediaFacts, media_kind
from dsvc.model.records import Media

DEMUXERS = {
    "video/3gpp": "mov",
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/x-m4v": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/mp2t": "mpegts",
    "video/mpeg": "mpeg",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "asf",
    "video/x-msvideo": "avi",
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/mp4": "mov",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/x-aiff": "aiff",
    "audio/x-flac": "flac",
}
_READS = 100_000  # how many reads, and
_READ_BYTES = 64 << 20  # how many bytes of them, one header may cost: the index of a long film takes a few millions
# Fixed, so that every FFmpeg looks equally far. Only these two decoders are let near the bytes: their containers
# don't tell the size, and they refuse one that would take much memory.
_OPTIONS = {"probesize": "5000000", "analyzeduration": "5000000", "codec_whitelist": "mpeg4,flv"}
_LONGEST = 1e9  # seconds
_FASTEST = 1_000_000  # frames a second
_ATTACHED_PICTURE = 0x400  # of FFmpeg's dispositions


def pyav() -> Any:
    """PyAV, or None where it is not installed or doesn't load."""
    try:
        import av
    except ImportError:
        return None
    return av


def read_facts(source: BinaryIO, type: str) -> MediaFacts:
    """The facts of a seekable binary file of a MIME type of video or sound: seconds to the millisecond, frames a second
    to the millionth, stored pixels (a rotation that a player would apply is not applied).

    Of a broken file, and without PyAV, the type alone. Raises OSError only when reading the file does.
    """
    demuxer, av = DEMUXERS.get(type), pyav()
    if av is None or demuxer is None:
        return MediaFacts(type)
    source.seek(0)
    bounded = Bounded(source)
    try:
        with open_container(av, bounded, demuxer) as container:
            facts = _facts(container, type)
    except Exception:  # whatever a demuxer says of bytes that it does not understand
        facts = MediaFacts(type)
    if bounded.error is not None:
        raise bounded.error
    return facts if not bounded.is_spent else MediaFacts(type)


def open_container(av: Any, source: Bounded, demuxer: str) -> Any:
    """The container that a file is, for a `with` block; raises whatever FFmpeg makes of its bytes."""
    return av.open(source, format=demuxer, options=_OPTIONS, metadata_errors="ignore")


class Bounded:
    """A file as FFmpeg is given it: it ends where it was read for too long, and keeps the error of the file below."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._reads = _READS
        self._bytes = _READ_BYTES
        self.error: OSError | None = None
        self.is_spent = False

    def read(self, size: int) -> bytes:
        """At most so many bytes; none after an error, or too much reading."""
        self._reads -= 1
        self._bytes -= size
        if self._reads < 0 or self._bytes < 0:
            self.is_spent = True
        if self.is_spent or self.error is not None:
            return b""
        try:
            return self._source.read(size)
        except OSError as error:
            self.error = error
            return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and say where to."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """Where it is read next."""
        return self._source.tell()


def _facts(container: Any, type: str) -> MediaFacts:
    streams = [s for s in container.streams if s.type in ("video", "audio") and not _is_cover(s)]
    duration = _duration(container, streams)
    pictures = [s for s in streams if s.type == "video" and s.codec_context is not None]
    if media_kind(type) != "video" or not pictures:
        return MediaFacts(type, duration=duration)
    width, height = pictures[0].codec_context.width, pictures[0].codec_context.height
    if not (0 < width <= MAX_PIXELS and 0 < height <= MAX_PIXELS):
        width = height = None
    return MediaFacts(type, width, height, duration, _fps(pictures[0].average_rate))


def _is_cover(stream: Any) -> bool:
    """Whether a stream is one picture: the cover of an album."""
    disposition = getattr(stream, "disposition", 0)
    return bool(getattr(disposition, "value", disposition) & _ATTACHED_PICTURE)


def _duration(container: Any, streams: list[Any]) -> float | None:
    """Seconds: those of the container, else of its longest stream; None where there is none to be long."""
    if not streams:
        return None
    lengths = [Fraction(container.duration, 1_000_000)] if container.duration else []
    if not lengths:
        lengths = [s.duration * s.time_base for s in streams if s.duration and s.time_base]
    seconds = float(round(max(lengths), 3)) if lengths else 0.0
    return seconds if 0 < seconds < _LONGEST else None


def _fps(rate: Fraction | None) -> float | None:
    return float(round(rate, 6)) if rate is not None and 0 < rate <= _FASTEST else None


# ---- what was added without PyAV


def lacks_facts(media: Media) -> bool:
    """Whether media is a video or a sound that PyAV reads, and type and size are all that is known of it."""
    return media.width is None and media.duration is None and media.type in DEMUXERS


def missing_facts(media: Iterable[Media]) -> str | None:
    """What to tell of videos and sounds without facts where PyAV is not here; None of none."""
    kinds = [media_kind(one.type) for one in media if lacks_facts(one)]
    if not kinds or pyav() is not None:
        return None
    videos, sounds = kinds.count("video"), kinds.count("audio")
    words = [f"{videos:,} video{'s' * (videos != 1)}"] if videos else []
    words += [f"{sounds:,} audio file{'s' * (sounds != 1)}"] if sounds else []
    verb = "has" if len(kinds) == 1 else "have"
    wanted = "width, length and frame rate" if videos else "the length"
    them = "it" if len(kinds) == 1 else "them"
    return (
        f"{' and '.join(words)} {verb} type and size only; for {wanted}: "
        f"pip install 'dsvc[video]', and add {them} again"
    )


def with_known(old: Media | None, found: Media) -> Media:
    """`found`, with the facts that only `old` has where both are of the same bytes: facts are gained, never lost.

    So is where they came from: a reference that has the hash of the bytes stays beside them.
    """
    if old is not None and old.reference is not None and found.reference is None and old.reference.hash == found.blob:
        found = replace(found, reference=old.reference)
    if old is None or old.blob is None or old.blob != found.blob:
        return found
    if old.chunks is None or found.chunks is None:  # says nothing new of the same bytes
        found = replace(found, chunks=old.chunks)
    facts = {name: getattr(old, name) for name in MediaFacts._fields if getattr(found, name) is None}
    return replace(found, **{name: value for name, value in facts.items() if value is not None})
