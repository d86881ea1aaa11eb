"""Drafts: a workspace's uncommitted work on a branch, edited in one transaction.

Every edit is a step: a function from one state to the next that reads no more than the state. Steps are applied
as they come, so their errors show at once; where another writer came first, they are replayed on what it left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from dsvc.core.keys import check_key
from dsvc.core.selection import require_writable, selected_head
from dsvc.core.transaction import Refs, Transaction
from dsvc.errors import NotFoundError, RefusedError
from dsvc.model.clashes import with_fields
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Progress
from dsvc.model.node import Store
from dsvc.model.records import (
    Annotation,
    Concept,
    Input,
    Media,
    annotation_fields,
    annotation_key,
    concept_id,
    content_id,
    decode_input,
    encode_annotation,
    encode_concept,
    encode_input,
)
from dsvc.model.snapshot import Roots, Snapshot, SnapshotEdits, edit_roots, empty_roots, load_roots, store_roots
from dsvc.model.validate import check_annotation
from dsvc.model.view import DATASET, DRAFT, DraftRef, View
from dsvc.store import codec
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.files.adding import AddReport
    from dsvc.core.files.tracking import Tracked
    from dsvc.core.filters.patch import Patch
    from dsvc.core.imports.reports import ImportReport
    from dsvc.core.looking_back import LoggedCommit


class DraftState(msgspec.Struct, frozen=True):
    """What a draft is between two steps. `merged` are the commits that were merged into it beside its base."""

    base: ObjectId | None
    roots: Roots
    sources: Mapping[str, ObjectId]
    merged: tuple[ObjectId, ...] = ()


Step = Callable[[Store, DraftState], DraftState]


def load_state(store: Store, refs: Refs, dataset: Dataset) -> DraftState:
    """The draft of a dataset as a view has it; the branch's head where nothing is staged. Raises NotFoundError."""
    if refs.get(DATASET, dataset.name) is None:
        raise NotFoundError(f"no dataset named {dataset.name!r}", "see: dsvc list")
    head = selected_head(refs, dataset)
    draft = cast("DraftRef | None", refs.get(*draft_ref(dataset))) if dataset.pinned is None else None
    if draft is not None:
        return DraftState(draft.base, load_roots(store, draft.snapshot), draft.sources, draft.merged)
    return committed_state(store, head)


def committed_state(store: Store, commit: ObjectId | None) -> DraftState:
    """The state of a commit, with nothing staged."""
    if commit is None:
        return DraftState(None, empty_roots(store), {})
    record = load_commit(store, commit)
    return DraftState(commit, load_roots(store, record.snapshot), record.sources)


def save_state(store: Store, refs: Refs, dataset: Dataset, state: DraftState) -> None:
    """Note a draft in the refs; one that changes nothing is none. Raises RefusedError where a version is selected."""
    require_writable(dataset)
    clean = committed_state(store, state.base)
    unchanged = clean.roots == state.roots and dict(clean.sources) == dict(state.sources) and not state.merged
    draft = None if unchanged else DraftRef(state.base, store_roots(store, state.roots), state.sources, state.merged)
    refs.set(draft_ref(dataset), draft)


def require_clean(refs: Refs | View, dataset: Dataset) -> None:
    """Raise RefusedError where something is staged already, which a commit at once would take with it."""
    if refs.get(*draft_ref(dataset)) is not None:
        hint = "commit them first: dsvc commit -m TEXT, or drop them: dsvc discard"
        raise RefusedError("other changes are staged, and -m would commit them too", hint)


def draft_ref(dataset: Dataset) -> tuple[str, str, str, str]:
    """The ref of this workspace's draft of a dataset's branch."""
    return (DRAFT, dataset.repository.workspace.id, dataset.name, dataset.branch)


class Draft:
    """Edits of one dataset, published together when the context ends. An error in between drops them all."""

    def __init__(
        self, dataset: Dataset, transaction: Transaction, commit: Callable[[Refs], LoggedCommit] | None = None
    ) -> None:
        self.dataset = dataset
        self.transaction = transaction
        # What the last `annotate` added, as it was published.
        self.annotated: Annotation | None = None
        # What makes a commit of the edits in the same operation, and what it made.
        self._commit = commit
        self.committed: LoggedCommit | None = None
        self._steps: list[Step] = []
        self._tracked: list[Tracked] = []
        self._after: list[Callable[[], None]] = []
        repository = dataset.repository
        # Noted first: loading may move on to a newer head, and then the steps have to be replayed on it.
        self._seen = repository.store.head.operation
        self._state = load_state(transaction.writer, Refs(repository.view), dataset)

    @property
    def snapshot(self) -> Snapshot:
        """The state with the edits so far."""
        return Snapshot(self.transaction.writer, self._state.roots, self.dataset.repository.cache)

    @property
    def sources(self) -> Mapping[str, ObjectId]:
        """What has been imported so far: a source's name -> the commit of its line."""
        return self._state.sources

    def apply(self, step: Step) -> None:
        """Take one step, and keep it for replays."""
        self._state = self.transaction.steadily(lambda: step(self.transaction.writer, self._state))
        self._steps.append(step)

    def finish(self) -> None:
        """Publish the edits."""

        def change(refs: Refs) -> None:
            store = self.transaction.writer
            if self._commit is not None:
                require_clean(refs, self.dataset)
            state = self._state
            if self.transaction.has_lost or self.dataset.repository.store.head.operation != self._seen:
                state = load_state(store, refs, self.dataset)
                for step in self._steps:
                    state = step(store, state)
            save_state(store, refs, self.dataset, state)
            if self._commit is not None:
                self.committed = self._commit(refs)

        with self._noting():
            if self._steps:
                self.transaction.run(change)
        for action in self._after:
            action()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note the folders that are tracked from now on, once the body has succeeded."""
        if not self._tracked:
            yield
            return
        from dsvc.core.files.tracking import track

        workspace = self.dataset.repository.workspace
        mine, teams = ([one for one in self._tracked if one.team == team] for team in (False, True))
        with track(workspace, mine), track(workspace, teams, team=True):
            yield

    # ---- whole files

    def add(
        self,
        *paths: str | Path,
        root: str | Path | None = None,
        all_files: bool = False,
        team: bool = False,
        progress: Progress | None = None,
    ) -> AddReport:
        """Take files and folders in; keys are relative to `root`, by default the project folder.

        Folders are tracked from then on. Of them, media are taken that are neither hidden nor ignored; with
        `all_files`, hidden files and those that are no media too.
        """
        from dsvc.core.files.adding import add_files

        base = Path(root) if root is not None else None
        return add_files(self, [Path(path) for path in paths], base, progress, all_files=all_files, team=team)

    def add_all(self, progress: Progress | None = None) -> AddReport:
        """Take in all that changed in the tracked folders; see `dsvc.core.files.adding.add_all`."""
        from dsvc.core.files.adding import add_all

        return add_all(self, progress)

    def track(self, folders: Iterable[Tracked], team: bool = False) -> list[Tracked]:
        """Note folders as tracked, in the team's settings perhaps, when the edits are published; those that are new."""
        from dsvc.core.files.tracking import not_noted, tracked_folders

        workspace = self.dataset.repository.workspace
        known = [*self._tracked[::-1], *tracked_folders(workspace, self.dataset.name)]
        new = not_noted(known, folders, team)
        again = {(one.folder, team) for one in new}
        kept = [one for one in self._tracked if (one.folder, one.team) not in again]
        self._tracked = [*kept, *(one._replace(team=team) for one in new)]
        return new

    @property
    def tracked(self) -> list[Tracked]:
        """The tracked folders of the dataset, with those that are so once the edits are published."""
        from dsvc.core.files.tracking import merged, tracked_folders

        return merged([*self._tracked[::-1], *tracked_folders(self.dataset.repository.workspace, self.dataset.name)])

    def after(self, action: Callable[[], None]) -> None:
        """Do something once the edits are published."""
        self._after.append(action)

    def import_(self, path: str | Path, **options: Any) -> ImportReport:
        """Import a file or a folder; see `dsvc.core.imports.importing.import_path` for the options."""
        from dsvc.core.imports.importing import import_path

        return import_path(self._trial() if options.get("dry_run") else self, Path(path), **options)

    def _trial(self) -> Draft:
        """A draft like this one whose edits go nowhere."""
        trial = copy(self)
        trial._steps, trial._tracked, trial._after = [], [], []
        return trial

    def beside(self, roots: Roots) -> Draft:
        """A draft of other records, whose edits go nowhere."""
        other = self._trial()
        other._state = DraftState(None, roots, {})
        return other

    # ---- steps

    def put_media(self, media: Mapping[str, Media]) -> tuple[int, int, int]:
        """Give inputs their media: key -> media; new keys become inputs. How many are new, changed, unchanged.

        Facts that are known of the same bytes already, and not in `media`, stay.
        """
        from dsvc.core.av_facts import with_known

        counts = (0, 0, 0)

        def step(store: Store, state: DraftState) -> DraftState:
            nonlocal counts
            snapshot, edits, new, changed = self._snapshot(store, state), SnapshotEdits(), 0, 0
            inputs = snapshot.input_tree
            is_empty = len(inputs) == 0
            for key, found in media.items():
                tree_key = key.encode()
                value = None if is_empty else inputs.get(tree_key)
                fresh = _encode_fresh(found)
                if value is None:
                    new += 1
                    edits.inputs[tree_key] = fresh
                elif value != fresh:
                    old = decode_input(tree_key, value)
                    known = with_known(old.media, found)
                    if old.media != known:
                        changed += 1
                        edits.inputs[tree_key] = encode_input(with_fields(old, {"media": known}))
            counts = (new, changed, len(media) - new - changed)
            return self.edited(store, state, edits)

        self.apply(step)
        return counts

    def annotate(self, annotation: Annotation) -> Annotation:
        """Add an annotation to an input; with an empty id it gets one of its content. Raises NotFoundError.

        Publishing may give it another id, where another writer added an equal one meanwhile: see `annotated`.
        """

        check_annotation(annotation)

        def step(store: Store, state: DraftState) -> DraftState:
            snapshot, edits = self._snapshot(store, state), SnapshotEdits()
            if snapshot.input(annotation.key) is None:
                raise _no_input(annotation.key, snapshot)
            self._ensure_concept(snapshot, edits, annotation.concept)
            result = annotation if annotation.id else _with_new_id(snapshot, annotation)
            edits.annotations[annotation_key(result.key, result.id)] = encode_annotation(result)
            self.annotated = result
            return self.edited(store, state, edits)

        self.apply(step)
        assert self.annotated is not None
        return self.annotated

    def change_annotation(self, key: str, id: str, change: Mapping[str, Any] | Patch) -> None:
        """Set fields of an annotation, as they are or by a patch; its id stays, what is set is in conflict no more.

        Raises NotFoundError, UsageError, RefusedError.
        """

        def step(store: Store, state: DraftState) -> DraftState:
            snapshot, edits = self._snapshot(store, state), SnapshotEdits()
            old = snapshot.annotation(key, id)
            if old is None:
                raise _no_annotation(key, id)
            new = with_fields(old, change) if isinstance(change, Mapping) else change.changed(old)
            check_annotation(new)
            self._ensure_concept(snapshot, edits, new.concept)
            edits.annotations[annotation_key(key, id)] = encode_annotation(new)
            return self.edited(store, state, edits)

        self.apply(step)

    def remove_inputs(self, keys: Iterable[str]) -> int:
        """Take inputs away with all their annotations; how many annotations went. Raises NotFoundError."""
        wanted, removed = list(keys), 0

        def step(store: Store, state: DraftState) -> DraftState:
            nonlocal removed
            snapshot, edits = self._snapshot(store, state), SnapshotEdits()
            for key in wanted:
                if key.encode() not in snapshot.input_tree:
                    raise _no_input(key, snapshot)
                edits.inputs[key.encode()] = None
                for tree_key, _ in snapshot.annotation_tree.prefix(f"{key}\0".encode()):
                    edits.annotations[tree_key] = None
            removed = len(edits.annotations)
            return self.edited(store, state, edits)

        self.apply(step)
        return removed

    def remove_annotation(self, key: str, id: str) -> None:
        """Take one annotation away; of equal copies, the highest goes. Raises NotFoundError."""

        def step(store: Store, state: DraftState) -> DraftState:
            snapshot, edits = self._snapshot(store, state), SnapshotEdits()
            old = snapshot.annotation(key, id)
            if old is None:
                raise _no_annotation(key, id)
            edits.annotations[annotation_key(key, _highest_copy(snapshot, old))] = None
            return self.edited(store, state, edits)

        self.apply(step)

    def discard(self, keys: Iterable[str] | None = None) -> None:
        """Drop the draft, or what it changed of some inputs and their annotations."""
        wanted = list(keys) if keys is not None else None

        def step(store: Store, state: DraftState) -> DraftState:
            clean = committed_state(store, state.base)
            if wanted is None:
                return clean
            return self.edited(store, state, _reverting(self._snapshot(store, state), clean, store, wanted))

        self.apply(step)

    # ---- what the steps share

    def _snapshot(self, store: Store, state: DraftState) -> Snapshot:
        return Snapshot(store, state.roots, self.dataset.repository.cache)

    def edited(self, store: Store, state: DraftState, edits: SnapshotEdits) -> DraftState:
        """The state with edits laid over it."""
        roots = edit_roots(store, state.roots, edits, self.dataset.repository.cache)
        return msgspec.structs.replace(state, roots=roots)

    def _ensure_concept(self, snapshot: Snapshot, edits: SnapshotEdits, id: str | None) -> None:
        if id is not None and id.encode() not in snapshot.concept_tree:
            edits.concepts[id.encode()] = encode_concept(Concept(id=id, name=id))


def _encode_fresh(media: Media) -> bytes:
    """The value of an input that has media and no more: what `encode_input` makes of it, in a third of the time."""
    if media.reference is not None:
        return encode_input(Input(key="", media=media))
    fields = (
        ("blob", media.blob),
        ("chunks", media.chunks),
        ("duration", media.duration),
        ("fps", media.fps),
        ("height", media.height),
        ("size", media.size),
        ("type", media.type),
        ("width", media.width),
    )
    return codec.pack({"media": {name: value for name, value in fields if value is not None}})


def new_annotation(key: str, concept: str | None = None, **fields: Any) -> Annotation:
    """An annotation without an id, of a concept by name."""
    return Annotation(key=check_key(key), id="", concept=concept_id(concept) if concept is not None else None, **fields)


def _with_new_id(snapshot: Snapshot, annotation: Annotation) -> Annotation:
    """The content's hash, and from the second equal copy on an ordinal."""
    content = content_id(annotation.key, annotation_fields(annotation))
    id, ordinal = content, 1
    while snapshot.annotation(annotation.key, id) is not None:
        ordinal += 1
        id = f"{content}-{ordinal}"
    return msgspec.structs.replace(annotation, id=id)


def _highest_copy(snapshot: Snapshot, annotation: Annotation) -> str:
    """The id of the highest equal copy of an annotation: the one that goes when one of them is taken away."""
    stem, _, ordinal = annotation.id.partition("-")
    highest = int(ordinal) if ordinal.isdigit() else 1
    best = annotation.id
    for other in snapshot.annotations(annotation.key):
        base, _, number = other.id.partition("-")
        same = msgspec.structs.replace(other, id=annotation.id, number=annotation.number) == annotation
        if base == stem and number.isdigit() and int(number) > highest and same:
            best, highest = other.id, int(number)
    return best


def _reverting(now: Snapshot, clean: DraftState, store: Store, keys: list[str]) -> SnapshotEdits:
    """The edits that bring some inputs and their annotations back to a clean state."""
    from dsvc.core.filters.narrowing import named_concepts

    before, edits = Snapshot(store, clean.roots), SnapshotEdits()
    for key in keys:
        tree_key, prefix = key.encode(), f"{key}\0".encode()
        edits.inputs[tree_key] = before.input_tree.get(tree_key)
        if edits.inputs[tree_key] is None and tree_key not in now.input_tree:
            raise _no_input(key, now)
        edits.annotations |= dict.fromkeys(k for k, _ in now.annotation_tree.prefix(prefix))
        edits.annotations |= dict(before.annotation_tree.prefix(prefix))
    there = sorted(key for key, value in edits.inputs.items() if value is not None)
    gone = (name for name in named_concepts(before, there) if name not in now.concept_tree)
    edits.concepts = {name: before.concept_tree.get(name) for name in gone}
    return edits


def _no_input(key: str, snapshot: Snapshot) -> NotFoundError:
    from dsvc.core.nearest import no_input

    return no_input(key, snapshot)


def _no_annotation(key: str, id: str) -> NotFoundError:
    return NotFoundError(f"no annotation {key}#{id}", f"see: dsvc show {key!r}")
