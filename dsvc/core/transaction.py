"""Transactions: every change of a repository goes through one, and one place swaps the head."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from dsvc.core.purging.tombstones import require_unpurged
from dsvc.model.node import Reader, Store
from dsvc.model.tree import Tree
from dsvc.model.view import AnyRef, Operation, Ref, View, encode_ref, load_operation, ref_key, store_operation
from dsvc.store.head import HeadMovedError, RemovedError
from dsvc.store.ids import Kind, ObjectId, object_id
from dsvc.store.writer import ObjectWriter

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

T = TypeVar("T")
_SHORTEST, _LONGEST = 0.02, 2.0  # seconds between two tries to publish where others are faster


class ReadOnly:
    """A store that reads what is stored and forgets what is put: for looking at states without a transaction."""

    def __init__(self, store: Reader) -> None:
        self._store = store

    def get(self, id: ObjectId, kind: Kind) -> bytes:
        """The bytes of an object, verified."""
        return self._store.get(id, kind)

    def put(self, kind: Kind, data: bytes) -> ObjectId:
        """The id that an object would have."""
        return object_id(kind, data)


class Refs:
    """A view with changes laid over it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.changes: dict[Ref, AnyRef | None] = {}

    def get(self, *ref: str) -> AnyRef | None:
        """The ref of a kind and names, or None."""
        return self.changes[ref] if ref in self.changes else self.view.get(*ref)

    def set(self, ref: Ref, value: AnyRef | None) -> None:
        """Move a ref; None takes it away. Setting what it is already changes nothing."""
        self.changes[ref] = value
        if self.view.get(*ref) == value:
            del self.changes[ref]

    def list(self, *prefix: str) -> Iterator[tuple[Ref, AnyRef]]:
        """The refs whose key begins with these parts, in order."""
        found: dict[Ref, AnyRef | None] = dict(self.view.list(*prefix))
        found |= {r: v for r, v in self.changes.items() if r[: len(prefix)] == prefix}
        for ref in sorted(found, key=ref_key):
            value = found[ref]
            if value is not None:
                yield ref, value


class Transaction:
    """Objects staged for one operation. Leaving the context without `run` drops them."""

    def __init__(self, repository: Repository, command: str) -> None:
        self.repository = repository
        # A file name in it may be no Unicode; the log has it as escapes.
        self.command = command.encode("utf-8", "backslashreplace").decode()
        self.writer: ObjectWriter = repository.store.writer()
        # Where a swap was refused or unanswered, an operation that is listed must be ours and nobody else's.
        self._nonce = secrets.token_bytes(8)
        # Whether a collection took what was found here, so that whatever can has to be put again.
        self.has_lost = False

    @property
    def store(self) -> Store:
        """Where to put objects, and where staged and stored ones are read."""
        return self.writer

    def __enter__(self) -> Self:
        self.writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.__exit__(kind, error, trace)

    def steadily(self, work: Callable[[], T]) -> T:
        """Do some work with the store; again, so that it is put again, where a collection took what it found there."""
        while True:
            with suppress(RemovedError):
                return work()

    def run(
        self,
        change: Callable[[Refs], T],
        *,
        inverts: ObjectId | None = None,
        action: str | None = None,
    ) -> T:
        """Apply `change` to the refs and publish; where another operation came first, again on the new view.

        `change` may run several times, so its objects must be the same or cheap. A change that moves no ref makes
        no operation. What a collection took meanwhile is put again where `change` does so; else RefusedError is raised.
        """
        try:
            return self._attempt(change, inverts, action)
        except HeadMovedError as error:
            self.has_lost |= isinstance(error, RemovedError)
        # Lost a race. Local writers now queue up, so that everyone gets a turn.
        tries = 0
        with self.writer.turn():
            while True:
                self.repository.store.refresh()
                try:
                    return self._attempt(change, inverts, action)
                except HeadMovedError as error:
                    self.has_lost |= isinstance(error, RemovedError)
                    # Nothing holds others off there. Who waits for different times seldom meets again.
                    tries += 1
                    time.sleep(random.uniform(0, min(_LONGEST, _SHORTEST * 2**tries)))

    def _attempt(self, change: Callable[[Refs], T], inverts: ObjectId | None, action: str | None) -> T:
        repository = self.repository
        parent = repository.store.head.operation
        before = load_operation(self.writer, parent)
        refs = Refs(View(self.writer.history, before.view, repository.cache))
        result = change(refs)
        if refs.changes:
            require_unpurged(refs, self.writer)
            operation = Operation(
                view=self._store_view(refs),
                parents=(parent,),
                author=repository.identity,
                # Never earlier than what it follows, so that one wrong clock does not hide the next from `commit`.
                time=max(repository.now(), before.time, key=lambda moment: moment.seconds),
                workspace=repository.workspace.id,
                command=self.command,
                inverts=inverts,
                action=action,
                nonce=self._nonce,
            )
            id = store_operation(self.writer, operation)
            if self.writer.is_overtaken:
                from dsvc.core.collecting.links import require_links

                require_links(self.writer, refs)
            self.writer.publish(id)
        return result

    def _store_view(self, refs: Refs) -> ObjectId:
        edits = {ref_key(ref): encode_ref(v) if v is not None else None for ref, v in refs.changes.items()}
        tree: Tree = refs.view.tree
        return tree.edit(self.writer.history, edits)
