"""Following a source: what it changed is laid over a dataset, local edits stay, and nothing dangles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.core.imports.following import follow, last_word
from dsvc.core.imports.union import is_same, unite
from dsvc.errors import InvalidRecordsError
from dsvc.model.records import (
    NO_EXTRAS,
    Annotation,
    Concept,
    Input,
    annotation_fields,
    annotation_key,
    content_id,
    decode_annotation,
    decode_input,
    encode_annotation,
    encode_concept,
    encode_input,
)
from dsvc.model.snapshot import Roots, empty_roots
from dsvc.model.tree import Tree, build_tree
from dsvc.store.ids import Kind, ObjectId, object_id


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
    made = Annotation(key=key, id="", concept=concept)
    return annotation_key(key, content_id(key, annotation_fields(made))), encode_annotation(made)


def told(store: DictStore, table: Table, concepts: frozenset[str] = frozenset()) -> Roots:
    """The records of a table, and perhaps some more concepts."""
    names = concepts.union(*(row.concepts for row in table.values()))
    inputs = {key: Input(key=key, split=row.split, metadata=row.metadata) for key, row in table.items()}
    return Roots(
        concepts=build_tree(
            store, sorted((name.encode(), encode_concept(Concept(id=name, name=name))) for name in names)
        ),
        inputs=build_tree(store, sorted((key.encode(), encode_input(one)) for key, one in inputs.items())),
        annotations=build_tree(store, sorted(mark(key, name) for key, row in table.items() for name in row.concepts)),
    )


class Taken(NamedTuple):
    """A dataset, and what its source has said in all."""

    roots: Roots
    said: Roots


def take(store: DictStore, state: Taken | None, table: Table) -> Taken:
    """Import a table, or what became of it."""
    new = told(store, table)
    if state is None:
        return Taken(unite(store, empty_roots(store), new).roots, new)
    said = last_word(store, state.said, new).roots
    return Taken(follow(store, state.roots, state.said, said), said)


def edit(store: DictStore, state: Taken, **trees: dict[bytes, bytes | None]) -> Taken:
    """Local edits."""
    made = {name: Tree(store, getattr(state.roots, name)).edit(store, edits) for name, edits in trees.items()}
    roots = {name: made.get(name, getattr(state.roots, name)) for name in ("concepts", "inputs", "annotations")}
    return state._replace(roots=Roots(**roots))


def inputs_of(store: DictStore, roots: Roots) -> dict[str, Input]:
    return {key.decode(): decode_input(key, value) for key, value in Tree(store, roots.inputs)}


def check_whole(store: DictStore, roots: Roots) -> None:
    """Every annotation has its input and its concept."""
    inputs, concepts = Tree(store, roots.inputs), Tree(store, roots.concepts)
    for key, value in Tree(store, roots.annotations):
        found = decode_annotation(key, value)
        assert found.key.encode() in inputs, found
        assert found.concept is None or found.concept.encode() in concepts, found


def all_concepts(*several: Table) -> frozenset[str]:
    return frozenset(name for table in several for row in table.values() for name in row.concepts)


# ---- nothing was edited here


@given(st.lists(tables, min_size=2, max_size=4))
@settings(deadline=None)
def test_without_edits_it_is_a_fresh_import_of_the_last_word_on_each_input(several: list[Table]) -> None:
    store, state, merged = DictStore(), None, {}
    for table in several:
        state, merged = take(store, state, table), {**merged, **table}
    fresh = take(store, None, merged)
    assert state.roots == told(store, merged, all_concepts(*several))
    assert (state.roots.inputs, state.roots.annotations) == (fresh.roots.inputs, fresh.roots.annotations)


@given(tables, tables)
@settings(deadline=None)
def test_following_twice_changes_nothing(first: Table, second: Table) -> None:
    store = DictStore()
    once = take(store, take(store, None, first), second)
    assert take(store, once, second) == once


@given(tables, tables)
@settings(deadline=None)
def test_there_and_back_is_as_it_was(first: Table, second: Table) -> None:
    """Of what both list, and but for what only the second lists, which stays."""
    store = DictStore()
    once = take(store, None, first)
    back = take(store, take(store, once, second), first)
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
    start = take(store, None, first)
    one, other = take(store, work(start), second), work(take(store, start, second))
    assert one.roots == other.roots
    check_whole(store, one.roots)
    for key, (text, _) in edits.items():
        if key in first:
            assert inputs_of(store, one.roots)[key].metadata["mine"] == text


ABSENT = object()


def expected(mine: Any, was: Any, now: Any) -> Any:
    """One field by its three values; raises ValueError where both changed it."""
    if is_same(now, was) or is_same(mine, now):
        return mine
    if is_same(mine, was) or mine is ABSENT:
        return now
    raise ValueError


def fields_of(one: Input) -> dict[str, Any]:
    return {**({"split": one.split} if one.split else {}), **{f"metadata.{k}": v for k, v in one.metadata.items()}}


@given(rows, rows, rows)
@settings(deadline=None, max_examples=300)
def test_each_field_goes_by_its_three_values(was: Row, mine: Row, now: Row) -> None:
    store = DictStore()
    start = take(store, None, {"k": was})
    state = edit(store, start, inputs={b"k": encode_input(Input(key="k", split=mine.split, metadata=mine.metadata))})
    sides = [fields_of(Input(key="k", split=row.split, metadata=row.metadata)) for row in (mine, was, now)]
    merged, clashes = {}, []
    for name in sorted(set().union(*sides)):
        try:
            found = expected(*(side.get(name, ABSENT) for side in sides))
        except ValueError:
            clashes.append(name)
            continue
        if found is not ABSENT:
            merged[name] = found
    if clashes:
        with pytest.raises(InvalidRecordsError) as error:
            take(store, state, {"k": now})
        assert len(error.value.problems) == 1 and error.value.problems[0].startswith("input 'k': ")
        assert all(f"{name} was changed here to " in error.value.problems[0] for name in clashes)
    else:
        found = fields_of(inputs_of(store, take(store, state, {"k": now}).roots)["k"])
        assert found.keys() == merged.keys() and all(is_same(found[name], merged[name]) for name in merged)


@given(tables, tables, tables, st.lists(keys), st.lists(st.tuples(keys, st.sampled_from(["cat", "dog", "bird"]))))
@settings(deadline=None)
def test_nothing_dangles_whatever_was_taken_away(
    first: Table, second: Table, third: Table, inputs: list[str], marks: list[tuple[str, str]]
) -> None:
    store = DictStore()
    state = take(store, None, first)
    for table in (second, third):
        lost: dict[bytes, bytes | None] = {mark(*one)[0]: None for one in marks}
        for key in inputs:
            lost |= {name: None for name, _ in Tree(store, state.roots.annotations).prefix(f"{key}\0".encode())}
        state = edit(store, state, annotations=lost, inputs={key.encode(): None for key in inputs})
        # Concepts that nothing names any more go too, as a person may do it.
        used = {decode_annotation(*entry).concept for entry in Tree(store, state.roots.annotations)}
        names = [name for name, _ in Tree(store, state.roots.concepts) if name.decode() not in used]
        state = take(store, edit(store, state, concepts=dict.fromkeys(names)), table)
        check_whole(store, state.roots)


# ---- single cases


def test_what_was_taken_away_here_stays_away_while_the_source_says_the_same() -> None:
    store, row = DictStore(), Row("train", {}, frozenset(["cat"]))
    state = take(store, None, {"a": row, "b": row})
    state = edit(store, state, inputs={b"a": None}, annotations={mark("a", "cat")[0]: None})
    after = take(store, state, {"a": row, "b": row._replace(split="val")})
    assert {key: one.split for key, one in inputs_of(store, after.roots).items()} == {"b": "val"}
    assert len(Tree(store, after.roots.annotations)) == 1


def test_concepts_that_vanish_from_a_row_go_and_those_of_vanished_rows_stay() -> None:
    store, row = DictStore(), Row(None, {}, frozenset(["cat", "dog"]))
    state = take(store, None, {"a": row, "b": row})
    after = take(store, state, {"a": Row(None, {}, frozenset(["dog"]))})
    left = {decode_annotation(*entry).key for entry in Tree(store, after.roots.annotations)}
    assert sorted(Tree(store, after.roots.annotations)) == sorted(
        [mark("a", "dog"), mark("b", "cat"), mark("b", "dog")]
    )
    assert left == {"a", "b"}


def test_a_concept_that_was_changed_here_stays_when_its_cell_is_emptied() -> None:
    store = DictStore()
    state = take(store, None, {"a": Row(None, {}, frozenset(["cat"]))})
    key, _ = mark("a", "cat")
    sure = encode_annotation(Annotation(key="a", id=key.decode().partition("\0")[2], concept="cat", status="sure"))
    after = take(store, edit(store, state, annotations={key: sure}), {"a": Row()})
    assert list(Tree(store, after.roots.annotations)) == [(key, sure)]


def test_a_row_that_comes_back_is_compared_with_what_the_source_said_of_it() -> None:
    """It is no edit of ours that the dataset still says what the row said before it went."""
    store = DictStore()
    state = take(store, None, {"a": Row("train", {"n": 1}, frozenset(["cat"]))})
    away = take(store, state, {})
    assert away.roots == state.roots
    back = take(store, away, {"a": Row("val", {"n": 1}, frozenset(["dog"]))})
    assert inputs_of(store, back.roots)["a"].split == "val"
    assert list(Tree(store, back.roots.annotations)) == [mark("a", "dog")]


def test_dropped_inputs_are_counted() -> None:
    store = DictStore()
    both, one = told(store, {"a": Row(), "b": Row()}), told(store, {"b": Row()})
    assert last_word(store, both, one).dropped == 1
    assert last_word(store, one, both).dropped == 0


def test_all_metadata_of_a_source_may_go_beside_ours() -> None:
    store = DictStore()
    state = take(store, None, {"a": Row(None, {"theirs": 1})})
    state = edit(store, state, inputs={b"a": encode_input(Input(key="a", metadata={"theirs": 1, "ours": 2}))})
    after = take(store, state, {"a": Row()})
    assert inputs_of(store, after.roots)["a"].metadata == {"ours": 2}


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.5), ("1", 1)])
def test_a_value_that_only_changes_its_type_is_a_change(old: Any, new: Any) -> None:
    store = DictStore()
    state = take(store, take(store, None, {"a": Row(None, {"x": old})}), {"a": Row(None, {"x": new})})
    found = inputs_of(store, state.roots)["a"].metadata["x"]
    assert found == new and type(found) is type(new)


def test_a_clash_says_both_values_and_what_to_do() -> None:
    store = DictStore()
    state = take(store, None, {"a": Row("train"), "b": Row("train")})
    edits = {key: encode_input(Input(key=key.decode(), split="test")) for key in (b"a", b"b")}
    with pytest.raises(InvalidRecordsError) as error:
        take(store, edit(store, state, inputs=edits), {"a": Row("val"), "b": Row(None)})
    assert error.value.message == "2 records were changed both here and in the source"
    assert error.value.problems == (
        "input 'a': split was changed here to 'test', and in the source to 'val'",
        "input 'b': split was changed here to 'test', and in the source to nothing",
    )
    assert "dsvc set" in (error.value.hint or "")
