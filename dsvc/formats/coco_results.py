"""COCO results files: predictions, checked record by record, each with the input and the concept that it is of."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from dsvc.core.scoring.scores import Kind
from dsvc.formats.coco_annotations import Runs
from dsvc.formats.coco_file import batches, begin_text, parse_lenient, refuse, value_of
from dsvc.formats.coco_plan import Plan
from dsvc.formats.coco_result_places import Concepts, Place, Places
from dsvc.formats.coco_result_records import Result, read_careful, read_plain
from dsvc.formats.coco_tables import is_id
from dsvc.model.incoming import Entry, Problems, Progress
from dsvc.model.numbers import pack_ragged
from dsvc.model.records import Mask, content_id, plain_number
from dsvc.model.runs import runs
from dsvc.model.walk import Walk
from dsvc.store import codec

_PARTS: dict[Kind, str] = {"mask": "segmentation", "keypoints": "keypoints", "box": "bbox"}
_TABLES = frozenset(("images", "annotations", "categories"))
_BEGINNING = 1 << 20  # bytes of a file that are looked at to tell what it is
_A_LIST = "a results file is a list of objects with image_id, category_id and score"


class Asked(NamedTuple):
    """What predictions are read for.

    `numbered` is what was exported to the model that predicted: its images' and categories' numbers are meant. `truth`
    is what they are compared with; of its inputs those of the tree keys `chosen` (None: all). Errors call the two
    `numbered_name` and `name`. `kind` is what is predicted, or None where the first record tells. `is_single` says that
    images are numbered as in an export to one file, where several splits have no number in common.
    """

    numbered: Walk
    numbered_name: str
    truth: Walk
    name: str
    chosen: Collection[bytes] | None = None
    kind: Kind | None = None
    is_single: bool = False


class _Placed(NamedTuple):
    """A sound prediction: which record it is, from 1, its input and concept, and its fields that have no place."""

    number: int
    made: Result
    key: str
    concept: str
    extras: dict[str, Any]


class CocoResults:
    """One results file. `annotations` may be walked once; what else is told is complete after that.

    `total` counts the records, `left_out` those of inputs that are not chosen; `kind` is what they predict, None where
    there is no record that tells. Raises InvalidRecordsError where it is no such file at all.
    """

    def __init__(self, data: memoryview, name: str, asked: Asked) -> None:
        self.name = name
        self.problems = Problems()
        self.kind = asked.kind
        self.left_out = 0
        self._records = _split(data, name)
        self.total = len(self._records)
        if self.kind is None and self._records:
            self.kind = _kind_of(value_of(self._records[0], name))
        self._is_told = asked.kind is None
        self._is_mixed = False
        plan = Plan(asked.numbered, asked.is_single)
        self._concepts = Concepts(asked, plan)
        self._places = Places(asked, plan)
        self._chosen = asked.chosen

    @property
    def hint(self) -> str:
        """What may be wrong where records are."""
        if self._places.are_of_one_file():
            return "they are numbered as in an export to one file: say --numbers single, or give file_name"
        if self._places.are_named:
            see = 'dsvc query "select key from inputs"'
            return f"file_name is the key of an input, or as its annotation file spelled it; see: {see}"
        if self._places.unknown * 2 > self.total:
            return "were they made on another version? its images have other numbers; say which: --made-on REV"
        if self._places.ambiguous:
            others = "or give file_name; are they those of an export to one file? --numbers single"
            return f"each split is numbered by itself: choose one, such as --where \"split = 'val'\", {others}"
        if self._is_mixed:
            ways = "say what is meant: --type box, mask, keypoints or classification"
            return ways if self._is_told else "leave out --type: the first record tells what is predicted"
        if self._concepts.are_unknown:
            return "nothing was stored; categories have the numbers that an export gives: dsvc export --format coco"
        if self._concepts.are_unknown_names:
            return "nothing was stored; category is the id of a concept, or its name: dsvc concept list"
        return "nothing was stored; mend the records"

    def annotations(self, progress: Progress | None = None) -> Iterator[list[Entry]]:
        """The predictions as annotations whose value is the score, in batches of encoded entries without ordinals."""
        done = 0
        for batch in batches(self._records):
            found = self._read(batch, done)
            done += len(batch)
            if progress:
                progress("read predictions", done, self.total)
            yield _encode(found)
        self._records = []

    def _read(self, batch: list[Any], start: int) -> list[_Placed]:
        plain = read_plain(batch)
        found = []
        for at, record in enumerate(batch):
            number = start + at + 1
            made, extras, wrong = (plain[at], {}, None) if plain else read_careful(value_of(record, self.name))
            if made is not None:
                placed, wrong = self._place(number, made, extras)
                if placed is not None:
                    found.append(placed)
            if wrong:
                self.problems.add(f"record {number}{_named(value_of(record))}: {wrong}")
        return found

    def _place(self, at: int, made: Result, extras: dict[str, Any]) -> tuple[_Placed | None, str | None]:
        """A prediction with its input and concept; or what is wrong with it; or neither where it is not chosen."""
        image = made.image_id if made.image_id is not UNSET else None
        place = self._places.find(image, made.file_name if made.file_name is not UNSET else None)
        if isinstance(place, str):
            return None, place
        number = made.category_id if made.category_id is not UNSET else None
        concept = self._concepts.find(number, made.category if made.category is not UNSET else None)
        if concept.problem:
            return None, concept.problem
        wrong = self._wrong_kind(made) or _wrong_parts(made, place, concept.points)
        if wrong:
            return None, wrong
        if self._chosen is not None and place.key.encode() not in self._chosen:
            self.left_out += 1
            return None, None
        return _Placed(at, made, place.key, concept.id, extras), None

    def _wrong_kind(self, made: Result) -> str | None:
        """What keeps a prediction from being of the kind that is evaluated."""
        has = [name for name in _PARTS.values() if getattr(made, name) is not UNSET]
        wanted = _PARTS.get(self.kind) if self.kind is not None else None
        if wanted is None and has:
            wrong = f"has a {has[0]}" + (", which the first record has not" if self._is_told else "")
        # Around a mask there is a box.
        elif wanted is None or wanted in has or (wanted == "bbox" and has and not self._is_told):
            return None
        else:
            wrong = f"has no {wanted}" + (", which the first record has" if self._is_told else "")
        self._is_mixed = True
        return wrong


def _split(data: memoryview, name: str) -> list[Any]:
    """The records, each as Raw text, or parsed where the text is no strict JSON. Raises InvalidRecordsError."""
    body = data[begin_text(data, name) :]
    first = bytes(body[:512]).lstrip()[:1]
    if first not in (b"[", b"{"):
        raise refuse(name, "does not look like JSON", _A_LIST)
    try:
        return msgspec.json.decode(body, type=list[Raw])
    except RecursionError:
        raise refuse(name, "holds lists or objects that are nested too deeply", "write it again") from None
    except msgspec.DecodeError:
        pass
    if _are_json_lines(body):
        raise refuse(name, "looks like JSON lines; a results file is one JSON list", "write [RECORD, RECORD, ...]")
    if first == b"{":
        raise _refuse_object(_keys(body, name), name)
    parsed = parse_lenient(body, name)
    assert isinstance(parsed, list)  # it begins with a bracket
    return parsed


def _are_json_lines(body: memoryview) -> bool:
    """Whether a text that is no list of records is one JSON value after another, as far as its beginning tells."""
    text = bytes(body[:_BEGINNING]).decode(errors="replace").lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip()[:1] in ("{", "[")


def _keys(body: memoryview, name: str) -> set[str]:
    """The keys of a text that is an object. Raises InvalidRecordsError where it is not whole."""
    try:
        return set(msgspec.json.decode(body, type=dict[str, Raw]))
    except (msgspec.DecodeError, RecursionError):
        return set(parse_lenient(body, name))


def _refuse_object(keys: set[str], name: str) -> Exception:
    """The error for a file that is an object, with what it looks like."""
    if keys & _TABLES:
        hint = f"for predictions that it holds, import it into a dataset and give that: dsvc import {name}"
        return refuse(name, "looks like a COCO annotation file, not like a list of results", hint)
    shown = f"its keys are {', '.join(sorted(keys)[:8])}" if keys else "it is {}"
    return refuse(name, f"is an object, not a list of results: {shown}", _A_LIST)


def _kind_of(record: Any) -> Kind:
    """What a record predicts."""
    if isinstance(record, dict):
        # A part that is empty tells only where there is no other.
        by_part = {kind: record.get(part) for kind, part in _PARTS.items()}
        filled = [kind for kind, value in by_part.items() if value not in (None, [], {})]
        for kind in filled or [kind for kind, value in by_part.items() if value == []]:
            return kind
    return "classification"


def _named(record: Any) -> str:
    """The image of a record, for its error."""
    if isinstance(record, dict):
        for name in ("image_id", "file_name"):
            if is_id(record.get(name)):
                return f" (image {record[name]!r})"
    return ""


def _wrong_parts(made: Result, place: Place, points: int | None) -> str | None:
    """What is wrong with the parts of a prediction on an input, of a concept with so many keypoints."""
    if made.keypoints is not UNSET:
        count = len(made.keypoints)
        if points is not None and count != 3 * points:
            return f"keypoints has {count} numbers, not {3 * points}: x, y, visibility of {points} points"
        if count % 3:
            return f"keypoints has {count} numbers, not 3 for each point"
    shape = made.segmentation
    if isinstance(shape, Runs):
        return _wrong_mask(shape, place)
    if shape is not UNSET:
        for number, ring in enumerate(shape):
            if len(ring) % 2 or len(ring) < 6:
                return f"segmentation[{number}] has {len(ring)} numbers; a polygon has x and y of 3 points or more"
    return None


def _wrong_mask(shape: Runs, place: Place) -> str | None:
    height, width = shape.size
    if place.size is not None and place.size != (height, width):
        return f"its mask is of {width} x {height} pixels, the input of {place.size[1]} x {place.size[0]}"
    counts = shape.counts if isinstance(shape.counts, str) else tuple(shape.counts)
    try:
        runs(Mask(height=height, width=width, counts=counts))
    except ValueError as error:
        return f"segmentation: {error}"
    return None


# ---- encoding


def _encode(found: list[_Placed]) -> list[Entry]:
    """The entries of predictions. Numbers are packed all at once."""
    import numpy as np

    lists: list[Any] = []
    for one in found:
        lists += _lists(one.made)
    counts = [len(numbers) for numbers in lists]
    values = np.fromiter((number for numbers in lists for number in numbers), dtype=np.float64, count=sum(counts))
    following = iter(pack_ragged(values, counts)).__next__
    return [_entry(one, following) for one in found]


def _lists(made: Result) -> list[Any]:
    """The sequences of numbers of a prediction, in the order in which `_entry` takes them."""
    taken: list[Any] = [part for part in (made.bbox, made.keypoints) if part is not UNSET]
    shape = made.segmentation
    if isinstance(shape, Runs):
        return [*taken, shape.counts] if isinstance(shape.counts, list) else taken
    return taken if shape is UNSET else [*taken, *shape]


def _entry(one: _Placed, following: Callable[[], bytes]) -> Entry:
    made, shape = one.made, one.made.segmentation
    fields: dict[str, Any] = {}
    if made.bbox is not UNSET:
        fields["b"] = following()
    fields["c"] = one.concept
    if made.keypoints is not UNSET:
        fields["k"] = following()
    if isinstance(shape, Runs):
        fields["m"] = [*shape.size, shape.counts if isinstance(shape.counts, str) else following()]
    elif shape is not UNSET:
        fields["p"] = [following() for _ in shape]
    fields["v"] = plain_number(made.score)
    if one.extras:
        fields["x"] = {"coco": one.extras}
    # Of equal scores the one that comes first in the file goes first, so its place is kept.
    fields["n"] = one.number
    return f"{one.key}\0{content_id(one.key, fields)}".encode(), codec.encode(fields)
