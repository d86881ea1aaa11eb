"""Fixtures of the store's tests: the same tests run over every backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from remote.clouds import serving

from dsvc.store.backend import Backend
from dsvc.store.bucket import BucketBackend
from dsvc.store.local import LocalBackend
from dsvc.store.memory import MemoryBackend

KINDS = ("memory", "local", "store in memory", "s3", "gs", "az")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The contract is checked on every kind of backend; what builds on it, on one of each client's kind."""
    if "backend" in metafunc.fixturenames:
        every = metafunc.module.__name__.endswith("test_backend")
        metafunc.parametrize("backend", KINDS if every else KINDS[:4], indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "memory":
        yield MemoryBackend()
        return
    if request.param == "local":
        yield LocalBackend(tmp_path / ".dsvc")
        return
    pytest.importorskip("obstore", reason="the package obstore is missing")
    if request.param == "store in memory":
        from obstore.store import MemoryStore

        yield BucketBackend(MemoryStore(), "pets")
    elif request.param == "s3":
        bucket = request.getfixturevalue("bucket_server")
        yield BucketBackend(bucket.store(), bucket.new_url().split("/", 3)[3])
    else:
        with serving() as cloud:
            yield BucketBackend(cloud.google() if request.param == "gs" else cloud.azure(), "pets")
