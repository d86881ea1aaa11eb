"""The values that annotations have in masks: those of the sources' classes, those of binary masks, or new ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from dsvc.errors import RefusedError
from dsvc.formats.mask_classes import CLASSES, MAX_VALUE, Class, from_meta
from dsvc.formats.mask_form import Form, Value, color_text, fixed_colors, fixed_form
from dsvc.model.records import Annotation, Concept, concept_id

_COLOR = re.compile(r"#[0-9a-f]{6}")
Source = Mapping[str, Any]


class Stroke(NamedTuple):
    """What an annotation paints: the value of its pixels, and runs (COCO's text) of those among them with others."""

    layer: str
    value: Value
    others: Sequence[tuple[Value, str]] = ()


class Values(Protocol):
    """The values of one export."""

    @property
    def folders(self) -> Mapping[str, str]:
        """The folder of each layer, with a slash at its end."""

    @property
    def nothing(self) -> tuple[Value, str | None]:
        """The value of pixels that no annotation covers, and the concept that it is, where there was no other."""

    def stroke(self, annotation: Annotation) -> Stroke | None:
        """What an annotation that has a mask paints; None where it has no value."""

    def classes(self) -> list[Class] | None:
        """What the values mean, when all is painted; None where folders say it."""


class Names:
    """A dataset's concepts, and what each was called in the masks that it came from: a new name changes that not."""

    def __init__(self, concepts: Iterable[Concept]) -> None:
        found = list(concepts)
        self.texts = {one.id: one.name if concept_id(one.name) == one.id else one.id for one in found}
        self._called: dict[str, str] = {}
        taken = set(self.texts)
        for one in found:
            called = one.extras.get("mask", {}).get("class")
            if not isinstance(called, str) or called in taken:
                called = one.id
            taken.add(called)
            self._called[one.id] = called
        self._now = {called: id for id, called in self._called.items()}

    def called(self, concept: str) -> str:
        """What a concept is called in masks."""
        return self._called[concept]

    def now(self, called: str) -> str | None:
        """The concept that masks call so; None where it is gone."""
        return self._now.get(called)

    def named(self, value: Value, concept: str) -> Class:
        """The class of a concept."""
        return Class(value, concept, False, {"name": self.texts[concept]})

    def renamed(self, one: Class) -> Class:
        """A source's class with the concept that it is now."""
        concept = self.now(one.concept) if one.concept is not None else None
        if concept is None or concept == one.concept:
            return one
        return Class(one.value, concept, one.ignore, {**one.entry, "name": self.texts[concept]})


def is_value(value: Any) -> bool:
    """Whether something is a value of a mask."""
    if type(value) is int:
        return 0 <= value <= MAX_VALUE
    return isinstance(value, str) and _COLOR.fullmatch(value) is not None


def join_classes(sources: Iterable[Source]) -> dict[Value, Class] | None:
    """The classes of all sources; None where two disagree about a value, or about the first value of a concept."""
    found: dict[Value, Class] = {}
    firsts: dict[str, Value] = {}
    for source in sources:
        own: dict[str, Value] = {}
        for one in from_meta(source["classes"]):
            known = found.setdefault(one.value, one)
            if (known.concept, known.ignore) != (one.concept, one.ignore):
                return None
            if one.concept is not None:
                own.setdefault(one.concept, one.value)
        if any(firsts.setdefault(concept, value) != value for concept, value in own.items()):
            return None
    return found if len({type(value) for value in found}) < 2 else None


def new_classes(names: Names, sources: Iterable[Source]) -> dict[Value, Class]:
    """Values from 1 in the order of the concepts, past those that sources ignore, in the colours of a fixed palette."""
    found: dict[Value, Class] = {0: Class(0, None, False, {"name": "background"})}
    for one in chain.from_iterable(from_meta(source["classes"]) for source in sources):
        if one.ignore and isinstance(one.value, int):
            found[one.value] = Class(one.value, None, True, {"ignore": True})
    free = _free_values(found.copy())
    for concept in sorted(names.texts):
        made = names.named(_next(free), concept)
        found[made.value] = made
    return {value: _colored(one, fixed_form()) for value, one in found.items()}


class ClassValues:
    """Masks of classes, an input's in one file. A concept that no class names gets the next free value."""

    def __init__(self, names: Names, classes: Mapping[Value, Class], form: Form) -> None:
        self.folders = {CLASSES: ""}
        self._names = names
        self._classes = {value: _colored(names.renamed(one), form) for value, one in classes.items()}
        self._is_color = any(isinstance(value, str) for value in classes)
        self._form = form
        self._values: dict[str, Value] = {}
        for one in self._classes.values():
            if one.concept is not None:
                self._values.setdefault(one.concept, one.value)
        free = _free_colors(classes) if self._is_color else _free_values(classes)
        for concept in sorted(names.texts.keys() - self._values.keys()):
            self._values[concept] = _next(free)

    def stroke(self, annotation: Annotation) -> Stroke | None:
        """What an annotation that has a mask paints; None where it has no value."""
        extras = annotation.extras.get("mask", {})
        if annotation.concept is None:
            return self._ignored(extras.get("ignore"))
        value = extras.get("value")
        one = self._classes.get(value) if is_value(value) else None
        if one is None or one.concept != annotation.concept:
            value = self._values[annotation.concept]
            if value not in self._classes:
                self._classes[value] = _colored(self._names.named(value, annotation.concept), self._form)
        return Stroke(CLASSES, value)

    def _ignored(self, value: Any) -> Stroke | None:
        if self._is_color and type(value) is int and 0 <= value < 256:
            value = color_text(value * 0x010101)
        if not is_value(value) or isinstance(value, str) != self._is_color:
            return None
        one = self._classes.setdefault(value, Class(value, None, True, {"ignore": True}))
        return Stroke(CLASSES, value) if one.ignore else None

    @property
    def nothing(self) -> tuple[Value, str | None]:
        """The value of pixels that no annotation covers: 0, or where that is a concept's, one that is ignored."""
        black: Value = "#000000" if self._is_color else 0
        one = self._classes.get(black)
        if one is None or one.concept is None:
            return black, None
        ignored = [value for value, one in self._classes.items() if one.ignore]
        return (min(ignored, key=str), None) if ignored else (black, one.concept)

    def classes(self) -> list[Class]:
        """What the values mean, when all is painted."""
        return list(self._classes.values())


class BinaryValues:
    """Binary masks: of one concept in one folder, of several in a folder each."""

    def __init__(self, names: Names, sources: Iterable[Source], layers: Collection[str]) -> None:
        objects = {source["value"] for source in sources}
        self._object: Value = objects.pop() if len(objects) == 1 else 255
        self._names = names
        self.folders = {layer: f"{names.now(layer)}/" if len(layers) > 1 else "" for layer in layers}
        self._used: dict[Value, Class] = {}
        for one in chain.from_iterable(from_meta(source["classes"]) for source in sources):
            self._used[one.value] = one
        if len(layers) == 1:
            self._use(self._object, *layers)

    @property
    def nothing(self) -> tuple[Value, str | None]:
        """The value of pixels that no annotation covers."""
        return 0, None

    @property
    def odd_folders(self) -> list[str]:
        """Concepts that no folder can be called like."""
        folders = [folder.removesuffix("/") for folder in self.folders.values() if folder]
        return [folder for folder in folders if folder.startswith(".") or re.search(r"[/\\\0]", folder)]

    def _use(self, value: Value, layer: str) -> None:
        self._used.setdefault(value, self._names.named(value, str(self._names.now(layer))))

    def stroke(self, annotation: Annotation) -> Stroke | None:
        """What an annotation that has a mask paints; None where it has no value."""
        extras = annotation.extras.get("mask", {})
        if annotation.concept is None:
            layer, value = extras.get("class"), extras.get("ignore")
            if layer not in self.folders or not is_value(value):
                return None
            one = self._used.setdefault(value, Class(value, None, True, {"ignore": True}))
            return Stroke(layer, value) if one.ignore else None
        layer, value, others = self._names.called(annotation.concept), extras.get("value"), extras.get("values", [])
        found = Stroke(layer, value if is_value(value) and value else self._object, _others(others))
        for used in (found.value, *(value for value, _ in found.others)):
            self._use(used, layer)
        return found

    def classes(self) -> list[Class] | None:
        """What the values mean, when all is painted; None where folders say it."""
        if len(self.folders) != 1:
            return None
        if not any(isinstance(value, str) for value in self._used):
            return list(self._used.values())
        # Values and colours don't go together, and a gray one is both.
        rows = ((color_text(v * 0x010101) if isinstance(v, int) else v, one) for v, one in self._used.items() if v != 0)
        return [one._replace(value=value) for value, one in rows]


def _others(rows: Any) -> list[tuple[Value, str]]:
    """What an annotation's extras say of pixels with other values; what is not of that form is passed over."""
    pairs = [row for row in rows if isinstance(row, list | tuple) and len(row) == 2] if isinstance(rows, list) else []
    return [(value, runs) for value, runs in pairs if is_value(value) and value and isinstance(runs, str)]


def _colored(one: Class, form: Form) -> Class:
    """A class with its colour in a form's palette, where it has none of its own."""
    value = one.value
    if "color" in one.entry or isinstance(value, str) or not form.palette or value >= form.size:
        return one
    color = int.from_bytes(form.palette[value * 3 : value * 3 + 3], "big")
    return one._replace(entry={**one.entry, "color": color_text(color)})


def _free_values(taken: Collection[Value]) -> Iterator[Value]:
    return (value for value in range(1, MAX_VALUE + 1) if value not in taken)


def _free_colors(taken: Collection[Value]) -> Iterator[Value]:
    wanted = dict.fromkeys(chain(fixed_colors()[1:], range(1, 1 << 16)))
    return (color for color in map(color_text, wanted) if color not in taken)


def _next(free: Iterator[Value]) -> Value:
    value = next(free, None)
    if value is None:
        raise RefusedError("there are more concepts than masks have values", "export to coco")
    return value
