"""A vendor delivers again: laws of what becomes of a dataset, whatever was edited in it."""

from __future__ import annotations

import msgspec
from deliveries import DictStore, Taken, annotations_of, check_whole, edit, take, told
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.core.imports.delivery import Sync, Tally
from dsvc.model.records import Annotation, Input, Shape, annotation_key, encode_annotation
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree

Marks = list[Annotation]

keys = st.sampled_from(["a.jpg", "b.jpg"])
boxes = st.tuples(*[st.sampled_from([0, 2, 50, 100])] * 2, *[st.sampled_from([50, 51, 100])] * 2)
concepts = st.sampled_from(["cat", "dog"])
numbers = st.one_of(st.none(), st.integers(1, 6))


def mark(
    key: str, number: int | None, concept: str, box: tuple[float, ...], points: tuple[float, ...] | None = None
) -> Annotation:
    return Annotation(key=key, id="", number=number, concept=concept, shape=Shape(box=box), keypoints=points)


marks = st.lists(st.builds(mark, keys, numbers, concepts, boxes), max_size=6)
syncs = st.sampled_from(["", "annotations", "inputs"])
# Local edits: which annotation, and what to do with it.
edits = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["rm", "move", "relabel", "note", "number"])), max_size=4)


def delivery(store: DictStore, found: Marks, inputs: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Roots:
    return told(store, [Input(key=key) for key in inputs], found, ["cat", "dog"])


def work(store: DictStore, state: Taken, edits: list[tuple[int, str]]) -> Taken:
    """Edit annotations that are there."""
    for at, what in edits:
        found = annotations_of(store, state.roots)
        if at >= len(found):
            continue
        one = found[at]
        new = {
            "move": {"shape": Shape(box=(7, 7, 7, 7))},
            "relabel": {"concept": "cat" if one.concept == "dog" else "dog"},
            "note": {"attributes": {"seen": True}},
            "number": {"number": 99},
        }.get(what)
        value = encode_annotation(msgspec.structs.replace(one, **new)) if new is not None else None
        state = edit(store, state, annotations={annotation_key(one.key, one.id): value})
    return state


def unnumbered(store: DictStore, roots: Roots) -> Marks:
    return [msgspec.structs.replace(one, number=None) for one in annotations_of(store, roots)]


@given(marks, marks, edits, syncs)
@settings(deadline=None)
def test_the_same_again_changes_nothing_whatever_was_edited(
    first: Marks, second: Marks, edits: list[tuple[int, str]], sync: Sync
) -> None:
    store = DictStore()
    state = take(store, take(store, None, delivery(store, first)), delivery(store, second), sync)
    state = work(store, state, edits)
    again = take(store, state, delivery(store, second), sync)
    assert (again.roots, again.said, again.conflicts) == (state.roots, state.said, 0)
    assert (again.tally.unchanged, again.tally.changed, again.tally.new) == (len(second), 0, 0)


@given(marks, edits, st.integers(1, 9))
@settings(deadline=None)
def test_renumbering_changes_nothing_but_numbers(first: Marks, edits: list[tuple[int, str]], shift: int) -> None:
    store = DictStore()
    state = work(store, take(store, None, delivery(store, first)), edits)
    shifted = [msgspec.structs.replace(one, number=one.number and one.number + shift) for one in first]
    after = take(store, state, delivery(store, shifted))
    assert unnumbered(store, after.roots) == unnumbered(store, state.roots)
    assert (after.conflicts, after.tally.unchanged, after.tally.renumbered) == (
        0,
        len(first),
        sum(one.number is not None for one in first),
    )


@given(marks, st.permutations(range(6)), marks)
@settings(deadline=None)
def test_the_order_in_a_file_makes_no_difference(first: Marks, order: list[int], second: Marks) -> None:
    store = DictStore()
    state = take(store, None, delivery(store, first))
    shuffled = [second[at] for at in order if at < len(second)]
    assert take(store, state, delivery(store, second)) == take(store, state, delivery(store, shuffled))


@given(marks, marks)
@settings(deadline=None)
def test_without_edits_the_dataset_says_what_the_source_says(first: Marks, second: Marks) -> None:
    store = DictStore()
    state = take(store, take(store, None, delivery(store, first)), delivery(store, second))
    assert state.roots.annotations == state.said.annotations and state.conflicts == 0
    found = [msgspec.structs.replace(one, id="") for one in annotations_of(store, state.roots)]
    assert sorted(found, key=repr) == sorted(second, key=repr)
    tally = state.tally
    assert tally.unchanged + tally.changed + tally.new == len(second)
    assert tally.unchanged + tally.changed + tally.gone == len(first)


@given(marks, marks, edits)
@settings(deadline=None)
def test_without_sync_nothing_goes(first: Marks, second: Marks, edits: list[tuple[int, str]]) -> None:
    store = DictStore()
    state = work(store, take(store, None, delivery(store, first)), edits)
    after = take(store, state, delivery(store, second), "")
    ids = [{(one.key, one.id) for one in annotations_of(store, roots)} for roots in (state.roots, after.roots)]
    assert ids[0] <= ids[1]
    check_whole(store, after.roots)


@given(marks, marks, edits)
@settings(deadline=None)
def test_edits_of_what_the_source_repeats_survive_in_any_order(
    first: Marks, second: Marks, edits: list[tuple[int, str]]
) -> None:
    """Working first and importing then gives what importing first and working on the same records gives."""
    store = DictStore()
    said = [(one.key, one.concept, one.shape) for one in first]
    whole = [*first, *(one for one in second if (one.key, one.concept, one.shape) not in said)]
    start = take(store, None, delivery(store, first))
    worked = work(store, start, edits)
    after = take(store, worked, delivery(store, whole))
    other = take(store, start, delivery(store, whole))
    changed = dict(Tree(store, worked.roots.annotations))
    for key, value in Tree(store, start.roots.annotations):
        mine = changed.get(key)
        if mine != value:
            other = edit(store, other, annotations={key: mine})
    assert after.roots == other.roots and after.conflicts == 0


# ---- several sources


@given(marks, marks, st.sampled_from([None, (1, 2, 2)]))
@settings(deadline=None)
def test_annotations_of_two_sources_meet_and_each_source_is_followed(
    first: Marks, second: Marks, points: tuple[float, ...] | None
) -> None:
    store = DictStore()
    instances = take(store, None, delivery(store, first))
    with_points = [msgspec.structs.replace(one, keypoints=points) for one in second]
    other = Taken(instances.roots, delivery(store, []), Tally(), 0)
    both = take_first(store, other, delivery(store, with_points))
    assert both.conflicts == 0
    count = len(annotations_of(store, both.roots))
    assert count == len(first) + both.tally.new and both.tally.new + both.tally.joined == len(second)
    # Neither delivery, come again, changes anything.
    again = take(store, both, delivery(store, with_points))
    assert (again.roots, again.said) == (both.roots, both.said)
    again = take(store, both._replace(said=instances.said), delivery(store, first))
    assert (again.roots, again.said) == (both.roots, instances.said)


def take_first(store: DictStore, state: Taken, new: Roots) -> Taken:
    """Import another source for the first time."""
    from dsvc.core.imports.delivery import deliver
    from dsvc.core.merging.roots import merge_roots

    found = deliver(store, None, state.roots, new, "")
    merged = merge_roots(store, None, state.roots, found.theirs)
    return Taken(merged.roots, found.said, found.tally, merged.report.conflicts)


def test_parts_that_only_one_source_has_join() -> None:
    store = DictStore()
    box, ring = (1, 2, 3, 4), ((1, 2, 3, 2, 3, 4),)
    area = mark("a.jpg", 1, "cat", box)
    first = msgspec.structs.replace(area, shape=Shape(box=box, polygons=ring))
    second = msgspec.structs.replace(area, shape=Shape(box=box, area=12), keypoints=(1, 2, 2))
    state = take(store, None, delivery(store, [first]))
    after = take_first(store, state, delivery(store, [second]))
    (found,) = annotations_of(store, after.roots)
    assert (found.shape, found.keypoints) == (Shape(box=box, polygons=ring, area=12), (1, 2, 2))
    # Its own line keeps what each source said, so that the next delivery is compared with that.
    (said,) = annotations_of(store, after.said)
    assert (said.id, said.shape) == (found.id, Shape(box=box, area=12))
    moved = msgspec.structs.replace(second, keypoints=(5, 5, 2))
    after = take(store, after, delivery(store, [moved]))
    (found,) = annotations_of(store, after.roots)
    assert (found.shape, found.keypoints, after.conflicts) == (
        Shape(box=box, polygons=ring, area=12),
        (5, 5, 2),
        0,
    )


def test_parts_that_disagree_both_stand() -> None:
    store, box = DictStore(), (1, 2, 3, 4)
    first, second = (msgspec.structs.replace(mark("a.jpg", 1, "cat", box, (n, n, 2))) for n in (1, 2))
    state = take(store, None, delivery(store, [first]))
    after = take_first(store, state, delivery(store, [second]))
    assert (len(annotations_of(store, after.roots)), after.tally.doubled, after.tally.new) == (2, 1, 1)


def test_an_edited_annotation_is_not_what_another_source_says() -> None:
    store = DictStore()
    state = work(store, take(store, None, delivery(store, [mark("a.jpg", 1, "cat", (1, 2, 3, 4))])), [(0, "move")])
    after = take_first(store, state, delivery(store, [mark("a.jpg", 1, "cat", (1, 2, 3, 4))]))
    first, second = annotations_of(store, after.roots)
    assert second.id == f"{first.id}-2" and after.tally.doubled == 1
    # The second source is compared with its own.
    again = take(store, after, delivery(store, [mark("a.jpg", 1, "cat", (1, 2, 3, 4))]))
    assert (again.roots, again.said) == (after.roots, after.said)


# ---- what is listed no more


def test_inputs_that_are_listed_no_more_go_with_their_annotations_unless_something_was_done_with_them() -> None:
    store = DictStore()
    cat, dog = mark("a.jpg", 1, "cat", (1, 2, 3, 4)), mark("b.jpg", 2, "dog", (1, 2, 3, 4))
    start = take(store, None, delivery(store, [cat, dog]))
    only = delivery(store, [cat], ("a.jpg",))
    kept = take(store, start, only)
    assert (kept.roots, kept.tally.unlisted_inputs, kept.tally.unlisted_annotations) == (start.roots, 1, 1)
    gone = take(store, start, only, "inputs")
    assert [key for key, _ in Tree(store, gone.roots.inputs)] == [b"a.jpg"]
    assert [one.key for one in annotations_of(store, gone.roots)] == ["a.jpg"]
    # It may also go later, when the source says the same again.
    assert take(store, kept, only, "inputs").roots == gone.roots
    # An annotation that was made here holds its input, with what the source said of it.
    own = {annotation_key("b.jpg", "own"): encode_annotation(mark("b.jpg", None, "cat", (0, 0, 1, 1)))}
    held = take(store, edit(store, start, annotations=own), only, "inputs")
    assert [one.key for one in annotations_of(store, held.roots)] == ["a.jpg", "b.jpg", "b.jpg"]
    check_whole(store, held.roots)


def test_what_comes_back_is_what_it_was() -> None:
    store = DictStore()
    cat, dog = mark("a.jpg", 1, "cat", (1, 2, 3, 4)), mark("a.jpg", 2, "dog", (1, 2, 3, 4))
    start = take(store, None, delivery(store, [cat, dog]))
    state = work(store, take(store, start, delivery(store, [cat]), ""), [(1, "note"), (0, "note")])
    back = take(store, state, delivery(store, [cat, dog]), "")
    assert (back.roots, back.said, back.tally.unchanged) == (state.roots, start.said, 2)
