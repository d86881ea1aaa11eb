"""The picture of `dsvc log --graph`."""

from collections.abc import Mapping, Sequence

from dsvc.cli.graph import Graph


def drawn(commits: Mapping[str, Sequence[str]]) -> str:
    graph, lines = Graph(), []
    for id, parents in commits.items():
        picture = graph.draw(id, parents)
        lines += picture.before
        lines.append(f"{picture.rows[0]} {id}")
        lines += picture.rows[1:]
    return "\n".join(lines) + "\n"


def test_a_line() -> None:
    assert drawn({"b": ["a"], "a": []}) == "* b\n* a\n"


def test_a_merge() -> None:
    assert drawn({"m": ["l", "r"], "l": ["base"], "r": ["base"], "base": []}) == (
        "* m\n|\\\n* | l\n| * r\n|/\n* base\n"
    )


def test_two_lines_that_merged_each_other() -> None:
    commits = {
        "top": ["m1", "m2"], "m2": ["r1", "l1"], "m1": ["l1", "r1"], "r1": ["base"], "l1": ["base"], "base": [],
    }  # fmt: skip
    assert drawn(commits) == (
        "* top\n|\\\n| * m2\n| |\\\n* | | m1\n|\\ \\ \\\n| |/ /\n| * | r1\n|_|/\n* | l1\n|/\n* base\n"
    )


def test_a_merge_of_four() -> None:
    commits = {"m": ["a", "b", "c", "d"], "a": ["base"], "b": ["base"], "c": ["base"], "d": ["base"], "base": []}
    assert drawn(commits) == (
        "* m\n|\\\n|\\ \\\n|\\ \\ \\\n* | | | a\n| * | | b\n| | * | c\n| | | * d\n|_|_|/\n|_|/\n|/\n* base\n"
    )


def test_lines_that_begin_by_themselves() -> None:
    commits = {"m": ["l", "r"], "l": ["x"], "x": [], "r": ["y"], "y": []}
    assert drawn(commits) == "* m\n|\\\n* | l\n* | x\n /\n* r\n* y\n"


def test_a_lane_far_to_the_right_joins_under_the_others() -> None:
    commits = {"m": ["a", "b", "c"], "c": ["a"], "b": ["x"], "a": ["x"], "x": []}
    assert drawn(commits) == "* m\n|\\\n|\\ \\\n| | * c\n| * | b\n|_|/\n* | a\n|/\n* x\n"


def test_heads_that_nothing_leads_to() -> None:
    assert drawn({"b": ["base"], "a": ["base"], "base": []}) == "* b\n| * a\n|/\n* base\n"
