"""Setting aside: damaged files are kept, under `.dsvc/damaged`, for whoever wants to look at them."""

from __future__ import annotations

import shutil
from pathlib import Path

from dsvc.store.files import refusing

FOLDER = "damaged"


class Aside:
    """A folder for what a repair replaces. Nothing is kept without a folder: then nothing is replaced either."""

    def __init__(self, repository: Path | None, name: str) -> None:
        """`repository` is the folder that has the head, `name` that of this repair."""
        self._from = repository
        self.folder = repository / FOLDER / name if repository is not None else None
        self.kept: list[str] = []

    def keep(self, name: str) -> None:
        """Move a file aside, or copy it where it is the head, which is replaced in one step. Raises RefusedError."""
        if self._from is None or self.folder is None:
            return
        source, target = self._from / name, self.folder / name
        with refusing(source):
            if not source.exists():
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            if name == "head":
                shutil.copyfile(source, target)
            else:
                source.replace(target)
        self.kept.append(name)
