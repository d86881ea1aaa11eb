"""Records of COCO results files: read field by field, so that each wrong one is named; fast where all are plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from dsvc.formats.coco_annotations import LIMIT, Runs
from dsvc.formats.coco_file import join_batch
from dsvc.formats.coco_tables import is_id, is_number, what_is_wrong
from dsvc.model.records import Number

_MOST = 1e300  # what is beyond may be no float


class Result(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A prediction of known fields of the right types; UNSET where it has one not."""

    score: float
    category_id: Number | UnsetType = UNSET
    category: str | UnsetType = UNSET
    image_id: Number | UnsetType = UNSET
    file_name: str | UnsetType = UNSET
    bbox: tuple[float, float, float, float] | UnsetType = UNSET
    segmentation: Runs | list[list[float]] | UnsetType = UNSET
    keypoints: list[float] | UnsetType = UNSET


_decode = msgspec.json.Decoder(list[Result]).decode
_KNOWN = frozenset(Result.__struct_fields__)


def read_plain(batch: list[Any]) -> list[Result] | None:
    """A batch of records that are all plain and of the right types; else None."""
    if not isinstance(batch[0], Raw):
        return None
    text = join_batch(batch)
    try:
        found = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
        return None
    # A key that comes twice would have hidden a value; it would also have brought more quotes.
    if text.count(b'"') != 2 * sum(map(_strings, found)):
        return None
    for made in found:
        is_emptied = False
        for name in ("segmentation", "keypoints"):
            if getattr(made, name) == []:  # as some tools write what they have not, beside what they have
                setattr(made, name, UNSET)
                is_emptied = True
        if is_emptied and all(getattr(made, name) is UNSET for name in _READERS):
            return None
    return found


def _strings(made: Result) -> int:
    """How many strings the text of a record has: its keys, and values that are strings."""
    count = sum(getattr(made, name) is not UNSET for name in Result.__struct_fields__)
    count += type(made.image_id) is str
    count += type(made.file_name) is str
    count += type(made.category_id) is str
    count += type(made.category) is str
    if type(made.segmentation) is Runs:
        count += 2 + (type(made.segmentation.counts) is str)
    return count


def read_careful(record: Any) -> tuple[Result | None, dict[str, Any], str | None]:
    """One parsed record: it, its other fields, or what is wrong with it."""
    if not isinstance(record, dict):
        return None, {}, "is not an object"
    wrong = what_is_wrong(record) or _wrong_head(record)
    if wrong:
        return None, {}, wrong
    made = Result(score=float(record["score"]))
    for name in ("image_id", "file_name", "category_id", "category"):
        if record.get(name) is not None:
            setattr(made, name, record[name])
    empty = [name for name in _READERS if record.get(name) == []]
    if empty and all(record.get(name) in (None, []) for name in _READERS):
        return None, {}, f"{empty[0]} is an empty list, which is no place"
    for name, read in _READERS.items():
        value = record.get(name)
        if value is None or value == []:
            continue
        found = read(name, value)
        if isinstance(found, str):
            return None, {}, found
        setattr(made, name, found)
    return made, {name: value for name, value in record.items() if name not in _KNOWN}, None


def _wrong_head(record: dict[str, Any]) -> str | None:
    if "image_id" not in record and "file_name" not in record:
        return "has no image_id"
    for name in ("image_id", "category_id"):
        if name == "category_id" and name not in record and "category" not in record:
            return "has no category_id"
        if name in record and not is_id(record[name]):
            return f"{name} is {_shown(record[name])}, which is neither a whole number nor text"
    for name in ("file_name", "category"):
        if not isinstance(record.get(name, ""), str):
            return f"{name} is {_shown(record[name])}, which is no text"
    if "score" not in record:
        return "has no score"
    score = record["score"]
    if not is_number(score):
        return f"score is {_shown(score)}, which is no number"
    return None if abs(score) <= _MOST else "score is too large"


def _shown(value: Any) -> str:
    """A parsed value as JSON has it, shortened."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}..."


def _read_numbers(name: str, value: Any) -> tuple[float, ...] | list[float] | str:
    if not isinstance(value, list):
        return f"{name} is {_shown(value)}, which is no list of numbers"
    for place, number in enumerate(value):
        if not is_number(number):
            return f"{name}[{place}] is {_shown(number)}, which is no number"
        if abs(number) > _MOST:
            return f"{name}[{place}] is too large"
    if name == "keypoints":
        return [float(number) for number in value]
    return tuple(map(float, value)) if len(value) == 4 else f"bbox has {len(value)} numbers, not 4"


def _read_segmentation(name: str, value: Any) -> Runs | list[list[float]] | str:
    if isinstance(value, dict):
        size, counts = value.get("size"), value.get("counts")
        if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
            return "segmentation has no size of two whole numbers: height and width"
        is_list = isinstance(counts, list) and all(type(run) is int and abs(run) <= LIMIT for run in counts)
        if not is_list and not isinstance(counts, str):
            return "segmentation has no counts that are text or a list of whole numbers"
        return Runs((size[0], size[1]), cast("list[int] | str", counts))
    if not isinstance(value, list):
        return f"segmentation is {_shown(value)}, which is neither a run-length mask nor a list of polygons"
    rings: list[list[float]] = []
    for place, ring in enumerate(value):
        found = _read_numbers("keypoints", ring) if isinstance(ring, list) else "no list"
        if isinstance(found, str):
            return f"segmentation[{place}] is no list of numbers"
        rings.append(list(found))
    return rings


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "bbox": _read_numbers,
    "keypoints": _read_numbers,
    "segmentation": _read_segmentation,
}
