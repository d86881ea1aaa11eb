"""A count after edits is the count that a fresh start gives, and what a plain recount says."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from recount import recount, said

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.core.metrics import ranges
from dsvc.model.node import Leaf
from dsvc.model.records import (
    Annotation,
    Input,
    Mask,
    Media,
    Reference,
    Shape,
    annotation_key,
    encode_annotation,
    encode_input,
)
from dsvc.model.snapshot import SnapshotEdits, edit_roots
from dsvc.store.ids import ObjectId

GROUPINGS = (None, "concept", "type", "split", "metadata.camera")
MASKS = (
    Mask(height=4, width=5, counts=(3, 2, 9, 4, 2)),
    Mask(height=4, width=5, counts=(20,)),
    Mask(height=4, width=5, counts=(3, 2)),  # too short
    Mask(height=7, width=9, counts="W11mN00"),
    Mask(height=7, width=9, counts="\x7f"),
    Mask(height=0, width=9, counts=(0,)),
)


class Maker:
    """Makes records of all kinds, the strange ones too, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def maybe(self, value: Any, share: float = 0.5) -> Any:
        return value if self.chance.random() < share else None

    def numbers(self, count: int, relative: bool) -> tuple[float, ...]:
        scale = 1 if relative else self.chance.choice((60, 600))
        return tuple(round(self.chance.uniform(-0.1, 1.05) * scale, 3) for _ in range(count))

    def input(self, key: str) -> Input:
        chance = self.chance
        declared = self.maybe((chance.choice((640, 100.5, 0, 0.5)), chance.choice((480, 640, 0.25))))
        metadata = {"camera": chance.choice(("left", "right", 7, True, {"a": [1, None]}, 1 << 70))}
        return Input(
            key=key,
            media=self.maybe(self.media()),
            declared_width=declared[0] if declared else self.maybe(12, 0.1),
            declared_height=declared[1] if declared else None,
            split=self.maybe(chance.choice(("train", "val"))),
            geo=self.maybe((1.5, 2.0), 0.2),
            embeddings=self.maybe({"clip": (1.0, 2.0), "dino": (0.5,)}, 0.2),
            metadata=self.maybe(metadata) or {},
        )

    def media(self) -> Media:
        chance = self.chance
        blob = self.maybe(ObjectId(bytes([chance.randrange(30)]) * 32))
        place = Reference(place="s3://b/k", hash=self.maybe(ObjectId(bytes([chance.randrange(30)]) * 32)))
        return Media(
            blob=blob,
            reference=None if blob else self.maybe(place),
            type=self.maybe(chance.choice(("image/png", "image/jpeg", "video/mp4", "text/plain", "application/pdf"))),
            size=self.maybe(chance.randrange(5000)),
            width=self.maybe(1920),
            height=self.maybe(1080),
        )

    def annotation(self, key: str, id: str) -> Annotation:
        chance = self.chance
        relative = chance.random() < 0.3
        plain = chance.random() < 0.2
        return Annotation(
            key=key,
            id=id,
            concept=self.maybe(chance.choice(("cat", "dog", "犬", "cow", "a")), 0.8),
            shape=None if plain else self.maybe(self.shape(relative), 0.8),
            keypoints=None if plain else self.maybe(self.keypoints(relative), 0.2),
            point=None if plain else self.maybe(self.numbers(chance.choice((2, 2, 3)), relative), 0.2),
            text=self.maybe("a text", 0.1),
            span=None if plain else self.maybe((0, chance.choice((5, 1 << 40))), 0.1),
            time=self.maybe((0.5, 1.5), 0.2),
            frame=self.maybe(chance.choice((0, 1, 2, 5, -1, 1 << 33, 1 << 70)), 0.3),
            track=self.maybe(chance.choice((1, "1", "x", 1 << 65)), 0.2),
            value=self.maybe(chance.choice((0, 1, 0.5, -1, 1 << 70)), 0.3),
            crowd=self.maybe(chance.choice((0, 1)), 0.2),
        )

    def shape(self, relative: bool) -> Shape:
        chance = self.chance
        counts = [chance.choice((6, 8, 10)) for _ in range(chance.randrange(4))]
        counts += [chance.choice((0, 5))] if chance.random() < 0.1 else []
        box = self.numbers(chance.choice((4, 4, 4, 4, 3)), relative)
        return Shape(
            box=self.maybe((*box[:3], 0) if chance.random() < 0.1 else box, 0.7),
            polygons=self.maybe(tuple(self.numbers(count, relative) for count in counts)),
            mask=self.maybe(chance.choice(MASKS), 0.2),
            area=self.maybe(chance.choice((0.02, 900, 1024, 9215.5, 9216)), 0.3),
            unit="relative" if relative else "pixel",
        )

    def keypoints(self, relative: bool) -> tuple[float, ...]:
        found: list[float] = []
        for _ in range(self.chance.randrange(4)):
            found += (*self.numbers(2, relative), self.chance.choice((0, 1, 2)))
        return tuple(found) if self.chance.random() < 0.9 else (1.0, 2.0)


def edit(dataset: Dataset, edits: SnapshotEdits) -> None:
    with dataset.edit() as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))


def filled(maker: Maker, count: int) -> SnapshotEdits:
    edits = SnapshotEdits()
    for number in range(count):
        key = f"{number:05d}"
        edits.inputs[key.encode()] = encode_input(maker.input(key))
        add_annotations(edits, maker, key, maker.chance.choice((0, 1, 3, 9)))
    return edits


def add_annotations(edits: SnapshotEdits, maker: Maker, key: str, count: int) -> None:
    for _ in range(count):
        id = f"{maker.chance.randrange(10**9)}"
        edits.annotations[annotation_key(key, id)] = encode_annotation(maker.annotation(key, id))


def boundary_keys(dataset: Dataset) -> list[bytes]:
    """Annotations that begin or end a leaf."""
    tree = dataset.draft().snapshot.annotation_tree
    found = []
    for leaf in tree.leaves():
        node = tree.node(leaf.id)
        assert isinstance(node, Leaf)
        found += [node.keys[0], node.keys[-1]]
    return found


def change(dataset: Dataset, maker: Maker) -> None:
    """Change records at random: annotations at the ends of leaves too, inputs that go and come, sizes that change."""
    snapshot, edits = dataset.draft().snapshot, SnapshotEdits()
    keys = [key for key, _ in snapshot.input_tree]
    for tree_key in maker.chance.sample(boundary_keys(dataset), 2):
        key, id = tree_key.decode().split("\0")
        gone = maker.chance.random() < 0.3
        edits.annotations[tree_key] = None if gone else encode_annotation(maker.annotation(key, id))
    for key in maker.chance.sample(keys, 2):
        edits.inputs[key] = encode_input(maker.input(key.decode()))
    leaving = maker.chance.choice(keys)
    edits.inputs[leaving] = None
    edits.annotations.update({key: None for key, _ in snapshot.annotation_tree.prefix(leaving + b"\0")})
    new = f"{maker.chance.randrange(99999):05d}x\x01"
    edits.inputs[new.encode()] = encode_input(maker.input(new))
    add_annotations(edits, maker, new, maker.chance.choice((0, 2, 40)))
    edit(dataset, edits)


@pytest.mark.parametrize("seed", range(4))
def test_edits(pets: Dataset, seed: int) -> None:
    """Whatever was counted before, each state is counted as it is."""
    maker = Maker(seed)
    edit(pets, filled(maker, 150))
    for turn in range(6):
        state = pets.draft()
        for by in GROUPINGS if turn % 4 == 0 else (None, GROUPINGS[seed + 1]):
            assert said(state.metrics(by)) == recount(state, by), by
        change(pets, maker)


def test_inputs_of_very_many_annotations(pets: Dataset, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a leaf are not all read where one of them changes."""
    monkeypatch.setattr(ranges, "MANY", 200)
    maker = Maker(9)
    edits = SnapshotEdits()
    for number in range(20):
        edits.inputs[b"%d" % number] = encode_input(maker.input(str(number)))
        add_annotations(edits, maker, str(number), 150)
    edit(pets, edits)
    assert said(pets.draft().metrics("type")) == recount(pets.draft(), "type")
    assert sorted(reads) == [1] * 20
    for number in (0, 7, 19):
        reads.clear()
        edits = SnapshotEdits()
        add_annotations(edits, maker, str(number), 1)
        edits.inputs[b"%d" % number] = encode_input(maker.input(str(number)))
        edit(pets, edits)
        assert said(pets.draft().metrics("type")) == recount(pets.draft(), "type")
        assert sum(reads) <= 3


def test_again(pets: Dataset, reads: list[int]) -> None:
    """A state is counted once; after a change, little of it is read. Another program reads nothing either."""
    maker = Maker(1)
    edit(pets, filled(maker, 2000))
    before = pets.draft().metrics("split")
    assert sum(reads) == 2000
    reads.clear()
    assert pets.draft().metrics("split") == before
    assert reads == []
    edits = SnapshotEdits()
    add_annotations(edits, maker, "01000", 1)
    edit(pets, edits)
    after = pets.draft().metrics("split")
    assert after.counts["annotations"] == before.counts["annotations"] + 1
    assert len(reads) <= 2
    reads.clear()
    other = dsvc.open(pets.repository.workspace.folder.parent).dataset("pets")
    assert other.draft().metrics("split") == after
    assert other.draft().metrics() == msgspec.structs.replace(after, by=None, groups=None)
    assert reads == []


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many inputs were counted, each time that some were."""
    found: list[int] = []
    real = ranges.measure

    def measure(inputs, annotations, grouping):
        found.append(len(inputs))
        return real(inputs, annotations, grouping)

    monkeypatch.setattr(ranges, "measure", measure)
    return found


def cache_file(dataset: Dataset) -> Path:
    folder = dataset.repository.cache_folder
    assert folder is not None
    return folder / "metrics.sqlite"


def fresh(dataset: Dataset) -> Dataset:
    """The dataset as another program opens it."""
    return dsvc.open(dataset.repository.workspace.folder.parent).dataset(dataset.name)


@pytest.mark.parametrize("damage", ["gone", "cut", "garbage", "swapped", "read-only", "a folder"])
def test_kept_badly(pets: Dataset, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens to what is kept, the numbers are right."""
    edit(pets, filled(Maker(5), 150))
    expected = recount(pets.draft())
    pets.draft().metrics("split")
    path = cache_file(pets)
    spoil(path, damage)
    for _ in range(2):
        assert said(fresh(pets).draft().metrics()) == expected
    path.parent.chmod(0o755)


def spoil(path: Path, damage: str) -> None:
    import sqlite3

    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "garbage":
        path.write_bytes(data[:5000] + random.Random(1).randbytes(len(data) - 5000))
    elif damage == "swapped":
        with sqlite3.connect(path) as database:
            database.execute("update part set data = (select data from part where name = 'by split' limit 1)")
    elif damage == "read-only":
        path.write_bytes(data[: len(data) // 2])
        path.chmod(0o444)
        path.parent.chmod(0o555)
    else:
        path.unlink()
        path.mkdir()
