"""The order in which a seed shuffles: a rule of its own, so that it is the same on every machine and in every version.

A permutation of 0 to n-1 is a Feistel network of eight rounds over the least number of bits, six or more,
that n-1 fits in; what falls beyond n goes through again until it does not. Nothing is kept but the round keys, so any
part of the order is worked out by itself. docs/reference/loading.md has the rule step by step.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from blake3 import blake3

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices = npt.NDArray[Any]

ROUNDS = 8
_BITS = 6  # of the least network: with fewer, some orders of few numbers would come more often than others
_CONTEXT = "dsvc format 1 shuffled order"
_ADD, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class Permutation:
    """The numbers from 0 to `count` - 1 in the order that a seed and an epoch give them."""

    def __init__(self, count: int, seed: int, epoch: int = 0) -> None:
        self.count = count
        digest = blake3(f"{seed} {epoch}".encode(), derive_key_context=_CONTEXT).digest(length=8 * ROUNDS)
        self._keys = struct.unpack(f"<{ROUNDS}Q", digest)
        bits = max(_BITS, (count - 1).bit_length())
        self._left, self._right = bits // 2, bits - bits // 2

    def at(self, places: Indices) -> Indices:
        """What stands at some places, each from 0 to `count` - 1; both are arrays of int64."""
        import numpy as np

        found = self._mixed(places.astype(np.uint64))
        while (beyond := found >= self.count).any():
            found[beyond] = self._mixed(found[beyond])
        return found.astype(np.int64)

    def _mixed(self, numbers: Indices) -> Indices:
        """The numbers of the network's own range, each once, in another order."""
        import numpy as np

        left_bits, right_bits = self._left, self._right
        left, right = numbers >> np.uint64(right_bits), numbers & np.uint64((1 << right_bits) - 1)
        for key in self._keys:
            left, right = right, left ^ (_hash(right, key) >> np.uint64(64 - left_bits))
            left_bits, right_bits = right_bits, left_bits
        return left << np.uint64(right_bits) | right


def _hash(numbers: Indices, key: int) -> Indices:
    """64 bits for each number: SplitMix64's output for the key and the number, modulo 2**64 all along."""
    import numpy as np

    mixed = (numbers + np.uint64(1)) * np.uint64(_ADD) + np.uint64(key)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(_FIRST)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(_SECOND)
    return mixed ^ mixed >> np.uint64(31)
