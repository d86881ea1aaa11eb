"""Records that are whole but odd: sizes that disagree, boxes of no size, names that clash, media that is broken."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

from dsvc.core.files.portability import find_name_clashes, forbidden
from dsvc.core.media import media_kind, turned_size
from dsvc.core.operations import describe_ref
from dsvc.model.commit import load_commit
from dsvc.model.incoming import Progress
from dsvc.model.records import Annotation, Input, Media, Shape
from dsvc.model.snapshot import Snapshot, load_roots
from dsvc.model.validate import wrong_mask
from dsvc.model.view import BRANCH, DATASET, DRAFT, MANUAL, VERSION, BranchRef, DraftRef, VersionRef
from dsvc.store.ids import ObjectId

if TYPE_CHECKING:
    from dsvc.core.decoding import MediaChecker
    from dsvc.core.repository import Repository
    from dsvc.store.objects import ObjectStore


class Finding(NamedTuple):
    """One thing that is not as it should be: `name` is the object or record, `text` what is wrong."""

    kind: str
    name: str
    text: str


def find_oddities(repository: Repository, checker: MediaChecker | None, progress: Progress | None) -> Iterator[Finding]:
    """What is odd in the records of every branch's head, every version and every draft; each thing once. Auto-generated
    versions hold what a program made of these, or said of them, and are left out.

    With a `checker`, media is looked at too.
    """
    view, done, told = repository.view, set[ObjectId](), set[Finding]()
    several = len(list(view.list(DATASET))) > 1
    for ref, value in (*view.list(BRANCH), *view.list(VERSION), *view.list(DRAFT)):
        is_generated = isinstance(value, VersionRef) and value.origin != MANUAL
        snapshot = _snapshot_of(repository, value) if not is_generated else None
        if snapshot is None or snapshot in done:
            continue
        done.add(snapshot)
        state = Snapshot(repository.store, load_roots(repository.store, snapshot), repository.cache)
        dataset = ref[2] if ref[0] == DRAFT else ref[1]
        for finding in _odd_records(repository, state, checker, describe_ref(ref), progress):
            found = finding._replace(text=f"{finding.text} (dataset {dataset})") if several else finding
            if found not in told:
                told.add(found)
                yield found


def _odd_records(
    repository: Repository, state: Snapshot, checker: MediaChecker | None, name: str, progress: Progress | None
) -> Iterator[Finding]:
    """What is odd in one state."""
    references = False
    for count, (record, found) in enumerate(state.samples()):
        if progress and count % (512 if checker is None else 16) == 0:
            progress(f"check {'records' if checker is None else 'media'} of {name}", count, len(state))
        yield from _check_input(repository.store, record)
        media = record.media
        if checker is not None and media is not None:
            yield from (Finding("input", record.key, text) for text in checker.check(record.key, media))
            references = references or (media.blob is None and media.reference is not None)
        for annotation in found:
            yield from _check_annotation(record, annotation, state)
    clashes = find_name_clashes(lambda: (tree_key.decode() for tree_key, _ in state.input_tree))
    yield from (Finding("input", key, text) for key, text in clashes)
    if references:
        from dsvc.core.references.references import find_changed

        yield from (Finding("input", key, text) for key, text in find_changed(repository, state, progress))


def _snapshot_of(repository: Repository, value: object) -> ObjectId | None:
    if isinstance(value, DraftRef):
        return value.snapshot
    commit = cast("BranchRef | VersionRef", value).commit
    return load_commit(repository.store, commit).snapshot if commit is not None else None


def _check_input(store: ObjectStore, record: Input) -> Iterator[Finding]:
    if (text := forbidden(record.key)) is not None:
        yield Finding("input", record.key, text)
    facts = record.media
    if facts is None:
        return
    if (text := _turned(store, record, facts)) is not None:
        yield Finding("input", record.key, text)
    else:
        for side in ("width", "height"):
            declared, probed = getattr(record, f"declared_{side}"), getattr(facts, side)
            if declared is not None and probed is not None and declared != probed:
                yield Finding("input", record.key, f"declared {side} {declared:g}, but the file says {probed}")
    kind = media_kind(facts.type)
    if record.declared_width is not None and facts.blob is not None and kind not in ("image", "video"):
        yield Finding(
            "input", record.key, f"declared as a picture, but its {facts.size} bytes are {facts.type or 'none'}"
        )


def _turned(store: ObjectStore, record: Input, facts: Media) -> str | None:
    """What to say where the declared size is that of the picture as EXIF turns it; None where it is not."""
    declared = record.declared_width, record.declared_height
    if facts.blob is None or facts.width == facts.height or declared != (facts.height, facts.width):
        return None
    if not store.has(facts.blob):  # purged, or at a remote
        return None
    data = io.BytesIO(b"".join(store.open_blob(facts.blob)))
    if turned_size(data) != declared:
        return None
    return f"declared {declared[0]:g} x {declared[1]:g}, the file {facts.width} x {facts.height} turned by EXIF"


def _check_annotation(record: Input, annotation: Annotation, state: Snapshot) -> Iterator[Finding]:
    name = f"{annotation.key}#{annotation.id}"
    if annotation.concept is not None and annotation.concept.encode() not in state.concept_tree:
        yield Finding("annotation", name, f"its concept {annotation.concept!r} is not in the dataset")
    if (wrong := _beyond(record, annotation)) is not None:
        yield Finding("annotation", name, wrong)
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
        elif width is not None and height is not None:
            slack = 1e-3 if shape.unit == "relative" else 1  # a pixel of some tools lies beyond the last one
            if x < 0 or y < 0 or x + w > width + slack or y + h > height + slack:
                yield Finding("annotation", name, f"box reaches out of the picture of {width:g} x {height:g}")
    for ring in shape.polygons or ():
        if len(ring) < 6 or len(ring) % 2:
            yield Finding("annotation", name, f"polygon of {len(ring)} numbers")


def _beyond(record: Input, annotation: Annotation) -> str | None:
    """What an annotation names beyond the end of a video, a sound or a text; None where it names nothing there."""
    media = record.media
    if media is None:
        return None
    if annotation.time is not None and media.duration is not None and annotation.time[1] > media.duration + 0.05:
        return f"time up to {annotation.time[1]:g} s, and its input has {media.duration:g} s"
    frames = round(media.duration * media.fps) if media.duration is not None and media.fps is not None else None
    if annotation.frame is not None and frames is not None and annotation.frame > frames:
        return f"frame {annotation.frame}, and its input has {frames} frames"
    is_text = media_kind(media.type) == "text" and media.size is not None
    if annotation.span is not None and is_text and annotation.span[1] > (media.size or 0):
        return f"characters up to {annotation.span[1]}, and its input has {media.size} bytes"
    return None


def _bounds(record: Input, shape: Shape) -> tuple[float | None, float | None]:
    if shape.unit == "relative":
        return 1, 1
    media = record.media
    width = record.declared_width if record.declared_width is not None else media.width if media else None
    height = record.declared_height if record.declared_height is not None else media.height if media else None
    return width, height
