"""What a purge takes away: every blob that an input ever had, and who else has the same bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.purging.uses import Histories, Use
from dsvc.errors import NotFoundError, RefusedError
from dsvc.model.reach import blobs_of
from dsvc.model.records import decode_input
from dsvc.model.snapshot import load_roots
from dsvc.model.tree import Tree
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

SHOWN = 5


class Doomed(NamedTuple):
    """A blob that an input had: in which commits, the oldest first (none where only a draft has it), and its size in
    bytes."""

    key: str
    blob: ObjectId
    size: int
    commits: tuple[ObjectId, ...]


def find_doomed(repository: Repository, histories: Histories, dataset: str, keys: Iterable[str]) -> list[Doomed]:
    """What the inputs of some keys ever had in a dataset's history."""
    return [found for key in dict.fromkeys(keys) for found in _doomed(repository, histories, dataset, key)]


def find_shared(histories: Histories, dataset: str, keys: Collection[str], blobs: Collection[ObjectId]) -> list[Use]:
    """The inputs but those of some keys of a dataset, and the files of runs, that ever had one of some blobs."""
    uses = histories.uses(blobs) if blobs else ()
    return [use for use in uses if use.dataset != dataset or use.key not in keys or use.of is not None]


def _doomed(repository: Repository, histories: Histories, dataset: str, key: str) -> list[Doomed]:
    """What the input of one key had, the latest first."""
    sizes: dict[ObjectId, int] = {}
    holders: dict[ObjectId, list[ObjectId]] = {}
    memo: dict[ObjectId, dict[ObjectId, int]] = {}

    def had(root: ObjectId) -> dict[ObjectId, int]:
        if root not in memo:
            memo[root] = _media(repository, root, key)
        return memo[root]

    commits = histories.commits(dataset).items()
    for id, commit in sorted(commits, key=lambda one: (one[1].time.seconds, one[0])):
        for blob in (found := had(load_roots(repository.store, commit.snapshot).inputs)):
            holders.setdefault(blob, []).append(id)
        sizes |= found
    for root in histories.input_roots(dataset):
        sizes |= had(root)
    return [Doomed(key, blob, size, tuple(holders.get(blob, ()))) for blob, size in sizes.items()]


def _media(repository: Repository, root: ObjectId, key: str) -> dict[ObjectId, int]:
    """The blobs that an input has in one tree, each with its size in bytes."""
    value = Tree(repository.store, root, repository.cache).get(key.encode())
    if value is None:
        return {}
    record = decode_input(key.encode(), value)
    size = (record.media.size if record.media is not None else None) or 0
    store = repository.store
    return {blob: store.blob_size(blob) if store.has(blob) else size for blob in blobs_of(record)}


def require_found(repository: Repository, dataset: str, keys: Iterable[str], doomed: Iterable[Doomed]) -> None:
    """Raise NotFoundError for a key that never was, RefusedError for one that never had bytes that dsvc held."""
    from dsvc.core.nearest import no_input

    found = {one.key for one in doomed}
    for key in keys:
        if key in found:
            continue
        state = repository.dataset(dataset).draft().snapshot
        record = state.input(key)
        if record is None:
            error = no_input(key, state)
            raise NotFoundError(f"no input {key!r} in the history of {dataset}", error.hint)
        place = record.media.reference.place if record.media and record.media.reference else None
        where = f"; they lie at {place}, and are not dsvc's to purge" if place else ""
        raise RefusedError(f"{key}: the repository never held its bytes{where}", "see: dsvc log KEY")


def require_alone(shared: Iterable[tuple[str, Use]]) -> None:
    """Raise RefusedError where other inputs have the same bytes, each with the place where it has; it names them."""
    others = sorted({f"{use.name} (dataset {use.dataset}{place and f', at {place}'})" for place, use in shared})
    if not others:
        return
    more = f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
    noun = "other input has" if len(others) == 1 else "other inputs have"
    message = f"{len(others):,} {noun} the same bytes: {', '.join(others[:SHOWN])}{more}; nothing was purged"
    raise RefusedError(message, "name them too, or purge the bytes of all of them: --everywhere")
