"""Names that other systems cannot hold: each told with both keys, and no more than is true."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsvc.core.files import portability
from dsvc.core.files.portability import find_clashes, find_name_clashes, forbidden
from dsvc.model.tree import Tree, build_tree
from dsvc.store.memory import MemoryBackend
from dsvc.store.objects import ObjectStore

NFC, NFD = "caf\u00e9.jpg", "cafe\u0301.jpg"


class Counted:
    """A tree of keys that counts how it is asked."""

    def __init__(self, keys: list[str]) -> None:
        with ObjectStore.create(MemoryBackend()).writer() as writer:
            root = build_tree(writer, sorted((key.encode(), b"\xc0") for key in keys))
            self._tree = Tree(writer, root)
        self.lookups = 0
        self.walks = 0

    def __len__(self) -> int:
        return len(self._tree)

    def __contains__(self, key: bytes) -> bool:
        self.lookups += 1
        return key in self._tree

    def __iter__(self) -> Iterator[tuple[bytes, Any]]:
        self.walks += 1
        return iter(self._tree)

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, Any]]:
        self.lookups += 1
        return self._tree.prefix(prefix)


def clashes(*keys: str) -> list[tuple[str, str]]:
    return list(find_name_clashes(lambda: keys))


CASES = [
    (("a.jpg", "b.jpg", "a/b.jpg"), []),
    (("A.jpg", "a.jpg"), [("a.jpg", "differs from A.jpg in case only: Windows and macOS take the two for one")]),
    ((NFC, NFD), [(NFD, f"is shown as {NFC} is, which is NFC: macOS takes the two for one")]),
    ((NFD, NFC), [(NFC, f"is shown as {NFD} is, which is NFD: macOS takes the two for one")]),
    (("Images/a.jpg", "images/a.jpg"), [
        ("images/a.jpg", "differs from Images/a.jpg in case only: Windows and macOS take the two for one")]),
    (("Images/a.jpg", "images/b.jpg"), [
        ("images/b.jpg", "its folder 'images' differs from 'Images' of Images/a.jpg in case only: "
         "Windows and macOS take the two for one")]),
    (("x/Y/z/a", "x/y/z/b"), [
        ("x/y/z/b", "its folder 'x/y' differs from 'x/Y' of x/Y/z/a in case only: "
         "Windows and macOS take the two for one")]),
    (("a", "a/b"), [("a/b", "'a' is a file and a folder: a/b, a")]),
    (("A", "a/b"), [
        ("a/b", "its folder 'a' differs from A in case only: Windows and macOS take the two for one")]),
    (("ΑΣ.jpg", "ας.jpg"), [("ας.jpg", "differs from ΑΣ.jpg in case only: Windows and macOS take the two for one")]),
    (("a.JPG", "a.Jpg", "a.jpg"), [
        ("a.Jpg", "differs from a.JPG in case only: Windows and macOS take the two for one"),
        ("a.jpg", "differs from a.JPG in case only: Windows and macOS take the two for one")]),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "found"), CASES)
def test_names_that_some_system_takes_for_one(keys: tuple[str, ...], found: list[tuple[str, str]]) -> None:
    assert clashes(*keys) == found


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("CON", "Windows keeps the name 'CON' for a device"),
        ("x/aux.txt", "Windows keeps the name 'aux.txt' for a device"),
        ("COM1.png", "Windows keeps the name 'COM1.png' for a device"),
        ("nul.tar.gz/a", "Windows keeps the name 'nul.tar.gz' for a device"),
        ("lpt³", "Windows keeps the name 'lpt³' for a device"),
        ("a./b", "Windows drops the dot at the end of 'a.'"),
        ("b ", "Windows drops the space at the end of 'b '"),
        *((f"a{char}b", f"Windows allows no {char!r} in a name") for char in '<>:"|?*\\\n\x01'),
        ("é" * 128, "a name in it has 256 bytes, and most file systems hold 255"),
    ],
)
def test_names_that_windows_forbids(key: str, text: str) -> None:
    assert forbidden(key) == text


@pytest.mark.parametrize(
    "key", ["console.txt", "com10.png", "com0", "aux1", "a.b", " a", "x/.hidden", "é" * 127, "日本"]
)
def test_names_that_all_systems_hold(key: str) -> None:
    assert forbidden(key) is None


# ---- new keys


@pytest.mark.parametrize(("keys", "found"), [case for case in CASES if len(case[0]) == 2])
@pytest.mark.parametrize("many", [0, 200])
def test_a_new_key_against_those_that_are_there(keys: tuple[str, str], found: Any, many: int) -> None:
    existing = Counted([keys[0], *(f"other/{number:04}" for number in range(many))])
    texts = [text for _, text in found]
    assert find_clashes([keys[1]], existing) == [f"{keys[1]}: {text}" for text in texts]
    assert existing.walks == (0 if many else 1)


def test_new_keys_among_themselves() -> None:
    assert find_clashes(["b/x", "B/x", "aux"], Counted([])) == [
        "B/x: differs from b/x in case only: Windows and macOS take the two for one",
        "aux: Windows keeps the name 'aux' for a device",
    ]
    assert find_clashes([], Counted(["a"])) == []
    assert find_clashes(["a", "a"], Counted(["a", "b"])) == []


def test_a_key_that_is_there_already_is_no_clash() -> None:
    keys = [f"Images/{number:04}.jpg" for number in range(100)]
    for new in (keys[:1], keys[:50], ["Images/new.jpg"]):
        assert find_clashes(new, Counted(keys)) == []


@pytest.mark.parametrize(
    ("there", "new"),
    [("cat.JPG", "cat.jpg"), ("CAT.JPG", "cat.jpg"), ("cat.jpg", "CAT.JPG"), ("x/Cat.jpg", "x/cat.jpg"), ("x", "x/y"),
     ("x/cat.jpg", "x/cAt.jPg"), ("X/cat.jpg", "x/cat.jpg"), ("x/y", "x"), ("STRASSE", "straße")],
)  # fmt: skip
def test_likely_spellings_are_found_without_a_walk(there: str, new: str) -> None:
    existing = Counted([there, *(f"other/{number:04}" for number in range(2000))])
    assert len(find_clashes([new], existing)) == 1
    assert existing.walks == 0 and existing.lookups < 60


def test_looking_up_costs_by_the_new_keys_alone() -> None:
    costs = []
    for count in (2_000, 8_000):
        existing = Counted([f"images/{number:06}.jpg" for number in range(count)])
        assert find_clashes([f"images/new{number}.jpg" for number in range(20)], existing) == []
        costs.append(existing.lookups)
    assert costs[0] == costs[1] and costs[0] < 20 * 25


_parts = st.text(st.sampled_from("aAbBéÉ\u0301ßsS."), min_size=1, max_size=3)
_keys = st.lists(st.lists(_parts, min_size=1, max_size=3).map("/".join), max_size=8, unique=True)


@settings(max_examples=300)
@given(_keys)
def test_every_key_but_the_first_that_is_spelled_so_is_told(keys: list[str]) -> None:
    def fold(name: str) -> str:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(fold(key), []).append(key)
    assert {key for group in groups.values() for key in group[1:]} <= {key for key, _ in clashes(*keys)}


@settings(max_examples=300)
@given(_keys, _keys)
def test_one_walk_finds_what_a_check_of_all_would(new: list[str], old: list[str]) -> None:
    """Whether there is any clash; which of two keys is told may differ."""
    fresh = [key for key in new if key not in old]
    if clashes(*old) or not fresh:
        return
    found = [text for text in find_clashes(fresh, Counted(old)) if "Windows d" not in text]
    assert bool(found) == bool(clashes(*old, *fresh))


def test_a_folded_name_is_folded_for_good() -> None:
    for char in map(chr, (*range(0x2000), *range(0xA640, 0xAC00), *range(0x10400, 0x10450))):
        once = portability._fold(char)
        assert portability._fold(once) == once, hex(ord(char))
