"""COCO annotations: parsed, checked and encoded in batches.

Most batches are plain: known fields of the usual types; `coco_plain` encodes them fast. A batch with anything else
is read here, record by record, so that every error is named and every unknown field kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from dsvc.formats.coco_file import join_batch, value_of
from dsvc.formats.coco_plain import read_plain
from dsvc.formats.coco_tables import is_id, is_number, what_is_wrong
from dsvc.model.incoming import Entry
from dsvc.model.numbers import pack_numbers
from dsvc.model.records import Number, content_id, plain_number
from dsvc.store import codec

if TYPE_CHECKING:
    from dsvc.formats.coco_read import CocoIncoming

Refuse = Callable[[Any, str], None]


class Runs(msgspec.Struct, forbid_unknown_fields=True):
    """A run-length mask."""

    size: tuple[int, int]
    counts: str | list[int]


class Plain(msgspec.Struct):
    """The known fields of an annotation that was read field by field; UNSET where it has one not."""

    id: Number
    image_id: Number
    category_id: Number | UnsetType = UNSET
    area: float | UnsetType = UNSET
    bbox: list[float] | UnsetType = UNSET
    segmentation: list[list[float]] | Runs | UnsetType = UNSET
    iscrowd: int | UnsetType = UNSET
    keypoints: list[float] | UnsetType = UNSET
    caption: str | UnsetType = UNSET


class Checked(msgspec.Struct):
    """An annotation that was read field by field: what no field of `Plain` holds is in `extras`."""

    plain: Plain
    attributes: dict[str, Any] | None
    extras: dict[str, Any]


LIMIT = 2**53


def read_batch(batch: list[Any], file: CocoIncoming) -> list[Entry]:
    """The entries of a batch of records, Raw or parsed; errors are noted at the file."""
    plain = read_plain(join_batch(batch), file.tables) if isinstance(batch[0], Raw) else None
    if plain is not None:
        file.count_parts(len(plain.entries), plain.keypoints, plain.captions)
        return plain.entries
    return read_carefully(batch, file)


def read_carefully(batch: list[Any], file: CocoIncoming) -> list[Entry]:
    """The entries of a batch, record by record; errors are noted at the file."""
    found = [made for record in batch if (made := _read_checked(value_of(record), file)) is not None]
    return [_entry(made, file) for made in found]


def _read_checked(record: Any, file: CocoIncoming) -> Checked | None:
    """One record read field by field; None, and a note of the error, where it must be refused."""
    wrong = _record_error(record, file)
    if wrong is None:
        made = Checked(Plain(id=record["id"], image_id=record["image_id"]), None, {})
        for name, value in record.items():
            reader = _READERS.get(name)
            if reader is None:
                made.extras[name] = value
            elif (wrong := reader(made, name, value)) is not None:
                break
        else:
            return made
    file.refuse_annotation(record, wrong)
    return None


def _record_error(record: Any, file: CocoIncoming) -> str | None:
    if not isinstance(record, dict):
        return "is not an object"
    if wrong := what_is_wrong(record):
        return wrong
    if "id" not in record and ("segments_info" in record):
        return "is panoptic: not yet"
    for name in ("id", "image_id"):
        if name not in record:
            return f"has no {name}"
        if not is_id(record[name]):
            return f"{name} is {record[name]!r}, which is neither a whole number nor text"
    if record["image_id"] not in file.images.keys:
        return f"its image {record['image_id']!r} is not in the file"
    if file.images.keys[record["image_id"]] is None:
        return f"its image {record['image_id']!r} was refused"
    category = record.get("category_id")
    if category is None:
        return None
    if not is_id(category):
        return f"category_id is {category!r}, which is neither a whole number nor text"
    if category not in file.categories.ids:
        return f"its category {category!r} is not declared in the file"
    return None


def _keep(made: Checked, name: str, value: Any) -> str | None:
    made.extras[name] = value
    return None


def _read_numbers(made: Checked, name: str, value: Any) -> str | None:
    if value is None:
        return _keep(made, name, value)
    if not isinstance(value, list):
        return f"{name} is not a list of numbers"
    for place, number in enumerate(value):
        if not is_number(number):
            return f"{name}[{place}] is {number!r}, which is no number"
    if name == "bbox" and len(value) != 4:
        return _keep(made, name, value)
    if too_large(value):
        return f"{name} holds a whole number beyond 2**53"
    setattr(made.plain, name, value)
    return None


def too_large(values: list[Any]) -> bool:
    """Whether a list holds a whole number that float64 may not hold."""
    return any(type(v) is int and not -LIMIT <= v <= LIMIT for v in values)


def _read_area(made: Checked, name: str, value: Any) -> str | None:
    if value is None:
        return _keep(made, name, value)
    if not is_number(value):
        return f"{name} is {value!r}, which is no number"
    made.plain.area = value
    return None


def _read_crowd(made: Checked, name: str, value: Any) -> str | None:
    if value is None:
        return _keep(made, name, value)
    if type(value) not in (int, bool) and not (type(value) is float and value.is_integer()):
        return f"iscrowd is {value!r}; it must be 0 or 1"
    made.plain.iscrowd = int(value)
    return None


def _read_category(made: Checked, name: str, value: Any) -> str | None:
    if value is None:
        return _keep(made, name, value)
    made.plain.category_id = value
    return None


def _read_caption(made: Checked, name: str, value: Any) -> str | None:
    if value is None:
        return _keep(made, name, value)
    if not isinstance(value, str):
        return f"caption is {value!r}, which is no text"
    made.plain.caption = value
    return None


def _read_attributes(made: Checked, name: str, value: Any) -> str | None:
    if not isinstance(value, dict):
        return _keep(made, name, value)
    made.attributes = value
    return None


def _read_segmentation(made: Checked, name: str, value: Any) -> str | None:
    if isinstance(value, dict):
        return _read_runs(made, name, value)
    if not isinstance(value, list):
        return _keep(made, name, value)
    for place, ring in enumerate(value):
        if isinstance(ring, str):
            return f"segmentation[{place}] is {ring!r}, which is no list of numbers"
        if not isinstance(ring, list):
            return _keep(made, name, value)
        if bad := [n for n in ring if not is_number(n)]:
            return f"segmentation[{place}] holds {bad[0]!r}, which is no number"
        if too_large(ring):
            return f"segmentation[{place}] holds a whole number beyond 2**53"
    made.plain.segmentation = value
    return None


def _read_runs(made: Checked, name: str, value: dict[str, Any]) -> str | None:
    size, counts = value.get("size"), value.get("counts")
    sized = isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)
    counted = isinstance(counts, str) or (
        isinstance(counts, list) and all(type(n) is int for n in counts) and not too_large(counts)
    )
    if not sized or not counted or len(value) != 2:
        return _keep(made, name, value)
    made.plain.segmentation = Runs((size[0], size[1]), counts)  # type: ignore[index, arg-type]
    return None


_READERS: dict[str, Callable[[Checked, str, Any], str | None]] = {
    "id": lambda made, name, value: None,
    "image_id": lambda made, name, value: None,
    "category_id": _read_category,
    "area": _read_area,
    "bbox": _read_numbers,
    "keypoints": _read_numbers,
    "segmentation": _read_segmentation,
    "iscrowd": _read_crowd,
    "caption": _read_caption,
    "attributes": _read_attributes,
}


def _entry(made: Checked, file: CocoIncoming) -> Entry:
    """One entry, the plain way; `coco_plain` makes the same bytes faster."""
    plain, shape = made.plain, made.plain.segmentation
    fields: dict[str, Any] = {"n": plain.id}
    if plain.area is not UNSET:
        fields["a"] = plain_number(plain.area)
    if made.attributes is not None:
        fields["at"] = made.attributes
    if plain.bbox is not UNSET:
        fields["b"] = pack_numbers(plain.bbox)
    if plain.category_id is not UNSET:
        fields["c"] = file.categories.ids[plain.category_id]
    if plain.iscrowd is not UNSET:
        fields["cr"] = plain.iscrowd
    if plain.keypoints is not UNSET:
        fields["k"] = pack_numbers(plain.keypoints)
    if isinstance(shape, Runs):
        fields["m"] = [*shape.size, shape.counts if isinstance(shape.counts, str) else pack_numbers(shape.counts)]
    elif shape is not UNSET:
        fields["p"] = [pack_numbers(ring) for ring in shape]
    if plain.caption is not UNSET:
        fields["t"] = plain.caption
    if made.extras:
        fields["x"] = {"coco": made.extras}
    file.count_parts(1, "k" in fields, "t" in fields and "c" not in fields)
    key = file.images.keys[plain.image_id]
    return f"{key}\0{content_id(str(key), fields)}".encode(), codec.encode(fields)
