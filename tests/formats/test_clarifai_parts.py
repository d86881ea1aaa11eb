"""The parts of a Clarifai export by themselves: ids, decimals, masks and the exact texts."""

from __future__ import annotations

import io
import json
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from dsvc.formats.clarifai.digits import shortest, texts
from dsvc.formats.clarifai.ids import input_id, part_id, short_id
from dsvc.formats.clarifai.residue import exact_text, read_exact, struct_values
from dsvc.formats.clarifai.text import Text
from dsvc.formats.clarifai.wire import Wire, varint
from dsvc.formats.masks import bitmap, canonical_runs, compressed, png, runs
from dsvc.model.records import Mask

# ---- ids


@given(st.text(max_size=60))
def test_ids_are_what_clarifai_allows(text):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", short_id(text))
    assert re.fullmatch(r"[a-z0-9_-]{1,128}", input_id(text))


def test_what_fits_stays_and_nothing_else_gets_its_id():
    for text in ("cat", "Big_Cat-2", "0"):
        assert short_id(text) == text
    assert input_id("cat") == "cat"
    assert input_id("Cat") != "cat"
    texts = [
        "",
        "猫",
        "犬",
        "a b",
        "a-b",
        "a/b",
        "x" * 33,
        "x" * 34,
        part_id("a", 2),
        short_id("a b"),
        short_id(short_id("a b")),
    ]
    assert len({short_id(text) for text in texts}) == len(set(texts))
    assert len({input_id(text) for text in texts}) == len(set(texts))
    assert short_id("a b") == "a-b-" + short_id("a b")[-16:]
    assert input_id("images/train/000001.JPG").startswith("images-train-000001-jpg-")


# ---- decimals


def narrow(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


@settings(max_examples=500)
@given(st.floats(0, 1, width=32))
def test_many_numbers_get_the_shortest_text(value):
    first, second = texts(np.array([value, 0.5], dtype=np.float32))
    assert first.decode() == shortest(value)
    assert narrow(float(first)) == value
    assert second == b"0.5"


def test_the_text_is_that_of_protobufs_printer():
    from google.protobuf.internal.type_checkers import ToShortestFloat

    values = np.random.default_rng(7).random(20_000).astype(np.float32)
    values = np.concatenate((values, values * np.float32(1e-3), 2.0 ** -np.arange(150, dtype=np.float32))).astype(
        np.float32
    )
    for value, text in zip(values.tolist(), texts(values), strict=True):
        assert text.decode() == repr(ToShortestFloat(value)) == shortest(value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_any_float32_reads_back(value):
    assert narrow(float(shortest(value))) == value


@given(st.integers(0, 2**64 - 1))
def test_varints_read_back(value):
    data = varint(value)
    assert sum((byte & 127) << 7 * index for index, byte in enumerate(data)) == value
    assert all(byte & 128 for byte in data[:-1])
    assert not data[-1] & 128


@pytest.mark.parametrize("form", [Wire(), Text()])
@pytest.mark.parametrize("data", [None, b"{}"])
@pytest.mark.parametrize("polygon", [None, b"{}" * 200])
@pytest.mark.parametrize("box", [None, b"{" + b" " * 18 + b"}"])
def test_the_quick_region_is_the_slow_one(form, data, polygon, box):
    info = form.message("RegionInfo", {"boundingBox": box, "polygon": polygon})
    region = form.message("Region", {"id": "ü", "regionInfo": info, "data": data})
    assert form.region("ü", box, polygon, data) == form.item(region)


# ---- masks

pictures = st.integers(1, 40).flatmap(
    lambda height: st.integers(1, 70).flatmap(
        lambda width: st.tuples(st.just((height, width)), st.integers(0, 2**32 - 1), st.floats(0, 1), st.booleans())
    )
)


def picture(size, seed, share, blocks):
    noise = np.random.default_rng(seed)
    found = (noise.random(size) < share).astype(np.uint8)
    if blocks:
        found[:] = 0
        found[size[0] // 4 :, size[1] // 3 : size[1] - size[1] // 4] = 1
    return found


@settings(max_examples=200, deadline=None)
@given(pictures)
def test_masks_are_exact_to_the_pixel(drawn):
    wanted = picture(*drawn)
    counts = coco.encode(np.asfortranarray(wanted))["counts"].decode()
    mask = Mask(height=wanted.shape[0], width=wanted.shape[1], counts=counts)
    found = runs(mask)
    assert compressed(found) == counts
    assert canonical_runs(found)
    assert (bitmap(mask, found) == wanted).all()
    data = png(bitmap(mask, found))
    assert (np.array(Image.open(io.BytesIO(data))).astype(np.uint8) == wanted).all()


def test_the_bytes_of_a_png_never_change_and_are_few():
    rows, columns = np.mgrid[:480, :640]
    disc = ((columns - 300) ** 2 + (rows - 200) ** 2 < 120**2).astype(np.uint8)
    assert len(png(disc)) == 1366
    assert png(np.eye(3, dtype=np.uint8)).hex() == (
        "89504e470d0a1a0a0000000d49484452000000030000000301000000007e538812"
        "0000000e4944415478016368607060500000036600e165cbfa890000000049454e44ae426082"
    )


@pytest.mark.parametrize(
    "mask",
    [
        Mask(height=2, width=2, counts=(1, 1)),
        Mask(height=2, width=2, counts=(5,)),
        Mask(height=2, width=2, counts=(-1, 5)),
        Mask(height=0, width=2, counts=()),
        Mask(height=2, width=2, counts=""),
        Mask(height=2, width=2, counts="~"),
        Mask(height=2, width=2, counts="P"),
        Mask(height=2, width=2, counts="o" * 99),
        Mask(height=1 << 20, width=1 << 20, counts=(1 << 40,)),
    ],
)
def test_masks_that_cannot_be_drawn(mask):
    with pytest.raises(ValueError, match=r"mask"):
        runs(mask)


# ---- exact texts


def test_exact_texts_keep_types():
    value = {"b": 1, "a": 1.0, "big": 10**40, "zero": -0.0, "none": None, "list": [True, "ü"]}
    text = exact_text(value)
    assert text == exact_text(dict(reversed(value.items())))
    assert repr(read_exact(text)) == repr(dict(sorted(value.items())))
    assert json.loads(text) == value
    data = {"bytes": b"\0\xff", "n": [1, 1.5]}
    assert read_exact(exact_text(data)) == data
    assert exact_text(data).startswith("msgpack:")


def test_what_a_struct_shows():
    assert struct_values({"a": 1, "b": [True, None, 1.5, "x", {"c": 2}]}) == (
        {"a": 1, "b": [True, None, 1.5, "x", {"c": 2}]},
        True,
    )
    for metadata in ({"a": 1.0}, {"a": 2**53}, {"a": -0.0}):
        assert struct_values(metadata) == (metadata, False)
    for metadata in ({"_dsvc": 1}, {"a": b"x"}, {"a": [[b"x"]]}, {"a": 10**400}):
        assert struct_values(metadata) == ({}, False)
