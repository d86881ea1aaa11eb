"""The files of the tracked folders beside the inputs of a dataset: what is new, modified, missing, renamed.

What is looked at follows what changed: a folder whose listing is the one in the stat cache is left alone, only files
whose stamp changed are read, and only keys are compared whose file or whose input changed since the last look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from xxhash import xxh3_128_hexdigest

from dsvc.core.files.choosing import HIDDEN, IGNORED, OTHER, TAKEN, LeftOut
from dsvc.core.files.filetable import NO_BLOB, FileTable, load_cache, now, save_cache
from dsvc.core.files.folderscan import FolderScan
from dsvc.core.files.tracking import Tracked, tracked_folders
from dsvc.core.files.worktree import FoundFile, Problem
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


class _StoredMedia(msgspec.Struct, gc=False):
    blob: bytes | None = None
    size: int | None = None
    reference: msgspec.Raw | None = None


class _StoredInput(msgspec.Struct, gc=False):
    media: _StoredMedia | None = None


_decode = msgspec.msgpack.Decoder(_StoredInput).decode


class FileStatus(NamedTuple):
    """What the tracked folders hold beside a dataset's inputs. All are keys in order; `renamed` pairs old and new ones.

    `unread` are files of inputs whose bytes were not compared, because they were not to be read.
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

    @property
    def is_clean(self) -> bool:
        """Whether the files are those of the dataset."""
        return not (self.new or self.modified or self.missing or self.renamed)


class WorkFiles:
    """The tracked files of a dataset. `compare` looks at them; `learn` and `save` keep what was read."""

    def __init__(
        self, dataset: Dataset, tracked: Iterable[Tracked] | None = None, reader: Reader | None = None
    ) -> None:
        repository = dataset.repository
        assert repository.root is not None
        self.root = str(Path(repository.root).resolve())
        self.tracked = list(tracked_folders(repository.workspace, dataset.name) if tracked is None else tracked)
        self._store: Reader = reader or repository.store
        self._nodes = repository.cache
        folder = repository.cache_folder
        name = xxh3_128_hexdigest(dataset.name.encode())
        # What is found in some of the folders only is not kept: the next look would take it for all.
        is_all = tracked is None or self.tracked == tracked_folders(repository.workspace, dataset.name)
        self._verdicts = folder / "status" / name if folder is not None and is_all else None
        self.table = FileTable(folder / "files" if folder is not None else None)
        self._before = self.table.version
        self._scan: FolderScan | None = None
        self._compared: _Compared | None = None

    def compare(self, roots: Roots, progress: Progress | None = None, *, read: bool = True) -> FileStatus:
        """Compare the files with the inputs of a snapshot. Without `read`, files that must be read are `unread`."""
        if not self.tracked:
            return FileStatus(())
        scan = self._scan = FolderScan(self.root, self.tracked, self.table, progress)
        touched = scan.run()
        compared = self._compared = _Compared(Tree(self._store, roots.inputs, self._nodes), self)
        self._settle(compared, touched)
        if read:
            self._read(compared, progress)
        renamed = self._renames(compared, progress) if read else ()
        self.save()
        old, new = {pair[0] for pair in renamed}, {pair[1] for pair in renamed}
        return FileStatus(
            tuple(self.tracked),
            new=_ordered(compared.new - new),
            modified=_ordered(compared.modified),
            missing=_ordered(compared.missing - old),
            renamed=renamed,
            unread=_ordered(compared.unread),
            left_out=self._left_out(),
            problems=tuple(scan.problems()),
            absent=self._absent(compared, scan),
        )

    @property
    def count(self) -> int:
        """How many files are taken."""
        assert self._scan is not None
        return sum(folder.kinds.count(TAKEN) for _, _, folder in self._scan.folders())

    def _absent(self, compared: _Compared, scan: FolderScan) -> tuple[str, ...]:
        """Tracked folders whose files are all gone, as when a disk is not mounted."""
        filled = {t.folder for t, _, folder in scan.folders() if TAKEN in folder.kinds}
        lost = [t for t in self.tracked if t.folder not in filled]
        return tuple(
            t.folder or "."
            for t in lost
            if t.folder in scan.absent or any(t.path(key) is not None for key in compared.missing)
        )

    def path_of(self, key: str) -> str | None:
        """The path, below the root, of the file that is taken under a key; the first folder that has it counts."""
        for one in self.tracked:
            path = one.path(key)
            if path is not None and self.table.find(path) is not None:
                return path
        return None

    def found(self, keys: Iterable[str]) -> list[FoundFile]:
        """The files of keys, ready to be read."""
        pairs = ((key, self.path_of(key)) for key in keys)
        return [FoundFile(key, self._target(path)) for key, path in pairs if path is not None]

    def _target(self, path: str) -> str:
        place = Path(self.root, path)
        return str(place.resolve() if place.is_symlink() else place)

    def learn(self, key: str, stamp: tuple[int, int, int], blob: bytes, read_at: int) -> None:
        """Note the id of the bytes that were read of a key's file."""
        path = self.path_of(key)
        if path is not None:
            self.table.learn(path, stamp, blob, read_at)
            if self._compared is not None:
                self._compared.unread.add(key)  # so that it is looked at again

    def save(self) -> None:
        """Keep what was found and learnt."""
        compared, before = self._compared, self._before
        self.table.save()
        if self._verdicts is None or compared is None:
            return
        if self.table.version != before or compared.has_moved:
            sets = {name: sorted(getattr(compared, name)) for name in _SETS}
            root = bytes(compared.inputs.root)
            save_cache(self._verdicts, {"version": self.table.version, "config": self._config(), "root": root, **sets})
        self._before, compared.has_moved = self.table.version, False

    # ---- comparing

    def _settle(self, compared: _Compared, touched: set[str]) -> None:
        """Find the differences: from the last ones and what changed since, or from all keys."""
        kept = self._kept()
        if kept is not None:
            keys = set(touched)
            limit = max(_FEW, int(len(compared.inputs) * _MANY))
            for change in diff_trees(Tree(self._store, ObjectId(kept["root"]), self._nodes), compared.inputs):
                keys.add(change.key.decode())
                if len(keys) > limit:
                    break
            else:
                if len(keys) <= limit:
                    compared.take(kept)
                    for key in keys | compared.unread:
                        compared.look(key)
                    return
        compared.look_at_all()

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

    def _config(self) -> list[list[Any]]:
        return [[t.folder, t.root, t.all_files] for t in self.tracked]

    def _read(self, compared: _Compared, progress: Progress | None) -> None:
        """Read the files of which only their bytes tell."""
        self._hash(compared.unread, progress)
        for key in list(compared.unread):
            compared.look(key)

    def _hash(self, keys: Iterable[str], progress: Progress | None) -> None:
        from dsvc.core.files.reading import hash_files

        files = self.found(sorted(keys, key=str.encode))
        if not files:
            return
        start, scan = now(), self._scan
        assert scan is not None
        for count, (file, stamp, blob) in enumerate(hash_files(files, report=scan.report), 1):
            self.learn(file.key, stamp[:3], blob, start)
            if progress:
                progress("read changed files", count, len(files))

    def _renames(self, compared: _Compared, progress: Progress | None) -> tuple[tuple[str, str], ...]:
        """Inputs whose file is missing, each with a new file of the same bytes, in the order of their keys."""
        if not compared.missing or not compared.new:
            return ()
        wanted: dict[bytes, list[str]] = {}
        sizes = set()
        for key in _ordered(compared.missing):
            media = compared.media(key)
            if media is not None and media.blob is not None:
                wanted.setdefault(media.blob, []).append(key)
                sizes.add(media.size)
        candidates = [key for key in _ordered(compared.new) if (s := self._size(key)) in sizes or s == -1]
        self._hash([key for key in candidates if self._blob(key) == NO_BLOB], progress)
        pairs = []
        for key in candidates:
            old = wanted.get(self._blob(key))
            if old and key not in compared.named:
                pairs.append((old.pop(0), key))
        return tuple(pairs)

    def _size(self, key: str) -> int:
        found = self._find(key)
        return found.folder.stamp(found.at)[0] if found is not None else -2

    def _blob(self, key: str) -> bytes:
        found = self._find(key)
        return found.blob if found is not None else NO_BLOB

    def _find(self, key: str) -> Any:
        path = self.path_of(key)
        return self.table.find(path) if path is not None else None

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file that is taken: its key, and the id of its bytes or NO_BLOB."""
        assert self._scan is not None
        for one, path, folder in self._scan.folders():
            base = one.key(f"{path}/x" if path else "x")[:-1]
            for name, blob in folder.taken():
                yield base + name, blob

    def owns(self, key: str) -> bool:
        """Whether an input of this key came from a tracked folder: its key says so, or its file was there once."""
        return key in self.table.gone or any(t.prefix and key.startswith(t.prefix) for t in self.tracked)

    def _left_out(self) -> LeftOut:
        assert self._scan is not None
        totals = dict.fromkeys((HIDDEN, IGNORED, OTHER), 0)
        for _, _, folder in self._scan.folders():
            for kind in totals:
                totals[kind] += folder.kinds.count(kind) + sum(o.startswith(chr(kind)) for o in folder.others)
        return LeftOut(*totals.values())


_SETS = ("new", "modified", "missing", "unread", "named")


class _Compared:
    """The keys that differ, by kind. `named` are those of new files whose input is there, without bytes."""

    def __init__(self, inputs: Tree, files: WorkFiles) -> None:
        self.inputs = inputs
        self._files = files
        self.new: set[str] = set()
        self.modified: set[str] = set()
        self.missing: set[str] = set()
        self.unread: set[str] = set()
        self.named: set[str] = set()
        self.has_moved = True
        self._root = inputs.root

    def take(self, kept: dict[str, Any]) -> None:
        """Begin with the differences of the last look."""
        for name in _SETS:
            setattr(self, name, set(kept[name]))
        self.has_moved = kept["root"] != bytes(self._root)

    def media(self, key: str) -> _StoredMedia | None:
        """The media of an input, or None."""
        value = self.inputs.get(key.encode())
        return _decode(value).media if value is not None else None

    def look(self, key: str) -> None:
        """Compare one key anew."""
        self.has_moved = True
        for name in _SETS:
            getattr(self, name).discard(key)
        found = self._files._find(key)
        try:
            value = self.inputs.get(key.encode())
        except UnicodeEncodeError:  # the name of a file that can be no key
            return
        self._judge(key, value, found.blob if found is not None else None)

    def look_at_all(self) -> None:
        """Compare all keys."""
        for name in _SETS:
            getattr(self, name).clear()
        files = dict(self._files.files())
        judge, pop = self._judge, files.pop
        for tree_key, value in self.inputs:
            key = tree_key.decode()
            judge(key, value, pop(key, None))
        for key in files:
            self.new.add(key)

    def _judge(self, key: str, value: bytes | None, blob: bytes | None) -> None:
        if value is None:
            if blob is not None:
                self.new.add(key)
            return
        media = _decode(value).media
        stored = media.blob if media is not None else None
        if blob is None:
            is_elsewhere = media is not None and media.reference is not None
            if stored is not None and not is_elsewhere and self._files.owns(key):
                self.missing.add(key)
        elif stored is None:
            if media is None or media.reference is None:
                self.new.add(key)
                self.named.add(key)
        elif blob == NO_BLOB:
            self.unread.add(key)
        elif blob != stored:
            self.modified.add(key)


def _ordered(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(keys, key=lambda key: key.encode("utf-8", "surrogateescape")))
