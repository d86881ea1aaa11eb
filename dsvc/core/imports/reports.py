"""What an import is told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from dsvc.core.imports.delivery import Sync, Tally
from dsvc.core.imports.originals import MediaReport, listed_keys
from dsvc.core.imports.sources import Taken
from dsvc.model.incoming import Progress
from dsvc.model.snapshot import Roots
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.draft import Draft

OnError = Literal["stop", "skip"]


class Unlisted(NamedTuple):
    """What `sync="inputs"` is about to take away: inputs that a source lists no more, with their annotations of it."""

    source: str
    inputs: int
    annotations: int


# Raises an error where what is about to go is to stay.
Approve = Callable[[Unlisted], None]


class Options(NamedTuple):
    """What an import is told beside the path; see `dsvc.core.imports.importing.import_path`."""

    format: str | None = None
    images: Path | None = None
    source: str | None = None
    split: str | None = None
    root: Path | None = None
    classes: Path | None = None
    concept: str | None = None
    ignore: tuple[int, ...] = ()
    suffix: str = ""
    on_error: OnError = "stop"
    hash: bool = True
    sync: Sync = ""
    dry_run: bool = False
    approve: Approve | None = None
    progress: Progress | None = None


class ImportReport(NamedTuple):
    """What an import did. `rejects` is the file of refused records; `missing` and `extra` are about media.

    `again` says that the source had been imported before, `tally` what became of the annotations that it lists,
    `altered` how many inputs of the dataset came and changed, `removed` how many inputs and annotations went,
    `conflicts` in how many records a conflict was opened.
    """

    source: str
    inputs: int
    annotations: int
    concepts: int
    changed: bool
    refused: int
    rejects: Path | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    # Of a folder of several sources, what each of them did.
    parts: tuple[ImportReport, ...] = ()
    # The options with which the file of refused records is to be imported.
    rejects_options: str = ""
    again: bool = False
    tally: Tally = Tally()
    altered: tuple[int, int] = (0, 0)
    removed: tuple[int, int] = (0, 0)
    conflicts: int = 0

    @property
    def about_rejects(self) -> tuple[str, ...]:
        """What to tell of the file of refused records, if there is one."""
        if self.rejects is None:
            return ()
        options = f" with {self.rejects_options}" if self.rejects_options else ""
        return (f"refused records are in {self.rejects}: mend them, and import that file too{options}",)

    def with_media(self, media: MediaReport) -> ImportReport:
        """The same with what became of the media."""
        return self._replace(
            missing=media.missing,
            extra=media.extra,
            changed=self.changed or media.changed,
            notes=(*self.notes, *media.notes),
        )

    def with_taken(self, taken: Taken) -> ImportReport:
        """The same with what became of the records."""
        merge = taken.merge
        return self._replace(
            changed=taken.changed,
            again=taken.again,
            tally=taken.tally,
            altered=(merge.inputs.added, merge.inputs.changed + merge.inputs.combined),
            removed=(merge.inputs.removed, merge.annotations.removed),
            conflicts=merge.conflicts,
        )


class Part(NamedTuple):
    """One of several sources: what its import did, and what it lists."""

    report: ImportReport
    roots: Roots


def join_reports(draft: Draft, found: list[Part]) -> ImportReport:
    """The reports of several sources as one."""
    if len(found) == 1:
        return found[0].report
    store, concepts, keys = draft.transaction.writer, set[bytes](), set[str]()
    for _, roots in found:
        concepts.update(key for key, _ in Tree(store, roots.concepts))
        keys |= listed_keys(draft, roots)
    parts = [part.report for part in found]
    return ImportReport(
        source=", ".join(part.source for part in parts),
        inputs=len(keys),
        annotations=sum(part.annotations for part in parts),
        concepts=len(concepts),
        changed=any(part.changed for part in parts),
        refused=sum(part.refused for part in parts),
        rejects=None,
        problems=tuple(problem for part in parts for problem in part.problems),
        notes=tuple(f"{part.source}: {note}" for part in parts for note in (*part.notes, *part.about_rejects)),
        missing=tuple(sorted(key for part in parts for key in part.missing)),
        # What another part names is not left over.
        extra=tuple(sorted({key for part in parts for key in part.extra} - keys)),
        parts=tuple(parts),
        again=any(part.again for part in parts),
        tally=_summed([part.tally for part in parts]),
        altered=(sum(part.altered[0] for part in parts), sum(part.altered[1] for part in parts)),
        removed=(sum(part.removed[0] for part in parts), sum(part.removed[1] for part in parts)),
        conflicts=sum(part.conflicts for part in parts),
    )


def _summed(tallies: list[Tally]) -> Tally:
    names = Tally.__struct_fields__
    counts: dict[str, Any] = {name: sum(getattr(one, name) for one in tallies) for name in names}
    return msgspec.structs.replace(Tally(), **counts)
