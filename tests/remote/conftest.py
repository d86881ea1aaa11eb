"""A dataset to send, and a remote to send it to."""

from pathlib import Path

import pytest

from dsvc.core.dataset import Dataset
from dsvc.remote.settings import Remote, add_remote

from .workspaces import project


@pytest.fixture
def ours(tmp_path: Path) -> Dataset:
    """A dataset with media and annotations, one commit and one version."""
    dataset = project(tmp_path / "ours", images=3)
    dataset.create_version("v1", "as it came")
    return dataset


@pytest.fixture
def origin(ours: Dataset, tmp_path: Path) -> Remote:
    """A remote of theirs, in a folder that is not there yet."""
    return add_remote(ours.repository, "origin", str(tmp_path / "store"))
