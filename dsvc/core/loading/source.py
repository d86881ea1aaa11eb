"""A state that goes to other processes: each opens the repository on its own, and shares no open file with another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from multiprocessing import util
from typing import TYPE_CHECKING, Any

from dsvc.core.keys import display
from dsvc.core.state import State
from dsvc.errors import DsvcError, NotFoundError, RefusedError
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.pack import PIECE

if TYPE_CHECKING:
    from dsvc.core.loading.entries import Entries

_LOCATED = 250_000  # inputs, of which finding the media takes a second or so

# States that a forked process has from the one before it. They are not used, and must not be closed here: that would
# write what the other process is about to write itself.
_inherited: list[State] = []


class Source:
    """A state to read media and records from, in whatever process this is. Pickled, it is how to open it again."""

    def __init__(self, state: State) -> None:
        self._state: State | None = state
        self._process = os.getpid()
        self._reopen = state.repository.reopen
        self.roots = state.snapshot.roots
        self.revision = state.revision

    @property
    def state(self) -> State:
        """The state, opened in this process. Raises NotRepositoryError where the repository is no more."""
        if self._state is None or self._process != os.getpid():
            self._state = self._opened(self._state)
            self._process = os.getpid()
        return self._state

    def _opened(self, inherited: State | None) -> State:
        if inherited is not None:
            _inherited.append(inherited)
        if self._reopen is None:
            raise _not_to_share()
        repository = self._reopen()
        if inherited is not None:
            repository.cache = inherited.repository.cache  # decoded nodes are what they are in every process
        # A worker's process ends without anything being collected: what came from remotes is kept by this.
        util.Finalize(repository, repository.store.close, exitpriority=1)
        return State(repository, self.roots, self.revision)

    def __getstate__(self) -> dict[str, Any]:
        if self._reopen is None:
            raise _not_to_share()
        return {**self.__dict__, "_state": None}

    def locate(self, entries: Entries) -> None:
        """Find out where the media of inputs lies, once for all processes, unless they are so many that it takes long.

        Where it lies elsewhere by the time that it is read, it is looked for again.
        """
        store = self.state.repository.store
        if store.is_distant or len(entries) > _LOCATED:
            return
        for at in range(len(entries)):
            blob = entries.blob(at) if entries.byte_size(at) <= PIECE else None
            entries.place(at, store.plain_place(blob) if blob is not None else None)

    def announce(self, entries: Entries, indices: Sequence[int]) -> None:
        """Say whose media is read next, so that what is not here comes in few requests."""
        store = self.state.repository.store
        if store.elsewhere is not None:
            store.prefetch([blob for at in indices if (blob := entries.blob(at)) is not None])

    def read(self, entries: Entries, at: int) -> bytes:
        """The bytes of the media at an index, verified. Raises what `State.read_media` does, naming the input."""
        state, blob = self.state, entries.blob(at)
        if blob is not None:
            try:
                return _read(state, blob, entries, at)
            except DsvcError as error:
                raise type(error)(f"{display(entries.key(at))}: {error.message}", error.hint) from error
        record = state.input(entries.key(at))
        if record is None:
            raise NotFoundError(f"no input {entries.key(at)!r}")
        return b"".join(state.read_media(record))


def _read(state: State, blob: ObjectId, entries: Entries, at: int) -> bytes:
    store, place = state.repository.store, entries.placed(at)
    if place is not None and (found := store.read_plain(blob, place)) is not None:
        return found
    if 0 <= entries.byte_size(at) <= PIECE:
        return store.get(blob, Kind.BLOB)
    return b"".join(store.open_blob(blob))


def _not_to_share() -> RefusedError:
    return RefusedError(
        "this repository is open in this process only, and another one cannot open it",
        "load it without workers: num_workers=0; or open it by its folder or URL: dsvc.open(...)",
    )
