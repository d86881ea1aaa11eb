"""The graph of commits."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from .conftest import Graph


def test_a_line_comes_newest_first(graph: Graph) -> None:
    graph.commit("a")
    graph.commit("b", "a")
    graph.commit("c", "b")
    assert graph.walk("c") == ["c", "b", "a"]
    assert graph.walk("b") == ["b", "a"]


def test_lines_of_sources_are_left_out(graph: Graph) -> None:
    graph.commit("s1", source="vendor")
    graph.commit("a", "s1")
    graph.commit("s2", "s1", source="vendor")
    graph.commit("b", "a", "s2")
    assert graph.walk("b") == ["b", "a"]
    history, ids = graph.history, graph.ids
    assert history.parents(ids["a"]) == () and history.ancestor(ids["b"], 1) == ids["a"]
    assert history.ancestor(ids["b"], 2) is None
    assert history.sources(ids["b"]) == {"vendor": ids["s2"]}
    assert graph.walk("s2") == ["s2", "s1"], "asked for by name, a source's line is walked"


def test_the_newest_comes_first_across_lines(graph: Graph) -> None:
    graph.commit("base")
    graph.commit("l1", "base", seconds=10)
    graph.commit("r1", "base", seconds=20)
    graph.commit("l2", "l1", seconds=30)
    graph.commit("m", "l2", "r1", seconds=40)
    assert graph.walk("m") == ["m", "l2", "r1", "l1", "base"]


def test_lines_of_the_same_second_stay_together(graph: Graph) -> None:
    graph.commit("base", seconds=0)
    for side in "lr":
        graph.commit(f"{side}1", "base", seconds=5)
        graph.commit(f"{side}2", f"{side}1", seconds=5)
    graph.commit("m", "l2", "r2", seconds=5)
    assert graph.walk("m") == ["m", "l2", "l1", "r2", "r1", "base"]


def test_a_wrong_clock_does_not_put_a_parent_before_its_child(graph: Graph) -> None:
    graph.commit("root", seconds=9_000)
    graph.commit("l", "root", seconds=10)
    graph.commit("other root", seconds=8_000)
    graph.commit("r", "other root", seconds=5)
    graph.commit("m", "l", "r", seconds=1)
    found = graph.walk("m")
    assert sorted(found) == sorted(graph.ids) and found[0] == "m"
    assert found.index("l") < found.index("root") and found.index("r") < found.index("other root")


def test_criss_cross_and_heads_that_follow_each_other(criss_cross: Callable[[], Graph]) -> None:
    graph = criss_cross()
    assert graph.walk("top") == ["top", "m2", "m1", "r1", "l1", "base"]
    assert graph.walk("base", "m1") == ["m1", "r1", "l1", "base"]


def test_the_first_of_a_long_line_do_not_read_the_rest(graph: Graph) -> None:
    graph.commit("c0")
    for number in range(1, 200):
        graph.commit(f"c{number}", f"c{number - 1}")
    graph.commit("side", "c199")
    graph.commit("m", "c199", "side")
    history = graph.history
    graph.store.reads.clear()
    assert len(list(islice(history.walk([graph.ids["m"]]), 5))) == 5
    assert len(graph.store.reads) < 20


@given(st.lists(st.tuples(st.sets(st.integers(0, 30), max_size=3), st.integers(0, 5)), min_size=1, max_size=25))
def test_every_commit_comes_once_and_before_its_parents(shape: list[tuple[set[int], int]]) -> None:
    graph = Graph()
    for number, (parents, seconds) in enumerate(shape):
        names = sorted({f"c{parent % number}" for parent in parents}) if number else []
        graph.commit(f"c{number}", *names, seconds=seconds)
    heads = list(graph.ids)
    found: list[Any] = graph.walk(*heads)
    assert sorted(found) == sorted(heads)
    place = {name: at for at, name in enumerate(found)}
    for name, id in graph.ids.items():
        for parent in graph.history.parents(id):
            assert place[name] < place[graph.names[parent]]
