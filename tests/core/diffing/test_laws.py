"""Whatever changed is told exactly once, and telling it backwards tells the same."""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from snapshots import snapshot_of

from dsvc.core.compare import compare
from dsvc.core.diffing.diff import Diff
from dsvc.model.records import Annotation, Concept, Input, Media, Shape
from dsvc.model.snapshot import Snapshot
from dsvc.store.ids import ObjectId

BLOBS = st.sampled_from([Media(blob=ObjectId(bytes([n]) * 32)) for n in range(2)])
INPUTS = st.builds(
    Input,
    key=st.sampled_from(["a", "a/b", "a\x01", "b", "c"]),
    media=st.none() | BLOBS,
    split=st.sampled_from([None, "val"]),
    metadata=st.sampled_from([{}, {"x": 1}, {"x": True}]),
    number=st.sampled_from([None, 1]),
)
ANNOTATIONS = st.builds(
    Annotation,
    key=st.just(""),
    id=st.sampled_from("12345"),
    concept=st.sampled_from(["cat", "dog", None]),
    shape=st.none() | st.builds(Shape, box=st.tuples(st.integers(0, 2), st.just(0), st.just(20), st.just(20))),
    text=st.sampled_from([None, "x"]),
    number=st.sampled_from([None, 1]),
    conflicts=st.sampled_from([{}, {}, {"st": ("a", "b")}]),
)
CONCEPTS = st.builds(Concept, id=st.sampled_from("xy"), name=st.just("x"), supercategory=st.sampled_from([None, "s"]))
SAMPLES = st.lists(st.tuples(INPUTS, st.lists(ANNOTATIONS, max_size=4, unique_by=lambda a: a.id)),
                   max_size=4, unique_by=lambda sample: sample[0].key)  # fmt: skip


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    records: list[Any] = draw(st.lists(CONCEPTS, max_size=2, unique_by=lambda c: c.id))
    for record, annotations in draw(SAMPLES):
        records += [record, *(msgspec.structs.replace(a, key=record.key) for a in annotations)]
    return snapshot_of(records)


def records_of(snapshot: Snapshot) -> dict[tuple[str, str], Any]:
    """All records by noun and name, without their numbers."""
    found: dict[tuple[str, str], Any] = {("concept", c.id): c for c in snapshot.concepts()}
    for sample in snapshot.samples():
        found["input", sample.input.key] = sample.input
        found |= {("annotation", f"{a.key}#{a.id}"): a for a in sample.annotations}
    return {name: msgspec.structs.replace(record, number=None) for name, record in found.items()}


@given(snapshots(), snapshots())
def test_the_changes_lead_from_the_one_to_the_other(old: Snapshot, new: Snapshot) -> None:
    state = records_of(old)
    changes = list(Diff(old, new))
    for change in changes:
        if change.old is not None:
            was = state.pop((change.noun, change.old_name or change.name.removeprefix("\0")), None)
            if was is None:  # its input has another key now
                was = state.pop((change.noun, f"{getattr(change.old, 'key', '')}#{getattr(change.old, 'id', '')}"))
            assert was == msgspec.structs.replace(change.old, number=None)
    came: dict[tuple[str, str], Any] = {}
    for change in changes:
        if change.noun == "input" and "renamed" in change.kinds:
            start = f"{change.old_name}#"
            for noun, name in [n for n in state if n[0] == "annotation" and n[1].startswith(start)]:
                moved = state.pop((noun, name))
                came[noun, f"{change.name}#{moved.id}"] = msgspec.structs.replace(moved, key=change.name)
    for change in changes:
        if change.new is not None:
            name = (change.noun, change.name)
            assert name not in state and name not in came
            came[name] = msgspec.structs.replace(change.new, number=None)
    assert encoded(state | came) == encoded(records_of(new))


def encoded(records: dict[tuple[str, str], Any]) -> dict[tuple[str, str], str]:
    """Records as text, so that True and 1 are two."""
    return {name: repr(record) for name, record in records.items()}


@given(snapshots(), snapshots())
def test_every_record_change_is_told_once(old: Snapshot, new: Snapshot) -> None:
    told = Counter[tuple[str, str, str]]()
    renamed: dict[str, str] = {}
    for change in Diff(old, new):
        assert change.kinds
        assert (change.verb == "changed") == (change.old is not None and change.new is not None)
        if change.noun == "input" and change.old_name is not None:
            renamed[change.old_name] = change.name
        for side, record in (("old", change.old), ("new", change.new)):
            if record is not None:
                name = f"{record.key}#{record.id}" if isinstance(record, Annotation) else (
                    record.key if isinstance(record, Input) else record.id)  # fmt: skip
                told[side, change.noun, name] += 1
    assert set(told.values()) <= {1}
    for one in compare(old, new):
        sides = [("old", one.old), ("new", one.new)]
        key = getattr(one.old or one.new, "key", None)
        if key in renamed or key in renamed.values():
            continue  # annotations that only follow their input are told by its rename
        assert all(told[side, one.noun, one.name] == 1 for side, record in sides if record is not None)


@given(snapshots(), snapshots())
def test_backwards_it_is_the_same(old: Snapshot, new: Snapshot) -> None:
    turned = {"added": "removed", "removed": "added", "conflict": "conflict", "settled": "conflict"}

    def facts(diff: Diff, turn: bool) -> list[Any]:
        found = []
        for change in diff:
            kinds = {turned.get(kind, kind) if turn or kind == "settled" else kind for kind in change.kinds}
            names = [change.old_name or change.name, change.name]
            kinds -= {"conflict"}
            found.append((change.noun, *(names[::-1] if turn else names), sorted(kinds), change.iou, change.pixels))
        return sorted(found, key=repr)

    assert facts(Diff(old, new), False) == facts(Diff(new, old), True)


@given(snapshots(), snapshots())
def test_the_counts_are_those_of_the_changes(old: Snapshot, new: Snapshot) -> None:
    stat = Diff(old, new).stat()
    changes = list(Diff(old, new))
    inputs = Counter("renamed" if "renamed" in c.kinds else c.verb for c in changes if c.noun == "input")
    assert stat.inputs == {name: inputs[name] for name in stat.inputs}
    assert stat.concepts == {
        name: sum(c.verb == name for c in changes if c.noun == "concept") for name in stat.concepts
    }
    annotations = [c for c in changes if c.noun == "annotation"]
    kinds = Counter(kind for c in annotations for kind in {c.verb, *c.kinds})
    assert stat.annotations == {name: kinds[name] for name in stat.annotations}
    for verb in ("added", "removed", "moved", "reshaped"):
        assert sum(counts[verb] for counts in stat.by_concept.values()) == stat.annotations[verb]
    assert bool(stat) == bool(changes)


@given(snapshots(), snapshots(), st.data())
def test_by_keys_it_is_a_part_of_the_whole(old: Snapshot, new: Snapshot, data: st.DataObject) -> None:
    """But that an input is only known to be renamed where both its keys are asked for."""
    keys = sorted({record.key for side in (old, new) for record in side.inputs()})
    chosen = data.draw(st.lists(st.sampled_from(keys), min_size=1, unique=True)) if keys else []
    whole = list(Diff(old, new))
    if not chosen or any("renamed" in change.kinds for change in whole):
        return
    part = [c for c in whole if c.noun != "concept" and getattr(c.new or c.old, "key", None) in chosen]
    assert list(Diff(old, new, chosen)) == part
