"""The formats that dsvc knows: its own, and those that other packages bring as entry points.

A package brings an importer or exporter under the entry point group `dsvc.importers` or `dsvc.exporters`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from dsvc.errors import UsageError
from dsvc.model.incoming import FolderImporter, Importer

IMPORTERS = {
    "clarifai": "dsvc.formats.clarifai.importer:ClarifaiImporter",
    "coco": "dsvc.formats.coco_read:CocoImporter",
    "table": "dsvc.formats.table:TableImporter",
}
FOLDER_IMPORTERS = {
    "folder": "dsvc.formats.folder_read:ClassFolderImporter",
    "mask": "dsvc.formats.mask_read:MaskImporter",
}
EXPORTERS = {
    "clarifai-protobuf": "dsvc.formats.clarifai:ProtobufExporter",
    "clarifai-json": "dsvc.formats.clarifai:JsonExporter",
    "coco": "dsvc.formats.coco_write:CocoExporter",
    "mask": "dsvc.formats.mask_write:MaskExporter",
}


def importer(format: str | None, path: Path, data: memoryview) -> Importer:
    """The importer of a format; without one, of what the file's name says. Raises UsageError."""
    if format is None:
        is_table = import_module("dsvc.formats.table").looks_like_table(path.name)
        format = "table" if is_table else "coco"
    made: Importer = _load("importers", IMPORTERS, format)()
    return made


def folder_importer(format: str) -> FolderImporter:
    """The importer of a format whose source is a folder. Raises UsageError."""
    made: FolderImporter = _load("importers", FOLDER_IMPORTERS, format, ("coco", *FOLDER_IMPORTERS))()
    return made


def coco_parts(folder: Path) -> Any:
    """The COCO files of a folder, as a `dsvc.formats.coco_folder.CocoFolder`."""
    return import_module("dsvc.formats.coco_folder").find_parts(folder)


def exporter(format: str) -> Any:
    """The exporter of a format, which may name a profile: `coco` or `coco/1`. Raises UsageError."""
    name, _, profile = format.partition("/")
    found = _load("exporters", EXPORTERS, name)()
    if profile and found.profile != format:
        raise UsageError(f"no export profile {format!r}", f"there is: {found.profile}")
    return found


def results() -> Any:
    """The module that reads predictions from COCO results files."""
    return import_module("dsvc.formats.coco_results")


def ignore_reader() -> Any:
    """The function that makes a test of paths of the content of an ignore file."""
    return import_module("dsvc.git.ignore").read_patterns


def lock_reader() -> Any:
    """The function that finds the commit of a dataset that the lock of one of Git's commits names."""
    return import_module("dsvc.git.pinning").find_pinned


def code_reader() -> Any:
    """The function that finds Git's commit of the code in a folder, and whether it was changed since."""
    return import_module("dsvc.git.code").find_code


def archive() -> Any:
    """The module that tells what ZIP archives hold."""
    return import_module("dsvc.formats.archive")


def packed_format(path: Path, data: memoryview) -> str | None:
    """The format of what is in a ZIP archive: clarifai or coco; None for another file, and for a packed table.

    Raises InvalidRecordsError for an archive that is neither.
    """
    if import_module("dsvc.formats.table").looks_like_table(path.name) or not archive().looks_packed(path.name, data):
        return None
    found: str = archive().kind_of(data, path.name)
    return found


def container() -> Any:
    """The module that knows folders, archives and single files as targets."""
    return import_module("dsvc.formats.container")


def _load(group: str, known: dict[str, str], name: str, shown: Iterable[str] = ()) -> Any:
    place = known.get(name)
    if place is not None:
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)
    from importlib.metadata import entry_points

    for entry in entry_points(group=f"dsvc.{group}"):
        if entry.name == name:
            return entry.load()
    raise UsageError(f"no format named {name!r}", f"there is: {', '.join(sorted(shown or known))}")
