"""Who set a value."""

from dsvc.core.history.origins import who_set
from dsvc.model.records import annotation_key, decode_annotation

from .conftest import Graph

KEY = annotation_key("a.jpg", "1")


def concept(value: bytes | None) -> set[str | None]:
    return {decode_annotation(KEY, value).concept} if value is not None else set()


def who(graph: Graph, head: str) -> dict[str | None, list[str]]:
    found = who_set(graph.history, graph.ids[head], "annotation", KEY, concept)
    return {value: [graph.names[origin.id] for origin in origins] for value, origins in found.items()}


def test_the_commit_that_brought_a_value_not_the_last_that_has_it(graph: Graph) -> None:
    graph.commit("a", concepts={"a.jpg#1": "cat"})
    graph.commit("b", "a", concepts={"a.jpg#1": "dog"})
    graph.commit("c", "b", concepts={"a.jpg#1": "dog", "b.jpg#1": "cat"})
    assert who(graph, "c") == {"dog": ["b"]}
    assert who(graph, "a") == {"cat": ["a"]}


def test_a_value_that_came_back_counts_from_then(graph: Graph) -> None:
    graph.commit("a", concepts={"a.jpg#1": "cat"})
    graph.commit("b", "a", concepts={"a.jpg#1": "dog"})
    graph.commit("c", "b", concepts={"a.jpg#1": "cat"})
    assert who(graph, "c") == {"cat": ["c"]}


def test_both_lines_that_brought_the_same_are_told_the_newest_first(graph: Graph) -> None:
    graph.commit("base", concepts={"a.jpg#1": "cat"})
    graph.commit("l", "base", concepts={"a.jpg#1": "dog"})
    graph.commit("r", "base", concepts={"a.jpg#1": "dog"})
    graph.commit("m", "l", "r", concepts={"a.jpg#1": "dog"})
    assert who(graph, "m") == {"dog": ["r", "l"]}


def test_the_candidates_of_a_conflict_come_from_their_lines(graph: Graph) -> None:
    graph.commit("base", concepts={"a.jpg#1": "cat"})
    graph.commit("l1", "base", concepts={"a.jpg#1": "dog"})
    graph.commit("l2", "l1", concepts={"a.jpg#1": "dog", "b.jpg#1": "cat"})
    graph.commit("r", "base", concepts={"a.jpg#1": "fox"})
    graph.commit("m", "l2", "r", concepts={"a.jpg#1": "dog|fox"})
    history, head = graph.history, graph.ids["m"]

    def candidates(value: bytes | None) -> list[str]:
        return [part for text in concept(value) for part in str(text).split("|")]

    found = who_set(history, head, "annotation", KEY, candidates)
    assert {value: [o.commit.message for o in origins] for value, origins in found.items()} == {
        "dog": ["l1"],
        "fox": ["r"],
    }


def test_who_took_a_record_away(graph: Graph) -> None:
    graph.commit("a", concepts={"a.jpg#1": "cat"})
    graph.commit("b", "a", concepts={"b.jpg#1": "cat"})
    graph.commit("c", "b", concepts={"b.jpg#1": "dog"})
    found = who_set(graph.history, graph.ids["c"], "annotation", KEY, lambda value: {value is not None})
    assert {value: [graph.names[o.id] for o in origins] for value, origins in found.items()} == {False: ["b"]}


def test_the_source_is_named_where_it_said_so(graph: Graph) -> None:
    graph.commit("s1", source="vendor", concepts={"a.jpg#1": "cat"})
    graph.commit("a", "s1", concepts={"a.jpg#1": "cat"})
    graph.commit("b", "a", concepts={"a.jpg#1": "dog"})
    graph.commit("s2", "s1", source="vendor", concepts={"a.jpg#1": "cat", "b.jpg#1": "fox"})
    graph.commit("c", "b", "s2", concepts={"a.jpg#1": "cat", "b.jpg#1": "fox"})

    def source(head: str) -> list[str | None]:
        found = who_set(graph.history, graph.ids[head], "annotation", KEY, concept)
        return [origin.source for origins in found.values() for origin in origins]

    assert source("a") == ["vendor"] and source("b") == [None]
    assert source("c") == [None], "the source had said so before: somebody brought it back by hand"


def test_a_criss_cross_is_walked_once(graph: Graph) -> None:
    graph.commit("base0", concepts={"a.jpg#1": "cat"})
    graph.commit("base1", "base0", concepts={"a.jpg#1": "cat", "b.jpg#1": "cat"})
    heads = ["base0", "base1"]
    for step in range(12):
        records = {"a.jpg#1": "cat", f"{step}.jpg#1": "cat"}
        names = [f"l{step}", f"r{step}"]
        for name, parents in zip(names, (heads, heads[::-1]), strict=True):
            graph.commit(name, *parents, concepts=records)
        heads = names
    graph.store.reads.clear()
    assert who(graph, "l11") == {"cat": ["base0"]}
    assert len(graph.store.reads) < 200
