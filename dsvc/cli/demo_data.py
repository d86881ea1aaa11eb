"""The demo's data: drawn circles, squares and triangles as PNG files, and a COCO file that says where they are."""

from __future__ import annotations

import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

WIDTH, HEIGHT = 160, 120
CLASSES = ("circle", "square", "triangle")
# Paper, then the fill of each class: red, green, blue.
PALETTE = ((250, 247, 240), (214, 72, 60), (58, 118, 196), (66, 160, 96))
CORNERS = 24  # of the polygon that stands for a circle


class Drawn(NamedTuple):
    """One shape: its class, its centre and how far it reaches, in pixels, and how far it is turned, in degrees."""

    kind: str
    x: float
    y: float
    reach: float
    turn: float = 0


# The third shape of meadow.png is a square that the first batch calls a triangle: the demo mends that.
PICTURES: dict[str, tuple[Drawn, ...]] = {
    "beach.png": (Drawn("circle", 42, 40, 26), Drawn("triangle", 112, 74, 34)),
    "harbour.png": (Drawn("square", 48, 62, 32, 20), Drawn("square", 118, 44, 22)),
    "lake.png": (Drawn("circle", 80, 60, 44),),
    "meadow.png": (Drawn("triangle", 40, 70, 30, 10), Drawn("circle", 92, 34, 18), Drawn("square", 122, 82, 26, 30)),
    "street.png": (Drawn("square", 36, 34, 24), Drawn("triangle", 84, 80, 28), Drawn("circle", 130, 40, 20)),
    "tower.png": (Drawn("triangle", 80, 62, 50),),
}
MISTAKE = ("meadow.png", 2, "triangle")


def write_demo(folder: Path) -> None:
    """Write `images/` and `shapes.json` into a folder."""
    images = folder / "images"
    images.mkdir()
    for name, shapes in PICTURES.items():
        (images / name).write_bytes(png(_paint(shapes)))
    (folder / "shapes.json").write_text(json.dumps(coco(), indent=1) + "\n", encoding="utf-8")


def outline(shape: Drawn) -> list[tuple[float, float]]:
    """The corners of a shape, in pixels, to a tenth."""
    corners, first = {"circle": (CORNERS, 0.0), "square": (4, 45.0), "triangle": (3, -90.0)}[shape.kind]
    angles = [math.radians(first + shape.turn + 360 * n / corners) for n in range(corners)]
    return [
        (round(shape.x + shape.reach * math.cos(a), 1), round(shape.y + shape.reach * math.sin(a), 1)) for a in angles
    ]


def coco() -> dict[str, Any]:
    """The COCO document: true boxes, polygons and areas, and classes with one mistake."""
    images = [{"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT} for n, name in enumerate(PICTURES, 1)]
    annotations: list[dict[str, Any]] = []
    for image, (name, shapes) in zip(images, PICTURES.items(), strict=True):
        for at, shape in enumerate(shapes):
            kind = MISTAKE[2] if (name, at) == MISTAKE[:2] else shape.kind
            annotations.append(_annotation(len(annotations) + 1, image["id"], kind, outline(shape)))
    categories = [{"id": n, "name": name, "supercategory": "shape"} for n, name in enumerate(CLASSES, 1)]
    info = {"description": "Drawn shapes", "version": "1", "year": 2024}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def _annotation(number: int, image: Any, kind: str, corners: list[tuple[float, float]]) -> dict[str, Any]:
    xs, ys = zip(*corners, strict=True)
    box = [min(xs), min(ys), round(max(xs) - min(xs), 1), round(max(ys) - min(ys), 1)]
    turned = zip(corners, corners[1:] + corners[:1], strict=True)
    area = abs(sum(x * b - a * y for (x, y), (a, b) in turned)) / 2
    return {
        "id": number,
        "image_id": image,
        "category_id": CLASSES.index(kind) + 1,
        "bbox": box,
        "segmentation": [[value for corner in corners for value in corner]],
        "area": round(area, 2),
        "iscrowd": 0,
    }


def _paint(shapes: tuple[Drawn, ...]) -> list[bytes]:
    """The rows of a picture, a byte a pixel: 0 is paper, else the number of the class."""
    rows = [bytearray(WIDTH) for _ in range(HEIGHT)]
    for shape in shapes:
        corners, color = outline(shape), CLASSES.index(shape.kind) + 1
        for y, row in enumerate(rows):
            for left, right in _spans(corners, y + 0.5):
                for x in range(max(0, math.ceil(left - 0.5)), min(WIDTH, math.ceil(right - 0.5))):
                    row[x] = color
    return [bytes(row) for row in rows]


def _spans(corners: list[tuple[float, float]], y: float) -> list[tuple[float, float]]:
    """Where a horizontal line lies inside a polygon."""
    crossings = []
    for (x, top), (other, bottom) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (top <= y) != (bottom <= y):
            crossings.append(x + (y - top) * (other - x) / (bottom - top))
    crossings.sort()
    return list(zip(crossings[::2], crossings[1::2], strict=True))


def png(rows: list[bytes]) -> bytes:
    """A PNG file of rows of palette indices. Stored, not deflated: its bytes hang on no version of zlib."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    palette = bytes(value for color in PALETTE for value in color)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
