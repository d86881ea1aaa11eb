"""Checking a repository: every byte, every link between objects, and what is odd in the records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.decoding import MediaChecker
from dsvc.core.oddities import Finding, find_oddities
from dsvc.core.operations import describe_ref, operations
from dsvc.errors import DamagedError
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Progress
from dsvc.model.node import Child, Inner, decode_node, keeps_promise, load_value
from dsvc.model.reach import blobs_of
from dsvc.model.records import decode_input
from dsvc.model.snapshot import load_roots
from dsvc.model.view import (
    BRANCH,
    DATASET,
    DRAFT,
    PIN,
    REMOTE,
    VERSION,
    BranchRef,
    DraftRef,
    PinRef,
    RemoteRef,
    VersionRef,
    View,
    tombstones,
)
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.objects import ObjectStore
from dsvc.store.verify import Finding as StoreFinding
from dsvc.store.verify import verify

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

FOLDERS = ("packs/", "index/", "manifests/")


class CheckReport(NamedTuple):
    """What a check found. `damage` is lost or changed data; `findings` are records that are odd but whole.

    `notes` say what could not be looked at. `elsewhere` counts the media that a remote has and this repository has not,
    `purged` those that a tombstone names: neither is damage.
    """

    objects: int
    damage: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    orphans: int = 0
    notes: tuple[str, ...] = ()
    elsewhere: int = 0
    purged: int = 0


def check(repository: Repository, *, media: bool = False, progress: Progress | None = None) -> CheckReport:
    """Verify all stored bytes and all links from every ref and operation, and look at the records.

    With `media`, media is decoded too, as far as there are libraries to do it and it is here: none is fetched for it.
    """
    repository.store.refresh()
    damage, objects, orphans = _check_bytes(repository)
    walker = _Walker(repository)
    walker.walk()
    damage += walker.damage
    checker = MediaChecker(repository.store) if media else None
    findings = list(find_oddities(repository, checker, progress)) if not damage else []
    notes = tuple(checker.notes()) if checker is not None else ()
    return CheckReport(objects, tuple(damage), tuple(findings), orphans, notes, walker.elsewhere, walker.purged)


def _check_bytes(repository: Repository) -> tuple[list[Finding], int, int]:
    store, damage, orphans = repository.store, [], 0
    for finding in _verified(store):
        if finding.problem == "orphan":
            orphans += finding.message.startswith(FOLDERS)
        else:
            name = str(finding.object_id or finding.pack or "repository")
            damage.append(Finding("object", name, finding.message))
    return damage, sum(segment.rows for segment in store.state.catalog.manifest.segments), orphans


def _verified(store: ObjectStore) -> list[StoreFinding]:
    """What `verify` finds. Files that others merged away meanwhile are no damage: then it looks again."""
    for _ in range(3):
        before = store.backend.read_head()
        found = list(verify(store))
        if store.backend.read_head() == before or all(finding.problem == "orphan" for finding in found):
            return found
    with store.backend.turn():
        return list(verify(store))


class _Walker:
    """Visits every object that a ref or an operation needs, each once."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.store = repository.store
        self.damage: list[Finding] = []
        self.seen: set[ObjectId] = set()
        self.tombstones = tombstones(repository.view)
        self.elsewhere = 0
        self.purged = 0

    def walk(self) -> None:
        """Visit all."""
        try:
            for logged in operations(self.repository):
                self._view(logged.operation.view, f"operation {logged.id.short()}")
        except DamagedError as error:
            self.damage.append(Finding("operation", "log", error.message))

    def _view(self, root: ObjectId, name: str) -> None:
        if root in self.seen:
            return
        try:
            self._tree(root, name)
            view = View(self.store, root, self.repository.cache)
            for kind in (DATASET, BRANCH, VERSION, DRAFT, PIN, REMOTE):
                for ref, value in view.list(kind):
                    self._ref(describe_ref(ref), value)
        except DamagedError as error:
            self.damage.append(Finding("view", name, error.message))

    def _ref(self, name: str, value: object) -> None:
        if isinstance(value, BranchRef | VersionRef | PinRef | RemoteRef) and value.commit is not None:
            self._commit(value.commit, name)
        elif isinstance(value, DraftRef):
            if value.base is not None:
                self._commit(value.base, name)
            self._snapshot(value.snapshot, name)
            for commit in (*value.sources.values(), *value.merged):
                self._commit(commit, name)

    def _commit(self, start: ObjectId, name: str) -> None:
        queue = [start]
        while queue:
            id = queue.pop()
            if id in self.seen:
                continue
            self.seen.add(id)
            try:
                commit = load_commit(self.store, id)
            except DamagedError as error:
                self.damage.append(Finding("commit", id.short(), f"{error.message}, which {name} needs"))
                continue
            self._snapshot(commit.snapshot, f"commit {id.short()}")
            queue += [*commit.parents, *commit.sources.values()]

    def _snapshot(self, id: ObjectId, name: str) -> None:
        if id in self.seen:
            return
        self.seen.add(id)
        try:
            roots = load_roots(self.store, id)
        except DamagedError as error:
            self.damage.append(Finding("snapshot", id.short(), f"{error.message}, which {name} needs"))
            return
        self._tree(roots.concepts, f"concepts of {name}")
        self._tree(roots.inputs, f"inputs of {name}", self._media)
        self._tree(roots.annotations, f"annotations of {name}")

    def _media(self, key: bytes, value: bytes) -> None:
        for blob in blobs_of(decode_input(key, value)):
            if blob not in self.seen:
                self.seen.add(blob)
                if not self.store.has(blob):
                    self._absent(key, blob)

    def _absent(self, key: bytes, blob: ObjectId) -> None:
        """A blob that is not here: in order where it was purged, or where a remote has it."""
        elsewhere = getattr(self.store, "elsewhere", None)
        if blob in self.tombstones:
            self.purged += 1
        elif elsewhere is not None and elsewhere.has(blob):
            self.elsewhere += 1
        else:
            text = f"the bytes of input {key.decode()!r} are missing"
            self.damage.append(Finding("blob", blob.short(), text))

    def _tree(self, root: ObjectId, name: str, visit: Callable[[bytes, bytes], None] | None = None) -> None:
        queue: list[tuple[ObjectId, Child | None, int]] = [(root, None, 0)]
        while queue:
            id, promised, level = queue.pop()
            if id in self.seen:
                continue
            self.seen.add(id)
            try:
                node = decode_node(self.store.get(id, Kind.NODE), id)
                if promised is not None and not keeps_promise(node, promised, level):
                    raise DamagedError(f"node {id.short()} is not what its parent says")
                if isinstance(node, Inner):
                    queue += [(child.id, child, node.level - 1) for child in node.children]
                    continue
                for key, value in zip(node.keys, node.values, strict=True):
                    found = load_value(self.store, value)
                    if visit is not None:
                        visit(key, found)
            except DamagedError as error:
                self.damage.append(Finding("node", id.short(), f"{error.message}, which {name} needs"))
