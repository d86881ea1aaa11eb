"""Exporting: a state, walked once or twice, becomes files in a named profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.registry import container, exporter
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.state import State


class ExportReport(NamedTuple):
    """What an export wrote: `unchanged` where an identical one was there; `notes` say what has no place in it."""

    path: Path
    profile: str
    entries: int
    inputs: int
    annotations: int
    unchanged: bool
    notes: tuple[str, ...]


def export_state(state: State, format: str, path: Path, *, media: bool, force: bool) -> ExportReport:
    """Write a state in a format. Raises RefusedError where something else is at `path`, UsageError."""
    writer = exporter(format)
    kind = target_kind(path)
    if kind == "json" and not getattr(writer, "single_file", False):
        raise UsageError(f"{format} has no form of one .json file", "name a folder or a .zip")
    if kind == "json" and media:
        raise UsageError("one .json file has no place for media", "name a folder or a .zip")
    if ".dsvc" in path.absolute().parts:
        raise RefusedError(f"{path} lies in a repository's own folder", "name another place")
    with container().open_target(path, kind, force) as target:
        report = writer.export(state, target, media=media)
    return ExportReport(
        path, writer.profile, report.entries, report.inputs, report.annotations, target.unchanged, tuple(report.notes)
    )


def target_kind(path: Path) -> str:
    """What a path's suffix asks for: "zip", "json" or "folder"."""
    return {".zip": "zip", ".json": "json"}.get(path.suffix.lower(), "folder")
