"""The commits that changed one input."""

from dsvc.core.history.tracing import Focus, Trace

from .conftest import Graph


def traced(graph: Graph, head: str, name: str) -> dict[str, list[str]]:
    trace = Trace(Focus(graph.history, name))
    return {
        graph.names[id]: [graph.names[parent] for parent in trace.parents(id)] for id in trace.walk(graph.ids[head])
    }


def test_only_what_changed_the_input_or_its_annotations(graph: Graph) -> None:
    graph.commit("none")
    graph.commit("a", "none", concepts={"a.jpg#1": "cat"})
    graph.commit("b", "a", concepts={"a.jpg#1": "cat", "b.jpg#1": "cat"})
    graph.commit("c", "b", concepts={"a.jpg#1": "cat", "a.jpg#2": "dog", "b.jpg#1": "cat"})
    graph.commit("d", "c", concepts={"b.jpg#1": "cat"})
    assert traced(graph, "d", "a.jpg") == {"d": ["c"], "c": ["a"], "a": []}
    assert traced(graph, "d", "a.jpg#1") == {"d": ["a"], "a": []}
    assert traced(graph, "d", "b.jpg") == {"b": []}
    assert traced(graph, "d", "nope.jpg") == {}


def test_a_merge_is_passed_over_where_it_took_one_side(graph: Graph) -> None:
    graph.commit("base", concepts={"a.jpg#1": "cat"})
    graph.commit("l", "base", concepts={"a.jpg#1": "cat", "b.jpg#1": "cat"})
    graph.commit("r", "base", concepts={"a.jpg#1": "dog"})
    graph.commit("m", "l", "r", concepts={"a.jpg#1": "dog", "b.jpg#1": "cat"})
    assert traced(graph, "m", "a.jpg") == {"r": ["base"], "base": []}


def test_a_merge_that_combines_both_sides_is_told(graph: Graph) -> None:
    graph.commit("base", concepts={"a.jpg#1": "cat"})
    graph.commit("l", "base", concepts={"a.jpg#1": "cat", "a.jpg#2": "fox"})
    graph.commit("r", "base", concepts={"a.jpg#1": "dog"})
    graph.commit("m", "l", "r", concepts={"a.jpg#1": "dog", "a.jpg#2": "fox"})
    assert traced(graph, "m", "a.jpg") == {"m": ["l", "r"], "r": ["base"], "l": ["base"], "base": []}
    assert traced(graph, "m", "a.jpg#2") == {"l": []}


def test_trees_that_are_the_same_are_read_once(graph: Graph) -> None:
    graph.commit("c0", concepts={"a.jpg#1": "cat"})
    for number in range(1, 50):
        graph.commit(f"c{number}", f"c{number - 1}", concepts={"a.jpg#1": "cat"})
    graph.store.reads.clear()
    assert traced(graph, "c49", "a.jpg") == {"c0": []}
    assert len(graph.store.reads) == 50 + 1 + 2, "the commits, their one snapshot, and one path in each tree"
