"""Open conflicts: the records that hold one, each candidate with who brought it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.draft import DraftState, committed_state
from dsvc.core.history.origins import Origin, who_set
from dsvc.core.history.walking import History
from dsvc.errors import RefusedError
from dsvc.model.clashes import plain_value
from dsvc.model.facts import EXISTS, Noun, facts_of, fields_of, shown_path
from dsvc.model.node import Store
from dsvc.model.records import CONFLICTS
from dsvc.model.snapshot import Snapshot
from dsvc.model.stored import stored_fields
from dsvc.model.tree import Tree
from dsvc.store import codec
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset

SETTLE = "list them: dsvc conflicts; settle them: dsvc resolve; then: dsvc commit -m TEXT"
NOUNS: tuple[Noun, ...] = ("concept", "input", "annotation")


class Place(NamedTuple):
    """One field in conflict: the kind of its record, the record's tree key, the field's path as it is stored."""

    noun: Noun
    tree_key: bytes
    path: str

    @property
    def name(self) -> str:
        """The record as people name it: the concept, KEY, or KEY#ANN."""
        return self.tree_key.decode().replace("\0", "#")

    @property
    def names(self) -> tuple[str, ...]:
        """The names that its conflicts go by: its own, and of an annotation its input's."""
        owner = self.tree_key.partition(b"\0")[0].decode()
        return (self.name, owner) if self.noun == "annotation" else (self.name,)

    @property
    def field(self) -> str:
        """The field as people write it."""
        return shown_path(self.noun, self.path)


class Candidate(NamedTuple):
    """One value of a field in conflict, and what brought it: a commit, a source, or, with neither, what is staged."""

    value: Any
    encoded: bytes
    origin: Origin | None


class Conflict(NamedTuple):
    """A field in conflict and its candidates, which are numbered from 1 in this order."""

    place: Place
    candidates: tuple[Candidate, ...]


def require_settled(snapshot: Snapshot) -> None:
    """Raise RefusedError where a snapshot has open conflicts."""
    if count := snapshot.conflicts:
        records = f"{count:,} record{'' if count == 1 else 's'}"
        raise RefusedError(f"there are open conflicts, in {records}", SETTLE)


def open_places(snapshot: Snapshot) -> Iterator[tuple[Place, list[Any]]]:
    """The fields in conflict with their values, in the order of concepts, inputs, annotations, each by key."""
    for noun in NOUNS:
        tree: Tree = getattr(snapshot, f"{noun}_tree")
        for key, value in tree.conflicting():
            yield from places_of(noun, key, value)


def places_of(noun: Noun, tree_key: bytes, value: bytes) -> Iterator[tuple[Place, list[Any]]]:
    """The fields of one stored record that are in conflict, with their values."""
    for path, values in stored_fields(value, noun).get(CONFLICTS, {}).items():
        yield Place(noun, tree_key, path), values


def list_conflicts(dataset: Dataset, store: Store, state: DraftState, key: str | None = None) -> Iterator[Conflict]:
    """The conflicts of a draft, or those that go by a name, with who brought each candidate; looked for one by one."""
    origins = Origins(dataset, store, state)
    for place, values in open_places(Snapshot(store, state.roots, dataset.repository.cache)):
        if key is None or key in place.names:
            yield origins.conflict(place, values)


class Origins:
    """Finds out who brought the candidates of conflicts: in the history of the branch, then of what was merged or
    imported since."""

    def __init__(self, dataset: Dataset, store: Store, state: DraftState) -> None:
        self._history = History(store, dataset.repository.cache)
        known = committed_state(store, state.base).sources
        new = [id for name, id in sorted(state.sources.items()) if known.get(name) != id]
        self._heads: list[ObjectId] = [*([state.base] if state.base else []), *state.merged, *new]

    def conflict(self, place: Place, values: list[Any]) -> Conflict:
        """One conflict with its candidates."""
        candidates = []
        for value in values:
            encoded = codec.encode(value)
            candidates.append(Candidate(plain_value(place.path, value), encoded, self._origin(place, encoded)))
        return Conflict(place, tuple(candidates))

    def _origin(self, place: Place, encoded: bytes) -> Origin | None:
        def values_in(value: bytes | None) -> set[bytes]:
            return _values_in(value, place)

        for head in self._heads:
            snapshot = self._history.snapshot(head)
            tree: Tree = getattr(snapshot, f"{place.noun}_tree")
            wanted = {one for one in values_in(tree.get(place.tree_key)) if one[: len(encoded)] == encoded}
            if not wanted:
                continue
            found = who_set(self._history, head, place.noun, place.tree_key, values_in)
            origins = [origin for value in wanted for origin in found.get(value, ())]
            if origins:
                return origins[0]
        return None


_YES, NO = codec.encode(True), codec.encode(False)


def _values_in(value: bytes | None, place: Place) -> set[bytes]:
    """The values that a field has in a record. Whoever changed a record last says that it exists."""
    if place.path != EXISTS:
        if value is None:
            return set()
        return set(facts_of(stored_fields(value, place.noun)).get(place.path, {}))
    if value is None:
        return {NO}
    facts = facts_of(stored_fields(value, place.noun))
    is_open = facts.pop(EXISTS, None) is not None
    content = _YES + codec.encode(fields_of(facts))
    return {content, NO} if is_open else {content}
