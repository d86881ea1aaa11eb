"""Samples to draw: inputs with their annotations, and the concepts of a state, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dsvc.model.records import Annotation, Concept, Input

if TYPE_CHECKING:
    from dsvc.core.state import State


class Concepts(Mapping[str, Concept]):
    """The concepts of a state, each read when it is first asked for."""

    def __init__(self, state: State) -> None:
        self._snapshot = state.snapshot
        self._known: dict[str, Concept | None] = {}

    def __getitem__(self, id: str) -> Concept:
        if id not in self._known:
            self._known[id] = self._snapshot.concept(id)
        found = self._known[id]
        if found is None:
            raise KeyError(id)
        return found

    def __iter__(self) -> Iterator[str]:
        return (concept.id for concept in self._snapshot.concepts())

    def __len__(self) -> int:
        return len(self._snapshot.concept_tree)


def read_samples(
    state: State, keys: Sequence[str], *, announce: bool = True
) -> Iterator[tuple[Input, list[Annotation]]]:
    """The inputs of keys, which are there, with their annotations; their media is announced, if that is wanted."""
    for record in announced(state, keys) if announce else _records(state, keys):
        yield record, list(state.annotations(record.key))


def announced(state: State, keys: Sequence[str]) -> list[Input]:
    """The inputs of keys, which are there; what is not here of their media comes in few requests."""
    records = _records(state, keys)
    blobs = [record.media.blob for record in records if record.media is not None and record.media.blob is not None]
    state.repository.store.prefetch(blobs)
    return records


def _records(state: State, keys: Sequence[str]) -> list[Input]:
    return [record for key in keys if (record := state.input(key)) is not None]
