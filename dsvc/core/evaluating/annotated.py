"""A revision as predictions: what it says of inputs, its values taken as scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.core.evaluating.truth import Truth, called
from dsvc.errors import InvalidRecordsError, UsageError
from dsvc.model.incoming import Entry, Problems
from dsvc.model.stored import stored_fields
from dsvc.store import codec
from dsvc.store.codec import unpack_extension

if TYPE_CHECKING:
    from dsvc.core.evaluating.predictions import Predictions
    from dsvc.core.scoring.scores import Kind
    from dsvc.core.state import State

_WORDS: dict[Kind, str] = {
    "mask": "polygons or a mask",
    "keypoints": "keypoints",
    "box": "a box",
    "classification": "a concept of the whole input",
}


class _Seen(msgspec.Struct, gc=False):
    """What of a stored annotation tells what it predicts."""

    b: bytes | None = None
    c: str | None = None
    f: int | None = None
    k: bytes | None = None
    m: Any = None
    p: list[bytes] | None = None
    pt: bytes | None = None
    sp: Any = None
    ti: bytes | None = None
    v: float | None = None
    x: Any = None

    @property
    def score(self) -> float | None:
        """Its value; else the score that a COCO file of annotations had beside it."""
        beside = self.x.get("coco") if self.v is None and isinstance(self.x, dict) else None
        found = beside.get("score") if isinstance(beside, dict) else None
        return found if self.v is None and type(found) in (int, float) else self.v

    def has(self, kind: Kind) -> bool:
        """Whether it predicts something of a kind. Around whatever has a place there is a box."""
        if kind == "classification":
            places = (self.b, self.f, self.k, self.m, self.p, self.pt, self.sp, self.ti)
            return all(place is None for place in places)
        is_mask, has_keypoints = self.m is not None or bool(self.p), bool(self.k)
        if kind == "mask":
            return is_mask
        return has_keypoints or (kind == "box" and (is_mask or bool(self.b)))


_decode = msgspec.msgpack.Decoder(_Seen, ext_hook=lambda code, data: unpack_extension(code, bytes(data))).decode


def read_annotated(state: State, truth: Truth, kind: Kind | None) -> Predictions:
    """The annotations of a state as predictions for a ground truth.

    Their values are the scores, or what a COCO file of annotations said of `score`; where none has one, all of them
    count as 1. Raises InvalidRecordsError that names
    inputs and concepts that the truth has not, and annotations without a value where others have one.
    """
    from dsvc.core.evaluating.predictions import Predictions

    name = called(state.revision)
    read = _Annotated(state, truth)
    kind = kind or read.kind(name)
    if read.problems.count:
        count = read.problems.count
        message = f"{name}: {count:,} {'error' if count == 1 else 'errors'}; it cannot be evaluated on {truth.name}"
        hint = "nothing was stored; mend it there, and commit"
        raise InvalidRecordsError(message, read.problems.found, hint, count=count)
    lost = read.counts["all"] - (read.counts[kind] if kind is not None else 0)
    notes = [f"{left_out(lost)} of {name} that have not {_WORDS[kind]}"] if lost and kind is not None else []
    if read.is_bare:
        notes.append(f"no annotation of {name} has a value, which would be the score: each counts as 1")
    return Predictions(read.entries(kind), kind, notes)


def left_out(count: int) -> str:
    """The beginning of what is told of predictions that were left out."""
    return "left out 1 prediction" if count == 1 else f"left out {count:,} predictions"


class _Annotated:
    """The annotations of a state that are of inputs that are evaluated, looked through once."""

    def __init__(self, state: State, truth: Truth) -> None:
        self._state = state
        self._chosen = frozenset(truth.keys) if truth.keys is not None else None
        self.problems = Problems()
        self.counts: Counter[str] = Counter()
        self.is_bare = False
        self._look(truth)

    def _look(self, truth: Truth) -> None:
        inputs = truth.state.snapshot.input_tree
        concepts = {concept.id for concept in truth.state.concepts()}
        bare = []
        for key, group in groupby(self._state.annotation_entries(), key=_owner):
            if key not in inputs:
                count = sum(1 for _ in group)
                what = f"{count} annotation{'' if count == 1 else 's'}"
                self.problems.add(f"input {key.decode()!r} ({what}) is not in {truth.name}")
                continue
            for tree_key, value in group:
                seen = _decode(value)
                if seen.c is not None and seen.c not in concepts:
                    self.problems.add(f"{_name(tree_key)}: its concept {seen.c!r} is not in {truth.name}")
                elif self._is_chosen(key):
                    self._count(seen)
                    if seen.score is None and seen.c is not None:
                        bare.append(tree_key)
        self.is_bare = 0 < len(bare) == self.counts["named"]
        if not self.is_bare:
            for tree_key in bare:
                self.problems.add(f"{_name(tree_key)}: has no value, which is the score, and others have one")

    def _is_chosen(self, key: bytes) -> bool:
        return self._chosen is None or key in self._chosen

    def _count(self, seen: _Seen) -> None:
        self.counts["all"] += 1
        if seen.c is not None:
            self.counts["named"] += 1
            self.counts.update(kind for kind in _WORDS if seen.has(kind))

    def kind(self, name: str) -> Kind | None:
        """What the annotations predict: the first of what all of them have. Raises UsageError where that is nothing."""
        total = self.counts["named"]
        if not total:
            return None
        for kind in _WORDS:
            if self.counts[kind] == total:
                return kind
        found = ", ".join(f"{self.counts[kind]:,} have {words}" for kind, words in _WORDS.items() if self.counts[kind])
        message = f"{name} predicts several kinds of things: of {total:,} annotations {found or 'none has a place'}"
        raise UsageError(message, "say which: --type box, mask, keypoints or classification")

    def entries(self, kind: Kind | None) -> Iterator[Entry]:
        """The predictions of a kind, in order."""
        for key, group in groupby(self._state.annotation_entries(), key=_owner):
            if not self._is_chosen(key):
                continue
            for tree_key, value in group:
                seen = _decode(value)
                if kind is None or seen.c is None or not seen.has(kind):
                    continue
                if seen.v is None:
                    score = seen.score if seen.score is not None else 1
                    value = codec.encode({**stored_fields(value, "annotation", tree_key), "v": score})
                yield tree_key, value


def _owner(entry: Entry) -> bytes:
    return entry[0].partition(b"\0")[0]


def _name(tree_key: bytes) -> str:
    return tree_key.decode().replace("\0", "#")
