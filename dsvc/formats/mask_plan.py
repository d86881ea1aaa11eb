"""What an export of masks decides before it writes: which values there are, and each file's name, size and form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dsvc.errors import DamagedError
from dsvc.formats.counted import counted
from dsvc.formats.mask_form import GRAY, RGB, Form, fixed_form, form_of, widened
from dsvc.formats.mask_losses import annotation_losses, concept_losses
from dsvc.formats.mask_match import stem
from dsvc.formats.mask_values import (
    BinaryValues,
    ClassValues,
    Names,
    Source,
    Stroke,
    Values,
    join_classes,
    new_classes,
)
from dsvc.formats.masks import MAX_PIXELS
from dsvc.formats.said import said_by_sources
from dsvc.model.records import Annotation, Input
from dsvc.model.walk import Walk

_LAYER = re.compile(r"([1-9]\d{0,8})x([1-9]\d{0,8}) (\S+)")


class Layer(NamedTuple):
    """A mask's width and height in pixels, and the form of its file."""

    width: int
    height: int
    form: Form


class Plan:
    """The plan of one export."""

    def __init__(self, walk: Walk) -> None:
        self._changed: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._forms: dict[str, Form] = {}
        self.form = fixed_form()
        for concept in walk.concepts():
            self.lose(*concept_losses(concept))
        if walk.meta.keys() - {"mask"}:
            self.lose("datasets lost what files of other formats said of the whole")
        sources = said_by_sources(walk.meta, "mask", dict)
        try:
            self.values = self._choose_values(walk, sources)
        except (AttributeError, LookupError, TypeError) as error:
            raise DamagedError("what the sources of masks said of themselves cannot be read") from error
        keys = [key.decode() for key, _ in walk.input_entries()]
        self._keys = set(keys)
        self._stems = Counter(map(stem, keys))

    def _choose_values(self, walk: Walk, sources: list[Source]) -> Values:
        """The sources' own values where they agree, else new ones."""
        names = Names(walk.concepts())
        kinds = {source["kind"] for source in sources}
        if kinds == {"binary"}:
            made = BinaryValues(names, sources, _layers(walk, names, sources))
            if not made.odd_folders:
                self._take_forms(sources, Form(GRAY, 8))
                return made
            self.change("concepts cannot name a folder, so that all have values of their own", len(made.odd_folders))
        mapped = [source for source in sources if source["kind"] != "binary"]
        joined = join_classes(mapped) if mapped else None
        if joined is not None:
            self._take_forms(mapped, Form(RGB, 8) if "colors" in kinds else Form(GRAY, 8))
            return ClassValues(names, joined, self.form)
        if mapped:
            self.change("sources say different things about their values, so that all have new ones", len(mapped))
        classes = new_classes(names, sources)
        self.form = widened(self.form, max(value for value in classes if isinstance(value, int)))
        return ClassValues(names, classes, self.form)

    def _take_forms(self, sources: Sequence[Source], otherwise: Form) -> None:
        """The forms of the sources' files; `form`, that of new ones, is theirs if they have but one."""
        rows = {name: fields for source in sources for name, fields in source["forms"].items()}
        self._forms = {name: form for name, fields in rows.items() if (form := form_of(name, fields)) is not None}
        self.form = next(iter(self._forms.values())) if len(self._forms) == 1 else otherwise

    def file_name(self, key: str, layer: str) -> str:
        """The name of a mask: its input's without extension, or whole where that could be another's, too."""
        short = stem(key)
        is_own = self._stems[short] == 1 and (short == key or short not in self._keys)
        return f"masks/{self.values.folders[layer]}{short if is_own else key}.png"

    def layers(self, record: Input) -> dict[str, Layer]:
        """The masks that an input came with: their sizes and forms."""
        found: dict[str, Layer] = {}
        for layer, text in record.extras.get("mask", {}).items():
            match = _LAYER.fullmatch(text)
            if match is not None and layer in self.values.folders:
                width, height = int(match[1]), int(match[2])
                if width * height <= MAX_PIXELS:
                    found[layer] = Layer(width, height, self._forms.get(match[3], self.form))
        return found

    def stroke(self, annotation: Annotation) -> Stroke | None:
        """What an annotation paints; None, and counted, where it has no place in a mask."""
        shape = annotation.shape
        if shape is None or shape.mask is None:
            what = "no shape" if shape is None else "polygons and no mask" if shape.polygons else "a box and no mask"
            self.lose(f"annotations with {what} were left out")
            return None
        if min(shape.mask.height, shape.mask.width) < 1 or shape.mask.height * shape.mask.width > MAX_PIXELS:
            self.lose("masks are too large to be drawn, or empty, and were left out")
            return None
        found = self.values.stroke(annotation)
        if found is None:
            self.lose("masks without a concept were left out")
        else:
            self.lose(*annotation_losses(annotation))
        return found

    def change(self, what: str, number: int = 1) -> None:
        """Count something that goes another way than it came."""
        self._changed[what] += number

    def lose(self, *phrases: str) -> None:
        """Count what the export does not hold: each phrase is the end of a sentence that begins with the number."""
        self._lost.update(phrases)

    def notes(self) -> Iterator[str]:
        """All that was counted."""
        return _sentences(self._changed + self._lost)

    def losses(self) -> Iterator[str]:
        """What the export does not hold."""
        return _sentences(self._lost)


def _sentences(counts: Counter[str]) -> Iterator[str]:
    return (counted(count, what) for what, count in sorted(counts.items()))


def _layers(walk: Walk, names: Names, sources: Sequence[Source]) -> list[str]:
    """What the concepts are called that binary masks have: in the sources, and in masks that were made since."""
    made = {one.concept for sample in walk.samples() for one in sample.annotations if _has_mask(one)}
    known = {name for source in sources for name in source["concepts"] if names.now(name) is not None}
    return sorted(known | {names.called(concept) for concept in made if concept is not None})


def _has_mask(annotation: Annotation) -> bool:
    return annotation.shape is not None and annotation.shape.mask is not None
