"""The media of a folder that is brought to a commit: which files go, which are written, which are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.layout.contents import contents_of
from dsvc.core.layout.ground import BlockedError, wrong_key
from dsvc.core.layout.linking import links
from dsvc.core.layout.placing import Task, copies, in_pack_order, write_files
from dsvc.core.layout.record import Layer
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.files.comparing import StoredMedia
    from dsvc.core.layout.move import Move


class _Wish(NamedTuple):
    """What is wanted of one key: its bytes, if any, and the ids of those that its file may have by now."""

    blob: bytes | None
    olds: set[bytes]


class MediaMove:
    """What becomes of the media. `removals` are paths of files that go; `tasks` are files to write.

    `waiting` are keys of files that something is in the way of, which may go with the removals. `absent` are keys whose
    bytes the repository does not hold, `elsewhere` counts those that refer to bytes which stay where they
    are, `bare` those without media.
    """

    def __init__(self, move: Move) -> None:
        self._move = move
        self._wishes: dict[str, _Wish] = {}
        self.elsewhere = 0
        self.bare = 0
        self.absent: list[str] = []
        self.added = self.changed = 0
        self._find_wishes()
        self.removals = list(self._find_removals())
        self.waiting: list[str] = []
        self.tasks = self._in_order(self._find_tasks())

    def _find_wishes(self) -> None:
        """Find what is wanted of each key that has to be looked at."""
        move = self._move
        for old in move.olds:
            for key, was, now in old.differences(move.new):
                self._wish(key, now).olds.update(_bytes_of(was))
        for key, commit in move.record.behind.items():
            if not key.startswith("/"):
                self._wish(key, move.new.of(key)).olds.update(self._laid_before(key, commit))
        for key, media in move.new.media() if move.is_full else ():
            blob = _bytes_of(media)
            if blob:
                self._wishes.setdefault(key, _Wish(blob[0], set(blob) if move.olds else set()))
            elif media is not None and media.reference is not None:
                self.elsewhere += 1
            else:
                self.bare += 1

    def _wish(self, key: str, now: StoredMedia | None) -> _Wish:
        return self._wishes.setdefault(key, _Wish(now.blob if now is not None else None, set()))

    def _laid_before(self, key: str, commit: str) -> list[bytes]:
        """The bytes that a file which was left alone had come from."""
        found = contents_of(self._move.repository, Layer(ObjectId(bytes.fromhex(commit)))) if commit else None
        return _bytes_of(found.of(key)) if found is not None else []

    def was_laid(self, key: str) -> bool:
        """Whether there was a file of a key before."""
        return bool(self._wishes[key].olds)

    def path(self, key: str) -> str:
        """The path of a key's file."""
        return f"{self._move.checkout.media}/{key}"

    def key(self, path: str) -> str | None:
        """The key of a file of media by its path."""
        start = f"{self._move.checkout.media}/"
        return path[len(start) :] if path.startswith(start) else None

    # ---- judging

    def _find_removals(self) -> Iterator[str]:
        for key, wish in self._wishes.items():
            if wish.blob is None and wish.olds and wrong_key(key) is None:
                path = self.path(key)
                try:
                    if self._move.files.is_removable(path, wish.olds):
                        yield path
                except BlockedError as error:
                    self._move.leave(path, str(error))

    def _find_tasks(self) -> Iterator[Task]:
        for key, wish in self._wishes.items():
            if wish.blob is None:
                continue
            if (wrong := wrong_key(key)) is not None:
                self._move.leave(self.path(key), wrong)
                continue
            try:
                task = self._task(key, wish.blob, wish.olds)
            except BlockedError as error:
                if self.removals:
                    self.waiting.append(key)
                else:
                    self._move.leave(self.path(key), str(error))
                continue
            if task is not None:
                yield task

    def _task(self, key: str, blob: bytes, olds: set[bytes]) -> Task | None:
        return self._move.files.task(self.path(key), blob, olds, self._move.is_full or not olds)

    def _in_order(self, tasks: Iterator[Task]) -> list[Task]:
        placed, absent = in_pack_order(self._move.repository.store, tasks)
        self.absent += [self.key(task.path) or "" for task in absent]
        return placed

    def _judged(self) -> Iterator[Task]:
        """The files to write of the keys that have waited."""
        for key in self.waiting:
            wish = self._wishes[key]
            assert wish.blob is not None
            try:
                task = self._task(key, wish.blob, wish.olds)
            except BlockedError as error:
                self._move.leave(self.path(key), str(error))
                continue
            if task is not None:
                yield task

    # ---- doing

    def remove(self) -> None:
        """Remove the files that go, and see what is in the way no more."""
        move = self._move
        for path in self.removals:

            def work(path: str = path) -> None:
                move.files.remove(path, move.checkout.folder)

            move.guard(path, work)
        if self.waiting:
            move.files.ground.look_again()
            self.tasks += self._in_order(self._judged())

    def write(self, workplace: str) -> None:
        """Write the files. Raises RefusedError where the disk is full."""
        move = self._move
        make = links(move.repository) if move.checkout.link else copies(move.repository.store)
        for task, temporary, stamp, problem in write_files(
            move.repository.store, self.tasks, workplace, make, move.progress
        ):
            if stamp is None:
                move.leave(task.path, problem or "")
                continue
            try:
                move.files.rename(temporary, task, stamp)
            except BlockedError as error:
                move.leave(task.path, str(error))
                continue
            if task.expected is None:
                self.added += 1
            else:
                self.changed += 1

    def pretend(self) -> None:
        """Count what would be written."""
        self.changed = sum(task.expected is not None for task in self.tasks)
        self.added = len(self.tasks) - self.changed + len(self.waiting)

    @property
    def removed(self) -> int:
        """How many files went."""
        return sum(path not in self._move.left for path in self.removals)


def _bytes_of(media: StoredMedia | None) -> list[bytes]:
    """The id of stored bytes, if there are any."""
    return [media.blob] if media is not None and media.blob is not None else []
