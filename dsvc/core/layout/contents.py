"""What a commit has for a folder: the media of its inputs, or of those that a filter is true of; and how two differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.draft import committed_state
from dsvc.core.files.comparing import StoredMedia, stored_media
from dsvc.core.filters.narrowing import matching_keys, some_entries
from dsvc.core.layout.record import Layer
from dsvc.core.state import State
from dsvc.core.transaction import ReadOnly
from dsvc.errors import DsvcError
from dsvc.model.snapshot import Snapshot
from dsvc.model.treediff import diff_trees

if TYPE_CHECKING:
    from dsvc.core.layout.folders import Checkout
    from dsvc.core.repository import Repository
    from dsvc.core.revisions import Revision
    from dsvc.model.incoming import Progress


class Difference(NamedTuple):
    """What a key has in two contents."""

    key: str
    old: StoredMedia | None
    new: StoredMedia | None


class Contents:
    """The inputs of a snapshot that a folder has. `keys` are the sorted tree keys of some; None for all."""

    def __init__(self, snapshot: Snapshot, keys: list[bytes] | None = None) -> None:
        self.snapshot = snapshot
        self.keys = keys
        self._known = frozenset(keys) if keys is not None else None

    def __len__(self) -> int:
        return len(self.keys) if self.keys is not None else len(self.snapshot)

    def media(self) -> Iterator[tuple[str, StoredMedia | None]]:
        """The inputs, by key, each with its media."""
        tree = self.snapshot.input_tree
        entries = some_entries(tree, self.keys) if self.keys is not None else iter(tree)
        return ((key.decode(), stored_media(value)) for key, value in entries)

    def of(self, key: str) -> StoredMedia | None:
        """The media of one input."""
        encoded = key.encode()
        value = self.snapshot.input_tree.get(encoded) if encoded in self else None
        return stored_media(value) if value is not None else None

    def __contains__(self, key: bytes) -> bool:
        return self._known is None or key in self._known

    def differences(self, new: Contents) -> Iterator[Difference]:
        """The inputs whose stored record differs, or which one of the two has alone, with their media."""
        if self._known is None and new._known is None:
            for key, was, now in diff_trees(self.snapshot.input_tree, new.snapshot.input_tree):
                yield Difference(key.decode(), _media(was), _media(now))
            return
        before = dict(self.media())
        for name, media in new.media():
            old = before.pop(name, None)
            if old != media:
                yield Difference(name, old, media)
        yield from (Difference(name, old, None) for name, old in before.items())


def _media(value: bytes | None) -> StoredMedia | None:
    return stored_media(value) if value is not None else None


def contents_of(repository: Repository, layer: Layer) -> Contents | None:
    """What a folder has of a commit; None where that is not stored any more."""
    try:
        state = committed_state(ReadOnly(repository.store), layer.commit)
        snapshot = Snapshot(repository.store, state.roots, repository.cache)
        keys = None
        if layer.keys is not None:
            keys = [key for key in sorted(map(str.encode, layer.keys)) if key in snapshot.input_tree]
        return Contents(snapshot, keys)
    except DsvcError:  # damaged, or not there any more: the bytes of files are compared then
        return None


def state_of(repository: Repository, revision: Revision) -> State:
    """The state of a commit."""
    roots = committed_state(ReadOnly(repository.store), revision.commit).roots
    return State(repository, roots, revision)


def wanted_of(state: State, checkout: Checkout, progress: Progress | None = None) -> Contents:
    """What a folder is to have of a state. Raises FilterError."""
    keys = matching_keys(state.snapshot, checkout.where, progress) if checkout.where is not None else None
    return Contents(state.snapshot, keys)
