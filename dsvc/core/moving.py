"""Giving inputs other keys. Their annotations follow, with their ids."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from dsvc.core.keys import check_key
from dsvc.core.nearest import no_input
from dsvc.errors import RefusedError, UsageError
from dsvc.model.extras import forget_spelling
from dsvc.model.node import Store
from dsvc.model.snapshot import Snapshot, SnapshotEdits, edit_roots
from dsvc.model.stored import stored_fields
from dsvc.store import codec

if TYPE_CHECKING:
    from dsvc.core.draft import Draft, DraftState


class MoveReport(msgspec.Struct):
    """Which key became which, and how many annotations followed."""

    moves: dict[str, str]
    annotations: int = 0


def plan_moves(keys: Sequence[str], target: str) -> dict[str, str]:
    """What `mv KEY... TARGET` means: a new key for one input, or, with a `/` at its end, a folder for all of them.

    Raises UsageError where it means nothing, RefusedError for what is no key or would be the key of two.
    """
    if not keys:
        raise UsageError("name the inputs to move", "dsvc mv KEY NEW")
    if target.endswith("/"):
        moves = {key: check_key(target + key.rpartition("/")[2]) for key in keys}
    elif len(keys) == 1:
        moves = {keys[0]: check_key(target)}
    else:
        hint = f"end it with /: dsvc mv KEY... {shlex.quote(target)}/"
        raise UsageError(f"{len(keys)} inputs can only be moved to a folder, and {target!r} is a key", hint)
    taken: dict[str, str] = {}
    for old, new in moves.items():
        if taken.setdefault(new, old) != old:
            raise RefusedError(
                f"{taken[new]!r} and {old!r} would both become {new!r}", "move them to different folders"
            )
    return moves


def move_inputs(draft: Draft, moves: Mapping[str, str]) -> MoveReport:
    """Give inputs other keys: old -> new, no new one twice. Files on disk are not touched.

    Raises NotFoundError for a key that is not there, RefusedError for a new one that is, or that can be none.
    """
    for new in moves.values():
        check_key(new)
    report = MoveReport(dict(moves))

    def step(store: Store, state: DraftState) -> DraftState:
        cache = draft.dataset.repository.cache
        snapshot, edits = Snapshot(store, state.roots, cache), SnapshotEdits()
        for old, new in moves.items():
            value = snapshot.input_tree.get(old.encode())
            if value is None:
                raise no_input(old, snapshot)
            _require_free(snapshot, new, moves)
            edits.inputs[old.encode()] = None
            edits.inputs[new.encode()] = with_other_key(value)
            start = f"{old}\0".encode()
            for tree_key, annotation in snapshot.annotation_tree.prefix(start):
                edits.annotations[tree_key] = None
                edits.annotations[f"{new}\0".encode() + tree_key[len(start) :]] = annotation
        report.annotations = len(edits.annotations) // 2
        return msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits, cache))

    draft.apply(step)
    return report


def _require_free(snapshot: Snapshot, key: str, moves: Mapping[str, str]) -> None:
    tree = snapshot.input_tree
    if key.encode() in tree:
        raise RefusedError(
            f"there is an input {key!r} already", f"move that one away first: dsvc mv {shlex.quote(key)} NEW"
        )
    if next(tree.prefix(f"{key}/".encode()), None) is not None:
        raise RefusedError(
            f"{key!r} is a folder of inputs", f"to move there, end it with /: dsvc mv KEY {shlex.quote(key)}/"
        )
    parts = key.split("/")
    for end in range(1, len(parts)):
        above = "/".join(parts[:end])
        if above.encode() in tree and above not in moves:
            raise RefusedError(f"{above!r} is an input, so it cannot be a folder too", "choose another folder")


def with_other_key(value: bytes) -> bytes:
    """An encoded input without what its source said of its key: exports would write that in place of the new one."""
    fields = stored_fields(value, "input")
    return codec.encode(fields) if forget_spelling(fields) else value
