"""The manifest: which index segments and history packs make up a repository, oldest first, and what was collected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dsvc.errors import DamagedError
from dsvc.store import codec
from dsvc.store.backend import Backend
from dsvc.store.ids import MANIFEST_CONTEXT, ObjectId, derived_id
from dsvc.store.limits import MAX_HISTORY_PACK, MAX_MANIFEST, MAX_SEGMENTS
from dsvc.store.pack import PackClass, PackInfo

_OPTIONAL = {"history", "gone", "collected"}


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
class Collected:
    """What garbage collections left: how many there were, the grace of the last one in seconds, and the operation
    where the chain of operations ends since they cut it; None where it is whole."""

    count: int = 0
    grace: int = 0
    oldest: ObjectId | None = None

    def limit(self, before: int) -> float:
        """How old, in seconds, a file that nothing lists may be so that no collection can have taken it for left over;
        there had been `before` collections when it was begun.

        A collection lists such files before it swaps the head, and takes those as old as its grace. So it can't have
        seen one that was begun after it; one that is younger than half its grace it has spared. Of collections before
        the last one the grace is not known any more.
        """
        if self.count == before:
            return float("inf")
        return self.grace / 2 if self.count == before + 1 else -1.0


@dataclass(frozen=True)
class Manifest:
    """The segments of a repository, oldest and largest first, its history packs, oldest first, and what garbage
    collections left.

    `gone` are packs that a segment lists still, but whose objects all lie elsewhere by now.
    """

    segments: tuple[SegmentInfo, ...] = ()
    history: tuple[PackInfo, ...] = ()
    gone: frozenset[ObjectId] = frozenset()
    collected: Collected = Collected()

    def listing(self, segments: Sequence[SegmentInfo], packs: Iterable[PackInfo]) -> Manifest:
        """This manifest with other segments, which list these packs, some of which may be gone already."""
        packs = list(packs)
        order = {pack.id: number for number, pack in enumerate(self.history)}
        history = [pack for pack in packs if pack.pack_class is PackClass.HISTORY and pack.id not in self.gone]
        history.sort(key=lambda pack: order.get(pack.id, len(order)))
        gone = self.gone & {pack.id for pack in packs}
        return replace(self, segments=tuple(segments), history=tuple(history), gone=gone)

    def encode(self) -> bytes:
        """The manifest file's bytes."""
        rows = [{"bytes": s.size, "id": bytes(s.id), "rows": s.rows} for s in self.segments]
        fields: dict[str, Any] = {"format": 1, "segments": rows}
        if self.history:
            fields["history"] = [{"bytes": pack.size, "id": bytes(pack.id)} for pack in self.history]
        if self.gone:
            fields["gone"] = [bytes(id) for id in sorted(self.gone)]
        if self.collected.count:
            fields["collected"] = _encoded(self.collected)
        return codec.encode(fields)

    @property
    def id(self) -> ObjectId:
        """The id that names this manifest."""
        return derived_id(MANIFEST_CONTEXT, self.encode())

    @classmethod
    def decode(cls, data: bytes, id: ObjectId) -> Manifest:
        """Read a manifest file. Raises DamagedError when it is not the one that `id` names."""
        what = f"manifest {id.short()}"
        if derived_id(MANIFEST_CONTEXT, data) != id:
            raise DamagedError(f"{what} is damaged", "make it anew from what is whole: dsvc check --repair")
        value = codec.decode(data, what)
        if not isinstance(value, dict) or value.keys() - _OPTIONAL != {"format", "segments"}:
            raise DamagedError(f"{what} is malformed")
        lists = [value.get(name, []) for name in ("segments", "history", "gone")]
        if value["format"] != 1 or not all(isinstance(rows, list) for rows in lists):
            raise DamagedError(f"{what} is malformed")
        segments, history, gone = lists
        if len(segments) > MAX_SEGMENTS:
            raise DamagedError(f"{what} is malformed")
        return cls(
            tuple(_segment(row, what) for row in segments),
            tuple(_history_pack(row, what) for row in history),
            frozenset(_id(row, what) for row in gone),
            _collected(value["collected"], what) if "collected" in value else Collected(),
        )


def _segment(row: Any, what: str) -> SegmentInfo:
    match row:
        case {"bytes": int(size), "id": bytes(id), "rows": int(rows)} if (
            len(row) == 3 and len(id) == ObjectId.SIZE and size > 0 and rows > 0
        ):
            return SegmentInfo(ObjectId(id), rows, size)
    raise DamagedError(f"{what} is malformed")


def _encoded(collected: Collected) -> dict[str, Any]:
    fields: dict[str, Any] = {"count": collected.count, "grace": collected.grace}
    return fields | ({"oldest": bytes(collected.oldest)} if collected.oldest is not None else {})


def _collected(fields: Any, what: str) -> Collected:
    match fields:
        case {"count": int(count), "grace": int(grace)} if count > 0 and grace >= 0:
            oldest = fields.get("oldest")
            if fields.keys() <= {"count", "grace", "oldest"} and (oldest is None or _is_id(oldest)):
                return Collected(count, grace, ObjectId(oldest) if oldest is not None else None)
    raise DamagedError(f"{what} is malformed")


def _is_id(value: Any) -> bool:
    return type(value) is bytes and len(value) == ObjectId.SIZE


def _history_pack(row: Any, what: str) -> PackInfo:
    match row:
        case {"bytes": int(size), "id": bytes(id)} if len(row) == 2 and _is_id(id) and 0 < size <= MAX_HISTORY_PACK:
            return PackInfo(ObjectId(id), size, PackClass.HISTORY)
    raise DamagedError(f"{what} is malformed")


def _id(raw: Any, what: str) -> ObjectId:
    if not isinstance(raw, bytes) or len(raw) != ObjectId.SIZE:
        raise DamagedError(f"{what} is malformed")
    return ObjectId(raw)


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
