"""Previews: contact sheets of a state, and of what differs between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.pictures.cells import Cell, Entry, Subject, make_cell
from dsvc.core.pictures.choosing import NOTHING, Choice, Thinned, choose
from dsvc.core.pictures.colours import ADDED, REMOVED, SAME
from dsvc.core.pictures.extras import require_pillow
from dsvc.core.pictures.marks import Mark, Marker
from dsvc.core.pictures.sheets import MOST_PIXELS, MOST_SIDE, lay_out, make_sheet
from dsvc.errors import NotFoundError, RefusedError, UsageError
from dsvc.model.records import Annotation, Concept, Input

if TYPE_CHECKING:
    from dsvc.core.diffing.diff import InputDiff
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress

LIMIT = 25
SIZE = 320
SIZES = range(48, 2049)
MOST = 1000
_KEY = (
    Entry(ADDED, "added"),
    Entry(REMOVED, "removed"),
    Entry(ADDED, "changed (was: dashed)"),
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


def preview_state(state: State, options: Options, progress: Progress | None = None) -> Preview:
    """The sheet of some inputs of a state. Raises FilterError, NotFoundError, RefusedError, UsageError."""
    require_pillow()
    _check(options)
    chosen = choose(state, options.keys, options.where, options.limit, progress)
    _require_room(len(chosen.keys), options)
    cells = []
    marker = Marker(_Concepts(state))
    for number, (record, annotations) in enumerate(read_samples(state, chosen.keys)):
        if progress is not None:
            progress("draw inputs", number, len(chosen.keys))
        cells.append(
            make_cell(Subject(state, record, record.key, [marker.plain(one) for one in annotations]), options.size)
        )
    return _finished(cells, chosen, called(state), _chosen_text(chosen, options), options)


def preview_diff(old: State, new: State, options: Options, progress: Progress | None = None) -> Preview:
    """The sheet of some inputs that differ. Raises FilterError, NotFoundError, RefusedError, UsageError."""
    require_pillow()
    _check(options)
    found = Thinned["InputDiff"](options.limit)
    found.take(old.diff(new, keys=options.keys, where=options.where, progress=progress).inputs())
    if not found.count:
        raise RefusedError("no input differs; nothing was written", "see what differs: dsvc diff A B --stat")
    chosen = Choice(tuple(one.key for one in found.items), found.count)
    _require_room(len(chosen.keys), options)
    cells = []
    _announce([(new if _is_there(one) else old, one) for one in found.items])
    marker = Marker(_Concepts(new), _Concepts(old))
    for number, one in enumerate(found.items):
        if progress is not None:
            progress("draw inputs", number, len(chosen.keys))
        cells.append(make_cell(_differing(one, old, new, marker), options.size))
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
        raise RefusedError(
            f"a sheet of {width:,} x {height:,} pixels is too large",
            "take fewer inputs, or smaller ones: --limit, --size",
        )


def _chosen_text(chosen: Choice, options: Options) -> str:
    shown, noun = len(chosen.keys), "input" if chosen.of == 1 else "inputs"
    text = f"{chosen.of:,} {noun}" if shown == chosen.of else f"{shown:,} of {chosen.of:,} inputs, evenly spread by key"
    return f"{text}, where {options.where}" if options.where is not None else text


def called(state: State) -> str:
    """What a state is called: `pets@v1`, `pets:main`, `pets@3fa9c1`, or the draft of a dataset."""
    revision = state.revision
    if revision.version is not None:
        return f"{revision.dataset}@{revision.version}"
    if revision.commit is None:
        return f"the draft of {revision.dataset}"
    return f"{revision.dataset}@{revision.commit.short()}"


# ---- samples


class _Concepts(Mapping[str, Concept]):
    """The concepts of a state, each read when it is first asked for."""

    def __init__(self, state: State) -> None:
        self._snapshot = state.snapshot
        self._known: dict[str, Concept | None] = {}

    def __getitem__(self, id: str) -> Concept:
        if id not in self._known:
            self._known[id] = self._snapshot.concept(id)
        found = self._known[id]
        if found is None:
            raise KeyError(id)
        return found

    def __iter__(self) -> Iterator[str]:
        return (concept.id for concept in self._snapshot.concepts())

    def __len__(self) -> int:
        return len(self._snapshot.concept_tree)


def read_samples(state: State, keys: Sequence[str]) -> Iterator[tuple[Input, list[Annotation]]]:
    """The inputs of keys, which are there, with their annotations; their media is announced."""
    records = [record for key in keys if (record := state.input(key)) is not None]
    blobs = [record.media.blob for record in records if record.media is not None and record.media.blob is not None]
    state.repository.store.prefetch(blobs)
    for record in records:
        yield record, list(state.annotations(record.key))


def _is_there(found: InputDiff) -> bool:
    """Whether an input that differs is on the new side."""
    return found.group.same or found.group.new is not None


def _announce(found: Sequence[tuple[State, InputDiff]]) -> None:
    for side in {id(state): state for state, _ in found}.values():
        keys = [one.key if _is_there(one) else (one.group.old_key or one.key) for state, one in found if state is side]
        records = [record for key in keys if (record := side.input(key)) is not None]
        blobs = [one.media.blob for one in records if one.media is not None and one.media.blob is not None]
        side.repository.store.prefetch(blobs)


# ---- what differs


def _differing(found: InputDiff, old: State, new: State, marker: Marker) -> Subject:
    """What the cell of an input that differs is made of."""
    state = new if _is_there(found) else old
    record = state.input(found.key)
    if record is None:
        raise NotFoundError(f"no input {found.key!r}", NOTHING)
    changes, marks, counts = found.annotations, list[Mark](), {"added": 0, "removed": 0, "changed": 0}
    told = set[str]()
    for change in changes:
        counts[change.verb] += 1
        was, now = change.old, change.new
        if isinstance(now, Annotation):
            told.add(now.id)
        if isinstance(was, Annotation) and isinstance(now, Annotation):
            marks += marker.changed(was, now)
        elif isinstance(now, Annotation):
            marks.append(marker.added(now))
        elif isinstance(was, Annotation):
            marks.append(marker.removed(was))
    if not found.is_one_sided:
        marks += [marker.same(one) for one in state.annotations(found.key) if one.id not in told]
    signs = {"added": ("+", ADDED), "removed": ("-", REMOVED), "changed": ("~", ADDED)}
    legend = [Entry(mark.colour, mark.label, True) for mark in marks if not mark.has_place and mark.label]
    legend += [Entry(signs[verb][1], f"{signs[verb][0]}{count:,}") for verb, count in counts.items() if count]
    frame = None if not found.is_one_sided else ADDED if _is_there(found) else REMOVED
    notices = tuple(found.input.fields()) if found.input is not None and not found.is_one_sided else ()
    old_key = found.group.old_key
    title = f"{old_key} -> {found.key}" if old_key is not None else found.key
    if frame is not None:
        title = f"{'+' if frame == ADDED else '-'} {title}"
    return Subject(state, record, title, marks, tuple(legend), notices, frame)
