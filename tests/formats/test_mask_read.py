"""PNG masks in: every kind of PNG, whose mask it is, what values mean, and what is refused."""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as tools

from dsvc.core.dataset import Dataset
from dsvc.errors import InvalidRecordsError, NotFoundError, RefusedError, UsageError
from dsvc.formats.mask_classes import read_classes, write_classes
from dsvc.formats.mask_form import Form, fixed_colors, form_of, widened, write_picture
from dsvc.formats.mask_match import Matcher, stem
from dsvc.formats.mask_png import read_picture
from dsvc.formats.mask_read import MaskImporter
from dsvc.model.incoming import Setup
from dsvc.model.records import Annotation, Input, Media

# pycocotools asks numpy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

Bring = Callable[..., Any]
SMALL = np.array([[0, 1, 1, 0], [2, 1, 0, 0], [2, 2, 0, 3]], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "masks"
    made.mkdir()
    return made


def save(pixels: Any, path: Path, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)


def decoded(annotation: Annotation) -> Any:
    """Where a mask is, as pycocotools says."""
    assert annotation.shape is not None and annotation.shape.mask is not None
    mask = annotation.shape.mask
    return tools.decode({"size": [mask.height, mask.width], "counts": mask.counts}).astype(bool)


def found(dataset: Dataset, key: str) -> dict[Any, Any]:
    """Where the masks of an input are, by concept, or by the value that is ignored."""
    made = {}
    for one in dataset.draft().annotations(key):
        name = one.concept if one.concept is not None else one.extras["mask"]["ignore"]
        assert name not in made
        made[name] = decoded(one)
    return made


# ---- the pixels


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("color", "depth"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (3, 1), (3, 2), (3, 4), (3, 8), (2, 8), (4, 8), (6, 8)],
)
def test_the_values_are_those_of_the_file(color, depth, interlaced, png, palette):
    noise = np.random.default_rng(depth + color)
    for height, width in ((1, 1), (3, 5), (9, 17)):
        channels = {2: 3, 6: 4, 4: 2}.get(color, 1)
        samples = noise.integers(0, 1 << depth, (height, width, channels))
        if color in (4, 6):
            samples[:, :, -1] = 255
        extra = [palette(1 << depth)] if color == 3 else []
        picture = read_picture(png(samples, depth, color, *extra, interlaced=interlaced))
        wanted = samples[:, :, 0]
        if color in (2, 6):
            wanted = samples[:, :, 0] << 16 | samples[:, :, 1] << 8 | samples[:, :, 2]
        assert (picture.pixels == wanted).all()
        assert (picture.form.color, picture.form.depth) == (color, depth)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA", "LA"])
def test_what_pillow_writes(mode):
    image = Image.new(mode, (5, 3))
    if mode == "P":
        image.putpalette([1, 2, 3, 4, 5, 6])
    value = {"1": 1, "L": 200, "P": 1, "I;16": 40_000, "LA": (7, 255)}.get(mode, (1, 2, 3, 255)[: len(mode)])
    image.putalpha(255) if mode in ("LA", "RGBA") else None
    image.putpixel((4, 2), value)
    file = io.BytesIO()
    image.save(file, "png")
    picture = read_picture(file.getvalue())
    wanted = np.zeros((3, 5), dtype=np.int64)
    wanted[2, 4] = {"LA": 7, "RGB": 0x010203, "RGBA": 0x010203}.get(mode, value)
    assert (picture.pixels == wanted).all()
    if mode == "P":
        assert picture.form.palette.startswith(bytes([1, 2, 3, 4, 5, 6]))


FORMS = (
    [Form(0, depth) for depth in (1, 2, 4, 8, 16)]
    + [Form(3, depth, bytes(range(3 << depth if depth < 8 else 96))) for depth in (1, 2, 4, 8)]
    + [Form(2, 8), Form(4, 8), Form(6, 8), Form(3, 8, bytes(range(9)), b"\0\x80"), Form(0, 8, b"", b"\0\3")]
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FORMS), st.integers(1, 20), st.integers(1, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_what_is_written_is_read(form, height, width, seed, plain):
    top = 1 << 24 if form.is_color else form.size
    pixels = np.random.default_rng(seed).integers(0, top, (height, width))
    pixels[height // 2 :, width // 3 :] = 0 if plain else top - 1
    pixels = pixels.astype(np.uint32 if form.is_color else np.uint16 if form.depth == 16 else np.uint8)
    data = write_picture(pixels, form)
    picture = read_picture(data)
    assert (picture.pixels == pixels).all() and picture.pixels.dtype == pixels.dtype
    assert picture.form == form == form_of(form.name, form.fields)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.size == (width, height)


def test_the_bytes_of_pictures_never_change():
    rows, columns = np.mgrid[:90, :120]
    drawn = (((columns - 50) ** 2 + (rows - 40) ** 2 < 900) + 2 * (rows > 60)).astype(np.uint8)
    forms = (Form(0, 2), Form(0, 4), Form(0, 8), Form(0, 16), Form(3, 8, bytes(range(12))), Form(2, 8), Form(6, 8))
    files = [write_picture(drawn.astype(np.uint32), form) for form in forms]
    assert [len(file) for file in files] == [352, 448, 642, 1023, 666, 1426, 1719]
    assert (
        hashlib.sha256(b"".join(files)).hexdigest()
        == "ffe0f55f7afd055b1e0775558f0a8f53ca7afaa581a72d996ec21a52b92087dc"
    )


def test_forms_that_hold_more():
    assert widened(Form(0, 1), 1) == Form(0, 1)
    assert widened(Form(0, 1), 3) == Form(0, 2)
    assert widened(Form(0, 8), 256) == Form(0, 16)
    assert widened(Form(2, 8), 255) == Form(2, 8)
    assert widened(Form(2, 8), 256) == Form(0, 16)
    wider = widened(Form(3, 1, b"abcdef"), 4)
    assert (wider.depth, wider.palette[:6], wider.size) == (4, b"abcdef", 5)
    assert wider.palette[-3:] == fixed_colors()[4].to_bytes(3, "big")


def test_the_fixed_colours_are_those_of_pascal_voc():
    colors = {1: 0x800000, 2: 0x008000, 3: 0x808000, 8: 0x400000, 15: 0xC08080, 20: 0x004080, 255: 0xE0E0C0}
    assert {n: fixed_colors()[n] for n in colors} == colors
    assert len(set(fixed_colors())) == 256


# ---- files that are refused


def header(width: int, height: int, *rest: int) -> bytes:
    data = struct.pack(">II", width, height) + bytes(rest)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + data + struct.pack(">I", zlib.crc32(b"IHDR" + data))


def part(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


ROWS = part(b"IDAT", zlib.compress(b"\0\1\2" * 2))
END = part(b"IEND")
PLAIN = (8, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff", "is no PNG file"),
        (header(2, 2, *PLAIN), "is cut off: it ends before its last chunk"),
        (header(2, 2, *PLAIN) + ROWS[:-3], "is cut off: it ends within a chunk"),
        (header(2, 2, *PLAIN)[:-1] + b"x" + ROWS + END, "is damaged: the checksum of its IHDR chunk is wrong"),
        (header(2, 2, *PLAIN) + END, "is damaged: it has no pixels"),
        (header(2, 2, *PLAIN) * 1 + header(2, 2, *PLAIN)[8:] + ROWS + END, "is damaged: it has two headers"),
        (header(2, 2, *PLAIN)[:8] + ROWS + END, "is damaged: it does not begin with a header"),
        (header(0, 2, *PLAIN) + ROWS + END, "is damaged: its header"),
        (header(2, 2, 3, 0, 0, 0, 0) + ROWS + END, "is damaged: its header"),
        (header(2, 2, 8, 0, 0, 0, 2) + ROWS + END, "is damaged: its header"),
        (header(2, 2, 16, 2, 0, 0, 0) + ROWS + END, "has 16 bits for each of several channels"),
        (header(1 << 20, 1 << 20, *PLAIN) + ROWS + END, "says it has 1,048,576 × 1,048,576 pixels; at most"),
        (header(2, 2, 8, 3, 0, 0, 0) + ROWS + END, "is damaged: it has no right palette"),
        (header(2, 2, 8, 3, 0, 0, 0) + part(b"PLTE", b"123456") + ROWS + END, "has pixels of index 2, and its palette"),
        (header(2, 2, *PLAIN) + part(b"tRNS", b"1") + ROWS + END, "is damaged: its transparency"),
        (header(2, 2, *PLAIN) + part(b"acTL", b"1") + ROWS + END, "is an animation"),
        (header(2, 2, *PLAIN) + part(b"WHAT") + ROWS + END, "has a chunk WHAT"),
        (header(2, 3, *PLAIN) + ROWS + END, "is damaged: its pixels end too early"),
        (header(2, 1, *PLAIN) + ROWS + END, "is damaged: it has more pixels than its header says"),
        (header(2, 2, *PLAIN) + part(b"IDAT", b"no deflate stream") + END, "is damaged: its pixels cannot be unpacked"),
        (header(2, 2, *PLAIN) + part(b"IDAT") + END, "is damaged: its pixels end too early"),
        (header(2, 2, *PLAIN) + part(b"IDAT", zlib.compress(b"\7\1\2" * 2)) + END, "cannot be decoded: "),
        (header(9, 9, *PLAIN) + part(b"IDAT", zlib.compress(bytes(1 << 26))) + END, "is damaged: it has more"),
        (
            header(2, 2, 8, 4, 0, 0, 0) + part(b"IDAT", zlib.compress(b"\0\1\xff\1\xff\0\1\xff\1\xfe")) + END,
            "has 1 pixel",
        ),
    ],
)
def test_a_wrong_file_says_what_is_wrong(data, wrong):
    with pytest.raises(ValueError, match="^" + wrong.replace("(", r"\(")):
        read_picture(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_found_or_changes_no_pixel(data):
    whole = write_picture(SMALL, Form(3, 8, bytes(range(12))))
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for hurt in (broken, whole[:at]):
        with pytest.raises(ValueError):
            read_picture(hurt)


def test_names_of_files_that_are_wrong(folder, bring, inputs, corpus):
    inputs("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg")
    save(SMALL, folder / "a.png")
    (folder / "b.png").write_bytes(b"")
    (folder / "c.png").write_bytes((corpus / "images/hopper.jpg").read_bytes())
    (folder / "d.png").write_bytes((folder / "a.png").read_bytes()[:-20])
    (folder / "e.png").write_bytes((corpus / "images/broken.png").read_bytes())
    (folder / "f.png").write_bytes((corpus / "images/apng_delay.png").read_bytes())
    (folder / "g.png").symlink_to(corpus / "images/hopper.png")
    os.mkfifo(folder / "h.png")
    bring(
        folder,
        concept="cat",
        errors=[
            f"g.png: is a link that leads out of the folder, to {(corpus / 'images/hopper.png').resolve()}",
            "h.png: is a named pipe, and only regular files are read",
            "b.png: is empty",
            "c.png: is no PNG file, but image/jpeg",
            "d.png: is cut off: it ends within a chunk",
            "e.png: is cut off: it ends within a chunk",
            "f.png: is an animation, not one picture",
        ],
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(folder, bring, inputs):
    inputs("a.jpg")
    save(SMALL, folder / "a.png")
    (folder / "a.png").chmod(0)
    bring(folder, concept="cat", errors=["a.png: cannot be read: Permission denied"])


# ---- whose mask it is


@pytest.mark.parametrize(
    ("name", "short"),
    [("a.jpg", "a"), ("a", "a"), ("x/a.b.jpg", "x/a.b"), ("x.y/a", "x.y/a"), ("x/.a", "x/.a"), ("..a", "..a")],
)
def test_stems(name, short):
    assert stem(name) == short


def test_masks_find_their_inputs():
    keys = ("images/x/a.jpg", "images/y/a.jpg", "images/b.jpg", "images/c.jpg", "images/c.png", "other/d.jpg", "a.jpg")
    matcher = Matcher((Input(key=key) for key in keys), "./images/")
    assert matcher.count == 5
    assert matcher.find("x/a").key == "images/x/a.jpg"
    assert matcher.find("b").key == matcher.find("deep/er/b").key == "images/b.jpg"
    assert matcher.find("c.jpg").key == "images/c.jpg"
    for name, wrong in (
        ("a", "may belong to 2 inputs: images/x/a.jpg, images/y/a.jpg"),
        ("c", "may belong to 2 inputs: images/c.jpg, images/c.png"),
        ("z/c", "may belong to 2 inputs: images/c.jpg, images/c.png"),
        ("d", "no input is called 'd'"),
    ):
        with pytest.raises(ValueError, match=f"^{wrong}$"):
            matcher.find(name)
    assert Matcher(Input(key=key) for key in keys).find("images/b").key == "images/b.jpg"
    text = Input(key="b.txt", media=Media(type="text/plain"))
    assert Matcher([Input(key="b.jpg", media=Media(type="image/jpeg")), text]).find("b").key == "b.jpg"


def test_masks_beside_their_images(folder, bring, inputs, pets):
    inputs("data/a.png", "data/sub/b.jpg", "data/c.jpg")
    save(SMALL, folder / "a.png")
    save(SMALL, folder / "a_mask.png")
    save(SMALL, folder / "sub/b_mask.PNG")
    save(SMALL, folder / "_mask.png")
    save(SMALL, folder / ".hidden_mask.png")
    (folder / "notes.txt").write_text("mine")
    brought = bring(folder, concept="cat", suffix="_mask", prefix="data")
    assert [record.key for record in brought.inputs] == ["data/a.png", "data/sub/b.jpg"]
    assert brought.incoming.notes == ["3 files that are not called *_mask.png passed over", "1 input has no mask"]
    assert (found(pets, "data/sub/b.jpg")["cat"] == (SMALL > 0)).all()


def test_masks_that_have_no_one_input(folder, bring, inputs):
    inputs("a.jpg", "a.png", "x/b.jpg")
    for name in ("a.png", "b.png", "y/b.png", "z.png"):
        save(SMALL, folder / name)
    bring(
        folder,
        concept="cat",
        errors=[
            "a.png: may belong to 2 inputs: a.jpg, a.png",
            "y/b.png: input x/b.jpg has a mask already, b.png",
            "z.png: no input is called 'z'",
        ],
    )


def test_a_mask_has_the_size_of_its_input(folder, bring, inputs, pets):
    inputs("a.jpg", size=(3, 4))
    inputs("b.jpg", size=(4, 3))
    save(SMALL, folder / "a.png")
    save(SMALL, folder / "b.png")
    bring(folder, concept="cat", errors=["a.png: has 4 × 3 pixels, and its input a.jpg has 3 × 4"])
    assert list(found(pets, "b.jpg")) == ["cat"] and not found(pets, "a.jpg")


# ---- what values mean


def test_an_annotation_for_each_class(folder, bring, inputs, pets):
    inputs("a.jpg", "b.jpg")
    save(SMALL, folder / "a.png")
    save(SMALL * 0, folder / "b.png")
    brought = bring(folder, classes="0 background\n1 cat\n2: big dog\n3\tbird\n")
    assert brought.concepts == ["big dog", "bird", "cat"]
    wanted = {"cat": 1, "big dog": 2, "bird": 3}
    shapes = found(pets, "a.jpg")
    assert shapes.keys() == wanted.keys() and all((shapes[name] == (n == SMALL)).all() for name, n in wanted.items())
    dog = next(one for one in pets.draft().annotations("a.jpg") if one.concept == "big dog")
    assert dog.shape is not None and (dog.shape.box, dog.shape.area) == ((0, 1, 2, 2), 3)
    assert not found(pets, "b.jpg")
    assert [record.extras for record in brought.inputs] == [{"mask": {"": "4x3 gray8"}}] * 2


def test_the_same_masks_give_the_same_annotations(folder, bring, inputs, repo, pets):
    other = repo.create("other")
    inputs("a.jpg")
    with other.edit() as draft:
        draft.put_media({"a.jpg": Media()})
    save(SMALL, folder / "a.png")
    for dataset in (pets, other):
        bring(folder, dataset=dataset, classes="background\ncat\ndog\nbird")
    assert list(pets.draft().annotation_entries()) == list(other.draft().annotation_entries())


def test_values_that_no_class_names(folder, bring, inputs):
    inputs("a.jpg", "b.jpg")
    save(SMALL, folder / "a.png")
    save(np.arange(250, 256, dtype=np.uint8)[None], folder / "b.png")
    wrong = "has pixels that are neither in the classes nor ignored"
    bring(
        folder,
        classes="1 cat",
        ignore=(255,),
        errors=[
            f"a.png: {wrong}: 3 of value 2, 1 of value 3",
            f"b.png: {wrong}: 1 of value 250, 1 of value 251, 1 of value 252 and of 2 more values",
        ],
    )


def test_ignored_values_are_kept_without_a_concept(folder, bring, inputs, pets):
    inputs("a.jpg")
    save(SMALL, folder / "a.png")
    brought = bring(folder, classes="1 cat\n2 void\n3 bird", ignore=(2,))
    assert brought.concepts == ["bird", "cat"]
    assert (found(pets, "a.jpg")[2] == (SMALL == 2)).all()


def test_zero_can_be_a_class(folder, bring, inputs, pets):
    inputs("a.jpg")
    save(SMALL, folder / "a.png")
    bring(folder, classes="road\ncat\ndog\nbird\n")
    assert (found(pets, "a.jpg")["road"] == (SMALL == 0)).all()


@pytest.mark.parametrize("name", ["background", "Background", "_background_", "__background__"])
def test_zero_is_background(name, folder, bring, inputs, pets):
    inputs("a.jpg")
    save(SMALL, folder / "a.png")
    brought = bring(folder, classes=f"{name}\ncat\ndog\nbird\n")
    assert brought.concepts == ["bird", "cat", "dog"] and len(found(pets, "a.jpg")) == 3


def test_colours_are_classes(folder, bring, inputs, pets, png):
    inputs("a.jpg", "b.jpg", "c.jpg")
    colors = np.array([[[255, 0, 0], [0, 0, 0]], [[0, 0, 255], [224, 224, 192]]], dtype=np.uint8)
    save(colors, folder / "a.png")
    save(np.dstack([colors, np.full((2, 2), 255, np.uint8)]), folder / "b.png")
    save(SMALL, folder / "c.png")
    classes = "255 0 0 cat\n#0000FF dog\n224 224 192 hedge hog\n"
    brought = bring(folder, classes=classes, errors=["c.png: has values, and the classes are colours"])
    assert brought.concepts == ["cat", "dog", "hedge hog"]
    assert {name: area.nonzero() for name, area in found(pets, "b.jpg").items()} == {
        "cat": (0, 0),
        "dog": (1, 0),
        "hedge hog": (1, 1),
    }


def test_gray_colours_are_values(folder, bring, inputs, pets):
    inputs("a.jpg", "b.jpg")
    save(np.dstack([SMALL] * 3), folder / "a.png")
    save(np.dstack([SMALL, SMALL, SMALL * 2]), folder / "b.png")
    wrong = "b.png: has pixels that are neither in the classes nor ignored: 3 of value #010102, 3 of value #020204, "
    bring(folder, classes="1 cat\n2 dog\n3 bird", errors=[f"{wrong}1 of value #030306"])
    assert (found(pets, "a.jpg")["dog"] == (SMALL == 2)).all()


def test_binary_masks(folder, bring, inputs, pets):
    inputs("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    save(SMALL > 0, folder / "a.png")
    save((SMALL > 0) * np.uint8(255), folder / "b.png")
    save(SMALL, folder / "c.png")
    save(SMALL * 0, folder / "d.png")
    brought = bring(folder, concept="big cat", ignore=(3,))
    assert brought.concepts == ["big cat"]
    extras = {}
    for key in "abcd":
        for one in pets.draft().annotations(f"{key}.jpg"):
            wanted = SMALL == 3 if one.concept is None else (SMALL > 0) & ((SMALL != 3) | (key != "c"))
            assert (decoded(one) == wanted).all()
            extras.setdefault(key, []).append(one.extras["mask"])
    assert extras["a"] == [{"value": 1}] and extras["b"] == [{"value": 255}] and "d" not in extras
    assert {"class": "big cat", "ignore": 3} in extras["c"]
    mixed = next(one for one in extras["c"] if "values" in one)
    assert (mixed["value"], [value for value, _ in mixed["values"]]) == (1, [2])
    assert brought.incoming.meta["value"] == 1


def test_folders_name_concepts(folder, bring, inputs, pets):
    inputs("img/x/a.jpg", "img/b.jpg")
    save(SMALL > 1, folder / "cat/x/a.png")
    save(SMALL == 1, folder / "big dog/a.png")
    save(SMALL == 1, folder / "big dog/b.png")
    save(SMALL, folder / "b.png")
    errors = ["b.png: lies in no folder that names its concept"]
    brought = bring(folder, concept="from-folder", prefix="img", errors=errors)
    assert brought.concepts == ["big dog", "cat"]
    shapes = found(pets, "img/x/a.jpg")
    assert (shapes["cat"] == (SMALL > 1)).all() and (shapes["big dog"] == (SMALL == 1)).all()
    assert brought.inputs[1].extras == {"mask": {"big dog": "4x3 gray1", "cat": "4x3 gray1"}}


def test_a_photograph_is_no_binary_mask(folder, bring, inputs):
    inputs("a.jpg")
    noise = np.random.default_rng(1).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    save(noise, folder / "a.png")
    bring(folder, concept="cat", errors=["a.png: has 900 values beside 0, so it is no binary mask"])


# ---- what is refused as a whole


def test_what_cannot_be_meant(folder, bring, inputs, tmp_path):
    with pytest.raises(RefusedError, match=r"the dataset has no images$"):
        bring(folder, concept="cat")
    inputs("a.jpg")
    save(SMALL, folder / "a.png")
    for setup, error, message in (
        ({}, UsageError, "what the values mean is not said"),
        ({"concept": "cat", "classes": "1 cat"}, UsageError, "classes or a concept, not both"),
        ({"concept": " "}, UsageError, "' ' is no name of a concept"),
        ({"concept": "\udc80"}, UsageError, r"'\\udc80' is no name of a concept"),
        ({"concept": "cat", "ignore": (70_000,)}, UsageError, "70000 cannot be ignored: values are 0 to 65,535"),
        ({"classes": "#ff0000 cat", "ignore": (256,)}, UsageError, "256 cannot be ignored: values are 0 to 255"),
        ({"concept": "cat", "suffix": "_mask"}, RefusedError, r"masks holds no mask \*_mask.png"),
        ({"concept": "cat", "prefix": "images"}, RefusedError, "the dataset has no images below images"),
    ):
        with pytest.raises(error, match=message) as caught:
            bring(folder, **setup)
        assert caught.value.hint
    with pytest.raises(NotFoundError, match="there is no such file or folder"):
        bring(folder / "none", concept="cat")
    with pytest.raises(RefusedError, match="is no folder"):
        bring(folder / "a.png", concept="cat")


def test_without_pillow(folder, bring, inputs, monkeypatch):
    inputs("a.jpg")
    save(SMALL, folder / "a.png")
    monkeypatch.setattr("dsvc.formats.mask_read.find_spec", lambda name: None)
    with pytest.raises(RefusedError, match="PNG masks are read with Pillow") as caught:
        bring(folder, concept="cat")
    assert caught.value.hint == "pip install 'dsvc[images]'"


def test_progress_is_told(folder, inputs, pets):
    inputs("a.jpg", "b.jpg")
    save(SMALL, folder / "a.png")
    save(SMALL, folder / "b.png")
    told: list[tuple[str, int, int | None]] = []
    setup = Setup(lambda: pets.draft().inputs(), concept="cat")
    list(MaskImporter().open_folder(folder, setup, lambda *step: told.append(step)).inputs())
    assert told == [("read masks", 0, 2), ("read masks", 1, 2)]


# ---- files of classes


def classes_of(tmp_path: Path, content: str | bytes) -> dict[Any, Any]:
    path = tmp_path / "classes"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return {one.value: "ignore" if one.ignore else one.concept for one in read_classes(path)}


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ('{"0": "background", "1": "cat"}', {0: None, 1: "cat"}),
        ('{"1": {"name": "cat", "color": "#FF0000", "more": [1]}, "255": {"ignore": true}}', {1: "cat", 255: "ignore"}),
        ('{"#FF0000": "cat", "0 0 255": "dog"}', {"#0000ff": "dog", "#ff0000": "cat"}),
        ('["background", "cat"]', {0: None, 1: "cat"}),
        ('{"0": {"color": "#000000"}, "1": "a", "2": "a"}', {0: None, 1: "a", 2: "a"}),
        ("\ufeff1 cat\r\n2 big dog\r\n", {1: "cat", 2: "big dog"}),
        ("# mine\n1: cat\n\n2 :dog\n", {1: "cat", 2: "dog"}),
        ("background\nbig cat\n日本\n\n", {0: None, 1: "big cat", 2: "日本"}),
        ("0 0 0 background\n255 0 0 cat\n#00ff00\tdog", {"#000000": None, "#00ff00": "dog", "#ff0000": "cat"}),
        ("0 0 0 sky\n", {"#000000": "sky"}),
        ("65535 e\u0301", {65535: "é"}),
    ],
)
def test_files_of_classes(content, wanted, tmp_path):
    assert classes_of(tmp_path, content) == wanted
    data = write_classes(read_classes(tmp_path / "classes"))
    assert classes_of(tmp_path, data) == wanted
    assert write_classes(read_classes(tmp_path / "classes")) == data


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ('{"1": "cat", "1": "dog"}', ["the key '1' is there twice"]),
        ('{"1": "cat", "01": "dog"}', ["class '01': 01 is there twice"]),
        ('{"a": "cat"}', ["class 'a': 'a' is no value from 0 to 65,535, and no colour #rrggbb"]),
        ('{"70000": "cat"}', ["class '70000': '70000' is no value from 0 to 65,535, and no colour #rrggbb"]),
        ('{"1": 5, "2": ""}', ["class '1': is neither a name nor an object", "class '2': '' is no name of a concept"]),
        ('{"1": {"color": "#ff0000"}}', ["class '1': has no name"]),
        ('{"1": {"name": "a", "color": "red"}}', ["class '1': color is 'red', which is not of the form #rrggbb"]),
        ('{"1": {"name": "a", "ignore": 1}}', ["class '1': ignore is 1, neither true nor false"]),
        ('{"1": {"name": "\\ud800"}}', ["class '1': a lone surrogate in '\\ud800'"]),
        ('{"1": "cat", "#ff0000": "dog"}', ["some classes are values and some are colours"]),
        ("1 cat\ndog", ["line 2: 'dog' is not of the form of the first line"]),
        ("cat\n1 dog", ["line 2: '1 dog' is not of the form of the first line"]),
        ("1 cat\n1 dog", ["line 2: 1 is there twice"]),
        ("cat\n\ndog", ["line 2: is empty, so that the numbers of the names behind it are in doubt"]),
        ("1 0 300 cat", ["line 1: '1 0 300' is no value from 0 to 65,535, and no colour #rrggbb"]),
    ],
)
def test_errors_in_files_of_classes(content, problems, tmp_path):
    with pytest.raises(InvalidRecordsError) as caught:
        classes_of(tmp_path, content)
    assert list(caught.value.problems) == problems and caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "names no classes"),
        ("{}", "names no classes"),
        ('{"1": "cat"', "is no JSON"),
        ('{"1": {"name": "cat", "x": NaN}}', "is no JSON: NaN is no number"),
        ("[" * 100_000, "is no JSON"),
        (b"1 caf\xe9", "is not text in UTF-8"),
        (b"\xff\xfe1\0", "is not text in UTF-8"),
        (b" " * (1 << 24) + b"1 cat", "has more than 16,777,216 bytes"),
    ],
)
def test_files_that_are_no_classes(content, message, tmp_path):
    with pytest.raises(RefusedError, match=message):
        classes_of(tmp_path, content)


def test_no_file_of_classes(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(NotFoundError, match="no file"):
            read_classes(path)
