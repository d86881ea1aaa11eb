"""The way back from the reserved metadata: what was kept of inputs, annotations and concepts, checked."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from dsvc.errors import DamagedError
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.clarifai.residue import FALLBACK, RESERVED, VERSION
from dsvc.model.records import Concept, Media, Reference, decode_media
from dsvc.store import codec

T = TypeVar("T")
Number = int | str
Real = float | int


class Kept(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What was kept of an annotation; see docs/reference/clarifai.md for the names."""

    a: Real | None = None
    at: dict[str, Any] | None = None
    au: str | None = None
    b: list[Real] | None = None
    c: str | None = None
    cr: int | None = None
    db: int | None = None
    dk: int | None = None
    dp: int | None = None
    dpt: int | None = None
    f: int | None = None
    id: str | None = None
    k: list[Real] | None = None
    m: int | tuple[int, int, str | list[int]] | None = None
    n: Number | None = None
    p: list[list[Real]] | None = None
    place: str = msgspec.field(default="region", name="in")
    pt: list[Real] | None = None
    r: int = 1
    sp: tuple[int, int] | None = None
    st: str | None = None
    t: str | None = None
    ti: tuple[Real, Real] | None = None
    tr: Number | None = None
    u: int | None = None
    v: Real | None = None
    x: dict[str, Any] | None = None


class KeptInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What was kept of an input."""

    key: str | None = None
    media: dict[str, Any] | None = None
    declared_width: Real | None = None
    declared_height: Real | None = None
    split: str | None = None
    license: str | None = None
    geo: tuple[Real, Real] | None = None
    embeddings: dict[str, list[Real] | None] | None = None
    number: Number | None = None
    metadata: dict[str, Any] | None = None
    extras: dict[str, Any] = {}


class KeptConcept(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A concept with all its fields, and its id in the archive."""

    clarifai: str
    id: str
    name: str
    supercategory: str | None = None
    keypoints: tuple[str, ...] | None = None
    skeleton: tuple[tuple[int, int], ...] | None = None
    number: Number | None = None
    extras: dict[str, Any] = {}

    def concept(self) -> Concept:
        """The record."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "clarifai"}
        return Concept(**fields)


class Reserved(msgspec.Struct, gc=False):
    """The texts under the reserved key; empty where there are none."""

    input: str
    annotations: str = ""
    concepts: str = ""
    meta: str = ""


_decode_rows = msgspec.json.Decoder(list[Kept]).decode
_decode_input = msgspec.json.Decoder(KeptInput).decode


def reserved_of(metadata: dict[str, Any]) -> Reserved | None:
    """Take the texts of the reserved key out of an input's metadata; None where dsvc did not write them.

    Raises BadMessage for those of another version, or of wrong types.
    """
    found = metadata.get(RESERVED)
    if not isinstance(found, dict) or "version" not in found or "input" not in found:
        return None
    version = found["version"]
    if version != VERSION:
        raise BadMessage(f"has {RESERVED} metadata of version {version!r}, and this dsvc knows {VERSION}")
    texts = {name: value for name, value in found.items() if name != "version"}
    try:
        made = msgspec.convert(texts, Reserved)
    except msgspec.ValidationError as error:
        raise BadMessage(f"has wrong {RESERVED} metadata: {error}") from None
    del metadata[RESERVED]
    return made


def kept_rows(text: str) -> list[Kept]:
    """What was kept of an input's annotations. Raises BadMessage."""
    return _typed(text, list[Kept], _decode_rows) if text else []


def kept_input(text: str) -> KeptInput:
    """What was kept of an input. Raises BadMessage."""
    return _typed(text, KeptInput, _decode_input)


def kept_concepts(text: str) -> list[KeptConcept]:
    """All concepts. Raises BadMessage."""
    return _typed(text, list[KeptConcept], msgspec.json.Decoder(list[KeptConcept]).decode)


def kept_meta(text: str) -> Mapping[str, Any]:
    """The dataset's own metadata. Raises BadMessage."""
    return _typed(text, dict[str, dict[str, Any]], msgspec.json.Decoder(dict[str, dict[str, Any]]).decode)


def _typed(text: str, type_: type[T], decode: Any) -> T:
    try:
        made: T = decode(text)
    except (msgspec.MsgspecError, RecursionError):  # numbers of hundreds of digits, bytes, or an error to tell
        made = _convert(_slow(text), type_)
    return made


def _convert(value: Any, type_: type[T]) -> T:
    try:
        return msgspec.convert(value, type_)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadMessage(f"has wrong {RESERVED} metadata: {error}") from None


def _slow(text: str) -> Any:
    try:
        if text.startswith(FALLBACK):
            return codec.decode(base64.b64decode(text[len(FALLBACK) :], validate=True), "metadata")
        return json.loads(text, parse_constant=_refuse, parse_float=_float)
    except RecursionError:
        raise BadMessage(f"has {RESERVED} metadata that are nested too deeply") from None
    except (ValueError, binascii.Error, DamagedError) as error:
        raise BadMessage(f"has wrong {RESERVED} metadata: {error}") from None


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


class _KeptReference(msgspec.Struct, forbid_unknown_fields=True):
    place: str
    size: int | None = None
    etag: str | None = None
    mtime: int | None = None
    hash: str | None = None


class _KeptMedia(msgspec.Struct, forbid_unknown_fields=True):
    blob: str | None = None
    reference: _KeptReference | None = None
    type: str | None = None
    size: int | None = None
    width: int | None = None
    height: int | None = None
    duration: Real | None = None
    fps: Real | None = None


def kept_media(fields: dict[str, Any]) -> Media:
    """The media of what was kept of them. Raises BadMessage."""
    made = _convert(fields, _KeptMedia)
    plain = {name: getattr(made, name) for name in ("type", "size", "width", "height", "duration", "fps")}
    try:
        if made.blob is not None:
            plain["blob"] = bytes.fromhex(made.blob)
        if made.reference is not None:
            reference = msgspec.to_builtins(made.reference)
            if reference["hash"] is not None:
                reference["hash"] = bytes.fromhex(reference["hash"])
            plain["reference"] = {name: value for name, value in reference.items() if value is not None}
            Reference(**plain["reference"])
        return decode_media({name: value for name, value in plain.items() if value is not None})
    except (TypeError, ValueError) as error:
        raise BadMessage(f"has wrong {RESERVED} metadata: {error}") from None


def as_metadata(value: Any) -> Any:
    """A Struct's value as metadata: a whole number below 2**53 is an integer."""
    if isinstance(value, dict):
        return {key: as_metadata(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_metadata(item) for item in value]
    if type(value) is float and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value


def joined_metadata(shown: dict[str, Any], kept: Mapping[str, Any], shows: Any) -> dict[str, Any]:
    """The metadata that were kept exactly, where they are still what the Struct shows.

    `shows` gives what a Struct would show of metadata. What has been changed in the Struct since goes as it is there.
    """
    before, _ = shows(kept)
    found = {key: value for key, value in kept.items() if key not in before or key in shown}
    for key, value in shown.items():
        if key not in before or as_metadata(_as_floats(before[key])) != value:
            found[key] = value
    return found


def _as_floats(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_floats(item) for item in value]
    return float(value) if type(value) is int else value
