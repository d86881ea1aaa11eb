"""The mask exporter, profile `mask/1`: a folder or archive of PNG masks, exact to the pixel, and what values mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dsvc.errors import RefusedError
from dsvc.formats.container import ExportReport, Target
from dsvc.formats.mask_classes import write_classes
from dsvc.formats.mask_form import RGB, Form, Value, widened, write_picture
from dsvc.formats.mask_losses import input_losses
from dsvc.formats.mask_plan import Layer, Plan
from dsvc.formats.mask_values import Stroke
from dsvc.formats.masks import bitmap, runs
from dsvc.model.records import Input, Mask
from dsvc.model.walk import Sample, Walk

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Painted = tuple[Stroke, Mask]


class MaskExporter:
    """Writes PNG masks."""

    profile = "mask/1"

    def export(self, walk: Walk, target: Target, *, media: bool = False) -> ExportReport:
        """Write a walk to a target. Raises RefusedError where nothing has a mask."""
        plan = Plan(walk)
        files = inputs = annotations = 0
        for sample in walk.samples():
            plan.lose(*input_losses(sample.input))
            masks = list(_masks(sample, plan))
            if not masks and not media:
                plan.lose("inputs have no mask, so that nothing names them")
            for name, picture, painted in masks:
                with target.add(name) as out:
                    out.write(picture)
                annotations += painted
            files += len(masks)
            inputs += bool(masks)
        if not files:
            raise RefusedError("no annotation has a mask", "polygons and boxes go to: --format coco")
        if (classes := plan.values.classes()) is not None:
            with target.add("classes.json") as out:
                out.write(write_classes(classes))
            files += 1
        if media:
            files += _write_media(walk, target, plan)
        return ExportReport(files, inputs, annotations, tuple(plan.notes()), tuple(plan.losses()))


def _masks(sample: Sample, plan: Plan) -> Iterator[tuple[str, bytes, int]]:
    """The masks of an input: the file's name, its bytes, and how many annotations it shows."""
    layers, strokes = plan.layers(sample.input), dict[str, list[Painted]]()
    for annotation in sample.annotations:
        stroke = plan.stroke(annotation)
        if stroke is not None and annotation.shape is not None and annotation.shape.mask is not None:
            strokes.setdefault(stroke.layer, []).append((stroke, annotation.shape.mask))
    for name in sorted(layers.keys() | strokes.keys()):
        own = strokes.get(name, [])
        canvas = Canvas(layers.get(name) or _new_layer(sample.input, own, plan), own, plan)
        for stroke, mask in own:
            canvas.paint(stroke, mask)
        if canvas.painted or name in layers:
            yield plan.file_name(sample.input.key, name), canvas.picture(), canvas.painted


def _new_layer(record: Input, own: Iterable[Painted], plan: Plan) -> Layer:
    """The layer of masks that came without one: of the input's size where a mask has that, else of the first's."""
    sizes = [(mask.width, mask.height) for _, mask in own]
    media = record.media
    known = [(record.declared_width, record.declared_height), (media.width, media.height) if media else (None, None)]
    width, height = next((size for size in sizes if size in known), sizes[0])
    return Layer(width, height, plan.form)


class Canvas:
    """One mask while it is painted, in a form that can say the values of its strokes."""

    def __init__(self, layer: Layer, strokes: Iterable[Painted], plan: Plan) -> None:
        import numpy as np

        self.painted = 0
        self._size = (layer.width, layer.height)
        self._plan = plan
        self._form = _fitting(layer.form, [stroke for stroke, _ in strokes])
        kind = np.uint32 if self._form.is_color else np.uint16 if self._form.depth == 16 else np.uint8
        self._pixels = np.zeros((layer.height, layer.width), dtype=kind)
        self._covered = np.zeros((layer.height, layer.width), dtype=bool)
        self._seen: set[Value] = set()

    def paint(self, stroke: Stroke, mask: Mask) -> None:
        """Paint a stroke over those before; one that cannot be drawn is counted."""
        pixel = self._form.pixel(stroke.value)
        if pixel is None:
            self._plan.lose("masks have a value that their file cannot say, and were left out")
            return
        if (mask.width, mask.height) != self._size:
            self._plan.lose("masks of another size than their input's were left out")
            return
        area = _area(mask, mask.counts)
        if area is None:
            self._plan.lose("masks whose runs are damaged were left out")
            return
        if (self._pixels[area & self._covered] != pixel).any():
            self._plan.lose("masks cover a part of another, which is lost there")
        if stroke.value in self._seen:
            self._plan.lose("masks have the value of another one of their input, and come back as one with it")
        self._seen.add(stroke.value)
        self._covered |= area
        self._pixels[area] = pixel
        for value, text in stroke.others:
            part, other = _area(mask, text), self._form.pixel(value)
            if part is not None and other is not None:
                self._pixels[area & part] = other
        self.painted += 1

    def picture(self) -> bytes:
        """The PNG file."""
        value, concept = self._plan.values.nothing
        if not self._covered.all():
            pixel = self._form.pixel(value)
            self._pixels[~self._covered] = pixel or 0
            if concept is not None or pixel is None:
                self._plan.change("masks have pixels that no annotation covers, and 0 says a concept there")
        return write_picture(self._pixels, self._form)


def _fitting(form: Form, strokes: Iterable[Stroke]) -> Form:
    """The form, or where it cannot say the values of strokes, one like it that can."""
    values = [value for stroke in strokes for value in (stroke.value, *(other for other, _ in stroke.others))]
    if any(isinstance(value, str) for value in values) and not form.is_color:
        form = Form(RGB, 8)
    for value in values:
        form = widened(form, value) if isinstance(value, int) else form
    return form


def _area(mask: Mask, counts: str | tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    """Where runs in the size of a mask are, height × width; None where they don't fill it."""
    part = Mask(height=mask.height, width=mask.width, counts=counts)
    try:
        return bitmap(part, runs(part)).view(bool)
    except ValueError:
        return None


def _write_media(walk: Walk, target: Target, plan: Plan) -> int:
    """The bytes of all inputs that the repository holds, under `images/`; how many."""
    written = 0
    for record in walk.inputs():
        media = record.media
        if media is None or media.blob is None:
            plan.lose("inputs have no bytes in the repository")
            continue
        with target.add(f"images/{record.key}", media.size) as out:
            for piece in walk.read_media(record):
                out.write(piece)
        written += 1
    return written
