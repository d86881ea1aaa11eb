"""The three-way set union of two snapshots: record by record, then what the surviving records name is kept whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dsvc.core.merging.report import Counts, MergeReport
from dsvc.model.extras import listed_concepts
from dsvc.model.facts import EXISTS, clashing
from dsvc.model.merging import Prefer, merge_record, same_but_number
from dsvc.model.node import Store
from dsvc.model.records import CONFLICTS
from dsvc.model.snapshot import Roots
from dsvc.model.stored import stored_fields
from dsvc.model.tree import NodeCache, Tree
from dsvc.model.treemerge import Sides, walk_sides, walk_theirs
from dsvc.store import codec
from dsvc.store.ids import ObjectId

Edits = dict[bytes, bytes | None]


class Merged(NamedTuple):
    """A merged snapshot and what the merge did to our side. `inputs` are the keys of the inputs that it brought,
    `labelled` those of the inputs to which it brought annotations."""

    roots: Roots
    report: MergeReport
    inputs: tuple[bytes, ...] = ()
    labelled: tuple[bytes, ...] = ()


def merge_roots(
    store: Store,
    base: Roots | None,
    ours: Roots,
    theirs: Roots,
    prefer: Prefer | None = None,
    cache: NodeCache | None = None,
) -> Merged:
    """Both sides' records, without what either took away since the base; with no base, the plain union.

    It never fails: what clashes is a conflict in the record, or with `prefer` that side's word.
    """
    if _same(ours, theirs) or (base is not None and _same(theirs, base)):
        return Merged(ours, MergeReport())
    return _Merge(store, (base, ours, theirs), prefer, cache or NodeCache()).run()


def _same(one: Roots, other: Roots) -> bool:
    """Whether two snapshots are one. In Python 1, 1.0 and true are equal, and in metadata they are not."""
    return one == other and codec.encode(one.meta) == codec.encode(other.meta)


def merge_meta(base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of both sides: what sources say of themselves, per format. Of two new words the last by encoding."""
    merged: dict[str, Any] = {}
    for format in sorted(ours.keys() | theirs.keys()):
        was, mine, other = (side.get(format, {}) for side in (base, ours, theirs))
        words = {
            source: _merge_word(was.get(source), mine.get(source), other.get(source))
            for source in sorted(mine.keys() | other.keys())
        }
        kept = {source: word for source, word in words.items() if word is not None}
        if kept:
            merged[format] = kept
    return merged


def _merge_word(base: Any, ours: Any, theirs: Any) -> Any:
    was, mine, other = (codec.encode(word) for word in (base, ours, theirs))
    if other in (mine, was):
        return ours
    if mine == was or ours is None:
        return theirs
    return ours if theirs is None or mine > other else theirs


class _Merge:
    """One merge: the edits that make of our trees the merged ones."""

    def __init__(
        self, store: Store, sides: tuple[Roots | None, Roots, Roots], prefer: Prefer | None, cache: NodeCache
    ) -> None:
        self._store, self._prefer, self._cache = store, prefer, cache
        self._base, self._ours, self._theirs = sides
        self._report = MergeReport()
        # What one side deleted and the other has: key -> its values on all sides.
        self._lost_concepts: dict[bytes, Sides] = {}
        self._lost_inputs: dict[bytes, Sides] = {}
        # Which of these a surviving record names.
        self._needed_concepts: set[bytes] = set()
        self._needed_inputs: set[bytes] = set()
        # Whether they deleted a concept: then any record of ours may need it, and all that we changed is looked at.
        self._is_all_asked = False
        self._brought: list[bytes] = []
        self._labelled: dict[bytes, None] = {}

    def run(self) -> Merged:
        """Merge all."""
        concepts = self._merge_concepts()
        inputs = self._merge_inputs()
        annotations = self._merge_annotations()
        for key, sides in self._lost_inputs.items():
            self._keep_input(key, sides, inputs, annotations)
        for key in self._needed_concepts:
            self._restore(concepts, self._lost_concepts[key], self._report.concepts)
        roots = Roots(
            concepts=self._edited("concepts", concepts),
            inputs=self._edited("inputs", inputs),
            annotations=self._edited("annotations", annotations),
            meta=merge_meta(self._base.meta if self._base else {}, self._ours.meta, self._theirs.meta),
        )
        return Merged(roots, self._report, tuple(self._brought), tuple(self._labelled))

    # ---- the trees, record by record

    def _merge_concepts(self) -> Edits:
        edits: Edits = {}
        for sides in self._walk("concepts", True):
            merged = self._merge(sides, edits)
            if _is_lost(sides):
                self._lost_concepts[sides.key] = sides
                self._is_all_asked |= sides.theirs is None
            self._report.concepts.count(sides, merged)
        return edits

    def _merge_inputs(self) -> Edits:
        edits: Edits = {}
        for sides in self._walk("inputs", self._is_all_asked):
            merged = self._merge(sides, edits)
            if _is_lost(sides):
                self._lost_inputs[sides.key] = sides
            if merged is not None and sides.ours is None:
                self._brought.append(sides.key)
            if merged is not None and self._lost_concepts:
                self._need_listed(merged)
            self._report.inputs.count(sides, merged)
        return edits

    def _merge_annotations(self) -> Edits:
        edits: Edits = {}
        for sides in self._walk("annotations", self._is_all_asked):
            merged = self._merge(sides, edits)
            if merged is not None:
                owner = sides.key[: sides.key.index(0)]
                if self._is_lost_input(owner):
                    self._needed_inputs.add(owner)
                if self._lost_concepts:
                    self._need_concepts(merged)
                if sides.ours is None:
                    self._labelled[owner] = None
            self._report.annotations.count(sides, merged)
        self._needed_inputs.update(owner for owner in self._lost_inputs if self._has_new_label(owner))
        return edits

    def _is_lost_input(self, owner: bytes) -> bool:
        """Whether an input is one that one side deleted; of those that we did, only what they changed is looked at."""
        if owner not in self._lost_inputs and self._base is not None:
            ours, base = self._tree("inputs", self._ours), self._tree("inputs", self._base)
            if ours.get(owner) is None and (was := base.get(owner)) is not None:
                theirs = self._tree("inputs", self._theirs).get(owner)
                self._lost_inputs[owner] = Sides(owner, was, None, theirs)
        return owner in self._lost_inputs

    def _has_new_label(self, owner: bytes) -> bool:
        """Whether an input that they deleted has an annotation of ours that was not there."""
        if self._base is None or self._lost_inputs[owner].theirs is not None:
            return False
        was = self._tree("annotations", self._base)
        return any(key not in was for key, _ in self._tree("annotations", self._ours).prefix(owner + b"\0"))

    def _walk(self, name: str, ours_too: bool) -> Iterator[Sides]:
        if self._is_all_theirs(name):
            return iter(())
        ours, theirs = self._tree(name, self._ours), self._tree(name, self._theirs)
        if self._base is None or not ours_too:
            return walk_theirs(self._tree(name, self._base) if self._base is not None else None, ours, theirs)
        return walk_sides(self._tree(name, self._base), ours, theirs)

    def _tree(self, name: str, roots: Roots) -> Tree:
        return Tree(self._store, getattr(roots, name), self._cache)

    def _edited(self, name: str, edits: Edits) -> ObjectId:
        if self._is_all_theirs(name):
            theirs = self._tree(name, self._theirs)
            getattr(self._report, name).added = len(theirs)
            return theirs.root
        return self._tree(name, self._ours).edit(self._store, edits)

    def _is_all_theirs(self, name: str) -> bool:
        """Whether there is nothing of a kind on our side, nor ever was."""
        return self._base is None and not len(self._tree(name, self._ours))

    def _merge(self, sides: Sides, edits: Edits) -> bytes | None:
        merged = merge_record(sides.base, sides.ours, sides.theirs, self._prefer)
        if merged != sides.ours:
            edits[sides.key] = merged
        return merged

    # ---- what is named stays

    def _need_concepts(self, annotation: bytes) -> None:
        fields = stored_fields(annotation, "annotation")
        for name in (fields.get("c"), *fields.get(CONFLICTS, {}).get("c", ())):
            self._need(name)

    def _need_listed(self, input: bytes) -> None:
        for listed in listed_concepts(stored_fields(input, "input")):
            for name in listed:
                self._need(name)

    def _need(self, name: Any) -> None:
        if type(name) is str and (key := name.encode()) in self._lost_concepts:
            self._needed_concepts.add(key)

    def _keep_input(self, key: bytes, sides: Sides, inputs: Edits, annotations: Edits) -> None:
        """Of an input that one side deleted and that stays all the same, keep what was deleted along with it."""
        merged = inputs.get(key, sides.ours)
        if merged is None:
            if key not in self._needed_inputs:
                return
            merged = self._restore(inputs, sides, self._report.inputs)
            if self._lost_concepts:
                self._need_listed(merged)
        is_open, is_ours = EXISTS in clashing(stored_fields(merged, "input")), sides.ours is not None
        kept = self._ours if is_ours else self._theirs
        was = self._tree("annotations", self._base or kept)
        for tree_key, value in self._tree("annotations", kept).prefix(key + b"\0"):
            before = was.get(tree_key)
            if is_open or (before is not None and same_but_number(value, before)):
                one = (value, None) if is_ours else (None, value)
                self._keep_annotation(Sides(tree_key, before, *one), annotations)

    def _keep_annotation(self, sides: Sides, edits: Edits) -> None:
        """Keep an annotation of an input that stays, as the one side has it that still has both."""
        value = sides.ours if sides.ours is not None else sides.theirs
        assert value is not None
        merged = edits.get(sides.key, sides.ours)
        if merged == value:
            return
        # Where the input's existence is the question, that of its annotations is none.
        self._report.annotations.count(sides, merged, -1)
        self._report.annotations.restored += 1
        edits[sides.key] = value
        if self._lost_concepts:
            self._need_concepts(value)

    def _restore(self, edits: Edits, sides: Sides, counts: Counts) -> bytes:
        """Put back what one side deleted, as the other has it."""
        value = sides.ours if sides.ours is not None else sides.theirs
        assert value is not None
        merged = edits.get(sides.key, sides.ours)
        if merged is None:
            counts.count(sides, merged, -1)
            counts.restored += 1
            edits[sides.key] = value
        return value


def _is_lost(sides: Sides) -> bool:
    return sides.base is not None and (sides.ours is None) != (sides.theirs is None)
