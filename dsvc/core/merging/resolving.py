"""Resolving conflicts: one of a field's candidates becomes its value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.draft import Draft, DraftState
from dsvc.core.merging.conflicts import NO, NOUNS, Conflict, Origins, Place, open_places, places_of
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.extras import listed_concepts
from dsvc.model.facts import EXISTS, Noun, facts_of, fields_of, stored_path
from dsvc.model.node import Store
from dsvc.model.snapshot import Snapshot, SnapshotEdits
from dsvc.model.stored import stored_fields
from dsvc.model.tree import Tree
from dsvc.store import codec

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.state import State

LIST = "see: dsvc conflicts"


class Wanted(NamedTuple):
    """Which conflicts are meant: all; those of one record, or of one of its fields; of an input without a field, those
    of its annotations too."""

    name: str | None = None
    field: str | None = None
    is_concept: bool = False


class Choice(NamedTuple):
    """Which candidate holds: by number from 1, as a revision has it, or the one that an author brought."""

    take: int | None = None
    state: State | None = None
    author: str | None = None


class Resolved(NamedTuple):
    """What was settled, and what was not since the choice does not decide it; how many conflicts are open now.

    `removed` counts the records that went since they are to exist no more, and what went with them, by noun.
    """

    settled: tuple[Place, ...]
    left: tuple[Place, ...]
    open: int
    removed: dict[str, int]


def resolve(draft: Draft, wanted: Wanted, choice: Choice) -> Resolved:
    """Settle conflicts in a draft. Raises NotFoundError, UsageError, RefusedError."""
    dataset = draft.dataset
    result = Resolved((), (), 0, {})

    def step(store: Store, state: DraftState) -> DraftState:
        nonlocal result
        snapshot = Snapshot(store, state.roots, dataset.repository.cache)
        chosen = _chosen(dataset, store, state, snapshot, wanted, choice)
        settled = {place: value for place, value in chosen if value is not None}
        edits = _settling(snapshot, settled)
        made = draft.edited(store, state, edits)
        removed: dict[str, int] = {noun: list(getattr(edits, f"{noun}s").values()).count(None) for noun in NOUNS}
        left = tuple(place for place, value in chosen if value is None)
        now = Snapshot(store, made.roots, dataset.repository.cache)
        result = Resolved(tuple(settled), left, sum(1 for _ in open_places(now)), removed)
        return made

    draft.apply(step)
    return result


def _chosen(
    dataset: Dataset, store: Store, state: DraftState, snapshot: Snapshot, wanted: Wanted, choice: Choice
) -> list[tuple[Place, bytes | None]]:
    """The conflicts that are meant, each with the encoded value that holds; None where the choice does not say."""
    places = list(_meant(snapshot, wanted))
    if not places:
        raise _nothing(snapshot, wanted)
    if choice.take is not None and len(places) > 1:
        fields = ", ".join(dict.fromkeys(f"{place.name} {place.field}" for place, _ in places[:5]))
        fields += f" and {len(places) - 5:,} more" if len(places) > 5 else ""
        raise UsageError(f"--take numbers the candidates of one field, and {len(places)} are meant: {fields}", LIST)
    if choice.state is not None:
        other = choice.state.snapshot
        found = [(place, _value_at(other, place, values)) for place, values in places]
    else:
        origins = Origins(dataset, store, state)
        conflicts = [origins.conflict(place, values) for place, values in places]
        found = [(conflict.place, _pick(conflict, choice)) for conflict in conflicts]
        if all(value is None for _, value in found):
            raise _undecided(conflicts, choice)
    if all(value is None for _, value in found):
        what = f"{_which(places)}: the revision has none of its candidates"
        raise RefusedError(what, "the commits that have them: dsvc conflicts")
    return found


def _meant(snapshot: Snapshot, wanted: Wanted) -> Iterable[tuple[Place, list[Any]]]:
    if wanted.name is None:
        return open_places(snapshot)
    found: list[tuple[Place, list[Any]]] = []
    for noun, key in _keys(snapshot, wanted):
        tree: Tree = getattr(snapshot, f"{noun}_tree")
        value = tree.get(key)
        if value is not None:
            found += [
                (place, values)
                for place, values in places_of(noun, key, value)
                if wanted.field is None or place.path == stored_path(noun, wanted.field)
            ]
    return found


def _keys(snapshot: Snapshot, wanted: Wanted) -> list[tuple[Noun, bytes]]:
    """The records of a name: the concept, the annotation, or the input and, without a field, its annotations."""
    name = wanted.name or ""
    if wanted.is_concept:
        return [("concept", name.encode())]
    found: list[tuple[Noun, bytes]] = []
    if name.encode() in snapshot.input_tree:
        below = snapshot.annotation_tree.prefix(f"{name}\0".encode()) if wanted.field is None else ()
        found = [("input", name.encode()), *(("annotation", key) for key, _ in below)]
    # An input's key may have a # in it, and be what an annotation of another input is called.
    key, mark, id = name.rpartition("#")
    tree_key = f"{key}\0{id}".encode()
    if mark and tree_key in snapshot.annotation_tree:
        found.append(("annotation", tree_key))
    if not found:
        raise NotFoundError(f"no input or annotation {name!r}", LIST)
    return found


def _nothing(snapshot: Snapshot, wanted: Wanted) -> RefusedError:
    if wanted.name is None:
        return RefusedError("there are no open conflicts", "see: dsvc status")
    what = f"{wanted.name} has no open conflict"
    if wanted.field is None:
        return RefusedError(what, LIST)
    others = [place.field for place, _ in _meant(snapshot, wanted._replace(field=None)) if place.name == wanted.name]
    hint = f"in conflict there: {', '.join(others)}" if others else LIST
    return RefusedError(f"{what} in {wanted.field}", hint)


def _which(places: list[tuple[Place, list[Any]]]) -> str:
    first, more = places[0][0], len(places) - 1
    return f"{first.name} {first.field}" + (f" and {more:,} more" if more else "")


def _undecided(conflicts: list[Conflict], choice: Choice) -> RefusedError:
    """Why a number or an author decides none of the conflicts that are meant."""
    what = _which([(one.place, []) for one in conflicts])
    if choice.author is None:
        count = len(conflicts[0].candidates)
        return RefusedError(f"{what} has no candidate {choice.take}", f"there are 1 to {count}; {LIST}")
    by = [one.origin for conflict in conflicts for one in conflict.candidates if one.origin]
    if any(choice.author.casefold() in _signature(origin) for origin in by):
        return RefusedError(f"{what}: several candidates are by {choice.author}", f"choose by --take N; {LIST}")
    names = dict.fromkeys(origin.commit.author.name for origin in by)
    hint = f"they are by {', '.join(names)}; {LIST}" if names else LIST
    return RefusedError(f"{what}: no candidate is by {choice.author}", hint)


def _value_at(other: Snapshot, place: Place, values: list[Any]) -> bytes | None:
    """The candidate that a revision has."""
    tree: Tree = getattr(other, f"{place.noun}_tree")
    value = tree.get(place.tree_key)
    if place.path == EXISTS:
        return codec.encode(value is not None)
    found = facts_of(stored_fields(value, place.noun)).get(place.path, {}) if value is not None else {}
    candidates = {codec.encode(one) for one in values}
    return next(iter(found)) if len(found) == 1 and found.keys() <= candidates else None


def _pick(conflict: Conflict, choice: Choice) -> bytes | None:
    if choice.take is not None:
        in_range = 1 <= choice.take <= len(conflict.candidates)
        return conflict.candidates[choice.take - 1].encoded if in_range else None
    word = (choice.author or "").casefold()
    theirs = [one.encoded for one in conflict.candidates if one.origin and word in _signature(one.origin)]
    return theirs[0] if len(theirs) == 1 else None


def _signature(origin: Any) -> str:
    source = f" source {origin.source}" if origin.source is not None else ""
    return f"{origin.commit.author}{source}".casefold()


# ---- the edits


def _settling(snapshot: Snapshot, settled: dict[Place, bytes]) -> SnapshotEdits:
    edits = SnapshotEdits()
    records: dict[tuple[Noun, bytes], list[Place]] = {}
    for place in settled:
        records.setdefault((place.noun, place.tree_key), []).append(place)
    # Concepts come last: whether one can go depends on what else is settled.
    for (noun, key), places in sorted(records.items(), key=lambda item: item[0][0] == "concept"):
        changes: dict[bytes, bytes | None] = getattr(edits, f"{noun}s")
        tree: Tree = getattr(snapshot, f"{noun}_tree")
        value = tree.get(key)
        assert value is not None
        facts = facts_of(stored_fields(value, noun))
        if any(place.path == EXISTS and settled[place] == NO for place in places):
            changes[key] = None
            _take_along(snapshot, noun, key, edits)
            continue
        for place in places:
            if place.path == EXISTS:
                facts.pop(EXISTS)
            else:
                facts[place.path] = {settled[place]: facts[place.path][settled[place]]}
        if changes.get(key, b"") is not None:
            changes[key] = codec.encode(fields_of(facts))
    return edits


def _take_along(snapshot: Snapshot, noun: Noun, key: bytes, edits: SnapshotEdits) -> None:
    """What cannot stay without a record that goes."""
    if noun == "input":
        edits.annotations |= dict.fromkeys(k for k, _ in snapshot.annotation_tree.prefix(key + b"\0"))
    elif noun == "concept":
        name = key.decode()
        user = next(_users(snapshot, name, edits), None)
        if user is not None:
            hint = f"keep it (--take of yes), or: dsvc concept delete {name} --with-annotations"
            raise RefusedError(f"concept {name!r} is used by {user}, and cannot go", hint)


def _users(snapshot: Snapshot, concept: str, edits: SnapshotEdits) -> Iterator[str]:
    """The records that name a concept, or may come to, once these edits are made."""
    for key, value in snapshot.input_tree:
        left = edits.inputs.get(key, value)
        if left is not None and any(concept in names for names in listed_concepts(stored_fields(left, "input"))):
            yield key.decode()
    for key, value in snapshot.annotation_tree:
        left = edits.annotations.get(key, value)
        if left is not None and concept in facts_of(stored_fields(left, "annotation")).get("c", {}).values():
            yield key.decode().replace("\0", "#")
