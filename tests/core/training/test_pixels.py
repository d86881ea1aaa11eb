"""Pictures as rows of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsvc.core.training.pixels import COLOURS, GREY, Form, UnreadableError, find_form, read_row


def saved(tmp_path: Path, image: Image.Image, name: str = "a.png", **options: object) -> Path:
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_the_form_is_that_of_the_largest_up_to_a_limit(tmp_path: Path) -> None:
    small = saved(tmp_path, Image.new("L", (8, 5)), "small.png")
    large = saved(tmp_path, Image.new("1", (100, 3)), "large.png")
    colours = saved(tmp_path, Image.new("RGB", (2, 2)), "colours.jpg")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert find_form([small]) == Form(8, GREY)
    assert find_form([small, broken, large]) == Form(32, GREY)
    assert find_form([colours, small]) == Form(8, COLOURS)
    assert find_form([small, large], 64) == Form(64, GREY)
    assert find_form([broken]) == Form(1, GREY)
    assert (str(Form(8, GREY)), str(Form(32, COLOURS))) == ("8 x 8 grey pixels", "32 x 32 RGB pixels")


def test_rows_have_the_size_of_the_form(tmp_path: Path) -> None:
    file = saved(tmp_path, Image.new("RGB", (40, 30), (10, 20, 30)))
    assert read_row(file, Form(4, COLOURS)).tolist() == [10, 20, 30] * 16
    assert read_row(file, Form(4, GREY)).tolist() == [18] * 16


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    file = saved(tmp_path, Image.fromarray(np.array([[0, 257, 257 * 128, 65535]] * 4, np.uint16)))
    assert read_row(file, Form(4, GREY)).tolist() == [0, 1, 128, 255] * 4
    assert find_form([file]).mode == GREY


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0)) if mode != "P" else Image.new("P", (2, 2), 0)
    options = {"transparency": 0} if mode == "P" else {}
    assert read_row(saved(tmp_path, clear.convert(mode), **options), Form(2, GREY)).tolist() == [255] * 4


def test_a_picture_is_turned_as_it_says(tmp_path: Path) -> None:
    image = Image.new("L", (2, 2))
    image.putdata([255, 0, 0, 0])
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    assert read_row(saved(tmp_path, image, exif=exif), Form(2, GREY)).tolist() == [0, 0, 0, 255]


def test_floats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="floating-point numbers"):
        read_row(saved(tmp_path, Image.new("F", (2, 2), 0.5), "a.tiff"), Form(2, GREY))


def test_a_large_jpeg_is_read(tmp_path: Path) -> None:
    file = saved(tmp_path, Image.new("RGB", (1000, 800), (200, 100, 50)), "a.jpg", quality=95)
    row = read_row(file, Form(8, COLOURS)).reshape(-1, 3)
    assert len(row) == 64 and np.abs(row.astype(int) - [200, 100, 50]).max() <= 2


def test_a_file_that_went_away(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        read_row(tmp_path / "gone.png", Form(2, GREY))
