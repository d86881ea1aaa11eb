"""The changes of one input's annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from dsvc.core.diffing.change import Change, Kind, conflict_kinds, one_sided, plain_paths
from dsvc.core.diffing.fields import Difference, Path, difference
from dsvc.core.diffing.places import PLACES, place_change
from dsvc.model.geometry import Size, extent_of, pair_by_place
from dsvc.model.records import Annotation, decode_annotation

_UNIT = ("shape", "unit")


class Stored(NamedTuple):
    """An annotation of one input that differs: its id, and its encoded value before and after, or None."""

    id: str
    old: bytes | None
    new: bytes | None


class Sides(NamedTuple):
    """An input's key before and after, and how its sizes are found out: in pixels, where they are known."""

    old: str
    new: str
    size_before: Callable[[], Size | None]
    size_after: Callable[[], Size | None]


def annotation_changes(found: Iterable[Stored], sides: Sides) -> list[Change]:
    """The changes of annotations, by id. One that is gone and one that came in its place are one change."""
    sides = sides._replace(size_before=cache(sides.size_before), size_after=cache(sides.size_after))
    removed: dict[str, tuple[Annotation, bytes]] = {}
    added: dict[str, tuple[Annotation, bytes]] = {}
    changes = []
    for one in found:
        old = _decoded(sides.old, one.id, one.old) if one.old is not None else None
        new = _decoded(sides.new, one.id, one.new) if one.new is not None else None
        if old is not None and new is not None and one.old is not None and one.new is not None:
            changes.append(_changed(old, new, difference("annotation", one.old, one.new), sides))
        elif old is not None and one.old is not None:
            removed[one.id] = old, one.old
        elif new is not None and one.new is not None:
            added[one.id] = new, one.new
    changes += _replaced(removed, added, sides) if removed and added else []
    changes += [one_sided("annotation", _name(a), a, None) for a, _ in removed.values()]
    changes += [one_sided("annotation", _name(a), None, a) for a, _ in added.values()]
    return sorted((change for change in changes if change is not None), key=_id)


def _id(change: Change) -> str:
    record: Any = change.new or change.old
    id: str = record.id
    return id


def _decoded(key: str, id: str, value: bytes) -> Annotation:
    return decode_annotation(f"{key}\0{id}".encode(), value)


def _name(annotation: Annotation) -> str:
    return f"{annotation.key}#{annotation.id}"


def _replaced(
    removed: dict[str, tuple[Annotation, bytes]], added: dict[str, tuple[Annotation, bytes]], sides: Sides
) -> list[Change | None]:
    """Take out of both what is one annotation under another id."""
    changes = [_same_place(removed.pop(a), added.pop(b)) for a, b in _equal(removed, added)]
    gone, came = [a for a, _ in removed.values()], [a for a, _ in added.values()]
    size = None
    if any(map(_is_relative, gone)) or any(map(_is_relative, came)):
        size = sides.size_after() or sides.size_before()
    for pair in pair_by_place(gone, came, size=size):
        old, new = removed.pop(pair.old.id), added.pop(pair.new.id)
        found = difference("annotation", old[1], new[1])
        change = _changed(pair.old, pair.new, found, sides)
        changes.append(change._replace(iou=pair.iou) if change is not None else None)
    return changes


def _equal(
    removed: dict[str, tuple[Annotation, bytes]], added: dict[str, tuple[Annotation, bytes]]
) -> list[tuple[str, str]]:
    """The ids of those that are stored alike, in the order of the ids: there is nothing else to compare of them."""
    waiting: dict[bytes, list[str]] = {}
    for id in sorted(added, reverse=True):
        waiting.setdefault(added[id][1], []).append(id)
    partners = ((id, waiting.get(removed[id][1])) for id in sorted(removed))
    return [(id, ids.pop()) for id, ids in partners if ids]


def _same_place(old: tuple[Annotation, bytes], new: tuple[Annotation, bytes]) -> Change | None:
    share = 1.0 if extent_of(new[0], (1.0, 1.0)) is not None else None
    return Change("annotation", "changed", _name(new[0]), old[0], new[0], ("new_id",), _name(old[0]), share)


def _is_relative(annotation: Annotation) -> bool:
    return annotation.shape is not None and annotation.shape.unit == "relative"


def _changed(old: Annotation, new: Annotation, found: Difference, sides: Sides) -> Change | None:
    """What happened to an annotation that is on both sides; None where nothing but its number did."""
    kinds: list[Kind] = ["new_id"] if old.id != new.id else []
    share = pixels = None
    paths = plain_paths(found)
    if any(path[0] in PLACES for path in paths):
        relative = _is_relative(old) or _is_relative(new)
        sizes = (sides.size_before(), sides.size_after()) if relative else (None, None)
        place = place_change(old, new, paths, sizes)
        share, pixels = place.iou, place.pixels
        kinds += ["moved"] if place.moved else []
        kinds += ["reshaped"] if place.reshaped else []
    kinds += _other_kinds(paths, bool({"moved", "reshaped"} & set(kinds)))
    kinds += conflict_kinds(found)
    if not kinds:
        return None
    old_name = _name(old) if _name(old) != _name(new) else None
    return Change("annotation", "changed", _name(new), old, new, tuple(kinds), old_name, share, pixels,
                  found.paths, found.opened, found.settled)  # fmt: skip


def _other_kinds(paths: list[Path], is_placed: bool) -> list[Kind]:
    """What else differs; `is_placed` says that the place's fields are told."""
    kinds: list[Kind] = []
    names = {path[0] for path in paths if not (is_placed and path[0] in PLACES and path != _UNIT)}
    for name, kind in _KINDS.items():
        if name in names:
            kinds.append(kind)
    return [*kinds, *(("other",) if names - _KINDS.keys() else ())]


_KINDS: dict[str, Kind] = {"concept": "relabelled", "attributes": "attributes", "text": "text"}
