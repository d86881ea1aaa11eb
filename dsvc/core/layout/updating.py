"""Bringing one folder from what it holds to what it is to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.files.comparing import StoredMedia
from dsvc.core.layout.annotations import Staged, stage
from dsvc.core.layout.contents import contents_of, state_of, wanted_of
from dsvc.core.layout.folders import Checkout
from dsvc.core.layout.ground import BlockedError, Ground, wrong_key
from dsvc.core.layout.linking import links
from dsvc.core.layout.placing import Files, Left, Task, copies, in_pack_order, write_files
from dsvc.core.layout.record import Layer, Record, Records
from dsvc.core.merging.conflicts import require_settled
from dsvc.errors import RefusedError
from dsvc.store.files import refusing
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.revisions import Revision
    from dsvc.model.incoming import Progress

MARK, MARKER = b"dsvc checkout\n", ".dsvc-export"


class FolderUpdate(NamedTuple):
    """What became of a folder: how many media were added, changed and removed, which annotation files were written,
    which files were left as they are.

    `absent` are inputs whose bytes the repository does not hold, `elsewhere` how many refer to bytes that stay where
    they are. `problem` says why nothing at all was done.
    """

    checkout: Checkout
    commit: ObjectId | None = None
    added: int = 0
    changed: int = 0
    removed: int = 0
    annotations: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    absent: tuple[str, ...] = ()
    elsewhere: int = 0
    notes: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def is_changed(self) -> bool:
        """Whether any file is another one than before."""
        return bool(self.added or self.changed or self.removed or self.annotations)

    @property
    def is_whole(self) -> bool:
        """Whether the folder holds all that it is to hold."""
        return not (self.left or self.absent or self.problem)


def lay_out(
    repository: Repository,
    checkout: Checkout,
    revision: Revision,
    *,
    restore: bool = False,
    dry_run: bool = False,
    begin: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> FolderUpdate:
    """Bring a folder to a commit. With `restore`, all files are looked at, and those that are missing come back.

    `begin` is called when nothing is in the way, before anything is changed. Raises RefusedError, FilterError.
    """
    update = _Update(repository, checkout, revision, restore, progress, begin)
    if dry_run:
        return update.run(dry_run=True)
    with update.records.lock():
        return update.run()


class _Wish(NamedTuple):
    """What is wanted of one key: its media now, and ids of the bytes that its file may have by now."""

    now: StoredMedia | None
    olds: set[bytes]

    @property
    def blob(self) -> bytes | None:
        return self.now.blob if self.now is not None else None


class _Update:
    def __init__(
        self,
        repository: Repository,
        checkout: Checkout,
        revision: Revision,
        restore: bool,
        progress: Progress | None,
        begin: Callable[[], None] | None,
    ) -> None:
        assert repository.root is not None and revision.commit is not None
        self._repository, self._checkout, self._progress = repository, checkout, progress
        self._commit = revision.commit
        self._state = state_of(repository, revision)
        self.records = Records(repository, checkout.folder)
        self._restore, self._begin = restore, begin
        self._ground = Ground(str(Path(repository.root).resolve()))
        self._left: dict[str, Left] = {}
        self._absent: list[str] = []
        self._wishes: dict[str, _Wish] = {}
        self._is_on_the_way = False

    def run(self, dry_run: bool = False) -> FolderUpdate:
        """Do it."""
        record = self._record = self.records.load()
        if record.layers and record.format != self._checkout.format:
            hint = f"choose another folder, or first: dsvc checkout --forget {self._checkout.folder}"
            raise RefusedError(f"{self._checkout.folder} holds the layout of {record.format}", hint)
        is_current = not record.is_pending and record.commit == self._commit
        if is_current and not self._restore and record.where == self._checkout.where and not record.behind:
            return FolderUpdate(self._checkout, self._commit)
        require_settled(self._state.snapshot)
        self._see_ground()
        self._new = wanted_of(self._state, self._checkout, self._progress)
        if self._new.keys == [] and self._begin is not None:
            hint = 'see what there is, such as: dsvc query "select key, split from inputs"'
            raise RefusedError("no input matches; nothing was written", hint)
        self._layers = [found for layer in record.layers if (found := contents_of(self._repository, layer))]
        self._is_full = self._restore or record.is_pending or not self._layers
        self._files = Files(self._ground, self.records.table())
        return self._work(dry_run)

    def _see_ground(self) -> None:
        """Refuse a folder that is none, or lies behind a link."""
        try:
            is_there = self._ground.has(self._checkout.folder)
        except BlockedError as error:
            raise RefusedError(str(error), "name a folder of the project that is a real one") from error
        if not is_there and self._record.layers and not self._restore:
            name = self._checkout.folder
            hint = f"to lay it out again: dsvc checkout; to do without it: dsvc checkout --forget {name}"
            raise RefusedError(f"{name} is not there any more", hint)

    def _work(self, dry_run: bool) -> FolderUpdate:
        elsewhere = self._wish()
        removals = list(self._removals())
        tasks, waiting = self._tasks()
        tasks, absent = in_pack_order(self._repository.store, tasks)
        self._skip(absent)
        if dry_run:
            return self._dry(tasks, waiting, removals, elsewhere)
        if self._begin is not None:
            self._begin()
        is_stale = self._is_stale()
        if tasks or waiting or removals or is_stale:
            self._save_pending()
            self._prepare()
        for path in removals:
            self._guard(path, lambda path=path: self._files.remove(path, self._checkout.folder))  # type: ignore[misc]
        if waiting:
            more, absent = in_pack_order(self._repository.store, self._judged(waiting))
            self._skip(absent)
            tasks += more
        written: tuple[str, ...] = ()
        staged: Staged | None = None
        counts = [0, 0]
        if tasks or is_stale:
            place = self._prepare(is_to_work=True)
            try:
                if is_stale:
                    staged = stage(self._state, self._new, self._checkout.format, _made(Path(place, "annotations")))
                    self._save_pending(staged)
                self._write(tasks, place, counts)
                written = tuple(self._place(staged)) if staged is not None else ()
            finally:
                self._files.table.save()
                self._ground.clear(self._checkout.folder)
        self._finish(staged)
        removed = sum(1 for path in removals if path not in self._left)
        return self._report(counts, removed, written, elsewhere, staged.notes if staged is not None else ())

    # ---- media

    def _wish(self) -> int:
        """Find what is wanted of each key that has to be looked at; how many inputs refer to bytes elsewhere."""
        elsewhere = 0
        for layer in self._layers:
            for key, was, now in layer.differences(self._new):
                wish = self._wishes.setdefault(key, _Wish(now, set()))
                if was is not None and was.blob is not None:
                    wish.olds.add(was.blob)
        for key, commit in self._record.behind.items():
            if not key.startswith("/"):
                wish = self._wishes.setdefault(key, _Wish(self._new.of(key), set()))
                wish.olds.update(self._laid_before(key, commit))
        if self._is_full:
            for key, media in self._new.media():
                blob = media.blob if media is not None else None
                elsewhere += blob is None and media is not None and media.reference is not None
                if blob is not None:
                    self._wishes.setdefault(key, _Wish(media, {blob} if self._layers else set()))
        return elsewhere

    def _laid_before(self, key: str, commit: str) -> set[bytes]:
        """The bytes that a file which was left alone had come from."""
        found = contents_of(self._repository, Layer(ObjectId(bytes.fromhex(commit)))) if commit else None
        media = found.of(key) if found is not None else None
        return {media.blob} if media is not None and media.blob is not None else set()

    def _path(self, key: str) -> str:
        return f"{self._checkout.media}/{key}"

    def _removals(self) -> Iterator[str]:
        """The paths of files that are to go."""
        for key, wish in self._wishes.items():
            if wish.blob is None and wish.olds and wrong_key(key) is None:
                path = self._path(key)
                try:
                    if self._files.is_removable(path, wish.olds):
                        yield path
                except BlockedError as error:
                    self._leave(path, str(error))

    def _tasks(self) -> tuple[list[Task], list[str]]:
        """The files to write, and the keys of those that something is in the way of which may go."""
        tasks, waiting = [], []
        for key, wish in self._wishes.items():
            if wish.blob is None:
                continue
            wrong, path = wrong_key(key), self._path(key)
            if wrong is not None:
                self._leave(path, wrong)
                continue
            try:
                task = self._task(key, wish)
            except BlockedError as error:
                if any(other.blob is None for other in self._wishes.values()):
                    waiting.append(key)
                else:
                    self._leave(path, str(error))
                continue
            if task is not None:
                tasks.append(task)
        return tasks, waiting

    def _task(self, key: str, wish: _Wish) -> Task | None:
        assert wish.blob is not None
        return self._files.task(self._path(key), wish.blob, wish.olds, self._is_full or not wish.olds)

    def _judged(self, keys: list[str]) -> Iterator[Task]:
        """The files to write of keys that something was in the way of."""
        self._files.ground = self._ground = Ground(self._ground.place("").rstrip("/"))
        for key in keys:
            try:
                task = self._task(key, self._wishes[key])
            except BlockedError as error:
                self._leave(self._path(key), str(error))
                continue
            if task is not None:
                yield task

    def _skip(self, absent: list[Task]) -> None:
        for task in absent:
            self._absent.append(task.path[len(self._checkout.media) + 1 :])

    def _write(self, tasks: list[Task], place: str, counts: list[int]) -> None:
        store = self._repository.store
        make = links(self._repository) if self._checkout.link else copies(store)
        for task, temporary, stamp, problem in write_files(tasks, place, make, self._progress):
            if stamp is None:
                self._leave(task.path, problem or "")
                continue
            try:
                self._files.rename(temporary, task, stamp)
            except BlockedError as error:
                self._leave(task.path, str(error))
            else:
                counts[task.expected is not None] += 1

    # ---- annotation files

    def _is_stale(self) -> bool:
        """Whether the annotation files have to be made anew to see what is to be there."""
        record = self._record
        if len(self._layers) != 1 or record.is_pending or not record.files:
            return True
        before = self._layers[0]
        if before.snapshot.roots != self._state.snapshot.roots or before.keys != self._new.keys:
            return True
        if any(key.startswith("/") for key in record.behind):
            return True
        return self._restore and not all(self._is_laid(name, hashes) for name, hashes in record.files.items())

    def _is_laid(self, name: str, hashes: tuple[str, ...]) -> bool:
        path = f"{self._checkout.folder}/{name}"
        try:
            stamp = self._ground.stamp(path)
            return stamp is not None and self._files.hash(path, stamp).hex() in hashes
        except BlockedError:
            return False

    def _place(self, staged: Staged) -> Iterator[str]:
        """Give annotation files their names, and remove those that are no more."""
        folder = self._checkout.folder
        for name, hash in staged.hashes.items():
            path = f"{folder}/{name}"
            try:
                olds = self._replaceable(name, path, hash)
                task = self._files.task(path, hash, olds, self._is_full or not olds)
                if task is not None:
                    place = staged.path(name)
                    with refusing(place):
                        found = place.stat()
                    self._files.rename(str(place), task, (found.st_size, found.st_mtime_ns, found.st_ino))
                    yield name
            except BlockedError as error:
                self._leave(path, str(error))
        for name in self._record.files.keys() - staged.hashes.keys():
            path = f"{folder}/{name}"
            olds = {bytes.fromhex(one) for one in self._record.files[name]}

            def remove(path: str = path, olds: set[bytes] = olds) -> None:
                if self._files.is_removable(path, olds):
                    self._files.remove(path, folder)

            self._guard(path, remove)

    def _replaceable(self, name: str, path: str, new: bytes) -> set[bytes]:
        """The hashes of an annotation file that may be written anew: as it was laid out, or as the commit says it."""
        from dsvc.core.layout.saying import is_said

        olds = {bytes.fromhex(one) for one in self._record.files.get(name, ())}
        stamp = self._ground.stamp(path) if olds else None
        found = self._files.hash(path, stamp) if stamp is not None else new
        is_edited = found != new and found not in olds and not self._record.is_pending
        if is_edited and is_said(self._repository, self._checkout, self._record, name, found.hex(), self._commit):
            olds.add(found)
        return olds

    def _prepare(self, is_to_work: bool = False) -> str:
        """Make the folder, or the place to work in, which is given. Raises RefusedError.

        The folder is marked, so that whoever looks through the project for data passes it over.
        """
        folder = self._checkout.folder
        place = Path(self._ground.place(folder))
        mark = place / MARKER
        with refusing(place):
            try:
                if is_to_work:
                    return self._ground.workplace(folder)
                self._ground.make(folder)
            except BlockedError as error:
                raise RefusedError(str(error), "name a folder of the project that is a real one") from error
            if not mark.is_symlink() and not mark.exists():
                mark.write_bytes(MARK)
        return str(place)

    # ---- the record

    def _layer(self) -> Layer:
        keys = self._new.keys
        return Layer(self._commit, tuple(key.decode() for key in keys) if keys is not None else None)

    def _save_pending(self, staged: Staged | None = None) -> None:
        """Note that the folder is on its way, before anything is changed."""
        record, layer = self._record, self._layer()
        files = dict(record.files)
        for name, hash in staged.hashes.items() if staged is not None else ():
            files[name] = tuple(dict.fromkeys((*files.get(name, ()), hash.hex())))
        others = tuple(one for one in record.layers if one != layer)
        # Two at least, so that it shows: of a folder that is new, the commit stands there twice.
        layers = (*(others or (layer,)), layer)
        self._is_on_the_way = True
        self.records.save(record._replace(layers=layers, files=files, format=self._checkout.format))

    def _finish(self, staged: Staged | None) -> None:
        """Note what the folder holds now."""
        record, checkout = self._record, self._checkout
        files, behind = dict(record.files), self._behind()
        if staged is not None:
            files = {name: (hash.hex(),) for name, hash in staged.hashes.items()}
            for name, hashes in record.files.items():
                if f"/{name}" in behind:
                    files[name] = hashes
        taken = {name: said for name, said in record.taken.items() if f"/{name}" in behind}
        media = {key: blob for key, blob in record.media.items() if key in behind}
        if record.layers == (self._layer(),):  # as it was: what was taken in is in the draft, or in none any more
            taken, media = record.taken, record.media
        new = Record((self._layer(),), files, behind, taken, media, checkout.format, checkout.where)
        if new != record or self._is_on_the_way:
            self.records.save(new)

    def _behind(self) -> dict[str, str]:
        """The files that were left alone, with the commits that they come from."""
        before = self._record.layers[0].commit.hex() if self._record.layers else ""
        behind = dict.fromkeys(self._absent, "")
        for path in self._left:
            is_media = path.startswith(f"{self._checkout.media}/")
            key = path[len(self._checkout.media if is_media else self._checkout.folder) + is_media :]
            known = self._record.behind.get(key)
            # Where nothing had been laid out, what is there comes from elsewhere.
            was_laid = self._wishes[key].olds if is_media else key[1:] in self._record.files
            behind[key] = known if known is not None else before if was_laid else ""
        return behind

    # ---- reports

    def _leave(self, path: str, reason: str) -> None:
        self._left[path] = Left(path, reason)

    def _guard(self, path: str, work: Callable[[], None]) -> None:
        try:
            work()
        except BlockedError as error:
            self._leave(path, str(error))

    def _dry(self, tasks: list[Task], waiting: list[str], removals: list[str], elsewhere: int) -> FolderUpdate:
        changed = sum(task.expected is not None for task in tasks)
        names = tuple(self._record.files) if self._is_stale() else ()
        counts = [len(tasks) - changed + len(waiting), changed]
        return self._report(counts, len(removals), names, elsewhere, ())

    def _report(
        self, counts: list[int], removed: int, written: tuple[str, ...], elsewhere: int, notes: tuple[str, ...]
    ) -> FolderUpdate:
        left = tuple(sorted(self._left.values()))
        absent = tuple(sorted(self._absent))
        added, changed = counts
        return FolderUpdate(
            self._checkout, self._commit, added, changed, removed, written, left, absent, elsewhere, notes
        )


def _made(folder: Path) -> Path:
    with refusing(folder):
        folder.mkdir()
    return folder
