"""What an exporter sees of a snapshot: streams of records in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from dsvc.model.records import Annotation, Concept, Input
from dsvc.store.ids import ObjectId


class Sample(NamedTuple):
    """One input and its annotations, in the order of their ids."""

    input: Input
    annotations: tuple[Annotation, ...]


class Walk(Protocol):
    """A snapshot to read from start to end; every call of a method starts a new stream."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """The dataset's metadata: per source format, what belongs to the whole."""

    def concepts(self) -> Iterator[Concept]:
        """All concepts, by id."""

    def input(self, key: str) -> Input | None:
        """The input of a key, or None."""

    def inputs(self) -> Iterator[Input]:
        """All inputs, by key."""

    def input_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All inputs as they are stored: tree key and encoded value."""

    def annotation_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All annotations as they are stored: tree key and encoded value."""

    def samples(self) -> Iterator[Sample]:
        """All inputs, by key, each with its annotations; one sample at a time is in memory."""

    def read_blob(self, blob: ObjectId) -> Iterator[bytes]:
        """The bytes of a blob in pieces of about 1 MiB. Raises DamagedError where it is absent or damaged."""

    def read_media(self, record: Input) -> Iterator[bytes]:
        """The bytes of an input's media in pieces, from the repository or from the place that it refers to.

        Raises, naming the input, an error where they are absent or not what they were.
        """
