"""What records have that masks cannot say: phrases that begin with how many there are."""

from __future__ import annotations

from collections.abc import Iterator

from dsvc.model.records import Annotation, Concept, Input

_INPUT = ("metadata", "split", "license", "geo", "embeddings")
_CONCEPT = ("supercategory", "keypoints", "skeleton")
_ANNOTATION = (
    "keypoints",
    "point",
    "text",
    "span",
    "time",
    "frame",
    "track",
    "value",
    "crowd",
    "status",
    "author",
    "attributes",
)
_OWN = {"mask"}


def input_losses(record: Input) -> Iterator[str]:
    """What an input loses."""
    return _lost("inputs", record, _INPUT)


def concept_losses(concept: Concept) -> Iterator[str]:
    """What a concept loses."""
    return _lost("concepts", concept, _CONCEPT)


def annotation_losses(annotation: Annotation) -> Iterator[str]:
    """What an annotation that has a mask loses beside it."""
    yield from _lost("annotations", annotation, _ANNOTATION)
    if annotation.shape is not None and annotation.shape.polygons:
        yield "annotations lost their polygons, since they have a mask"


def _lost(noun: str, record: Input | Concept | Annotation, names: tuple[str, ...]) -> Iterator[str]:
    # What is empty or 0 says nothing that its absence would not.
    for name in names:
        if getattr(record, name):
            yield f"{noun} lost their {name}, which masks cannot say"
    if record.extras.keys() - _OWN:
        yield f"{noun} lost fields of other formats, which masks cannot say"
