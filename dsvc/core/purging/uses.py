"""Which inputs ever named a blob: in every commit and draft that refs reach, now or in an operation that is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.operations import operations, renamed
from dsvc.model.commit import Commit, load_commit
from dsvc.model.node import Inner, decode_node, load_value
from dsvc.model.reach import blobs_of, commits_of
from dsvc.model.records import decode_input
from dsvc.model.snapshot import load_roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.model.view import (
    BRANCH,
    DRAFT,
    EVALUATION,
    PIN,
    REMOTE,
    RUN,
    VERSION,
    DraftRef,
    EvaluationRef,
    Ref,
    RunRef,
    decode_ref,
    split_ref,
)
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository

_DATASET_AT = {BRANCH: 1, VERSION: 1, PIN: 1, REMOTE: 2, DRAFT: 2, RUN: 1, EVALUATION: 1}
_FEW = 8


class Use(NamedTuple):
    """An input that names a blob; or a file, by its name, `of` a run or an evaluation."""

    dataset: str
    key: str
    blob: ObjectId
    of: str | None = None

    @property
    def name(self) -> str:
        """The key, or the name of the file and whose it is."""
        return self.key if self.of is None else f"{self.key} of {self.of}"


class Histories:
    """Every dataset that there is or was, with all commits and drafts of it. A dataset goes by its last name."""

    def __init__(self, repository: Repository) -> None:
        """Read the operations that are kept, and the commits that they reach. Raises DamagedError."""
        self._repository = repository
        self._store = repository.store
        self._read: dict[ObjectId, Commit] = {}
        self._starts: dict[str, set[ObjectId]] = {}
        self._drafts: dict[str, set[ObjectId]] = {}
        self._entries: dict[str, dict[ObjectId, str]] = {}  # by dataset the commits of runs and evaluations, in words
        self._look_back()

    def _look_back(self) -> None:
        """Take up every ref that ever was: those of the last view, and what each operation before it replaced."""
        names: dict[str, str] = {}
        newer: Tree | None = None
        for logged in operations(self._repository):
            view = Tree(self._store, logged.operation.view, self._repository.cache)
            moved: list[tuple[Ref, bytes | None, bytes | None]]
            if newer is None:
                moved = [(split_ref(key), value, None) for key, value in view]
            else:
                moved = [(split_ref(entry.key), entry.old, entry.new) for entry in diff_trees(view, newer)]
            renaming = renamed(moved) if newer is not None else None
            if renaming is not None:
                names[renaming.old] = names.pop(renaming.new, renaming.new)
            for ref, old, _ in moved:
                if old is not None:
                    self._take(ref, old, names)
            newer = view

    def _take(self, ref: Ref, value: bytes, names: dict[str, str]) -> None:
        at = _DATASET_AT.get(ref[0])
        if at is None:
            return
        dataset = names.get(ref[at], ref[at])
        starts = self._starts.setdefault(dataset, set())
        found = decode_ref(ref[0], value)
        if isinstance(found, RunRef | EvaluationRef):
            self._entries.setdefault(dataset, {})[found.commit] = f"{ref[0]} {ref[2]}"
            starts.update(self._commit(found.commit).parents)
        else:
            starts.update(commits_of(found))
        if isinstance(found, DraftRef):
            self._drafts.setdefault(dataset, set()).add(found.snapshot)

    @property
    def datasets(self) -> list[str]:
        """The names of all datasets that there are or were."""
        return sorted(self._starts)

    def commits(self, dataset: str) -> dict[ObjectId, Commit]:
        """Every commit of a dataset, those on lines of sources too."""
        queue, found = list(self._starts.get(dataset, ())), dict[ObjectId, Commit]()
        while queue:
            id = queue.pop()
            if id in found:
                continue
            commit = found[id] = self._commit(id)
            queue += [*commit.parents, *commit.sources.values()]
        return found

    def _commit(self, id: ObjectId) -> Commit:
        if id not in self._read:
            self._read[id] = load_commit(self._store, id)
        return self._read[id]

    def input_roots(self, dataset: str) -> set[ObjectId]:
        """The roots of the trees of inputs of a dataset's commits and drafts."""
        snapshots = {commit.snapshot for commit in self.commits(dataset).values()} | self._drafts.get(dataset, set())
        return {load_roots(self._store, snapshot).inputs for snapshot in snapshots}

    def uses(self, blobs: Collection[ObjectId]) -> Iterator[Use]:
        """Every input that names one of some blobs, each once for a dataset, key and blob, and every file of a run or
        an evaluation that does. Raises DamagedError."""
        for dataset in self.datasets:
            told: set[Use] = set()
            for key, blob in self._named(self.input_roots(dataset), blobs):
                use = Use(dataset, key, blob)
                if use not in told:
                    told.add(use)
                    yield use
            for id, words in self._entries.get(dataset, {}).items():
                files = load_roots(self._store, self._commit(id).snapshot).inputs
                yield from (Use(dataset, key, blob, words) for key, blob in self._named({files}, blobs))

    def _named(self, roots: set[ObjectId], blobs: Collection[ObjectId]) -> Iterator[tuple[str, ObjectId]]:
        queue, seen = list(roots), set(roots)
        while queue:
            id = queue.pop()
            node = decode_node(self._store.get(id, Kind.NODE), id)
            if isinstance(node, Inner):
                new = [child.id for child in node.children if child.id not in seen]
                seen.update(new)
                queue += new
                continue
            for key, held in zip(node.keys, node.values, strict=True):
                value = load_value(self._store, held)
                # Decoding is what takes time, and a record holds its blob's id as it is.
                if len(blobs) > _FEW or any(bytes(blob) in value for blob in blobs):
                    named = blobs_of(decode_input(key, value))
                    yield from ((key.decode(), blob) for blob in named if blob in blobs)
