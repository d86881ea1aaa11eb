"""What depends on objects that are damaged or lost: which commits, branches, versions, and inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dsvc.core.operations import describe_ref
from dsvc.errors import DamagedError, NotFoundError
from dsvc.model.commit import load_commit
from dsvc.model.node import Inner, decode_node, load_value
from dsvc.model.reach import blobs_of
from dsvc.model.records import decode_input
from dsvc.model.snapshot import load_roots
from dsvc.model.tree import NodeCache
from dsvc.model.view import BRANCH, DRAFT, EVALUATION, PIN, REMOTE, RUN, VERSION, DraftRef, Ref, View
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.rewrite import chunked_blobs

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.store.objects import ObjectStore

SHOWN = 3
NOBODY: frozenset[str] = frozenset()
Groups = frozenset[str]


class Needed(NamedTuple):
    """What stands today that needs an object: refs in words, by kind; commits; inputs by key, and in `ranges` those
    that cannot be named, since what names them is lost itself."""

    datasets: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    commits: tuple[ObjectId, ...] = ()
    inputs: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(self[:])

    def words(self) -> str:
        """The first of each, and how many there are."""
        commits = [commit.short() for commit in self.commits]
        parts = [
            _some("commit", commits),
            _some("", [*self.branches, *self.versions, *self.others]),
            _some("input", self.inputs),
            _some("", self.ranges),
        ]
        return "; ".join(part for part in parts if part)

    def json(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {**self._asdict(), "commits": [commit.hex() for commit in self.commits]}


def _some(noun: str, names: Iterable[str]) -> str:
    found = list(names)
    if not found:
        return ""
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    lead = f"{noun}{'s' if len(found) > 1 else ''} " if noun else ""
    return f"{lead}{', '.join(found[:SHOWN])}{more}"


def find_dependents(repository: Repository, damaged: Mapping[str, Iterable[ObjectId]]) -> dict[str, Needed]:
    """What needs each of some groups of objects, as far as it can be read. Nothing is said of what only operations need
    that are no longer the last."""
    return _Finder(repository, damaged).find()


def chunks_of(store: ObjectStore) -> dict[ObjectId, tuple[ObjectId, ...]]:
    """The chunks of every blob that lies in chunks, as far as that can be read."""
    found: dict[ObjectId, tuple[ObjectId, ...]] = {}
    try:
        for blob in chunked_blobs(store):
            with contextlib.suppress(DamagedError):
                found[blob] = store.chunks(blob)
    except (DamagedError, NotFoundError):  # an index segment, of which is told elsewhere
        pass
    return found


class _Finder:
    """Walks all that the refs of today reach, each object once."""

    def __init__(self, repository: Repository, damaged: Mapping[str, Iterable[ObjectId]]) -> None:
        self._repository = repository
        self._store = repository.store
        found: dict[ObjectId, set[str]] = {}
        for group, ids in damaged.items():
            for id in ids:
                found.setdefault(id, set()).add(group)
        for blob, chunks in chunks_of(self._store).items() if found else ():
            for groups in [found[chunk] for chunk in chunks if chunk in found]:
                found.setdefault(blob, set()).update(groups)
        self._bad = {id: frozenset(groups) for id, groups in found.items()}
        self._trees: dict[ObjectId, Groups] = {}
        self._own: dict[ObjectId, Groups] = {}
        self._parents: dict[ObjectId, tuple[ObjectId, ...]] = {}
        self._found: dict[str, dict[str, dict[Any, None]]] = {
            group: {name: {} for name in Needed._fields} for group in damaged
        }

    def _note(self, groups: Groups, field: str, what: object) -> None:
        for group in groups:
            self._found[group][field][what] = None

    def find(self) -> dict[str, Needed]:
        """All of it."""
        try:
            view = View(self._store, self._repository.operation.view, NodeCache())
            for kind in (BRANCH, VERSION, DRAFT, PIN, REMOTE, RUN, EVALUATION):
                for ref, value in view.list(kind):
                    self._ref(ref, value)
        except DamagedError:
            for group in self._found:
                self._note(frozenset([group]), "others", "the list of branches and versions")
        return {
            group: Needed(**{name: tuple(sorted(held)) for name, held in fields.items()})
            for group, fields in self._found.items()
        }

    def _ref(self, ref: Ref, value: Any) -> None:
        if isinstance(value, DraftRef):
            starts = [*value.sources.values(), *value.merged, *([value.base] if value.base else [])]
            groups = self._snapshot(value.snapshot)
        else:
            starts, groups = [value.commit] if value.commit is not None else [], NOBODY
        groups |= self._behind(starts)
        field = {BRANCH: "branches", VERSION: "versions"}.get(ref[0], "others")
        names = {BRANCH: ":".join(ref[1:]), VERSION: "@".join(ref[1:])}
        self._note(groups, field, names.get(ref[0]) or describe_ref(ref))
        self._note(groups, "datasets", ref[2] if ref[0] in (DRAFT, REMOTE) else ref[1])

    def _behind(self, starts: Iterable[ObjectId]) -> Groups:
        """What any commit behind some needs."""
        queue, seen, groups = list(starts), set[ObjectId](), NOBODY
        while queue:
            id = queue.pop()
            if id not in seen:
                seen.add(id)
                groups |= self._commit(id)
                queue += self._parents[id]
        return groups

    def _commit(self, id: ObjectId) -> Groups:
        """What a commit needs of itself."""
        if id not in self._own:
            own, self._parents[id] = self._bad.get(id, NOBODY), ()
            try:
                commit = load_commit(self._store, id)
                self._parents[id] = (*commit.parents, *commit.sources.values())
                own |= self._snapshot(commit.snapshot)
            except DamagedError:
                pass
            self._own[id] = own
            self._note(own, "commits", id)
        return self._own[id]

    def _snapshot(self, id: ObjectId) -> Groups:
        groups = self._bad.get(id, NOBODY)
        try:
            roots = load_roots(self._store, id)
        except DamagedError:
            return groups
        for noun in ("concepts", "inputs", "annotations"):
            groups |= self._tree(cast(ObjectId, getattr(roots, noun)), noun, b"", b"", 0)
        return groups

    def _tree(self, id: ObjectId, noun: str, low: bytes, high: bytes, count: int) -> Groups:
        """What a node needs, and what lies below it; it holds `count` records, after one key and up to another."""
        if id in self._trees:
            return self._trees[id]
        groups = self._bad.get(id, NOBODY)
        try:
            node = decode_node(self._store.get(id, Kind.NODE), id)
        except DamagedError:
            self._note(groups, "ranges", _range(noun, low, high, count))
            self._trees[id] = groups
            return groups
        if isinstance(node, Inner):
            for child in node.children:
                groups |= self._tree(child.id, noun, low, child.key, child.entries)
                low = child.key
        else:
            for key, held in zip(node.keys, node.values, strict=True):
                groups |= self._entry(noun, key, held)
        self._trees[id] = groups
        return groups

    def _entry(self, noun: str, key: bytes, held: Any) -> Groups:
        outside = NOBODY if type(held) is bytes else self._bad.get(ObjectId(held.data[1:]), NOBODY)
        groups = outside
        if noun == "inputs" and not outside:
            try:
                for blob in blobs_of(decode_input(key, load_value(self._store, held))):
                    groups |= self._bad.get(blob, NOBODY)
            except DamagedError:
                pass
        if groups:
            name = key.partition(b"\0")[0].decode(errors="replace")
            field, what = ("inputs", name) if noun != "concepts" else ("ranges", f"concept {name}")
            self._note(groups, field, what)
        return groups


def _range(noun: str, low: bytes, high: bytes, count: int) -> str:
    """The records of a node that cannot be read, in words."""
    if not high:
        return f"all {noun}"
    ends = [key.partition(b"\0")[0].decode(errors="replace") for key in (low, high)]
    return f"{count:,} {noun}{f' after {ends[0]}' if low else ''} up to {ends[1]}"
