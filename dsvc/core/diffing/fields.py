"""Which fields of a stored record differ. Numbering is no difference; true, 1 and 1.0 are three values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dsvc.model.facts import NESTED, SHAPE, SHAPE_PARTS, Noun, clashing, shown_path, split_path
from dsvc.model.records import CONFLICTS, Annotation, Concept, Input
from dsvc.model.stored import stored_fields
from dsvc.store import codec

Record = Concept | Input | Annotation
Path = tuple[str, ...]

_NUMBERS = ("number", "n")
# Stored names of fields -> where they are in the record, where that is another place.
_PLACES: dict[Noun, dict[str, Path]] = {
    "concept": {},
    "input": {"width": ("declared_width",), "height": ("declared_height",)},
    "annotation": {
        "a": ("shape", "area"),
        "at": ("attributes",),
        "au": ("author",),
        "b": ("shape", "box"),
        "c": ("concept",),
        "cr": ("crowd",),
        "f": ("frame",),
        "k": ("keypoints",),
        "m": ("shape", "mask"),
        "p": ("shape", "polygons"),
        "pt": ("point",),
        "sp": ("span",),
        "st": ("status",),
        "t": ("text",),
        "ti": ("time",),
        "tr": ("track",),
        "u": ("shape", "unit"),
        "v": ("value",),
        "x": ("extras",),
    },
}


class Difference(NamedTuple):
    """The paths of the fields that differ, and the names of those whose conflicts opened or were settled."""

    paths: tuple[Path, ...] = ()
    opened: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.paths or self.opened or self.settled)


def difference(noun: Noun, old: bytes, new: bytes) -> Difference:
    """What differs between two encoded records. A field that is in conflict now is told as that and no more."""
    before, after = stored_fields(old, noun), stored_fields(new, noun)
    clashes = clashing(before), clashing(after)
    opened = [path for path in clashes[1] if not _same(clashes[0].get(path), clashes[1][path])]
    settled = [path for path in clashes[0] if path not in clashes[1]]
    hidden = {part for path in clashes[1] for part in _parts(path)}
    places = _PLACES[noun]
    paths = sorted(
        (*places.get(first, (first,)), *rest)
        for first, *rest in _differing((), before, after)
        if first not in _NUMBERS and (first, *rest) not in hidden
    )
    names = [tuple(shown_path(noun, path) for path in sorted(part)) for part in (opened, settled)]
    return Difference(tuple(paths), *names)


def _parts(path: str) -> list[Path]:
    """The fields of a record that a path of the facts stands for."""
    return [(part,) for part in SHAPE_PARTS] if path == SHAPE else [split_path(path)]


def _differing(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Path]:
    """The paths at which two maps differ, as deep as maps are fields of their own."""
    for name in old.keys() | new.keys():
        if not path and name == CONFLICTS:
            continue
        here = (*path, name)
        a, b = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if _same(a, b):
            continue
        inner = [{} if value is _ABSENT else value for value in (a, b)]
        is_nested = len(path) < NESTED.get(here[0], 0) and all(type(value) is dict for value in inner)
        found = list(_differing(here, *inner)) if is_nested else []
        # An empty map against none at all differs, and no name in it does.
        yield from found or [here]


_ABSENT = object()


def _same(a: Any, b: Any) -> bool:
    """Whether two values are equal as they are encoded."""
    if a is b:
        return True
    if a is _ABSENT or b is _ABSENT or a != b:
        return False
    return isinstance(a, str | bytes) or codec.encode(a) == codec.encode(b)


def value_at(record: Record | None, path: Path) -> Any:
    """The value that a record has at the path of a field; None where it has none."""
    value: Any = record
    for name in path:
        if value is None:
            return None
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name)
    return value
