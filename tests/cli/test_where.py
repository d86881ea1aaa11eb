"""rm and annotate of all that a filter is true of."""

import json
from pathlib import Path

import pytest

HINT = "hint: a filter is an expression such as: concept = 'cat' and area > 1024\n"


@pytest.fixture
def operation(project: Path):
    """What the head says: it does not move where nothing is done."""
    return lambda: (project / ".dsvc" / "head").read_text()


class TestRemove:
    def test_inputs(self, dsvc, project: Path) -> None:
        where = ("--inputs", "--where", "concept = 'dog' and area > 80")
        counts = "1 input, 1 annotation; files on disk are not touched\n"
        assert dsvc("rm", *where, "--dry-run").out == f"would remove {counts}"
        assert dsvc("status").out.endswith("nothing staged\n")
        assert dsvc("rm", *where).out == f"removed {counts}next: dsvc commit -m TEXT, or take it back: dsvc undo\n"
        assert dsvc("show", "--inputs").out == "a.jpg\n"
        assert (project / "images" / "b.jpg").exists()
        dsvc("undo")
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_annotations(self, dsvc, project: Path) -> None:
        result = dsvc("rm", "--annotations", "--where", "key like '%.jpg' and not has_polygons", "--json")
        assert json.loads(result.out) == {"dataset": "pets", "dry_run": False, "inputs": [], "annotations": 1}
        assert dsvc("status").out.splitlines()[1] == "holds 2 inputs, 1 annotation, 2 concepts"

    def test_json_names_the_inputs(self, dsvc, project: Path) -> None:
        result = dsvc("rm", "--inputs", "--where", "width >= 320", "--dry-run", "--json")
        expected = {"dataset": "pets", "dry_run": True, "inputs": ["a.jpg", "b.jpg"], "annotations": 2}
        assert json.loads(result.out) == expected

    def test_nothing_matches(self, dsvc, project: Path, operation) -> None:
        before = operation()
        assert dsvc("rm", "--inputs", "--where", "concept = 'cow'").out == "nothing matches; nothing removed\n"
        assert dsvc("rm", "--annotations", "--where", "false").out == "nothing matches; nothing removed\n"
        assert dsvc("rm", "--inputs", "--where", "false", "--dry-run").out == "nothing matches; nothing would go\n"
        assert operation() == before

    def test_the_two_ways_are_shown(self, dsvc, project: Path, operation) -> None:
        before = operation()
        assert dsvc("rm", "--where", "concept = 'cat'", code=2).err == (
            "error: --where with neither --inputs nor --annotations\n"
            "hint: inputs, with their annotations: dsvc rm --inputs --where \"concept = 'cat'\"; "
            "annotations alone: dsvc rm --annotations --where \"concept = 'cat'\"\n"
        )
        err = dsvc("rm", "--inputs", "--annotations", "--where", "\"key\" = 'a'", code=2).err
        assert err.startswith("error: --where with both --inputs and --annotations\n")
        assert """dsvc rm --inputs --where '"key" = '"'"'a'"'"''; """ in err
        assert operation() == before

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ((), "error: nothing is named\n"),
            (("--inputs",), "error: --inputs needs a filter\nhint: say which: --inputs --where EXPR\n"),
            (("--annotations", "a.jpg"), "error: --annotations needs a filter\n"),
            (("--inputs", "--where", "true", "a.jpg"), "error: a filter and names do not go together\n"),
            (("--inputs", "--where", ""), "error: the filter is empty\n"),
            (("--inputs", "--where", "\udcff"), "error: invalid value for '--where': '\\udcff' is not Unicode"),
        ],
    )
    def test_what_cannot_be_meant(self, dsvc, project: Path, operation, arguments: tuple[str, ...], error: str) -> None:
        before = operation()
        assert dsvc("rm", *arguments, code=2).err.startswith(error)
        assert operation() == before


class TestErrors:
    @pytest.mark.parametrize(
        ("where", "error"),
        [
            (
                "conept = 'cat'",
                "error: in the filter: no column 'conept'\n  conept = 'cat'\n  ^\n"
                "hint: did you mean concept? a text stands in single quotes: 'conept'\n",
            ),
            (
                "key = '日本\u0301' and\n  lenght(key) > 1",
                "error: in the filter: no function lenght()\n    lenght(key) > 1\n    ^\n"
                "hint: did you mean length, len, bit_length?\n",
            ),
            (
                "key = '日本\u0301' and (select true)",
                "error: in the filter: a filter has no subquery\n"
                "  key = '日本\u0301' and (select true)\n"
                f"                   ^\n{HINT}",
            ),
            (
                "area",
                "error: the filter is of type DOUBLE, not true or false\n"
                "hint: compare it with something, such as: area > 1024, text is not null, concept in ('cat', 'dog')\n",
            ),
            (
                "cast(concept as double) > 1",
                "error: in the filter: could not convert string 'cat' to DOUBLE\n  cast(concept as double) > 1\n  ^\n"
                "hint: where a value may not convert, try_cast(... as TYPE) gives null\n",
            ),
            (
                "key = 'a'; drop table x",
                f"error: in the filter: a filter is one expression, with nothing before or after it\n{HINT}",
            ),
        ],
    )
    def test_the_place_is_shown(self, dsvc, project: Path, operation, where: str, error: str) -> None:
        before = operation()
        shown = dsvc("rm", "--annotations", "--where", where, code=2).err
        assert shown.replace(" when casting from source column concept", "") == error
        assert operation() == before

    def test_a_long_filter_is_shown_in_part(self, dsvc, project: Path) -> None:
        where = " or ".join(f"key = '{n}'" for n in range(500)) + " or conept = 'a'" + " or true" * 500
        lines = dsvc("rm", "--inputs", "--where", where, code=2).err.splitlines()
        assert lines[2].index("^") == lines[1].index("conept")
        assert max(map(len, lines[:3])) < 130

    def test_an_unfinished_filter(self, dsvc, project: Path) -> None:
        assert dsvc("rm", "--inputs", "--where", "x > ", code=2).err.startswith("error: in the filter: syntax error at")


class TestAnnotate:
    def test_one_for_every_input(self, dsvc, project: Path) -> None:
        arguments = ("annotate", "--inputs", "--where", "width > 100", "--concept", "night", "--attribute", "by=hand")
        assert dsvc(*arguments, "--dry-run").out == "would add 2 annotations, one to each input\nnew concept night\n"
        assert dsvc("status").out.endswith("nothing staged\n")
        assert dsvc(*arguments).out == (
            "added 2 annotations, one to each input\nnew concept night\n"
            "next: dsvc commit -m TEXT, or take it back: dsvc undo\n"
        )
        assert "  night  by=hand\n" in dsvc("show", "a.jpg").out
        dsvc("undo")
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_every_annotation(self, dsvc, project: Path) -> None:
        where = ("annotate", "--annotations", "--where", "concept in ('cat', 'dog')", "--concept", "dog")
        assert dsvc(*where).out == (
            "changed 1 of 2 annotations; the rest is so already\n"
            "next: dsvc commit -m TEXT, or take it back: dsvc undo\n"
        )
        assert dsvc(*where).out == "2 annotations matched, and nothing had to change\n"
        assert dsvc(*where[:-1], "cat").out.startswith("changed 2 annotations\nnext: ")
        dsvc("undo")
        dsvc("undo")
        assert dsvc("status").out.endswith("nothing staged\n")

    def test_json(self, dsvc, project: Path) -> None:
        where = ("annotate", "--annotations", "--where", "concept = 'cat'", "--concept", "lion")
        expected = {
            "dataset": "pets",
            "verb": "changed",
            "new_concept": True,
            "dry_run": True,
            "matched": 1,
            "changed": 1,
        }
        assert json.loads(dsvc(*where, "--dry-run", "--json").out) == expected
        assert json.loads(dsvc(*where, "--json").out) == {**expected, "dry_run": False}
        assert json.loads(dsvc(*where, "--json").out)["matched"] == 0

    def test_nothing_matches(self, dsvc, project: Path, operation) -> None:
        before = operation()
        for noun in ("--inputs", "--annotations"):
            result = dsvc("annotate", noun, "--where", "concept = 'cow'", "--concept", "new")
            assert result.out == "nothing matches; nothing changed\n"
        assert operation() == before

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (("--concept", "x"), "error: nothing is named\n"),
            (
                ("--where", "crowd", "--concept", "x"),
                "error: --where with neither --inputs nor --annotations\n"
                'hint: to add one to each input: dsvc annotate --inputs --where "crowd" ...; '
                'to change each annotation: dsvc annotate --annotations --where "crowd" ...\n',
            ),
            (
                ("a.jpg", "--inputs", "--where", "crowd", "--concept", "x"),
                "error: a filter and names do not go together",
            ),
            (("a.jpg", "--annotations", "--concept", "x"), "error: --annotations needs a filter\n"),
            (("--inputs", "--where", "true"), "error: say what the annotation says"),
            (("--inputs", "--where", "true", "--crowd"), "error: the annotation: says nothing"),
            (("--inputs", "--where", "true", "--time", "2,1"), "error: the annotation: a time is begin and end"),
            (("a.jpg", "--concept", "x", "--dry-run"), "error: --dry-run goes with --where\n"),
        ],
    )
    def test_what_cannot_be_meant(self, dsvc, project: Path, operation, arguments: tuple[str, ...], error: str) -> None:
        before = operation()
        assert dsvc("annotate", *arguments, code=2).err.startswith(error)
        assert operation() == before

    def test_a_shape_in_the_way_is_named(self, dsvc, project: Path) -> None:
        error = dsvc(
            "annotate", "--annotations", "--where", "true", "--box", "0,0,1,1", "--unit", "relative", code=3
        ).err
        assert error.startswith("error: b.jpg#") and ": the shape keeps its polygons, in unit pixel\n" in error
        assert dsvc("status").out.endswith("nothing staged\n")
