"""The three records of a dataset: concepts, inputs and annotations, and their bytes.

A record is immutable. Its place in a tree (concept id, input key, annotation id) is not part of its encoded
value. Absent fields are left out of the encoding; the empty list, zero and False are values like any other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from blake3 import blake3

from dsvc.errors import DamagedError
from dsvc.model.numbers import pack_numbers, unpack_numbers
from dsvc.model.stored import require_makeable, stored_fields
from dsvc.store import codec
from dsvc.store.ids import ANNOTATION_CONTEXT, NUMBER_CONTEXT, ObjectId, derived_id

Numbers = tuple[float, ...]
Number = int | str
Unit = Literal["pixel", "relative"]
NO_EXTRAS: Mapping[str, Any] = {}
# A record whose map begins with this key holds conflicts: field -> the values that clash. It sorts before all
# field names, so that a tree counts conflicts without decoding.
CONFLICTS = "!"
# Field path -> the values that clash, as they are stored and in the order of their encodings; see `dsvc.model.facts`.
Clashes = Mapping[str, tuple[Any, ...]]
NO_CLASHES: Clashes = {}
# The most bytes that a concept's name may have.
MAX_NAME = 1024


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Where bytes lie that dsvc does not hold. `size` in bytes, `mtime` in nanoseconds, `hash` the blob id."""

    place: str
    size: int | None = None
    etag: str | None = None
    mtime: int | None = None
    hash: ObjectId | None = None


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """An input's bytes and what their header says: MIME type, bytes, pixels, seconds, frames a second.

    `chunks` is the id of the list of the blob's chunks, of a big one.
    """

    blob: ObjectId | None = None
    chunks: ObjectId | None = None
    reference: Reference | None = None
    type: str | None = None
    size: int | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None


class Concept(msgspec.Struct, frozen=True, kw_only=True):
    """What annotations name. `id` is the name in NFC, made unique; `name` is the spelling that came.

    `keypoints` names the points of a skeleton, `skeleton` joins them in pairs (numbered from 1, as COCO does).
    In all three records, a field that is in `conflicts` is absent itself.
    """

    id: str
    name: str
    supercategory: str | None = None
    keypoints: tuple[str, ...] | None = None
    skeleton: tuple[tuple[int, int], ...] | None = None
    number: Number | None = None
    extras: Mapping[str, Any] = NO_EXTRAS
    conflicts: Clashes = NO_CLASHES


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One sample. `declared_width` and `declared_height` are what a source said, in pixels; media has the facts.

    `geo` is (longitude, latitude) in degrees; `embeddings` maps a name to its vector.
    """

    key: str
    media: Media | None = None
    declared_width: float | None = None
    declared_height: float | None = None
    split: str | None = None
    license: str | None = None
    geo: tuple[float, float] | None = None
    embeddings: Mapping[str, Numbers] | None = None
    number: Number | None = None
    metadata: Mapping[str, Any] = NO_EXTRAS
    extras: Mapping[str, Any] = NO_EXTRAS
    conflicts: Clashes = NO_CLASHES


class Mask(msgspec.Struct, frozen=True, kw_only=True):
    """A COCO run-length mask: `counts` is COCO's compressed text, or the runs themselves, column by column."""

    height: int
    width: int
    counts: str | tuple[int, ...]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Where an annotation lies. `box` is x, y, width, height; each polygon is x, y, x, y, ...; `area` in unit²."""

    box: Numbers | None = None
    polygons: tuple[Numbers, ...] | None = None
    mask: Mask | None = None
    area: float | None = None
    unit: Unit = "pixel"


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """One statement about the input `key`: concept and/or shape, keypoints, text, time, attributes.

    `keypoints` is x, y, visibility for each point; `point` x, y; `span` the first character and the one after the
    last; `time` begin and end in seconds; `frame` the frame's index; `value` 1 positive, 0 negative.
    """

    key: str
    id: str
    concept: str | None = None
    shape: Shape | None = None
    keypoints: Numbers | None = None
    point: Numbers | None = None
    text: str | None = None
    span: tuple[int, int] | None = None
    time: tuple[float, float] | None = None
    frame: int | None = None
    track: Number | None = None
    value: float | None = None
    crowd: int | None = None
    status: str | None = None
    author: str | None = None
    number: Number | None = None
    attributes: Mapping[str, Any] | None = None
    extras: Mapping[str, Any] = NO_EXTRAS
    conflicts: Clashes = NO_CLASHES


def plain_number(value: float | None) -> float | None:
    """One form for equal numbers: whole floats below 2**53 become integers (-0.0 stays)."""
    if type(value) is float and value.is_integer() and abs(value) < 9007199254740992.0:
        return value if value == 0 and str(value)[0] == "-" else int(value)
    return value


def concept_id(name: str) -> str:
    """The id of a concept of this name: the name in NFC."""
    return unicodedata.normalize("NFC", name)


# ---- keys of the trees


def annotation_key(key: str, annotation: str) -> bytes:
    """The tree key of an annotation: its input's key, NUL, its id; so those of one input lie side by side."""
    return f"{key}\0{annotation}".encode()


def split_annotation_key(tree_key: bytes) -> tuple[str, str]:
    """The input key and annotation id of a tree key."""
    key, _, annotation = tree_key.decode().partition("\0")
    return key, annotation


# ---- encoding: a record becomes the map of its fields that are present, in key order


def encode_concept(concept: Concept) -> bytes:
    """The value of a concept in its tree. Raises codec.EncodeError."""
    return _encode(
        {
            CONFLICTS: concept.conflicts or None,
            "extras": concept.extras or None,
            "keypoints": concept.keypoints,
            "name": concept.name,
            "number": concept.number,
            "skeleton": concept.skeleton,
            "supercategory": concept.supercategory,
        },
        "concept",
        concept.name,
    )


def encode_input(record: Input) -> bytes:
    """The value of an input in its tree. Raises codec.EncodeError."""
    embeddings = record.embeddings
    return _encode(
        {
            CONFLICTS: record.conflicts or None,
            "embeddings": {k: pack_numbers(v) for k, v in embeddings.items()} if embeddings else None,
            "extras": record.extras or None,
            "geo": pack_numbers(record.geo) if record.geo is not None else None,
            "height": plain_number(record.declared_height),
            "license": record.license,
            "media": encode_media(record.media) if record.media is not None else None,
            "metadata": record.metadata or None,
            "number": record.number,
            "split": record.split,
            "width": plain_number(record.declared_width),
        },
        "input",
        record.key,
    )


def encode_media(media: Media) -> dict[str, Any]:
    """The media group as a map."""
    fields = _present(
        {
            name: getattr(media, name)
            for name in ("blob", "chunks", "fps", "duration", "height", "size", "type", "width")
        }
    )
    if media.reference is not None:
        reference = media.reference
        names = ("etag", "hash", "mtime", "place", "size")
        fields["reference"] = _present({name: getattr(reference, name) for name in names})
    return fields


def annotation_fields(annotation: Annotation) -> dict[str, Any]:
    """The fields of an annotation as they are encoded, numbering included, under their short names."""
    shape = annotation.shape or NO_SHAPE
    mask = shape.mask
    return _present(
        {
            CONFLICTS: annotation.conflicts or None,
            "a": plain_number(shape.area),
            "at": annotation.attributes,
            "au": annotation.author,
            "b": _packed(shape.box),
            "c": annotation.concept,
            "cr": annotation.crowd,
            "f": annotation.frame,
            "k": _packed(annotation.keypoints),
            "m": encode_mask(mask) if mask is not None else None,
            "n": annotation.number,
            "p": [pack_numbers(ring) for ring in shape.polygons] if shape.polygons is not None else None,
            "pt": _packed(annotation.point),
            "sp": annotation.span,
            "st": annotation.status,
            "t": annotation.text,
            "ti": _packed(annotation.time),
            "tr": annotation.track,
            "u": 1 if shape.unit == "relative" else None,
            "v": plain_number(annotation.value),
            "x": annotation.extras or None,
        }
    )


NO_SHAPE = Shape()


def _packed(values: Numbers | tuple[float, float] | None) -> bytes | None:
    return pack_numbers(values) if values is not None else None


def encode_mask(mask: Mask) -> list[Any]:
    """Height, width, counts; the runs of an uncompressed mask are packed numbers."""
    counts = mask.counts if isinstance(mask.counts, str) else pack_numbers(mask.counts)
    return [mask.height, mask.width, counts]


def encode_annotation(annotation: Annotation) -> bytes:
    """The value of an annotation in its tree. Raises codec.EncodeError."""
    return _encode(annotation_fields(annotation), "annotation", f"{annotation.key}#{annotation.id}")


def content_id(key: str, fields: Mapping[str, Any]) -> str:
    """The id of an annotation that came with none: 12 hex digits of its input's key and its content.

    `fields` are its encoded fields; the numbering has no part in it.
    """
    content = {name: value for name, value in fields.items() if name != "n"}
    hasher = annotation_hasher().update(f"{key}\0".encode() + codec.encode(content))
    return hasher.digest(length=6).hex()


def annotation_hasher() -> blake3:
    """A hasher whose digest of an input's key, NUL and the encoded content begins with the annotation's id."""
    return blake3(derive_key_context=ANNOTATION_CONTEXT)


def stable_number(text: str) -> int:
    """The 48-bit number of a record that never had one: a hash of its key, so it is the same in all versions."""
    return int.from_bytes(derived_id(NUMBER_CONTEXT, text.encode())[:6], "big") or 1


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _encode(fields: dict[str, Any], noun: str, name: str) -> bytes:
    value = codec.encode(_present(fields))
    require_makeable(value, noun, name)
    return value


# ---- decoding


def decode_clashes(fields: Mapping[str, Any]) -> Clashes:
    """What clashes in a stored record: field path -> values. Raises TypeError, ValueError on a damaged one."""
    found = fields.get(CONFLICTS)
    if found is None:
        return NO_CLASHES
    clashes = {path: tuple(values) for path, values in found.items()}
    if any(len(values) < 2 for values in clashes.values()):
        raise ValueError("a conflict of fewer than two values")
    return clashes


def decode_concept(tree_key: bytes, value: bytes) -> Concept:
    """The concept of a tree entry. Raises DamagedError."""
    fields = stored_fields(value, "concept", tree_key)
    try:
        skeleton = fields.get("skeleton")
        return Concept(
            id=tree_key.decode(),
            name=fields["name"],
            supercategory=fields.get("supercategory"),
            keypoints=_tuple(fields.get("keypoints")),
            skeleton=tuple((a, b) for a, b in skeleton) if skeleton is not None else None,
            number=fields.get("number"),
            extras=fields.get("extras", NO_EXTRAS),
            conflicts=decode_clashes(fields),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged("concept", tree_key) from error


def decode_input(tree_key: bytes, value: bytes) -> Input:
    """The input of a tree entry. Raises DamagedError."""
    fields = stored_fields(value, "input", tree_key)
    try:
        media, geo, embeddings = fields.get("media"), fields.get("geo"), fields.get("embeddings")
        return Input(
            key=tree_key.decode(),
            media=decode_media(media) if media is not None else None,
            declared_width=fields.get("width"),
            declared_height=fields.get("height"),
            split=fields.get("split"),
            license=fields.get("license"),
            geo=_pair(geo),
            embeddings={k: tuple(unpack_numbers(v)) for k, v in embeddings.items()} if embeddings else None,
            number=fields.get("number"),
            metadata=fields.get("metadata", NO_EXTRAS),
            extras=fields.get("extras", NO_EXTRAS),
            conflicts=decode_clashes(fields),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged("input", tree_key) from error


def decode_media(fields: dict[str, Any]) -> Media:
    """The media group of its map. Raises TypeError or ValueError on a damaged one."""
    fields = dict(fields)
    for name in ("blob", "chunks"):
        if name in fields:
            fields[name] = ObjectId(fields[name])
    reference = fields.pop("reference", None)
    if reference is not None:
        if "hash" in reference:
            reference = reference | {"hash": ObjectId(reference["hash"])}
        fields["reference"] = Reference(**reference)
    return Media(**fields)


def decode_annotation(tree_key: bytes, value: bytes) -> Annotation:
    """The annotation of a tree entry. Raises DamagedError."""
    fields = stored_fields(value, "annotation", tree_key)
    try:
        key, annotation = split_annotation_key(tree_key)
        get = fields.get
        return Annotation(
            key=key,
            id=annotation,
            concept=get("c"),
            shape=decode_shape(fields),
            keypoints=_unpack(get("k")),
            point=_unpack(get("pt")),
            text=get("t"),
            span=_tuple(get("sp")),
            time=_pair(get("ti")),
            frame=get("f"),
            track=get("tr"),
            value=get("v"),
            crowd=get("cr"),
            status=get("st"),
            author=get("au"),
            number=get("n"),
            attributes=get("at"),
            extras=get("x", NO_EXTRAS),
            conflicts=decode_clashes(fields),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged("annotation", tree_key) from error


def decode_shape(fields: Mapping[str, Any]) -> Shape | None:
    """The shape group of an annotation's fields, or None where it has none of its parts."""
    get = fields.get
    box, rings, mask, area = get("b"), get("p"), get("m"), get("a")
    if box is None and rings is None and mask is None and area is None:
        return None
    return Shape(
        box=_unpack(box),
        polygons=tuple([tuple(unpack_numbers(ring)) for ring in rings]) if rings is not None else None,
        mask=decode_mask(mask) if mask is not None else None,
        area=area,
        unit="relative" if get("u") else "pixel",
    )


def decode_mask(fields: list[Any]) -> Mask:
    """The mask of height, width, counts. Raises ValueError on a damaged one."""
    height, width, counts = fields
    if isinstance(counts, bytes):
        counts = tuple(int(run) for run in unpack_numbers(counts))
    return Mask(height=height, width=width, counts=counts)


def _unpack(data: bytes | None) -> Numbers | None:
    return tuple(unpack_numbers(data)) if data is not None else None


def _pair(data: bytes | None) -> tuple[float, float] | None:
    if data is None:
        return None
    first, second = unpack_numbers(data)
    return first, second


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return tuple(values) if values is not None else None


def _damaged(what: str, tree_key: bytes) -> DamagedError:
    return DamagedError(f"{what} {tree_key.decode(errors='replace')!r} cannot be read")
