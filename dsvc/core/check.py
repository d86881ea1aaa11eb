"""Checking a repository: every byte, every link between objects, and what is odd in the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.operations import describe_ref, operations
from dsvc.errors import DamagedError
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Progress
from dsvc.model.node import Inner, decode_node
from dsvc.model.records import Annotation, Input, Shape
from dsvc.model.snapshot import TREES, Snapshot, load_roots
from dsvc.model.view import BRANCH, DATASET, DRAFT, VERSION, BranchRef, DraftRef, VersionRef, View
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.objects import ObjectStore
from dsvc.store.verify import Finding as StoreFinding
from dsvc.store.verify import verify

if TYPE_CHECKING:
    from dsvc.core.repository import Repository


FOLDERS = ("packs/", "index/", "manifests/")


class Finding(NamedTuple):
    """One thing that is not as it should be: `name` is the object or record, `text` what is wrong."""

    kind: str
    name: str
    text: str


class CheckReport(NamedTuple):
    """What a check found. `damage` is lost or changed data; `findings` are records that are odd but whole."""

    objects: int
    damage: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    orphans: int = 0


def check(repository: Repository, *, media: bool = False, progress: Progress | None = None) -> CheckReport:
    """Verify all stored bytes and all links from every ref and operation, and look at the records.

    With `media`, images are decoded too, where Pillow is there to do it.
    """
    repository.store.refresh()
    damage, objects, orphans = _check_bytes(repository)
    walker = _Walker(repository)
    walker.walk()
    damage += walker.damage
    findings = list(_check_records(repository, walker, media, progress)) if not damage else []
    return CheckReport(objects, tuple(damage), tuple(findings), orphans)


def _check_bytes(repository: Repository) -> tuple[list[Finding], int, int]:
    store, damage, orphans = repository.store, [], 0
    for finding in _verified(store):
        if finding.problem == "orphan":
            orphans += finding.message.startswith(FOLDERS)
        else:
            name = str(finding.object_id or finding.pack or "repository")
            damage.append(Finding("object", name, finding.message))
    return damage, sum(segment.rows for segment in store.state.catalog.manifest.segments), orphans


def _verified(store: ObjectStore) -> list[StoreFinding]:
    """What `verify` finds. Files that others merged away meanwhile are no damage: then it looks again."""
    for _ in range(3):
        before = store.backend.read_head()
        found = list(verify(store))
        if store.backend.read_head() == before or all(finding.problem == "orphan" for finding in found):
            return found
    with store.backend.turn():
        return list(verify(store))


class _Walker:
    """Visits every object that a ref or an operation needs, each once."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.store = repository.store
        self.damage: list[Finding] = []
        self.seen: set[ObjectId] = set()
        self.snapshots: dict[ObjectId, str] = {}

    def walk(self) -> None:
        """Visit all."""
        try:
            for logged in operations(self.repository):
                self._view(logged.operation.view, f"operation {logged.id.short()}")
        except DamagedError as error:
            self.damage.append(Finding("operation", "log", error.message))

    def _view(self, root: ObjectId, name: str) -> None:
        if root in self.seen:
            return
        try:
            self._tree(root, name)
            view = View(self.store, root, self.repository.cache)
            for kind in (DATASET, BRANCH, VERSION, DRAFT):
                for ref, value in view.list(kind):
                    self._ref(describe_ref(ref), value)
        except DamagedError as error:
            self.damage.append(Finding("view", name, error.message))

    def _ref(self, name: str, value: object) -> None:
        if isinstance(value, BranchRef | VersionRef) and value.commit is not None:
            self._commit(value.commit, name)
        elif isinstance(value, DraftRef):
            if value.base is not None:
                self._commit(value.base, name)
            self._snapshot(value.snapshot, name)
            for source in value.sources.values():
                self._commit(source, name)

    def _commit(self, start: ObjectId, name: str) -> None:
        queue = [start]
        while queue:
            id = queue.pop()
            if id in self.seen:
                continue
            self.seen.add(id)
            try:
                commit = load_commit(self.store, id)
            except DamagedError as error:
                self.damage.append(Finding("commit", id.short(), f"{error.message}, which {name} needs"))
                continue
            self._snapshot(commit.snapshot, f"commit {id.short()}")
            queue += [*commit.parents, *commit.sources.values()]

    def _snapshot(self, id: ObjectId, name: str) -> None:
        if id in self.seen:
            return
        self.seen.add(id)
        try:
            roots = load_roots(self.store, id)
        except DamagedError as error:
            self.damage.append(Finding("snapshot", id.short(), f"{error.message}, which {name} needs"))
            return
        self.snapshots[id] = name
        for tree in TREES:
            self._tree(getattr(roots, tree), f"{tree} of {name}")

    def _tree(self, root: ObjectId, name: str) -> None:
        queue = [root]
        while queue:
            id = queue.pop()
            if id in self.seen:
                continue
            self.seen.add(id)
            try:
                node = decode_node(self.store.get(id, Kind.NODE), id)
                if isinstance(node, Inner):
                    queue += [child.id for child in node.children]
                    continue
                for value in node.values:
                    if type(value) is not bytes and (outside := ObjectId(value.data[1:])) not in self.seen:
                        self.seen.add(outside)
                        self.store.get(outside, Kind.VALUE)
            except DamagedError as error:
                self.damage.append(Finding("node", id.short(), f"{error.message}, which {name} needs"))


def _check_records(
    repository: Repository, walker: _Walker, media: bool, progress: Progress | None
) -> Iterator[Finding]:
    """What is odd in the records of every branch's head and every draft."""
    view, done = repository.view, set[ObjectId]()
    for ref, value in (*view.list(BRANCH), *view.list(VERSION), *view.list(DRAFT)):
        snapshot = _snapshot_of(repository, value)
        if snapshot is None or snapshot in done:
            continue
        done.add(snapshot)
        state = Snapshot(repository.store, load_roots(repository.store, snapshot), repository.cache)
        for count, (record, found) in enumerate(state.samples()):
            if progress and count % 512 == 0:
                progress(f"check records of {describe_ref(ref)}", count, len(state))
            yield from _check_input(repository, record, media)
            for annotation in found:
                yield from _check_annotation(record, annotation, state)


def _snapshot_of(repository: Repository, value: object) -> ObjectId | None:
    if isinstance(value, DraftRef):
        return value.snapshot
    commit = cast("BranchRef | VersionRef", value).commit
    return load_commit(repository.store, commit).snapshot if commit is not None else None


def _check_input(repository: Repository, record: Input, media: bool) -> Iterator[Finding]:
    facts = record.media
    if facts is None:
        return
    if facts.blob is not None and not repository.store.has(facts.blob):
        yield Finding("input", record.key, "the repository does not hold its bytes")
        return
    for side in ("width", "height"):
        declared, probed = getattr(record, f"declared_{side}"), getattr(facts, side)
        if declared is not None and probed is not None and declared != probed:
            yield Finding("input", record.key, f"declared {side} {declared:g}, but the file says {probed}")
    if media and facts.blob is not None and (facts.type or "").startswith("image/"):
        yield from _decode(repository, record, facts.blob)


def _decode(repository: Repository, record: Input, blob: ObjectId) -> Iterator[Finding]:
    try:
        from PIL import Image
    except ImportError:
        return
    import io
    import warnings

    data = io.BytesIO(b"".join(repository.store.open_blob(blob)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(data) as picture:
                picture.load()
    except Exception as error:  # whatever a decoder raises on broken bytes
        yield Finding("input", record.key, f"cannot be decoded: {error}")


def _check_annotation(record: Input, annotation: Annotation, state: Snapshot) -> Iterator[Finding]:
    name = f"{annotation.key}#{annotation.id}"
    if annotation.concept is not None and annotation.concept.encode() not in state.concept_tree:
        yield Finding("annotation", name, f"its concept {annotation.concept!r} is not in the dataset")
    shape = annotation.shape
    if shape is None:
        return
    width, height = _bounds(record, shape)
    if shape.box is not None:
        x, y, w, h = shape.box
        if w <= 0 or h <= 0:
            yield Finding("annotation", name, f"box of size {w:g} x {h:g}")
        elif width is not None and height is not None and (x < 0 or y < 0 or x + w > width + 1 or y + h > height + 1):
            yield Finding("annotation", name, f"box reaches out of the picture of {width:g} x {height:g}")
    for ring in shape.polygons or ():
        if len(ring) < 6 or len(ring) % 2:
            yield Finding("annotation", name, f"polygon of {len(ring)} numbers")


def _bounds(record: Input, shape: Shape) -> tuple[float | None, float | None]:
    if shape.unit == "relative":
        return 1, 1
    media = record.media
    width = record.declared_width if record.declared_width is not None else media.width if media else None
    height = record.declared_height if record.declared_height is not None else media.height if media else None
    return width, height
