"""Fixtures of the store's tests: the same tests run over every backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsvc.store.backend import Backend
from dsvc.store.bucket import BucketBackend
from dsvc.store.local import LocalBackend
from dsvc.store.memory import MemoryBackend


@pytest.fixture(params=["memory", "local", "store in memory", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "memory":
        return MemoryBackend()
    if request.param == "local":
        return LocalBackend(tmp_path / ".dsvc")
    pytest.importorskip("obstore", reason="the package obstore is missing")
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket_server")
        return BucketBackend(bucket.store(), bucket.new_url().split("/", 3)[3])
    from obstore.store import MemoryStore

    return BucketBackend(MemoryStore(), "pets")
