"""Annotations of many inputs, encoded once their coordinates are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from dsvc.core.keys import display
from dsvc.formats.clarifai.concepts import Concepts
from dsvc.formats.clarifai.foreign import ForeignReader
from dsvc.formats.clarifai.geometry import Size
from dsvc.formats.clarifai.own import DiffersError, own_annotations
from dsvc.formats.clarifai.parts import Parts
from dsvc.formats.clarifai.places import DEEP, Fields
from dsvc.formats.clarifai.quick_read import QuickReader
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.formats.clarifai.residue_read import kept_rows
from dsvc.model.incoming import Entry, Problems
from dsvc.model.records import Input, content_id
from dsvc.store import codec

CHANGED = "inputs whose regions are no longer those that dsvc wrote: taken as they are now, in relative coordinates"
DEEPER = "polygons whose points have more than a row and a column, which is left out"
_ODD = frozenset(("at", "x"))
_MAX_ID = 1024


class Wanted(NamedTuple):
    """An input whose annotations are to be read. `kept` is what dsvc kept of them as text, or None."""

    where: str
    record: Input
    drawn: Size | None
    data: dict[str, Any]
    kept: str | None


class AnnotationReader:
    """Takes inputs with `add` and gives their annotations with `drain`; `weight` says how much waits."""

    def __init__(self, form: Any, concepts: Concepts, problems: Problems, counts: Counter[str]) -> None:
        self._parts = Parts(form, concepts)
        self._quick = QuickReader(self._parts)
        self._problems = problems
        self._counts = counts
        self._usual: list[tuple[bytes, Fields]] = []  # tree keys, and fields in the order of their names
        self._waiting: list[tuple[str, bytes, str, Fields]] = []  # where, beginning of the tree key, id, fields
        self._wrong: dict[int, str] = {}

    @property
    def weight(self) -> int:
        """A measure of the memory that waiting annotations take."""
        return self._parts.places.weight + 8 * (len(self._usual) + len(self._waiting))

    def add_quick(self, key: str, drawn: Size | None, data: dict[str, Any], kept: str) -> bool:
        """Take an input of usual annotations that dsvc wrote; False, and nothing has changed, for another."""
        usual = self._quick.annotations(data, kept, drawn)
        if usual is None:
            return False
        prefix = f"{key}\0".encode()
        self._usual += [(prefix + id_, fields) for id_, fields in usual]
        return True

    def add_own(self, key: str, drawn: Size | None, data: dict[str, Any], kept: str) -> bool:
        """Take an input that dsvc wrote, whatever its annotations; False, and nothing has changed, for another."""
        if self.add_quick(key, drawn, data, kept):
            return True
        try:
            found = list(own_annotations(self._parts, data, kept_rows(kept), drawn))
        except (BadMessage, DiffersError):
            return False
        if any("\0" in id_ or len(id_) > _MAX_ID for id_, _ in found):
            return False
        prefix = f"{key}\0".encode()
        self._waiting += [("", prefix, id_, fields) for id_, fields in found]
        return True

    def add(self, wanted: Wanted) -> None:
        """Take an input. What is wrong with its annotations goes to the problems, and none of them is taken."""
        if wanted.kept is not None and self.add_quick(wanted.record.key, wanted.drawn, wanted.data, wanted.kept):
            return
        prefix, before = f"{wanted.record.key}\0".encode(), len(self._waiting)
        try:
            for id_, fields in self._annotations(wanted):
                if "\0" in id_ or len(id_) > _MAX_ID:
                    raise BadMessage(f"has an annotation whose id cannot be one: {id_[:60]!r}")
                self._waiting.append((wanted.where, prefix, id_, fields))
        except BadMessage as error:
            # What waits of it has coordinates that wait too: it is dropped when these are known.
            for _, _, _, fields in self._waiting[before:]:
                self._wrong[id(fields)] = ""
            self._problems.add(f"{wanted.where}: {error}")

    def _annotations(self, wanted: Wanted) -> Iterator[tuple[str, Fields]]:
        if wanted.kept is not None:
            try:
                return own_annotations(self._parts, wanted.data, kept_rows(wanted.kept), wanted.drawn)
            except DiffersError:
                self._counts[CHANGED] += 1
        reader = ForeignReader(self._parts, wanted.record, wanted.drawn, self._counts)
        return reader.annotations(wanted.data)

    def drain(self) -> list[Entry]:
        """The annotations of all inputs taken."""
        self._parts.places.solve(lambda fields, text: self._wrong.__setitem__(id(fields), text))
        entries: list[Entry] = []
        waiting = self._waiting
        if self._wrong:
            waiting = [*self._named_usual(), *waiting]
        else:
            entries = self._packed()
        for where, prefix, id_, fields in waiting:
            wrong = self._wrong.get(id(fields)) if self._wrong else None
            if wrong is None:
                try:
                    entries.append(self._encoded(prefix, id_, fields))
                except codec.EncodeError as error:
                    wrong = str(error)
            if wrong:
                self._problems.add(f"{where}, annotation {display(id_)[:80]!r}: {wrong}")
        self._waiting, self._usual, self._wrong = [], [], {}
        self._parts.begin()
        return entries

    def _packed(self) -> list[Entry]:
        pack = codec.pack
        try:
            return [(key, pack(fields)) for key, fields in self._usual]
        except OverflowError:  # integers beyond 64 bits
            return [(key, codec.encode(fields)) for key, fields in self._usual]

    def _named_usual(self) -> Iterator[tuple[str, bytes, str, Fields]]:
        """The usual annotations as all others wait, for one among them may be wrong."""
        for tree_key, fields in self._usual:
            key, _, id_ = tree_key.partition(b"\0")
            yield f"input {display(key.decode())[:80]!r}", key + b"\0", id_.decode(), fields

    def _encoded(self, prefix: bytes, id_: str, fields: Fields) -> Entry:
        if DEEP in fields:
            del fields[DEEP]
            self._counts[DEEPER] += 1
        if not id_:
            id_ = content_id(prefix[:-1].decode(), fields)
        codec.check_text(id_)
        if _ODD.isdisjoint(fields):
            try:
                return prefix + id_.encode(), codec.pack(dict(sorted(fields.items())))
            except (OverflowError, UnicodeEncodeError):  # integers beyond 64 bits; text that is none
                pass
        return prefix + id_.encode(), codec.encode(fields)
