"""What is kept of counts, two programs at once, records that cannot be read, and conflicts."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from recount import recount, said

from dsvc.core.dataset import Dataset
from dsvc.core.metrics import keeping, metrics, ranges
from dsvc.core.metrics.measuring import measure
from dsvc.core.metrics.metrics import known_metrics, measure_snapshot
from dsvc.core.metrics.places import mask_middle
from dsvc.core.metrics.summary import Summary, add, finished, pack, unpack
from dsvc.errors import DamagedError, UsageError
from dsvc.model.geometry import box_of
from dsvc.model.records import (
    Annotation,
    Input,
    Mask,
    Media,
    Shape,
    annotation_key,
    encode_annotation,
    encode_input,
    encode_mask,
)
from dsvc.model.snapshot import SnapshotEdits, edit_roots
from dsvc.store import codec
from dsvc.store.ids import ObjectId

PROGRAM = """
import sys, dsvc
print(dsvc.open(sys.argv[1]).dataset("pets").draft().metrics().counts["annotations"])
"""


def edit(dataset: Dataset, edits: SnapshotEdits) -> None:
    with dataset.edit() as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))


@pytest.fixture
def many(pets: Dataset) -> Dataset:
    """3,000 inputs with an annotation each, of 3 concepts."""
    edits = SnapshotEdits()
    for number in range(3000):
        key = f"{number:05d}"
        media = Media(blob=ObjectId(bytes([number % 250]) * 32))
        edits.inputs[key.encode()] = encode_input(Input(key=key, media=media, declared_width=9, declared_height=9))
        one = Annotation(key=key, id="a", concept=f"c{number % 3}", shape=Shape(box=(number % 9, 1, 1, 1)))
        edits.annotations[annotation_key(key, "a")] = encode_annotation(one)
    edit(pets, edits)
    return pets


def test_two_programs(many: Dataset) -> None:
    """Programs that count at once agree, and what they keep serves the next."""
    folder = many.repository.workspace.folder.parent
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [program.communicate()[0] for program in programs] == ["3000\n", "3000\n"]
    known = known_metrics(many.draft().snapshot)
    assert known is not None
    assert said(known) == recount(many.draft())


def test_known(many: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large state that was not counted is not known; a small one is counted in passing."""
    snapshot = many.draft().snapshot
    assert known_metrics(snapshot) is None
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "FEW", 10_000)
        counted = known_metrics(snapshot)
    assert counted is not None
    assert known_metrics(snapshot) == counted == measure_snapshot(snapshot)


def test_little_memory(many: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory keeps next to nothing and the disk nothing, all is counted all the same."""
    monkeypatch.setattr(keeping, "LIMIT", 100)
    monkeypatch.setattr(keeping, "SMALL", 10_000)
    before = measure_snapshot(many.draft().snapshot)
    assert measure_snapshot(many.draft().snapshot) == before
    assert said(before) == recount(many.draft())
    assert not (many.repository.cache_folder / "metrics.sqlite").exists()


def test_progress(many: Dataset) -> None:
    """What is told ends with all inputs, also where much is known."""
    told: list[tuple[str, int, int | None]] = []
    many.draft().metrics(progress=lambda *found: told.append(found))
    assert told[-1] == ("count inputs", 3000, 3000)
    edits = SnapshotEdits()
    edits.annotations[annotation_key("02000", "b")] = encode_annotation(Annotation(key="02000", id="b"))
    edit(many, edits)
    told.clear()
    many.draft().metrics(progress=lambda *found: told.append(found))
    assert told[-1] == ("count inputs", 3000, 3000)


def test_sums(many: Dataset) -> None:
    """Sums do not depend on the order or on how parts are put together; bytes give back what they were made of."""
    inputs = list(many.draft().input_entries())[:300]
    annotations = list(many.draft().annotation_entries())[:300]
    parts = [measure(inputs[at : at + 60], annotations[at : at + 60]).summary for at in range(0, 300, 60)]
    whole = finished(measure(inputs, annotations).summary)
    for sums in (
        add(parts),
        add(parts[::-1]),
        add([add(parts[:2]), add(parts[2:])]),
        add([parts[4], add([parts[1], add([parts[3], parts[0]])]), parts[2]]),
        add([unpack(pack(part)) for part in parts]),
    ):
        assert same(finished(sums), whole)
    assert same(unpack(pack(whole)), whole)
    assert whole.duplicates == (50, 50)


def same(one: Summary, other: Summary) -> bool:
    return pack(one) == pack(other)


# ---- records that cannot be read


@pytest.mark.parametrize(
    "fields",
    [
        {"c": 7},
        {"b": b"\x99\x01"},
        {"b": b"\xf0\x01"},
        {"p": [b"\xf0"]},
        {"v": "x"},
        {"m": [1, 2]},
        {"t": 1, "v": 1 << 70},
    ],
)
def test_damaged(pets: Dataset, fields: dict) -> None:
    """A record that is not what it should be is an error that tells which one it is."""
    edits = SnapshotEdits()
    edits.inputs[b"a.jpg"] = encode_input(Input(key="a.jpg"))
    edits.annotations[b"a.jpg\x000"] = encode_annotation(Annotation(key="a.jpg", id="0"))
    edits.annotations[b"a.jpg\x001"] = codec.encode(fields)
    edit(pets, edits)
    with pytest.raises(DamagedError, match=r"annotation 'a.jpg\\x001'"):
        pets.draft().metrics()


def test_damaged_input(pets: Dataset) -> None:
    edits = SnapshotEdits()
    edits.inputs[b"good"] = encode_input(Input(key="good"))
    edits.inputs[b"bad"] = codec.encode({"split": 3})
    edit(pets, edits)
    with pytest.raises(DamagedError, match="input 'bad' cannot be read"):
        pets.draft().metrics()


@pytest.mark.parametrize("key", [b"0\x001", b"b\x001", b"z\x001", b"a", b"a!\x001"])
def test_without_an_input(pets: Dataset, key: bytes) -> None:
    """Annotations before, between and behind the inputs, and one that is no annotation at all."""
    edits = SnapshotEdits()
    edits.inputs = {name: encode_input(Input(key=name.decode())) for name in (b"a", b"c")}
    edits.annotations[key] = encode_annotation(Annotation(key="x", id="1"))
    edit(pets, edits)
    with pytest.raises(DamagedError, match="has no input"):
        pets.draft().metrics()


def test_without_an_input_among_many(many: Dataset) -> None:
    """Also behind the last input of a leaf, or of all."""
    many.draft().metrics()
    lasts = [leaf.key for leaf in many.draft().snapshot.input_tree.leaves()]
    for last in (lasts[0], lasts[-2], lasts[-1]):
        edits, orphan = SnapshotEdits(), last + b"+\x001"
        edits.annotations[orphan] = encode_annotation(Annotation(key="x", id="1"))
        edit(many, edits)
        with pytest.raises(DamagedError, match="has no input"):
            many.draft().metrics()
        edits.annotations[orphan] = None
        edit(many, edits)
        assert many.draft().metrics().counts["annotations"] == 3000


def test_only_annotations(pets: Dataset) -> None:
    edits = SnapshotEdits()
    edits.annotations[b"a\x001"] = encode_annotation(Annotation(key="a", id="1"))
    edit(pets, edits)
    with pytest.raises(DamagedError, match="has no input"):
        pets.draft().metrics()


def test_conflicts_are_absent(pets: Dataset) -> None:
    """What is in conflict is not counted, in neither of its values."""
    clashing = Input(key="a", conflicts={"split": ("train", "val"), "metadata\0camera": ("left", "right")})
    edits = SnapshotEdits()
    edits.inputs[b"a"] = encode_input(clashing)
    edits.annotations[b"a\x001"] = encode_annotation(
        Annotation(key="a", id="1", conflicts={"c": ("cat", "dog"), "v": (0, 1)}, shape=Shape(box=(1, 2, 3, 4)))
    )
    edit(pets, edits)
    state = pets.draft()
    found = state.metrics("metadata.camera")
    assert said(found) == recount(state, "metadata.camera")
    assert (found.splits, list(found.groups)) == ({"(none)": 1}, ["(none)"])
    assert (found.counts["positive_labels"], found.counts["regions"]) == (0, 1)


def test_an_input_of_many_concepts(pets: Dataset) -> None:
    """Inputs of so many concepts that pairs would be too many take no part in these."""
    edits = SnapshotEdits()
    for key, count in (("a", 256), ("b", 257), ("c", 2)):
        edits.inputs[key.encode()] = encode_input(Input(key=key))
        for number in range(count):
            one = Annotation(key=key, id=str(number), concept=f"{number:03d}")
            edits.annotations[annotation_key(key, str(number))] = encode_annotation(one)
    edit(pets, edits)
    found = pets.draft().metrics()
    assert len(found.co_occurrence) == 256 * 255 // 2
    assert found.co_occurrence[0] == ("000", "001", 2)
    assert found.per_input["concepts_count"] == {256: 1, 257: 1, 2: 1}


@pytest.mark.parametrize("by", ["", "concepts", "metadata", "metadata.", "TYPE"])
def test_unknown_groups(pets: Dataset, by: str) -> None:
    with pytest.raises(UsageError, match="cannot be grouped by"):
        pets.draft().metrics(by)


def test_sizes_beyond_all_bounds(pets: Dataset) -> None:
    """Sizes and boxes at the end of what numbers can say."""
    edits = SnapshotEdits()
    for key, (width, height) in {"a": (1e300, 1e300), "b": (1e-300, 1e-300), "c": (1 << 70, 3)}.items():
        edits.inputs[key.encode()] = encode_input(Input(key=key, declared_width=width, declared_height=height))
        for id, box in (
            ("1", (1e308, 1e308, 1e308, 1e308)),
            ("2", (-1e308, 0, 1e-308, 5)),
            ("3", (0, 0, 1e300, 1e300)),
        ):
            one = Annotation(key=key, id=id, shape=Shape(box=box))
            edits.annotations[annotation_key(key, id)] = encode_annotation(one)
    edit(pets, edits)
    found = pets.draft().metrics()
    assert (found.counts["bounding_boxes"], found.counts["boxes_out_of_bounds"]) == (9, 8)
    assert [(one.start, one.end, one.count) for one in found.pixels] == [(0, 2, 1), (1 << 62, 1 << 63, 2)]
    assert sum(map(sum, found.locations)) <= 9


def test_too_many_groups(many: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that tells nearly all inputs apart is nothing to group by; nor are long texts told to their end."""
    edits = SnapshotEdits()
    for number in range(3000):
        key = f"{number:05d}"
        said_of_it = {"number": number, "text": "x" * (499 + number % 3)}
        edits.inputs[key.encode()] = encode_input(Input(key=key, metadata=said_of_it))
    edit(many, edits)
    assert {name: len(name) for name in many.draft().metrics("metadata.text").groups} == {
        "x" * 499: 499,
        "x" * 500: 500,
    }
    monkeypatch.setattr(ranges, "MAX_GROUPS", 2999)
    with pytest.raises(UsageError, match=r"metadata\.number has more than 2,999 different values"):
        many.draft().metrics("metadata.number")
    monkeypatch.setattr(ranges, "MAX_GROUPS", 3000)
    assert len(many.draft().metrics("metadata.number").groups) == 3000


# ---- masks


def test_masks_lie_where_they_are_drawn() -> None:
    """Of masks by chance, and of what is nearly a mask."""
    from pycocotools import mask as rle

    chance = np.random.default_rng(3)
    masks = [Mask(height=3, width=3, counts=text) for text in ("", "0", "\x00", "o", "PPPPPPPPPPPPPPPP0", "é")]
    for _ in range(150):
        height, width = chance.integers(1, 90, 2).tolist()
        drawn = (chance.random((height, width)) < chance.choice((0.02, 0.5, 0.99))).astype(np.uint8)
        masks.append(Mask(height=height, width=width, counts=rle.encode(np.asfortranarray(drawn))["counts"].decode()))
    for mask in masks:
        box = box_of(Annotation(key="", id="", shape=Shape(mask=mask)))
        found = mask_middle(tuple(encode_mask(mask)))
        if box is None:
            assert np.isnan(found).all()
        else:
            middle = (2 * box[0] + box[2]) / mask.width, (2 * box[1] + box[3]) / mask.height
            assert found == pytest.approx(middle)


def test_pictures(pets: Dataset, corpus: Path) -> None:
    """Files of all kinds, as they are added."""
    folder = pets.repository.workspace.folder.parent / "images"
    shutil.copytree(corpus / "images", folder)
    with pets.edit() as draft:
        draft.add(folder)
    state = pets.draft()
    for by in ("type", "split"):
        assert said(state.metrics(by)) == recount(state, by)
    assert state.metrics().counts["media_stored"] == len(state)
