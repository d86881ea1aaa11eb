"""Links: that what a transaction names is there, where a collection may have taken it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dsvc.errors import DamagedError
from dsvc.model.commit import decode_commit
from dsvc.model.node import Inner, decode_node
from dsvc.model.reach import blobs_of, commits_of, find_blobs
from dsvc.model.records import decode_input
from dsvc.model.snapshot import TREES, decode_roots
from dsvc.model.view import DraftRef, load_operation, tombstone_of
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.transaction import Refs
    from dsvc.store.writer import ObjectWriter

Link = tuple[ObjectId, Kind]


def require_links(writer: ObjectWriter, refs: Refs) -> None:
    """See that all that the changed refs and the staged objects name is staged or stored, so that it cannot go before
    they are published. Raises RefusedError."""
    for ref in refs.changes.values():
        for id in commits_of(ref) if ref is not None else ():
            writer.require(id, Kind.COMMIT)
        if isinstance(ref, DraftRef):
            writer.require(ref.snapshot, Kind.SNAPSHOT)
    for id, kind in writer.structure():
        for link in _links(writer, id, kind):
            if link[1] is not Kind.BLOB or not _may_be_absent(writer, refs, link[0]):
                writer.require(*link)


def _may_be_absent(writer: ObjectWriter, refs: Refs, blob: ObjectId) -> bool:
    """Whether it is in order that a blob is not here: a remote has it, or a tombstone names it."""
    return writer.is_elsewhere(blob) or refs.get(*tombstone_of(blob)) is not None


def _links(writer: ObjectWriter, id: ObjectId, kind: Kind) -> Iterator[Link]:
    """What a staged object names. Of an operation that is its view: those before it may be gone."""
    if kind is Kind.OPERATION:
        yield load_operation(writer, id).view, Kind.NODE
        return
    data = writer.get(id, kind)
    if kind is Kind.COMMIT:
        commit = decode_commit(data, id)
        yield commit.snapshot, Kind.SNAPSHOT
        yield from ((before, Kind.COMMIT) for before in (*commit.parents, *commit.sources.values()))
    elif kind is Kind.SNAPSHOT:
        roots = decode_roots(data, id)
        yield from ((getattr(roots, name), Kind.NODE) for name in TREES)
    elif kind is Kind.NODE:
        yield from _node_links(writer, data, id)


def _node_links(writer: ObjectWriter, data: bytes, id: ObjectId) -> Iterator[Link]:
    node = decode_node(data, id)
    if isinstance(node, Inner):
        yield from ((child.id, Kind.NODE) for child in node.children)
        return
    for key, held in zip(node.keys, node.values, strict=True):
        value = held
        if type(held) is not bytes:
            outside = ObjectId(held.data[1:])
            yield outside, Kind.VALUE
            value = writer.get(outside, Kind.VALUE)
        if find_blobs(value):
            yield from ((blob, Kind.BLOB) for blob in _blobs(key, value))


def _blobs(key: bytes, value: bytes) -> list[ObjectId]:
    """The blobs of an input; none where the value is something else, which only has bytes like an input's in it."""
    try:
        return list(blobs_of(decode_input(key, value)))
    except DamagedError:
        return []
