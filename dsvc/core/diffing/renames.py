"""Which inputs are the same by another key: those with the same bytes, and all or most of their annotations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from blake3 import blake3

from dsvc.core.diffing.grouping import annotation_entries
from dsvc.model.geometry import Size, pair_by_place, size_of
from dsvc.model.records import Annotation, decode_annotation, decode_input
from dsvc.model.snapshot import Snapshot
from dsvc.model.treediff import Change as Entry
from dsvc.store import codec

# Comparing each input that is gone with each that came is left out where so many have the same bytes.
_MOST_COMPARED = 400
# The share of the annotations that must be the same.
_MOST = 0.5


class _One(NamedTuple):
    """An input that is on one side only, and a digest of its annotations, ids and all; empty where it has none."""

    key: str
    digest: bytes

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


def find_renames(old: Snapshot, new: Snapshot, entries: Iterable[Entry]) -> dict[str, str]:
    """The inputs that have another key, among the entries of inputs that differ: new key -> old key.

    What was removed and what was added must refer to the same bytes, and half of the annotations at least must be on
    both sides: by id, or in the same place. An input without media is known by equal annotations alone, ids included.
    """
    removed, added = [], []
    for entry in entries:
        if entry.new is None:
            removed.append(entry)
        elif entry.old is None:
            added.append(entry)
    if not removed or not added:
        return {}
    here, there = _by_bytes(removed), _by_bytes(added)
    found: dict[str, str] = {}
    for bytes_id in sorted(here.keys() & there.keys()):
        sides = (
            [_One(key, _digest(old, key)) for key in here[bytes_id]],
            [_One(key, _digest(new, key)) for key in there[bytes_id]],
        )
        found.update(_match(old, new, *sides, bool(bytes_id)))
    return found


def _by_bytes(entries: list[Entry]) -> dict[bytes, list[str]]:
    """Inputs by what tells which bytes they are: a hash, or the place of a reference; nothing where there are none."""
    found: dict[bytes, list[str]] = {}
    for entry in entries:
        found.setdefault(_bytes_id(entry.key, entry.old or entry.new or b""), []).append(entry.key.decode())
    return found


def _bytes_id(key: bytes, value: bytes) -> bytes:
    media = decode_input(key, value).media
    if media is None or media.blob is not None:
        return bytes(media.blob or b"") if media is not None else b""
    reference = media.reference
    if reference is None:
        return b""
    return bytes(reference.hash) if reference.hash is not None else reference.place.encode()


def _digest(snapshot: Snapshot, key: str) -> bytes:
    entries = annotation_entries(snapshot, key)
    return blake3(codec.encode([[id, value] for id, value in entries.items()])).digest() if entries else b""


def _match(
    old: Snapshot, new: Snapshot, removed: list[_One], added: list[_One], have_media: bool
) -> Iterator[tuple[str, str]]:
    """Pairs of a new and an old key: first with equal annotations, a file that kept its name before others."""
    gone, came = ({one.key: one for one in side if one.digest or have_media} for side in (removed, added))
    for by_name in (True, False):
        waiting: dict[tuple[bytes, str], list[_One]] = {}
        for one in reversed(came.values()):
            waiting.setdefault((one.digest, one.name if by_name else ""), []).append(one)
        for one in list(gone.values()):
            if partners := waiting.get((one.digest, one.name if by_name else "")):
                partner = partners.pop()
                del gone[one.key], came[partner.key]
                yield partner.key, one.key
    if have_media and len(gone) * len(came) <= _MOST_COMPARED:
        yield from _match_most(old, new, list(gone.values()), list(came.values()))


def _match_most(old: Snapshot, new: Snapshot, removed: list[_One], added: list[_One]) -> Iterator[tuple[str, str]]:
    """Pairs of a new and an old key by most of their annotations, the largest share first."""
    before = {one.key: _annotations(old, one.key) for one in removed}
    after = {one.key: _annotations(new, one.key) for one in added}
    sizes = {one.key: size_of(new.input(one.key)) for one in added}
    shares = [
        (-share, a.name != b.name, a.key, b.key)
        for a in removed
        for b in added
        if (share := _share(before[a.key], after[b.key], sizes[b.key])) >= _MOST
    ]
    taken: set[str] = set()
    for _, _, old_key, new_key in sorted(shares):
        if f"-{old_key}" not in taken and f"+{new_key}" not in taken:
            taken |= {f"-{old_key}", f"+{new_key}"}
            yield new_key, old_key


def _annotations(snapshot: Snapshot, key: str) -> dict[str, Annotation]:
    return {
        id.decode(): decode_annotation(f"{key}\0".encode() + id, value)
        for id, value in annotation_entries(snapshot, key).items()
    }


def _share(before: dict[str, Annotation], after: dict[str, Annotation], size: Size | None) -> float:
    """How many of the annotations are on both sides, of those of the side that has more."""
    same = before.keys() & after.keys()
    gone, came = ([a for id, a in side.items() if id not in same] for side in (before, after))
    count = len(same) + len(pair_by_place(gone, came, size=size))
    most = max(len(before), len(after))
    return count / most if most else 1.0
