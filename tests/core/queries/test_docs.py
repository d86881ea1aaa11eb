"""The reference has every column of filters and queries, in their order."""

import re
from pathlib import Path

from dsvc.core.filters.columns import ANNOTATION_COLUMNS, INPUT_COLUMNS
from dsvc.core.queries.tables import TABLES

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def columns_of(page: str, title: str) -> list[tuple[str, str]]:
    """The columns of the table below a title, with their types."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    section = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.M)
    return [(name, type) for names, type in rows for name in re.findall("`(.*?)`", names)]


def test_tables_of_queries() -> None:
    for table, columns in TABLES.items():
        assert columns_of("query.md", table) == list(columns.items())


def test_columns_of_filters() -> None:
    for title, columns in (("Columns of inputs", INPUT_COLUMNS), ("Columns of annotations", ANNOTATION_COLUMNS)):
        assert sorted(name for name, _ in columns_of("filters.md", title)) == sorted(columns)
