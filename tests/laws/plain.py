"""The merge a second time, plainly: dictionaries of fields to sets, written after the words of the specification.

Nothing here is shared with `dsvc.model.merging`, `dsvc.model.facts` or `dsvc.core.merging`; it is slow, and visits
everything. A field is a tuple of names, a value its canonical encoding, a record a dict of fields to sets of values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dsvc.model.node import Store
from dsvc.model.snapshot import Roots, Snapshot
from dsvc.model.tree import build_tree
from dsvc.store import codec

Path = tuple[str, ...]
Values = frozenset[bytes]
Record = dict[Path, Values]
Records = dict[bytes, Record]
NOTHING: Values = frozenset()
SHAPE: Path = ("shape",)
PARTS = ("a", "b", "m", "p", "u")
EXISTS: Path = ("exists",)
YES, NO = codec.encode(True), codec.encode(False)
DEPTHS = {"extras": 3, "x": 3, "metadata": 2, "at": 2, "embeddings": 2}
LISTS = (("extras", "coco", "neg_category_ids"), ("extras", "coco", "not_exhaustive_category_ids"))


class World(NamedTuple):
    """A snapshot: records by tree key, and per format what its sources say of themselves."""

    concepts: Records
    inputs: Records
    annotations: Records
    meta: dict[str, dict[str, Any]]

    def copy(self) -> World:
        """One that may be edited."""
        trees = [{key: dict(record) for key, record in tree.items()} for tree in self[:3]]
        return World(*trees, {format: dict(words) for format, words in self.meta.items()})


def values(*some: Any) -> Values:
    """A set of values."""
    return frozenset(codec.encode(value) for value in some)


def owner(key: bytes) -> bytes:
    """The input of an annotation's key."""
    return key.split(b"\0")[0]


# ---- records and what is stored


def apart(stored: bytes) -> Record:
    """A stored record as fields."""
    fields = codec.decode(stored)
    clashes = fields.pop("!", {})
    record = {path_of(path): values(*some) for path, some in clashes.items()}
    shape = {name: fields.pop(name) for name in PARTS if name in fields}
    if shape:
        record[SHAPE] = values(shape)
    for name, value in fields.items():
        _open((name,), value, record)
    return record


def path_of(text: str) -> Path:
    """A path as conflicts spell it."""
    return tuple(text.split("\0", DEPTHS.get(text.split("\0")[0], 1) - 1))


def _open(path: Path, value: Any, record: Record) -> None:
    if isinstance(value, dict) and value and len(path) < DEPTHS.get(path[0], 1):
        for name, below in value.items():
            _open((*path, name), below, record)
    else:
        record[path] = values(value)


def together(record: Record) -> bytes:
    """Fields as a stored record."""
    fields: dict[str, Any] = {}
    clashes = {}
    for path, some in sorted(record.items()):
        if len(some) > 1:
            clashes["\0".join(path)] = [codec.decode(value) for value in sorted(some)]
            continue
        (value,) = map(codec.decode, some)
        if path == SHAPE:
            fields.update(value)
            continue
        if value == {} and any(other[: len(path)] == path != other for other in record):
            continue  # an empty map is no more than the room for what is in it
        place = fields
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return codec.encode({"!": clashes, **fields} if clashes else fields)


def roots_of(store: Store, world: World) -> Roots:
    """A world as trees."""
    roots = [build_tree(store, sorted((key, together(record)) for key, record in tree.items())) for tree in world[:3]]
    return Roots(concepts=roots[0], inputs=roots[1], annotations=roots[2], meta=world.meta)


def world_of(store: Store, roots: Roots) -> World:
    """Trees as a world."""
    snapshot = Snapshot(store, roots)
    trees = (snapshot.concept_tree, snapshot.input_tree, snapshot.annotation_tree)
    meta = {format: dict(words) for format, words in roots.meta.items()}
    return World(*({key: apart(value) for key, value in tree} for tree in trees), meta)


def named(record: Record) -> set[bytes]:
    """The concepts that a record names, or may come to name."""
    found = {codec.decode(value).encode() for value in record.get(("c",), ())}
    for path in LISTS:
        for value in record.get(path, ()):
            found |= {name.encode() for name in codec.decode(value)}
    return found


def dangling(world: World) -> list[str]:
    """What is named and is not there."""
    missing = [f"input of {key!r}" for key in world.annotations if owner(key) not in world.inputs]
    for tree in (world.inputs, world.annotations):
        for key, record in tree.items():
            missing += [f"{name!r} of {key!r}" for name in named(record) if name not in world.concepts]
    return missing


def differences(one: World, other: World) -> list[str]:
    """What two worlds do not have alike: for a failed assertion to show."""
    found = []
    for noun in ("concepts", "inputs", "annotations"):
        left, right = getattr(one, noun), getattr(other, noun)
        for key in sorted(left.keys() | right.keys()):
            a, b = left.get(key), right.get(key)
            paths = [()] if a is None or b is None else sorted(a.keys() | b.keys())
            pairs = [(path, a, b) if path == () else (path, a.get(path), b.get(path)) for path in paths]
            found += [f"{noun} {key!r} {path}: {x} | {y}" for path, x, y in pairs if x != y]
    return found + ([f"meta: {one.meta} | {other.meta}"] if one.meta != other.meta else [])


# ---- the merge


def formula(base: Values, ours: Values, theirs: Values) -> Values:
    """The formula of the design, word by word."""
    if ours == theirs:
        return ours
    if ours == base:
        return theirs
    if theirs == base:
        return ours
    result = (ours & theirs) | ((ours | theirs) - base)
    for side in (ours, theirs):
        if len(side) == 1:
            result |= side
    if not result and ours and theirs:
        result = ours | theirs
    return result


def merge_field(path: Path, base: Values, ours: Values, theirs: Values) -> Values:
    """The values of one field."""
    if ours in (theirs, base) or theirs == base or not ours or not theirs:
        return formula(base, ours, theirs)
    both = [codec.decode(value) for value in ours | theirs]
    if path in (("number",), ("n",)):
        return values(min(both, key=lambda number: (isinstance(number, str), number)))
    if path == ("name",):
        return values(min(both))
    if len(path) == 2 and path[0] in ("extras", "x") and path[1].endswith(":absent"):
        common = set.intersection(*(set(one) for one in both))
        return values(sorted(common, key=codec.encode))
    if path in (SHAPE, ("media",)):
        return merge_group(path, base, ours, theirs)
    return formula(base, ours, theirs)


def merge_group(path: Path, base: Values, ours: Values, theirs: Values) -> Values:
    """The values of a group of fields, whose parts may join."""
    if len(base) == len(ours) == len(theirs) == 1:
        joined = join_parts(*(parts_of(path, value) for (value,) in (base, ours, theirs)))
        if joined:
            return frozenset([whole(joined)])
    result = formula(base, ours, theirs)
    parts = {value: parts_of(path, value).items() for value in result}
    return frozenset(value for value in result if not any(parts[value] < parts[other] for other in result))


def parts_of(path: Path, value: bytes) -> dict[str, bytes]:
    """The parts of a group's value. A shape always has a unit: pixels, where it does not say."""
    parts = {name: codec.encode(part) for name, part in codec.decode(value).items()}
    return {"u": b"pixel", **parts} if path == SHAPE else parts


def join_parts(base: dict[str, bytes], ours: dict[str, bytes], theirs: dict[str, bytes]) -> dict[str, bytes]:
    """The parts of both sides, or nothing where they do not join."""
    if any(ours[name] != theirs[name] for name in ours.keys() & theirs.keys()):
        return {}
    either = {**ours, **theirs}
    kept = {n: p for n, p in either.items() if (n in ours and n in theirs) or base.get(n) != p}
    return kept if kept.keys() - {"u"} else {}


def whole(parts: dict[str, bytes]) -> bytes:
    """A group's value of its parts."""
    return codec.encode({name: codec.decode(part) for name, part in parts.items() if part != b"pixel"})


def same_but_number(one: Record, other: Record) -> bool:
    """Whether two records say the same."""
    return all(
        one.get(path) == other.get(path) for path in one.keys() | other.keys() if path not in (("n",), ("number",))
    )


def merge_record(base: Record | None, ours: Record | None, theirs: Record | None) -> Record | None:
    """A record of both sides."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        left = ours if theirs is None else theirs
        assert left is not None
        if base is None:
            return left
        return None if same_but_number(base, left) else {**left, EXISTS: frozenset([YES, NO])}
    was = base or {}
    merged = {}
    for path in (ours.keys() | theirs.keys()) - {EXISTS}:
        found = merge_field(path, *(side.get(path, NOTHING) for side in (was, ours, theirs)))
        if found:
            merged[path] = found
    there = [side.get(EXISTS, frozenset([YES])) for side in (ours, theirs)]
    exists = formula(base.get(EXISTS, frozenset([YES])) if base is not None else NOTHING, *there)
    if len(exists) > 1:
        merged[EXISTS] = exists
    return merged


def merge(base: World | None, ours: World, theirs: World) -> World:
    """The world of both sides."""
    was = base if base is not None else World({}, {}, {}, {})
    merged = World({}, {}, {}, merge_meta(was.meta, ours.meta, theirs.meta))
    for before, mine, other, result in zip(was[:3], ours[:3], theirs[:3], merged[:3], strict=True):
        for key in mine.keys() | other.keys():
            record = merge_record(before.get(key), mine.get(key), other.get(key))
            if record is not None:
                result[key] = record
    for key in was.inputs:
        if (key in ours.inputs) != (key in theirs.inputs):
            _keep_input(key, was, ours if key in ours.inputs else theirs, merged)
    _keep_concepts(was, ours, theirs, merged)
    return merged


def merge_meta(base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The words of all sources."""
    merged: dict[str, dict[str, Any]] = {}
    for format in sorted(ours.keys() | theirs.keys()):
        sides = [side.get(format, {}) for side in (base, ours, theirs)]
        for source in sorted(sides[1].keys() | sides[2].keys()):
            was, mine, other = (values(side[source]) if source in side else NOTHING for side in sides)
            found = formula(was, mine, other)
            if found:
                merged.setdefault(format, {})[source] = codec.decode(max(found))
    return merged


def _keep_input(key: bytes, base: World, kept: World, merged: World) -> None:
    """An input that one side deleted and the other, `kept`, has."""
    mine = {name: record for name, record in kept.annotations.items() if owner(name) == key}
    if key not in merged.inputs:
        if not any(name in merged.annotations for name in mine):
            return
        merged.inputs[key] = kept.inputs[key]
    is_open = EXISTS in merged.inputs[key]
    for name, record in mine.items():
        if is_open or (name in base.annotations and same_but_number(base.annotations[name], record)):
            merged.annotations[name] = record


def _keep_concepts(base: World, ours: World, theirs: World, merged: World) -> None:
    for tree in (merged.inputs, merged.annotations):
        for record in tree.values():
            for name in named(record):
                if name not in merged.concepts:
                    merged.concepts[name] = ours.concepts.get(name) or theirs.concepts[name]
