"""The files of the tracked folders beside the inputs of a dataset: what is new, modified, missing, renamed.

What is looked at follows what changed: a folder whose listing is the one in the stat cache is left alone, only files
whose stamp changed are read, and only keys are compared whose file or whose input changed since the last look.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xxhash import xxh3_128_hexdigest

from dsvc.core.files.choosing import HIDDEN, OTHER, TAKEN, LeftOut
from dsvc.core.files.comparing import SETS, Compared
from dsvc.core.files.filetable import NO_BLOB, FileTable, Found, load_cache, now, save_cache, write_cache
from dsvc.core.files.folderscan import FolderScan
from dsvc.core.files.renames import find_renames
from dsvc.core.files.scanning import PLAN, Lister, link_stamp, plan_of
from dsvc.core.files.seen import load_seen, mark, note_seen, seen_inode
from dsvc.core.files.tracking import Tracked, is_in, owner, tracked_folders
from dsvc.core.files.worktree import FoundFile, Problem
from dsvc.core.layout.folders import are_remembered
from dsvc.errors import RefusedError
from dsvc.model.incoming import Progress
from dsvc.model.node import Reader
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.store.ids import Kind, ObjectId

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset

# With more keys to look at than this share of all, all are looked at, in their order.
_MANY = 0.1
_FEW = 1000


class FileStatus(NamedTuple):
    """What the tracked folders hold beside a dataset's inputs. All are keys in order; `renamed` pairs old and new ones.

    `missing` are inputs whose file was here and is gone, also those whose name the file of another has taken.
    `elsewhere` counts those that have no file here and never had one. `unread` are files of inputs whose bytes could
    not be compared, or were not to be.
    """

    tracked: tuple[Tracked, ...]
    new: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()
    left_out: LeftOut = LeftOut()
    problems: tuple[Problem, ...] = ()
    # Tracked folders that are not there, or have no files though inputs came from them.
    absent: tuple[str, ...] = ()
    elsewhere: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether the files are those of the dataset."""
        return not (self.new or self.modified or self.missing or self.renamed)


class WorkFiles:
    """The tracked files of a dataset. `compare` looks at them; `learn` and `save` keep what was read.

    `tracked` are the folders, in place of those that are noted; `starts` are paths of some in them, to look at no more.
    Raises RefusedError for a repository without a project folder.
    """

    def __init__(
        self,
        dataset: Dataset,
        reader: Reader | None = None,
        tracked: Sequence[Tracked] | None = None,
        starts: Collection[str] | None = None,
    ) -> None:
        repository = dataset.repository
        if repository.root is None:
            raise RefusedError("this repository has no project folder", "name the files to take: dsvc add PATH")
        self._repository, self._workspace, self._dataset = repository, repository.workspace, dataset.name
        self.root = str(Path(repository.root).resolve())
        self.tracked = tracked_folders(repository.workspace, dataset.name) if tracked is None else list(tracked)
        self._starts = (
            sorted(one.folder for one in self.tracked) if starts is None else _with_inner(starts, self.tracked)
        )
        self.is_all = starts is None
        self._store: Reader = reader or repository.store
        self._nodes = repository.cache
        self._seen: frozenset[bytes] | None = None
        folder = repository.cache_folder
        name = xxh3_128_hexdigest(dataset.name.encode())
        # What is found in some of the folders only is not kept: the next look would take it for all.
        self._verdicts = folder / "status" / name if folder is not None and self.is_all else None
        self._plan = folder / PLAN if folder is not None else None
        self.table = FileTable(folder / "files" if folder is not None else None)
        self._before = self.table.version
        self._scan: FolderScan | None = None
        self._compared: Compared | None = None

    def compare(
        self, roots: Roots, progress: Progress | None = None, *, read: bool = True, lister: Lister | None = None
    ) -> FileStatus:
        """Compare the files with the inputs of a snapshot. Without `read`, files that must be read are `unread`.

        `lister` may have begun to look; it is closed.
        """
        if not self.tracked:
            return FileStatus(())
        inputs = Tree(self._store, roots.inputs, self._nodes)
        laid = self._laid()
        scan = self._scan = FolderScan(
            self.root, self.tracked, self.table, lambda start: _has_prefix(inputs, start), laid
        )
        if lister is None or lister.root != self.root:
            lister = Lister(self.root, str(self._plan) if self._plan is not None and self.is_all else None)
        try:
            touched = scan.run(self._starts, lister, progress)
        finally:
            lister.close()
        compared = self._compared = Compared(inputs, self)
        self._settle(compared, touched)
        renamed: tuple[tuple[str, str], ...] = ()
        if read:
            self._hash(compared.unread, progress)
            renamed = find_renames(compared, self, lambda keys: self._hash(keys, progress))
        self.save()
        old, new = {pair[0] for pair in renamed}, {pair[1] for pair in renamed}
        missing = in_order((compared.missing | (compared.modified & new)) - old)
        return FileStatus(
            tuple(self.tracked),
            new=in_order(compared.new - new),
            modified=in_order(compared.modified - new),
            missing=missing,
            renamed=renamed,
            unread=in_order(compared.unread),
            left_out=scan.left_out(),
            problems=(*scan.problems(), *self._clashes(scan)),
            absent=self._absent(missing, scan),
            elsewhere=len(compared.elsewhere),
        )

    def _laid(self) -> list[str]:
        """The folders in which versions are laid out: their files are inputs already, under other keys."""
        if not are_remembered(self._workspace):
            return []
        from dsvc.core.layout.record import laid_folders

        return laid_folders(self._repository)

    @property
    def count(self) -> int:
        """How many files are taken."""
        assert self._scan is not None
        return sum(folder.kinds.count(TAKEN) for _, _, folder in self._scan.folders())

    def count_taken(self, keys: Iterable[str]) -> int:
        """How many of these keys have a file that is taken."""
        return sum(1 for key in keys if (found := self.find(key)) is not None and found.is_taken)

    def takes(self, path: str) -> bool:
        """Whether the file of a path below the root is taken."""
        found = self.table.find(path)
        return found is not None and found.is_taken and owner(self.tracked, path) is not None

    def _absent(self, missing: Iterable[str], scan: FolderScan) -> tuple[str, ...]:
        """Tracked folders whose files are all gone, as when a disk is not mounted, though inputs came from them."""
        # A place to mount on may hold a file that says so, as .keep does.
        filled = {one.folder for one, _, folder in scan.folders() if set(folder.kinds) - {HIDDEN, OTHER}}
        lost = [one for one in self.tracked if one.folder not in filled]
        return tuple(one.name for one in lost if self.any_from(one, missing))

    def any_from(self, one: Tracked, keys: Iterable[str]) -> bool:
        """Whether any of these keys is one of a tracked folder."""
        return any((path := one.path(key)) is not None and owner(self.tracked, path) is one for key in keys)

    def _clashes(self, scan: FolderScan) -> Iterator[Problem]:
        """Files that have the key of another one's file, in a folder that comes first."""
        for at, second in enumerate(self.tracked):
            ends = second.prefix
            firsts = [o for o in self.tracked[:at] if ends.startswith(o.prefix) or o.prefix.startswith(ends)]
            for one, path, _ in scan.folders() if firsts else ():
                for first in firsts if one is second else ():
                    yield from self._clashes_in(first, second, path)

    def _clashes_in(self, first: Tracked, second: Tracked, path: str) -> Iterator[Problem]:
        start = second.key(f"{path}/" if path else "")
        place = first.path(start)
        other = self.table.folders.get(place.rstrip("/")) if place is not None else None
        if place is None or other is None or owner(self.tracked, place.rstrip("/")) is not first:
            return
        mine = {name for name, kind, _ in self.table.folders[path].entries() if kind == TAKEN}
        for name in sorted(mine.intersection(name for name, kind, _ in other.entries() if kind == TAKEN)):
            reason = f"its key, {start + name}, is that of {place + name}"
            yield Problem(Path(self.root, path, name), reason)

    # ---- keys and files

    def _places(self, key: str) -> Iterator[tuple[str, Tracked]]:
        """The paths below the root at which the file of a key may lie, with their folders, the first one first."""
        for one in self.tracked:
            path = one.path(key)
            if path is not None and (len(self.tracked) == 1 or owner(self.tracked, path) is one):
                yield path, one

    def path_of(self, key: str) -> str | None:
        """The path, below the root, of the file of a key: the first that is taken, else the first that is there."""
        there = None
        for path, _ in self._places(key):
            found = self.table.find(path)
            if found is not None and found.is_taken:
                return path
            there = there or (path if found is not None else None)
        return there

    def find(self, key: str) -> Found | None:
        """The file of a key."""
        path = self.path_of(key)
        return self.table.find(path) if path is not None else None

    def files(self) -> Iterator[tuple[str, int, bytes]]:
        """Every file: its key, its kind, and the id of its bytes or NO_BLOB; the first folder's come first."""
        assert self._scan is not None
        for one, path, folder in sorted(self._scan.folders(), key=lambda seen: seen[0].folder):
            base = one.key(f"{path}/" if path else "")
            for name, kind, blob in folder.entries():
                yield base + name, kind, blob

    def owns(self, key: str) -> bool:
        """Whether the file of this key would lie in a tracked folder, one that can be read."""
        assert self._scan is not None
        unreadable = self._scan.unreadable
        places = [path for path, _ in self._places(key)]
        return bool(places) and not any(is_in(path, folder) for folder in unreadable for path in places)

    def was_here(self, key: str, blob: bytes) -> bool:
        """Whether an input's file, with these bytes, lay in a tracked folder when files were taken in."""
        if self._seen is None:
            self._seen = load_seen(self._workspace, self._dataset)
        return any(mark(path, blob) in self._seen for path, _ in self._places(key))

    def note_seen(self) -> None:
        """Note the files that are there, before inputs are taken. Raises RefusedError on a full disk."""
        assert self._scan is not None
        marks: list[bytes] = []
        for _, path, folder in self._scan.folders():
            base = f"{path}/" if path else ""
            marks += [mark(base + name, blob) for name, _, blob in folder.entries() if blob != NO_BLOB]
        note_seen(self._workspace, self._dataset, marks)

    # ---- reading

    def found(self, keys: Iterable[str]) -> list[FoundFile]:
        """The files of keys, ready to be read."""
        pairs = ((key, self.path_of(key)) for key in keys)
        return [FoundFile(key, self._target(path)) for key, path in pairs if path is not None]

    def _target(self, path: str) -> str:
        place, found = f"{self.root}/{path}", self.table.find(path)
        is_link = found is None or found.stamp[2] < 0
        return str(Path(place).resolve()) if is_link else place

    def learn(self, file: FoundFile, stamp: tuple[int, int, int], blob: bytes, read_at: int) -> None:
        """Note the id of the bytes that were read of a key's file, and the stamp that it had."""
        path = self.path_of(file.key)
        found = self.table.find(path) if path is not None else None
        if found is not None:
            is_link = file.path != f"{self.root}/{path}"
            self.table.learn(found, link_stamp(file.path, stamp) if is_link else stamp, blob, read_at)
            if self._compared is not None:
                self._compared.unread.add(file.key)  # so that it is looked at again

    def _hash(self, keys: Iterable[str], progress: Progress | None) -> None:
        from dsvc.core.files.reading import hash_files

        files = self.found(in_order(keys))
        if not files:
            return
        start, scan, compared = now(), self._scan, self._compared
        assert scan is not None and compared is not None
        for count, (file, stamp, blob) in enumerate(hash_files(files, report=scan.report), 1):
            self.learn(file, stamp[:3], blob, start)
            if progress:
                progress("read changed files", count, len(files))
        for file in files:
            compared.look(file.key)

    # ---- what is kept from look to look

    def save(self) -> None:
        """Keep what was found and learnt."""
        compared, before = self._compared, self._before
        if self.is_all and compared is not None and (self.table.is_changed or not self._has_plan()):
            self._save_plan()
        self.table.save()
        if self._verdicts is None or compared is None:
            return
        if self.table.version != before or compared.has_moved:
            sets = {name: sorted(getattr(compared, name)) for name in SETS}
            root = bytes(compared.inputs.root)
            save_cache(self._verdicts, {"version": self.table.version, "config": self._config(), "root": root, **sets})
        self._before, compared.has_moved = self.table.version, False

    def _has_plan(self) -> bool:
        return self._plan is None or self._plan.exists()

    def _save_plan(self) -> None:
        """Keep what a second process should list the next time."""
        assert self._scan is not None
        plan = plan_of([(path, len(folder.kinds)) for _, path, folder in self._scan.folders()])
        if self._plan is not None and plan is not None:
            write_cache(self._plan, plan)
        elif self._plan is not None:
            with contextlib.suppress(OSError):
                self._plan.unlink()

    def _settle(self, compared: Compared, touched: set[str]) -> None:
        """Find the differences: from the last ones and what changed since, or from all keys."""
        keys = self._to_look_at(compared, touched)
        if keys is None:
            compared.look_at_all()
        else:
            for key in keys:
                compared.look(key)

    def _to_look_at(self, compared: Compared, touched: set[str]) -> set[str] | None:
        """The keys that may have come to differ since the last look, whose differences are taken; None for all."""
        limit = max(_FEW, int(len(compared.inputs) * _MANY))
        if not self.is_all:
            return {key for key, _, _ in self.files()} if self.count < limit else None
        kept, keys = self._kept(), set(touched)
        if kept is None:
            return None
        for change in diff_trees(Tree(self._store, ObjectId(kept["root"]), self._nodes), compared.inputs):
            if len(keys) > limit:
                break
            keys.add(change.key.decode())
        if len(keys) > limit:
            return None
        compared.take(kept)
        return keys | compared.unread

    def _kept(self) -> dict[str, Any] | None:
        """The differences at the last look, if they are those of this very table and these folders."""
        kept = load_cache(self._verdicts) if self._verdicts is not None else None
        if not isinstance(kept, dict) or kept.get("version") != self._before or kept.get("config") != self._config():
            return None
        try:
            self._store.get(ObjectId(kept["root"]), Kind.NODE)
        except Exception:  # a tree that was never published, or is no more
            return None
        return kept

    def _config(self) -> list[Any]:
        """What the differences follow from, apart from files and inputs."""
        assert self._scan is not None
        folders = [[one.folder, one.root, one.all_files] for one in self.tracked]
        return [folders, sorted(self._scan.unreadable), seen_inode(self._workspace, self._dataset)]


def in_order(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys in the order of datasets."""
    return tuple(sorted(keys, key=lambda key: key.encode("utf-8", "surrogateescape")))


def _with_inner(starts: Collection[str], tracked: Iterable[Tracked]) -> list[str]:
    """The folders to look through: some, and the tracked ones in them."""
    return sorted({*starts, *(one.folder for one in tracked if any(is_in(one.folder, start) for start in starts))})


def _has_prefix(inputs: Tree, start: str) -> bool:
    try:
        return next(inputs.prefix(start.encode()), None) is not None
    except UnicodeEncodeError:  # the name of a folder that is no Unicode
        return False
