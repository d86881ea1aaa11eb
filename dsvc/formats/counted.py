"""Counts in words, for what exports tell."""

from __future__ import annotations

import re

_OF_ONE = {"were": "was", "have": "has", "cover": "covers", "are": "is"}
# But for those of another subject.
_VERB = re.compile(r"(?<!they )(?<!all )(?<!numbers )\b(?:were|have|cover|are)\b")


def counted(count: int, what: str) -> str:
    """A count and what is said of so many; `what` speaks of several, its noun in front."""
    if count != 1:
        return f"{count:,} {what}"
    noun, _, rest = what.partition(" ")
    if not noun.endswith("s"):  # an adjective comes first
        second, _, rest = rest.partition(" ")
        noun = f"{noun} {second}"
    one = f"{noun.removesuffix('ies')}y" if noun.endswith("ies") else noun.removesuffix("s")
    if rest.startswith("lost their "):
        rest = rest.replace("their", "its", 1).replace("they have", "it has")
    return f"1 {one} {_VERB.sub(lambda verb: _OF_ONE[verb[0]], rest)}"
