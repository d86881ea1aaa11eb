"""Numbers for records at export: those that came, made unique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsvc.model.records import Number, stable_number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]

_PAGE_BITS = 16
_PAGE = 1 << _PAGE_BITS
# A page with more members than this is kept as flags, 64 kB, rather than as a set.
_DENSE = 1024


class NumberSet:
    """A set of numbers that is small where they lie close together: pages of members, or of flags."""

    def __init__(self) -> None:
        self._sparse: dict[int, set[int]] = {}
        self._dense: dict[int, Flags] = {}
        self._texts: set[str] = set()

    def add(self, number: Number) -> bool:
        """Take a number; whether it is new."""
        if isinstance(number, str):
            before = len(self._texts)
            self._texts.add(number)
            return len(self._texts) > before
        page, low = number >> _PAGE_BITS, number & (_PAGE - 1)
        flags = self._dense.get(page)
        if flags is not None:
            is_new = not flags[low]
            flags[low] = True
            return is_new
        members = self._sparse.setdefault(page, set())
        if low in members:
            return False
        members.add(low)
        if len(members) > _DENSE:
            self._flags(page)
        return True

    def add_all(self, numbers: list[Number]) -> bool:
        """Take whole numbers of at most 64 bits if all of them are new; else none, and False."""
        if not numbers:
            return True
        import numpy as np

        try:
            values = np.array(numbers, dtype=np.int64)
        except (ValueError, TypeError, OverflowError):
            return False
        values.sort()
        if (values[1:] == values[:-1]).any():
            return False
        pages, starts = np.unique(values >> _PAGE_BITS, return_index=True)
        if len(pages) * 8 > len(values):  # scattered: one by one is no slower
            return False
        parts = [
            (page, part & (_PAGE - 1)) for page, part in zip(pages.tolist(), np.split(values, starts[1:]), strict=True)
        ]
        if any(self._flags(page)[part].any() for page, part in parts):
            return False
        for page, part in parts:
            self._flags(page)[part] = True
        return True

    def _flags(self, page: int) -> Flags:
        """A page as flags; a page of members becomes one."""
        import numpy as np

        flags = self._dense.get(page)
        if flags is None:
            flags = self._dense[page] = np.zeros(_PAGE, dtype=np.bool_)
            flags[list(self._sparse.pop(page, ()))] = True
        return flags


class Numbering:
    """Gives every record a number of its own: the one that it came with, else a stable hash of its name.

    Records must come in the order of their keys, so that of two with one number the same one keeps it always.
    """

    def __init__(self, as_text: bool = False) -> None:
        self._taken = NumberSet()
        self._as_text = as_text
        self.renumbered = 0

    def take_all(self, wanted: list[Number]) -> bool:
        """Let records keep their numbers if none of these is taken; else nothing happens, and False."""
        return self._taken.add_all(wanted)

    def number(self, wanted: Number | None, name: str | bytes) -> Number:
        """The number of the record `name`: a name, or the tree key of an annotation."""
        if wanted is not None:
            if self._taken.add(wanted):
                return wanted
            self.renumbered += 1
        fallback = stable_number(name if isinstance(name, str) else name.decode().replace("\0", "#"))
        while not self._taken.add(str(fallback) if self._as_text else fallback):
            fallback += 1
        return str(fallback) if self._as_text else fallback
