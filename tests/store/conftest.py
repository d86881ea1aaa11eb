"""Fixtures of the store's tests: the same tests run over every backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsvc.store.backend import Backend
from dsvc.store.local import LocalBackend
from dsvc.store.memory import MemoryBackend


@pytest.fixture(params=["memory", "local"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "memory":
        return MemoryBackend()
    return LocalBackend(tmp_path / ".dsvc")
