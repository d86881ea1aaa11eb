"""Records with fields in conflict, in filters and queries, and edits that settle them."""

import msgspec
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.filters.patch import Patch
from dsvc.core.filters.query import match_annotations, match_inputs
from dsvc.model.snapshot import SnapshotEdits, edit_roots
from dsvc.store import codec
from dsvc.store.codec import canonical

INPUTS = {
    "a": {"!": {"split": ["train", "val"], "width": [1, 2], "metadata\0camera": ["l", "r"]}, "media": {"width": 640}},
    "b": {"metadata": {"camera": "l"}, "split": "train"},
    "c": {"!": {"media": [{"size": 1, "type": "x"}, {"size": 2, "type": "x"}], "exists": [False, True]}},
    "d": {},
}
ANNOTATIONS = {
    "a#1": {"c": "cat", "cr": 0},
    "b#1": {"!": {"c": ["cat", "dog"], "at\0color": ["red", "blue"]}, "at": {"size": 1}, "t": "x"},
    "b#2": {"!": {"shape": [{"a": 5}, {"a": 6}], "cr": [0, 1], "k": [b"", b"\0"]}, "c": "dog"},
    "d#1": {"c": "dog"},
}


@pytest.fixture
def clashing(pets: Dataset) -> Dataset:
    edits = SnapshotEdits()
    edits.inputs = {key.encode(): codec.encode(canonical(fields)) for key, fields in INPUTS.items()}
    edits.annotations = {
        key.replace("#", "\0").encode(): codec.encode(canonical(fields)) for key, fields in ANNOTATIONS.items()
    }
    edits.concepts = {name.encode(): codec.encode({"name": name}) for name in ("cat", "dog")}
    edits.concepts[b"cow"] = codec.encode({"!": {"supercategory": ["animal", "beast"]}, "name": "cow"})
    with pets.edit() as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))
    return pets


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("split is null", ["a", "c", "d"]),
        ("width is null", ["a", "b", "c", "d"]),
        ("metadata->>'camera' is not null", ["b"]),
        ("stored is null and type is null and size is null", ["c"]),
        ("conflicted", ["a", "b", "c"]),  # itself, or an annotation
        ("not conflicted", ["d"]),
        ("conflicted and concept = 'dog'", ["b"]),
        ("conflicted and id is null", ["c"]),
    ],
)
def test_over_inputs(clashing: Dataset, where: str, keys: list[str]) -> None:
    assert match_inputs(clashing.draft().snapshot, where) == keys


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("conflicted", ["b#1", "b#2"]),
        ("not conflicted", ["a#1", "d#1"]),
        ("conflicted and split = 'train' and text is null", ["b#2"]),
        ("concept is null", ["b#1"]),
        ("attributes->>'size' = '1' and attributes->>'color' is null", ["b#1"]),
        ("has_box is null and has_polygons is null and has_mask is null and area is null", ["b#2"]),
        ("has_keypoints is null", ["b#2"]),
        ("crowd is null", ["b#2"]),
        ("not has_point", ["a#1", "b#1", "b#2", "d#1"]),
    ],
)
def test_over_annotations(clashing: Dataset, where: str, found: list[str]) -> None:
    assert ["#".join(names) for names in match_annotations(clashing.draft().snapshot, where)] == found


def test_in_queries_each_table_tells_of_its_own(clashing: Dataset) -> None:
    def ask(table: str, names: str) -> list[tuple[str, ...]]:
        return list(clashing.query(f"select {names} from {table} where conflicted order by all"))

    assert ask("inputs", "key") == [("a",), ("c",)]
    assert ask("annotations", "key, id") == [("b", "1"), ("b", "2")]
    assert ask("concepts", "concept") == [("cow",)]


def test_what_is_set_is_in_conflict_no_more(clashing: Dataset) -> None:
    clashing.annotate_matching(
        "annotations", "conflicted", Patch(fields={"concept": "cat"}, attributes={"color": "red"})
    )
    first, second = clashing.draft().annotations("b")
    assert (first.conflicts, first.concept, first.attributes) == ({}, "cat", {"size": 1, "color": "red"})
    assert second.conflicts.keys() == {"shape", "cr", "k"}
    clashing.annotate_matching("annotations", "conflicted", Patch(fields={"crowd": 1}, box=(1, 2, 3, 4)))
    # The box is put into every candidate; these differ in their areas, too.
    assert [one.conflicts.keys() for one in clashing.draft().annotations("b")] == [set(), {"k", "shape"}]
    clashing.set("a", metadata={"camera": "l"}, unset=["split"])
    record = clashing.draft().input("a")
    assert record is not None and record.conflicts.keys() == {"width"} and record.split is None
    clashing.set("c", split="val")
    record = clashing.draft().input("c")
    assert record is not None and record.conflicts.keys() == {"media", "exists"}


def test_what_is_set_of_one_annotation_too(clashing: Dataset) -> None:
    with clashing.edit() as draft:
        draft.change_annotation("b", "1", {"attributes": {"size": 1, "color": "blue"}})
    first, _ = clashing.draft().annotations("b")
    assert first.conflicts.keys() == {"c"}
