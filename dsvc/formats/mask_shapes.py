"""The annotations of one mask: for each class, or for the object of a binary mask, where its pixels are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.formats.mask_classes import MAX_VALUE, Class, is_color
from dsvc.formats.mask_form import Form, Value
from dsvc.formats.mask_png import Picture
from dsvc.model.incoming import Entry
from dsvc.model.records import Annotation, Mask, Shape, annotation_fields, content_id
from dsvc.store import codec

if TYPE_CHECKING:
    from dsvc.formats.mask_form import Pixels

# A mask of one concept with more values than this is a photograph, or a mask of classes.
MAX_VALUES = 256
_NAMED = 3


def class_entries(key: str, picture: Picture, classes: Sequence[Class]) -> Iterator[Entry]:
    """An annotation of the input `key` for each class that a mask has pixels of.

    Raises ValueError, with the end of a sentence, for pixels that no class names.
    """
    form, counts = picture.form, counted(picture.pixels)
    if is_color(classes) and not form.is_color:
        raise ValueError("has values, and the classes are colours")
    by_pixel = {pixel: one for one in classes if (pixel := form.pixel(one.value)) is not None}
    _check_known(form, {pixel: count for pixel, count in counts.items() if pixel and pixel not in by_pixel})
    shapes = Shapes(picture.pixels)
    first: dict[str | None, Value] = {}
    for one in classes:
        first.setdefault(one.concept, one.value)
    for pixel, one in by_pixel.items():
        if pixel in counts and one.ignore:
            yield _entry(key, None, shapes.of(pixel), {"ignore": one.value})
        elif pixel in counts and one.concept is not None:
            # Where two values have one name, the later says which it is.
            extras = {} if first[one.concept] == one.value else {"value": one.value}
            yield _entry(key, one.concept, shapes.of(pixel), extras)


def _check_known(form: Form, unknown: Mapping[int, int]) -> None:
    if not unknown:
        return
    common = sorted(unknown, key=lambda pixel: (-unknown[pixel], pixel))
    found = ", ".join(f"{unknown[pixel]:,} of value {form.value(pixel)}" for pixel in common[:_NAMED])
    more = f" and of {len(common) - _NAMED:,} more values" if len(common) > _NAMED else ""
    raise ValueError(f"has pixels that are neither in the classes nor ignored: {found}{more}")


class Binary(NamedTuple):
    """The annotations of a binary mask, and the commonest value of its object; None where it has none."""

    entries: list[Entry]
    value: Value | None


def binary_entries(key: str, concept: str, picture: Picture, ignored: Sequence[Class]) -> Binary:
    """An annotation of the input `key` for all pixels that are neither 0 nor ignored, and one for each value ignored.

    Raises ValueError, with the end of a sentence, for a mask of too many values.
    """
    form, shapes, counts = picture.form, Shapes(picture.pixels), counted(picture.pixels)
    others = {pixel: one.value for one in ignored if one.ignore and (pixel := form.pixel(one.value)) in counts}
    entries = [
        _entry(key, None, shapes.of(pixel), {"class": concept, "ignore": value})
        for pixel, value in others.items()
        if pixel is not None
    ]
    objects = {pixel: count for pixel, count in counts.items() if pixel and pixel not in others}
    if len(objects) > MAX_VALUES:
        raise ValueError(f"has {len(objects):,} values beside 0, so it is no binary mask")
    if not objects:
        return Binary(entries, None)
    main = max(objects, key=lambda pixel: (objects[pixel], -pixel))
    extras: dict[str, Any] = {"value": form.value(main)}
    # All is the object; where it has other values than most is kept for the way back.
    if rest := [[form.value(pixel), shapes.of(pixel).counts] for pixel in objects if pixel != main]:
        extras["values"] = rest
    entries.append(_entry(key, concept, shapes.but([0, *others]), extras))
    return Binary(entries, form.value(main))


def counted(pixels: Pixels) -> dict[int, int]:
    """How many pixels of each kind there are, lowest first."""
    import numpy as np

    if pixels.dtype.itemsize > 2:
        kinds, counts = np.unique(pixels, return_counts=True)
        return dict(zip(kinds.tolist(), counts.tolist(), strict=True))
    flat, total = pixels.ravel(), np.zeros(MAX_VALUE + 1, dtype=np.int64)
    for start in range(0, len(flat), 1 << 22):
        total += np.bincount(flat[start : start + (1 << 22)], minlength=len(total))
    kinds = np.flatnonzero(total)
    return dict(zip(kinds.tolist(), total[kinds].tolist(), strict=True))


class Shapes:
    """The masks of a picture's pixels, with the tools of COCO."""

    def __init__(self, pixels: Pixels) -> None:
        import numpy as np

        self._np = np
        self._columns = np.asfortranarray(pixels)

    def of(self, pixel: int) -> Encoded:
        """Where the pixels of a kind are."""
        return Encoded.made(self._columns == pixel)

    def but(self, pixels: list[int]) -> Encoded:
        """Where all but the pixels of some kinds are."""
        return Encoded.made(~self._np.isin(self._columns, pixels))


class Encoded(NamedTuple):
    """A mask as COCO's compressed text, with its size, box and area in pixels."""

    height: int
    width: int
    counts: str
    box: tuple[float, ...]
    area: int

    @classmethod
    def made(cls, columns: Any) -> Encoded:
        """The mask of a picture of booleans, height × width, column by column in memory."""
        import numpy as np
        from pycocotools import mask

        found = mask.encode(np.asfortranarray(columns).view(np.uint8))
        height, width = found["size"]
        return cls(height, width, found["counts"].decode(), tuple(mask.toBbox(found).tolist()), int(mask.area(found)))


def _entry(key: str, concept: str | None, found: Encoded, extras: Mapping[str, Any]) -> Entry:
    mask = Mask(height=found.height, width=found.width, counts=found.counts)
    annotation = Annotation(
        key=key,
        id="",
        concept=concept,
        shape=Shape(box=found.box, mask=mask, area=found.area),
        extras={"mask": extras} if extras else {},
    )
    fields = annotation_fields(annotation)
    return f"{key}\0{content_id(key, fields)}".encode(), codec.encode(fields)
