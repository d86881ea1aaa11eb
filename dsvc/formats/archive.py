"""What a ZIP archive is, told by looking into it: one of Clarifai's, or COCO files with or without their images."""

from __future__ import annotations

import re
from pathlib import Path

from dsvc.core.keys import display
from dsvc.formats.unzip import Archive

_HEADS = (b"PK\x03\x04", b"PK\x05\x06")
_MIMETYPE = "mimetype"
_COCO = re.compile(r"(?:[^/]+/)?(?:annotations/[^/]+\.json|(?:[^/]+/)?_annotations\.coco\.json|[^/]+\.json)")
_SHOWN = 3


def looks_packed(name: str, data: memoryview) -> bool:
    """Whether a file is an archive by its name or by how it begins."""
    return name.lower().endswith(".zip") or bytes(data[:4]) in _HEADS


def kind_of(data: memoryview, name: str) -> str:
    """The format of what is in an archive: clarifai or coco. Raises InvalidRecordsError that says what is in it."""
    archive = Archive(data, name)
    if _MIMETYPE in archive.entries:
        return "clarifai"
    if any(_COCO.fullmatch(entry) for entry in archive.entries):
        return "coco"
    hint = "unpack it, and name what was in it: dsvc import FILE, or dsvc add FOLDER"
    if not archive.entries:
        raise archive.refusal("is an archive without entries", hint)
    names = ", ".join(display(entry)[:80] for entry in list(archive.entries)[:_SHOWN])
    more = len(archive.entries) - _SHOWN
    holds = names + (f" and {more:,} more" if more > 0 else "")
    raise archive.refusal(f"is an archive, but neither of Clarifai's nor of COCO files; it holds {holds}", hint)


def extract(data: memoryview, name: str, folder: Path) -> None:
    """Unpack an archive into a folder. Raises InvalidRecordsError, RefusedError."""
    Archive(data, name).extract(folder)
