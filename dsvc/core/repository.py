"""A repository: one `.dsvc` folder that holds many datasets, and the operations that made it what it is."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dsvc.core.files.tracking import renaming
from dsvc.core.names import check_name
from dsvc.core.transaction import Refs, Transaction
from dsvc.core.workspace import Workspace
from dsvc.errors import DsvcError, NotFoundError, NotRepositoryError, RefusedError
from dsvc.model.commit import Author, Moment
from dsvc.model.node import Store
from dsvc.model.tree import NodeCache, empty_tree
from dsvc.model.view import (
    BRANCH,
    DATASET,
    DRAFT,
    EVALUATION,
    RUN,
    VERSION,
    AnyRef,
    BranchRef,
    DatasetRef,
    Operation,
    Ref,
    View,
    load_operation,
    store_operation,
)
from dsvc.store.backend import Backend
from dsvc.store.files import refusing
from dsvc.store.ids import ObjectId
from dsvc.store.local import LocalBackend
from dsvc.store.objects import ObjectStore

if TYPE_CHECKING:
    from dsvc.core.check import CheckReport
    from dsvc.core.collecting.plan import Plan
    from dsvc.core.dataset import Dataset
    from dsvc.core.layout.updating import FolderUpdate
    from dsvc.core.operations import LoggedOperation
    from dsvc.core.state import State
    from dsvc.store.writer import ObjectWriter

FOLDER = ".dsvc"
# Beside the folder in a project whose code is kept in Git; `dsvc.git.lockfile` reads and writes it.
LOCK_FILE = "dsvc.lock"
MAIN = "main"
ANONYMOUS = Author("unknown")
INIT_BYTES = 8192


def _clock() -> Moment:
    now = time.time()
    return Moment(int(now), time.localtime(now).tm_gmtoff // 60)


class Repository:
    """An open repository. `author` signs commits, versions and operations; `clock` tells the time."""

    def __init__(
        self,
        backend: Backend,
        root: Path | None = None,
        author: Author | None = None,
        clock: Callable[[], Moment] = _clock,
    ) -> None:
        self.root = root
        # How another process opens the same repository; None where that cannot be. It can be pickled.
        self.reopen: Callable[[], Repository] | None = partial(_at_root, root.absolute()) if root is not None else None
        self.workspace = Workspace(root / FOLDER if root is not None else None)
        _set_locks(backend, self.workspace)
        self.author = author or self.workspace.author
        self.now = clock
        self.store = ObjectStore(backend)
        own = weakref.ref(self)  # whose store this is
        self.store.explain = lambda blob: me._explain(blob) if (me := own()) is not None else None
        self.store.guard = _guard
        self.cache = NodeCache(folder=lambda: self.cache_folder)

    @classmethod
    def init(cls, path: Path, author: Author | None = None) -> Repository:
        """Make a repository in a project folder, which is made too. Raises RefusedError where one is."""
        folder = path / FOLDER
        if _has_head(folder):
            raise RefusedError(f"{path} holds a repository already", "use it as it is: dsvc list")
        if has_packs(folder):
            message = f"{folder} holds a repository's packs but no head, which names them"
            raise RefusedError(message, "bring the head back: dsvc check --repair; or move the folder away")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n")
        except OSError as error:
            raise RefusedError(f"{folder} cannot be made: {error.strerror}") from error
        backend = LocalBackend(folder)
        _set_locks(backend, Workspace(folder))
        repository = cls.create_in(backend, path, author)
        repository.workspace.save()
        return repository

    @classmethod
    def create_in(cls, backend: Backend, root: Path | None = None, author: Author | None = None) -> Repository:
        """Make a repository in an empty backend. Raises RefusedError where one is."""
        moment, workspace = _clock(), "0" * 16

        def first(store: Store) -> ObjectId:
            operation = Operation(
                view=empty_tree(store),
                parents=(),
                author=author or ANONYMOUS,
                time=moment,
                workspace=workspace,
                command="init",
            )
            return store_operation(store, operation)

        with ObjectStore.create(backend).writer() as writer:
            writer.publish(first(writer.history))
        return cls(backend, root, author)

    @classmethod
    def open(cls, path: Path, author: Author | None = None) -> Repository:
        """The repository of a folder or of the nearest one above it. Raises NotRepositoryError."""
        start = path.absolute()
        for folder in (start, *start.parents):
            if _has_head(folder / FOLDER):
                return cls(LocalBackend(folder / FOLDER), folder, author)
            if has_packs(folder / FOLDER):
                message = f"{folder / FOLDER} holds a repository's packs but no head, which names them"
                raise NotRepositoryError(message, "bring the head back: dsvc check --repair")
            if (folder / LOCK_FILE).is_file():
                raise NotRepositoryError(f"{folder} has a {LOCK_FILE}, and its data is not here yet", "dsvc pull")
        raise NotRepositoryError(f"no dsvc repository in {start} or above", "make one with: dsvc init")

    # ---- views and operations

    @property
    def identity(self) -> Author:
        """Who signs operations."""
        return self.author or ANONYMOUS

    @property
    def view(self) -> View:
        """The refs as they are now, whoever moved them last."""
        self.store.refresh()
        return View(self.store.history, self.operation.view, self.cache)

    @property
    def operation(self) -> Operation:
        """The last operation."""
        return load_operation(self.store, self.store.head.operation)

    @property
    def cache_folder(self) -> Path | None:
        """Where what can be made anew is kept: `.dsvc/cache`, or below the setting `cache.folder`, which may lie on
        another disk. None for a repository without a folder. It need not exist. Raises RefusedError."""
        if self.root is None:
            return None
        elsewhere = self.workspace.setting("cache", "folder")
        if elsewhere is not None and not isinstance(elsewhere, str):
            raise RefusedError("the setting folder under [cache] is no text", 'write: folder = "/another/disk"')
        if elsewhere:
            # Several workspaces may name one folder.
            return (self.root / elsewhere) / self.workspace.id
        return self.root / FOLDER / "cache"

    def transaction(self, command: str) -> Transaction:
        """Begin a transaction; use it as a context."""
        self.workspace.keep()
        self.store.refresh()
        return Transaction(self, command)

    def change(self, command: str, change: Callable[[Refs], None]) -> None:
        """A transaction that only moves refs."""
        with self.transaction(command) as transaction:
            transaction.run(change)

    def undo(self, operation: str | None = None) -> LoggedOperation:
        """Invert this workspace's last operation, or the one whose id begins so. Raises RefusedError."""
        from dsvc.core.operations import undo

        return undo(self, operation)

    def redo(self) -> LoggedOperation:
        """Invert this workspace's last undo. Raises RefusedError."""
        from dsvc.core.operations import redo

        return redo(self)

    def checkout(self, revision: str, folder: str | Path | None = None, **options: Any) -> FolderUpdate:
        """Lay a revision out as files in a folder of the project, which is remembered and kept current.

        See `dsvc.core.layout.checkout.checkout` for the options.
        """
        from dsvc.core.layout.checkout import checkout

        return checkout(self, revision, folder, **options)

    def update_folders(self, datasets: Iterable[str] | None = None) -> list[FolderUpdate]:
        """Bring the folders that are laid out, of some datasets or all, to where what they follow stands by now."""
        from dsvc.core.layout.checkout import update_folders

        return update_folders(self, datasets)

    def check(self, *, media: bool = False) -> CheckReport:
        """Verify all stored bytes and links, and look at the records; with `media`, decode media too."""
        from dsvc.core.check import check

        return check(self, media=media)

    def _explain(self, blob: ObjectId) -> DsvcError | None:
        """The error for media that was purged."""
        from dsvc.core.purging.tombstones import explain

        return explain(self, blob)

    def collect(self, *, keep: int | None = None, grace: int | None = None, dry_run: bool = False) -> Plan:
        """Remove what no ref and no operation younger than `keep` seconds reaches, and files left over for longer than
        `grace` seconds; with `dry_run` only find out. Raises RefusedError, DamagedError. See `dsvc gc --help`."""
        from dsvc.core.collecting.collector import GRACE, KEEP, REMOTE_GRACE, Collector

        usual = GRACE if self.root is not None else REMOTE_GRACE
        collector = Collector(
            self, keep=KEEP if keep is None else keep, grace=usual if grace is None else grace, is_far=self.root is None
        )
        return collector.look() if dry_run else collector.run().plan

    def __repr__(self) -> str:
        return f"Repository({str(self.root)!r})"

    # ---- datasets

    def datasets(self) -> Iterator[Dataset]:
        """All datasets, by name."""
        for ref, _ in self.view.list(DATASET):
            yield self._dataset(ref[1])

    def dataset(self, name: str | None = None, branch: str | None = None) -> Dataset:
        """A dataset by name, or the current one. Raises NotFoundError."""
        if name is None:
            name = self.workspace.dataset
            if name is None:
                hint = "choose one: dsvc use NAME, or make one: dsvc create NAME"
                if self.root is not None and _names_any(self.root / LOCK_FILE) and not any(self.view.list(DATASET)):
                    hint = f"bring what {LOCK_FILE} names: dsvc pull"
                raise NotFoundError("no dataset is selected here", hint)
            if self.workspace.selected is None and self.view.get(DATASET, name) is None:
                raise NotFoundError(f"the current dataset, {name!r}, is no more", self._nearest(name, "dsvc use "))
        if self.view.get(DATASET, name) is None:
            raise NotFoundError(f"no dataset named {name!r}", self._nearest(name))
        dataset = self._dataset(name)
        if branch is not None:
            dataset.branch, dataset.pinned = branch, None
        return dataset

    def _dataset(self, name: str) -> Dataset:
        from dsvc.core.dataset import Dataset

        return Dataset(self, name, self.workspace.branch(name), self.workspace.version(name))

    def _nearest(self, name: str, lead: str = "there is: ") -> str:
        import difflib

        names = [ref[1] for ref, _ in self.view.list(DATASET)]
        near = difflib.get_close_matches(name, names, 3) or names[:5]
        more = ", ..." if near == names[:5] and len(names) > 5 else ""
        return f"{lead}{', '.join(near)}{more}" if near else "make one: dsvc create NAME"

    def at(self, revision: str = "HEAD") -> State:
        """The state that a revision names, such as `pets@v1`; HEAD is of the current dataset. Raises NotFoundError,
        UsageError."""
        from dsvc.core.draft import committed_state
        from dsvc.core.revisions import resolve
        from dsvc.core.state import State
        from dsvc.core.transaction import ReadOnly

        found = resolve(self, revision)
        return State(self, committed_state(ReadOnly(self.store), found.commit).roots, found)

    def create(self, name: str, description: str = "") -> Dataset:
        """Make a dataset and make it the current one. Raises RefusedError where it exists."""
        check_name(name, "dataset")

        def change(refs: Refs) -> None:
            if refs.get(DATASET, name) is not None:
                raise RefusedError(f"dataset {name!r} exists already", f"use it: dsvc use {name}")
            refs.set((DATASET, name), DatasetRef(description))
            refs.set((BRANCH, name, MAIN), BranchRef())

        with self.workspace.saving(dataset=name):
            self.change(f"create {name}", change)
        return self._dataset(name)

    def use(self, name: str, branch: str | None = None, version: str | None = None) -> Dataset:
        """Make a dataset the current one of this workspace, and a branch of it its current branch, or look at a version
        of it, which is read-only. With neither, it is the branch that was the current one. Raises NotFoundError."""
        from dsvc.core.selection import selected_head

        kept = branch or self.workspace.kept_branch(name)
        dataset = self.dataset(name, kept or MAIN)
        dataset.pinned = version
        if branch is not None or version is not None:
            selected_head(self.view, dataset)
        changes = self.workspace.selecting(name, kept, version)
        if self.workspace.chosen != name:
            changes["dataset"] = name
        if changes:
            self.workspace.save(**changes)
        return dataset

    def describe(self, name: str, description: str) -> None:
        """Set a dataset's description."""

        def change(refs: Refs) -> None:
            _expect(refs, name)
            refs.set((DATASET, name), DatasetRef(description))

        self.change(f"describe {name}", change)

    def rename(self, name: str, new: str) -> None:
        """Give a dataset another name; branches, versions, drafts and tracked folders follow. Raises RefusedError."""
        check_name(new, "dataset")

        def change(refs: Refs) -> None:
            _expect(refs, name)
            if refs.get(DATASET, new) is not None:
                raise RefusedError(f"dataset {new!r} exists already", "choose another name")
            for ref, value in list(_refs_of(refs, name)):
                refs.set(ref, None)
                refs.set(_renamed(ref, new), value)

        with renaming(self.workspace, name, new):
            self.change(f"rename {name} {new}", change)

    def delete(self, name: str) -> None:
        """Take a dataset away with all its branches, versions and drafts; `undo` brings it back whole."""

        def change(refs: Refs) -> None:
            _expect(refs, name)
            for ref, _ in list(_refs_of(refs, name)):
                refs.set(ref, None)

        forgotten = self.workspace.selecting(name, None, None)
        with self.workspace.saving(**forgotten) if forgotten else nullcontext():
            self.change(f"delete {name}", change)


def _at_root(root: Path) -> Repository:
    """The repository of this very folder. Raises NotRepositoryError."""
    if not _has_head(root / FOLDER):
        raise NotRepositoryError(f"the repository in {root} is no more", "open it where it is now")
    return Repository(LocalBackend(root / FOLDER), root)


def _guard(writer: ObjectWriter) -> None:
    """Refuse blobs that were purged."""
    from dsvc.core.purging.tombstones import guard

    guard(writer)


def _set_locks(backend: Backend, workspace: Workspace) -> None:
    """Tell a folder's backend what the settings say of locks."""
    if isinstance(backend, LocalBackend):
        backend.one_machine = workspace.setting("locks", "one_machine") is True


def _names_any(lock: Path) -> bool:
    """Whether a lock file names a dataset."""
    try:
        lines = lock.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip() and not line.startswith("#") for line in lines)


def _has_head(folder: Path) -> bool:
    with refusing(folder / "head"):
        return (folder / "head").exists()


def has_packs(folder: Path) -> bool:
    """Whether a folder holds more packs than an `init` that broke off leaves behind."""
    try:
        return sum(path.stat().st_size for path in (folder / "packs").iterdir()) > INIT_BYTES
    except OSError:
        return False


def _expect(refs: Refs, name: str) -> DatasetRef:
    dataset = refs.get(DATASET, name)
    if dataset is None:
        raise NotFoundError(f"no dataset named {name!r}", "see: dsvc list")
    return cast(DatasetRef, dataset)


def _refs_of(refs: Refs, name: str) -> Iterator[tuple[Ref, AnyRef | None]]:
    yield (DATASET, name), refs.get(DATASET, name)
    for kind in (BRANCH, VERSION, RUN, EVALUATION):
        yield from refs.list(kind, name)
    for ref, value in refs.list(DRAFT):
        if ref[2] == name:
            yield ref, value


def _renamed(ref: Ref, new: str) -> Ref:
    at = 2 if ref[0] == DRAFT else 1
    return (*ref[:at], new, *ref[at + 1 :])
