"""Who brought a record, and who changed it last."""

from dsvc.core.history.blame import blame
from dsvc.core.history.origins import Origin

from .conftest import Graph


def blamed(graph: Graph, head: str, name: str = "a.jpg") -> dict[str, tuple[str, str]]:
    def text(origin: Origin | None) -> str:
        assert origin is not None
        return graph.names[origin.id] + (f" from {origin.source}" if origin.source else "")

    history, id = graph.history, graph.ids[head]
    found = blame(history, name, history.roots(id), [id])
    return {one.name: (text(one.brought), text(one.changed)) for one in found}


def test_who_brought_and_who_changed_last(graph: Graph) -> None:
    graph.commit("a", concepts={"a.jpg#1": "cat"})
    graph.commit("b", "a", concepts={"a.jpg#1": "cat", "a.jpg#2": "fox"})
    graph.commit("c", "b", concepts={"a.jpg#1": "dog", "a.jpg#2": "fox"})
    graph.commit("d", "c", concepts={"a.jpg#1": "dog", "a.jpg#2": "fox", "b.jpg#1": "cat"})
    assert blamed(graph, "d") == {"a.jpg": ("a", "a"), "a.jpg#1": ("a", "c"), "a.jpg#2": ("b", "b")}
    assert blamed(graph, "d", "a.jpg#1") == {"a.jpg#1": ("a", "c")}
    assert blamed(graph, "a", "b.jpg") == {}


def test_what_came_again_was_brought_then(graph: Graph) -> None:
    graph.commit("a", concepts={"a.jpg#1": "cat"})
    graph.commit("b", "a")
    graph.commit("c", "b", concepts={"a.jpg#1": "cat"})
    assert blamed(graph, "c") == {"a.jpg": ("c", "c"), "a.jpg#1": ("c", "c")}


def test_a_merge_leads_to_the_side_that_has_the_same(graph: Graph) -> None:
    graph.commit("base", concepts={"a.jpg#1": "cat"})
    graph.commit("l", "base", concepts={"a.jpg#1": "cat", "a.jpg#2": "fox"})
    graph.commit("r", "base", concepts={"a.jpg#1": "dog", "a.jpg#3": "elk"})
    graph.commit("m", "l", "r", concepts={"a.jpg#1": "dog", "a.jpg#2": "fox", "a.jpg#3": "elk"})
    assert blamed(graph, "m") == {
        "a.jpg": ("base", "base"), "a.jpg#1": ("base", "r"), "a.jpg#2": ("l", "l"), "a.jpg#3": ("r", "r"),
    }  # fmt: skip


def test_a_merge_changed_what_neither_side_has(graph: Graph) -> None:
    graph.commit("base", concepts={"a.jpg#1": "cat"})
    graph.commit("l", "base", concepts={"a.jpg#1": "dog"})
    graph.commit("r", "base", concepts={"a.jpg#1": "fox"})
    graph.commit("m", "l", "r", concepts={"a.jpg#1": "elk"})
    assert blamed(graph, "m")["a.jpg#1"] == ("base", "m")


def test_sources_are_named_for_what_they_said(graph: Graph) -> None:
    graph.commit("s1", source="vendor", concepts={"a.jpg#1": "cat"})
    graph.commit("a", "s1", concepts={"a.jpg#1": "cat", "a.jpg#9": "own"})
    graph.commit("b", "a", concepts={"a.jpg#1": "dog", "a.jpg#9": "own"})
    graph.commit("s2", "s1", source="vendor", concepts={"a.jpg#1": "fox"})
    graph.commit("c", "b", "s2", concepts={"a.jpg#1": "fox", "a.jpg#9": "own"})
    assert blamed(graph, "b") == {
        "a.jpg": ("a from vendor",) * 2, "a.jpg#1": ("a from vendor", "b"), "a.jpg#9": ("a", "a"),
    }  # fmt: skip
    assert blamed(graph, "c")["a.jpg#1"] == ("a from vendor", "c from vendor")


def test_a_part_that_was_taken_leads_to_where_it_was_taken_from(graph: Graph) -> None:
    graph.commit("base")
    graph.commit("r1", "base", concepts={"a.jpg#1": "cat"})
    graph.commit("r2", "r1", concepts={"a.jpg#1": "cat", "b.jpg#1": "cat"})
    graph.commit("part", "base", concepts={"a.jpg#1": "cat"}, notes={"taken_from": graph.ids["r2"]})
    graph.commit("m", "base", "part", concepts={"a.jpg#1": "cat"})
    assert blamed(graph, "m")["a.jpg#1"] == ("r1", "r1")
    graph.store.objects.pop(graph.ids["r2"])
    assert blamed(graph, "m")["a.jpg#1"] == ("part", "part"), "where that line is not here, the part has brought it"


def test_the_draft_is_in_no_commit(graph: Graph) -> None:
    graph.commit("a", concepts={"a.jpg#1": "cat"})
    draft = graph.commit("draft", concepts={"a.jpg#1": "dog", "a.jpg#2": "fox"})
    history = graph.history
    found = {one.name: one for one in blame(history, "a.jpg", history.roots(draft), [graph.ids["a"]])}
    one, two = found["a.jpg#1"], found["a.jpg#2"]
    assert one.changed is None and one.brought is not None and one.brought.id == graph.ids["a"]
    assert (two.brought, two.changed) == (None, None)


def test_a_damaged_clock_changes_nothing(graph: Graph) -> None:
    graph.commit("a", concepts={"a.jpg#1": "cat"}, seconds=900)
    graph.commit("l", "a", concepts={"a.jpg#1": "dog"}, seconds=5)
    graph.commit("r", "a", concepts={"a.jpg#1": "cat", "a.jpg#2": "fox"}, seconds=700)
    graph.commit("m", "l", "r", concepts={"a.jpg#1": "dog", "a.jpg#2": "fox"}, seconds=1)
    assert blamed(graph, "m") == {"a.jpg": ("a", "a"), "a.jpg#1": ("a", "l"), "a.jpg#2": ("r", "r")}
