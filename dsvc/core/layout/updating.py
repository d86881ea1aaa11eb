"""Bringing one folder from what it holds to what it is to hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.files.choosing import EXPORT_MARK
from dsvc.core.layout.contents import contents_of, state_of, wanted_of
from dsvc.core.layout.folders import Checkout
from dsvc.core.layout.ground import BlockedError, Ground
from dsvc.core.layout.labels import LabelMove
from dsvc.core.layout.media import MediaMove
from dsvc.core.layout.move import Left, Move
from dsvc.core.layout.placing import Files
from dsvc.core.layout.record import Layer, Record, Records
from dsvc.core.merging.conflicts import require_settled
from dsvc.errors import RefusedError
from dsvc.store.files import refusing

if TYPE_CHECKING:
    from dsvc.core.layout.annotations import Staged
    from dsvc.core.repository import Repository
    from dsvc.core.revisions import Revision
    from dsvc.model.incoming import Progress
    from dsvc.store.ids import ObjectId

MARK = b"dsvc checkout\n"
_REAL = "name a folder of the project that is a real one"


class FolderUpdate(NamedTuple):
    """What became of a folder: how many media were added, changed and removed, which annotation files were written,
    which files were left as they are.

    `absent` are inputs whose bytes the repository does not hold, `elsewhere` how many refer to bytes that stay where
    they are, `bare` how many have no media at all, where all were looked at. `problem` says why nothing at all was
    done. `is_news` tells whether the folder has moved, or other files are left than at the last time.
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
    bare: int = 0
    notes: tuple[str, ...] = ()
    problem: str | None = None
    is_news: bool = True

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
    if update.is_current:
        return FolderUpdate(checkout, revision.commit)
    with update.records.lock():
        return update.run()


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
        self._is_on_the_way = False

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to do, as far as the record tells."""
        record = self.records.load()
        if self._restore or record.is_pending or record.behind:
            return False
        return record.commit == self._commit and record.where == self._checkout.where

    def run(self, dry_run: bool = False) -> FolderUpdate:
        """Do it."""
        record = self._record = self.records.load()
        if record.layers and record.format != self._checkout.format:
            hint = f"choose another folder, or first: dsvc checkout --forget {self._checkout.folder}"
            raise RefusedError(f"{self._checkout.folder} holds the layout of {record.format}", hint)
        if self.is_current:  # by now
            return FolderUpdate(self._checkout, self._commit)
        require_settled(self._state.snapshot)
        self._see_ground()
        return self._work(self._plan(), dry_run)

    def _see_ground(self) -> None:
        """Refuse a folder that is none, or lies behind a link."""
        try:
            is_there = self._ground.has(self._checkout.folder)
        except BlockedError as error:
            raise RefusedError(str(error), _REAL) from error
        if not is_there and self._record.layers and not self._restore:
            name = self._checkout.folder
            hint = f"to lay it out again: dsvc checkout; to do without it: dsvc checkout --forget {name}"
            raise RefusedError(f"{name} is not there any more", hint)

    def _plan(self) -> Move:
        """What the folder holds, and is to hold. Raises FilterError, RefusedError where a filter leaves nothing."""
        record = self._record
        new = wanted_of(self._state, self._checkout, self._progress)
        if new.keys == [] and self._begin is not None:
            hint = 'see what there is, such as: dsvc query "select key, split from inputs"'
            raise RefusedError("no input matches; nothing was written", hint)
        olds = [found for layer in record.layers if (found := contents_of(self._repository, layer))]
        keys = new.keys
        self._layer = Layer(self._commit, tuple(key.decode() for key in keys) if keys is not None else None)
        return Move(
            repository=self._repository,
            checkout=self._checkout,
            commit=self._commit,
            state=self._state,
            record=record,
            olds=olds,
            new=new,
            is_full=self._restore or record.is_pending or not olds,
            files=Files(self._ground, self.records.table()),
            progress=self._progress,
        )

    def _work(self, move: Move, dry_run: bool) -> FolderUpdate:
        media = MediaMove(move)
        labels = LabelMove(move, self._restore)
        if dry_run:
            media.pretend()
            labels.written = tuple(self._record.files) if labels.is_stale else ()
            return _report(move, media, labels)
        if self._begin is not None:
            self._begin()
        if media.tasks or media.waiting or media.removals or labels.is_stale:
            self._save_pending()
            self._prepare()
            media.remove()
        try:
            if media.tasks or labels.is_stale:
                self._write(media, labels)
        finally:
            move.files.table.save()
        self._finish(move, media, labels)
        return _report(move, media, labels)._replace(is_news=self._is_news)

    def _write(self, media: MediaMove, labels: LabelMove) -> None:
        place = self._prepare(is_to_work=True)
        try:
            if labels.is_stale:
                self._save_pending(labels.stage(place))
            media.write(place)
            labels.write()
        finally:
            self._ground.clear(self._checkout.folder)

    def _prepare(self, is_to_work: bool = False) -> str:
        """Make the folder, or the place to work in, which is given. Raises RefusedError.

        A new folder is marked, so that whoever looks through the project for data passes it over, and Git too.
        """
        folder = self._checkout.folder
        place = Path(self._ground.place(folder))
        mark = place / EXPORT_MARK
        with refusing(place):
            try:
                if is_to_work:
                    return self._ground.workplace(folder)
                is_new = not self._ground.has(folder) or not any(place.iterdir())
                self._ground.make(folder)
            except BlockedError as error:
                raise RefusedError(str(error), _REAL) from error
            if not mark.exists() and not mark.is_symlink():
                _mark(place, is_new)
        return str(place)

    # ---- the record

    def _save_pending(self, staged: Staged | None = None) -> None:
        """Note that the folder is on its way, before anything is changed."""
        record = self._record
        files = dict(record.files)
        for name, hash in staged.hashes.items() if staged is not None else ():
            files[name] = tuple(dict.fromkeys((*files.get(name, ()), hash.hex())))
        others = tuple(one for one in record.layers if one != self._layer)
        # Two at least, so that it shows: of a folder that is new, the commit stands there twice.
        layers = (*(others or (self._layer,)), self._layer)
        self._is_on_the_way = True
        self.records.save(record._replace(layers=layers, files=files, format=self._checkout.format))

    def _finish(self, move: Move, media: MediaMove, labels: LabelMove) -> None:
        """Note what the folder holds now."""
        record, checkout, layers = self._record, self._checkout, (self._layer,)
        files, behind = dict(record.files), self._behind(move, media)
        if labels.staged is not None:
            files = {name: (hash.hex(),) for name, hash in labels.staged.hashes.items()}
            files |= {name: hashes for name, hashes in record.files.items() if f"/{name}" in behind}
        taken, taken_media, moved = record.taken, record.media, record.moved
        if record.layers != layers:  # what was taken in is in the commit, or is compared with what was laid out before
            taken = {name: said for name, said in taken.items() if f"/{name}" in behind}
            # An annotation file that was left alone goes on calling inputs by the keys that it knows.
            is_called_so = any(key.startswith("/") for key in behind)
            taken_media = {k: blob for k, blob in taken_media.items() if k in behind or (is_called_so and not blob)}
            moved = moved if is_called_so else {}
        self._is_news = record.layers != layers or record.behind.keys() != behind.keys()
        new = Record(layers, files, behind, taken, taken_media, moved, checkout.format, checkout.where)
        if new != record or self._is_on_the_way:
            self.records.save(new)

    def _behind(self, move: Move, media: MediaMove) -> dict[str, str]:
        """The files that were left alone, with the commits that they come from."""
        record = self._record
        before = record.layers[0].commit.hex() if record.layers else ""
        behind = dict.fromkeys(media.absent, "")
        for path in move.left:
            key = media.key(path)
            name = path[len(self._checkout.folder) + 1 :]
            # Where nothing had been laid out, what is there comes from elsewhere.
            was_laid = media.was_laid(key) if key is not None else name in record.files
            place = key if key is not None else f"/{name}"
            behind[place] = record.behind.get(place, before if was_laid else "")
        return behind


def _mark(folder: Path, is_new: bool) -> None:
    (folder / EXPORT_MARK).write_bytes(MARK)
    if is_new:  # in one that was there, something may lie that Git is to see
        (folder / ".gitignore").write_bytes(b"*\n")


def _report(move: Move, media: MediaMove, labels: LabelMove) -> FolderUpdate:
    return FolderUpdate(
        move.checkout,
        move.commit,
        media.added,
        media.changed,
        media.removed,
        labels.written,
        tuple(sorted(move.left.values())),
        tuple(sorted(media.absent)),
        media.elsewhere,
        media.bare,
        labels.staged.notes if labels.staged is not None else (),
    )
