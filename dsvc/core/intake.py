"""What a dataset takes in: files and folders, references, imports; and how its tracked folders stand beside it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from dsvc.core.dataset import Dataset
    from dsvc.core.draft import Draft
    from dsvc.core.files.adding import AddReport
    from dsvc.core.files.scanning import Lister
    from dsvc.core.files.workfiles import FileStatus
    from dsvc.core.imports.reports import ImportReport
    from dsvc.core.layout.changes import FolderChanges
    from dsvc.core.references.asked import Asked
    from dsvc.core.references.materializing import MaterializeReport
    from dsvc.core.references.referring import ReferenceReport
    from dsvc.core.repository import Repository
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress


class _Open(Protocol):
    name: str
    branch: str
    repository: Repository

    def draft(self) -> State: ...
    def edit(self, command: str = "edit") -> AbstractContextManager[Draft]: ...


class Intake:
    """A dataset's ways in. Each is one operation, staged in the draft."""

    def add(self: _Open, *paths: str | Path, root: str | Path | None = None, **options: Any) -> AddReport:
        """Take files and folders into the draft; keys are relative to `root`, by default the project folder."""
        with self.edit(f"add {' '.join(map(str, paths))}"[:200]) as draft:
            return draft.add(*paths, root=root, **options)

    def add_all(self: _Open, progress: Progress | None = None) -> AddReport:
        """Take in all that changed in the tracked folders: new files, other bytes, other names, files that are gone."""
        with self.edit("add -A") as draft:
            return draft.add_all(progress)

    def untrack(self: _Open, *folders: str) -> None:
        """Look at tracked folders, named by their paths below the project's root, no more. Raises NotFoundError."""
        from dsvc.core.files.tracking import untrack

        untrack(self.repository.workspace, folders, self.name)

    def files(self: _Open, progress: Progress | None = None, lister: Lister | None = None) -> FileStatus:
        """What the tracked folders hold beside the draft: files that are new, modified, missing, renamed.

        `lister` may have begun to look through them.
        """
        from dsvc.core.files.workfiles import FileStatus, WorkFiles

        if self.repository.root is None:
            return FileStatus(())
        return WorkFiles(cast("Dataset", self)).compare(self.draft().snapshot.roots, progress, lister=lister)

    def folders(self: _Open, progress: Progress | None = None) -> list[FolderChanges]:
        """What was changed in the folders that are laid out of the dataset, beside what was taken in already."""
        from dsvc.core.layout.folders import are_remembered

        if not are_remembered(self.repository.workspace):
            return []
        from dsvc.core.layout.changes import folder_changes

        return folder_changes(cast("Dataset", self), progress)

    def add_references(self: _Open, *places: str | Path | Asked, **options: Any) -> ReferenceReport:
        """Refer to files, folders, URLs and prefixes that end in `/`; their bytes stay where they are.

        See `dsvc.core.references.referring.add_references` for the options.
        """
        from dsvc.core.references.referring import add_references

        return add_references(cast("Dataset", self), places, **options)

    def materialize(self: _Open, *keys: str, **options: Any) -> MaterializeReport:
        """Copy in the bytes that inputs refer to: of these keys, or of all with `all=True`.

        See `dsvc.core.references.materializing.materialize` for the options.
        """
        from dsvc.core.references.materializing import materialize

        return materialize(cast("Dataset", self), keys, **options)

    def import_(self: _Open, path: str | Path, **options: Any) -> ImportReport:
        """Import a file or a folder into the draft; see `dsvc.core.imports.importing.import_path` for the options."""
        with self.edit(f"import {path}") as draft:
            return draft.import_(path, **options)
