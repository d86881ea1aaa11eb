"""What was edited in an annotation file: the difference between what was written to it and what it says now.

The file that was laid out is made anew and read as an import would read it, and so is the one that is there: what
differs are the edits. Only these are applied to the records that were laid out, so that whatever a format cannot say,
or says in other numbers, stays as it is.
"""

from __future__ import annotations

import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from blake3 import blake3

from dsvc.core.imports.archived import DraftMedia
from dsvc.core.imports.delivery import Tally, deliver
from dsvc.core.imports.importing import MappedFile
from dsvc.core.imports.rejects import stop_on_errors
from dsvc.core.imports.sources import source_name, store_source
from dsvc.core.layout.annotations import Staged, stage
from dsvc.core.layout.contents import Contents
from dsvc.core.merging.roots import merge_roots
from dsvc.core.registry import coco_parts, importer
from dsvc.core.revisions import Revision
from dsvc.core.state import State
from dsvc.model.commit import load_commit
from dsvc.model.records import decode_annotation, stable_number
from dsvc.model.snapshot import Roots, Snapshot, SnapshotEdits, edit_roots, load_roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsvc.core.draft import Draft
    from dsvc.core.layout.folders import Checkout
    from dsvc.core.layout.record import Record
    from dsvc.model.incoming import Progress

_READERS = {"coco": "coco", "clarifai-json": "clarifai"}
NO_KEYS: Mapping[str, str | None] = {}
_META = "what it says of the whole file (info, licences) was changed: that is not taken in"


class Said(NamedTuple):
    """What an annotation file says. `meta` is what it says of the whole."""

    roots: Roots
    meta: Any
    notes: tuple[str, ...]


class Edit(NamedTuple):
    """The edits of one annotation file. `base` are the records with those that were taken in before, `edited` with all;
    `said` is what the file says, under the ids of the dataset, and `hash` that of its bytes."""

    name: str
    source: str
    hash: str
    base: Roots
    edited: Roots
    said: Roots
    tally: Tally
    notes: tuple[str, ...]
    has_other_meta: bool


class FileEdits:
    """Reads the annotation files of one folder, as they were laid out and as they are."""

    def __init__(
        self,
        draft: Draft,
        checkout: Checkout,
        record: Record,
        keys: Mapping[str, str | None] = NO_KEYS,
        old_keys: Mapping[str, str | None] = NO_KEYS,
        progress: Progress | None = None,
    ) -> None:
        """`keys` says of inputs that have another key now, whatever the file calls them, which; None for those that
        are gone. `old_keys` are those that they had when the folder was last taken in."""
        self._draft, self._checkout, self._record, self._progress = draft, checkout, record, progress
        self._keys, self._old_keys = keys, old_keys
        repository = draft.dataset.repository
        assert repository.root is not None
        self._root = repository.root
        self._laid: dict[str, Staged] = {}
        self._work = tempfile.TemporaryDirectory(prefix="edits-", dir=repository.root / ".dsvc" / "checkouts")

    def __enter__(self) -> FileEdits:
        return self

    def __exit__(self, *_: object) -> None:
        self._work.cleanup()

    def read(self, name: str, taken: str | None, base: Roots, edited: Roots) -> Edit:
        """The edits of a file, laid over two sets of records. `taken` is the commit of the source's line that has what
        was taken in of it before. Raises InvalidRecordsError, RefusedError."""
        store = self._draft.transaction.writer
        laid = self._said(self._staged(name).path(name), name)
        path = self._root / self._checkout.folder / name
        hash, now = _hash(path), self._said(path, name)
        base, edited = (self._with_lost(name, roots) for roots in (base, edited))
        laid_roots = self._with_ids(laid.roots, now.roots, self._records(name))
        before = self._with_keys(laid_roots, self._keys)
        if taken is not None:
            was = load_roots(store, load_commit(store, ObjectId(bytes.fromhex(taken))).snapshot)
            # What was taken in was so of inputs by the keys that they had then.
            base = self._laid_over(self._with_keys(laid_roots, self._old_keys), base, was)
            was = self._with_keys(was, self._keys)
            edited, before = self._laid_over(before, edited, was), was
        delivery = deliver(store, before, edited, self._with_keys(now.roots, self._keys), "annotations")
        return Edit(
            name,
            source_name(f"checkout {self._checkout.folder} {Path(name).stem}"),
            hash,
            base,
            self._laid_over(before, edited, delivery.theirs),
            delivery.said,
            delivery.tally,
            (*now.notes, *([_META] if now.meta != laid.meta else [])),
            now.meta != laid.meta,
        )

    def _with_lost(self, name: str, records: Roots) -> Roots:
        """Records with the inputs that the dataset has lost since a file was laid out, which was left alone then: an
        edit of them is an edit of what is gone."""
        if f"/{name}" not in self._record.behind:
            return records
        store, cache = self._draft.transaction.writer, self._draft.dataset.repository.cache
        then, now = Snapshot(store, self._records(name), cache), Tree(store, records.inputs, cache)
        edits = SnapshotEdits()
        for key, value, left in diff_trees(then.input_tree, now):
            if left is None and key.decode() not in self._keys:
                edits.inputs[key] = value
                edits.annotations |= dict(then.annotation_tree.prefix(key + b"\0"))
        return edit_roots(store, records, edits, cache) if edits else records

    def _laid_over(self, before: Roots, records: Roots, said: Roots) -> Roots:
        """Records with what differs between two sayings, whose word holds."""
        merged = merge_roots(self._draft.transaction.writer, before, records, said, "theirs").roots
        return msgspec.structs.replace(merged, meta=records.meta)

    def _records(self, name: str) -> Roots:
        """The records that a file was made of."""
        return self._contents(name)[0].snapshot.roots

    def _contents(self, name: str) -> tuple[State, Contents]:
        from dsvc.core.layout.contents import contents_of
        from dsvc.core.layout.record import Layer

        repository, layer = self._draft.dataset.repository, self._record.layers[-1]
        commit = self._record.behind.get(f"/{name}") or layer.commit.hex()
        layer = Layer(ObjectId(bytes.fromhex(commit)), layer.keys)
        found = contents_of(repository, layer)
        assert found is not None
        revision = Revision(self._checkout.dataset, None, None, layer.commit, True)
        return State(repository, found.snapshot.roots, revision), found

    def _staged(self, name: str) -> Staged:
        """The annotation files as they were laid out."""
        commit = self._record.behind.get(f"/{name}") or ""
        if commit not in self._laid:
            state, contents = self._contents(name)
            folder = Path(self._work.name, commit or "laid")
            folder.mkdir()
            self._laid[commit] = stage(state, contents, self._checkout.format, folder)
        return self._laid[commit]

    def _said(self, path: Path, name: str) -> Said:
        """What an annotation file says. Raises InvalidRecordsError."""
        draft = self._draft.beside(self._draft.snapshot.roots)
        with MappedFile(path) as data:
            reader: Any = importer(_READERS[self._checkout.format], path, data)
            more = {"store": DraftMedia(draft)} if getattr(reader, "wants_store", False) else {}
            incoming = reader.open(data, Path(name).name, self._progress, **more)
            stored = store_source(draft, incoming, "laid", self._progress, self._split(name))
            stop_on_errors(incoming, path, "stop")
            notes = tuple(incoming.notes)
            del incoming
        return Said(
            msgspec.structs.replace(stored.roots, meta=_without_task(stored.roots.meta)), stored.roots.meta, notes
        )

    def _split(self, name: str) -> str | None:
        """The split that a file is of."""
        if self._checkout.format != "coco":
            return None
        parts = coco_parts(self._root / self._checkout.folder).parts
        found = {part.file.name: part.split for part in parts}.get(Path(name).name)
        return found if isinstance(found, str) else None

    def _with_keys(self, said: Roots, keys: Mapping[str, str | None]) -> Roots:
        """What a file says, of inputs by other keys."""
        store = self._draft.transaction.writer
        inputs, rows = Tree(store, said.inputs), Tree(store, said.annotations)
        edits = SnapshotEdits()
        for old, new in keys.items():
            value = inputs.get(old.encode())
            if value is None:
                continue
            edits.inputs[old.encode()] = None
            is_free = new is not None and new.encode() not in inputs
            if new is not None and is_free:
                edits.inputs[new.encode()] = value
            start = f"{old}\0".encode()
            for tree_key, row in rows.prefix(start):
                edits.annotations[tree_key] = None
                if new is not None and is_free:
                    edits.annotations[f"{new}\0".encode() + tree_key[len(start) :]] = row
        return edit_roots(store, said, edits) if edits else said

    def _with_ids(self, laid: Roots, now: Roots, records: Roots) -> Roots:
        """What was laid out, with the dataset's ids of annotations where the file was edited. Numbers tell them."""
        store = self._draft.transaction.writer
        before, dataset = Tree(store, laid.annotations), Tree(store, records.annotations)
        edits: dict[bytes, bytes | None] = {}
        changes = diff_trees(before, Tree(store, now.annotations))
        for key, _ in groupby(changes, key=lambda change: change.key[: change.key.index(0) + 1]):
            ids = _ids_by_number(dataset, key)
            found = {}
            for tree_key, value in before.prefix(key):
                number = decode_annotation(tree_key, value).number
                edits[tree_key] = None
                found[ids.get(number, tree_key)] = value
            edits |= found
        return msgspec.structs.replace(laid, annotations=before.edit(store, edits))


def _ids_by_number(dataset: Tree, start: bytes) -> dict[Any, bytes]:
    """The annotations of one input, by the numbers that an export may give them."""
    own: dict[Any, bytes] = {}
    made: dict[Any, bytes] = {}
    for tree_key, value in dataset.prefix(start):
        number = decode_annotation(tree_key, value).number
        if number is not None:
            own.setdefault(number, tree_key)
        made[stable_number(tree_key.decode().replace("\0", "#"))] = tree_key
    return {**made, **own}


def _without_task(meta: Any) -> Any:
    """The formats of what is said of a whole file, and no more: a folder's files are no source of that."""
    return {format: {} for format in meta}


def _hash(path: Path) -> str:
    hasher = blake3()
    with MappedFile(path) as data:
        hasher.update(data)
    return hasher.hexdigest()
