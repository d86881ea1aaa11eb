"""Elsewhere: where blobs come from that are not here. What this module says is the contract, which remotes fulfil."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from dsvc.errors import DsvcError
from dsvc.store.frame import Entry, Packed
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    pass


class Elsewhere(Protocol):
    """Places that have blobs. Every method may be called from several threads.

    All of them raise RemoteError where a place that would have to be asked is out of reach.
    """

    def has(self, id: ObjectId) -> bool:
        """Whether a place's index has a blob; nothing of the blob is read."""

    def entry(self, id: ObjectId) -> Entry | None:
        """What a place's index says of a blob, such as its size; None where no place has it."""

    def entries(self, ids: Sequence[ObjectId]) -> dict[ObjectId, Entry]:
        """What the places' indexes say of those of some blobs that a place has."""

    def fetch(self, ids: Sequence[ObjectId]) -> Iterator[Packed]:
        """Bring blobs, verified, in about the order in which they are asked for; those that no place has are left out.

        The first requests go out before this returns, and more as the iterator is read, so that no more than some tens
        of MiB wait in memory.
        """

    def pieces(self, id: ObjectId) -> Iterator[bytes]:
        """One big blob piece by piece; raises RemoteError, at the end, if the whole was not right."""

    def explain(self, id: ObjectId) -> DsvcError | None:
        """The error to raise for a blob that is not here and that no place has; None where nothing is known of it."""
