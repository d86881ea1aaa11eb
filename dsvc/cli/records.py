"""Records as JSON and as short text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsvc.cli.render import plural, shown, size

if TYPE_CHECKING:
    from dsvc.core.compare import RecordChange
    from dsvc.model.records import Annotation, Concept, Input, Media, Shape

_SHORT = (str, int, float, type(None))
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

            fields["conflicts"] = {clash.field: clash.values for clash in clashes_of(value)}  # type: ignore[arg-type]
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
    facts = [media.type or "unknown type"]
    if media.width is not None and media.height is not None:
        facts.append(f"{media.width} x {media.height}")
    if media.duration is not None:
        facts.append(f"{media.duration:g} s")
    if media.size is not None:
        facts.append(size(media.size))
    if media.blob is not None:
        facts.append(f"blob {media.blob.short()}")
    if media.reference is not None:
        from dsvc.core.references.references import reference_text

        facts.append(reference_text(media.reference))
    return ", ".join(facts)


def annotation_text(annotation: Annotation) -> str:
    """What an annotation says, in one line, without its name."""
    words = [shown(annotation.concept)] if annotation.concept is not None else []
    if annotation.shape is not None:
        words.append(shape_text(annotation.shape))
    if annotation.keypoints is not None:
        words.append(plural(len(annotation.keypoints) // 3, "keypoint"))
    if annotation.point is not None:
        words.append(f"point {_numbers(annotation.point)}")
    if annotation.text is not None:
        words.append(repr(_cut(annotation.text)))
    if annotation.span is not None:
        words.append(f"characters {_numbers(annotation.span)}")
    if annotation.time is not None:
        words.append(f"seconds {_numbers(annotation.time)}")
    if annotation.frame is not None:
        words.append(f"frame {annotation.frame}")
    if annotation.track is not None:
        words.append(f"track {shown(_cut(str(annotation.track)))}")
    if annotation.value not in (None, 1):
        words.append("negative" if annotation.value == 0 else f"value {_value(annotation.value)}")
    if annotation.crowd:
        words.append("crowd")
    if annotation.attributes:
        words.append(", ".join(f"{shown(name)}={_value(value)}" for name, value in annotation.attributes.items()))
    if annotation.conflicts:
        words.append(conflict_text(annotation))
    return "  ".join(words)


def conflict_text(record: Input | Annotation | Concept) -> str:
    """Which fields of a record are in conflict."""
    from dsvc.model.clashes import clashes_of

    return f"in conflict: {', '.join(shown(clash.field) for clash in clashes_of(record))}"


def shape_text(shape: Shape) -> str:
    """A shape in words."""
    words = []
    if shape.box is not None:
        words.append(f"box {_numbers(shape.box)}")
    if shape.polygons is not None:
        points = sum(len(ring) for ring in shape.polygons) // 2
        words.append(f"{plural(len(shape.polygons), 'polygon')} of {plural(points, 'point')}")
    if shape.mask is not None:
        words.append(f"mask {shape.mask.width} x {shape.mask.height}")
    if shape.area is not None:
        words.append(f"area {_value(shape.area)}")
    return ", ".join(words) + (" (relative)" if shape.unit == "relative" else "")


def value_text(value: Any) -> str:
    """A field's value as a few words."""
    from dsvc.model.records import Media, Shape

    if isinstance(value, Shape):
        return shape_text(value)
    if isinstance(value, Media):
        return media_text(value)
    if isinstance(value, tuple) and value and all(isinstance(one, int | float) for one in value):
        return shown(_cut(_numbers(value)))
    return _value(plain(value))


def change_text(change: RecordChange) -> str:
    """A change as one line of a diff: `~ annotation a.jpg#id concept cat -> dog, shape`."""
    mark = {"added": "+", "removed": "-", "changed": "~"}[change.verb]
    line = f"{mark} {change.noun} {shown(change.name)}"
    if change.verb == "changed":
        return f"{line} {', '.join(_field_text(change, name) for name in change.fields())}"
    concept = getattr(change.new or change.old, "concept", None)
    return f"{line} {shown(concept)}" if concept is not None else line


def _field_text(change: RecordChange, name: str) -> str:
    old, new = getattr(change.old, name), getattr(change.new, name)
    if isinstance(old, _SHORT) and isinstance(new, _SHORT):
        return f"{name} {_value(old)} -> {_value(new)}"
    return name


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.12g}"
    return shown(_cut(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(_value(value) for value in values)


def change_json(change: RecordChange) -> dict[str, Any]:
    """A change as JSON: `fields` names what differs, `old` and `new` are the records or null."""
    return {
        "verb": change.verb,
        "noun": change.noun,
        "name": change.name,
        "fields": change.fields(),
        "old": plain(change.old) if change.old is not None else None,
        "new": plain(change.new) if change.new is not None else None,
    }
