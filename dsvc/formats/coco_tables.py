"""The parts of a COCO file that others refer to by number: images, categories and licences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

from dsvc.core.keys import check_key, normalize_name
from dsvc.errors import RefusedError
from dsvc.formats.coco_file import DuplicateKey, InvalidNumber
from dsvc.model.extras import ABSENT, CATEGORY_LISTS
from dsvc.model.incoming import Problems
from dsvc.model.records import MAX_NAME, Concept, Input, Number, concept_id
from dsvc.store import codec

_SCALARS = frozenset((int, str, float, bool, type(None)))
# What a record may nest, since it lies a few levels deep itself.
MAX_DEPTH = codec.MAX_DEPTH - 8


def what_is_wrong(value: Any, path: str = "", depth: int = 0) -> str | None:
    """What keeps a parsed JSON value from being stored, or None."""
    kind = type(value)
    if kind is InvalidNumber:
        return f"{path.lstrip('.')} is {value.text}, which is no number"
    if kind is DuplicateKey:
        return f"the key {value.key!r} comes twice"
    if depth > MAX_DEPTH and kind in (dict, list):
        return f"{path[:40].lstrip('.')}... is nested deeper than {MAX_DEPTH} levels"
    if kind is dict:
        return next((w for k, v in value.items() if (w := what_is_wrong(v, f"{path}.{k}", depth + 1))), None)
    if kind is list:
        return next((w for n, v in enumerate(value) if (w := what_is_wrong(v, f"{path}[{n}]", depth + 1))), None)
    if kind is float and not math.isfinite(value):
        return f"{path.lstrip('.')} is {value}, which is no number"
    try:
        codec.canonical(value)
    except codec.EncodeError as error:
        return f"{path.lstrip('.')}: {error}"
    return None


def is_number(value: Any) -> bool:
    """Whether a parsed value is a JSON number."""
    return type(value) is int or type(value) is float


def is_id(value: Any) -> TypeGuard[Number]:
    """Whether a parsed value may number a record: a whole number, or text."""
    return type(value) is int or type(value) is str


class Licences:
    """A file's licences: their numbers become names, and names numbers again."""

    def __init__(self, table: Any) -> None:
        rows = [row for row in table if isinstance(row, dict)] if isinstance(table, list) else []
        names = [str(row.get("name")) for row in rows]
        self.names: dict[Number, str] = {}
        self.numbers: dict[str, Number] = {}
        for row, name in zip(rows, names, strict=True):
            number = row.get("id")
            if is_id(number) and number not in self.names:
                label = name if names.count(name) == 1 else f"{name}#{number}"
                self.names[number] = label
                self.numbers[label] = number


class Categories:
    """A file's categories as concepts, by number."""

    def __init__(self, rows: Iterable[Any], problems: Problems) -> None:
        self.ids: dict[Number, str] = {}
        # The field that names the concept, encoded.
        self.packed: dict[Number, bytes] = {}
        self.concepts: list[Concept] = []
        self.rejected: list[Any] = []
        self.declared: dict[Number, Any] = {}
        # Numbers whose row was refused: annotations that use them are not called undeclared as well.
        sound = [row for place, row in enumerate(rows) if self._is_sound(row, place, problems)]
        for id, row in _unique_ids(sound):
            self.ids[row["id"]] = id
            self.packed[row["id"]] = b"\xa1c" + codec.pack(id)
            self.concepts.append(_concept(id, row))

    def _is_sound(self, row: Any, place: int, problems: Problems) -> bool:
        wrong = _category_error(row) or (
            f"its id is also that of {self.declared[row['id']].get('name')!r}" if row["id"] in self.declared else None
        )
        if wrong:
            label = f"category {row.get('id', f'number {place + 1}')!r}" if isinstance(row, dict) else "a category"
            name = f" ({row['name']!r})" if isinstance(row, dict) and isinstance(row.get("name"), str) else ""
            problems.add(f"{label}{name}: {wrong}")
            self.rejected.append(row)
            return False
        self.declared[row["id"]] = row
        return True


def _category_error(row: Any) -> str | None:
    if not isinstance(row, dict):
        return "is not an object"
    if wrong := what_is_wrong(row):
        return wrong
    if not is_id(row.get("id")):
        return "has no id that is a whole number or text"
    if not isinstance(row.get("name"), str):
        return "has no name that is text"
    if not row["name"] or "\0" in row["name"] or len(row["name"].encode()) > MAX_NAME:
        return f"its name must have 1 to {MAX_NAME} bytes, and no NUL"
    return None


def _unique_ids(rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Concept ids: the name; of several with one name, the first by content keeps it."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(concept_id(row["name"]), []).append(row)
    taken = set(groups)
    for name, group in groups.items():
        ordered = sorted(group, key=lambda row: (_content(row), str(type(row["id"])), row["id"]))
        yield name, ordered[0]
        for row in ordered[1:]:
            stem = id = concept_id(f"{name}#{row.get('supercategory', '')}")
            number = 1
            while id in taken:
                number += 1
                id = f"{stem}#{number}"
            taken.add(id)
            yield id, row


def _content(row: Mapping[str, Any]) -> bytes:
    return codec.encode({name: value for name, value in row.items() if name != "id"})


def _concept(id: str, row: dict[str, Any]) -> Concept:
    extras = {k: v for k, v in row.items() if k not in ("id", "name", "supercategory", "keypoints", "skeleton")}
    supercategory, keypoints, skeleton = (row.get(k) for k in ("supercategory", "keypoints", "skeleton"))
    if not isinstance(supercategory, str) and "supercategory" in row:
        extras["supercategory"], supercategory = supercategory, None
    if "keypoints" in row and not _are_names(keypoints):
        extras["keypoints"], keypoints = keypoints, None
    if "skeleton" in row and not _are_pairs(skeleton):
        extras["skeleton"], skeleton = skeleton, None
    return Concept(
        id=id,
        name=row["name"],
        supercategory=supercategory,
        keypoints=tuple(keypoints) if keypoints is not None else None,
        skeleton=tuple((a, b) for a, b in skeleton) if skeleton is not None else None,
        number=row["id"],
        extras={"coco": extras} if extras else {},
    )


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(p, list) and len(p) == 2 and all(type(n) is int for n in p) for p in value
    )


class Images:
    """A file's images as inputs. `keys` maps an image's number to its input key; None where it was refused."""

    def __init__(self, problems: Problems, notes: list[str], prefix: str = "") -> None:
        self._prefix = prefix
        self.keys: dict[Number, str | None] = {}
        # What the tree keys of an image's annotations begin with.
        self.prefixes: dict[Number, bytes] = {}
        self.rejected: list[Any] = []
        self._numbers: dict[str, Number] = {}
        self._problems = problems
        self._notes = notes
        self._id_type: type | None = None
        self._turned = 0

    def inputs(self, rows: Iterable[tuple[Any, bool]], licences: Licences, categories: Categories) -> Iterator[Input]:
        """The input of each sound image; rows come with whether a strict parser has read them."""
        for place, (row, is_strict) in enumerate(rows):
            wrong = self._error(row, is_strict)
            name = row.get("file_name") if isinstance(row, dict) else None
            key = ""
            if not wrong:
                try:
                    name = _name_of(row)
                    key, turned = normalize_name(name)
                    key = check_key(self._prefix + key) if self._prefix else key
                    self._turned += turned
                except RefusedError as error:
                    wrong = f"file_name: {error.message}"
            if not wrong and key in self._numbers:
                wrong = f"its file_name is also that of image {self._numbers[key]!r}"
            if wrong:
                self._refuse(row, place, name, wrong)
                continue
            self.keys[row["id"]] = key
            self.prefixes[row["id"]] = f"{key}\0".encode()
            self._numbers[key] = row["id"]
            yield _input(key, self.renamed(row), licences, categories)
        if self._turned:
            names = "1 file name has" if self._turned == 1 else f"{self._turned} file names have"
            keys = "its key is" if self._turned == 1 else "their keys are"
            self._notes.append(f"{names} backslashes or needless dots; {keys} plain")

    def renamed(self, row: Any) -> Any:
        """An image's row with the prefix before its name, so that it names the same file from the root of keys."""
        if self._prefix and isinstance(row, dict) and isinstance(row.get("file_name"), str):
            return {**row, "file_name": self._prefix + row["file_name"]}
        return row

    def _error(self, row: Any, is_strict: bool) -> str | None:
        if not isinstance(row, dict):
            return "is not an object"
        # Of what a strict parser has read, only nested values can still be too deep.
        if (not is_strict or not _SCALARS.issuperset(map(type, row.values()))) and (wrong := what_is_wrong(row)):
            return wrong
        number = row.get("id")
        if not is_id(number):
            return "has no id that is a whole number or text"
        if self._id_type not in (None, type(number)):
            return "its id is text where others are numbers, or the other way; ids must be of one type"
        self._id_type = type(number)
        if number in self.keys:
            return f"its id is also that of {self.keys[number] or 'another image'!r}"
        if not isinstance(_name_of(row), str):
            return "file_name is not text"
        for side in ("width", "height"):
            if row.get(side) is not None and not is_number(row[side]):
                return f"{side} is {row[side]!r}, which is no number"
        return None

    def _refuse(self, row: Any, place: int, name: Any, wrong: str) -> None:
        number = row.get("id") if isinstance(row, dict) else None
        label = f"image {number!r}" if is_id(number) else f"image number {place + 1}"
        self._problems.add(label + (f" ({name!r})" if isinstance(name, str) else "") + f": {wrong}")
        self.rejected.append(row)
        if is_id(number):
            self.keys.setdefault(number, None)


def _name_of(row: dict[str, Any]) -> Any:
    """What names an image: `file_name`; where it has none (LVIS), the end of its `coco_url`, or its number."""
    if "file_name" in row:
        return row["file_name"]
    url = row.get("coco_url")
    if isinstance(url, str) and "/" in url:
        return "/".join(url.rsplit("/", 2)[-2:])
    return f"image-{row['id']}"


def _input(key: str, row: dict[str, Any], licences: Licences, categories: Categories) -> Input:
    known = ("id", "file_name", "width", "height", "license")
    extras = {name: value for name, value in row.items() if name not in known}
    for name in CATEGORY_LISTS:
        numbers = extras.get(name)
        if isinstance(numbers, list) and all(is_id(n) and n in categories.ids for n in numbers):
            extras[name] = [categories.ids[n] for n in numbers]
    if row.get("file_name", key) != key:
        extras["file_name"] = row["file_name"]
    sizes = {}
    for side in ("width", "height"):
        if side in row and row[side] is None:
            extras[side] = None
        sizes[side] = row.get(side)
    licence = row.get("license")
    label = licences.names.get(licence) if is_id(licence) else None
    if "license" in row and label is None:
        extras["license"] = licence
    return Input(
        key=key,
        declared_width=sizes["width"],
        declared_height=sizes["height"],
        license=label,
        number=row["id"],
        extras=({"coco": extras} if extras else {}) | ({ABSENT: ["file_name"]} if "file_name" not in row else {}),
    )
