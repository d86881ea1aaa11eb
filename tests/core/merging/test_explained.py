"""The table of docs/explanation/merging.md is what the formula gives."""

import re
from pathlib import Path

import pytest

from dsvc.model.facts import Values, values_of
from dsvc.model.merging import merge_field

PAGE = Path(__file__).parents[3] / "docs/explanation/merging.md"
ROWS = [
    [cell.strip(" *") for cell in line.split("|")[1:5]]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [a-z–].*\|$", line)
]


def values(cell: str) -> Values:
    return values_of(*cell.split(" or ")) if cell != "–" else {}


def test_the_table_is_there() -> None:
    assert len(ROWS) == 9


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_a_row(row: list[str]) -> None:
    base, ours, theirs, result = map(values, row)
    assert merge_field("c", base, ours, theirs).keys() == result.keys()
    assert merge_field("c", base, theirs, ours).keys() == result.keys()
