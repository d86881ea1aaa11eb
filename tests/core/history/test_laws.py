"""What holds of any history, told by looking at all of its commits."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.core.history.blame import blame
from dsvc.core.history.origins import who_set
from dsvc.core.history.tracing import Focus, Trace
from dsvc.model.records import annotation_key, decode_annotation

from .conftest import Graph

COMMIT = st.tuples(
    st.sets(st.integers(0, 9), max_size=2),
    st.dictionaries(st.sampled_from(["a.jpg#1", "a.jpg#2"]), st.sampled_from(["cat", "dog"]), max_size=2),
    st.integers(0, 3),
)
SHAPES = st.lists(COMMIT, min_size=1, max_size=10)


def made(shape: list[Any]) -> Graph:
    graph = Graph()
    for number, (parents, concepts, seconds) in enumerate(shape):
        names = sorted({f"c{parent % number}" for parent in parents}) if number else []
        graph.commit(f"c{number}", *names, concepts=concepts, seconds=seconds)
    return graph


def state(graph: Graph, name: str) -> dict[str, str | None]:
    """The annotations of a commit: key and id -> concept."""
    entries = Focus(graph.history, "a.jpg").at(graph.ids[name])
    records = [decode_annotation(key, value) for (noun, key), value in entries.items() if noun == "annotation"]
    return {f"{record.key}#{record.id}": record.concept for record in records}


def parents(graph: Graph, name: str) -> list[str]:
    return [graph.names[parent] for parent in graph.history.parents(graph.ids[name])]


@settings(deadline=None)
@given(SHAPES)
def test_blame_names_the_commits_where_a_record_came_and_changed(shape: list[Any]) -> None:
    graph = made(shape)
    head = f"c{len(shape) - 1}"
    history, id = graph.history, graph.ids[head]
    now = state(graph, head)
    found = {one.name: one for one in blame(history, "a.jpg", history.roots(id), [id]) if one.noun == "annotation"}
    assert found.keys() == now.keys()
    for name, one in found.items():
        assert one.brought is not None and one.changed is not None
        brought, changed = (graph.names[origin.id] for origin in (one.brought, one.changed))
        assert name in state(graph, brought)
        assert not any(name in state(graph, parent) for parent in parents(graph, brought))
        assert state(graph, changed)[name] == now[name]
        assert not any(state(graph, parent).get(name) == now[name] for parent in parents(graph, changed))


@settings(deadline=None)
@given(SHAPES)
def test_who_set_names_commits_whose_parents_do_not_have_the_value(shape: list[Any]) -> None:
    graph = made(shape)
    head, name = f"c{len(shape) - 1}", "a.jpg#1"
    key = annotation_key("a.jpg", "1")
    found = who_set(
        graph.history, graph.ids[head], "annotation", key,
        lambda value: {decode_annotation(key, value).concept if value is not None else None},
    )  # fmt: skip
    assert set(found) == {state(graph, head).get(name)}
    for value, origins in found.items():
        assert origins and len({origin.id for origin in origins}) == len(origins)
        for origin in origins:
            commit = graph.names[origin.id]
            assert state(graph, commit).get(name) == value
            assert not any(state(graph, parent).get(name) == value for parent in parents(graph, commit))


@settings(deadline=None)
@given(SHAPES)
def test_a_trace_has_only_commits_that_differ_from_all_their_parents(shape: list[Any]) -> None:
    graph = made(shape)
    head = f"c{len(shape) - 1}"
    trace = Trace(Focus(graph.history, "a.jpg"))
    found = [graph.names[id] for id in trace.walk(graph.ids[head])]
    assert len(set(found)) == len(found)
    for name in found:
        assert all(state(graph, name) != state(graph, parent) for parent in parents(graph, name))
        assert parents(graph, name) or state(graph, name)
    if found:
        assert state(graph, found[0]) == state(graph, head), "the newest change made what stands at the head"
