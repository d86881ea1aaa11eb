"""Branches that begin with a part of another line, and filtered merges, go back together with the whole."""

import pytest

from dsvc.core.dataset import Dataset
from dsvc.errors import FilterError, RefusedError
from dsvc.model.records import Annotation, Media, Shape


@pytest.fixture
def zoo(pets: Dataset) -> Dataset:
    """Three inputs: a cat and a dog, a cat, a dog; one commit."""
    with pets.edit() as draft:
        draft.put_media({key: Media(type="image/png") for key in ("a.png", "b.png", "c.png")})
        for key, concept in (("a.png", "cat"), ("a.png", "dog"), ("b.png", "cat"), ("c.png", "dog")):
            draft.annotate(Annotation(key=key, id="", concept=concept, shape=Shape(box=(0, 0, 5, 5))))
    pets.commit("all")
    return pets


def keys(dataset: Dataset) -> list[str]:
    return [record.key for record in dataset.at().inputs()]


def test_a_branch_of_a_part_holds_it_and_what_it_names(zoo: Dataset) -> None:
    cats = zoo.create_branch("cats", where="concept = 'cat'")
    assert cats.at().counts() == {"concepts": 2, "inputs": 2, "annotations": 3}
    dogs = zoo.create_branch("c", where="key = 'c.png'")
    assert dogs.at().counts() == {"concepts": 1, "inputs": 1, "annotations": 1}


def test_what_is_changed_in_a_part_is_merged_back_and_nothing_is_taken_away(zoo: Dataset) -> None:
    cats = zoo.create_branch("cats", where="concept = 'cat'")
    cats.annotate("b.png", "bird")
    cats.remove("a.png")
    cats.commit("cats are done")
    outcome = zoo.merge("cats")
    assert keys(zoo) == ["b.png", "c.png"]
    assert [a.concept for a in zoo.at().annotations("b.png")] in (["bird", "cat"], ["cat", "bird"])
    assert (outcome.report.inputs.removed, outcome.report.annotations.added) == (1, 1)


def test_a_part_grows_into_the_whole(zoo: Dataset) -> None:
    cats = zoo.create_branch("cats", where="concept = 'cat'")
    assert cats.merge("pets:main").kind == "fast-forward"
    assert cats.at().snapshot.roots == zoo.at().snapshot.roots


def test_of_a_part_that_has_a_branch_only_what_matches_is_taken_back(zoo: Dataset) -> None:
    """What the branch began with was not taken from it."""
    cats = zoo.create_branch("cats", where="concept = 'cat'")
    for key in ("a.png", "b.png"):
        cats.annotate(key, "bird")
    cats.commit("birds")
    assert zoo.merge("cats", where="key = 'b.png'").report.annotations.added == 1
    assert zoo.merge("cats").report.annotations.added == 1


def test_a_part_of_nothing_is_refused(zoo: Dataset) -> None:
    with pytest.raises(RefusedError, match="no input matches"):
        zoo.create_branch("none", where="concept = 'cow'")
    with pytest.raises(FilterError):
        zoo.create_branch("none", where="concpt = 'cow'")
    assert [branch.name for branch in zoo.branches()] == ["main"]
