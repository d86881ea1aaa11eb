"""States as tables for Arrow and pandas: the tables of a query, whole, or of some inputs, with media if so wished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from dsvc.core.keys import display
from dsvc.core.loading.entries import Entries, choose
from dsvc.core.loading.extras import require
from dsvc.core.loading.source import Source
from dsvc.core.nearest import near_names
from dsvc.core.queries.answer import Answer, ask
from dsvc.core.queries.tables import TABLES
from dsvc.errors import DamagedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.state import State

Table = Literal["inputs", "annotations", "concepts"]
_KEY, _MEDIA = "key", "media"
# Of a batch with media: inputs at most, and bytes after which it ends.
_MANY, _BYTES = 512, 64 << 20


def read_arrow(
    state: State,
    table: Table,
    columns: Sequence[str] | None,
    split: str | Iterable[str] | None,
    where: str | None,
    media: bool,
    rows: int,
) -> Any:
    """What `State.to_arrow` gives."""
    pyarrow = require("pyarrow", "to_arrow", "arrow")
    if media and table != "inputs":
        raise UsageError("media belongs to inputs", 'ask for their table: to_arrow("inputs", media=True)')
    if type(rows) is not int or rows < 1:
        raise UsageError(f"a batch has at least one row, not {rows!r}")
    wanted = _columns(table, columns)
    entries = _chosen(state, table, split, where)
    if media and entries is None:
        entries = choose(state.snapshot)
    reader = _answer(state, table, wanted, entries is not None).to_arrow(rows)
    if entries is None:
        return reader
    schema = pyarrow.schema([field for field in reader.schema if field.name in wanted])
    batches = _matching(pyarrow, reader, entries)
    if media:
        schema = schema.append(pyarrow.field(_MEDIA, pyarrow.large_binary()))
        batches = _with_media(pyarrow, batches, Source(state), entries)
    return pyarrow.RecordBatchReader.from_batches(schema, (batch.select(schema.names) for batch in batches))


def read_pandas(
    state: State,
    table: Table,
    columns: Sequence[str] | None,
    split: str | Iterable[str] | None,
    where: str | None,
) -> Any:
    """What `State.to_pandas` gives."""
    require("pandas", "to_pandas", "pandas")
    wanted = _columns(table, columns)
    entries = _chosen(state, table, split, where)
    frame = _answer(state, table, wanted, entries is not None).to_pandas()
    if entries is not None:
        frame = frame[frame[_KEY].isin(_keys(entries))].reset_index(drop=True)
    return frame[wanted]


# ---- what is asked for


def _columns(table: str, columns: Sequence[str] | None) -> list[str]:
    """The names of the columns. Raises UsageError."""
    if table not in TABLES:
        raise UsageError(f"no table {table!r}", f"there is: {', '.join(TABLES)}")
    if columns is None:
        return list(TABLES[table])
    if isinstance(columns, str) or not columns:
        raise UsageError("columns are a list of one name or more", 'such as: columns=["key", "concept"]')
    for at, name in enumerate(columns):
        if name not in TABLES[table]:
            near = near_names(str(name), TABLES[table])
            hint = f"did you mean {', '.join(near)}?" if near else f"there is: {', '.join(TABLES[table])}"
            raise UsageError(f"no column {name!r} in {table}", hint)
        if name in columns[:at]:
            raise UsageError(f"column {name!r} is named twice")
    return list(columns)


def _chosen(state: State, table: str, split: str | Iterable[str] | None, where: str | None) -> Entries | None:
    """The inputs that are chosen; None for all."""
    if split is None and where is None:
        return None
    if table == "concepts":
        raise UsageError("split and where choose inputs, and a state has its concepts as a whole", "ask without them")
    return choose(state.snapshot, split=split, where=where)


def _answer(state: State, table: str, wanted: Sequence[str], is_keyed: bool) -> Answer:
    """The rows of a table, which DuckDB gives in the order in which they were put in: that of the tree."""
    names = [*wanted, *([_KEY] if is_keyed and _KEY not in wanted else [])]
    selected = ", ".join(f'"{name}"' for name in names)
    return ask({"": state.snapshot}, f"select {selected} from {table}")


def _keys(entries: Entries) -> list[str]:
    return [entries.key(at) for at in range(len(entries))]


# ---- batches


def _matching(pyarrow: Any, batches: Iterable[Any], entries: Entries) -> Iterator[Any]:
    """What of the batches is of the chosen inputs."""
    compute, keys = require("pyarrow.compute", "to_arrow", "arrow"), pyarrow.array(_keys(entries), pyarrow.string())
    for batch in batches:
        found = batch.filter(compute.is_in(batch.column(_KEY), value_set=keys))
        if found.num_rows:
            yield found


def _with_media(pyarrow: Any, batches: Iterable[Any], source: Source, entries: Entries) -> Iterator[Any]:
    """Batches of all these inputs, each with its bytes."""
    at = 0
    for batch in batches:
        keys, done = batch.column(_KEY).to_pylist(), 0
        while done < len(keys):
            read = _read_some(source, entries, range(at, at + len(keys) - done))
            for place, key in enumerate(keys[done : done + len(read)], at):
                if entries.key(place) != key:
                    raise DamagedError(f"{display(key)}: the tables of a state disagree about its inputs")
            part = batch.slice(done, len(read))
            yield part.append_column(_MEDIA, pyarrow.array(read, pyarrow.large_binary()))
            at, done = at + len(read), done + len(read)


def _read_some(source: Source, entries: Entries, places: range) -> list[bytes | None]:
    """The bytes of the first of some inputs, as many as make a batch; None where there are none."""
    found, size = list[bytes | None](), 0
    source.announce(entries, places[:_MANY])
    for at in places[:_MANY]:
        data = source.read(entries, at) if entries.has_media(at) else None
        found.append(data)
        size += len(data or b"")
        if size >= _BYTES:
            break
    return found
