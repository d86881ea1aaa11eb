"""Uniting a source's records with a dataset's: fields that only one side has join, equal ones stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from dsvc.errors import InvalidRecordsError
from dsvc.model.incoming import Problems
from dsvc.model.node import Store
from dsvc.model.records import (
    Annotation,
    Shape,
    decode_annotation,
    encode_annotation,
    split_annotation_key,
)
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree
from dsvc.store import codec
from dsvc.store.ids import ObjectId

CHUNK = 20_000
Place = tuple[Any, ...]
_PLAIN = frozenset((str, bytes, int, bool, type(None)))


class United(NamedTuple):
    """Both sides' records. `doubled` counts annotations that have the number of one on the same input that was there
    before, but say something else, so that both stand."""

    roots: Roots
    doubled: int


def unite(store: Store, ours: Roots, theirs: Roots) -> United:
    """Both sides' records. Raises InvalidRecordsError that names every record on which they disagree."""
    problems = Problems()
    annotations, doubled = _unite_annotations(store, ours, theirs)
    roots = Roots(
        concepts=_unite_tree(store, ours.concepts, theirs.concepts, _fields_of("concept", problems)),
        inputs=_unite_tree(store, ours.inputs, theirs.inputs, _fields_of("input", problems)),
        annotations=annotations,
        meta=unite_meta(ours.meta, theirs.meta),
    )
    refuse_clashes(problems)
    return United(roots, doubled)


def refuse_clashes(problems: Problems) -> None:
    """Raise InvalidRecordsError where records say something else than the dataset."""
    if problems.count:
        hint = "mend the file, or import it into a dataset of its own: dsvc create NAME"
        verb = "record says" if problems.count == 1 else "records say"
        raise InvalidRecordsError(f"{problems.count} {verb} something else than the dataset", problems.found, hint)


def unite_meta(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to files as a whole: a source's newer word replaces its older one."""
    formats = sorted(ours.keys() | theirs.keys())
    return {name: {**ours.get(name, {}), **theirs.get(name, {})} for name in formats}


Joiner = Callable[[bytes, bytes, bytes], bytes]


def _unite_tree(store: Store, ours: ObjectId, theirs: ObjectId, join: Joiner) -> ObjectId:
    mine, other = Tree(store, ours), Tree(store, theirs)
    if not len(mine):
        return theirs
    entries = iter(other)
    while chunk := list(islice(entries, CHUNK)):
        edits: dict[bytes, bytes | None] = {}
        for key, value in chunk:
            old = mine.get(key)
            if old is None:
                edits[key] = value
            elif old != value and (joined := join(key, old, value)) != old:
                edits[key] = joined
        mine = Tree(store, mine.edit(store, edits))
    return mine.root


def _fields_of(what: str, problems: Problems) -> Joiner:
    def join(key: bytes, old: bytes, new: bytes) -> bytes:
        clashes: list[str] = []
        fields = _join_maps(codec.decode(old, what), codec.decode(new, what), clashes)
        if clashes:
            problems.add(f"{what} {key.decode()!r}: " + "; ".join(clashes))
            return old
        return codec.encode(fields)

    return join


# Fields whose maps are joined key by key, to this depth; all others are one value.
NESTED = {"extras": 2, "metadata": 1, "x": 2, "at": 1, "embeddings": 1}


def _join_maps(old: dict[str, Any], new: dict[str, Any], clashes: list[str]) -> dict[str, Any]:
    joined = dict(old)
    for name, value in new.items():
        if name not in old or is_same(old[name], value):
            joined[name] = value
        elif name in ("number", "n"):
            joined[name] = smaller(old[name], value)
        elif name == "name":
            # Two spellings of one name (NFC and NFD): the first by encoding, whoever came first.
            joined[name] = min(old[name], value)
        elif name in NESTED:
            joined[name] = _join_nested(name, old[name], value, NESTED[name], clashes)
        else:
            clashes.append(f"{name} is {old[name]!r} in the dataset and {value!r} in the file"[:300])
    return joined


def _join_nested(path: str, old: Any, new: Any, depth: int, clashes: list[str]) -> Any:
    if depth == 0 or not isinstance(old, dict) or not isinstance(new, dict):
        clashes.append(f"{path} is {old!r} in the dataset and {new!r} in the file"[:300])
        return old
    joined = dict(old)
    for name, value in new.items():
        if name not in old or is_same(old[name], value):
            joined[name] = value
        else:
            joined[name] = _join_nested(f"{path}.{name}", old[name], value, depth - 1, clashes)
    return joined


def is_same(a: Any, b: Any) -> bool:
    """Whether two values of a field are one; true, 1 and 1.0 are three."""
    if a is b or type(a) is not type(b) or type(a) in _PLAIN:
        return type(a) is type(b) and bool(a == b)
    return bool(a == b) and codec.encode(a) == codec.encode(b)


def smaller(a: Any, b: Any) -> Any:
    """The smaller of two numbers of a record, numbers before texts."""
    return min((a, b), key=lambda number: (isinstance(number, str), number))


def _unite_annotations(store: Store, ours: Roots, theirs: Roots) -> tuple[ObjectId, int]:
    """Annotations of one id are one; so are those of the same number, concept and box, which join their parts."""
    mine, other, doubled = Tree(store, ours.annotations), Tree(store, theirs.annotations), 0
    if not len(mine):
        return theirs.annotations, 0
    entries = _by_input(iter(other))
    while chunk := list(islice(entries, 1000)):
        edits: dict[bytes, bytes | None] = {}
        for key, incoming in chunk:
            changes, count = _join_input(dict(mine.prefix(f"{key}\0".encode())), incoming)
            edits |= changes
            doubled += count
        mine = Tree(store, mine.edit(store, edits))
    return mine.root, doubled


def _by_input(entries: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    current, group = "", dict[bytes, bytes]()
    for tree_key, value in entries:
        key, _ = split_annotation_key(tree_key)
        if key != current and group:
            yield current, group
            group = {}
        current = key
        group[tree_key] = value
    if group:
        yield current, group


def _join_input(existing: dict[bytes, bytes], incoming: dict[bytes, bytes]) -> tuple[dict[bytes, bytes | None], int]:
    new = {k: v for k, v in incoming.items() if k not in existing}
    edits: dict[bytes, bytes | None] = {}
    for tree_key in incoming.keys() & existing.keys():
        old, value = existing[tree_key], incoming[tree_key]
        if old != value:  # the same content, so that the numbering differs at most
            edits[tree_key] = _renumbered(tree_key, old, value)
    if not new or not existing:
        return edits | new, 0
    others = [decode_annotation(key, value) for key, value in existing.items() if key not in incoming]
    places = {_place(other): other for other in others}
    places.pop(None, None)
    numbers, doubled = {other.number for other in others if other.number is not None and other.text is None}, 0
    for tree_key, value in new.items():
        annotation = decode_annotation(tree_key, value)
        place = _place(annotation)
        partner = places.pop(place, None) if place is not None else None
        joined = _join_parts(partner, annotation) if partner is not None else None
        if joined is None:
            doubled += annotation.number in numbers and annotation.text is None
            edits[tree_key] = value
        else:
            edits[f"{joined.key}\0{joined.id}".encode()] = encode_annotation(joined)
    return edits, doubled


def _renumbered(tree_key: bytes, old: bytes, new: bytes) -> bytes:
    a, b = decode_annotation(tree_key, old), decode_annotation(tree_key, new)
    numbers = [n for n in (a.number, b.number) if n is not None]
    return encode_annotation(msgspec.structs.replace(a, number=smaller(numbers[0], numbers[-1]) if numbers else None))


def _place(annotation: Annotation) -> Place | None:
    """What makes two annotations from different sources the same: number, concept and box."""
    if annotation.number is None or annotation.shape is None or annotation.shape.box is None:
        return None
    return (annotation.number, annotation.concept, annotation.shape.box)


def _join_parts(old: Annotation, new: Annotation) -> Annotation | None:
    """The older annotation with the parts that only the newer has; None where they disagree."""
    clashes: list[str] = []
    fields: dict[str, Any] = {}
    for name in old.__struct_fields__:
        a, b = getattr(old, name), getattr(new, name)
        if name == "shape":
            fields[name] = _join_shapes(a, b, clashes)
        elif name in ("extras", "attributes"):
            fields[name] = _join_nested(name, dict(a), dict(b), 2, clashes) if a and b else a or b
        elif name not in ("key", "id"):
            fields[name] = a if a is not None else b
            if a is not None and b is not None and a != b:
                clashes.append(name)
    return None if clashes else msgspec.structs.replace(old, **fields)


def _join_shapes(a: Shape | None, b: Shape | None, clashes: list[str]) -> Shape | None:
    if a is None or b is None:
        return a or b
    fields = {}
    for name in a.__struct_fields__:
        mine, other = getattr(a, name), getattr(b, name)
        fields[name] = mine if mine is not None else other
        if mine is not None and other is not None and mine != other:
            clashes.append(name)
    return Shape(**fields)
