"""Taking runs away, from the ledger and from the disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dsvc.core.automatic import drop_entry
from dsvc.core.training.folder import RunFolder
from dsvc.core.training.record import runs_folder
from dsvc.core.transaction import Refs
from dsvc.errors import RefusedError
from dsvc.model.view import RUN

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.core.training.comparing import KeptRun


def drop_run(run: KeptRun, *, dry_run: bool = False) -> tuple[list[str], bool]:
    """Take a run away with its folder; the versions that went with it, and whether the folder is gone.

    `dry_run` only says what would go.
    """
    repository, id = run.dataset.repository, run.entry.id
    gone: list[str] = []

    def change(refs: Refs) -> None:
        gone[:] = drop_entry(refs, run.dataset, RUN, id)

    if dry_run:
        change(Refs(repository.view))
        return gone, False
    repository.change(f"runs delete {id}", change)
    runs = runs_folder(repository)
    return gone, runs is None or not os.path.lexists(runs / id) or RunFolder(runs / id).remove()


def find_folder(repository: Repository, id: str) -> RunFolder | None:
    """The folder of a run by its whole id, if there is one. Raises RefusedError where the run is going on."""
    runs = runs_folder(repository)
    if runs is None or not RunFolder.is_id(id) or not (runs / id).is_dir():
        return None
    folder = RunFolder(runs / id)
    note = folder.read()
    if not folder.hold():
        process = f": end its command first, process {note.process.id}" if note is not None and note.process else ""
        raise RefusedError(f"run {id} is going on", f"it can be deleted once it is over{process}")
    return folder
