"""What changed between two snapshots, record by record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from dsvc.model.records import Annotation, Concept, Input, decode_annotation, decode_concept, decode_input
from dsvc.model.snapshot import Snapshot
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees

Record = Concept | Input | Annotation
Noun = Literal["concept", "input", "annotation"]
Verb = Literal["added", "removed", "changed"]


class RecordChange(NamedTuple):
    """One record that differs: `name` is the concept, the input key, or KEY#ANN."""

    noun: Noun
    verb: Verb
    name: str
    old: Record | None
    new: Record | None

    def fields(self) -> list[str]:
        """The names of the fields that differ, where the record is on both sides."""
        if self.old is None or self.new is None:
            return []
        names = self.old.__struct_fields__
        return [n for n in names if n != "number" and getattr(self.old, n) != getattr(self.new, n)]


def compare(old: Snapshot, new: Snapshot) -> Iterator[RecordChange]:
    """The records that differ: concepts, then inputs, then annotations, each by key. Numbering is no difference."""
    trees = (
        ("concept", old.concept_tree, new.concept_tree, decode_concept),
        ("input", old.input_tree, new.input_tree, decode_input),
        ("annotation", old.annotation_tree, new.annotation_tree, decode_annotation),
    )
    for noun, before, after, decode in trees:
        for key, old_value, new_value in diff_trees(before, after):
            a = decode(key, old_value) if old_value is not None else None
            b = decode(key, new_value) if new_value is not None else None
            if a is not None and b is not None and same_but_number(a, b):
                continue
            verb: Verb = "added" if a is None else "removed" if b is None else "changed"
            yield RecordChange(noun, verb, key.decode().replace("\0", "#"), a, b)  # type: ignore[arg-type]


def same_but_number(a: Record, b: Record) -> bool:
    """Whether two records differ in their numbering at most."""
    return a == b or msgspec.structs.replace(a, number=None) == msgspec.structs.replace(b, number=None)


class Summary(msgspec.Struct):
    """Counts of changed records, by noun and verb."""

    concepts: dict[str, int]
    inputs: dict[str, int]
    annotations: dict[str, int]

    def __bool__(self) -> bool:
        return any(self.concepts.values()) or any(self.inputs.values()) or any(self.annotations.values())


def summarize_states(old: Snapshot, new: Snapshot) -> Summary:
    """Count what differs. Where one side has none of a kind, nothing is read."""
    counts: list[dict[str, int]] = []
    for noun, decode in _DECODERS.items():
        before, after = getattr(old, f"{noun}_tree"), getattr(new, f"{noun}_tree")
        if not len(before) or not len(after):
            counts.append({"added": len(after), "removed": len(before), "changed": 0})
        else:
            changes = list(_count_tree(before, after, decode))
            counts.append({verb: changes.count(verb) for verb in ("added", "removed", "changed")})
    return Summary(*counts)


def _count_tree(before: Tree, after: Tree, decode: Any) -> Iterator[Verb]:
    for key, old, new in diff_trees(before, after):
        if old is None or new is None:
            yield "added" if old is None else "removed"
        elif not same_but_number(decode(key, old), decode(key, new)):
            yield "changed"


_DECODERS = {"concept": decode_concept, "input": decode_input, "annotation": decode_annotation}
