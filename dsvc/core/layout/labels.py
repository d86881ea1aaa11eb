"""The annotation files of a folder that is brought to a commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.core.layout.annotations import Staged, stage
from dsvc.core.layout.ground import BlockedError
from dsvc.core.registry import exporter
from dsvc.model.tree import Tree
from dsvc.model.treediff import diff_trees
from dsvc.store import codec
from dsvc.store.files import refusing

if TYPE_CHECKING:
    from dsvc.core.layout.move import Move
    from dsvc.model.snapshot import Roots

_FOLDER = "annotations"


class LabelMove:
    """What becomes of the annotation files. `written` are the names of those that were."""

    def __init__(self, move: Move, is_to_look: bool) -> None:
        self._move = move
        self.staged: Staged | None = None
        self.written: tuple[str, ...] = ()
        self.is_stale = self._is_stale(is_to_look)

    def _is_stale(self, is_to_look: bool) -> bool:
        """Whether they have to be made anew to see what is to be there."""
        move, record = self._move, self._move.record
        if len(move.olds) != 1 or record.is_pending or not record.files:
            return True
        before = move.olds[0]
        if before.keys != move.new.keys or not self._says_the_same(before.snapshot.roots, move.new.snapshot.roots):
            return True
        if any(key.startswith("/") for key in record.behind):
            return True
        return not all(self._is_laid(name, hashes, is_to_look) for name, hashes in record.files.items())

    def _says_the_same(self, was: Roots, now: Roots) -> bool:
        """Whether nothing has changed that the files follow from: media may have, that have the same facts."""
        facts = getattr(exporter(self._move.checkout.format), "media_facts", None)
        if was == now or facts is None or msgspec.structs.replace(was, inputs=now.inputs) != now:
            return was == now
        store, cache = self._move.repository.store, self._move.repository.cache
        changes = diff_trees(Tree(store, was.inputs, cache), Tree(store, now.inputs, cache))
        return all(old and new and _facts(old, facts) == _facts(new, facts) for _, old, new in changes)

    def _is_laid(self, name: str, hashes: tuple[str, ...], is_to_look: bool) -> bool:
        """Whether a file is as it was laid out; one that was deleted counts as that, unless it is to be looked at."""
        path, files = self._move.path(name), self._move.files
        try:
            stamp = files.ground.stamp(path)
            return files.hash(path, stamp).hex() in hashes if stamp is not None else not is_to_look
        except BlockedError:
            return False

    def stage(self, workplace: str) -> Staged:
        """Write them under passing names."""
        move, folder = self._move, Path(workplace, _FOLDER)
        with refusing(folder):
            folder.mkdir()
        self.staged = stage(move.state, move.new, move.checkout.format, folder)
        return self.staged

    def write(self) -> None:
        """Give them their names, and remove those that are no more."""
        if self.staged is not None:
            self.written = tuple(self._place(self.staged))
            for name in self._move.record.files.keys() - self.staged.hashes.keys():
                self._remove(name)

    def _place(self, staged: Staged) -> Iterator[str]:
        move = self._move
        for name, hash in staged.hashes.items():
            path = move.path(name)
            try:
                olds = self._replaceable(name, path, hash)
                task = move.files.task(path, hash, olds, move.is_full or not olds)
                if task is not None:
                    place = staged.path(name)
                    with refusing(place):
                        found = place.stat()
                    move.files.rename(str(place), task, (found.st_size, found.st_mtime_ns, found.st_ino))
                    yield name
            except BlockedError as error:
                move.leave(path, str(error))

    def _remove(self, name: str) -> None:
        move, path = self._move, self._move.path(name)
        olds = self._laid(name)

        def work() -> None:
            if move.files.is_removable(path, olds):
                move.files.remove(path, move.checkout.folder)

        move.guard(path, work)

    def _laid(self, name: str) -> set[bytes]:
        return {bytes.fromhex(hash) for hash in self._move.record.files.get(name, ())}

    def _replaceable(self, name: str, path: str, new: bytes) -> set[bytes]:
        """The hashes of a file that may be written anew: as it was laid out, or saying what the commit says."""
        from dsvc.core.layout.saying import is_said

        move, olds = self._move, self._laid(name)
        stamp = move.files.ground.stamp(path) if olds else None
        found = move.files.hash(path, stamp) if stamp is not None else new
        is_edited = found != new and found not in olds and not move.record.is_pending
        if is_edited and is_said(move.repository, move.checkout, move.record, name, found.hex(), move.commit):
            olds.add(found)
        return olds


def _facts(value: bytes, facts: tuple[str, ...]) -> dict[str, Any]:
    """An input as it is stored, but that of its media there are some facts alone."""
    fields: dict[str, Any] = codec.unpack(value, "input")
    media = fields.get("media") or {}
    return {**fields, "media": {name: media.get(name) for name in facts}}
