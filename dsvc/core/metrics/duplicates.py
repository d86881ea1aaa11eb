"""Inputs that have the same bytes."""

from __future__ import annotations

from dsvc.model.snapshot import Snapshot


def find_duplicates(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """The keys of inputs whose bytes are the same, group by group, in the order of the keys. Raises DamagedError.

    Of a reference whose bytes were never read, they are not known.
    """
    found: dict[bytes, list[str]] = {}
    for record in snapshot.inputs():
        media = record.media
        if media is not None:
            blob = media.blob or (media.reference.hash if media.reference is not None else None)
            if blob is not None:
                found.setdefault(bytes(blob), []).append(record.key)
    return [tuple(keys) for keys in found.values() if len(keys) > 1]
