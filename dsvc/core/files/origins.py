"""From which folders of keys files were taken, where the keys alone do not say so.

Where keys begin with the name of a tracked folder, an input of that name came from there. In a project that is tracked
as a whole, or a folder that keys are relative to, nothing tells an input whose file was deleted from one that came
from elsewhere, an import say. So it is noted, for each dataset, in which folders files were taken, before they are.
This is no cache: it cannot be made anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from dsvc.core.workspace import Workspace
from dsvc.store.files import refusing

FILE = "origins"


def load_origins(workspace: Workspace, dataset: str) -> frozenset[str]:
    """The folders, by the part of their files' keys before the last slash ("" for none), noted of a dataset."""
    found = set()
    for line in _lines(workspace):
        try:
            name, place = json.loads(line)
            if name == dataset:
                found.add(str(place))
        except (ValueError, TypeError):  # the end of a line that a killed process did not write to its end
            continue
    return frozenset(found)


def note_origins(workspace: Workspace, dataset: str, places: Iterable[str]) -> None:
    """Note folders of a dataset, those that are not noted yet. Raises RefusedError, for a full disk say."""
    new = sorted(set(places) - load_origins(workspace, dataset))
    if not new or workspace.folder is None:
        return
    # The line end before it, too: what is appended must not join the end of a line that was cut off.
    text = "\n" + "".join(json.dumps([dataset, place]) + "\n" for place in new)
    path = workspace.folder / FILE
    with refusing(path), path.open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _lines(workspace: Workspace) -> list[bytes]:
    if workspace.folder is None:
        return []
    path = workspace.folder / FILE
    with refusing(path):
        return path.read_bytes().splitlines() if path.exists() else []
