"""Tombstones: what they say to whoever reads, or brings back, media that was purged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dsvc.core.files.worktree import Problem, Report
from dsvc.errors import PurgedError, RefusedError
from dsvc.model.view import TOMBSTONE, TombstoneRef, View, load_operation, tombstone_of, tombstones
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.files.reading import ReadFile
    from dsvc.core.repository import Repository
    from dsvc.core.transaction import Refs
    from dsvc.store.writer import ObjectWriter

LISTED = "all that was purged: dsvc purge --list"
_NO_WAY_BACK = "a purge is for good: leave these bytes out, or take in a file of other bytes; why: dsvc purge --list"


def told(stone: TombstoneRef) -> str:
    """A tombstone in words: when, by whom and why."""
    return f"purged on {_day(stone)} by {stone.author.name}: {stone.reason}"


def _day(stone: TombstoneRef) -> str:
    zone = timezone(timedelta(minutes=stone.time.offset))
    try:
        start = datetime(1970, 1, 1, tzinfo=zone) + timedelta(minutes=stone.time.offset)
        return (start + timedelta(seconds=stone.time.seconds)).date().isoformat()
    except (ValueError, OverflowError):  # written by another program
        return f"@{stone.time.seconds}"


def leave_purged(repository: Repository, files: Iterable[ReadFile], report: Report) -> Iterator[ReadFile]:
    """Files that were read, without those whose bytes were purged: they go to `report`."""
    purged = tombstones(repository.view)
    for file in files:
        if file.id is not None and file.id in purged:
            report(Problem(Path(file.path), f"was {told(purged[file.id])}"))
        else:
            yield file


def explain(repository: Repository, blob: ObjectId) -> PurgedError | None:
    """The error for reading a blob that was purged; None for one that was not."""
    # As of the head that is read at present: looking for what is missing moves on to a newer one by itself.
    view = View(repository.store, repository.operation.view, repository.cache)
    stone = cast("TombstoneRef | None", view.get(*tombstone_of(blob)))
    return None if stone is None else PurgedError(f"media {blob.short()} was {told(stone)}", LISTED)


def guard(writer: ObjectWriter) -> None:
    """`require_unpurged` for who publishes with the operation that stands."""
    if writer.base is not None and (writer.brought or writer.has_folded):
        require_unpurged(View(writer, load_operation(writer, writer.base.operation).view), writer)


def require_unpurged(refs: Refs | View, writer: ObjectWriter) -> None:
    """Refuse a transaction that brings bytes which were purged, or relies on a copy of them that is gone by now.

    It is asked within every transaction, on the refs that this one is about to publish: so whoever adds the bytes at
    the moment at which they are purged loses.
    """
    if not writer.brought and not writer.has_folded:
        return
    for ref, stone in refs.list(TOMBSTONE):
        blob = ObjectId.parse(ref[1])
        if blob in writer.brought:
            raise refusal(blob, cast(TombstoneRef, stone))
        if writer.has_lost(blob):
            raise RefusedError("media was purged while this command ran; nothing was changed", "run the command again")


def refusal(blob: ObjectId, stone: TombstoneRef) -> RefusedError:
    """The error for bytes that are brought again."""
    return RefusedError(f"media {blob.short()} was {told(stone)}; nothing was changed", _NO_WAY_BACK)
