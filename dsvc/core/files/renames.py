"""Renamed files, recognised by their bytes.

A file at another name than before, with the bytes of an input whose own file is gone, is that input's file. The name
that it has now may be that of another input, whose file then has a new name too, or is gone: so a chain of names that
moves on by one, or two names that change places, are renames, and labels stay with their pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dsvc.core.files.filetable import NO_BLOB
from dsvc.store.ids import Kind, object_id

if TYPE_CHECKING:
    from dsvc.core.files.comparing import Compared
    from dsvc.core.files.workfiles import WorkFiles

_EMPTY = object_id(Kind.BLOB, b"")


def find_renames(
    compared: Compared, files: WorkFiles, read: Callable[[Iterable[str]], None]
) -> tuple[tuple[str, str], ...]:
    """The old and new keys of renamed files, in the order of the new ones. `read` has files of keys read."""
    if not compared.missing and not compared.modified:
        return ()
    wanted, sizes = _wanted(compared)
    # Where nothing is missing, files can only have changed places.
    fresh = _ordered(compared.new - compared.named) if compared.missing else []
    # A size below zero is that of no stamp.
    candidates = [key for key in fresh if (size := _size(files, key)) in sizes or size < 0]
    read([key for key in candidates if _blob(files, key) == NO_BLOB])
    pairs: dict[str, str] = {}
    # An empty file may be what is left of any other.
    taken_over = [key for key in _ordered(compared.modified) if _blob(files, key) != _EMPTY]
    for key in (*taken_over, *candidates):
        olds = wanted.get(_blob(files, key), [])
        if olds:
            pairs[key] = olds.pop(0)
    return tuple((old, new) for new, old in sorted(_sound(pairs, compared), key=lambda pair: pair[0].encode()))


def _wanted(compared: Compared) -> tuple[dict[bytes, list[str]], set[int | None]]:
    """Inputs whose own file is gone or has other bytes, by theirs; and the sizes of the former."""
    wanted: dict[bytes, list[str]] = {}
    sizes = set()
    for key in (*_ordered(compared.missing), *_ordered(compared.modified)):
        media = compared.media(key)
        if media is not None and media.blob is not None:
            wanted.setdefault(media.blob, []).append(key)
            sizes.add(media.size)
    return wanted, sizes


def _sound(pairs: dict[str, str], compared: Compared) -> list[tuple[str, str]]:
    """Without the pairs whose old key still has a file that nothing else explains: that was edited, and copied."""
    while True:
        kept = {new: old for new, old in pairs.items() if old in compared.missing or old in pairs}
        if len(kept) == len(pairs):
            return list(kept.items())
        pairs = kept


def _size(files: WorkFiles, key: str) -> int:
    found = files.find(key)
    return found.stamp[0] if found is not None else -1


def _blob(files: WorkFiles, key: str) -> bytes:
    found = files.find(key)
    return found.blob if found is not None else NO_BLOB


def _ordered(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=str.encode)
