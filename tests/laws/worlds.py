"""Small worlds in which everything collides: few keys, few values, conflicts, and records that name each other.

A world is read off a tape of bytes that hypothesis draws: quick to draw, and zeros, to which it shrinks, are the
simplest choice everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st
from plain import EXISTS, NO, NOTHING, SHAPE, YES, Path, Record, World, dangling, named, owner, values

from dsvc.model.node import Store
from dsvc.model.numbers import pack_numbers
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId, object_id

T = TypeVar("T")

CONCEPTS = ("cat", "cow", "dog")
INPUTS = ("a.jpg", "b.jpg", "d/c.jpg")
IDS = ("1", "2", "3")
KEYS = {
    "concepts": [name.encode() for name in CONCEPTS],
    "inputs": [name.encode() for name in INPUTS],
    "annotations": [f"{name}\0{id}".encode() for name in INPUTS for id in IDS],
}
NOUNS = tuple(KEYS)
TAPE = 1024
A, B = b"\1" * 32, b"\2" * 32
# Told apart though equal in Python.
LIKE_ONE = (1, 1.0, True)

MENUS: dict[str, dict[Path, Sequence[Any]]] = {
    "concepts": {
        ("supercategory",): ("animal", "pet"),
        ("number",): (1, 2, 10, "1", "02"),
        ("keypoints",): (["nose"], ["nose", "tail"]),
        ("extras", "coco", "color"): (*LIKE_ONE, None),
        ("extras", "coco"): ({},),
    },
    "inputs": {
        ("media",): (
            {"blob": A, "size": 1, "type": "image/jpeg"},
            {"type": "image/jpeg"},
            {"blob": A, "size": 1, "type": "image/jpeg", "width": 2, "height": 3},
            {"blob": A, "size": 1, "type": "image/jpeg", "duration": 1.5},
            {"blob": B, "size": 2, "type": "image/png"},
        ),
        ("width",): (640, 641),
        ("split",): ("train", "val", "test"),
        ("geo",): (pack_numbers((1, 2)), pack_numbers((1.5, 2))),
        ("number",): (1, 2, "1"),
        ("metadata", "camera"): (*LIKE_ONE, {"a": 1}, {}),
        ("metadata", "room"): ("x", "y"),
        ("embeddings", "clip"): (pack_numbers((1, 2)), pack_numbers((1,))),
        ("extras", "coco", "neg_category_ids"): (["cat"], ["cow", "dog"], [], ["dog"]),
        ("extras", "coco", "not_exhaustive_category_ids"): (["cow"], ["cat", "dog"]),
        ("extras", "coco", "date"): (*LIKE_ONE, None),
        ("extras", "coco", "eyes:absent"): (["left"], ["right"], "both"),
        ("extras", "coco:absent"): (["file_name"], ["height", "file_name"], []),
    },
    "annotations": {
        ("c",): CONCEPTS,
        ("k",): (pack_numbers((1, 2, 2)), pack_numbers((3, 2, 1))),
        ("v",): (0, 1, 0.5),
        ("t",): ("hello", ""),
        ("tr",): (1, "1"),
        ("n",): (1, 2, 3, "1"),
        ("at", "color"): ("red", *LIKE_ONE),
        ("at", "size"): (1, 2),
        ("at",): ({},),
        ("x", "coco", "score"): (0.5, *LIKE_ONE, None),
        ("x", "clarifai", "score"): (1, [1]),
    },
}
SHAPE_PARTS: dict[str, Sequence[Any]] = {
    "a": (4, 5),
    "b": (pack_numbers((1, 2, 3, 4)), pack_numbers((1, 2, 3, 5))),
    "m": ([2, 2, "11"], [2, 2, "12"]),
    "p": ([pack_numbers((0, 0, 1, 0, 1, 1))], []),
    "u": (1,),
}


class DictStore:
    """Objects in a dict."""

    def __init__(self) -> None:
        self.objects: dict[ObjectId, bytes] = {}

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        return self.objects[id]

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        id = object_id(kind, data)
        self.objects[id] = data
        return id


class Tape:
    """Choices, a byte each; past the end all are the first."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def below(self, count: int) -> int:
        """A number from 0 to below `count`."""
        return next(self._bytes, 0) % count

    def chance(self, percent: int) -> bool:
        """Yes as often as that, and no where the tape is zero."""
        return next(self._bytes, 0) * 100 >= (100 - percent) * 256

    def choose(self, some: Sequence[T]) -> T:
        """One of some."""
        return some[self.below(len(some))]


tapes = st.binary(min_size=TAPE, max_size=TAPE).map(Tape)


# ---- records


def new_record(tape: Tape, noun: str, key: bytes) -> Record:
    """A record with some of its fields, a few of them in conflict."""
    record: Record = {}
    if noun == "concepts":
        name = key.decode()
        record["name",] = values(tape.choose((name, name.title(), name.upper())))
    for path in MENUS[noun]:
        if tape.chance(35):
            record[path] = new_values(tape, noun, path)
    if noun == "annotations" and tape.chance(70):
        record[SHAPE] = shapes(tape)
    if tape.chance(4):
        record[EXISTS] = frozenset([YES, NO])
    return tidy(record)


def new_values(tape: Tape, noun: str, path: Path) -> frozenset[bytes]:
    """The value of a field, seldom several. Fields that settle themselves have one."""
    menu = MENUS[noun][path]
    count = 2 + tape.below(2) if tape.chance(12) and path not in (("number",), ("n",), ("extras", "coco:absent")) else 1
    found = values(*(tape.choose(menu) for _ in range(count)))
    return largest(found) if path == ("media",) else found


def changed_values(tape: Tape, noun: str, path: Path, old: frozenset[bytes]) -> frozenset[bytes]:
    """Another value of a field; of a shape mostly the same with one part put in, changed or taken out."""
    if path != SHAPE:
        return new_values(tape, noun, path)
    if len(old) != 1 or tape.chance(30):
        return shapes(tape)
    shape = {**codec.decode(*old)}
    for _ in range(1 + tape.below(2)):
        part = tape.choose("abbmmp" if tape.chance(85) else "u")
        shape[part] = tape.choose(SHAPE_PARTS[part])
        if tape.chance(40) and shape.keys() - {part, "u"}:
            del shape[part]
    return values(shape)


def shapes(tape: Tape) -> frozenset[bytes]:
    """One shape, seldom several."""
    return largest(values(*(new_shape(tape) for _ in range(2 if tape.chance(12) else 1))))


def new_shape(tape: Tape) -> dict[str, Any]:
    """A shape of some parts."""
    parts = {name: tape.choose(menu) for name, menu in SHAPE_PARTS.items() if tape.chance(50 if name != "u" else 15)}
    return parts if parts.keys() - {"u"} else {**parts, "b": SHAPE_PARTS["b"][0]}


def largest(found: frozenset[bytes]) -> frozenset[bytes]:
    """Of a group's values, as every merge leaves them: none has all parts of another one."""
    maps = {value: {"u": 0, **codec.decode(value)} for value in found}
    parts = {value: {(name, codec.encode(part)) for name, part in maps[value].items()} for value in found}
    return frozenset(value for value in found if not any(parts[value] < parts[other] for other in found))


def tidy(record: Record) -> Record:
    """A record without empty maps where there is something in them, and with fields that are not there left out."""
    return {
        path: some
        for path, some in record.items()
        if some and not (some == values({}) and any(path == other[: len(path)] != other for other in record))
    }


# ---- worlds


def new_world(tape: Tape) -> World:
    """A world without dangling references."""
    world = World({}, {}, {}, {})
    for noun, share in (("concepts", 75), ("inputs", 80), ("annotations", 55)):
        for key in KEYS[noun]:
            if tape.chance(share):
                getattr(world, noun)[key] = new_record(tape, noun, key)
    _edit_meta(tape, world)
    return sound(tape, world)


def edited(tape: Tape, world: World, most: int = 8) -> World:
    """What somebody made of a world."""
    new = world.copy()
    for _ in range(tape.below(most + 1)):
        noun = tape.choose(("annotations", "inputs", "concepts", "annotations"))
        edit_record(tape, noun, getattr(new, noun), tape.choose(KEYS[noun]))
    if tape.chance(15):
        _edit_meta(tape, new)
    return sound(tape, new)


def edit_record(tape: Tape, noun: str, records: dict[bytes, Record], key: bytes) -> None:
    """Change, add or delete one record."""
    if key not in records:
        records[key] = new_record(tape, noun, key)
    elif tape.chance(30):
        del records[key]
    else:
        record = dict(records[key])
        for _ in range(1 + tape.below(2)):
            path = tape.choose([*MENUS[noun], *([SHAPE] * 4 if noun == "annotations" else [])])
            record[path] = NOTHING if tape.chance(25) else changed_values(tape, noun, path, record.get(path, NOTHING))
        if tape.chance(10):
            record.pop(EXISTS, None)
        records[key] = tidy(record)


def _edit_meta(tape: Tape, world: World) -> None:
    for format in ("coco", "clarifai"):
        for source in ("x", "y"):
            if tape.chance(20):
                world.meta.setdefault(format, {})[source] = {"year": tape.choose((*LIKE_ONE, 2))}


def sound(tape: Tape, world: World) -> World:
    """A world in which what is named is there: either the one goes or the other comes."""
    for key in [key for key in world.annotations if owner(key) not in world.inputs]:
        del world.annotations[key]
    for name in CONCEPTS:
        key = name.encode()
        users = [(tree, k) for tree in (world.inputs, world.annotations) for k, r in tree.items() if key in named(r)]
        if key in world.concepts or not users:
            continue
        if tape.chance(50):
            world.concepts[key] = {("name",): values(name)}
            continue
        for tree, k in users:
            tree[k] = _forget(tree[k], key)
    assert not dangling(world)
    return world


def _forget(record: Record, concept: bytes) -> Record:
    """A record without the fields that name a concept."""
    return {path: some for path, some in record.items() if concept not in named({path: some})}


def three(tape: Tape) -> tuple[World, World, World]:
    """A base and what two people made of it, seldom the same."""
    base = new_world(tape)
    ours = edited(tape, base)
    return base, ours, edited(tape, ours if tape.chance(10) else base)


def store_of() -> Store:
    """A store in memory."""
    return DictStore()
