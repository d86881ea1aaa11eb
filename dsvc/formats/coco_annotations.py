"""COCO annotations: parsed, checked and encoded in batches.

Most batches are plain: known fields of the usual types. They are decoded straight into structs. A batch with
anything else is parsed again record by record, so that every error is named and every unknown field kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from dsvc.formats.coco_file import count_keys, join_batch, value_of
from dsvc.formats.coco_tables import is_id, is_number, what_is_wrong
from dsvc.model.incoming import Entry
from dsvc.model.numbers import pack_ragged
from dsvc.model.records import Number, hash_content, plain_number
from dsvc.store import codec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dsvc.formats.coco_read import CocoIncoming

Refuse = Callable[[Any, str], None]


class Runs(msgspec.Struct, forbid_unknown_fields=True):
    """A run-length mask."""

    size: tuple[int, int]
    counts: str | list[int]


class Plain(msgspec.Struct, forbid_unknown_fields=True):
    """An annotation of known fields; UNSET where it has one not."""

    id: int | str
    image_id: int | str
    category_id: int | str | UnsetType = UNSET
    area: float | UnsetType = UNSET
    bbox: list[float] | UnsetType = UNSET
    segmentation: list[list[float]] | Runs | UnsetType = UNSET
    iscrowd: int | bool | UnsetType = UNSET
    keypoints: list[float] | UnsetType = UNSET
    num_keypoints: int | UnsetType = UNSET
    caption: str | UnsetType = UNSET


class Checked(msgspec.Struct):
    """An annotation that was read field by field: what no field of `Plain` holds is in `extras`."""

    plain: Plain
    attributes: dict[str, Any] | None
    extras: dict[str, Any]


_decode = msgspec.json.Decoder(list[Plain]).decode
LIMIT = 2**53


def read_batch(batch: list[Any], file: CocoIncoming) -> list[Entry]:
    """The entries of a batch of records, Raw or parsed; errors are noted at the file."""
    found = _read_plain(batch, file) if isinstance(batch[0], Raw) else None
    if found is None:
        found = [made for record in batch if (made := _read_checked(value_of(record), file)) is not None]
    values, counts = _coordinates(found)
    if isinstance(batch[0], Raw) and len(values) and _may_be_inexact(values) and type(found[0]) is Plain:
        # A whole number beyond 2**53 may have lost digits on its way into a float.
        return read_batch([value_of(record) for record in batch], file)
    return _encode(found, values, counts, file)


def _may_be_inexact(values: npt.NDArray[np.float64]) -> bool:
    return bool(max(values.max(), -values.min()) >= LIMIT)


def _read_plain(batch: list[Raw], file: CocoIncoming) -> list[Plain | Checked] | None:
    """The batch where all of it is plain and sound; else None, and the slow way finds out why."""
    text = join_batch(batch)
    try:
        found = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    keys, concepts = file.images.keys, file.categories.ids
    present = 0
    for plain in found:
        box, category = plain.bbox, plain.category_id
        if keys.get(plain.image_id) is None or (category is not UNSET and category not in concepts):
            return None
        if box is not UNSET and len(box) != 4:
            return None
        present += (
            2
            + (category is not UNSET)
            + (plain.area is not UNSET)
            + (box is not UNSET)
            + (plain.iscrowd is not UNSET)
            + (plain.keypoints is not UNSET)
            + (plain.num_keypoints is not UNSET)
            + (plain.caption is not UNSET)
        )
        shape = plain.segmentation
        if shape is not UNSET:
            present += 3 if type(shape) is Runs else 1
    # A key that comes twice would have hidden a value.
    return found if count_keys(text) == present else None  # type: ignore[return-value]


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


def _coordinates(found: list[Any]) -> tuple[npt.NDArray[np.float64], list[int]]:
    """The numbers of all annotations end to end, in the order in which `_entry` takes them, and their counts."""
    import numpy as np

    values: list[float] = []
    counts: list[int] = []
    for made in found:
        plain: Plain = made if type(made) is Plain else made.plain
        for part in (plain.bbox, plain.keypoints):
            if part is not UNSET:
                values += part
                counts.append(len(part))
        shape = plain.segmentation
        if type(shape) is list:
            for ring in shape:
                values += ring
                counts.append(len(ring))
        elif type(shape) is Runs and type(shape.counts) is list:
            values += shape.counts
            counts.append(len(shape.counts))
    return np.array(values, dtype=np.float64), counts


def _encode(found: list[Any], values: npt.NDArray[np.float64], counts: list[int], file: CocoIncoming) -> list[Entry]:
    """Encode annotations; the coordinates of all of them are packed at once."""
    packed = iter(pack_ragged(values, counts))
    keys, concepts = file.images.keys, file.categories.ids
    return [_entry(made, packed.__next__, keys, concepts) for made in found]


def _entry(
    made: Plain | Checked, packed: Callable[[], bytes], keys: dict[Number, Any], concepts: dict[Number, str]
) -> Entry:
    """One entry. The fields before the number and those after it are packed apart, so that the content, which has
    no number, and the value, which has one, share them."""
    if type(made) is Checked:
        plain, attributes, extras = made.plain, made.attributes, made.extras
    else:
        plain, attributes, extras = made, None, {}  # type: ignore[assignment]
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if plain.area is not UNSET:
        before["a"] = plain_number(plain.area)
    if attributes is not None:
        before["at"] = codec.canonical(attributes)
    if plain.bbox is not UNSET:
        before["b"] = packed()
    if plain.category_id is not UNSET:
        before["c"] = concepts[plain.category_id]
    if plain.iscrowd is not UNSET:
        before["cr"] = int(plain.iscrowd)
    if plain.keypoints is not UNSET:
        before["k"] = packed()
    shape = plain.segmentation
    if type(shape) is list:
        after["p"] = [packed() for _ in shape]
    elif type(shape) is Runs:
        before["m"] = [*shape.size, packed() if type(shape.counts) is list else shape.counts]
    if plain.caption is not UNSET:
        after["t"] = plain.caption
    if plain.num_keypoints is not UNSET:
        extras = {"num_keypoints": plain.num_keypoints, **extras}
    if extras:
        after["x"] = codec.canonical({"coco": extras})
    head, tail = codec.pack(before)[1:], codec.pack(after)[1:]
    fields = 0x80 | len(before) + len(after)
    key: str = keys[plain.image_id]
    id = hash_content(key, bytes((fields,)) + head + tail)
    number = b"\xa1n" + codec.pack(codec.canonical(plain.id))
    return Entry(f"{key}\0{id}".encode(), bytes((fields + 1,)) + head + number + tail)
