"""Following a source: what it changed is laid over a dataset, local edits stay, and nothing dangles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from deliveries import DictStore, Taken, annotations_of, check_whole, deliver, edit, entry, inputs_of, take, told
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.model.records import (
    NO_EXTRAS,
    Annotation,
    Concept,
    Input,
    annotation_key,
    encode_annotation,
    encode_concept,
    encode_input,
)
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree
from dsvc.store import codec


class Row(NamedTuple):
    """What a source says of one input."""

    split: str | None = None
    metadata: Mapping[str, Any] = NO_EXTRAS
    concepts: frozenset[str] = frozenset()


Table = dict[str, Row]
values = st.sampled_from([0, 1, True, False, 1.5, "a", "b", None, [1], {"x": 1}])
rows = st.builds(
    Row,
    st.sampled_from([None, "train", "val"]),
    st.dictionaries(st.sampled_from("abc"), values, max_size=3),
    st.frozensets(st.sampled_from(["cat", "dog", "bird"])),
)
keys = st.sampled_from([f"k{n}" for n in range(5)])
tables = st.dictionaries(keys, rows, max_size=5)


def mark(key: str, concept: str) -> tuple[bytes, bytes]:
    """The entry of an annotation that names a concept."""
    return entry(Annotation(key=key, id="", concept=concept))


def records(store: DictStore, table: Table, concepts: frozenset[str] = frozenset()) -> Roots:
    """The records of a table, and perhaps some more concepts."""
    inputs = [Input(key=key, split=row.split, metadata=row.metadata) for key, row in table.items()]
    marks = [Annotation(key=key, id="", concept=name) for key, row in table.items() for name in row.concepts]
    return told(store, inputs, marks, concepts)


def tell(store: DictStore, state: Taken | None, table: Table) -> Taken:
    """Import a table, or what became of it."""
    return take(store, state, records(store, table))


def all_concepts(*several: Table) -> frozenset[str]:
    return frozenset(name for table in several for row in table.values() for name in row.concepts)


# ---- nothing was edited here


@given(st.lists(tables, min_size=2, max_size=4))
@settings(deadline=None)
def test_without_edits_it_is_a_fresh_import_of_the_last_word_on_each_input(several: list[Table]) -> None:
    store, state, merged = DictStore(), None, {}
    for table in several:
        state, merged = tell(store, state, table), {**merged, **table}
    fresh = tell(store, None, merged)
    assert state.roots == records(store, merged, all_concepts(*several))
    assert (state.roots.inputs, state.roots.annotations) == (fresh.roots.inputs, fresh.roots.annotations)


@given(tables, tables)
@settings(deadline=None)
def test_following_twice_changes_nothing(first: Table, second: Table) -> None:
    store = DictStore()
    once = tell(store, tell(store, None, first), second)
    again = tell(store, once, second)
    assert (again.roots, again.said, again.conflicts) == (once.roots, once.said, 0)


@given(tables, tables)
@settings(deadline=None)
def test_there_and_back_is_as_it_was(first: Table, second: Table) -> None:
    """Of what both list, and but for what only the second lists, which stays."""
    store = DictStore()
    once = tell(store, None, first)
    back = tell(store, tell(store, once, second), first)
    ours, theirs = inputs_of(store, back.roots), inputs_of(store, once.roots)
    assert {key: ours[key] for key in first} == theirs
    assert ours.keys() == first.keys() | second.keys()


# ---- something was


@given(tables, tables, st.dictionaries(keys, st.tuples(st.sampled_from(["x", "y"]), st.sampled_from(["cat", "own"]))))
@settings(deadline=None)
def test_edits_of_what_the_source_does_not_say_survive_in_any_order(
    first: Table, second: Table, edits: dict[str, tuple[str, str]]
) -> None:
    def work(state: Taken) -> Taken:
        """A metadata field of our own, and an annotation with words of our own, for inputs that are in the first."""
        mine = {key: value for key, value in edits.items() if key in first}
        known = inputs_of(store, state.roots)
        fields, notes = {}, {}
        for key, (text, concept) in mine.items():
            one = known[key]
            fields[key.encode()] = encode_input(
                Input(key=key, split=one.split, metadata={**one.metadata, "mine": text})
            )
            said = Annotation(key=key, id="mine", concept=concept, text=text)
            notes[annotation_key(key, "mine")] = encode_annotation(said)
        names = {concept for _, concept in mine.values()}
        concepts = {name.encode(): encode_concept(Concept(id=name, name=name)) for name in names}
        return edit(store, state, inputs=fields, annotations=notes, concepts=concepts)

    store = DictStore()
    start = tell(store, None, first)
    one, other = tell(store, work(start), second), work(tell(store, start, second))
    assert one.roots == other.roots
    check_whole(store, one.roots)
    for key, (text, _) in edits.items():
        if key in first:
            assert inputs_of(store, one.roots)[key].metadata["mine"] == text


def merged_values(mine: dict[bytes, Any], was: dict[bytes, Any], now: dict[bytes, Any]) -> dict[bytes, Any]:
    """The values of one field by those on three sides; each holds one at most."""
    if now == was or mine == now:
        return mine
    if mine == was:
        return now
    return {**mine, **now}


def fields_of(one: Input) -> dict[str, dict[bytes, Any]]:
    """Per field its values, by their encodings."""
    fields = {**({"split": one.split} if one.split else {}), **{f"metadata\0{k}": v for k, v in one.metadata.items()}}
    found = {name: {codec.encode(value): value} for name, value in fields.items()}
    return {**found, **{path: {codec.encode(v): v for v in values} for path, values in one.conflicts.items()}}


@given(rows, rows, rows)
@settings(deadline=None, max_examples=300)
def test_each_field_goes_by_its_three_values(was: Row, mine: Row, now: Row) -> None:
    store = DictStore()
    start = tell(store, None, {"k": was})
    state = edit(store, start, inputs={b"k": encode_input(Input(key="k", split=mine.split, metadata=mine.metadata))})
    sides = [fields_of(Input(key="k", split=row.split, metadata=row.metadata)) for row in (mine, was, now)]
    names = set().union(*sides)
    merged = {name: merged_values(*(side.get(name, {}) for side in sides)) for name in names}
    after = tell(store, state, {"k": now})
    found = fields_of(inputs_of(store, after.roots)["k"])
    assert {name: values.keys() for name, values in found.items()} == {n: v.keys() for n, v in merged.items() if v}
    assert after.conflicts == any(len(values) > 1 for values in merged.values())


@given(tables, tables, tables, st.lists(keys), st.lists(st.tuples(keys, st.sampled_from(["cat", "dog", "bird"]))))
@settings(deadline=None)
def test_nothing_dangles_whatever_was_taken_away(
    first: Table, second: Table, third: Table, inputs: list[str], marks: list[tuple[str, str]]
) -> None:
    store = DictStore()
    state = tell(store, None, first)
    for table in (second, third):
        lost: dict[bytes, bytes | None] = {mark(*one)[0]: None for one in marks}
        for key in inputs:
            lost |= {name: None for name, _ in Tree(store, state.roots.annotations).prefix(f"{key}\0".encode())}
        state = edit(store, state, annotations=lost, inputs={key.encode(): None for key in inputs})
        # Concepts that nothing names any more go too, as a person may do it.
        used = {one.concept for one in annotations_of(store, state.roots)}
        names = [name for name, _ in Tree(store, state.roots.concepts) if name.decode() not in used]
        state = tell(store, edit(store, state, concepts=dict.fromkeys(names)), table)
        check_whole(store, state.roots)


# ---- single cases


def test_what_was_taken_away_here_stays_away_while_the_source_says_the_same() -> None:
    store, row = DictStore(), Row("train", {}, frozenset(["cat"]))
    state = tell(store, None, {"a": row, "b": row})
    state = edit(store, state, inputs={b"a": None}, annotations={mark("a", "cat")[0]: None})
    after = tell(store, state, {"a": row, "b": row._replace(split="val")})
    assert {key: one.split for key, one in inputs_of(store, after.roots).items()} == {"b": "val"}
    assert len(Tree(store, after.roots.annotations)) == 1


def test_concepts_that_vanish_from_a_row_go_and_those_of_vanished_rows_stay() -> None:
    store, row = DictStore(), Row(None, {}, frozenset(["cat", "dog"]))
    state = tell(store, None, {"a": row, "b": row})
    after = tell(store, state, {"a": Row(None, {}, frozenset(["dog"]))})
    left = {one.key for one in annotations_of(store, after.roots)}
    assert sorted(Tree(store, after.roots.annotations)) == sorted(
        [mark("a", "dog"), mark("b", "cat"), mark("b", "dog")]
    )
    assert left == {"a", "b"}


def test_whether_a_concept_that_was_changed_here_stays_when_its_cell_is_emptied_is_a_question() -> None:
    store = DictStore()
    state = tell(store, None, {"a": Row(None, {}, frozenset(["cat"]))})
    key, _ = mark("a", "cat")
    sure = encode_annotation(Annotation(key="a", id=key.decode().partition("\0")[2], concept="cat", status="sure"))
    after = tell(store, edit(store, state, annotations={key: sure}), {"a": Row()})
    (found,) = annotations_of(store, after.roots)
    assert (found.status, found.conflicts, after.conflicts) == ("sure", {"exists": (False, True)}, 1)


def test_a_row_that_comes_back_is_compared_with_what_the_source_said_of_it() -> None:
    """It is no edit of ours that the dataset still says what the row said before it went."""
    store = DictStore()
    state = tell(store, None, {"a": Row("train", {"n": 1}, frozenset(["cat"]))})
    away = tell(store, state, {})
    assert away.roots == state.roots
    back = tell(store, away, {"a": Row("val", {"n": 1}, frozenset(["dog"]))})
    assert inputs_of(store, back.roots)["a"].split == "val"
    assert list(Tree(store, back.roots.annotations)) == [mark("a", "dog")]


def test_dropped_inputs_are_counted() -> None:
    store = DictStore()
    both, one = records(store, {"a": Row(), "b": Row()}), records(store, {"b": Row()})
    assert deliver(store, both, both, one, "").tally.unlisted_inputs == 1
    assert deliver(store, one, both, both, "").tally.unlisted_inputs == 0
    assert deliver(store, both, one, one, "").tally.unlisted_inputs == 0  # it is not in the dataset any more


def test_all_metadata_of_a_source_may_go_beside_ours() -> None:
    store = DictStore()
    state = tell(store, None, {"a": Row(None, {"theirs": 1})})
    state = edit(store, state, inputs={b"a": encode_input(Input(key="a", metadata={"theirs": 1, "ours": 2}))})
    after = tell(store, state, {"a": Row()})
    assert inputs_of(store, after.roots)["a"].metadata == {"ours": 2}


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.5), ("1", 1)])
def test_a_value_that_only_changes_its_type_is_a_change(old: Any, new: Any) -> None:
    store = DictStore()
    state = tell(store, tell(store, None, {"a": Row(None, {"x": old})}), {"a": Row(None, {"x": new})})
    found = inputs_of(store, state.roots)["a"].metadata["x"]
    assert found == new and type(found) is type(new)


def test_a_clash_is_kept_with_both_values() -> None:
    store = DictStore()
    state = tell(store, None, {"a": Row("train"), "b": Row("train")})
    edits = {key: encode_input(Input(key=key.decode(), split="test")) for key in (b"a", b"b")}
    after = tell(store, edit(store, state, inputs=edits), {"a": Row("val"), "b": Row(None)})
    found = inputs_of(store, after.roots)
    assert (found["a"].split, found["a"].conflicts, after.conflicts) == (None, {"split": ("val", "test")}, 1)
    # The source says nothing of it any more: what was said here stands.
    assert found["b"].split == "test"
    # And the same again opens nothing more.
    again = tell(store, after, {"a": Row("val"), "b": Row(None)})
    assert (again.roots, again.said, again.conflicts) == (after.roots, after.said, 0)
