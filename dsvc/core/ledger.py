"""The ledger: training runs and evaluations, each kept by a commit that no branch reaches.

Such a commit's metadata is the record (what is said of the run or the evaluation), its inputs are the files that belong
to it, and its parents are the commits of the data. So all that looks after commits looks after these too: verifying,
collecting, sending, and media that comes when it is read.
"""

from __future__ import annotations

import re
import secrets
import time as clock
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dsvc.core.keys import check_key
from dsvc.core.names import RESERVED
from dsvc.core.nearest import near_names
from dsvc.core.record_forms import wrong_field
from dsvc.errors import DamagedError, NotFoundError, RefusedError, UsageError
from dsvc.model.commit import Author, Commit, Moment, load_commit, store_commit
from dsvc.model.records import Input, Media, encode_input
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots, empty_roots, load_roots, store_roots
from dsvc.model.view import EVALUATION, MANUAL, RUN, VERSION, EvaluationRef, Ref, RunRef, VersionRef
from dsvc.store import codec
from dsvc.store.limits import MAX_SAID

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.transaction import Refs
    from dsvc.model.node import Reader
    from dsvc.model.view import View
    from dsvc.store.ids import ObjectId
    from dsvc.store.writer import ObjectWriter

_PIECE = 1 << 20
_MOST = MAX_SAID - 1024  # bytes of a record; the snapshot that holds it has some more
_SHORTEST = 4  # characters of an id that name an entry
# In the notes of an entry's commit: when it was entered, in nanoseconds since 1970, which tells two of a second apart.
_ENTERED = "entered"
# The newest entry, or the one so many before it.
_LAST = re.compile(r"last(?:~([0-9]{1,9}))?")
_COMMANDS = {RUN: "dsvc runs list", EVALUATION: "dsvc evaluate list"}
_MAKES = {RUN: "dsvc train DATASET -- COMMAND...", EVALUATION: "dsvc evaluate REV PREDICTIONS"}


class Entry(NamedTuple):
    """A run or an evaluation as it is kept: `record` is what is said of it, `of` the commits of its data."""

    kind: str
    id: str
    commit: ObjectId
    record: Mapping[str, Any]
    of: tuple[ObjectId, ...]
    author: Author
    time: Moment


def new_id() -> str:
    """An id for a run, an evaluation or an auto-generated version: 8 random hex digits."""
    return secrets.token_hex(4)


# ---- writing


def stage_file(writer: ObjectWriter, source: Path | bytes) -> Media:
    """Put the bytes of a file of an entry, and give what its input says of them. Raises OSError, RefusedError."""
    if isinstance(source, bytes):
        blob, size = writer.put_blob([source], len(source)), len(source)
    else:
        with source.open("rb") as file:
            size = source.stat().st_size
            blob = writer.put_blob(iter(lambda: file.read(_PIECE), b""), size)
    return Media(blob=blob, size=size, chunks=writer.list_id(blob))


def store_entry(
    writer: ObjectWriter,
    kind: str,
    record: Mapping[str, Any],
    files: Mapping[str, Media],
    of: Iterable[ObjectId],
    author: Author,
    time: Moment,
) -> ObjectId:
    """Keep an entry, and give the commit's id. `files` are by name, a relative path with `/`.

    Raises codec.EncodeError for a record that holds what cannot be stored, such as NaN; RefusedError for a name that
    leads out of a folder, and for a record of more than 8 MiB.
    """
    edits = SnapshotEdits()
    for name, media in files.items():
        edits.inputs[check_key(name).encode()] = encode_input(Input(key=name, media=media))
    edits.meta = {kind: dict(record)}
    if (said := len(codec.encode(edits.meta))) > _MOST:
        message = f"a record of {said:,} bytes cannot be kept: {_MOST:,} are the most; nothing was changed"
        raise RefusedError(message, "keep what is long in a file of its own")
    commit = Commit(
        snapshot=store_roots(writer, edit_roots(writer, empty_roots(writer), edits)),
        parents=tuple(of),
        author=author,
        time=time,
        message=f"{kind} {record['id']}",
        notes={_ENTERED: clock.time_ns()},
    )
    return store_commit(writer, commit)


def set_entry(refs: Refs, kind: str, dataset: str, id: str, commit: ObjectId) -> None:
    """Enter a commit that keeps an entry into the ledger."""
    refs.set((kind, dataset, id), RunRef(commit) if kind == RUN else EvaluationRef(commit))


def auto_name(id: str, time: Moment) -> str:
    """The name of an auto-generated version: its time in UTC and its short id."""
    return f"{RESERVED}{datetime.fromtimestamp(time.seconds, UTC):%Y%m%dT%H%M%SZ}-{id}"


def set_auto_version(refs: Refs, dataset: str, name: str, version: VersionRef) -> None:
    """Tag a commit as an auto-generated version, whose name must be free. Raises RefusedError."""
    if refs.get(VERSION, dataset, name) is not None:
        raise RefusedError(f"version {name!r} of {dataset} is there already", "do it again: the next one is named anew")
    refs.set((VERSION, dataset, name), version)


# ---- reading


def entries(dataset: Dataset, kind: str) -> list[Entry]:
    """The runs or evaluations of a dataset, the oldest first. Raises DamagedError."""
    store = dataset.repository.store
    found = []
    for ref, value in dataset.repository.view.list(kind, dataset.name):
        commit = cast(RunRef, value).commit
        kept = load_commit(store, commit)
        entered = kept.notes.get(_ENTERED)  # of whoever wrote it, perhaps not dsvc
        order = (kept.time.seconds, entered if type(entered) is int else 0, ref[2])
        found.append((order, load_entry(store, kind, ref[2], commit)))
    return [entry for _, entry in sorted(found, key=lambda one: one[0])]


def find_entry(dataset: Dataset, kind: str, id: str) -> Entry:
    """The run or evaluation of an id, or of its first digits, at least 4; `last` is the newest, `last~1` one earlier.

    Raises NotFoundError, UsageError.
    """
    if back := _LAST.fullmatch(id):
        return _newest(dataset, kind, int(back[1] or 0))
    found = find_ref(dataset.repository.view, kind, dataset.name, id)
    return load_entry(dataset.repository.store, *found)


def bare_entry(dataset: Dataset, kind: str, id: str) -> Entry:
    """The entry of an id, of its first digits, or of `last`, with no more than that: so that one which is damaged can
    be taken away. Raises NotFoundError, UsageError."""
    if _LAST.fullmatch(id):
        return find_entry(dataset, kind, id)
    _, whole, commit = find_ref(dataset.repository.view, kind, dataset.name, id)
    return Entry(kind, whole, commit, {}, (), Author(""), Moment(0))


def find_ref(refs: Refs | View, kind: str, dataset: str, id: str) -> tuple[str, str, ObjectId]:
    """The kind, the whole id and the commit of an entry whose id begins so. Raises NotFoundError, UsageError."""
    listed = {ref[2]: cast(RunRef, value) for ref, value in refs.list(kind, dataset)}
    names = [id] if id in listed else [name for name in listed if len(id) >= _SHORTEST and name.startswith(id)]
    if len(names) > 1:
        raise UsageError(f"{id!r} may be each of {', '.join(sorted(names))}", "give more digits")
    if not names:
        near = near_names(id, list(listed))
        hint = f"did you mean {near[0]}?" if near else f"see: {_COMMANDS[kind]}"
        raise NotFoundError(f"dataset {dataset!r} has no {kind} {id!r}", hint)
    return kind, names[0], listed[names[0]].commit


def _newest(dataset: Dataset, kind: str, back: int) -> Entry:
    """The newest entry, or the one that is `back` before it. Raises NotFoundError."""
    found = entries(dataset, kind)
    if back >= len(found):
        count = f"{len(found):,} {kind}{'' if len(found) == 1 else 's'}"
        raise NotFoundError(f"dataset {dataset.name!r} has {count if found else f'no {kind}s'}", _hint(kind, found))
    return found[-1 - back]


def _hint(kind: str, found: list[Entry]) -> str:
    """What to do where there are not enough entries."""
    return f"see: {_COMMANDS[kind]}" if found else f"make one: {_MAKES[kind]}"


def load_entry(store: Reader, kind: str, id: str, commit: ObjectId) -> Entry:
    """The entry that a commit keeps. Raises DamagedError, also where the commit keeps another one, or none."""
    kept = load_commit(store, commit)
    record = load_roots(store, kept.snapshot).meta.get(kind)
    if record is None or record.get("id") != id:
        raise DamagedError(f"{kind} {id} is damaged: commit {commit.short()} says nothing of it")
    if kind == EVALUATION and (wrong := wrong_field(kind, record)) is not None:  # of a run, what is well is taken
        raise DamagedError(f"{kind} {id} is damaged: {wrong}")
    return Entry(kind, id, commit, record, kept.parents, kept.author, kept.time)


def entry_files(dataset: Dataset, entry: Entry) -> Iterator[Input]:
    """The files of an entry, by name."""
    store = dataset.repository.store
    return Snapshot(store, load_roots(store, load_commit(store, entry.commit).snapshot)).inputs()


def read_file(dataset: Dataset, entry: Entry, name: str) -> Iterator[bytes]:
    """The bytes of a file of an entry, in pieces, verified. Raises NotFoundError; RemoteError where it is elsewhere."""
    store = dataset.repository.store
    file = Snapshot(store, load_roots(store, load_commit(store, entry.commit).snapshot)).input(name)
    if file is None or file.media is None or file.media.blob is None:
        raise NotFoundError(f"{entry.kind} {entry.id} has no file {name!r}", "see its files: --json")
    return store.open_blob(file.media.blob)


def versions_in(record: Mapping[str, Any]) -> list[str]:
    """The versions that a record names: what was trained on, or the ground truth and the predictions."""
    sides = [record, *(side for side in map(record.get, ("truth", "predictions")) if isinstance(side, dict))]
    return [name for side in sides if isinstance(name := side.get("version"), str)]


class Uses:
    """Which runs and evaluations of a dataset are of which data. Of those that cannot be read nothing is known:
    `damage` says what is wrong with the first."""

    def __init__(self, refs: Refs | View, store: Reader, dataset: str) -> None:
        self._by_commit: dict[ObjectId, list[Ref]] = {}
        self._by_name: dict[str, list[Ref]] = {}
        self.damage: DamagedError | None = None
        for kind in (RUN, EVALUATION):
            for ref, value in refs.list(kind, dataset):
                try:
                    self._take(ref, load_entry(store, kind, ref[2], cast(RunRef, value).commit))
                except DamagedError as error:
                    self.damage = self.damage or error

    def _take(self, ref: Ref, entry: Entry) -> None:
        for commit in dict.fromkeys(entry.of):
            self._by_commit.setdefault(commit, []).append(ref)
        for name in dict.fromkeys(versions_in(entry.record)):
            self._by_name.setdefault(name, []).append(ref)

    def of(self, name: str, version: VersionRef) -> list[Ref]:
        """The refs of those that are of a version: whose data it is, or, if it is auto-generated, which name it."""
        if version.origin == MANUAL:
            return self._by_commit.get(version.commit, [])
        return self._by_name.get(name, [])
