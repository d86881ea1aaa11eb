"""What is counted of some inputs and their annotations: summaries, which can be summed, and their bytes.

Sums of sums in any order are the same, so what is kept of a part of a tree serves for all trees that have this part.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.core.metrics.columns import COLUMNS, CONCEPT_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_SHIFT = 40  # the bits of a value in a histogram
_encode = msgspec.msgpack.Encoder().encode


class Table(NamedTuple):
    """Rows of counts, one for each of some sorted names."""

    names: list[str]
    counts: Array


class Summary(NamedTuple):
    """Counts of some inputs: one for each of `COLUMNS`.

    `histograms` are pairs of (histogram and value, count), see `slot`; `types` MIME types, `kinds` the types without
    what follows the slash, `splits`; `pairs` (concept, later concept, inputs) by the rows of `concepts`; `blobs` the
    beginnings of the hashes of the inputs' bytes, and `duplicates`, once they are counted, how many inputs have bytes
    that an earlier one has, and of how many bytes that is so.
    """

    totals: Array
    histograms: Array
    concepts: Table
    types: Table
    kinds: Table
    splits: Table
    pairs: Array
    blobs: Array
    duplicates: tuple[int, int] = (0, 0)


def slot(histogram: int, values: Array) -> Array:
    """The numbers that stand for values, from -1 up, of a histogram."""
    import numpy as np

    return (np.minimum(values, (1 << _SHIFT) - 2) + 1) + (histogram << _SHIFT)


def read_histogram(summary: Summary, histogram: int) -> dict[int, int]:
    """Value -> count of a histogram, by value."""
    slots = summary.histograms
    chosen = slots[slots[:, 0] >> _SHIFT == histogram]
    return {(value & ((1 << _SHIFT) - 1)) - 1: count for value, count in chosen.tolist()}


def counted(values: Array, counts: Array | None = None) -> Array:
    """Pairs of the values that there are, sorted, and how often, or the sums of their counts."""
    import numpy as np

    found, index = np.unique(values, return_inverse=True)
    sums = np.zeros(len(found), dtype=np.int64)
    np.add.at(sums, index, 1 if counts is None else counts)
    return np.stack((found.astype(np.int64), sums), axis=1)


# ---- sums


def add_tables(tables: Sequence[Table]) -> Table:
    """The sum of tables of the same columns; names that are in several are one."""
    return _joined(tables)[0]


def _joined(tables: Sequence[Table]) -> tuple[Table, list[Array]]:
    """The sum of tables, and for each of them which rows its own became."""
    import numpy as np

    names = sorted(set().union(*(table.names for table in tables)))
    place = {name: at for at, name in enumerate(names)}
    sums = np.zeros((len(names), tables[0].counts.shape[1]), dtype=np.int64)
    rows = []
    for table in tables:
        where = np.fromiter(map(place.__getitem__, table.names), dtype=np.int64, count=len(table.names))
        sums[where] += table.counts
        rows.append(where)
    return Table(names, sums), rows


def add(parts: Sequence[Summary]) -> Summary:
    """The sum of summaries of different inputs, of one at least."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    concepts, rows = _joined([part.concepts for part in parts])
    histograms = np.concatenate([part.histograms for part in parts])
    return Summary(
        totals=reduce(np.add, (part.totals for part in parts)),
        histograms=counted(histograms[:, 0], histograms[:, 1]),
        concepts=concepts,
        types=add_tables([part.types for part in parts]),
        kinds=add_tables([part.kinds for part in parts]),
        splits=add_tables([part.splits for part in parts]),
        pairs=_add_pairs([part.pairs for part in parts], rows, len(concepts.names)),
        blobs=np.concatenate([part.blobs for part in parts]),
    )


def _add_pairs(pairs: Sequence[Array], rows: Sequence[Array], count: int) -> Array:
    """Pairs of concepts by the rows of the sum. Names stay in order, so the first of a pair stays the first."""
    import numpy as np

    codes = [where[some[:, 0]] * count + where[some[:, 1]] for some, where in zip(pairs, rows, strict=True)]
    return split_pairs(counted(np.concatenate(codes), np.concatenate([some[:, 2] for some in pairs])), count)


def split_pairs(codes: Array, count: int) -> Array:
    """Triples of pairs that are numbered as first * count + second."""
    import numpy as np

    if not len(codes):
        return np.empty((0, 3), dtype=np.int64)
    return np.stack((codes[:, 0] // count, codes[:, 0] % count, codes[:, 1]), axis=1)


def finished(summary: Summary) -> Summary:
    """The same with its duplicates counted, and without what they are counted by."""
    import numpy as np

    _, counts = np.unique(summary.blobs, return_counts=True)
    repeated = counts[counts > 1]
    duplicates = int(repeated.sum()) - len(repeated), len(repeated)
    return summary._replace(blobs=np.empty(0, dtype=np.uint64), duplicates=duplicates)


# ---- bytes


class _Kept(msgspec.Struct, array_like=True, gc=False):
    totals: bytes
    histograms: bytes
    tables: list[tuple[list[str], bytes]]
    pairs: bytes
    blobs: bytes
    duplicates: tuple[int, int]


_decode = msgspec.msgpack.Decoder(_Kept).decode
_decode_table = msgspec.msgpack.Decoder(tuple[list[str], bytes]).decode


def _table_fields(table: Table) -> tuple[list[str], bytes]:
    return table.names, _bytes(table.counts)


def _bytes(array: Array) -> bytes:
    data: bytes = array.astype("<i8", copy=False).tobytes()
    return data


def pack(summary: Summary) -> bytes:
    """The bytes of a summary."""
    kept = _Kept(
        _bytes(summary.totals),
        _bytes(summary.histograms),
        [_table_fields(table) for table in (summary.concepts, summary.types, summary.kinds, summary.splits)],
        _bytes(summary.pairs),
        summary.blobs.astype("<u8", copy=False).tobytes(),
        summary.duplicates,
    )
    return _encode(kept)


def unpack(data: bytes) -> Summary:
    """The summary of its bytes. Raises ValueError, msgspec.MsgspecError for what is none."""
    import numpy as np

    kept = _decode(data)
    concepts, types, kinds, splits = map(_table, kept.tables, (len(CONCEPT_COLUMNS), 1, 1, 1))
    totals, pairs = _numbers(kept.totals, len(COLUMNS)), _numbers(kept.pairs, 3)
    if len(totals) != 1 or (len(pairs) and not 0 <= pairs[:, :2].min() <= pairs[:, :2].max() < len(concepts.names)):
        raise ValueError("counts of something else")
    histograms, blobs = _numbers(kept.histograms, 2), np.frombuffer(kept.blobs, dtype="<u8")
    return Summary(totals[0], histograms, concepts, types, kinds, splits, pairs, blobs, kept.duplicates)


def pack_table(table: Table) -> bytes:
    """The bytes of a table."""
    return _encode(_table_fields(table))


def unpack_table(data: bytes) -> Table:
    """The table, with a column for each of `COLUMNS`, of its bytes. Raises ValueError, msgspec.MsgspecError."""
    return _table(_decode_table(data), len(COLUMNS))


def _table(fields: tuple[list[str], bytes], columns: int) -> Table:
    names, data = fields
    counts = _numbers(data, columns)
    if len(counts) != len(names):
        raise ValueError("counts of other names")
    return Table(names, counts)


def _numbers(data: bytes, columns: int) -> Array:
    import numpy as np

    return np.frombuffer(data, dtype="<i8").reshape(-1, columns)
