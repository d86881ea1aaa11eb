"""Records as JSON and as short text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dsvc.cli.render import plural, shown, size

if TYPE_CHECKING:
    from dsvc.core.compare import Record
    from dsvc.model.records import Annotation, Concept, Input, Media, Shape

_SHOWN = 60
_OFTEN_EMPTY = ("extras", "conflicts")


def plain(value: Any) -> Any:
    """Any part of a record as JSON: ids as hex, fields that are absent left out."""
    import msgspec

    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        if fields.get("conflicts"):
            from dsvc.model.clashes import clashes_of

            fields["conflicts"] = {clash.field: clash.values for clash in clashes_of(cast("Record", value))}
        return {name: plain(v) for name, v in fields.items() if v is not None and (v or name not in _OFTEN_EMPTY)}
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def annotation_json(annotation: Annotation) -> dict[str, Any]:
    """An annotation as JSON."""
    found: dict[str, Any] = plain(annotation)
    return found


def input_json(record: Input) -> dict[str, Any]:
    """An input as JSON."""
    found: dict[str, Any] = plain(record)
    if not found.get("metadata"):
        found.pop("metadata", None)
    return found


def media_text(media: Media) -> str:
    """Media in words: image/png, 32 x 24, 1.2 kB, and where the bytes are."""
    facts = media_facts(media)
    return ", ".join([facts.pop("type", "unknown type"), *facts.values()])


def media_facts(media: Media) -> dict[str, str]:
    """What is known of media, each in words."""
    facts = {"type": media.type} if media.type is not None else {}
    if media.width is not None and media.height is not None:
        facts["pixels"] = f"{media.width} x {media.height}"
    if media.duration is not None:
        facts["duration"] = f"{media.duration:g} s"
    if media.size is not None:
        facts["size"] = size(media.size)
    if media.blob is not None:
        facts["blob"] = f"blob {media.blob.short()}"
    if media.reference is not None:
        from dsvc.core.references.references import reference_text

        facts["reference"] = reference_text(media.reference)
    return facts


def annotation_text(annotation: Annotation) -> str:
    """What an annotation says, in one line, without its name."""
    words = [shown(annotation.concept)] if annotation.concept is not None else []
    return "  ".join((*words, *annotation_words(annotation)))


def annotation_words(annotation: Annotation) -> list[str]:
    """What an annotation says beside its concept."""
    words = []
    if annotation.shape is not None:
        words.append(shape_text(annotation.shape))
    if annotation.keypoints is not None:
        words.append(plural(len(annotation.keypoints) // 3, "keypoint"))
    if annotation.point is not None:
        words.append(f"point {numbers_text(annotation.point)}")
    if annotation.text is not None:
        words.append(repr(_cut(annotation.text)))
    if annotation.span is not None:
        words.append(f"characters {numbers_text(annotation.span)}")
    if annotation.time is not None:
        words.append(f"seconds {numbers_text(annotation.time)}")
    if annotation.frame is not None:
        words.append(f"frame {annotation.frame}")
    if annotation.track is not None:
        words.append(f"track {shown(_cut(str(annotation.track)))}")
    if annotation.value not in (None, 1):
        words.append("negative" if annotation.value == 0 else f"value {value_text(annotation.value)}")
    if annotation.crowd:
        words.append("crowd")
    if annotation.attributes:
        words.append(", ".join(f"{shown(name)}={value_text(value)}" for name, value in annotation.attributes.items()))
    if annotation.conflicts:
        words.append(conflict_text(annotation))
    return words


def conflict_text(record: Input | Annotation | Concept) -> str:
    """Which fields of a record are in conflict."""
    from dsvc.model.clashes import clashes_of

    return f"in conflict: {', '.join(shown(clash.field) for clash in clashes_of(record))}"


def shape_text(shape: Shape) -> str:
    """A shape in words."""
    words = []
    if shape.box is not None:
        words.append(f"box {numbers_text(shape.box)}")
    if shape.polygons:
        points = sum(len(ring) for ring in shape.polygons) // 2
        words.append(f"{plural(len(shape.polygons), 'polygon')} of {plural(points, 'point')}")
    if shape.mask is not None:
        words.append(f"mask {shape.mask.width} x {shape.mask.height}")
    if shape.area is not None:
        words.append(f"area {value_text(shape.area)}")
    return ", ".join(words) + (" (relative)" if shape.unit == "relative" else "")


def value_text(value: Any) -> str:
    """A number or a short text on one line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    return shown(_cut(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def numbers_text(values: tuple[float, ...]) -> str:
    """Numbers, with commas between them."""
    return ",".join(value_text(value) for value in values)


def candidate_text(value: Any) -> str:
    """A value of a field in conflict as a few words."""
    from dsvc.model.records import Media, Shape

    if isinstance(value, Shape):
        return shape_text(value)
    if isinstance(value, Media):
        return media_text(value)
    if isinstance(value, tuple) and value and all(isinstance(one, int | float) for one in value):
        return _cut(numbers_text(value))
    return value_text(plain(value))
