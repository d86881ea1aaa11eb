"""The reserved part of an input's metadata, `_dsvc`: what Clarifai's fields cannot say, kept exactly.

It is a Struct of a version number and of JSON texts, because a Struct has no integers and no order.
"""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dsvc.model.records import Annotation, Concept, Input, Mask, annotation_fields, encode_media
from dsvc.store import codec

RESERVED = "_dsvc"
VERSION = 1
MAX_DEPTH = 20  # a Struct takes three messages a level, and Protobuf readers stop at a hundred
_EXACT = 1 << 53
FALLBACK = "msgpack:"


def exact_text(value: Any) -> str:
    """`value` as JSON; one that holds bytes, as base64 of its canonical msgpack behind `msgpack:`."""
    try:
        return _ENCODER.encode(value)
    except TypeError:
        return FALLBACK + base64.b64encode(codec.encode(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=_plain)


def read_exact(text: str) -> Any:
    """The value of `exact_text`."""
    if text.startswith(FALLBACK):
        return codec.decode(base64.b64decode(text[len(FALLBACK) :]), "metadata")
    return json.loads(text)


# ---- metadata that people see


def struct_values(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """What of `metadata` a Struct can show, and whether that gives back the metadata exactly.

    The way back reads a whole number below 2**53 as an integer.
    """
    shown = {key: _shown(value, 0) for key, value in metadata.items() if key != RESERVED and _shows(value, 0)}
    exact = len(shown) == len(metadata) and all(_is_exact(value) for value in metadata.values())
    return shown, exact


def _shows(value: Any, depth: int) -> bool:
    if isinstance(value, Mapping):
        return depth < MAX_DEPTH and all(_shows(item, depth + 1) for item in value.values())
    if isinstance(value, list | tuple):
        return depth < MAX_DEPTH and all(_shows(item, depth + 1) for item in value)
    if isinstance(value, int):
        return abs(value) < 1 << 1000  # a float64 takes it
    return value is None or isinstance(value, str | float)


def _shown(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _shown(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item, depth + 1) for item in value]
    return value


def _is_exact(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_exact(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_exact(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value) and not value.is_integer()
    return not isinstance(value, int) or isinstance(value, bool) or abs(value) < _EXACT


# ---- records


def input_residue(record: Input, id_: str, metadata_exact: bool) -> dict[str, Any]:
    """The fields of an input, but for those that are whole elsewhere."""
    fields: dict[str, Any] = {}
    if record.key != id_:
        fields["key"] = record.key
    if record.media is not None:
        media = _hex(encode_media(record.media), "blob")
        media.pop("chunks", None)  # how a repository stores the bytes
        if "reference" in media:
            media["reference"] = _hex(media["reference"], "hash")
        fields["media"] = media
    for name in ("declared_width", "declared_height", "split", "license", "number"):
        if (value := getattr(record, name)) is not None:
            fields[name] = value
    if record.geo is not None and not is_float32(record.geo):
        fields["geo"] = record.geo
    if record.embeddings:
        fields["embeddings"] = {k: None if is_float32(v) else list(v) for k, v in record.embeddings.items()}
    if not metadata_exact:
        fields["metadata"] = record.metadata
    if record.extras:
        fields["extras"] = record.extras
    return fields


def is_float32(values: Sequence[float]) -> bool:
    """True where float32 holds every number exactly."""
    try:
        return array("f", values).tolist() == list(values)
    except OverflowError:
        return False


def _hex(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**fields, name: fields[name].hex()} if name in fields else dict(fields)


def concept_residue(concepts: Iterable[tuple[str, Concept]]) -> list[dict[str, Any]]:
    """All fields of all concepts, each with the id it has in the archive as `clarifai`."""
    table = []
    for id_, concept in concepts:
        # No export is made where there are conflicts.
        fields = {name: getattr(concept, name) for name in concept.__struct_fields__ if name != "conflicts"}
        fields["extras"] = concept.extras or None
        table.append({"clarifai": id_} | {name: value for name, value in fields.items() if value is not None})
    return table


_REST = (("st", "status"), ("au", "author"), ("at", "attributes"), ("f", "frame"), ("ti", "time"))


def annotation_residue(annotation: Annotation) -> dict[str, Any]:
    """The fields of an annotation that have no place at Clarifai, under the short names of the encoding.

    The mapping adds those whose place does not hold them exactly.
    """
    kept: dict[str, Any] = {}
    shape = annotation.shape
    if shape is not None:
        if shape.area is not None:
            kept["a"] = shape.area
        if shape.unit == "relative":
            kept["u"] = 1
    if annotation.number is not None:
        kept["n"] = annotation.number
    if annotation.crowd is not None:
        kept["cr"] = annotation.crowd
    for short, name in _REST:
        if (value := getattr(annotation, name)) is not None:
            kept[short] = value
    if annotation.extras:
        kept["x"] = annotation.extras
    return kept


def whole_annotation(annotation: Annotation) -> dict[str, Any]:
    """All fields of an annotation that has no place at Clarifai."""
    shape = annotation.shape
    fields = annotation_fields(annotation) | {
        "b": shape.box if shape else None,
        "p": shape.polygons if shape else None,
        "m": mask_residue(shape.mask) if shape and shape.mask else None,
        "k": annotation.keypoints,
        "pt": annotation.point,
        "ti": annotation.time,
    }
    return {name: value for name, value in fields.items() if value is not None}


def mask_residue(mask: Mask) -> list[Any]:
    """Height, width and counts of a mask."""
    return [mask.height, mask.width, mask.counts]
