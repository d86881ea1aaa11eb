"""Edits of everything that a filter is true of, in one step: one change of a tree, whatever the number of records.

A plan is a function of a snapshot alone, so that a replay on another writer's state finds anew what matches there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from dsvc.core.filters.narrowing import annotation_entries, some_entries
from dsvc.core.filters.patch import Patch
from dsvc.core.filters.query import find_annotations, match_inputs
from dsvc.errors import RefusedError, UsageError
from dsvc.model.incoming import Progress
from dsvc.model.records import (
    Annotation,
    Concept,
    annotation_fields,
    annotation_key,
    content_id,
    encode_concept,
    split_annotation_key,
)
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots
from dsvc.model.stored import stored_fields
from dsvc.model.tree import Tree
from dsvc.store import codec

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState
    from dsvc.model.node import Store

Noun = Literal["inputs", "annotations"]


class Outcome(NamedTuple):
    """What a filter found, and what becomes of it.

    `inputs` are the keys that match, where the filter is over inputs. `annotations` counts those that match, go with
    their inputs, or are added; `changed` those of them that are not as they were.
    """

    inputs: tuple[str, ...]
    annotations: int
    changed: int


Plan = Callable[[Snapshot], tuple[SnapshotEdits, Outcome]]


class Applied:
    """A plan as a draft has it; `outcome` is that of the last state that it was applied to."""

    def __init__(self, draft: Draft, plan: Plan) -> None:
        self.outcome = Outcome((), 0, 0)

        def step(store: Store, state: DraftState) -> DraftState:
            cache = draft.dataset.repository.cache
            edits, self.outcome = plan(Snapshot(store, state.roots, cache))
            return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits, cache))

        draft.apply(step)


def removal(noun: Noun, where: str, progress: Progress | None = None) -> Plan:
    """Take away what matches: inputs with all their annotations, or annotations."""

    def remove_inputs(snapshot: Snapshot) -> tuple[SnapshotEdits, Outcome]:
        edits = SnapshotEdits()
        keys = match_inputs(snapshot, where, progress)
        edits.inputs = dict.fromkeys(key.encode() for key in keys)
        edits.annotations = dict.fromkeys(key for key, _ in annotation_entries(snapshot, list(edits.inputs)))
        count = len(edits.annotations)
        return edits, Outcome(tuple(keys), count, count)

    def remove_annotations(snapshot: Snapshot) -> tuple[SnapshotEdits, Outcome]:
        edits = SnapshotEdits()
        found = find_annotations(snapshot, where, progress)
        # Equal copies differ in their ids alone.
        keys = _highest(snapshot.annotation_tree, found.keys) if "id" in found.columns else found.keys
        edits.annotations = dict.fromkeys(keys)
        return edits, Outcome((), len(keys), len(keys))

    return remove_inputs if check_noun(noun) == "inputs" else remove_annotations


def annotation(noun: Noun, where: str, patch: Patch, progress: Progress | None = None) -> Plan:
    """Add an annotation to every input that matches, or change every annotation that does. Raises UsageError."""
    patch.check(alone=check_noun(noun) == "inputs")
    encoded = patch.encoded()

    def add(snapshot: Snapshot) -> tuple[SnapshotEdits, Outcome]:
        edits = SnapshotEdits()
        keys = match_inputs(snapshot, where, progress)
        edits.annotations = _additions(snapshot.annotation_tree, keys, fields)
        _ensure_concept(snapshot, edits, encoded)
        return edits, Outcome(tuple(keys), len(keys), len(keys))

    def change(snapshot: Snapshot) -> tuple[SnapshotEdits, Outcome]:
        edits = SnapshotEdits()
        keys = find_annotations(snapshot, where, progress).keys
        for key, value in some_entries(snapshot.annotation_tree, keys):
            try:
                new = patch.encode(value, encoded)
            except RefusedError as error:
                raise RefusedError(f"{_name(key)}: {error.message}", error.hint) from error
            if new != value:
                edits.annotations[key] = new
        _ensure_concept(snapshot, edits, encoded)
        return edits, Outcome((), len(keys), len(edits.annotations))

    if noun == "annotations":
        return change
    fields = annotation_fields(Annotation(key="", id="", **patch.changes()))
    return add


def check_noun(noun: str) -> str:
    """`noun` if it is one of the two. Raises UsageError."""
    if noun not in ("inputs", "annotations"):
        raise UsageError(f"a filter is over inputs or annotations, not {noun!r}", "say which: inputs, annotations")
    return noun


def _ensure_concept(snapshot: Snapshot, edits: SnapshotEdits, encoded: Mapping[str, Any]) -> None:
    id = encoded.get("c")
    if id is not None and edits.annotations and id.encode() not in snapshot.concept_tree:
        edits.concepts[id.encode()] = encode_concept(Concept(id=id, name=id))


def _additions(tree: Tree, keys: list[str], fields: dict[str, Any]) -> dict[bytes, bytes | None]:
    """One annotation of the same fields for each input; from the second equal copy on with an ordinal."""
    value, added = codec.encode(fields), dict[bytes, bytes | None]()
    for key in keys:
        content = content_id(key, fields)
        place, ordinal = annotation_key(key, content), 1
        while place in tree:
            ordinal += 1
            place = annotation_key(key, f"{content}-{ordinal}")
        added[place] = value
    return added


# ---- records of a tree


def _name(tree_key: bytes) -> str:
    return "#".join(split_annotation_key(tree_key))


# ---- equal copies


def _highest(tree: Tree, keys: Iterable[bytes]) -> list[bytes]:
    """As many annotations as are meant, and of equal copies the highest: the lowest ids are those that stay."""
    wanted, chosen = set(keys), list[bytes]()
    stems = dict.fromkeys((split_annotation_key(key)[0], _ordinal(key)[0]) for key in wanted)
    for key, stem in stems:
        alike: dict[bytes, list[tuple[int, bytes]]] = {}
        for tree_key, value in tree.prefix(annotation_key(key, stem)):
            found, ordinal = _ordinal(tree_key)
            if found == stem:
                alike.setdefault(_content(value), []).append((ordinal, tree_key))
        for copies in alike.values():
            meant = sum(tree_key in wanted for _, tree_key in copies)
            chosen += [tree_key for _, tree_key in sorted(copies, reverse=True)[:meant]]
    return chosen


def _ordinal(tree_key: bytes) -> tuple[str, int]:
    """The id without the ordinal that tells equal copies apart, and that ordinal."""
    id = split_annotation_key(tree_key)[1]
    stem, _, number = id.partition("-")
    return (stem, int(number)) if number.isdecimal() and number.isascii() else (id, 1)


def _content(value: bytes) -> bytes:
    """What an annotation says, without its numbering."""
    fields = stored_fields(value, "annotation")
    return codec.encode({name: part for name, part in fields.items() if name != "n"})
