"""Noting references in a state: what becomes of an input whose key is there already.

Nothing is replaced unseen: bytes that the repository holds stay, and so does a reference to another place, unless
the hash says that the bytes are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from dsvc.core.keys import display
from dsvc.core.references.places import shown_place
from dsvc.model.clashes import with_fields
from dsvc.model.records import Input, Media, Reference, decode_input, encode_input
from dsvc.model.tree import Tree
from dsvc.store import codec

# Beyond one key in this many of a tree, it is walked from end to end: that costs a tenth of a search per entry.
_FEW = 16


class PlaceProblem(NamedTuple):
    """A place that could not be taken, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{shown_place(self.place)}: {self.reason}"


class Noted(NamedTuple):
    """What noting references comes to: the edits of the input tree, how many inputs are new and changed, problems."""

    edits: dict[bytes, bytes | None]
    new: int
    changed: int
    problems: list[PlaceProblem]


def encode_unread(place: str, size: int | None, etag: str | None, mtime: int | None, type: str | None) -> bytes:
    """The value of a new input that refers to bytes which were not read: that of `encode_input`, in less time."""
    if (
        etag is None and type is not None and size is not None and mtime is not None
    ):  # nearly all of what lies in folders
        reference = {"mtime": mtime, "place": place, "size": size}
        return codec.pack({"media": {"reference": reference, "size": size, "type": type}})
    return encode_input(
        Input(
            key="",
            media=Media(reference=Reference(place=place, size=size, etag=etag, mtime=mtime), type=type, size=size),
        )
    )


def note_references(inputs: Tree, found: Mapping[bytes, bytes]) -> Noted:
    """Lay references over a tree of inputs. `found` has the values that their inputs have where they are new."""
    edits, new, changed, problems = dict[bytes, bytes | None](), 0, 0, list[PlaceProblem]()
    there = dict(_there(inputs, found))
    if not there:
        return Noted(dict(found), len(found), 0, [])
    for tree_key, value in found.items():
        old = there.get(tree_key)
        if old is None:
            new += 1
            edits[tree_key] = value
        elif old != value:
            record, media = decode_input(tree_key, old), decode_input(tree_key, value).media
            assert media is not None and media.reference is not None
            result = _united(record.media, media, media.reference)
            if isinstance(result, str):
                problems.append(PlaceProblem(media.reference.place, f"the input '{display(record.key)}' {result}"))
            elif result != record.media:
                changed += 1
                edits[tree_key] = encode_input(with_fields(record, {"media": result}))
    return Noted(edits, new, changed, problems)


def _there(inputs: Tree, found: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a tree whose keys are among these."""
    if len(inputs) == 0 or not found:
        return
    if len(found) * _FEW < len(inputs):
        for key in found:
            value = inputs.get(key)
            if value is not None:
                yield key, value
        return
    for key, value in inputs.items(min(found), max(found) + b"\0"):
        if key in found:
            yield key, value


def _united(old: Media | None, new: Media, reference: Reference) -> Media | str:
    """The media of an input that gets a reference, or what speaks against it."""
    if old is None or (old.blob is None and old.reference is None):
        return new
    before = old.reference
    if before is not None and before.place == reference.place and _is_known(before, reference):
        return old
    if old.blob is not None:
        if reference.hash == old.blob:
            return msgspec.structs.replace(old, reference=reference)
        if reference.hash is not None or (old.size is not None and reference.size not in (None, old.size)):
            return "has other bytes, which are stored: take it away first (dsvc rm), or give the place another key"
        return "has stored bytes, and only a hash tells whether these are the same: leave --no-hash out"
    assert before is not None
    if before.place == reference.place or (reference.hash is not None and reference.hash == before.hash):
        return new
    return f"refers to {shown_place(before.place)}: take it away first (dsvc rm), or give the place another key"


def _is_known(before: Reference, now: Reference) -> bool:
    """Whether a look that took no hash tells nothing that a reference to the same place does not say already."""
    return now.hash is None and (now.size, now.etag, now.mtime) == (before.size, before.etag, before.mtime)
