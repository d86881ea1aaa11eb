"""Editing what is in conflict: what is set by hand is settled, and all else stays open."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.draft import Draft
from dsvc.core.filters.patch import Patch
from dsvc.core.repository import Repository
from dsvc.errors import InvalidRecordsError, RefusedError
from dsvc.model.commit import Author
from dsvc.model.records import Annotation, Input, Media, Shape

Clash = Callable[[Callable[[Draft], object], Callable[[Draft], object]], Dataset]
BOX = Shape(box=(0, 0, 2, 2), area=4)


@pytest.fixture
def labelled(pets: Dataset, tmp_path: Path) -> Dataset:
    """Inputs a.txt and b.txt, each with a cat in a box; committed."""
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    with pets.edit() as draft:
        draft.add(tmp_path / "a.txt", tmp_path / "b.txt", root=tmp_path)
        for name in "ab":
            draft.annotate(Annotation(key=f"{name}.txt", id="1", concept="cat", shape=BOX, attributes={"n": 1}))
    pets.commit("first")
    return pets


@pytest.fixture
def clash(repo: Repository, labelled: Dataset) -> Clash:
    """Merge what one person did with what another did; the result is committed."""

    def clash(ours: Callable[[Draft], object], theirs: Callable[[Draft], object]) -> Dataset:
        bo = repo.create("bo")
        bo.merge("pets")
        for dataset, act in ((labelled, ours), (bo, theirs)):
            with dataset.edit() as draft:
                act(draft)
            dataset.commit("changed", author=Author(dataset.name))
        labelled.merge("bo")
        assert labelled.status().conflicts == 1
        return labelled

    return clash


def change(**fields: object) -> Callable[[Draft], None]:
    return lambda draft: draft.change_annotation("a.txt", "1", fields)


def annotation(dataset: Dataset) -> Annotation:
    found = dataset.draft().snapshot.annotation("a.txt", "1")
    assert found is not None
    return found


def record(dataset: Dataset) -> Input:
    found = dataset.draft().snapshot.input("a.txt")
    assert found is not None
    return found


def patch(dataset: Dataset, made: Patch) -> Annotation:
    """One annotation changed, which is what changing all that match comes to."""
    dataset.annotate_matching("annotations", "id = '1' and key = 'a.txt'", made)
    together = dataset.draft().snapshot.roots
    dataset.discard()
    with dataset.edit() as draft:
        draft.change_annotation("a.txt", "1", made)
    assert dataset.draft().snapshot.roots == together
    return annotation(dataset)


# ---- annotations


def test_a_field_that_is_set_is_settled(clash: Clash) -> None:
    dataset = clash(change(concept="dog", text="x"), change(concept="lynx", text="y"))
    assert set(annotation(dataset).conflicts) == {"c", "t"}
    with dataset.edit() as draft:
        draft.change_annotation("a.txt", "1", {"concept": "wolf"})
    assert (annotation(dataset).concept, annotation(dataset).conflicts) == ("wolf", {"t": ("x", "y")})
    with dataset.edit() as draft:
        draft.change_annotation("a.txt", "1", {"text": None})
    assert (annotation(dataset).text, annotation(dataset).conflicts) == (None, {})
    assert dataset.status().conflicts == 0
    dataset.commit("settled")
    dataset.create_version("v1")


def test_a_field_that_is_set_by_a_patch_is_settled(clash: Clash) -> None:
    dataset = clash(change(concept="dog", text="x"), change(concept="lynx", text="y"))
    changed = patch(dataset, Patch(fields={"concept": "wolf"}))
    assert (changed.concept, changed.conflicts) == ("wolf", {"t": ("x", "y")})
    assert patch(dataset, Patch(fields={"concept": "wolf", "text": "z"})).conflicts == {}


def test_other_edits_leave_a_conflict_open(clash: Clash) -> None:
    dataset = clash(change(concept="dog"), change(concept="lynx"))
    conflicts = annotation(dataset).conflicts
    changed = patch(dataset, Patch(fields={"text": "x"}, attributes={"n": 2}, box=(1, 1, 3, 3)))
    assert (changed.text, changed.shape, changed.conflicts) == ("x", Shape(box=(1, 1, 3, 3), area=9), conflicts)
    dataset.move("a.txt", to="c.txt")
    moved = dataset.draft().snapshot.annotation("c.txt", "1")
    assert moved is not None and moved.conflicts == conflicts


def test_what_says_no_more_than_its_conflict_can_be_edited(clash: Clash) -> None:
    with_text = change(concept="dog", shape=None, attributes=None)
    dataset = clash(with_text, change(concept="lynx", shape=None, attributes=None))
    with dataset.edit() as draft:
        draft.change_annotation("a.txt", "1", {"status": "seen"})
    assert set(annotation(dataset).conflicts) == {"c"}


def test_attributes_are_settled_one_by_one(clash: Clash) -> None:
    dataset = clash(change(attributes={"n": 2, "m": 2}), change(attributes={"n": 3, "m": 3}))
    assert set(annotation(dataset).conflicts) == {"at\0m", "at\0n"}
    changed = patch(dataset, Patch(attributes={"n": 4}))
    assert (changed.attributes, changed.conflicts) == ({"n": 4}, {"at\0m": (2, 3)})
    with dataset.edit() as draft:
        draft.change_annotation("a.txt", "1", {"attributes": None})
    assert (annotation(dataset).attributes, annotation(dataset).conflicts) == (None, {})


def test_a_box_settles_shapes_that_differ_in_the_box(clash: Clash) -> None:
    ring = ((0, 0, 1, 0, 1, 1),)
    dataset = clash(
        change(shape=Shape(box=(0, 0, 3, 3), area=9, polygons=ring)),
        change(shape=Shape(box=(0, 0, 4, 4), area=9, polygons=ring)),
    )
    changed = patch(dataset, Patch(box=(0, 0, 5, 5)))
    assert (changed.shape, changed.conflicts) == (Shape(box=(0, 0, 5, 5), area=9, polygons=ring), {})


def test_the_area_of_a_box_follows_it(clash: Clash) -> None:
    dataset = clash(
        change(shape=Shape(box=(0, 0, 3, 3), area=9)),
        change(shape=Shape(box=(0, 0, 4, 4), area=16)),
    )
    changed = patch(dataset, Patch(box=(0, 0, 5, 5)))
    assert (changed.shape, changed.conflicts) == (Shape(box=(0, 0, 5, 5), area=25), {})


def test_a_box_leaves_open_what_else_the_shapes_differ_in(clash: Clash) -> None:
    rings = [((0, 0, side, 0, side, side),) for side in (1, 2)]
    dataset = clash(*(change(shape=Shape(box=(0, 0, 3, 3), polygons=ring)) for ring in rings))
    changed = patch(dataset, Patch(box=(0, 0, 5, 5)))
    assert changed.shape is None
    dataset.resolve("a.txt#1", "shape", take=2)
    assert annotation(dataset).shape == Shape(box=(0, 0, 5, 5), polygons=rings[1])


def test_parts_in_another_unit_are_refused_by_name(clash: Clash) -> None:
    rings = [((0, 0, side, 0, side, side),) for side in (1, 2)]
    dataset = clash(*(change(shape=Shape(box=(0, 0, 3, 3), polygons=ring)) for ring in rings))
    with pytest.raises(RefusedError, match="keeps its polygons, in unit pixel"), dataset.edit() as draft:
        draft.change_annotation("a.txt", "1", Patch(box=(0, 0, 1, 1), unit="relative"))


def test_a_whole_shape_settles_all_of_it(clash: Clash) -> None:
    rings = [((0, 0, side, 0, side, side),) for side in (1, 2)]
    dataset = clash(*(change(shape=Shape(polygons=ring)) for ring in rings))
    with dataset.edit() as draft:
        draft.change_annotation("a.txt", "1", {"shape": BOX})
    assert (annotation(dataset).shape, annotation(dataset).conflicts) == (BOX, {})


def test_whether_it_exists_is_another_question(clash: Clash) -> None:
    dataset = clash(lambda draft: draft.remove_annotation("a.txt", "1"), change(concept="lynx"))
    assert set(annotation(dataset).conflicts) == {"exists"}
    assert patch(dataset, Patch(fields={"concept": "wolf"})).conflicts == {"exists": (False, True)}
    dataset.resolve("a.txt#1", "exists", take=2)
    assert annotation(dataset).concept == "wolf"


# ---- inputs


def put(text: bytes) -> Callable[[Draft], object]:
    return lambda draft: draft.put_media({"a.txt": Media(type="text/plain", size=len(text), width=len(text))})


def test_set_settles_what_it_sets(clash: Clash, labelled: Dataset) -> None:
    def set_fields(camera: int) -> Callable[[Draft], object]:
        from dsvc.core.setting import new_fields, set_fields

        fields = new_fields({"camera": camera, "lens": camera}, split=f"s{camera}", geo=(camera, 0))
        return lambda draft: set_fields(draft, fields, ["a.txt"])

    dataset = clash(set_fields(7), set_fields(9))
    assert set(record(dataset).conflicts) == {"metadata\0camera", "metadata\0lens", "split", "geo"}
    assert dataset.set("a.txt", metadata={"camera": 8}).changed == 1
    assert record(dataset).metadata == {"camera": 8}
    assert set(record(dataset).conflicts) == {"metadata\0lens", "split", "geo"}
    dataset.set("a.txt", split="val", unset=["metadata.lens", "geo"])
    assert (record(dataset).split, record(dataset).geo, record(dataset).conflicts) == ("val", None, {})
    assert record(dataset).metadata == {"camera": 8}


def test_a_split_settles_the_split_or_keeps_it_open(clash: Clash) -> None:
    def split(name: str) -> Callable[[Draft], object]:
        from dsvc.core.setting import new_fields, set_fields

        return lambda draft: set_fields(draft, new_fields(split=name), ["a.txt"])

    dataset = clash(split("val"), split("test"))
    report = dataset.split("100/0", keep=True)
    assert (report.kept, report.changed) == (1, 1)
    assert set(record(dataset).conflicts) == {"split"}
    with pytest.raises(InvalidRecordsError):
        dataset.split("100/0", by="metadata.camera")
    dataset.split("100/0")
    assert (record(dataset).split, record(dataset).conflicts) == ("train", {})


def test_a_file_settles_the_media(clash: Clash) -> None:
    dataset = clash(put(b"ours"), put(b"theirs"))
    assert set(record(dataset).conflicts) == {"media"}
    with dataset.edit() as draft:
        assert draft.put_media({"a.txt": Media(type="text/plain", size=9)}) == (0, 1, 0)
    assert (record(dataset).media, record(dataset).conflicts) == (Media(type="text/plain", size=9), {})


def test_a_file_says_nothing_of_other_fields(clash: Clash, labelled: Dataset) -> None:
    def split(name: str) -> Callable[[Draft], object]:
        from dsvc.core.setting import new_fields, set_fields

        return lambda draft: set_fields(draft, new_fields(split=name), ["a.txt"])

    dataset = clash(split("val"), split("test"))
    with dataset.edit() as draft:
        draft.put_media({"a.txt": Media(type="text/plain", size=9)})
    assert record(dataset).conflicts == {"split": ("val", "test")}


# ---- concepts


def test_concepts_wait_until_all_is_settled(clash: Clash) -> None:
    dataset = clash(change(concept="dog"), change(concept="lynx"))
    for act in (
        lambda: dataset.rename_concept("dog", "wolf"),
        lambda: dataset.merge_concepts("dog", into="cat"),
        lambda: dataset.delete_concept("lynx", with_annotations=True),
    ):
        with pytest.raises(RefusedError, match="there are open conflicts, in 1 record"):
            act()


def test_an_annotation_that_is_called_like_an_input_can_be_resolved(pets: Dataset) -> None:
    with pets.edit() as draft:
        draft.put_media({key: Media(type="image/png") for key in ("a", "a#1")})
        draft.annotate(Annotation(key="a", id="1", concept="cat"))
    pets.commit("start")
    pets.create_branch("side")
    for dataset in (pets, pets.repository.dataset("pets", "side")):
        with dataset.edit() as draft:
            draft.change_annotation("a", "1", {"text": dataset.branch})
        dataset.commit("said")
    pets.merge("side")
    assert [pets.count_conflicts(key) for key in (None, "a", "a#1", "b")] == [1, 1, 1, 0]
    assert [len(pets.conflicts(key, most)) for key, most in (("a", None), ("b", None), (None, 0))] == [1, 0, 0]
    assert pets.resolve("a#1", "text", revision="side").open == 0
    assert [one.text for one in pets.draft().annotations("a")] == ["side"]


def test_discarding_brings_back_the_concepts_of_candidates(pets: Dataset) -> None:
    with pets.edit() as draft:
        draft.put_media({"a.png": Media(type="image/png")})
    made = pets.annotate("a.png", "cat")
    pets.commit("cat")
    pets.create_branch("bo")
    for dataset, concept in ((pets, "dog"), (pets.repository.dataset("pets", "bo"), "bird")):
        with dataset.edit() as draft:
            draft.change_annotation("a.png", made.id, {"concept": concept})
        dataset.commit(concept)
    pets.merge("pets:bo")
    pets.remove("a.png")
    pets.delete_concept("bird")
    pets.discard("a.png")
    assert {concept.id for concept in pets.draft().concepts()} >= {"bird", "dog"}
    assert pets.draft().snapshot.conflicts == 1
