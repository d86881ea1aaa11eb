"""A source's records: stored as three trees of their own, a commit on the source's line, and merged into a draft."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from operator import eq
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from dsvc.core.imports.delivery import Sync, Tally, deliver
from dsvc.core.imports.sorter import Sorter, many_objects
from dsvc.core.merging.report import MergeReport
from dsvc.core.merging.roots import merge_roots
from dsvc.core.merging.states import store_source_commit
from dsvc.errors import RefusedError
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Incoming, Progress
from dsvc.model.node import Store
from dsvc.model.records import Concept, encode_concept, encode_input
from dsvc.model.snapshot import Roots, empty_roots, load_roots
from dsvc.model.stored import require_makeable
from dsvc.model.tree import Tree, build_tree
from dsvc.store.ids import ObjectId
from dsvc.store.limits import FEW_BYTES

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState

# Formats that say all about each input that they list: what they list of it no more is taken back. A COCO file may be
# about a part of what is annotated.
FOLLOWED = frozenset({"table", "folder", "mask", "clarifai"})


class Stored(NamedTuple):
    """The records of a source, and how many there are."""

    roots: Roots
    inputs: int = 0
    annotations: int = 0
    concepts: int = 0


class Taken(NamedTuple):
    """What taking a source in did: whether the draft changed, whether the source had been taken in before, what became
    of the annotations that it delivers, and what the merge did."""

    changed: bool = False
    again: bool = False
    tally: Tally = Tally()
    merge: MergeReport = MergeReport()


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
    """Store the three trees of a source's records; with `split`, all its inputs are of that split. One that was given
    the last time holds for inputs whose records name none."""
    root = draft.dataset.repository.root
    sorter = Sorter(root / ".dsvc" if root is not None else None)
    try:
        with many_objects():
            return _store(draft, incoming, sorter, name, progress, split)
    finally:
        sorter.close()


def _store(
    draft: Draft, incoming: Incoming, sorter: Sorter, name: str, progress: Progress | None, split: str | None
) -> Stored:
    store, annotations = draft.transaction.writer, 0
    concepts = incoming.concepts()
    found = incoming.inputs()
    last = _last(store, draft.sources.get(name))
    if split is not None:
        found = (msgspec.structs.replace(record, split=split) for record in found)
    elif (split := said_split(last, incoming.format, name)) is not None:
        found = (msgspec.structs.replace(record, split=record.split or split) for record in found)
    inputs = sorted((record.key.encode(), encode_input(record)) for record in found)
    for batch in incoming.annotations():
        for key, value in batch:
            if len(value) > FEW_BYTES:
                require_makeable(value, "annotation", key.decode().replace("\0", "#"))
        sorter.extend(batch)
        annotations += len(batch)
        if progress:
            progress("read annotations", annotations, None)
    if incoming.problems.count and not annotations and not inputs:
        return Stored(empty_roots(store))
    entries = _counted(with_ordinals(sorter.sorted()), annotations, progress)
    roots = Roots(
        concepts=build_tree(store, _concept_entries(concepts)),
        inputs=build_tree(store, inputs, Tree(store, last.inputs) if last is not None else None),
        annotations=build_tree(store, entries, Tree(store, last.annotations) if last is not None else None),
        meta={incoming.format: {name: {**incoming.meta, **({"split": split} if split is not None else {})}}},
    )
    return Stored(roots, len(inputs), annotations, len(concepts))


def said_split(last: Roots | None, format: str, name: str) -> str | None:
    """The split that was given with a source the last time, by what it said then."""
    found = last.meta.get(format, {}).get(name, {}).get("split") if last is not None else None
    return found if isinstance(found, str) else None


def _last(store: Store, line: ObjectId | None) -> Roots | None:
    """What a source said last, by the commit of its line."""
    return load_roots(store, load_commit(store, line).snapshot) if line is not None else None


def _concept_entries(concepts: Iterable[Concept]) -> list[tuple[bytes, bytes]]:
    return sorted((concept.id.encode(), encode_concept(concept)) for concept in concepts)


def _counted(
    entries: Iterable[tuple[bytes, bytes]], total: int, progress: Progress | None
) -> Iterable[tuple[bytes, bytes]]:
    if progress is None:
        return entries

    def counted() -> Iterator[tuple[bytes, bytes]]:
        for done, entry in enumerate(entries):
            if done % 8192 == 0:
                progress("store annotations", done, total)
            yield entry

    return counted()


def with_ordinals(pairs: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Make the stems of entries unique, by which they come sorted: of equal copies all but the first by encoding get
    an ordinal from 2."""
    if isinstance(pairs, list):
        stems = [stem for stem, _ in pairs]
        if not any(map(eq, stems, islice(stems, 1, None))):
            return pairs
    return _with_ordinals(pairs)


def _with_ordinals(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
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
    named = [(stem if n == 1 else b"%b-%d" % (stem, n), copy) for n, copy in enumerate(sorted(copies), 1)]
    return sorted(named)


def take_source(draft: Draft, name: str, new: Roots, format: str, sync: Sync) -> Taken:
    """Note records on the source's line and merge them into the draft. Raises RefusedError.

    The base of the merge is what the source said last. What clashes becomes a conflict in the draft.
    """
    before, taken = draft.snapshot.roots, Taken()

    def step(store: Store, state: DraftState) -> DraftState:
        nonlocal taken
        id = state.sources.get(name)
        last = _last(store, id)
        if last is not None:
            _require_format(last, format, name)
        delivery = deliver(store, last, state.roots, new, sync)
        taken = Taken(tally=delivery.tally, again=last is not None)
        if delivery.said == last:
            return state
        merged = merge_roots(store, last, state.roots, delivery.theirs)
        taken = taken._replace(merge=merged.report)
        line = store_source_commit(store, name, delivery.said, (id,) if id is not None else ())
        return msgspec.structs.replace(state, roots=merged.roots, sources={**state.sources, name: line})

    draft.apply(step)
    return taken._replace(changed=draft.snapshot.roots != before)


def _require_format(last: Roots, format: str, name: str) -> None:
    if format not in last.meta:
        was = ", ".join(sorted(last.meta))
        raise RefusedError(
            f"source {name!r} is of the format {was} here, and not {format}", "give this one a name: --source NAME"
        )
