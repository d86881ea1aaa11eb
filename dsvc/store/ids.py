"""Object ids: BLAKE3-256, in a domain of its own for every kind of object."""

from __future__ import annotations

import enum
from typing import Self

from blake3 import blake3


class ObjectId(bytes):
    """The 32 bytes that name an object. Compares, sorts and hashes as those bytes."""

    __slots__ = ()
    SIZE = 32

    def __new__(cls, raw: bytes) -> Self:
        """Take 32 raw bytes. Raises ValueError for any other length."""
        if len(raw) != cls.SIZE:
            raise ValueError(f"an object id has {cls.SIZE} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the full form: 64 hexadecimal digits. Raises ValueError."""
        if len(text) != 2 * cls.SIZE:
            raise ValueError(f"an object id has {2 * cls.SIZE} hexadecimal digits: {text!r}")
        return cls(bytes.fromhex(text))

    def short(self) -> str:
        """The first 12 digits, for people."""
        return self.hex()[:12]

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"ObjectId({self.short()})"


class Kind(enum.IntEnum):
    """What an object is. The number stands in pack frames, so it belongs to the format."""

    BLOB = 0
    NODE = 1
    VALUE = 2
    SNAPSHOT = 3
    COMMIT = 4
    OPERATION = 5


# Derive-key contexts keep the kinds apart: no image can be crafted that is also a commit.
_CONTEXTS = {
    Kind.NODE: "dsvc format 1 tree node",
    Kind.VALUE: "dsvc format 1 large value",
    Kind.SNAPSHOT: "dsvc format 1 snapshot",
    Kind.COMMIT: "dsvc format 1 commit",
    Kind.OPERATION: "dsvc format 1 operation",
}
PACK_CONTEXT = "dsvc format 1 pack"
INDEX_CONTEXT = "dsvc format 1 index"
MANIFEST_CONTEXT = "dsvc format 1 manifest"
CHUNKS_CONTEXT = "dsvc format 1 chunks"
ANNOTATION_CONTEXT = "dsvc format 1 annotation"
NUMBER_CONTEXT = "dsvc format 1 number"


def object_id(kind: Kind, data: bytes | memoryview) -> ObjectId:
    """The id of an object: plain BLAKE3 for a blob (as `b3sum` prints), derive-key BLAKE3 for the rest."""
    hasher = blob_hasher() if kind is Kind.BLOB else blake3(derive_key_context=_CONTEXTS[kind])
    return ObjectId(hasher.update(data).digest())


def context_of(kind: Kind) -> str:
    """The derive-key context of a kind of structure."""
    return _CONTEXTS[kind]


def derived_id(context: str, data: bytes | memoryview) -> ObjectId:
    """BLAKE3 of `data` in derive-key mode under one of the contexts above."""
    return ObjectId(blake3(data, derive_key_context=context).digest())


def blob_hasher() -> blake3:
    """A hasher that is fed a blob piece by piece; its digest is the blob's id."""
    return blake3()
