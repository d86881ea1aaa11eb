"""What is said once a run or an evaluation was taken away."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dsvc.cli.render import out, word
from dsvc.errors import DsvcError

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset

_READ_ONLY = ("http://", "https://")


def tell_ways_back(dataset: Dataset, id: str) -> None:
    """Say what brings a run or an evaluation back that was deleted, wanted or not."""
    from dsvc.remote.settings import list_remotes

    out("dsvc undo brings it back")
    names = []
    with contextlib.suppress(DsvcError):  # settings that make no sense are told by what needs them
        names = [(at, one.name) for at, one in enumerate(list_remotes(dataset.repository)) if _takes(one.url)]
    if names:
        at, name = names[0]
        way = f"dsvc push {f'{word(name)} ' if at else ''}--delete {dataset.name}@{id}"
        out(f"so does a fetch while a remote has it; to delete it there, too: {way}")


def _takes(url: str) -> bool:
    return not url.startswith(_READ_ONLY)
