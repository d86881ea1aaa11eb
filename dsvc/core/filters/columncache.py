"""Parts of columns that were gathered before, by the node of the tree whose records they are of.

A node's id says all that is below it, so what is kept under it is never out of date; a commit that changes some
records leaves most nodes as they were. All of it can be made anew: where anything is wrong with it, it is passed over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import zstandard

if TYPE_CHECKING:
    import sqlite3

    from dsvc.model.tree import Tree
    from dsvc.store.ids import ObjectId

# Trees of fewer records are read as quickly without.
SMALL = 20_000
# Bytes, from which on the oldest parts go until there is a quarter of room again.
LIMIT = 1 << 30
# Bytes that wait in memory before they are written.
_PENDING = 16 << 20
# Seconds to wait for another process that writes.
_PATIENCE = 0.5
_NAME = "columns.sqlite"
# To be counted up where a column or the form of a part changes.
_VERSION = 1
_SCHEMA = f"""
    begin immediate;
    drop table if exists part;
    create table part (at integer primary key, node blob not null, name text not null, data blob not null);
    create unique index part_of on part (node, name);
    pragma user_version = {_VERSION};
    commit
"""


class ColumnCache:
    """What was kept of a tree's columns. A context: what is new is written at its end, unless that is an error."""

    def __init__(self, tree: Tree, name: str = _NAME, small: int | None = None) -> None:
        self._path = _place(tree, name, SMALL if small is None else small)
        self._database: sqlite3.Connection | None = None
        self._pending: list[tuple[bytes, str, bytes]] = []
        self._bytes = 0
        # With the checksum in its frame, a part is what was written, or an error.
        self._compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    def load(self, node: ObjectId, names: Collection[str]) -> dict[str, bytes]:
        """The parts of a node that are kept, of these names."""
        if self._database is None:
            return {}
        marks = ", ".join("?" * len(names))
        asked = f"select name, data from part where node = ? and name in ({marks})"
        rows: list[tuple[str, bytes]] = []
        with self._passing_over():
            rows = self._database.execute(asked, (bytes(node), *names)).fetchall()
        found = {}
        for name, data in rows:
            with contextlib.suppress(zstandard.ZstdError, TypeError, MemoryError):
                found[name] = self._decompress(data)
        return found

    def keep(self, node: ObjectId, parts: Mapping[str, Callable[[], bytes]]) -> None:
        """Keep parts of a node by name; what makes their bytes is not called where nothing is kept."""
        if self._database is None:
            return
        for name, part in parts.items():
            data = self._compress(part())
            self._pending.append((bytes(node), name, data))
            self._bytes += len(data)
        if self._bytes > _PENDING:
            self._write()

    def __enter__(self) -> Self:
        if self._path is not None:
            with contextlib.suppress(ImportError), self._passing_over():  # some Pythons are built without SQLite
                self._database = _open(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write()
        if self._database is not None:
            self._database.close()

    def _write(self) -> None:
        rows, self._pending, self._bytes = self._pending, [], 0
        if self._database is None or not rows:
            return
        with self._passing_over(), self._database as database:
            database.execute("begin immediate")
            database.executemany("insert or replace into part (node, name, data) values (?, ?, ?)", rows)
            _make_room(database)

    @contextlib.contextmanager
    def _passing_over(self) -> Iterator[None]:
        """Go on without what is kept where it cannot be used; a damaged file is removed."""
        import sqlite3

        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if self._database is not None:
                self._database.close()
                self._database = None
            if type(error) is sqlite3.DatabaseError and self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()


def _place(tree: Tree, name: str, small: int) -> Path | None:
    """The file of what is kept of a tree; None for a small one, or where nothing can be kept."""
    folder = tree.cache.folder() if len(tree) >= small else None
    return folder / name if folder is not None else None


def _open(path: Path) -> sqlite3.Connection:
    import sqlite3

    with contextlib.suppress(OSError):  # it may be there, and readable
        path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        # After a crash of the machine it may be damaged, which is no loss.
        database.execute("pragma synchronous = off")
        if database.execute("pragma user_version").fetchone() != (_VERSION,):
            database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database


def _make_room(database: sqlite3.Connection) -> None:
    """Let the oldest parts go where there is too much."""
    (pages,), (free,), (page,) = (
        database.execute(f"pragma {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    if (pages - free) * page <= LIMIT:
        return
    excess, last = (pages - free) * page - LIMIT * 3 // 4, 0
    for at, size in database.execute("select at, length(data) from part order by at"):
        if excess <= 0:
            break
        excess, last = excess - size, at
    database.execute("delete from part where at <= ?", (last,))
