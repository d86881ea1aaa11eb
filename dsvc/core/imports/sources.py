"""A source's records: stored as three trees of their own, then taken into a draft."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from dsvc.core.imports.following import follow, last_word
from dsvc.core.imports.sorter import Sorter
from dsvc.core.imports.union import unite
from dsvc.errors import RefusedError
from dsvc.model.commit import Author, Commit, Moment, load_commit, store_commit
from dsvc.model.incoming import Incoming, Progress
from dsvc.model.node import Store
from dsvc.model.records import Concept, encode_concept, encode_input
from dsvc.model.snapshot import Roots, empty_roots, load_roots, store_roots
from dsvc.model.tree import build_tree
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState

# Formats whose records are known by their ids from one delivery to the next. Those of a COCO file are not: a box that
# was moved has another one.
FOLLOWED = frozenset({"table", "folder", "mask", "clarifai"})


class Stored(NamedTuple):
    """The records of a source, and how many there are."""

    roots: Roots
    inputs: int = 0
    annotations: int = 0
    concepts: int = 0


class Taken(NamedTuple):
    """Whether a draft changed by a source; how many annotations now stand beside others of their number.

    `dropped` is how many inputs that the source had listed it does not list now.
    """

    changed: bool
    doubled: int
    dropped: int


def source_name(text: str) -> str:
    """A name for a source: what a dataset's name may be, other characters as '-'."""
    import re

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]
    if not name:
        raise RefusedError(f"{text!r} cannot name a source", "give a name: --source NAME")
    return name


def store_source(
    draft: Draft, incoming: Incoming, name: str, progress: Progress | None, split: str | None = None
) -> Stored:
    """Store the three trees of a source's records; with `split`, all its inputs are of that split."""
    store: Store = draft.transaction.writer
    root = draft.dataset.repository.root
    sorter = Sorter(root / ".dsvc" if root is not None else None)
    annotations = 0
    try:
        concepts = incoming.concepts()
        found = incoming.inputs()
        if split is not None:
            found = (msgspec.structs.replace(record, split=split) for record in found)
        inputs = sorted((record.key.encode(), encode_input(record)) for record in found)
        for batch in incoming.annotations():
            sorter.extend(batch)
            annotations += len(batch)
            if progress:
                progress("read annotations", annotations, None)
        if incoming.problems.count and not annotations and not inputs:
            return Stored(empty_roots(store))
        roots = Roots(
            concepts=build_tree(store, _concept_entries(concepts)),
            inputs=build_tree(store, inputs),
            annotations=build_tree(store, _counted(with_ordinals(sorter.sorted()), annotations, progress)),
            meta={incoming.format: {name: {**incoming.meta, **({"split": split} if split is not None else {})}}},
        )
    finally:
        sorter.close()
    return Stored(roots, len(inputs), annotations, len(concepts))


def _concept_entries(concepts: Iterable[Concept]) -> list[tuple[bytes, bytes]]:
    return sorted((concept.id.encode(), encode_concept(concept)) for concept in concepts)


def _counted(
    entries: Iterator[tuple[bytes, bytes]], total: int, progress: Progress | None
) -> Iterator[tuple[bytes, bytes]]:
    if progress is None:
        return entries

    def counted() -> Iterator[tuple[bytes, bytes]]:
        for done, entry in enumerate(entries):
            if done % 8192 == 0:
                progress("store annotations", done, total)
            yield entry

    return counted()


def with_ordinals(pairs: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Make the stems of sorted entries unique: equal copies are numbered from 2 in the order of their encodings."""
    pending: tuple[bytes, bytes] | None = None
    copies: list[bytes] = []
    for pair in pairs:
        if pending is not None:
            if pair[0] == pending[0]:
                copies.append(pair[1])
                continue
            if copies:
                yield from _numbered(pending[0], [pending[1], *copies])
                copies = []
            else:
                yield pending
        pending = pair
    if pending is not None:
        yield from _numbered(pending[0], [pending[1], *copies])


def _numbered(stem: bytes, copies: list[bytes]) -> list[tuple[bytes, bytes]]:
    named = [(stem if n == 1 else b"%b-%d" % (stem, n), copy) for n, copy in enumerate(copies, 1)]
    return sorted(named)


def take_source(draft: Draft, name: str, roots: Roots, format: str) -> Taken:
    """Note records on the source's line and take them into the draft. Raises InvalidRecordsError, RefusedError.

    Of a source that was taken in before, what it changed since is laid over the draft.
    """
    store: Store = draft.transaction.writer
    id = _store_commit(store, name, roots)
    before, doubled, dropped = draft.snapshot.roots, 0, 0

    def step(store: Store, state: DraftState) -> DraftState:
        nonlocal doubled, dropped
        last = state.sources.get(name)
        if last == id:
            return state
        if last is None:
            united = unite(store, state.roots, roots)
            doubled = united.doubled
            return msgspec.structs.replace(state, roots=united.roots, sources={**state.sources, name: id})
        known = load_roots(store, load_commit(store, last).snapshot)
        _refuse_changed(known, format, name)
        said, dropped = last_word(store, known, roots)
        after = follow(store, state.roots, known, said)
        return msgspec.structs.replace(
            state, roots=after, sources={**state.sources, name: _store_commit(store, name, said)}
        )

    draft.apply(step)
    return Taken(draft.snapshot.roots != before, doubled, dropped)


def _store_commit(store: Store, name: str, roots: Roots) -> ObjectId:
    """A source's commit: a function of its records, so that two people who import the same file share it."""
    commit = Commit(
        snapshot=store_roots(store, roots),
        author=Author(f"source {name}"),
        time=Moment(0),
        message=f"source {name}",
        notes={"source": name},
    )
    return store_commit(store, commit)


def _refuse_changed(known: Roots, format: str, name: str) -> None:
    if format not in known.meta:
        was = ", ".join(sorted(known.meta))
        raise RefusedError(
            f"source {name!r} is of the format {was} here, and not {format}", "give this one a name: --source NAME"
        )
    if format not in FOLLOWED:
        raise RefusedError(
            f"source {name!r} was imported before with other records",
            "importing a changed file is not possible yet: import it into a dataset of its own (dsvc create NAME), or "
            "undo the first import; under another name (--source NAME) the old annotations stay beside the new",
        )
