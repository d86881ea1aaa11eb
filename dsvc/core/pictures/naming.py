"""Names of states, for titles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsvc.core.state import State


def called(state: State) -> str:
    """What a state is called: `pets@v1`, `pets:main`, `pets@3fa9c1`, or the draft of a dataset."""
    revision = state.revision
    if revision.version is not None:
        return f"{revision.dataset}@{revision.version}"
    if revision.commit is None:
        return f"the draft of {revision.dataset}"
    return f"{revision.dataset}@{revision.commit.short()}"
