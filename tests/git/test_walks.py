"""Random walks of several people through clones; after each step, what must hold holds."""

from pathlib import Path

import pytest

from .walking import Walk


@pytest.mark.parametrize("seed", [4])
def test_whatever_people_do_nothing_is_lost_and_the_data_follows(tmp_path: Path, seed: int) -> None:
    Walk(tmp_path / "people", seed, worktrees=False).run(24)
