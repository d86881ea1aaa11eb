"""Previews: contact sheets of a state, and of what differs between two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.pictures.cells import Cell, Entry, Subject, make_cell
from dsvc.core.pictures.choosing import Choice, Thinned, choose
from dsvc.core.pictures.colours import ADDED, REMOVED, SAME
from dsvc.core.pictures.differences import announce, differing
from dsvc.core.pictures.extras import require_pillow
from dsvc.core.pictures.looks import Look
from dsvc.core.pictures.marks import Marker
from dsvc.core.pictures.naming import called
from dsvc.core.pictures.samples import Concepts, read_samples
from dsvc.core.pictures.sheets import MOST_PIXELS, MOST_SIDE, lay_out, make_sheet
from dsvc.errors import RefusedError, UsageError
from dsvc.model.records import Annotation, Input

if TYPE_CHECKING:
    from dsvc.core.diffing.diff import InputDiff
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress

MayRead = Callable[[Input], bool]
LIMIT = 25
SIZE = 320
SIZES = range(48, 2049)
MOST = 1000
_KEY = (
    Entry(ADDED, "+ added"),
    Entry(REMOVED, "- removed"),
    Entry(ADDED, "~ changed, dashed as it was"),
    Entry(SAME, "the same"),
)


class Preview(NamedTuple):
    """A sheet as an image of Pillow's, the keys of the inputs on it, of how many they are, and what was not shown."""

    image: Any
    keys: tuple[str, ...]
    of: int
    problems: tuple[tuple[str, str], ...]


class Options(NamedTuple):
    """How a sheet is made: see `State.preview`."""

    keys: tuple[str, ...] = ()
    where: str | None = None
    limit: int = LIMIT
    columns: int | None = None
    size: int = SIZE


def preview_state(
    state: State, options: Options, progress: Progress | None = None, may_read: MayRead | None = None
) -> Preview:
    """The sheet of some inputs of a state. Raises FilterError, NotFoundError, RefusedError, UsageError.

    `may_read` says of which inputs the media is looked at; all, and brought from elsewhere, where it is not given.
    """
    require_pillow()
    _check(options)
    chosen = choose(state, options.keys, options.where, options.limit, progress)
    _require_room(len(chosen.keys), options)
    cells = []
    for number, (record, found) in enumerate(read_samples(state, chosen.keys, announce=may_read is None)):
        if progress is not None:
            progress("draw inputs", number, len(chosen.keys))
        cells.append(cell_of(state, record, found, options.size, may_read))
    return _finished(cells, chosen, called(state), _chosen_text(chosen, options), options)


def cell_of(
    state: State, record: Input, annotations: Iterable[Annotation], side: int, may_read: MayRead | None = None
) -> Cell:
    """The cell of an input of a state, of `side` pixels each way; see `preview_state`."""
    marker = Marker(Concepts(state))
    look = None if may_read is None or may_read(record) else Look(word="not here")
    marks = [marker.plain(annotation) for annotation in annotations]
    return make_cell(Subject(state, record, record.key, marks), side, look)


def preview_diff(old: State, new: State, options: Options, progress: Progress | None = None) -> Preview:
    """The sheet of some inputs that differ. Raises FilterError, NotFoundError, RefusedError, UsageError."""
    require_pillow()
    _check(options)
    found: Thinned[InputDiff] = Thinned(options.limit)
    found.take(old.diff(new, keys=options.keys, where=options.where, progress=progress).inputs())
    if not found.count:
        raise RefusedError("no input differs; nothing was written", "see what differs: dsvc diff A B --stat")
    chosen = Choice(tuple(one.key for one in found.items), found.count)
    _require_room(len(chosen.keys), options)
    cells = []
    announce(found.items, old, new)
    marker = Marker(Concepts(new), Concepts(old))
    for number, one in enumerate(found.items):
        if progress is not None:
            progress("draw inputs", number, len(chosen.keys))
        cells.append(make_cell(differing(one, old, new, marker), options.size))
    title = f"{called(old)} -> {called(new)}"
    what = "input differs" if chosen.of == 1 else "inputs differ"
    text = f"{chosen.of:,} {what}"
    if len(chosen.keys) < chosen.of:
        text += f"; {len(chosen.keys):,} of them, evenly spread"
    return _finished(cells, chosen, title, text, options, _KEY)


def _finished(
    cells: list[Cell], chosen: Choice, title: str, text: str, options: Options, key: Sequence[Entry] = ()
) -> Preview:
    image = make_sheet(cells, title, text, options.size, options.columns, key)
    pairs = zip(chosen.keys, cells, strict=True)
    return Preview(image, chosen.keys, chosen.of, tuple((name, cell.problem) for name, cell in pairs if cell.problem))


def _check(options: Options) -> None:
    """Raise UsageError for what no sheet can be."""
    if options.size not in SIZES:
        raise UsageError(f"no size {options.size}", f"a thumbnail has {SIZES[0]} to {SIZES[-1]:,} pixels each way")
    if not 1 <= options.limit <= MOST:
        raise UsageError(f"no limit {options.limit}", f"a sheet has 1 to {MOST:,} inputs")
    if options.columns is not None and not 1 <= options.columns <= MOST:
        raise UsageError(f"no sheet of {options.columns} columns", f"it has 1 to {MOST:,}")


def _require_room(count: int, options: Options) -> None:
    width, height = lay_out(count, options.size, options.columns).size
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        size = f"{width:,} x {height:,}"
        raise RefusedError(f"a sheet of {size} pixels is too large", "fewer inputs, or smaller ones: --limit, --size")


def _chosen_text(chosen: Choice, options: Options) -> str:
    shown, noun = len(chosen.keys), "input" if chosen.of == 1 else "inputs"
    text = f"{chosen.of:,} {noun}" if shown == chosen.of else f"{shown:,} of {chosen.of:,} inputs, evenly spread by key"
    return f"{text}, where {options.where}" if options.where is not None else text
