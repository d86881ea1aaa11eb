"""Marks at the right pixels: boxes, polygons, masks, keypoints and points, whatever the picture and the numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from dsvc.core.dataset import Dataset
from dsvc.core.pictures.colours import BLANK, PALETTE, WELL, colour_of, ink_on
from dsvc.core.pictures.frames import frame_of, turned
from dsvc.core.pictures.previews import cell_of
from dsvc.core.pictures.rasters import raster
from dsvc.model.records import Annotation, Concept, Input, Mask, Media, Shape

WHITE = (255, 255, 255)


def png(size: tuple[int, int] = (100, 100), color: Any = WHITE, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, color).save(file, "PNG", **options)
    return file.getvalue()


def add(pets: Dataset, key: str, data: bytes) -> None:
    assert pets.repository.root is not None
    path = pets.repository.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    pets.add(path)


def drawn(pets: Dataset, *annotations: Annotation, key: str = "a.png", side: int = 200) -> np.ndarray:
    """The square of an input with some annotations, by row and column."""
    state = pets.draft()
    record = state.input(key)
    assert record is not None
    return np.asarray(cell_of(state, record, annotations, side).image)


def note(**fields: Any) -> Annotation:
    return Annotation(key="a.png", id="1", **fields)


def at(pixels: np.ndarray, x: int, y: int) -> tuple[int, ...]:
    return tuple(int(value) for value in pixels[y, x])


def near(pixels: np.ndarray, x: int, y: int, colour: tuple[int, int, int], slack: int = 3) -> bool:
    return all(abs(a - b) <= slack for a, b in zip(at(pixels, x, y), colour, strict=True))


CAT = colour_of("cat")


def test_a_box_lies_where_its_scaled_coordinates_are(pets: Dataset) -> None:
    add(pets, "a.png", png())
    pixels = drawn(pets, note(concept="cat", shape=Shape(box=(20, 40, 50, 30))))
    # 100 pixels are drawn on 200: from x 40 to 139, from y 80 to 139.
    for x, y in ((40, 110), (139, 110), (100, 80), (100, 139), (40, 80), (139, 139)):
        assert at(pixels, x, y) == CAT, (x, y, at(pixels, x, y))
    for x, y in ((100, 110), (38, 110), (42, 110), (137, 110), (141, 110), (100, 82), (100, 141)):
        assert at(pixels, x, y) == WHITE, (x, y)


def test_a_box_of_a_picture_that_is_letterboxed(pets: Dataset) -> None:
    add(pets, "a.png", png((100, 50)))
    pixels = drawn(pets, note(concept="cat", shape=Shape(box=(50, 10, 50, 30))))
    assert at(pixels, 100, 20) == WELL and at(pixels, 20, 60) == WHITE
    assert at(pixels, 100, 100) == at(pixels, 150, 70) == at(pixels, 150, 129) == CAT


def test_relative_and_declared_sizes(pets: Dataset) -> None:
    add(pets, "a.png", png())
    relative = drawn(pets, note(concept="cat", shape=Shape(box=(0.2, 0.4, 0.5, 0.3), unit="relative")))
    absolute = drawn(pets, note(concept="cat", shape=Shape(box=(20, 40, 50, 30))))
    assert (relative == absolute).all()
    # Annotated on a picture of twice the size.
    state, annotation = pets.draft(), note(concept="cat", shape=Shape(box=(40, 80, 100, 60)))
    found = state.input("a.png")
    assert found is not None
    record = Input(key="a.png", media=found.media, declared_width=200, declared_height=200)
    assert (np.asarray(cell_of(state, record, [annotation], 200).image) == absolute).all()


def test_a_polygon_is_filled_half_transparent_and_has_an_edge(pets: Dataset) -> None:
    add(pets, "a.png", png())
    pixels = drawn(pets, note(concept="cat", shape=Shape(polygons=((20, 20, 80, 20, 80, 80, 20, 80),))))
    assert near(pixels, 40, 100, CAT, 80)
    inside = at(pixels, 60, 150)
    assert inside != WHITE and all(colour <= value <= 255 for colour, value in zip(CAT, inside, strict=True))
    assert at(pixels, 20, 100) == WHITE


@pytest.mark.parametrize("is_text", [False, True])
def test_a_mask_covers_its_own_pixels(pets: Dataset, is_text: bool) -> None:
    add(pets, "a.png", png())
    field = np.zeros((100, 100), np.uint8, order="F")
    field[20:60, 30:90] = 1
    mask = coco_mask(field, is_text)
    pixels = drawn(pets, note(concept="cat", shape=Shape(mask=mask)))
    covered = (pixels != np.array(WHITE)).any(axis=2)
    covered[:40] &= False  # where the name is
    wanted = np.zeros((200, 200), bool)
    wanted[40:120, 60:180] = True
    assert (covered == wanted).all()


def coco_mask(field: np.ndarray, is_text: bool) -> Mask:
    from pycocotools import mask as coco

    height, width = field.shape
    if is_text:
        return Mask(height=height, width=width, counts=coco.encode(np.asfortranarray(field))["counts"].decode())
    flat = field.flatten(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, flat.size]).tolist()
    return Mask(height=height, width=width, counts=tuple([0, *counts] if flat[0] else counts))


def test_rasters_are_those_of_pycocotools(pets: Dataset) -> None:
    rng = np.random.default_rng(3)
    for orientation in range(1, 9):
        field = np.asfortranarray(rng.random((9, 14)) < 0.4).astype(np.uint8)
        size = (9, 14) if orientation in (5, 6, 7, 8) else (14, 9)
        frame = frame_of(Input(key="k"), (14, 9), orientation, size)
        found = raster(coco_mask(field, True), "pixel", frame)
        assert found is not None
        left, top, seen = found
        whole = np.zeros((size[1], size[0]), np.uint8)
        whole[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
        from PIL import ImageOps

        image = Image.fromarray(field * 255)
        image.getexif()[0x0112] = orientation
        wanted = np.asarray(ImageOps.exif_transpose(image)) // 255
        assert (whole == wanted).all(), orientation


def test_masks_that_are_odd(pets: Dataset) -> None:
    add(pets, "a.png", png())
    blank = drawn(pets)
    for mask in (
        Mask(height=10, width=10, counts=(5, 5)),  # too short
        Mask(height=10, width=10, counts="\x7f\x7f"),
        Mask(height=10, width=10, counts=(100,)),  # nothing
        Mask(height=1 << 20, width=1 << 20, counts=(1 << 40,)),
    ):
        assert (drawn(pets, note(shape=Shape(mask=mask))) == blank).all()
    # A grid of its own: in pixels it lies on those of the picture, relative it covers all of it.
    mask = Mask(height=10, width=10, counts=(0, 100))
    small, whole = (drawn(pets, note(shape=Shape(mask=mask, unit=unit))) for unit in ("pixel", "relative"))
    assert (small[:20, :20] != 255).any() and (small[21:, :] == 255).all()
    assert (whole != 255).any(axis=2).all()
    state = pets.draft()
    record = state.input("a.png")
    assert record is not None
    told = [
        cell_of(state, record, [note(shape=Shape(mask=mask, unit=unit))], 200).notices for unit in ("pixel", "relative")
    ]
    assert told == [("a mask of another size",), ()]


def test_keypoints_skeleton_and_points(pets: Dataset) -> None:
    add(pets, "a.png", png())
    with pets.edit() as draft:
        draft.annotate(Annotation(key="a.png", id="", concept="cat", keypoints=(20, 50, 2, 80, 50, 2, 50, 90, 0)))
    state = pets.draft()
    plain = drawn(pets, *state.annotations("a.png"))
    assert near(plain, 40, 100, CAT, 20) and near(plain, 160, 100, CAT, 20)
    assert at(plain, 100, 100) == WHITE and at(plain, 100, 180) == WHITE  # no skeleton, and one that is not there
    from dsvc.core.pictures.cells import Subject, make_cell
    from dsvc.core.pictures.marks import Marker

    record = state.input("a.png")
    assert record is not None
    concept = Concept(id="cat", name="Cat", keypoints=("a", "b", "c"), skeleton=((1, 2), (1, 3), (9, 0)))
    marks = [Marker({"cat": concept}).plain(one) for one in state.annotations("a.png")]
    lined = np.asarray(make_cell(Subject(state, record, "a.png", marks), 200).image)
    assert near(lined, 100, 100, CAT, 40) and marks[0].label == "Cat"
    assert near(drawn(pets, note(concept="cat", point=(30, 70))), 60, 140, CAT, 20)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(box=(-500, -500, 20, 20)),
        Shape(box=(1e300, -1e300, 1e300, 1e300)),
        Shape(box=(float("-inf"), 0, float("inf"), 5)),
        Shape(box=(50, 50, 0, 0)),
        Shape(box=(50, 50, -20, -30)),
        Shape(box=(1, 2, 3)),
        Shape(box=()),
        Shape(polygons=((5, 5),)),
        Shape(polygons=((5, 5, 7),)),
        Shape(polygons=((),)),
        Shape(polygons=((5, 5, 9, 9),)),
        Shape(polygons=((-1e200, 5, 1e200, 5, 0, 1e200),)),
        Shape(polygons=()),
        Shape(area=4),
        Shape(box=(5, 5, 1e9, 1e9), unit="relative"),
    ],
)
def test_numbers_that_are_odd_are_drawn_as_far_as_they_can_be(pets: Dataset, shape: Shape) -> None:
    add(pets, "a.png", png())
    for size in ((1, 1), (20_000, 10), (10, 3000)):
        add(pets, f"{size[0]}.png", png(size))
        assert drawn(pets, note(concept="cat", shape=shape), key=f"{size[0]}.png").shape == (200, 200, 3)
    assert drawn(pets, note(concept="cat", shape=shape)).shape == (200, 200, 3)


def test_a_negative_size_is_drawn_as_the_same_box(pets: Dataset) -> None:
    add(pets, "a.png", png())
    there, back = (Shape(box=box) for box in ((30, 20, 20, 30), (50, 50, -20, -30)))
    assert (drawn(pets, note(shape=there)) == drawn(pets, note(shape=back))).all()


def test_thousands_of_annotations_on_one_picture(pets: Dataset) -> None:
    add(pets, "a.png", png())
    boxes = (Shape(box=(n % 90, n // 90 * 4, 8, 3)) for n in range(2000))
    pixels = drawn(pets, *(note(concept=f"c{n % 7}", shape=shape) for n, shape in enumerate(boxes)))
    assert not (pixels == 255).all()


def test_exif_and_what_was_declared(pets: Dataset) -> None:
    """The size that came with annotations tells which way up the picture was that they were made on."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (100, 60), WHITE)
    stored.paste((255, 0, 0), (0, 0, 30, 30))
    stored.save(file, "PNG", exif=exif)
    add(pets, "a.png", file.getvalue())
    state = pets.draft()
    record = state.input("a.png")
    assert record is not None and record.media is not None and record.media.width == 100

    def seen(box: tuple[float, ...], **declared: float) -> np.ndarray:
        told = Input(key="a.png", media=record.media, **declared)
        return np.asarray(cell_of(state, told, [note(concept="cat", shape=Shape(box=box))], 200).image)

    # Shown turned: 60 x 100, the red corner at the upper right; from x 40 to 160.
    bare = drawn(pets)
    assert at(bare, 20, 100) == WELL and at(bare, 150, 10) == (255, 0, 0) and at(bare, 50, 10) == WHITE
    on_stored, on_turned = seen((0, 0, 30, 30)), seen((30, 0, 30, 30), declared_width=60, declared_height=100)
    assert (on_stored == on_turned).all() and near(on_stored, 100, 30, CAT, 60)
    same = seen((0, 0, 30, 30), declared_width=100, declared_height=60)
    assert (same == on_stored).all()


def test_turning_points() -> None:
    corners = [turned(0.25, 0.125, orientation) for orientation in range(1, 9)]
    assert corners == [(0.25, 0.125), (0.75, 0.125), (0.75, 0.875), (0.25, 0.875),
                       (0.125, 0.25), (0.875, 0.25), (0.875, 0.75), (0.125, 0.75)]  # fmt: skip


def test_colours_are_a_concept_s_own() -> None:
    assert colour_of("cat") == colour_of("cat") and len({colour_of(f"c{n}") for n in range(300)}) == len(PALETTE)
    assert colour_of("person") == (232, 166, 115) and colour_of("dog") == (200, 238, 166)  # as everywhere and always
    assert ink_on((240, 228, 66)) == (20, 24, 31) and ink_on((0, 0, 80)) == WHITE


def test_boxes_without_a_picture_are_drawn_on_a_blank_one(pets: Dataset) -> None:
    state = pets.draft()
    record = Input(key="a.png", declared_width=100, declared_height=100)
    cell = cell_of(state, record, [note(concept="cat", shape=Shape(box=(20, 40, 50, 30)))], 200)
    pixels = np.asarray(cell.image)
    assert at(pixels, 100, 110) == BLANK and at(pixels, 40, 110) == CAT
    assert cell.notices == ("no media",) and cell.problem == "the repository does not hold its bytes"
    odd = Input(key="a.png", declared_width=-5, declared_height=float("1e308"), media=Media(type="image/png"))
    assert cell_of(state, odd, [note(shape=Shape(box=(1, 2, 3, 4)))], 64).image.size == (64, 64)


def test_what_lies_on_later_frames_is_not_drawn(pets: Dataset) -> None:
    add(pets, "a.png", png())
    box = Shape(box=(20, 40, 50, 30))
    blank = drawn(pets)
    state = pets.draft()
    record = state.input("a.png")
    assert record is not None
    later = [note(shape=box, frame=3), note(shape=box, time=(2.0, 3.0))]
    cell = cell_of(state, record, later, 200)
    assert (np.asarray(cell.image) == blank).all() and cell.notices == ("2 on later frames",)
    assert (drawn(pets, note(shape=box, frame=0, time=(0.0, 3.0))) != blank).any()


def test_the_collected_images(pets: Dataset, corpus: Path) -> None:
    for path in sorted((corpus / "images").iterdir()):
        add(pets, path.name, path.read_bytes())
    state = pets.draft()
    cells = {record.key: cell_of(state, record, (), 96) for record in state.inputs()}
    assert len(cells) == 15 and all(cell.image.size == (96, 96) for cell in cells.values())
    problems = {key: cell.problem for key, cell in cells.items() if cell.problem}
    if not features.check("avif"):  # an older Pillow
        assert problems.pop("avif_hopper.avif") == "cannot be decoded: there is no decoder for image/avif here"
    assert problems == {
        "broken.png": "cannot be decoded: its header cannot be read",
        "decompression_bomb.gif": "its header promises more than 89,478,485 pixels",
    }
    red = np.asarray(cells["pil_sample_cmyk.jpg"].image).reshape(-1, 3).mean(axis=0)
    assert red[0] > red[1] and red[0] > red[2]
    deep = np.asarray(cells["16bit.cropped.tif"].image)
    assert deep.min() < 30 and deep.max() > 200
