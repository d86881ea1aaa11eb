"""Which inputs are the same by another key: those with the same bytes, and all or most of their annotations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from blake3 import blake3

from dsvc.core.diffing.grouping import annotation_entries
from dsvc.model.geometry import Size, pair_by_place, size_of
from dsvc.model.records import Annotation, Input, decode_annotation, decode_input
from dsvc.model.snapshot import Snapshot
from dsvc.model.treediff import Change as Entry
from dsvc.store import codec

# Comparing each input that is gone with each that came is left out where so many have the same bytes.
_MOST_COMPARED = 400
# The share of the annotations that must be the same.
_MOST = 0.5


class Rename(NamedTuple):
    """The key that an input had, and whether its annotations are the same, ids and all."""

    old_key: str
    is_plain: bool


class _One(NamedTuple):
    """An input that is on one side only, and a digest of its annotations, ids and all; empty where it has none."""

    key: str
    digest: bytes

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


def find_renames(old: Snapshot, new: Snapshot, entries: Iterable[Entry]) -> dict[str, Rename]:
    """The inputs that have another key, by the new one, among the entries of inputs that differ.

    What was removed and what was added must refer to the same bytes, and half of the annotations at least must be on
    both sides: by id, or in the same place. Without media, number and size are to be the same; without a number, all
    annotations, ids included.
    """
    removed, added = [], []
    for entry in entries:
        if entry.new is None:
            removed.append(entry)
        elif entry.old is None:
            added.append(entry)
    if not removed or not added:
        return {}
    here, there = _by_identity(removed), _by_identity(added)
    found: dict[str, Rename] = {}
    for identity in sorted(here.keys() & there.keys()):
        gone = [_One(key, _digest(old, key)) for key in here[identity]]
        came = [_One(key, _digest(new, key)) for key in there[identity]]
        found.update(_match(old, new, gone, came, bool(identity)))
    return found


def _by_identity(entries: list[Entry]) -> dict[bytes, list[str]]:
    """Inputs by what they are, whatever their key."""
    found: dict[bytes, list[str]] = {}
    for entry in entries:
        record = decode_input(entry.key, entry.old or entry.new or b"")
        found.setdefault(_identity(record), []).append(record.key)
    return found


def _identity(record: Input) -> bytes:
    """The hash of an input's bytes, else their place, else its number and size; nothing where it has none of them."""
    media = record.media
    if media is not None and media.blob is not None:
        return bytes(media.blob)
    if media is not None and media.reference is not None:
        return bytes(media.reference.hash or b"") or media.reference.place.encode()
    return codec.encode([record.number, *(size_of(record) or ())]) if record.number is not None else b""


def _digest(snapshot: Snapshot, key: str) -> bytes:
    entries = annotation_entries(snapshot, key)
    return blake3(codec.encode([[id, value] for id, value in entries.items()])).digest() if entries else b""


def _match(
    old: Snapshot, new: Snapshot, removed: list[_One], added: list[_One], is_known: bool
) -> Iterator[tuple[str, Rename]]:
    """Renames by new keys: first those with equal annotations, a file that kept its name before others."""
    gone, came = ({one.key: one for one in side if one.digest or is_known} for side in (removed, added))
    for by_name in (True, False):
        waiting: dict[tuple[bytes, str], list[_One]] = {}
        for one in reversed(came.values()):
            waiting.setdefault((one.digest, one.name if by_name else ""), []).append(one)
        for one in list(gone.values()):
            if partners := waiting.get((one.digest, one.name if by_name else "")):
                partner = partners.pop()
                del gone[one.key], came[partner.key]
                yield partner.key, Rename(one.key, True)
    if is_known and len(gone) * len(came) <= _MOST_COMPARED:
        yield from _match_most(old, new, list(gone.values()), list(came.values()))


def _match_most(old: Snapshot, new: Snapshot, removed: list[_One], added: list[_One]) -> Iterator[tuple[str, Rename]]:
    """Renames by new keys, by most of their annotations, the largest share first."""
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
            yield new_key, Rename(old_key, False)


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
