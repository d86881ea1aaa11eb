"""What predictions are of: the input of an image's number or file name, the concept of a category's number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from dsvc.core.keys import normalize_name
from dsvc.errors import RefusedError
from dsvc.formats.coco_plan import Plan
from dsvc.model.records import Input, Number

if TYPE_CHECKING:
    from dsvc.formats.coco_results import Asked

_encode = msgspec.json.Encoder().encode
_SHOWN = 3


class Place(NamedTuple):
    """An input that a prediction is of, and its height and width in pixels where they are known."""

    key: str
    size: tuple[int, int] | None = None


class Places:
    """Finds the inputs of predictions. `unknown` counts those of which no number or name is known; `ambiguous` tells
    that a number was met that is one of several inputs."""

    def __init__(self, asked: Asked, plan: Plan) -> None:
        self.unknown = 0
        self.ambiguous = False
        self._asked = asked
        self._numbers: dict[bytes, bytes | list[bytes]] = {}
        for key, number in plan.numbers.items():
            known = self._numbers.get(number)
            others = known if isinstance(known, list) else [known] if known is not None else []
            self._numbers[number] = [*others, key] if others else key
        self._found: dict[tuple[Number | None, str | None], Place | str] = {}
        self._unknown: set[tuple[Number | None, str | None]] = set()

    def find(self, image: Number | None, name: str | None) -> Place | str:
        """The input of a number, a name, or both; or what is wrong with them, as the end of a sentence."""
        asked = (image, name)
        found = self._found.get(asked)
        if found is None:
            found = self._found[asked] = self._find(image, name)
        self.unknown += asked in self._unknown
        return found

    @property
    def are_named(self) -> bool:
        """Whether all that are unknown go by a file name, and have no number."""
        return bool(self._unknown) and all(image is None and name is not None for image, name in self._unknown)

    def are_of_one_file(self) -> bool:
        """Whether images that are unknown have the numbers of an export of all splits to one file."""
        unknown = {_encode(image) for image, _ in self._unknown if image is not None}
        if not unknown or self._asked.is_single:
            return False
        return unknown <= set(Plan(self._asked.numbered, single=True).numbers.values())

    def _find(self, image: Number | None, name: str | None) -> Place | str:
        if image is None and name is None:
            return "has no image_id"
        by_name = self._by_name(name) if name is not None else None
        by_number = self._by_number(image) if image is not None else []
        if len(by_number) > 1 and by_name in by_number:
            by_number = [by_name]
        if len(by_number) > 1:
            self.ambiguous = True
            keys = ", ".join(repr(key) for key in by_number[:_SHOWN])
            return f"its image may be each of {keys}" + (", ..." if len(by_number) > _SHOWN else "")
        key = by_number[0] if by_number else by_name
        if key is None:
            self._unknown.add((image, name))
            return f"its image is not in {self._asked.numbered_name}"
        if by_name is not None and by_name != key:
            return f"its image_id is that of {key!r}, and its file_name that of {by_name!r}"
        record = self._asked.truth.input(key)
        if record is None:
            return f"its image {key!r} is not in {self._asked.name}"
        return Place(key, _size(record))

    def _by_number(self, image: Number) -> list[str]:
        """The inputs of a number; of several those that are chosen, if any is."""
        found = self._numbers.get(_encode(image), [])
        keys = found if isinstance(found, list) else [found]
        if len(keys) > 1 and self._asked.chosen is not None:
            keys = [key for key in keys if key in self._asked.chosen] or keys
        return [key.decode() for key in keys]

    def _by_name(self, name: str) -> str | None:
        """The input of a file name as it was exported, or as its file spelled it."""
        for walk in (self._asked.numbered, self._asked.truth):
            if _is_text(name) and walk.input(name) is not None:
                return name
        try:
            key, _ = normalize_name(name)
        except RefusedError:
            return None
        return key if self._asked.numbered.input(key) is not None else None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size(record: Input) -> tuple[int, int] | None:
    """Height and width as an export says them: declared ones first, else those of the header."""
    width, height = record.declared_width, record.declared_height
    if record.media is not None:
        width = width if width is not None else record.media.width
        height = height if height is not None else record.media.height
    return (int(height), int(width)) if width is not None and height is not None else None


class Found(NamedTuple):
    """The concept of a category's number, and how many keypoints it has, if it has some; or what is wrong."""

    id: str
    points: int | None = None
    problem: str | None = None


class Concepts:
    """Finds the concepts of predictions. `are_unknown` tells that a number was met that is nobody's,
    `are_unknown_names` that a name was."""

    def __init__(self, asked: Asked, plan: Plan) -> None:
        self.are_unknown = self.are_unknown_names = False
        self._asked = asked
        self._known: dict[str, Found] = {}
        self._names: dict[str, list[str]] = {}
        for concept in asked.truth.concepts():
            points = len(concept.keypoints) if concept.keypoints is not None else None
            self._known[concept.id] = Found(concept.id, points)
            self._names.setdefault(concept.name, []).append(concept.id)
        self._numbers = {number: id for id, number in plan.concepts.items()}
        self._found: dict[tuple[Number | None, str | None], Found] = {}

    def find(self, number: Number | None, name: str | None) -> Found:
        """The concept of a number, of a name or id, or of both, which are then to agree."""
        asked = (number, name)
        found = self._found.get(asked)
        if found is None:
            found = self._found[asked] = self._find(number, name)
        return found

    def _find(self, number: Number | None, name: str | None) -> Found:
        if number is None:
            return self._by_name(name) if name is not None else _wrong("has no category_id")
        found = self._by_number(number)
        if found.problem or name is None or name == found.id or found.id in self._names.get(name, ()):
            return found
        return _wrong(f"its category_id is that of {found.id!r}, and its category is {name!r}")

    def _by_number(self, number: Number) -> Found:
        id = self._numbers.get(number)
        if id is None:
            self.are_unknown = True
            return _wrong(f"its category {number!r} is not in {self._asked.numbered_name}")
        return self._known.get(id) or _wrong(f"its concept {id!r} is not in {self._asked.name}")

    def _by_name(self, name: str) -> Found:
        """The concept of an id, or else of the name that one alone has."""
        ids = [name] if name in self._known else self._names.get(name, [])
        if len(ids) > 1:
            return _wrong(f"its category {name!r} may be each of {', '.join(map(repr, ids[:_SHOWN]))}")
        if ids:
            return self._known[ids[0]]
        self.are_unknown_names = True
        return _wrong(f"its category {name!r} is not in {self._asked.name}")


def _wrong(problem: str) -> Found:
    return Found("", None, problem)
