"""The manifest: which index segments make up a repository, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dsvc.errors import DamagedError
from dsvc.store import codec
from dsvc.store.backend import Backend
from dsvc.store.ids import MANIFEST_CONTEXT, ObjectId, derived_id
from dsvc.store.limits import MAX_MANIFEST


def manifest_name(id: ObjectId) -> str:
    """The file name of a manifest."""
    return f"manifests/{id}"


@dataclass(frozen=True)
class SegmentInfo:
    """One index segment: its id, how many objects it locates, and its file's byte size."""

    id: ObjectId
    rows: int
    size: int


@dataclass(frozen=True)
class Manifest:
    """The segments of a repository, oldest and largest first."""

    segments: tuple[SegmentInfo, ...] = ()

    def encode(self) -> bytes:
        """The manifest file's bytes."""
        rows = [{"bytes": s.size, "id": bytes(s.id), "rows": s.rows} for s in self.segments]
        return codec.encode({"format": 1, "segments": rows})

    @property
    def id(self) -> ObjectId:
        """The id that names this manifest."""
        return derived_id(MANIFEST_CONTEXT, self.encode())

    @classmethod
    def decode(cls, data: bytes, id: ObjectId) -> Manifest:
        """Read a manifest file. Raises DamagedError when it is not the one that `id` names."""
        what = f"manifest {id.short()}"
        if derived_id(MANIFEST_CONTEXT, data) != id:
            raise DamagedError(f"{what} is damaged", "Restore it from a backup or a clone.")
        value = codec.decode(data, what)
        if not isinstance(value, dict) or value.keys() != {"format", "segments"} or value["format"] != 1:
            raise DamagedError(f"{what} is malformed")
        if not isinstance(value["segments"], list):
            raise DamagedError(f"{what} is malformed")
        return cls(tuple(_segment(row, what) for row in value["segments"]))


def _segment(row: Any, what: str) -> SegmentInfo:
    match row:
        case {"bytes": int(size), "id": bytes(id), "rows": int(rows)} if (
            len(row) == 3 and len(id) == ObjectId.SIZE and size > 0 and rows > 0
        ):
            return SegmentInfo(ObjectId(id), rows, size)
    raise DamagedError(f"{what} is malformed")


def read_manifest(backend: Backend, id: ObjectId) -> Manifest:
    """Load a manifest. Raises NotFoundError or DamagedError."""
    data = backend.read(manifest_name(id), 0, MAX_MANIFEST + 1)
    if len(data) > MAX_MANIFEST:
        raise DamagedError(f"manifest {id.short()} is too long")
    return Manifest.decode(data, id)


def write_manifest(backend: Backend, manifest: Manifest) -> ObjectId:
    """Store a manifest durably and return its id."""
    id = manifest.id
    write_file(backend, manifest_name(id), manifest.encode())
    return id


def write_file(backend: Backend, name: str, data: bytes) -> None:
    """Store a small immutable file durably."""
    upload = backend.create()
    try:
        upload.write(data)
        upload.finish(name)
    finally:
        upload.abort()
