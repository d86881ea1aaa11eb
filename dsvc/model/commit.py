"""Commits: a snapshot, its parents, who made it, when, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dsvc.errors import DamagedError
from dsvc.model.node import Reader, Store
from dsvc.store import codec
from dsvc.store.ids import Kind, ObjectId

# In a commit's notes: the commit of which it took a part.
TAKEN_FROM = "taken_from"
# Times are from the year 1 to the year 9999, and clocks are less than a day off UTC.
FIRST_SECOND, LAST_SECOND, MINUTES_A_DAY = -62_135_596_800, 253_402_300_799, 24 * 60


class Author(msgspec.Struct, frozen=True):
    """Who did something."""

    name: str
    email: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.email else self.name


class Moment(msgspec.Struct, frozen=True):
    """A time: seconds since 1970 in UTC, and the offset of the clock that told it, in minutes."""

    seconds: int
    offset: int = 0


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `sources` maps a source's name to the commit of its line that has been taken in so far;
    `notes` holds what else a command says of it (an import: the file's name, size and hash)."""

    snapshot: ObjectId
    parents: tuple[ObjectId, ...] = ()
    author: Author
    time: Moment
    message: str
    sources: Mapping[str, ObjectId] = {}
    notes: Mapping[str, Any] = {}


def store_commit(store: Store, commit: Commit) -> ObjectId:
    """Keep a commit and give its id. Raises codec.EncodeError."""
    return store.put(
        Kind.COMMIT,
        codec.encode(
            {
                "author": [commit.author.name, commit.author.email],
                "message": commit.message,
                "notes": commit.notes,
                "parents": list(commit.parents),
                "snapshot": commit.snapshot,
                "sources": commit.sources,
                "time": [commit.time.seconds, commit.time.offset],
            }
        ),
    )


def load_commit(store: Reader, id: ObjectId) -> Commit:
    """The commit of an id. Raises DamagedError."""
    return decode_commit(store.get(id, Kind.COMMIT), id)


def decode_commit(data: bytes, id: ObjectId) -> Commit:
    """The commit of its bytes. Raises DamagedError."""
    fields = codec.decode(data, f"commit {id.short()}")
    try:
        commit = Commit(
            snapshot=ObjectId(fields["snapshot"]),
            parents=tuple(ObjectId(parent) for parent in fields["parents"]),
            author=Author(*fields["author"]),
            time=Moment(*fields["time"]),
            message=fields["message"],
            sources={name: ObjectId(source) for name, source in fields["sources"].items()},
            notes=fields["notes"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"commit {id.short()} is damaged") from error
    if not _is_sound(commit):
        raise DamagedError(f"commit {id.short()} is damaged")
    return commit


def _is_sound(commit: Commit) -> bool:
    """Whether the fields are what they are called. Whoever wrote the commit need not have been dsvc."""
    return (
        is_signature(commit.author, commit.time)
        and all(type(text) is str for text in (commit.message, *commit.sources))
        and type(commit.notes) is dict
    )


def is_signature(author: Author, time: Moment) -> bool:
    """Whether who and when are texts and numbers within their bounds, wherever they came from."""
    texts, numbers = (author.name, author.email), (time.seconds, time.offset)
    if not all(type(text) is str for text in texts) or not all(type(number) is int for number in numbers):
        return False
    return FIRST_SECOND <= time.seconds <= LAST_SECOND and abs(time.offset) < MINUTES_A_DAY
