"""The head: the one mutable file, a few lines of text."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import xxhash

from dsvc.errors import CollectedError, DamagedError, DsvcError, UnsupportedFormatError
from dsvc.store.ids import ObjectId

FORMAT = 1
CHUNKED_BLOBS = "chunked"  # a blob lies in chunks
KNOWN_FEATURES = frozenset({CHUNKED_BLOBS})
_NAME = r"[a-z0-9][a-z0-9-]*"
_NAMES = rf"(?: {_NAME})*"
_BODY = re.compile(rf"dsvc 1\nmust({_NAMES})\nmay({_NAMES})\noperation ([0-9a-f]{{64}})\nmanifest ([0-9a-f]{{64}})\n")
_UPGRADE = "Upgrade dsvc: this repository was written by a newer one."


class HeadMovedError(DsvcError):
    """Another operation was published first. Build on the new head and publish again."""


class RemovedError(HeadMovedError, CollectedError):
    """A collection was published first, and it took objects that this transaction had found. Put them again."""


@dataclass(frozen=True)
class Head:
    """The present state of a repository: its last operation, and where its objects are listed."""

    operation: ObjectId
    manifest: ObjectId
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    def needing(self, feature: str) -> Head:
        """This head, readable only to programs that know `feature`."""
        return replace(self, must=tuple(sorted({*self.must, feature})))

    def encode(self) -> bytes:
        """The head file's bytes."""
        must, may = ("".join(f" {name}" for name in names) for names in (self.must, self.may))
        text = f"dsvc {FORMAT}\nmust{must}\nmay{may}\noperation {self.operation}\nmanifest {self.manifest}\n"
        body = text.encode()
        return body + _check_line(body)

    @classmethod
    def decode(cls, data: bytes) -> Head:
        """Read a head file. Raises DamagedError, or UnsupportedFormatError for what this dsvc cannot read."""
        _check_format(data)
        body, _, _ = data.rpartition(b"check ")
        match = _BODY.fullmatch(body.decode("ascii", "replace"))
        if match is None or data != body + _check_line(body):
            raise DamagedError(
                "the repository's head is damaged", "make it anew from what is whole: dsvc check --repair"
            )
        must, may, operation, manifest = match.groups()
        head = cls(ObjectId.parse(operation), ObjectId.parse(manifest), _features(must), _features(may))
        unknown = [name for name in head.must if name not in KNOWN_FEATURES]
        if unknown:
            raise UnsupportedFormatError(f"the repository needs the feature {', '.join(unknown)}", _UPGRADE)
        return head


def _check_line(body: bytes) -> bytes:
    return f"check {xxhash.xxh3_64_hexdigest(body)}\n".encode()


def _check_format(data: bytes) -> None:
    # Only the first line is promised to stay readable, so it is read before anything else is believed.
    match = re.match(rb"dsvc ([1-9][0-9]{0,8})\n", data)
    if match is not None and int(match.group(1)) > FORMAT:
        raise UnsupportedFormatError(f"the repository has format {int(match.group(1))}", _UPGRADE)


def _features(text: str) -> tuple[str, ...]:
    names = tuple(text.split())
    if list(names) != sorted(set(names)):
        raise DamagedError("the repository's head is damaged: its features are out of order")
    return names
