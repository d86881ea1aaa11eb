"""What an import is told, and what it tells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from dsvc.core.imports.originals import MediaReport, listed_keys
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Progress
from dsvc.model.snapshot import load_roots
from dsvc.model.tree import Tree

if TYPE_CHECKING:
    from dsvc.core.draft import Draft

OnError = Literal["stop", "skip"]


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
    progress: Progress | None = None


class ImportReport(NamedTuple):
    """What an import did. `rejects` is the file of refused records; `missing` and `extra` are about media."""

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


def join_reports(draft: Draft, parts: list[ImportReport]) -> ImportReport:
    """The reports of several sources as one."""
    if len(parts) == 1:
        return parts[0]
    store, concepts, keys = draft.transaction.writer, set[bytes](), set[str]()
    for part in parts:
        if part.source in draft.sources:
            roots = load_roots(store, load_commit(store, draft.sources[part.source]).snapshot)
            concepts.update(key for key, _ in Tree(store, roots.concepts))
        keys |= listed_keys(draft, part.source)
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
    )
