"""Folders in a ZIP archive: unpacked for a while, imported as folders are, and told of by the archive's name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dsvc.core.imports.reports import ImportReport
from dsvc.core.registry import archive, coco_parts
from dsvc.errors import DsvcError, InvalidRecordsError


@contextmanager
def unpacked(data: memoryview, path: Path) -> Iterator[Path]:
    """The folder of COCO files that an archive holds, for as long as the block lasts.

    Errors of the block name the archive. Raises InvalidRecordsError, RefusedError.
    """
    with tempfile.TemporaryDirectory(prefix="dsvc-", ignore_cleanup_errors=True) as temporary:
        top = Path(temporary).resolve() / (path.stem or "archive")
        top.mkdir()
        archive().extract(data, path.name, top)
        try:
            yield _inner(top)
        except DsvcError as error:
            _rename(error, top, path)
            raise


def _inner(top: Path) -> Path:
    """The folder itself, or the one folder in it, where that is the one that holds COCO files."""
    found = list(top.iterdir())
    if len(found) == 1 and found[0].is_dir() and not coco_parts(top).parts:
        return found[0]
    return top


def _rename(error: DsvcError, top: Path, path: Path) -> None:
    """Have an error speak of the archive instead of the folder."""

    def renamed(text: str) -> str:
        return text.replace(str(top), str(path))

    error.message = renamed(error.message)
    error.args = (error.message,)
    error.hint = renamed(error.hint) if error.hint is not None else None
    if isinstance(error, InvalidRecordsError):
        error.problems = tuple(map(renamed, error.problems))


def told_of(report: ImportReport, folder: Path, path: Path) -> ImportReport:
    """A report that speaks of the archive instead of the folder."""

    def renamed(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(text.replace(str(folder), str(path)) for text in texts)

    return report._replace(notes=renamed(report.notes), problems=renamed(report.problems))
