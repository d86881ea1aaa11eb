"""Exporting: a state, walked once or twice, becomes files in a named profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.proving import proving
from dsvc.core.registry import container, exporter
from dsvc.errors import InvalidRecordsError, RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.state import State
    from dsvc.model.incoming import Progress
    from dsvc.model.walk import Walk


class ExportReport(NamedTuple):
    """What an export wrote: `unchanged` where an identical one was there; `notes` say what was converted or left out.

    `losses` are those of the notes that say what was left out.
    """

    path: Path
    profile: str
    entries: int
    inputs: int
    annotations: int
    unchanged: bool
    notes: tuple[str, ...]
    losses: tuple[str, ...] = ()


def walk_of(state: State, *, media: bool, where: str | None, progress: Progress | None = None) -> Walk:
    """What an exporter shall see of a state. Raises RefusedError for open conflicts and where nothing matches,
    FilterError."""
    from dsvc.core.merging.conflicts import require_settled

    require_settled(state.snapshot)
    walk: Walk = state
    if where is not None:
        from dsvc.core.filters.matching import Matching

        walk = Matching(state, where, progress)
    if media:
        from dsvc.core.ahead import WithMedia
        from dsvc.model.view import tombstones

        walk = WithMedia(walk, state.repository.store, tombstones(state.repository.view).keys())
    return walk


def export_state(
    walk: Walk, format: str, path: Path, *, media: bool, force: bool, strict: bool = False, is_own: bool = False
) -> ExportReport:
    """Write a state in a format. Raises RefusedError where something else is at `path`, UsageError.

    `is_own` tells that it goes to a place in the repository's own folder, by purpose.

    With `strict`, nothing is written where anything would be left out: InvalidRecordsError says what, and how much.
    """
    writer = exporter(format)
    kind = target_kind(path)
    if kind == "json" and not getattr(writer, "single_file", False):
        raise UsageError(f"{format} has no form of one .json file", "name a folder or a .zip")
    if kind == "json" and media:
        raise UsageError("one .json file has no place for media", "name a folder or a .zip")
    if ".dsvc" in path.absolute().parts and not is_own:
        raise RefusedError(f"{path} lies in a repository's own folder", "name another place")
    with container().open_target(path, kind, force) as target, proving(walk):
        report = writer.export(walk, target, media=media)
        # A package's own exporter may know of no losses.
        losses = tuple(getattr(report, "losses", ()))
        if strict and losses:
            message = f"{writer.profile} has no place for all of this; nothing was written"
            raise InvalidRecordsError(message, losses, "to leave it out: the same without --strict")
    counts = (report.entries, report.inputs, report.annotations)
    return ExportReport(path, writer.profile, *counts, target.unchanged, tuple(report.notes), losses)


def target_kind(path: Path) -> str:
    """What a path's suffix asks for: "zip", "json" or "folder"."""
    return {".zip": "zip", ".json": "json"}.get(path.suffix.lower(), "folder")
