"""Choosing: which inputs go on a sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from dsvc.core.nearest import no_input
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress

T = TypeVar("T")
NOTHING = 'see what there is, such as: dsvc query "select key, split from inputs"'


class Choice(NamedTuple):
    """Keys of inputs in order, and of how many they were chosen."""

    keys: tuple[str, ...]
    of: int


def spread(count: int, limit: int) -> Sequence[int]:
    """At most `limit` of the numbers below `count`, evenly apart and the first one among them."""
    return range(count) if count <= limit else [number * count // limit for number in range(limit)]


def choose(
    state: State, keys: Sequence[str], where: str | None, limit: int, progress: Progress | None = None
) -> Choice:
    """The inputs that are named, in that order; else some of all, or of those that match, evenly spread by key.

    Raises NotFoundError for a key that is not there, FilterError, RefusedError where there is none to choose.
    """
    if keys:
        if where is not None:
            raise UsageError("a filter and keys do not go together", "give either --where EXPR, or --key KEY")
        for key in keys:
            if key not in state:
                raise no_input(key, state.snapshot)
        named = tuple(dict.fromkeys(keys))
        return Choice(named, len(named))
    if where is None:
        tree = state.snapshot.input_tree
        if not len(tree):
            raise RefusedError("there are no inputs to show", "add some: dsvc add PATH, or dsvc import FILE")
        return Choice(tuple(tree.at(number)[0].decode() for number in spread(len(tree), limit)), len(tree))
    from dsvc.core.filters.query import match_inputs

    found = match_inputs(state.snapshot, where, progress)
    if not found:
        raise RefusedError("no input matches; nothing was written", NOTHING)
    return Choice(tuple(found[number] for number in spread(len(found), limit)), len(found))


class Thinned(Generic[T]):
    """Some of a stream's items, evenly apart, kept as they go by; no more than twice `limit` are kept at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._step = 1
        self._kept: list[T] = []
        self.count = 0

    def take(self, items: Iterable[T]) -> None:
        """Let items go by."""
        for item in items:
            if self.count % self._step == 0:
                self._kept.append(item)
                if len(self._kept) > 2 * self._limit:
                    self._kept = self._kept[::2]
                    self._step *= 2
            self.count += 1

    @property
    def items(self) -> list[T]:
        """At most `limit` of them, in order."""
        return [self._kept[number] for number in spread(len(self._kept), self._limit)]
