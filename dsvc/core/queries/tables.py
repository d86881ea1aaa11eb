"""The tables of a query: what columns they have, and how they are filled from a snapshot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.core.filters.columns import (
    ANNOTATION_COLUMNS,
    BOOLEAN,
    INPUT_COLUMNS,
    PLACES,
    RELATIVE,
    TEXT,
)
from dsvc.core.filters.gathering import Gathered, Values, gather_annotations, gather_inputs
from dsvc.core.filters.parts import floats, texts
from dsvc.core.filters.query import input_rows, to_pixels
from dsvc.model.incoming import Progress
from dsvc.model.records import CONFLICTS, Concept
from dsvc.model.snapshot import Snapshot
from dsvc.model.stored import stored_fields

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from dsvc.core.filters.parts import Array

_TEXTS = "VARCHAR[]"
_CONCEPT_COLUMNS = {
    "concept": TEXT,
    "name": TEXT,
    "supercategory": TEXT,
    "keypoints": _TEXTS,
    "conflicted": BOOLEAN,
}
# Table -> column -> SQL type.
TABLES: Mapping[str, Mapping[str, str]] = {
    "inputs": {name: column.type for name, column in INPUT_COLUMNS.items()},
    "annotations": {"key": TEXT, **{name: column.type for name, column in ANNOTATION_COLUMNS.items()}},
    "concepts": _CONCEPT_COLUMNS,
}
_RAW = "dsvc_raw"
# What a table has where no column of it is needed; nobody can name it.
_NOTHING = "#"


def make_empty(connection: DuckDBPyConnection, schema: str, table: str) -> None:
    """Make a table with all its columns and no rows."""
    columns = ", ".join(f'"{name}" {type}' for name, type in TABLES[table].items())
    connection.execute(f'create schema if not exists "{schema}"')
    connection.execute(f'create or replace table "{schema}"."{table}" ({columns})')


def fill(
    connection: DuckDBPyConnection,
    schema: str,
    table: str,
    snapshot: Snapshot,
    names: Collection[str] | None,
    progress: Progress | None = None,
) -> None:
    """Make a table of a snapshot's records, with some of its columns, or with all. Raises DamagedError."""
    wanted = [name for name in TABLES[table] if names is None or name in names]
    count, columns = _GATHER[table](snapshot, wanted, progress)
    if not count:
        make_empty(connection, schema, table)
        return
    import numpy as np

    raw: dict[str, Array] = {f"c{at}": columns[name].array for at, name in enumerate(wanted)}
    raw = raw or {_NOTHING: np.zeros(count)}
    selected = [f'{_typed(f"c{at}", columns[name])} as "{name}"' for at, name in enumerate(wanted)]
    connection.register(_RAW, raw)
    rows = f"select {', '.join(selected) or '*'} from {_RAW}"
    connection.execute(f'create or replace table "{schema}"."{table}" as {rows}')
    connection.unregister(_RAW)


def _typed(raw: str, values: Values) -> str:
    if values.type == _TEXTS:
        return f"from_json({raw}, '[\"VARCHAR\"]')"
    if values.array.dtype == object:
        return f"cast({raw} as {values.type})"
    return f"cast(nullif({raw}, 'nan'::double) as {values.type})"


def _inputs(snapshot: Snapshot, wanted: list[str], progress: Progress | None) -> tuple[int, dict[str, Values]]:
    found = gather_inputs(snapshot.input_tree, wanted, progress)
    return len(found.keys), found.columns


def _annotations(snapshot: Snapshot, wanted: list[str], progress: Progress | None) -> tuple[int, dict[str, Values]]:
    names = [name for name in wanted if name != "key"]
    owned = "key" in wanted or bool(PLACES & set(names))
    found = gather_annotations(snapshot.annotation_tree, names, progress, owned=owned)
    columns = found.columns
    if RELATIVE in columns and (columns[RELATIVE].array > 0).any():
        inputs = gather_inputs(snapshot.input_tree, ("width", "height"), progress)
        to_pixels(columns, inputs.columns, input_rows(inputs, found))
    if "key" in wanted:
        columns["key"] = Values(TEXT, _input_keys(found))
    return len(found.keys), columns


def _input_keys(found: Gathered) -> Array:
    import numpy as np

    parts = [np.repeat(texts([key.decode() for key in part.keys]), part.counts) for part in found.owners]
    array: Array = np.concatenate(parts)
    return array


def _concepts(snapshot: Snapshot, wanted: list[str], progress: Progress | None) -> tuple[int, dict[str, Values]]:
    found: list[tuple[Concept, bool]] = []
    for (_, value), concept in zip(snapshot.concept_tree, snapshot.concepts(), strict=True):
        found.append((concept, CONFLICTS in stored_fields(value, "concept")))
    columns: dict[str, list[Any]] = {
        "concept": [concept.id for concept, _ in found],
        "name": [concept.name for concept, _ in found],
        "supercategory": [concept.supercategory for concept, _ in found],
        "keypoints": [_json(concept.keypoints) for concept, _ in found],
        "conflicted": [conflicted for _, conflicted in found],
    }
    made = {}
    for name in wanted:
        type = _CONCEPT_COLUMNS[name]
        made[name] = Values(type, floats(columns[name]) if type == BOOLEAN else texts(columns[name]))
    return len(found), made


def _json(names: tuple[str, ...] | None) -> str | None:
    return msgspec.json.encode(names).decode() if names is not None else None


_GATHER = {"inputs": _inputs, "annotations": _annotations, "concepts": _concepts}
