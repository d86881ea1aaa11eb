"""What an exporter sees of a state of which it shall write a part: the inputs that a filter is true of, for example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dsvc.core.filters.narrowing import Entry, annotation_entries, input_entries, matching_keys
from dsvc.errors import RefusedError
from dsvc.model.records import Concept, Input, decode_annotation, decode_input
from dsvc.model.walk import Sample
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress


class Part:
    """Some of the inputs of a state, all their annotations, and all concepts of the state.

    The concepts stay because their order is the list of classes that people train with: each part of a version has
    the same. `keys` are those of the inputs, sorted; None stands for all.
    """

    def __init__(self, state: State, keys: Sequence[bytes] | None) -> None:
        self._state = state
        self._keys = keys
        self._known = frozenset(keys) if keys is not None else None

    @property
    def meta(self) -> Mapping[str, Any]:
        """The dataset's metadata, by source format."""
        return self._state.meta

    def concepts(self) -> Iterator[Concept]:
        """All concepts of the state, by id."""
        return self._state.concepts()

    def input(self, key: str) -> Input | None:
        """The input of a key if it is one of these, or None."""
        return self._state.input(key) if self._known is None or key.encode() in self._known else None

    def inputs(self) -> Iterator[Input]:
        """The inputs, by key."""
        return (decode_input(*entry) for entry in self.input_entries())

    def input_entries(self) -> Iterator[Entry]:
        """The inputs as they are stored: tree key and encoded value."""
        if self._keys is None:
            return self._state.input_entries()
        return input_entries(self._state.snapshot, self._keys)

    def annotation_entries(self) -> Iterator[Entry]:
        """The annotations of these inputs as they are stored: tree key and encoded value."""
        if self._keys is None:
            return self._state.annotation_entries()
        return annotation_entries(self._state.snapshot, self._keys)

    def samples(self) -> Iterator[Sample]:
        """The inputs, by key, each with its annotations."""
        groups = groupby(self.annotation_entries(), key=lambda entry: entry[0].partition(b"\0")[0])
        owner, group = next(groups, (None, iter(())))
        for key, value in self.input_entries():
            found = tuple([decode_annotation(*entry) for entry in group]) if owner == key else ()
            yield Sample(decode_input(key, value), found)
            if owner == key:
                owner, group = next(groups, (None, iter(())))

    def read_blob(self, blob: ObjectId) -> Iterator[bytes]:
        """The bytes of a blob, in pieces, verified."""
        return self._state.read_blob(blob)

    def read_media(self, record: Input) -> Iterator[bytes]:
        """The bytes of an input, in pieces, verified; see `State.read_media`."""
        return self._state.read_media(record)


class Matching(Part):
    """The inputs of a state that a filter is true of. Raises FilterError, and RefusedError where nothing matches."""

    def __init__(self, state: State, where: str, progress: Progress | None = None) -> None:
        super().__init__(state, matching_keys(state.snapshot, where, progress))
        if not self._keys:
            hint = 'see what there is, such as: dsvc query "select key, split from inputs"'
            raise RefusedError("no input matches; nothing was written", hint)
