"""What objects name: the objects that have to be there where they are."""

from __future__ import annotations

from collections.abc import Iterator

from dsvc.errors import DamagedError
from dsvc.model.records import Input, decode_media
from dsvc.model.view import AnyRef, BranchRef, DraftRef, EvaluationRef, PinRef, RemoteRef, RunRef, VersionRef
from dsvc.store import codec
from dsvc.store.ids import ObjectId

# How canonical encodings write the blob of a media, and a leaf's pointer to a value that lies outside.
_BLOB = b"\xa4blob\xc4\x20"
_POINTERS = (b"\xc7\x21\x02\x00", b"\xc7\x21\x02\x01")


def blobs_of(record: Input) -> Iterator[ObjectId]:
    """The blobs that an input names: of its media, or of each of those that clash. Raises DamagedError."""
    if record.media is not None and record.media.blob is not None:
        yield record.media.blob
    for value in record.conflicts.get("media", ()):
        try:
            blob = decode_media(value).blob
        except (TypeError, ValueError) as error:
            raise DamagedError(f"input {record.key!r} cannot be read") from error
        if blob is not None:
            yield blob


def commits_of(ref: AnyRef) -> Iterator[ObjectId]:
    """The commits that a ref names. A draft's snapshot is none of them."""
    if isinstance(ref, BranchRef | VersionRef | PinRef | RemoteRef | RunRef | EvaluationRef):
        if ref.commit is not None:
            yield ref.commit
    elif isinstance(ref, DraftRef):
        if ref.base is not None:
            yield ref.base
        yield from ref.sources.values()
        yield from ref.merged


def children_of(node: bytes) -> tuple[int, bytes] | None:
    """The level of an inner node and the ids of its children, one after another; None where it is a leaf.

    Quicker than to decode it, and for verified bytes of a node only. Raises DamagedError.
    """
    if node[:1] != b"\x95":
        return None
    fields = codec.unpack(node, "node")
    if type(fields[0]) is not int or type(fields[2]) is not bytes or len(fields[2]) % ObjectId.SIZE:
        raise DamagedError("a node is damaged")
    return fields[0], fields[2]


def find_blobs(data: bytes) -> bytes:
    """The ids, one after another, of all blobs that a leaf or a value may name: each that it does, and seldom another.

    It looks for how a record writes a blob and decodes nothing, so that one that keeps what is named is quick.
    """
    return _behind(data, _BLOB)


def find_values(leaf: bytes) -> bytes:
    """The ids, one after another, of all values outside of a leaf that it may name, as `find_blobs` does."""
    return b"".join(_behind(leaf, mark) for mark in _POINTERS)


def _behind(data: bytes, mark: bytes) -> bytes:
    """The ids behind each place where a mark stands, one after another."""
    pieces = data.split(mark)
    found = b"".join([piece[: ObjectId.SIZE] for piece in pieces[1:]])
    if len(found) == (len(pieces) - 1) * ObjectId.SIZE:
        return found
    return b"".join(_each_behind(data, mark))


def _each_behind(data: bytes, mark: bytes) -> Iterator[bytes]:
    at = data.find(mark)
    while at >= 0:
        start = at + len(mark)
        if start + ObjectId.SIZE <= len(data):
            yield data[start : start + ObjectId.SIZE]
        at = data.find(mark, at + 1)  # an id may by chance hold the mark, so nothing is skipped
