"""Adding references: inputs whose bytes stay where they are. Places are looked at, or read and hashed; none is copied.

Nothing enters the draft before all is looked at. What was found until then is in the journal, so that a run that
was broken off goes on where it stopped.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dsvc.core.files.choosing import LeftOut
from dsvc.core.files.extensions import type_of_name
from dsvc.core.keys import MAX_KEY_BYTES, check_key, display
from dsvc.core.media import probe
from dsvc.core.references.asked import Asked, Start, parse_asked
from dsvc.core.references.gathering import Found, Gathering
from dsvc.core.references.journal import Journal
from dsvc.core.references.noting import Noted, PlaceProblem, encode_unread, note_references
from dsvc.core.references.places import Patience, PlaceError, Places, local_error, scheme, shown_place
from dsvc.core.references.threads import side_by_side
from dsvc.errors import RefusedError
from dsvc.model.incoming import Progress
from dsvc.model.records import Input, Media, Reference, decode_input, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots
from dsvc.model.tree import Tree
from dsvc.store import codec
from dsvc.store.ids import ObjectId, blob_hasher

if TYPE_CHECKING:
    from pathlib import Path

    from dsvc.core.dataset import Dataset
    from dsvc.core.draft import Draft, DraftState
    from dsvc.model.node import Store

HEAD = 1024 * 1024  # bytes of a remote file that its facts are told from
_STEP = 8  # places, between two reports of progress
_LOOKED, _HASHED = "look at places", "read and hash"

# What reading a place told: size, ETag, mtime, hash, type, width, height, duration, frames a second.
Facts = tuple[Any, ...]


class ReferenceReport(NamedTuple):
    """How many references are new, changed, unchanged; what could not be taken; which files were passed over.

    `resumed` is how many were taken from the journal of a run that was broken off.
    """

    new: int
    changed: int
    unchanged: int
    problems: tuple[PlaceProblem, ...]
    left_out: LeftOut
    resumed: int = 0


def add_references(
    dataset: Dataset,
    places: Iterable[str | Path | Asked],
    *,
    root: str | Path | None = None,
    hash: bool = True,
    all_files: bool = False,
    name: str = "the list",
    progress: Progress | None = None,
    tell: Callable[[int], None] | None = None,
) -> ReferenceReport:
    """Refer to files, folders, URLs and prefixes that end in `/`; their bytes stay where they are.

    Keys are relative to `root`, a folder or the beginning of URLs. Of folders and prefixes media are taken, by their
    names; with `all_files` all but hidden files. Without `hash` no byte is read. An `Asked` gives a key, or is a line
    of the list `name`: see `asked.read_list`. `tell` gets the number of references that an earlier run, which was
    broken off, has found. Raises RefusedError, NotFoundError, InvalidRecordsError.
    """
    asked = [place if isinstance(place, Asked) else Asked(str(place)) for place in places]
    starts = parse_asked(asked, str(root) if root is not None else None, dataset.repository.root, name)
    names = " ".join(shown_place(start.place) for start in starts[:20] if not start.is_listed) or f"--from {name}"
    with dataset.edit(f"add --reference {names}"[:200]) as draft:
        run = _Run(draft, starts, hash, progress, tell, all_files)
        report = run.run()
    run.journal.remove()
    return report


def refer_to(
    draft: Draft, places: Iterable[tuple[str, str, int]], *, hash: bool, name: str, progress: Progress | None = None
) -> tuple[ReferenceReport, Journal]:
    """Within a draft, refer to places under keys: place, key and row, of a source called `name`.

    The journal is to be removed once the draft is published. Raises RefusedError, InvalidRecordsError.
    """
    asked = [Asked(*place) for place in places]
    run = _Run(draft, parse_asked(asked, None, draft.dataset.repository.root, name), hash, progress, None)
    return run.run(), run.journal


class _Run:
    """One run of adding references to a draft."""

    def __init__(
        self,
        draft: Draft,
        starts: list[Start],
        hash: bool,
        progress: Progress | None,
        tell: Callable[[int], None] | None,
        all_files: bool = False,
    ) -> None:
        repository = draft.dataset.repository
        self._all_files = all_files
        self._draft = draft
        self._hash = hash
        self._progress = progress
        self._starts = starts
        self._places = Places(repository.workspace)
        self._places.cloud.require(start.place for start in self._starts)
        self._problems: list[PlaceProblem] = []
        self._found: dict[bytes, bytes] = {}
        self._clashes: dict[bytes, list[str]] = {}
        self._done = 0
        self.journal = Journal(repository.cache_folder, self._question(), repository.now().seconds)
        listed = sum(len(listing.rows) for listing in self.journal.listed.values())
        self._resumed = len(self.journal.read) if hash else listed
        if tell and self._resumed:
            tell(self._resumed)

    def _question(self) -> bytes:
        return codec.pack([self._hash, [[*start[:3]] for start in self._starts]])

    def run(self) -> ReferenceReport:
        """Look at all places, and put them into the draft. Raises RefusedError, NotFoundError, RemoteError."""
        with self.journal:
            gathering = Gathering(
                self._starts, self._places, self.journal, self._report, not self._hash, self._all_files
            )
            (self._take_read if self._hash else self._take_looks)(gathering)
        for key, places in self._clashes.items():
            del self._found[key]
            others = ", ".join(map(shown_place, places[1:]))
            also = f"would be the input '{display(key.decode())}', and so would {others}"
            self._report(places[0], also)
        noted = self._put()
        self._problems += noted.problems
        unchanged = len(self._found) - noted.new - noted.changed - len(noted.problems)
        return ReferenceReport(
            noted.new,
            noted.changed,
            unchanged,
            tuple(self._problems),
            LeftOut(gathering.hidden, 0, gathering.others),
            self._resumed,
        )

    def _report(self, place: str, reason: str) -> None:
        self._problems.append(PlaceProblem(place, reason))

    def _put(self) -> Noted:
        noted = Noted({}, 0, 0, [])

        def step(store: Store, state: DraftState) -> DraftState:
            nonlocal noted
            edits, cache = SnapshotEdits(), self._draft.dataset.repository.cache
            noted = note_references(Tree(store, state.roots.inputs, cache), self._found)
            edits.inputs = noted.edits
            return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits, cache))

        self._draft.apply(step)
        return noted

    def _add(self, key: str, value: bytes) -> None:
        tree_key = key.encode()
        if self._found.setdefault(tree_key, value) is not value:
            self._put_again(tree_key, value)

    def _put_again(self, tree_key: bytes, value: bytes) -> None:
        """A key that is taken: by the same place, which was asked for twice, or by another."""
        first, second = _place_of(tree_key, self._found[tree_key]), _place_of(tree_key, value)
        if first == second:
            self._found[tree_key] = value
        else:
            clash = self._clashes.setdefault(tree_key, [first])
            if second not in clash:
                clash.append(second)

    def _count(self, what: str, count: int) -> None:
        before, self._done = self._done // _STEP, self._done + count
        if self._progress and self._done // _STEP > before:
            self._progress(what, self._done, None)

    # ---- without reading

    def _take_looks(self, gathering: Gathering) -> None:
        for found in gathering:
            if found.key is None:
                for place, size, etag, mtime in found.rows:
                    for key in gathering.keys[place]:
                        self._add(key, encode_unread(place, size, etag, mtime, _type(key, place)))
            else:
                self._take_folder(found, found.key)
            self._count(_LOOKED, len(found.rows))

    def _take_folder(self, found: Found, lead: str) -> None:
        """The files of a folder or prefix. There may be 200,000: what need not be checked of each name is not."""
        room = MAX_KEY_BYTES - len(lead.encode()) if lead and not scheme(found.place) else 0
        types, put = dict[str, str | None](), self._found.setdefault
        for name, size, etag, mtime in found.rows:
            key, place = lead + name, found.place + name
            if (len(name) > room or ".." in name or not name.isascii()) and not self._is_key(key, place):
                continue
            extension = name[name.rfind(".") :]
            if extension not in types:
                types[extension] = type_of_name(name)
            tree_key, value = key.encode(), encode_unread(place, size, etag, mtime, types[extension])
            if put(tree_key, value) is not value:
                self._put_again(tree_key, value)

    def _is_key(self, key: str, place: str) -> bool:
        try:
            check_key(key)
        except RefusedError as error:
            self._report(place, error.message)
            return False
        return True

    # ---- with reading

    def _take_read(self, gathering: Gathering) -> None:
        batch = 1 if any(scheme(start.place) for start in self._starts) else 16
        rows, patience = list[tuple[Any, ...]](), Patience()
        try:
            for place, key, facts in side_by_side(self._read, self._unread(gathering), batch):
                patience.see(facts)
                if isinstance(facts, PlaceError):
                    self._report(place, facts.reason)
                else:
                    rows.append((place, *facts))
                    self._add(key, _encode_read(place, facts))
                if len(rows) >= 8:
                    self.journal.note_read(rows)
                    rows = []
                self._count(_HASHED, 1)
        finally:
            self.journal.note_read(rows)

    def _unread(self, gathering: Gathering) -> Iterator[tuple[str, str]]:
        """The places that the journal does not have, with a key of each."""
        for found in gathering:
            for name, *_ in found.rows:
                place = found.place + name
                for key in gathering.keys[place] if found.key is None else (found.key + name,):
                    facts = self.journal.read.get(place)
                    if not self._is_key(key, place):
                        continue
                    if facts is None:
                        yield place, key
                    else:
                        self._add(key, _encode_read(place, facts))
                        self._count(_HASHED, 1)

    def _read(self, asked: tuple[str, str]) -> tuple[str, str, Facts | PlaceError]:
        place, key = asked
        try:
            return place, key, read_place(self._places, place, key)
        except PlaceError as error:
            return place, key, error


def read_place(places: Places, place: str, name: str) -> Facts:
    """Read a place from start to end, in pieces: what it tells, its hash, and its facts. Raises PlaceError."""
    with places.open(place) as source:
        hasher, size, head = blob_hasher(), 0, b""
        for piece in source.pieces:
            hasher.update(piece)
            size += len(piece)
            if len(head) < HEAD:
                head += piece
        try:
            facts = probe(source.file if source.file is not None and size > len(head) else io.BytesIO(head), name)
        except OSError as error:
            raise local_error(place, error) from error
    return (size, source.look.etag, source.look.mtime, hasher.digest(), *facts)


def _encode_read(place: str, facts: Facts) -> bytes:
    """The value of a new input that refers to bytes which were read."""
    size, etag, mtime, digest, type_, width, height, duration, fps = facts
    reference = Reference(place=place, size=size, etag=etag, mtime=mtime, hash=ObjectId(digest))
    media = Media(reference=reference, type=type_, size=size, width=width, height=height, duration=duration, fps=fps)
    return encode_input(Input(key="", media=media))


def _place_of(tree_key: bytes, value: bytes) -> str:
    media = decode_input(tree_key, value).media
    assert media is not None and media.reference is not None
    return media.reference.place


def _type(key: str, place: str) -> str | None:
    return type_of_name(key) or type_of_name(place.partition("?")[0])
