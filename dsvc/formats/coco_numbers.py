"""Numbers for records at export: those that came, made unique."""

from __future__ import annotations

from dsvc.model.records import Number, stable_number

_PAGE_BITS = 16
_DENSE = 1024


class NumberSet:
    """A set of numbers that is small where they lie close together: pages of bits, or of members."""

    def __init__(self) -> None:
        self._pages: dict[int, set[int] | bytearray] = {}
        self._texts: set[str] = set()

    def add(self, number: Number) -> bool:
        """Take a number; whether it is new."""
        if isinstance(number, str):
            before = len(self._texts)
            self._texts.add(number)
            return len(self._texts) > before
        page, low = number >> _PAGE_BITS, number & 0xFFFF
        members = self._pages.setdefault(page, set())
        if isinstance(members, bytearray):
            byte, bit = low >> 3, 1 << (low & 7)
            is_new = not members[byte] & bit
            members[byte] |= bit
            return is_new
        if low in members:
            return False
        members.add(low)
        if len(members) > _DENSE:
            self._pages[page] = _bits(members)
        return True


def _bits(members: set[int]) -> bytearray:
    bits = bytearray(1 << (_PAGE_BITS - 3))
    for low in members:
        bits[low >> 3] |= 1 << (low & 7)
    return bits


class Numbering:
    """Gives every record a number of its own: the one that it came with, else a stable hash of its name.

    Records must come in the order of their keys, so that of two with one number the same one keeps it always.
    """

    def __init__(self, as_text: bool = False) -> None:
        self._taken = NumberSet()
        self._as_text = as_text
        self.renumbered = 0

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
