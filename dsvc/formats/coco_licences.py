"""The licences of several COCO files as one table, for an export."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dsvc.formats.coco_tables import Licences, is_id
from dsvc.model.records import Number, stable_number


class JoinedLicences:
    """Rows of licences, and the number of each by its label, which is what inputs name it by.

    Equal rows of several files are one; of two rows with one number the later gets another.
    """

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.numbers: dict[str, Number] = {}

    def add(self, table: Any, wanted: Collection[str] | None = None) -> None:
        """Take a file's licences in; of `wanted` labels, only those that are not here yet."""
        labels = Licences(table).names
        earlier, taken = list(self.rows), {number for row in self.rows if (number := _number(row)) is not None}
        for row in table if isinstance(table, list) else ():
            number = _number(row)
            label = labels.get(number) if number is not None else None
            if wanted is not None and (label not in wanted or label in self.numbers):
                continue
            if row not in earlier:
                if number is not None and number in taken:
                    number = _free(label or "", taken)
                    row = {**row, "id": number}
                self.rows.append(row)
            if label is not None and number is not None:
                self.numbers.setdefault(label, number)


def _number(row: Any) -> Number | None:
    number = row.get("id") if isinstance(row, dict) else None
    return number if is_id(number) else None


def _free(label: str, taken: set[Number]) -> int:
    """A number for a licence that no other has; it is taken then."""
    number = stable_number(label)
    while number in taken:
        number += 1
    taken.add(number)
    return number
