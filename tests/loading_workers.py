"""What processes do in the tests of loading: by name, so that one that is started anew finds it."""

import os
from collections.abc import Iterable
from typing import Any

PARENTS: list[Any] = []  # what a test leaves here, a process that is forked finds


def read_all(data: Any, places: Iterable[int]) -> list[Any]:
    return [data[at] for at in places]


def read_of_parent(at: int) -> tuple[Any, bool, int]:
    """An item of what a forked process has from its parent; whether it opened the repository anew; how many were."""
    data = PARENTS[0]
    before = data._source._state
    item = data[at]
    return item, data._source.state is not before, os.getpid()


def read_batch(data: Any, places: Iterable[int]) -> None:
    assert len(data.__getitems__(places)) > 0
