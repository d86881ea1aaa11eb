"""Which inputs an edit is about: those named, those that an expression matches, or all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dsvc.core.nearest import no_input
from dsvc.model.snapshot import Snapshot

# Where more than one input in so many is meant, walking over all of them is faster than looking each one up.
MANY = 16


def selected(snapshot: Snapshot, keys: Sequence[str] | None, where: str | None) -> Iterator[tuple[bytes, bytes]]:
    """The inputs that are meant, by key, as they are stored: named by key, matched by `where`, or, with neither, all.

    Raises NotFoundError for a key that is not there, and what a wrong expression raises.
    """
    tree = snapshot.input_tree
    if where is not None:
        from dsvc.core.filters.query import match_inputs

        keys = match_inputs(snapshot, where)
    if keys is None:
        yield from tree
    elif len(keys) * MANY > len(tree):
        yield from _walked(snapshot, keys)
    else:
        for key in sorted({key.encode() for key in keys}):
            value = tree.get(key)
            if value is None:
                raise no_input(key.decode(), snapshot)
            yield key, value


def _walked(snapshot: Snapshot, keys: Iterable[str]) -> Iterator[tuple[bytes, bytes]]:
    wanted = {key.encode() for key in keys}
    for entry in snapshot.input_tree:
        if entry[0] in wanted:
            wanted.remove(entry[0])
            yield entry
    if wanted:
        raise no_input(min(wanted).decode(), snapshot)
