"""What to say of a key that a source names and the dataset has not."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsvc.core.draft import Draft

# Looking for spellings that are near takes its time: for so many keys at most, among so many.
_GUESSES = 20
_AMONG = 5000


def unknown_key(draft: Draft) -> Callable[[str], str | None]:
    """A function that says what is wrong with a key that is not in the dataset; None of one that is."""
    known: set[str] = set()
    names: dict[str, str] = {}
    left = _GUESSES

    def near(key: str) -> str | None:
        nonlocal left
        if not names:
            names.update({other.rpartition("/")[2].casefold(): other for other in sorted(known, reverse=True)})
        same = names.get(key.rpartition("/")[2].casefold())
        if same is not None or not left or len(known) > _AMONG:
            return same
        left -= 1
        # Names that differ in their numbers are near, but another's.
        alike = sorted(other for other in known if _numbers(other) == _numbers(key))
        return next(iter(get_close_matches(key, alike, n=1, cutoff=0.85)), None)

    def wrong(key: str) -> str | None:
        if not known:
            known.update(tree_key.decode() for tree_key, _ in draft.snapshot.input_tree)
        if key in known:
            return None
        other = near(key)
        hint = f"there is {other!r}" if other else "add it, or give its path, url or text"
        return f"is not in the dataset; {hint}"

    return wrong


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall("[0-9]+", name)]
