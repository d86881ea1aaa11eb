"""Records that are whole but odd: sizes that disagree, boxes of no size, pictures that do not decode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.media import media_kind
from dsvc.core.operations import describe_ref
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Progress
from dsvc.model.records import Annotation, Input, Shape
from dsvc.model.snapshot import Snapshot, load_roots
from dsvc.model.validate import wrong_mask
from dsvc.model.view import BRANCH, DATASET, DRAFT, VERSION, BranchRef, DraftRef, VersionRef
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.repository import Repository


class Finding(NamedTuple):
    """One thing that is not as it should be: `name` is the object or record, `text` what is wrong."""

    kind: str
    name: str
    text: str


def find_oddities(repository: Repository, media: bool, progress: Progress | None) -> Iterator[Finding]:
    """What is odd in the records of every branch's head and every draft."""
    view, done = repository.view, set[ObjectId]()
    several = len(list(view.list(DATASET))) > 1
    for ref, value in (*view.list(BRANCH), *view.list(VERSION), *view.list(DRAFT)):
        snapshot = _snapshot_of(repository, value)
        if snapshot is None or snapshot in done:
            continue
        done.add(snapshot)
        state = Snapshot(repository.store, load_roots(repository.store, snapshot), repository.cache)
        for count, (record, found) in enumerate(state.samples()):
            if progress and count % 512 == 0:
                progress(f"check records of {describe_ref(ref)}", count, len(state))
            odd = [*_check_input(repository, record, media)]
            for annotation in found:
                odd += _check_annotation(record, annotation, state)
            dataset = ref[2] if ref[0] == DRAFT else ref[1]
            yield from (f._replace(text=f"{f.text} (dataset {dataset})") if several else f for f in odd)


def _snapshot_of(repository: Repository, value: object) -> ObjectId | None:
    if isinstance(value, DraftRef):
        return value.snapshot
    commit = cast("BranchRef | VersionRef", value).commit
    return load_commit(repository.store, commit).snapshot if commit is not None else None


def _check_input(repository: Repository, record: Input, media: bool) -> Iterator[Finding]:
    facts = record.media
    if facts is None:
        return
    for side in ("width", "height"):
        declared, probed = getattr(record, f"declared_{side}"), getattr(facts, side)
        if declared is not None and probed is not None and declared != probed:
            yield Finding("input", record.key, f"declared {side} {declared:g}, but the file says {probed}")
    kind = media_kind(facts.type)
    if record.declared_width is not None and facts.blob is not None and kind not in ("image", "video"):
        yield Finding(
            "input", record.key, f"declared as a picture, but its {facts.size} bytes are {facts.type or 'none'}"
        )
    if media and facts.blob is not None and kind == "image":
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
    if shape.mask is not None and (wrong := wrong_mask(shape.mask)):
        yield Finding("annotation", name, wrong)
    if shape.box is not None and len(shape.box) != 4:
        yield Finding("annotation", name, f"box of {len(shape.box)} numbers")
    elif shape.box is not None:
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
