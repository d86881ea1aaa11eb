"""Blame: who brought an input and each of its annotations, and who changed it last."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count
from typing import NamedTuple

from dsvc.core.compare import Noun
from dsvc.core.history.origins import Origin
from dsvc.core.history.tracing import Entries, Focus, Place
from dsvc.core.history.walking import History
from dsvc.model.merging import same_but_number
from dsvc.model.records import Annotation, Input, decode_annotation, decode_input
from dsvc.model.snapshot import Roots
from dsvc.store.ids import ObjectId


class Blamed(NamedTuple):
    """One record: KEY or KEY#ANN by `name`, and who brought it and changed it last. None stands for the draft: it is in
    no commit yet."""

    noun: Noun
    name: str
    record: Input | Annotation
    brought: Origin | None
    changed: Origin | None


def blame(history: History, name: str, roots: Roots, heads: Iterable[ObjectId]) -> list[Blamed]:
    """Who brought each record of an input, or one annotation, that stands in `roots`; the input comes first.

    `heads` are the commits that these records are based on. Each record is followed back to the first parent that has
    the same, to the commit that changed it last, and on to the one that brought it.
    """
    focus = Focus(history, name)
    now = focus.in_roots(roots)
    search = _Search(focus)
    search.look_behind(None, now, tuple(heads))
    search.run()
    return [
        _blamed(place, value, search.brought[place], search.changed[place])
        for place, value in sorted(now.items(), key=lambda entry: (entry[0][0] != "input", entry[0][1]))
    ]


def _blamed(place: Place, value: bytes, brought: Origin | None, changed: Origin | None) -> Blamed:
    noun, key = place
    record = decode_input(key, value) if noun == "input" else decode_annotation(key, value)
    return Blamed(noun, key.decode().replace("\0", "#"), record, brought, changed)


class _Search:
    """Records on their way back through the commits, the newest commits first."""

    def __init__(self, focus: Focus) -> None:
        self._focus = focus
        self._history = focus.history
        self.brought: dict[Place, Origin | None] = {}
        self.changed: dict[Place, Origin | None] = {}
        self._pending: dict[ObjectId, Entries] = {}
        self._heap: list[tuple[int, int, ObjectId]] = []
        self._order = count()

    def run(self) -> None:
        """Go back until every record is explained."""
        while self._heap:
            _, _, id = heapq.heappop(self._heap)
            if entries := self._pending.pop(id, None):
                self.look_behind(id, entries, self._history.givers(id))

    def look_behind(self, id: ObjectId | None, entries: Entries, parents: tuple[ObjectId, ...]) -> None:
        """Pass the records that stand at a commit (None: in the draft) on to its parents, or say that it made them."""
        behind = [(parent, self._focus.at(parent)) for parent in parents]
        for place, value in entries.items():
            having = [(parent, there[place]) for parent, there in behind if place in there]
            same = next((found for found in having if same_but_number(found[1], value)), None)
            if same is None:
                self.changed.setdefault(place, self._origin(id, place, value))
            if having:
                self._push(place, *(same or having[0]))
            else:
                self.brought[place] = self._origin(id, place, None)

    def _push(self, place: Place, parent: ObjectId, value: bytes) -> None:
        if parent not in self._pending:
            self._pending[parent] = {}
            heapq.heappush(self._heap, (-self._history.commit(parent).time.seconds, next(self._order), parent))
        self._pending[parent][place] = value

    def _origin(self, id: ObjectId | None, place: Place, value: bytes | None) -> Origin | None:
        """A commit as an origin, with the source, of those that it took something in from, that has the record; where
        a value is asked for, the same record."""
        if id is None:
            return None
        for name, line in self._history.sources(id).items():
            there = self._focus.at(line).get(place)
            if there is not None and (value is None or same_but_number(there, value)):
                return Origin(id, self._history.commit(id), name)
        return Origin(id, self._history.commit(id))
