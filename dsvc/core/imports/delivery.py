"""What a source says now: its new records under the ids of those that they are, and what it leaves unsaid.

A source's line holds its last word on all that it ever listed. So what it does not list any more is on the line as it
left it, unless that is to go, and what comes back is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal, NamedTuple

import msgspec

from dsvc.core.imports.joining import Others
from dsvc.core.imports.matching import Matches, Values, match
from dsvc.model.merging import same_but_number
from dsvc.model.node import Store
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import Change, diff_trees
from dsvc.store.ids import ObjectId

# What goes of what a source lists no more: nothing, annotations of the inputs that it lists, or inputs too.
Sync = Literal["", "annotations", "inputs"]
# Formats whose annotations have ids that are theirs for good: what has the id of one before is that one.
HAVE_IDS = frozenset({"clarifai"})
CHUNK = 20_000
Edits = dict[bytes, bytes | None]


class Tally(msgspec.Struct):
    """What became of the annotations that a source delivers, counted by rule.

    `unchanged` say what they said before, `renumbered` of them under another number; `by_number` and `by_place` say
    something else of what they were before. `joined` are new from this source, and are ones that another one brought;
    `doubled` have the number of one that says something else. `gone` are listed no more, on inputs that are;
    `unlisted_inputs` are, with `unlisted_annotations`. What the dataset has not any more is not counted with these.
    """

    unchanged: int = 0
    renumbered: int = 0
    by_number: int = 0
    by_place: int = 0
    new: int = 0
    joined: int = 0
    doubled: int = 0
    gone: int = 0
    unlisted_inputs: int = 0
    unlisted_annotations: int = 0

    @property
    def changed(self) -> int:
        """How many say something else than before."""
        return self.by_number + self.by_place


class Delivery(NamedTuple):
    """The next commit on a source's line, and what of it is merged: the same, but that shapes of annotations that
    another source brought have its parts too, so that they join."""

    said: Roots
    theirs: Roots
    tally: Tally


def deliver(store: Store, last: Roots | None, ours: Roots, new: Roots, sync: Sync) -> Delivery:
    """Compare a source's records with what it said last, if it said anything, and with the dataset's."""
    return _Comparison(store, last, ours, new, sync).run()


class _Group(NamedTuple):
    """The annotations of one input that differ: before and now, by id."""

    key: bytes
    before: Values
    incoming: Values


class _Comparison:
    def __init__(self, store: Store, last: Roots | None, ours: Roots, new: Roots, sync: Sync) -> None:
        self._store, self._sync = store, sync
        self._last, self._ours, self._new = last, ours, new
        self._tally = Tally()
        self._has_ids = not HAVE_IDS.isdisjoint(new.meta)
        self._before = Tree(store, last.annotations) if last is not None else None
        self._dataset = Tree(store, ours.annotations)
        self._incoming = Tree(store, new.annotations)
        self._listed = Tree(store, new.inputs)
        # The line's new annotations, and the edits that are still to be laid over them.
        self._said = self._before or self._incoming
        self._edits: Edits = {}
        # What is merged in place of what was said.
        self._joins: Edits = {}

    def run(self) -> Delivery:
        """Compare all."""
        if self._before is not None or len(self._dataset):
            for group in self._groups():
                self._compare(group)
                if len(self._edits) >= CHUNK:
                    self._flush()
        else:
            self._tally.new = len(self._incoming)
        self._flush()
        tally = self._tally
        tally.unchanged = len(self._incoming) - tally.changed - tally.new - tally.joined
        said = Roots(
            concepts=self._follow("concepts"),
            inputs=self._follow("inputs"),
            annotations=self._said.root,
            meta=self._new.meta,
        )
        annotations = self._said.edit(self._store, self._joins)
        return Delivery(said, msgspec.structs.replace(said, annotations=annotations), tally)

    def _flush(self) -> None:
        self._said = Tree(self._store, self._said.edit(self._store, self._edits))
        self._edits = {}

    # ---- inputs and concepts

    def _follow(self, name: Literal["concepts", "inputs"]) -> ObjectId:
        """The root of a source's inputs or concepts."""
        new = Tree(self._store, getattr(self._new, name))
        if self._last is None:
            return new.root
        before = Tree(self._store, getattr(self._last, name))
        mine = Tree(self._store, getattr(self._ours, name))
        edits: Edits = {}
        for key, _, value in diff_trees(before, new):
            if value is not None:
                edits[key] = value
            elif name == "inputs":
                self._tally.unlisted_inputs += key in mine
                if self._sync == "inputs":
                    edits[key] = None
        return before.edit(self._store, edits)

    # ---- annotations, input by input

    def _groups(self) -> Iterator[_Group]:
        changes: Iterable[Change] = (Change(key, None, value) for key, value in self._incoming)
        if self._before is not None:
            changes = diff_trees(self._before, self._incoming)
        for key, group in groupby(changes, key=lambda change: change.key[: change.key.index(0)]):
            before, incoming = Values(), Values()
            for tree_key, old, new in group:
                id = tree_key[len(key) + 1 :].decode()
                if old is not None:
                    before[id] = old
                if new is not None:
                    incoming[id] = new
            yield _Group(key, before, incoming)

    def _compare(self, group: _Group) -> None:
        if group.before and not group.incoming and group.key not in self._listed:
            self._leave_input(group)
            return
        known = self._by_own_ids(group)
        before, incoming = (
            {id: v for id, v in side.items() if id not in known} for side in (group.before, group.incoming)
        )
        matches = match(group.key.decode(), before, incoming) if before else Matches()
        found = known | matches.all()
        self._tally.renumbered += matches.renumbered
        self._tally.by_number += len(matches.by_number)
        self._tally.by_place += len(matches.by_place)
        left = [id for id in group.incoming if id not in found]
        if left:
            found |= self._place_new(group, left)
        self._note(group, found)
        for id in group.before.keys() - set(found.values()):
            self._leave(group.key + b"\0" + id.encode())

    def _by_own_ids(self, group: _Group) -> dict[str, str]:
        """Of a source whose ids are its own: the annotations that it had before."""
        if not self._has_ids:
            return {}
        known = {id: id for id in group.incoming if id in group.before}
        self._tally.by_number += sum(not same_but_number(group.before[id], group.incoming[id]) for id in known)
        return known

    def _note(self, group: _Group, found: dict[str, str]) -> None:
        """Put incoming annotations on the line, by their ids: incoming -> that they get."""
        prefix = group.key + b"\0"
        if self._before is None:
            found = {id: final for id, final in found.items() if id != final}
            self._edits |= dict.fromkeys(prefix + id.encode() for id in found)
        for id, final in found.items():
            self._edits[prefix + final.encode()] = group.incoming[id]

    def _leave(self, tree_key: bytes) -> None:
        """An annotation is listed no more."""
        self._tally.gone += tree_key in self._dataset
        if self._sync:
            self._edits[tree_key] = None

    def _leave_input(self, group: _Group) -> None:
        """An input is listed no more, with all its annotations."""
        for id in group.before:
            tree_key = group.key + b"\0" + id.encode()
            self._tally.unlisted_annotations += tree_key in self._dataset
            if self._sync == "inputs":
                self._edits[tree_key] = None

    def _place_new(self, group: _Group, left: list[str]) -> dict[str, str]:
        """Ids for annotations that the source brings for the first time: incoming -> that of what the dataset has of
        the same content, or of the same number, concept and box; else its own, or the next that is free."""
        prefix = group.key + b"\0"
        mine = {key[len(prefix) :].decode(): value for key, value in self._dataset.prefix(prefix)}
        if self._before is not None:
            mine = {id: value for id, value in mine.items() if prefix + id.encode() not in self._before}
        there = [id for id in left if id in mine]
        found = {id: id for id in there if self._has_ids or same_but_number(mine[id], group.incoming[id])}
        self._tally.joined += len(found)
        others = (
            Others({id: value for id, value in mine.items() if id not in found}) if len(found) < len(mine) else None
        )
        for id in left:
            if id in found:
                continue
            value = group.incoming[id]
            joined = others.take(value) if others is not None else None
            if joined is not None:
                found[id] = joined.id
                self._tally.joined += 1
                if joined.value != value:
                    self._joins[prefix + joined.id.encode()] = joined.value
                continue
            found[id] = self._free(prefix, id, {*mine, *found.values(), *(other for other in left if other != id)})
            self._tally.new += 1
            self._tally.doubled += others is not None and others.has_number(value)
        return found

    def _free(self, prefix: bytes, id: str, used: set[str]) -> str:
        """An id, or its next copy's, that is not in use."""
        stem, _, ordinal = id.rpartition("-")
        stem, number = (stem, int(ordinal)) if stem and ordinal.isdecimal() else (id, 1)
        while id in used or (self._before is not None and prefix + id.encode() in self._before):
            number += 1
            id = f"{stem}-{number}"
        return id
