"""A backend in memory that counts what is asked of it, as a distant place would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dsvc.store.memory import MemoryBackend


class Request(NamedTuple):
    """One request: what was asked, of which file, and how many bytes travelled."""

    what: str
    name: str
    size: int


class CountingBackend(MemoryBackend):
    """Notes every request. A deletion of many files is one, and so is the writing of a file."""

    def __init__(self, held: dict[str, bytes] | None = None, head: bytes | None = None) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.held |= held or {}
        self.head = head

    def _note(self, what: str, name: str, size: int = 0) -> None:
        self.requests.append(Request(what, name, size))

    @property
    def kinds(self) -> list[str]:
        """What was asked, in order: `read packs`, `write index`, `swap head`."""
        return [f"{one.what} {one.name.split('/')[0]}" for one in self.requests]

    @property
    def bytes(self) -> int:
        """How many bytes travelled."""
        return sum(one.size for one in self.requests)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        data = super().read(name, offset, length)
        self._note("read", name, len(data))
        return data

    def size(self, name: str) -> int:
        self._note("size", name)
        return super().size(name)

    def keep(self, name: str, data: bytes) -> None:
        if not name.startswith("tmp/"):
            self._note("write", name, len(data))
        super().keep(name, data)

    def delete(self, name: str) -> None:
        if not name.startswith("tmp/"):
            self._note("delete", name)
        super().delete(name)

    def delete_all(self, names: Iterable[str]) -> None:
        names = list(names)
        self._note("delete", "many")
        for name in names:
            super().delete(name)

    def read_head(self) -> bytes | None:
        self._note("read", "head", len(self.head or b""))
        return super().read_head()

    def swap_head(self, expected: bytes | None, new: bytes) -> bool:
        self._note("swap", "head", len(new))
        return super().swap_head(expected, new)
