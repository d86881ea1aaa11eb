"""Which index is read when: shuffled by a seed, shared among ranks, and to be gone on with where a run stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dsvc.core.loading.order import Permutation
from dsvc.errors import RefusedError, UsageError

_AT_ONCE = 4096


class Sampler:
    """The indices that one of `world_size` processes reads, epoch by epoch; for `DataLoader(data, sampler=...)`.

    Rank r has the places r, r + world_size, ... of the epoch's order. All ranks have the same number of indices: the
    order begins anew at its end until that is so, or with `drop_last` ends sooner. Each iteration is one epoch, the
    next one the next. `done` is how many indices of the epoch were used by this rank: a loop that wants to go on
    after an interruption adds each batch that it was given, since workers have always read more than that.
    """

    def __init__(
        self,
        count: int,
        seed: int = 0,
        *,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        epoch: int = 0,
        drop_last: bool = False,
        data: str = "",
    ) -> None:
        """`count` is how many inputs there are, `data` names them, so that another set is not mistaken for it."""
        _check(seed=seed, rank=rank, world_size=world_size, epoch=epoch)
        if not 0 <= rank < world_size:
            raise UsageError(f"rank {rank} is none of {world_size}", f"ranks go from 0 to {world_size - 1}")
        self.count, self.seed, self.rank, self.world_size = count, seed, rank, world_size
        self.shuffle, self.epoch, self.drop_last, self.data = shuffle, epoch, drop_last, data
        self.done = 0
        self._skipped = 0  # places of the epoch that were used, by all ranks, before this run went on with it
        self._has_begun = False

    def __len__(self) -> int:
        """How many indices this rank has in a whole epoch."""
        return self._per_rank(self.count)

    def _per_rank(self, count: int) -> int:
        return count // self.world_size if self.drop_last else -(-count // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Have the next iteration be that of an epoch: from its start, unless it is the one that was resumed."""
        _check(epoch=epoch)
        if epoch != self.epoch or self._has_begun:
            self._begin(epoch)

    def _begin(self, epoch: int) -> None:
        self.epoch, self.done, self._skipped, self._has_begun = epoch, 0, 0, False

    def resume(self, done: int) -> None:
        """Have the next iteration go on in this epoch after `done` indices of this rank."""
        _check(done=done)
        self._begin(self.epoch)
        self._skipped = min(done * self.world_size, self.count)

    def __iter__(self) -> Iterator[int]:
        if self._has_begun:
            self._begin(self.epoch + 1)
        self._has_begun = True
        left = self.count - self._skipped
        return self._indices(self._skipped, self._per_rank(left) if left else 0, self.epoch)

    def _indices(self, skipped: int, length: int, epoch: int) -> Iterator[int]:
        """This rank's indices of an epoch, in the order of their places."""
        import numpy as np

        order = Permutation(self.count, self.seed, epoch) if self.shuffle else None
        for at in range(0, length, _AT_ONCE):
            steps = np.arange(at, min(at + _AT_ONCE, length), dtype=np.int64)
            places = (skipped + self.rank + steps * self.world_size) % self.count
            yield from (order.at(places) if order is not None else places).tolist()

    # ---- where it stands

    def state_dict(self) -> dict[str, Any]:
        """Where this stands, as plain values: whichever rank saves it, all of them go on from it.

        Any number of ranks may: what counts is how far the order was used by all.
        """
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "used": min(self._skipped + self.done * self.world_size, self.count),
            "count": self.count,
            "shuffle": self.shuffle,
            "data": self.data,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a saved state stood, with its seed and epoch. Raises RefusedError where it is of other data."""
        kinds = {"seed": int, "epoch": int, "used": int, "count": int, "shuffle": bool, "data": str}
        for name, kind in kinds.items():
            if type(state.get(name)) is not kind:
                raise UsageError(f"this is no state of a sampler: {name} is missing or of another type")
        if (state["count"], state["data"]) != (self.count, self.data):
            message = f"the saved state is of other data: {state['count']:,} inputs, and here are {self.count:,}"
            if state["count"] == self.count:
                message = "the saved state is of other data: as many inputs, but not the same ones in the same order"
            raise RefusedError(message, "load the version, split and filter that it was saved with")
        _check(epoch=state["epoch"], used=state["used"])
        self.seed, self.shuffle = state["seed"], state["shuffle"]
        self._begin(state["epoch"])
        self._skipped = min(state["used"], self.count)

    def __repr__(self) -> str:
        order = f"seed {self.seed}" if self.shuffle else "in order"
        return f"Sampler({self.count} inputs, {order}, epoch {self.epoch}, rank {self.rank} of {self.world_size})"


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if type(number) is not int:
            raise UsageError(f"{name} is a whole number, not {number!r}")
        if number < 0 and name != "seed":
            raise UsageError(f"{name} cannot be below 0: {number}")
