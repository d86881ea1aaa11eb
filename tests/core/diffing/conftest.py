"""Snapshots made of records, to compare."""

from collections.abc import Callable

import pytest
from snapshots import MemoryStore, Record, snapshot_of

from dsvc.model.snapshot import Snapshot


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    """Make a snapshot of records."""
    store = MemoryStore()

    def snapshot(*records: Record) -> Snapshot:
        return snapshot_of(records, store)

    return snapshot
