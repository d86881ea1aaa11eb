"""Inputs, concepts, renames and counts; what is read for them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dsvc.core.diffing.diff import Diff
from dsvc.core.diffing.stat import ANNOTATION_COUNTS, BY_CONCEPT
from dsvc.errors import FilterError, NotFoundError
from dsvc.model.records import Annotation, Concept, Input, Media, Reference, Shape
from dsvc.model.snapshot import Snapshot
from dsvc.store.ids import ObjectId

Make = Callable[..., Snapshot]
BLOBS = [ObjectId(bytes([n]) * 32) for n in range(4)]


def picture(key: str, blob: int = 0, **fields: Any) -> Input:
    return Input(key=key, media=Media(blob=BLOBS[blob], type="image/png", width=100, height=100), **fields)


def boxed(key: str, id: str, x: float = 0, concept: str | None = "cat", **fields: Any) -> Annotation:
    return Annotation(key=key, id=id, concept=concept, shape=Shape(box=(x, 0, 10, 10)), **fields)


def told(diff: Diff) -> list[str]:
    return [str(change) for change in diff]


# ---- inputs and concepts


def test_inputs_and_their_annotations_come_together_in_the_order_of_keys(snapshot: Make) -> None:
    old = snapshot(
        Concept(id="cat", name="cat"),
        picture("b"),
        boxed("b", "2"),
        boxed("a\x01", "1"),
        picture("c", 2),
        boxed("d", "1"),
    )
    new = snapshot(
        Concept(id="dog", name="dog"), picture("b", split="val"), boxed("b", "1", 50), boxed("b", "2", 1),
        boxed("a", "1"), Input(key="a\x01"), boxed("d", "1", number=4),
    )  # fmt: skip
    assert told(Diff(old, new)) == [
        "concept cat: removed",
        "concept dog: added",
        "input a: added",
        "annotation a#1: added",
        "annotation a\x01#1: removed",
        "input b: changed",
        "annotation b#1: added",
        "annotation b#2: moved",
        "input c: removed",
    ]


def test_the_fields_of_an_input_have_their_names(snapshot: Make) -> None:
    old = Input(key="a", split="train", declared_width=4, metadata={"camera": "left", "tags": [1]}, geo=(1.0, 2.0))
    new = picture("a", split="val", metadata={"tags": [2], "year": 1}, embeddings={"clip": (1.0,)}, license="free")
    (change,) = Diff(snapshot(old), snapshot(new))
    assert change.kinds == ("changed",)
    assert change.fields() == {
        "declared_width": (4, None),
        "embeddings.clip": (None, (1.0,)),
        "geo": ((1.0, 2.0), None),
        "license": (None, "free"),
        "media": (None, new.media),
        "metadata.camera": ("left", None),
        "metadata.tags": ([1], [2]),
        "metadata.year": (None, 1),
        "split": ("train", "val"),
    }


def test_the_fields_of_a_concept(snapshot: Make) -> None:
    old = Concept(id="cat", name="cat", supercategory="pet", number=1)
    new = Concept(id="cat", name="cat", supercategory="animal", keypoints=("nose",), number=2)
    (change,) = Diff(snapshot(old), snapshot(new))
    assert (change.noun, change.verb, change.kinds) == ("concept", "changed", ("changed",))
    assert change.fields() == {"keypoints": (None, ("nose",)), "supercategory": ("pet", "animal")}
    assert told(Diff(snapshot(old), snapshot(msgspec.structs.replace(old, number=9)))) == []


def test_equal_states_differ_in_nothing(snapshot: Make) -> None:
    state = snapshot(picture("a"), boxed("a", "1"))
    assert told(Diff(state, state)) == []
    assert not Diff(state, state).stat()


def test_a_few_changes_among_many_read_a_few_nodes(snapshot: Make) -> None:
    records = [boxed(f"{n:05}", "1", n) for n in range(3000)]
    old, new = snapshot(*records), snapshot(*records[:1500], boxed("01500", "1", 7), *records[1501:])
    store: Any = new.input_tree.store
    store.reads = 0
    assert told(Diff(old, new)) == ["annotation 01500#1: moved"]
    assert store.reads < 12


# ---- renames


class TestRenames:
    def test_an_input_by_another_key(self, snapshot: Make) -> None:
        old = snapshot(picture("b", 1), picture("x/a", split="val"), boxed("x/a", "1"), boxed("x/a", "2", 50))
        new = snapshot(picture("b", 1), picture("c/a", split="val"), boxed("c/a", "1"), boxed("c/a", "2", 50))
        (change,) = Diff(old, new)
        assert (change.noun, change.verb, change.name, change.old_name) == ("input", "changed", "c/a", "x/a")
        assert (change.kinds, change.fields()) == (("renamed",), {})
        assert str(change) == "input x/a -> c/a: renamed"
        assert told(Diff(new, old)) == ["input c/a -> x/a: renamed"]

    def test_what_changed_besides_is_told(self, snapshot: Make) -> None:
        old = snapshot(picture("a", split="val"), *[boxed("a", str(n), 50 * n) for n in range(4)])
        new = snapshot(
            picture("b", split="train"),
            boxed("b", "0"),
            boxed("b", "1", 51),
            boxed("b", "9", 100),
            boxed("b", "8", 500),
        )
        assert told(Diff(old, new)) == [
            "input a -> b: renamed and changed",
            "annotation a#1 -> b#1: moved",
            "annotation a#3: removed",
            "annotation b#8: added",
            "annotation a#2 -> b#9: given a new id",
        ]

    @pytest.mark.parametrize(
        "records",
        [
            [picture("b", 1), boxed("b", "1")],  # other bytes
            [picture("b"), boxed("b", "9", 500), boxed("b", "8", 600)],  # other annotations
            [picture("b"), boxed("b", "1"), boxed("b", "2", 50), boxed("b", "3", 90)],  # fewer than half are the same
            [picture("b")],
            [Input(key="b"), boxed("b", "1")],
        ],
    )
    def test_no_renames(self, snapshot: Make, records: list[Any]) -> None:
        old = snapshot(picture("a"), boxed("a", "1"))
        assert not any("renamed" in change.kinds for change in Diff(old, snapshot(*records)))

    def test_half_of_the_annotations_are_enough(self, snapshot: Make) -> None:
        old = snapshot(picture("a"), boxed("a", "1"))
        new = snapshot(picture("b"), boxed("b", "1"), boxed("b", "2", 50))
        assert told(Diff(old, new)) == ["input a -> b: renamed", "annotation b#2: added"]

    def test_equal_pictures_keep_their_names_and_annotations(self, snapshot: Make) -> None:
        old = snapshot(*[picture(f"x/{n}") for n in "abc"], boxed("x/b", "1"))
        new = snapshot(*[picture(f"y/{n}") for n in "cbd"], boxed("y/d", "1"))
        assert told(Diff(old, new)) == [
            "input x/a -> y/b: renamed",
            "input x/c -> y/c: renamed",
            "input x/b -> y/d: renamed",
        ]

    def test_a_copy_is_no_rename(self, snapshot: Make) -> None:
        old, new = snapshot(picture("a")), snapshot(picture("a"), picture("b"))
        assert told(Diff(old, new)) == ["input b: added"]

    def test_references_are_known_by_hash_or_place(self, snapshot: Make) -> None:
        def elsewhere(key: str, **fields: Any) -> Input:
            return Input(key=key, media=Media(reference=Reference(**fields)))

        old = snapshot(
            elsewhere("a", place="s3://x/a"), elsewhere("b", place="s3://x/b", hash=BLOBS[1]), picture("c", 2)
        )
        new = snapshot(elsewhere("d", place="s3://x/a"), elsewhere("e", place="s3://y/b", hash=BLOBS[1]),
                       elsewhere("f", place="s3://x/c", hash=BLOBS[2]))  # fmt: skip
        assert told(Diff(old, new)) == [
            "input a -> d: renamed",
            "input b -> e: renamed and changed",
            "input c -> f: renamed and changed",
        ]

    def test_without_media_number_or_annotations_tell(self, snapshot: Make) -> None:
        old = snapshot(Input(key="a", number=7, declared_width=5, declared_height=5), boxed("b", "1"), Input(key="c"))
        new = snapshot(Input(key="d", number=7, declared_width=5, declared_height=5), boxed("e", "1"), Input(key="f"))
        assert told(Diff(old, new)) == [
            "input c: removed", "input a -> d: renamed", "input b -> e: renamed", "input f: added"
        ]  # fmt: skip

    def test_very_many_equal_pictures_pair_by_equal_annotations_alone(self, snapshot: Make) -> None:
        old = snapshot(*[r for n in range(30) for r in (picture(f"a{n}"), boxed(f"a{n}", "1", n))])
        new = snapshot(*[r for n in range(30) for r in (picture(f"b{n}"), boxed(f"b{n}", "1", n + n % 2 * 40))])
        found = list(Diff(old, new))
        assert sum("renamed" in change.kinds for change in found) == 30
        many = snapshot(*[r for n in range(60) for r in (picture(f"b{n}"), boxed(f"b{n}", "1", n + 0.5))])
        assert not any("renamed" in change.kinds for change in Diff(old, many))


# ---- choosing


class TestChoosing:
    @pytest.fixture
    def sides(self, snapshot: Make) -> tuple[Snapshot, Snapshot]:
        old = snapshot(
            Concept(id="cat", name="cat"), picture("a", split="val"), boxed("a", "1"), boxed("a", "2", 50),
            picture("b", 1, split="val"), boxed("b", "1"), picture("c#1", 2, split="train"), boxed("c#1", "1"),
        )  # fmt: skip
        new = snapshot(
            picture("a", split="train"), boxed("a", "1", 1), boxed("a", "9", 50), picture("c#1", 2, split="val"),
            picture("d", 1, split="val"), boxed("d", "1"),
        )  # fmt: skip
        return old, new

    def test_inputs_by_key(self, sides: tuple[Snapshot, Snapshot]) -> None:
        assert told(Diff(*sides, ["a"])) == [
            "input a: changed", "annotation a#1: moved", "annotation a#2 -> a#9: given a new id"
        ]  # fmt: skip
        assert told(Diff(*sides, ["c#1"])) == ["input c#1: changed", "annotation c#1#1: removed"]
        assert told(Diff(*sides, ["b"])) == ["input b: removed", "annotation b#1: removed"]
        assert told(Diff(*sides, ["d", "b"])) == ["input b -> d: renamed"]

    def test_annotations_by_id(self, sides: tuple[Snapshot, Snapshot]) -> None:
        assert told(Diff(*sides, ["a#1"])) == ["annotation a#1: moved"]
        pair = ["annotation a#2 -> a#9: given a new id"]
        assert told(Diff(*sides, ["a#2"])) == told(Diff(*sides, ["a#9"])) == told(Diff(*sides, ["a#2", "a#9"])) == pair
        assert told(Diff(*sides, ["a", "a#1"])) == told(Diff(*sides, ["a#1", "a"])) == told(Diff(*sides, ["a"]))
        assert told(Diff(*sides, ["c#1#1"])) == ["annotation c#1#1: removed"]

    def test_what_is_on_neither_side(self, sides: tuple[Snapshot, Snapshot]) -> None:
        with pytest.raises(NotFoundError, match="no input 'x' on either side"):
            Diff(*sides, ["a", "x"])
        with pytest.raises(NotFoundError, match="no input 'x' on either side"):
            Diff(*sides, ["x#1"])
        with pytest.raises(NotFoundError, match="no annotation 'a#7' on either side") as caught:
            Diff(*sides, ["a#7"])
        assert caught.value.hint == "see: dsvc diff --key a"

    def test_only_the_paths_of_the_keys_are_read(self, snapshot: Make) -> None:
        records = [boxed(f"{n:05}", "1", n) for n in range(3000)]
        old, new = snapshot(*records), snapshot(*[boxed(f"{n:05}", "1", n + 1) for n in range(3000)])
        store: Any = new.input_tree.store
        store.reads = 0
        assert told(Diff(old, new, ["01500"])) == ["annotation 01500#1: moved"]
        assert store.reads < 12

    def test_a_filter_chooses_by_the_new_side_or_by_the_old_one_of_what_is_gone(self, sides: Any) -> None:
        inputs = [c.name for c in Diff(*sides, where="split = 'val'") if c.noun == "input"]
        assert inputs == ["c#1", "d"]
        assert told(Diff(*sides, where="split = 'train'"))[0] == "input a: changed"
        old, new = sides
        assert [c.name for c in Diff(new, old, where="split = 'val'") if c.noun == "input"] == ["a", "b"]
        gone = Diff(old, Snapshot(old.input_tree.store, msgspec.structs.replace(new.roots, inputs=old.roots.inputs)))
        assert all(change.noun != "input" for change in gone)
        assert told(Diff(*sides, ["a", "d"], where="split = 'val'")) == ["input d: added", "annotation d#1: added"]

    def test_a_removed_input_is_chosen_by_what_it_was(self, snapshot: Make) -> None:
        old, new = snapshot(picture("a", split="val"), picture("b", 1, split="train")), snapshot()
        assert told(Diff(old, new, where="split = 'val'")) == ["input a: removed"]

    def test_a_wrong_filter(self, sides: Any) -> None:
        with pytest.raises(FilterError):
            list(Diff(*sides, where="nothing = 1"))


# ---- counts


class TestStat:
    def test_counts_in_all_and_by_concept(self, snapshot: Make) -> None:
        old = snapshot(
            Concept(id="cat", name="cat"), picture("a"), boxed("a", "1"), boxed("a", "2", 100), boxed("a", "3", 200),
            boxed("a", "4", 300, None), boxed("a", "5", 400), picture("b", 1), boxed("b", "1", concept="dog"),
            picture("e", 2),
        )  # fmt: skip
        new = snapshot(
            picture("a", split="val"), boxed("a", "1", 1, "dog"), boxed("a", "2", 101), boxed("a", "3", 200, text="x"),
            boxed("a", "6", 400), boxed("a", "7", 500), picture("c", 3), boxed("c", "1"),
            boxed("c", "2", concept="dog"), picture("f", 2),
        )  # fmt: skip
        stat = Diff(old, new).stat()
        assert stat.concepts == {"added": 0, "changed": 0, "removed": 1}
        assert stat.inputs == {"added": 1, "changed": 1, "renamed": 1, "removed": 1}
        assert tuple(stat.annotations) == ANNOTATION_COUNTS
        assert {name: count for name, count in stat.annotations.items() if count} == {
            "added": 3, "removed": 2, "changed": 4, "moved": 2, "relabelled": 1, "text": 1, "new_id": 1
        }  # fmt: skip
        assert all(tuple(counts) == BY_CONCEPT for counts in stat.by_concept.values())
        found = {name: {n: c for n, c in counts.items() if c} for name, counts in stat.by_concept.items()}
        assert found == {
            "cat": {"added": 2, "moved": 1, "relabelled_from": 1, "other": 2},
            "dog": {"added": 1, "removed": 1, "moved": 1, "relabelled_to": 1},
            None: {"removed": 1},
        }
        assert list(found) == ["cat", "dog", None]

    def test_of_some_annotations(self, snapshot: Make) -> None:
        old, new = snapshot(picture("a"), boxed("a", "1")), snapshot(picture("a", split="x"), boxed("a", "1", 1))
        stat = Diff(old, new, ["a#1"]).stat()
        assert not any(stat.inputs.values())
        assert (stat.annotations["changed"], stat.annotations["moved"]) == (1, 1)

    def test_conflicts_are_counted_however_they_came(self, snapshot: Make) -> None:
        clash = boxed("a", "1", concept=None, conflicts={"c": ("cat", "dog")})
        for old in (snapshot(), snapshot(boxed("z", "1")), snapshot(boxed("a", "1"))):
            assert Diff(old, snapshot(clash)).stat().annotations["conflict"] == 1
        assert Diff(snapshot(clash), snapshot()).stat().annotations["conflict"] == 0
        assert Diff(snapshot(clash), snapshot(boxed("a", "1"))).stat().annotations["settled"] == 1

    def test_what_one_side_does_not_have_is_counted_undecoded(
        self, snapshot: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from dsvc.core.diffing import annotations

        full = snapshot(picture("a"), boxed("a", "1"), boxed("a", "2", concept="dog"), picture("b", 1))
        monkeypatch.setattr(annotations, "decode_annotation", None)
        for old, new, verb in ((snapshot(), full, "added"), (full, snapshot(), "removed"),
                               (full, snapshot(picture("b", 1)), "removed")):  # fmt: skip
            stat = Diff(old, new).stat()
            assert stat.annotations[verb] == 2
            assert {name: counts[verb] for name, counts in stat.by_concept.items()} == {"cat": 1, "dog": 1}
