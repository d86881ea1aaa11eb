"""A change: one record that differs, or two that are one by another name."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from dsvc.core.diffing.fields import Difference, Path, Record, value_at
from dsvc.model.extras import ABSENT, COCO, SPELLING
from dsvc.model.facts import Noun, shown_path

Verb = Literal["added", "removed", "changed"]
# What a change can be, in the order in which it is told.
Kind = Literal[
    "added",
    "removed",
    "renamed",
    "new_id",
    "moved",
    "reshaped",
    "relabelled",
    "attributes",
    "text",
    "changed",
    "other",
    "conflict",
    "settled",
]
# What an input's extras say of the spelling of its key goes with the key.
_SPELLING = frozenset((("extras", COCO, SPELLING), ("extras", ABSENT)))
_WORDS: dict[Kind, str] = {
    "new_id": "given a new id",
    "attributes": "given other attributes",
    "text": "given another text",
    "other": "changed",
    "conflict": "in conflict",
}


class Change(NamedTuple):
    """One record that differs: `name` is the concept, the input key, or KEY#ANN; `kinds` says what happened to it.

    `old_name` is the name that it had, where that was another. Of an annotation whose place differs, `iou` says how far
    both agree, and `pixels` how far the edge went that went farthest, where both are known. `paths` leads to the fields
    that differ; `opened` and `settled` name those whose conflicts opened and were settled.
    """

    noun: Noun
    verb: Verb
    name: str
    old: Record | None
    new: Record | None
    kinds: tuple[Kind, ...]
    old_name: str | None = None
    iou: float | None = None
    pixels: float | None = None
    paths: tuple[Path, ...] = ()
    opened: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()

    def fields(self) -> dict[str, tuple[Any, Any]]:
        """The fields that differ, by name (`split`, `shape.box`, `metadata.camera`), each with its old and new value.

        It is empty where the record is on one side only.
        """
        return {".".join(path): (value_at(self.old, path), value_at(self.new, path)) for path in self.paths}

    def __str__(self) -> str:
        words = " and ".join(_WORDS.get(kind, kind) for kind in self.kinds)
        old = f"{self.old_name} -> " if self.old_name is not None else ""
        return f"{self.noun} {old}{self.name}: {words}"


def one_sided(noun: Noun, name: str, old: Record | None, new: Record | None) -> Change:
    """The change of a record that is on one side only."""
    verb: Literal["added", "removed"] = "added" if old is None else "removed"
    opened = tuple(shown_path(noun, path) for path in sorted(new.conflicts)) if new is not None else ()
    return Change(noun, verb, name, old, new, (verb, "conflict") if opened else (verb,), opened=opened)


def conflict_kinds(found: Difference) -> tuple[Kind, ...]:
    """What is to be told of conflicts."""
    kinds: list[Kind] = ["conflict"] if found.opened else []
    return (*kinds, *(("settled",) if found.settled else ()))


def plain_paths(found: Difference) -> list[Path]:
    """The paths that differ for another reason than that a conflict was settled."""
    settled = found.settled
    return [path for path in found.paths if path[0] not in settled and ".".join(path) not in settled]


def two_sided(
    noun: Noun, name: str, old: Record, new: Record, found: Difference, old_name: str | None = None
) -> Change:
    """The change of a concept, or of an input that may have had another key."""
    kinds: list[Kind] = ["renamed"] if old_name is not None else []
    if old_name is not None:
        found = found._replace(paths=tuple(path for path in found.paths if path not in _SPELLING))
    kinds += ["changed"] if plain_paths(found) else []
    return Change(noun, "changed", name, old, new, (*kinds, *conflict_kinds(found)), old_name,
                  paths=found.paths, opened=found.opened, settled=found.settled)  # fmt: skip
