"""Which input a file belongs to that is called like it but for its extension."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dsvc.core.keys import display
from dsvc.model.records import Input

_NAMED = 3


class Match(NamedTuple):
    """An input: its key, and the sizes that it says to have, width and height in pixels."""

    key: str
    sizes: tuple[tuple[float, float], ...]


def stem(name: str) -> str:
    """A path without the extension of its last part; a name that begins with its only dot keeps it."""
    folder, slash, base = name.rpartition("/")
    cut = base.rpartition(".")[0]
    return f"{folder}{slash}{cut if cut.strip('.') else base}"


class Matcher:
    """The images among a dataset's inputs below a folder of keys, by name. `count` is how many there are."""

    def __init__(self, inputs: Iterable[Input], prefix: str = "") -> None:
        self._by_name: dict[str, Match] = {}
        self._by_stem: dict[str, list[Match]] = {}
        self._by_base: dict[str, list[Match]] = {}
        folder = "/".join(part for part in prefix.split("/") if part not in ("", "."))
        for record in inputs:
            if _is_image(record) and record.key.startswith(f"{folder}/" if folder else ""):
                self._take(
                    record.key[len(folder) + 1 :] if folder else record.key, Match(record.key, tuple(_sizes(record)))
                )
        self.count = len(self._by_name)

    def _take(self, name: str, match: Match) -> None:
        cut = stem(name)
        self._by_name[name] = match
        self._by_stem.setdefault(cut, []).append(match)
        self._by_base.setdefault(cut.rpartition("/")[2], []).append(match)

    def find(self, name: str) -> Match:
        """The input of a name without extension: of this path, or else the only one of this name in any folder.

        Raises ValueError where there is none or more than one; its text is the end of a sentence.
        """
        if name in self._by_name:
            return self._by_name[name]
        found = self._by_stem.get(name) or self._by_base.get(name.rpartition("/")[2], [])
        if len(found) == 1:
            return found[0]
        if not found:
            raise ValueError(f"no input is called '{display(name)}'")
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        keys = ", ".join(display(match.key) for match in found[:_NAMED])
        raise ValueError(f"may belong to {len(found)} inputs: {keys}{more}")


def _is_image(record: Input) -> bool:
    media = record.media
    return media is None or media.type is None or media.type.startswith("image/")


def _sizes(record: Input) -> Iterator[tuple[float, float]]:
    media = record.media
    if media is not None and media.width and media.height:
        yield media.width, media.height
    if record.declared_width and record.declared_height:
        yield record.declared_width, record.declared_height
