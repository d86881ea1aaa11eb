"""The media of an input of an archive: bytes that lie in it, a place that it names, or what was said of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from dsvc.core.files.extensions import TYPES, type_of_name
from dsvc.core.references.places import CLOUD, WEB, parse_place
from dsvc.errors import DsvcError
from dsvc.formats.clarifai.leftovers import left_over
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.clarifai.schema import MEDIA_FIELDS
from dsvc.model.records import Media, Reference
from dsvc.store.ids import ObjectId

_MAX_PLACE = 8192
_INFO_KNOWN = ("width", "height", "fps", "durationSeconds")


class MediaStore(Protocol):
    """Where the bytes of media go while an archive is read."""

    def put(self, data: bytes, name: str) -> Media:
        """Store bytes; the media that they are."""

    def has(self, blob: ObjectId) -> bool:
        """Whether bytes are stored already."""

    def list_of(self, blob: ObjectId, size: int) -> ObjectId | None:
        """The id of the list of a stored blob's chunks, of a big one."""


class FoundMedia(NamedTuple):
    """What an archive has of an input's media. `said` is what dsvc had of them when it wrote the archive."""

    media: Media | None = None
    said: Media | None = None
    width: int | None = None
    height: int | None = None
    more: Mapping[str, Any] = {}


def own_media(form: Any, data: dict[str, Any], said: Media | None, store: MediaStore | None, key: str) -> FoundMedia:
    """The media of an input that dsvc wrote, of which it said `said`. Raises BadMessage."""
    _, message = _message(form, data)
    content = _content(message)
    if content is not None and store is not None:
        made = store.put(content, key)
        if said is not None and said.blob == made.blob:
            return FoundMedia(msgspec.structs.replace(said, chunks=made.chunks), said)
        if said is not None and said.reference is not None and said.reference.hash in (None, made.blob):
            return FoundMedia(msgspec.structs.replace(said, blob=made.blob, chunks=made.chunks), said)
        return FoundMedia(made, said)
    if said is None:
        return FoundMedia()
    if said.blob is not None and (store is None or not store.has(said.blob)):
        place = _place(form, message)
        reference = said.reference or (Reference(place=place, hash=said.blob) if place is not None else None)
        return FoundMedia(msgspec.structs.replace(said, blob=None, reference=_trusted(reference)), said)
    chunks = store.list_of(said.blob, said.size or 0) if said.blob is not None and store is not None else None
    return FoundMedia(msgspec.structs.replace(said, chunks=chunks, reference=_trusted(said.reference)), said)


def foreign_media(form: Any, data: dict[str, Any], store: MediaStore | None, key: str) -> FoundMedia:
    """The media of an input of Clarifai's. Raises BadMessage."""
    kind, message = _message(form, data)
    if kind is None:
        return FoundMedia()
    info_name = f"{kind}Info"
    info = form.fields(f"{MEDIA_FIELDS[kind]}Info", message[info_name]) if info_name in message else {}
    width, height = _size(info.get("width")), _size(info.get("height"))
    content, place = _content(message), _place(form, message)
    more = left_over(form, MEDIA_FIELDS[kind], message, ("base64", "raw", "hosted", info_name, "url"))
    if "hosted" in message:
        more["hosted"] = left_over(form, "HostedURL", form.fields("HostedURL", message["hosted"]))
    if place is not None and content is not None:
        more["url"] = place
    if extra := left_over(form, f"{MEDIA_FIELDS[kind]}Info", info, _INFO_KNOWN):
        more[info_name] = extra
    if content is not None and store is not None:
        return FoundMedia(store.put(content, key), None, width, height, {kind: more} if more else {})
    facts = Media(
        reference=Reference(place=place) if place is not None else None,
        type=_type(kind, place, info),
        width=width,
        height=height,
        duration=_seconds(info.get("durationSeconds")),
        fps=_seconds(info.get("fps")),
    )
    said = facts if place is not None or kind != "image" else None
    return FoundMedia(said, None, width, height, {kind: more} if more else {})


def _message(form: Any, data: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    for kind, name in MEDIA_FIELDS.items():
        if kind in data:
            return kind, form.fields(name, data[kind])
    return None, {}


def _content(message: dict[str, Any]) -> bytes | None:
    if "base64" in message:
        return bytes(message["base64"]) or None
    return message["raw"].encode() if message.get("raw") else None


def _place(form: Any, message: dict[str, Any]) -> str | None:
    """The URL of media: their own, or the one at Clarifai's."""
    place: str | None = message.get("url") or None
    if place is None and "hosted" in message:
        hosted = form.fields("HostedURL", message["hosted"])
        prefix, suffix, sizes = hosted.get("prefix"), hosted.get("suffix"), hosted.get("sizes") or ["orig"]
        if prefix and suffix:
            place = f"{prefix}/{'orig' if 'orig' in sizes else sizes[0]}/{suffix}"
    return _checked(place) if place is not None else None


def _checked(place: str) -> str:
    """A URL of a web server or an object store. Raises BadMessage."""
    if place.partition("://")[0].lower() not in (*WEB, *CLOUD) or len(place) > _MAX_PLACE:
        raise BadMessage(f"has media at {place[:60]!r}, which is no URL of the kinds {', '.join((*WEB, *CLOUD))}")
    try:
        return parse_place(place, Path())
    except DsvcError as error:
        raise BadMessage(f"has media at a URL that is refused: {error.message}") from None


def _trusted(reference: Reference | None) -> Reference | None:
    """A reference that may be kept: to a URL; or to a file of a machine, whose bytes its hash tells."""
    if reference is None:
        return None
    if "://" in reference.place:
        _checked(reference.place)
        return reference
    return reference if reference.hash is not None else None


def _size(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None


def _seconds(value: float | None) -> float | None:
    return value if value is not None and 0 < value < 1e30 else None


def _type(kind: str, place: str | None, info: dict[str, Any]) -> str:
    found = type_of_name(place.partition("?")[0]) if place is not None else None
    said = info.get("format") or info.get("videoFormat") or info.get("audioFormat") or ""
    found = found or TYPES.get(said.lower())
    if found is not None and found.partition("/")[0] == kind:
        return found
    return "text/plain" if kind == "text" else f"{kind}/*"
