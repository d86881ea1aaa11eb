"""Materializing: the bytes that inputs refer to are copied in, after a check that they are what was referred to."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from dsvc.core.files.adding import list_of, media_of
from dsvc.core.keys import display
from dsvc.core.media import MediaFacts, probe
from dsvc.core.references.places import PIECE, Patience, PlaceError, Places, Source, local_error
from dsvc.core.references.references import verified
from dsvc.core.references.threads import side_by_side
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError
from dsvc.model.incoming import Progress
from dsvc.model.records import Input, Media, Reference, encode_input
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.draft import Draft, DraftState
    from dsvc.model.node import Store
    from dsvc.store.writer import ObjectWriter

SMALL = 4 * 1024 * 1024  # bytes: up to here files are read whole, several at once; larger ones one by one, in pieces
ENOUGH = 20  # errors, after which a run that will change nothing ends
OnError = Literal["stop", "skip"]


class MaterializeReport(NamedTuple):
    """What was copied in: the keys, and their bytes. `held` counts those whose bytes the repository had already.

    `problems` has the key and the reason of each that could not be copied.
    """

    keys: tuple[str, ...]
    bytes: int
    held: int
    problems: tuple[tuple[str, str], ...] = ()


class Wanted(NamedTuple):
    """What there is to copy: input key and reference, in the order of the keys; and how many inputs need nothing."""

    found: list[tuple[str, Reference]]
    held: int


def find_wanted(state: Snapshot, keys: Iterable[str] | None) -> Wanted:
    """The references of some inputs, or of all (None). Raises NotFoundError, and RefusedError for one that has none."""
    found, held = [], 0
    records = state.inputs() if keys is None else (_record(state, key) for key in sorted(set(keys)))
    for record in records:
        media = record.media
        if media is not None and media.blob is not None:
            held += 1
        elif media is not None and media.reference is not None:
            found.append((record.key, media.reference))
        elif keys is not None:
            raise RefusedError(f"{display(record.key)}: refers to no bytes", "give it some: dsvc add PATH")
    return Wanted(found, held)


def _record(state: Snapshot, key: str) -> Input:
    record = state.input(key)
    if record is None:
        raise NotFoundError(f"no input '{display(key)}' in the dataset", "list them: dsvc show --inputs")
    return record


def materialize(
    dataset: Dataset,
    keys: Iterable[str] = (),
    *,
    where: str | None = None,
    all: bool = False,
    on_error: OnError = "stop",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MaterializeReport:
    """Copy in what inputs refer to: some keys, those where a condition holds, or all. Records keep the reference.

    With `dry_run`, only say what would be copied. Raises NotFoundError for an unknown key, and InvalidRecordsError,
    which names what is gone, changed or out of reach, unless `on_error` is "skip".
    """
    if where is not None:
        from dsvc.core.filters.query import match_inputs

        keys = (*keys, *match_inputs(dataset.draft().snapshot, where, progress))
    wanted = None if all else list(keys)
    if dry_run:
        found, held = find_wanted(dataset.draft().snapshot, wanted)
        size = sum(reference.size or 0 for _, reference in found)
        return MaterializeReport(tuple(key for key, _ in found), size, held)
    names = "--all" if wanted is None else " ".join(wanted[:20])
    with dataset.edit(f"materialize {names}"[:200]) as draft:
        return _materialize(draft, wanted, on_error, progress)


def _materialize(
    draft: Draft, keys: list[str] | None, on_error: OnError, progress: Progress | None
) -> MaterializeReport:
    wanted = find_wanted(draft.snapshot, keys)
    places = Places(draft.dataset.repository.workspace)
    places.cloud.require(reference.place for _, reference in wanted.found)
    writer = draft.transaction.writer
    copied, problems, total = dict[str, Media](), list[tuple[str, str]](), 0
    fetched = side_by_side(lambda one: _fetch(places, *one), wanted.found)
    patience = Patience()
    for done, ((key, reference), data) in enumerate(zip(wanted.found, fetched, strict=True), 1):
        try:
            patience.see(data)
            if isinstance(data, PlaceError):
                raise data
            media = _store(writer, key, reference, data) if data is not None else _copy(writer, places, key, reference)
        except PlaceError as error:
            problems.append((key, str(error)))
            if on_error == "stop" and len(problems) == ENOUGH:
                break
            continue
        copied[key] = media
        total += media.size or 0
        if progress:
            progress("copy bytes in", done, len(wanted.found))
    if problems and on_error == "stop":
        raise _refusal(problems)
    if copied:
        _put(draft, copied)
    return MaterializeReport(tuple(copied), total, wanted.held, tuple(problems))


def _refusal(problems: list[tuple[str, str]]) -> InvalidRecordsError:
    count = f"{len(problems)} input{'' if len(problems) == 1 else 's'}"
    texts = [f"{display(key)}: {reason}" for key, reason in problems]
    hint = "nothing was copied; copy the rest: --on-error skip, or refer to what is there now: dsvc add --reference"
    return InvalidRecordsError(f"the bytes of {count} cannot be copied", texts, hint)


def _fetch(places: Places, key: str, reference: Reference) -> bytes | PlaceError | None:
    """The bytes of a small place; None for a large one, and for one whose size is not known."""
    if reference.size is None or reference.size > SMALL:
        return None
    try:
        with places.open(reference.place) as source:
            return b"".join(verified(reference, source))
    except PlaceError as error:
        return error


def _store(writer: ObjectWriter, key: str, reference: Reference, data: bytes) -> Media:
    return _media(writer, writer.put(Kind.BLOB, data), reference, len(data), probe(data, key))


def _copy(writer: ObjectWriter, places: Places, key: str, reference: Reference) -> Media:
    """Copy a place that is not held whole. Raises PlaceError."""
    with places.open(reference.place) as source:
        size, pieces = source.look.size, verified(reference, source)
        if size is None:  # a server that does not say; the store has to know
            with SpooledTemporaryFile(SMALL) as file:
                for piece in pieces:
                    file.write(piece)
                size = file.tell()
                file.seek(0)
                blob = writer.put_blob(iter(lambda: file.read(PIECE), b""), size)
                return _media(writer, blob, reference, size, probe(file, key))  # type: ignore[arg-type]
        head = bytearray()
        blob = writer.put_blob(_noting(pieces, head), size)
        return _media(writer, blob, reference, size, _facts(source, bytes(head), key))


def _noting(pieces: Iterator[bytes], head: bytearray) -> Iterator[bytes]:
    for piece in pieces:
        if len(head) < PIECE:
            head += piece
        yield piece


def _facts(source: Source, head: bytes, key: str) -> MediaFacts:
    try:
        return probe(source.file if source.file is not None else io.BytesIO(head), key)
    except OSError as error:
        raise local_error(key, error) from error


def _media(writer: ObjectWriter, blob: ObjectId, reference: Reference, size: int, facts: MediaFacts) -> Media:
    return msgspec.structs.replace(media_of(facts, blob, size, list_of(writer, blob, size)), reference=reference)


def _put(draft: Draft, copied: dict[str, Media]) -> None:
    cache = draft.dataset.repository.cache

    def step(store: Store, state: DraftState) -> DraftState:
        snapshot, edits = Snapshot(store, state.roots, cache), SnapshotEdits()
        for key, media in copied.items():
            record = snapshot.input(key)
            if record is None or record.media is None or record.media.reference != media.reference:
                raise RefusedError(f"{display(key)}: was changed by another command meanwhile", "run the command again")
            edits.inputs[key.encode()] = encode_input(msgspec.structs.replace(record, media=media))
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits, cache))

    draft.apply(step)
