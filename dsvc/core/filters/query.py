"""Filters over a snapshot: which inputs, or which annotations, an expression is true of.

Annotations are joined to their inputs by the order of the trees. What DuckDB sees is one table of the columns that
the expression names, so it never sees more than the filter may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.filters.columns import COLUMNS, PLACES, RELATIVE
from dsvc.core.filters.duck import complaint, connect, interruptibly
from dsvc.core.filters.expression import Expression, check
from dsvc.core.filters.gathering import Gathered, Values, gather_annotations, gather_inputs
from dsvc.errors import DamagedError, FilterError, RefusedError
from dsvc.model.incoming import Progress
from dsvc.model.records import split_annotation_key
from dsvc.model.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    from duckdb import DuckDBPyConnection

    from dsvc.core.filters.parts import Array

    Rows = npt.NDArray[np.int64]

_CONFLICTED = "conflicted"
_TABLE = "dsvc_records"
_CONVERT = "where a value may not convert, try_cast(... as TYPE) gives null"


class Matched(NamedTuple):
    """Tree keys of the records that match, in order, and the columns by which they were found."""

    keys: list[bytes]
    columns: frozenset[str]


def match_inputs(snapshot: Snapshot, where: str, progress: Progress | None = None) -> list[str]:
    """The keys of the inputs that a filter is true of, sorted by their UTF-8 bytes.

    A column of annotations means: of at least one annotation. An input without annotations has null in them.
    Raises FilterError for an expression that is none or cannot be evaluated.
    """
    connection, expression = _open(where)
    if not expression.annotations:
        inputs = gather_inputs(snapshot.input_tree, expression.inputs, progress)
        rows = _evaluate(connection, expression, inputs.columns, len(inputs.keys))
        return [key.decode() for key in inputs.keys.select(rows)]
    import numpy as np

    annotations = gather_annotations(snapshot.annotation_tree, expression.annotations, progress)
    inputs = gather_inputs(snapshot.input_tree, _input_columns(expression, annotations), progress)
    owners = input_rows(inputs, annotations)
    lonely = np.flatnonzero(np.bincount(owners, minlength=len(inputs.keys)) == 0)
    to_pixels(annotations.columns, inputs.columns, owners)
    columns = {name: _spread_left(values, len(lonely)) for name, values in annotations.columns.items()}
    owners = np.concatenate([owners, lonely])
    spread = {name: _spread(values, owners) for name, values in inputs.columns.items()}
    if _CONFLICTED in columns:
        spread[_CONFLICTED] = _either(columns[_CONFLICTED], spread[_CONFLICTED])
    rows = _evaluate(connection, expression, columns | spread, len(owners))
    return [key.decode() for key in inputs.keys.select(np.unique(owners[rows]))]


def match_annotations(snapshot: Snapshot, where: str, progress: Progress | None = None) -> list[tuple[str, str]]:
    """The annotations that a filter is true of, as input key and annotation id, sorted by their UTF-8 bytes.

    A column of inputs is that of the annotation's input. Raises FilterError as `match_inputs` does.
    """
    return [split_annotation_key(key) for key in find_annotations(snapshot, where, progress).keys]


def find_annotations(snapshot: Snapshot, where: str, progress: Progress | None = None) -> Matched:
    """The same as tree keys, with the columns that the filter names."""
    connection, expression = _open(where)
    owned = bool(expression.inputs - {_CONFLICTED} or expression.annotations & PLACES)
    annotations = gather_annotations(snapshot.annotation_tree, expression.annotations, progress, owned=owned)
    columns = annotations.columns
    wanted = _input_columns(expression, annotations) - {_CONFLICTED}
    if wanted:
        inputs = gather_inputs(snapshot.input_tree, wanted, progress)
        owners = input_rows(inputs, annotations)
        to_pixels(columns, inputs.columns, owners)
        columns |= {name: _spread(values, owners) for name, values in inputs.columns.items()}
    rows = _evaluate(connection, expression, columns, len(annotations.keys))
    return Matched(annotations.keys.select(rows), expression.columns)


# ---- the join


def _input_columns(expression: Expression, annotations: Gathered) -> frozenset[str]:
    """The columns of inputs that are needed: those that are named, and sizes where places are relative to them."""
    relative = annotations.columns.get(RELATIVE)
    if relative is not None and (relative.array > 0).any():
        return expression.inputs | {"width", "height"}
    return expression.inputs


def input_rows(inputs: Gathered, annotations: Gathered) -> Rows:
    """For each annotation the index of its input. Raises DamagedError where it has none."""
    import numpy as np

    places = {key: at for at, key in enumerate(inputs.keys)}
    try:
        rows = [places[key] for part in annotations.owners for key in part.keys]
    except KeyError as error:
        raise DamagedError("there are annotations without an input") from error
    counts = [part.counts for part in annotations.owners]
    return np.repeat(np.array(rows, dtype=np.int64), np.concatenate(counts))


def to_pixels(columns: dict[str, Values], inputs: Mapping[str, Values], owners: Rows) -> None:
    """Places that are relative to the size of their input become pixels; NaN where the size is not known."""
    relative = columns.get(RELATIVE)
    if relative is None or "width" not in inputs or "height" not in inputs:
        return
    chosen = relative.array > 0
    width, height = (inputs[name].array[owners[chosen]] for name in ("width", "height"))
    scales = {"x": width, "w": width, "y": height, "h": height, "area": width * height}
    for name in PLACES & columns.keys():
        array = columns[name].array.copy()
        array[chosen] *= scales[name]
        columns[name] = Values(columns[name].type, array)


def _either(one: Values, other: Values) -> Values:
    """Whether one of two is true; nothing counts as false."""
    return Values(one.type, ((one.array > 0) | (other.array > 0)).astype(float))


def _spread(values: Values, rows: Rows) -> Values:
    return Values(values.type, values.array[rows])


def _spread_left(values: Values, count: int) -> Values:
    """A column of annotations followed by so many rows that have nothing in it."""
    import numpy as np

    nothing: Array = np.full(count, None if values.array.dtype == object else np.nan, dtype=values.array.dtype)
    return Values(values.type, np.concatenate([values.array, nothing]))


# ---- what DuckDB does


def _open(where: str) -> tuple[DuckDBPyConnection, Expression]:
    """A checked filter, and the DuckDB that checked it. Raises FilterError."""
    connection = connect()
    expression = check(connection, where)
    types = ", ".join(f'cast(null as {COLUMNS[name].type}) as "{name}"' for name in sorted(expression.columns))
    found = _run(connection, expression, "describe select (\n", f"\n) from (select {types or 1})").fetchall()
    if found[0][1] != "BOOLEAN":
        kind = str(found[0][1]).strip('"')
        hint = "compare it with something, such as: area > 1024, text is not null, concept in ('cat', 'dog')"
        raise FilterError(f"the filter is of type {kind}, not true or false", where, None, hint)
    return connection, expression


def _evaluate(
    connection: DuckDBPyConnection, expression: Expression, columns: Mapping[str, Values], count: int
) -> Rows:
    """The numbers of the rows that a filter is true of, in order. Raises FilterError, RefusedError."""
    import numpy as np

    if not count:
        return np.empty(0, dtype=np.int64)
    raw = {f"c{at}": columns[name].array for at, name in enumerate(sorted(expression.columns))}
    connection.register(_TABLE, {"row": np.arange(count, dtype=np.int64), **raw})
    selected = [_selected(f"c{at}", name, columns[name]) for at, name in enumerate(sorted(expression.columns))]
    before = f'select "row" from (select {", ".join(["row", *selected])} from {_TABLE}) where (\n'
    rows = _run(connection, expression, before, "\n)").fetchnumpy()["row"]
    found: Rows = np.sort(np.asarray(rows, dtype=np.int64))
    return found


def _selected(raw: str, name: str, values: Values) -> str:
    if values.array.dtype == object:
        return f'cast({raw} as {values.type}) as "{name}"'
    return f"cast(nullif({raw}, 'nan'::double) as {values.type}) as \"{name}\""


def _run(connection: DuckDBPyConnection, expression: Expression, before: str, after: str) -> DuckDBPyConnection:
    """Execute a statement that has the filter in it. Raises FilterError, RefusedError."""
    import duckdb

    try:
        return interruptibly(connection, lambda: connection.execute(before + expression.bound.sql + after))
    except duckdb.OutOfMemoryException as error:
        raise RefusedError("the filter needs more memory than there is", "choose a simpler one") from error
    except duckdb.Error as error:
        text, position, _ = complaint(error)
        hint = _CONVERT if isinstance(error, duckdb.ConversionException) else None
        place = position - len(before.encode()) if position is not None else None
        raise expression.bound.wrong(text, place, hint) from error
