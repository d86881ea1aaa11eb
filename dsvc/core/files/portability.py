"""Input keys that other systems cannot hold as file names: names that clash there, and names that they forbid.

macOS takes names that differ only in case, or in how letters are composed, for one; Windows those that differ in
case. Two such keys cannot both be files there, and two such folders become one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

PART_BYTES = 255  # the most that a file name has on nearly all file systems
_SCAN = 8  # looking at all names costs less than looking for each new one, up to this many times their number
_WINDOWS_CHARACTERS = re.compile(r'[<>:"|?*\\\x01-\x1f]')
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[1-9¹²³]|lpt[1-9¹²³]) *(\..*)?", re.IGNORECASE)


class Names(Protocol):
    """The keys that are there already: a tree of inputs."""

    def __len__(self) -> int: ...

    def __contains__(self, key: bytes) -> bool: ...

    def __iter__(self) -> Iterator[tuple[bytes, object]]: ...

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, object]]:
        """The entries whose key begins so, in order."""


class _Name(NamedTuple):
    """A name in the tree of folders, and the first key that has it: the key itself, or one in the folder."""

    text: str
    key: str


def find_clashes(new: Iterable[str], existing: Names) -> list[str]:
    """What to warn of when `new` keys come to `existing` ones: each text begins with a new key.

    Clashes among the new keys are all found. Those with existing keys are all found when the new ones are at least
    an eighth of them; else each new key costs a few look-ups of the spellings that are likely (upper and lower case of
    its name and ending, both ways to compose letters), and `dsvc check` finds the rest.
    """
    keys = list(dict.fromkeys(new))
    found = [f"{key}: {text}" for key, text in find_name_clashes(lambda: keys)]
    if len(existing) <= _SCAN * len(keys):
        found += [f"{key}: {text}" for key, text in _against_all(keys, existing)]
    else:
        found += [f"{key}: {text}" for key, text in _against_likely(keys, existing)]
    return found + [f"{key}: {text}" for key in keys if (text := forbidden(key)) is not None]


def find_name_clashes(keys: Callable[[], Iterable[str]]) -> Iterator[tuple[str, str]]:
    """All clashes among keys, each as a key and what is wrong with it. `keys` is walked twice if there are any."""
    seen, twice = set[int](), set[int]()
    for name in _names(keys()):
        mark = hash(_fold(name.text))  # 8 bytes of it rather than the name: there may be millions
        (twice if mark in seen else seen).add(mark)
    if not twice:
        return
    groups: dict[str, list[_Name]] = {}
    for name in _names(keys()):
        folded = _fold(name.text)
        if hash(folded) in twice:
            groups.setdefault(folded, []).append(name)
    for group in groups.values():
        for name in group[1:]:
            if (text := _clash(name, group[0])) is not None:
                yield name.key, text


def forbidden(key: str) -> str | None:
    """Why other systems cannot hold a file of this key, or None."""
    for part in key.split("/"):
        if _WINDOWS_DEVICES.fullmatch(part):
            return f"Windows keeps the name {part!r} for a device"
        if part.endswith((".", " ")):
            return f"Windows drops the {'dot' if part.endswith('.') else 'space'} at the end of {part!r}"
        wrong = _WINDOWS_CHARACTERS.search(part)
        if wrong:
            return f"Windows allows no {wrong[0]!r} in a name"
        if len(part) * 4 > PART_BYTES and len(part.encode()) > PART_BYTES:
            return f"a name in it has {len(part.encode())} bytes, and most file systems hold {PART_BYTES}"
    return None


def _fold(name: str) -> str:
    """What all names that some system takes for one have in common."""
    if name.isascii():
        return name.lower()
    composed = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", composed)


def _names(keys: Iterable[str]) -> Iterator[_Name]:
    """All keys and the folders that they lie in, each folder once."""
    folders = set[str]()
    for key in keys:
        yield _Name(key, key)
        folder = key.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            yield _Name(folder, key)
            folder = folder.rpartition("/")[0]


def _clash(name: _Name, other: _Name) -> str | None:
    """What is wrong with a name that folds as another does; None where that is said of a name above or below it."""
    if name.text == other.text:
        folder, file = (name, other) if name.text != name.key else (other, name)
        return f"{file.text!r} is a file and a folder: {folder.key}, {file.key}"
    is_folder = name.text != name.key
    if is_folder or other.text != other.key:
        above, beside = (text.rpartition("/")[0] for text in (name.text, other.text))
        if above != beside or _fold(name.key) == _fold(other.key):
            return None
    what = f"its folder {name.text!r} " if is_folder else ""
    of = f"{other.text!r} of {other.key}" if other.text != other.key else other.text
    if unicodedata.normalize("NFC", name.text) == unicodedata.normalize("NFC", other.text):
        form = next((f for f in ("NFC", "NFD") if unicodedata.is_normalized(f, other.text)), "another form")
        return f"{what}is shown as {of} is, which is {form}: macOS takes the two for one"
    return f"{what}differs from {of} in case only: Windows and macOS take the two for one"


# ---- new keys against those that are there


def _against_all(keys: list[str], existing: Names) -> Iterator[tuple[str, str]]:
    """Clashes of new keys with existing ones, by one walk over all of them."""
    fresh: dict[str, list[_Name]] = {}
    for name in _names(keys):
        fresh.setdefault(_fold(name.text), []).append(name)
    own = set(keys)
    for other in _names(key.decode() for key, _ in existing):
        if other.key not in own:
            yield from _clashes(fresh.get(_fold(other.text), ()), other)


def _against_likely(keys: list[str], existing: Names) -> Iterator[tuple[str, str]]:
    """Clashes of new keys with existing ones of likely spellings, by looking for each of these; one of each new key."""
    found: dict[str, str] = {}
    for name in _names(keys):
        if name.text == name.key and name.key.encode() in existing:
            continue
        for spelling in _spellings(name.text):
            for other in _looked_up(spelling, existing):
                beside = other.text + name.key[len(name.text) :]
                pair = name, other
                if beside != name.key and beside.encode() in existing:  # the same name in the other folder
                    pair = _Name(name.key, name.key), _Name(beside, beside)
                for key, text in _clashes(pair[:1], pair[1]):
                    found.setdefault(key, text)
    yield from found.items()


def _clashes(names: Iterable[_Name], other: _Name) -> Iterator[tuple[str, str]]:
    for name in names:
        both_folders = name.text != name.key and other.text != other.key
        if name.text == other.text and (both_folders or name.key == other.key):
            continue
        if (text := _clash(name, other)) is not None:
            yield name.key, text


def _looked_up(spelling: str, existing: Names) -> Iterator[_Name]:
    """The file and the folder of this spelling among existing keys."""
    if spelling.encode() in existing:
        yield _Name(spelling, spelling)
    inside = next(existing.prefix(f"{spelling}/".encode()), None)
    if inside is not None:
        yield _Name(spelling, inside[0].decode())


def _spellings(text: str) -> dict[str, None]:
    """A name itself, and the likely spellings of names that clash with it."""
    folder, slash, name = text.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    forms = [text, text.lower(), text.upper()]
    forms += [f"{folder}{slash}{form}" for form in (name.lower(), name.upper(), name.capitalize())]
    if dot:
        parts = ((stem, ending.lower()), (stem, ending.upper()), (stem.lower(), ending), (stem.upper(), ending))
        forms += [f"{folder}{slash}{first}.{last}" for first, last in parts]
    if not text.isascii():
        forms += [text.casefold(), *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]
    return dict.fromkeys(forms)
