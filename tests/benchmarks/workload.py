"""What the benchmarks work on: one large COCO file, and many small image files, the same ones on every machine.

Both are written to disk piece by piece, so making them takes little memory, and kept in a cache folder.

    python tests/benchmarks/workload.py --cache DIR [--annotations 860001] [--files 20000]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

# Part of the cached names: raise it when what is made changes.
EDITION = 1
ANNOTATIONS, FILES, FOLDERS = 860_001, 20_000, 20
CATEGORIES, HIGHEST_CATEGORY = 80, 90
BATCH = 8192
CROWD_ID = 900_000_000_000
# Width, height and how common they are among COCO's images.
SIZES = ((640, 480, 0.40), (640, 427, 0.25), (480, 640, 0.13), (427, 640, 0.10), (500, 375, 0.07), (612, 612, 0.05))
HEADER = {
    "info": {
        "description": "A made dataset of COCO's shape",
        "url": "http://example.org",
        "version": "1.0",
        "year": 2017,
        "contributor": "dsvc",
        "date_created": "2017/09/01",
    },
    "licenses": [
        {"url": f"http://creativecommons.org/licenses/{n}/", "id": n, "name": f"License {n}"} for n in range(1, 9)
    ],
}


def default_cache() -> Path:
    """Where the workload is kept when nobody says."""
    return Path(tempfile.gettempdir()) / "dsvc-benchmarks"


def category_ids(count: int = CATEGORIES) -> list[int]:
    """COCO's 80 ids have gaps and end at 90."""
    gaps = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    return [n for n in range(1, HIGHEST_CATEGORY + 1) if n not in gaps][:count]


# ---- the COCO file


def coco_file(cache: Path, annotations: int = ANNOTATIONS) -> Path:
    """A COCO file of this many annotations, made where the cache has it not."""
    path = cache / f"coco-{annotations}-{EDITION}.json"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb", buffering=1 << 20) as file:
            _write_coco(file, annotations)
        part.replace(path)
    return path


def _write_coco(file: IO[bytes], annotations: int) -> None:
    rng = np.random.default_rng(2017)
    images = _Images(rng, max(1, round(annotations * 118_287 / ANNOTATIONS)))
    file.write(json.dumps(HEADER)[:-1].encode())
    file.write(b',"images": [')
    _write_list(file, images.texts())
    file.write(b'],"annotations": [')
    _write_list(file, _annotations(rng, images, annotations))
    categories = [{"supercategory": f"kind {n % 12}", "id": n, "name": f"thing {n}"} for n in category_ids()]
    file.write(b'],"categories": ' + json.dumps(categories).encode() + b"}")


def _write_list(file: IO[bytes], texts: Iterator[str]) -> None:
    separator = b""
    while batch := list(islice(texts, BATCH)):
        file.write(separator + ",".join(batch).encode())
        separator = b","


class _Images:
    """The ids and sizes of all images; their order in the file is not that of their ids."""

    def __init__(self, rng: np.random.Generator, count: int) -> None:
        self.ids = rng.permutation(max(581_929, count))[:count] + 1
        shapes = np.array([size[:2] for size in SIZES])
        self.sizes = shapes[rng.choice(len(SIZES), count, p=[size[2] for size in SIZES])]
        self._flickr = rng.integers(10**8, 10**10, count)
        self._secrets = rng.integers(0, 16**10, count)
        self._seconds = rng.integers(0, 86_400, count)

    def texts(self) -> Iterator[str]:
        columns = (self.ids, *self.sizes.T, self._flickr, self._secrets, self._seconds)
        for id, width, height, flickr, secret, second in zip(*(c.tolist() for c in columns), strict=True):
            name = f"{id:012d}.jpg"
            clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
            yield (
                f'{{"license": {id % 8 + 1},"file_name": "{name}",'
                f'"coco_url": "http://images.cocodataset.org/train2017/{name}","height": {height},"width": {width},'
                f'"date_captured": "2013-11-{id % 28 + 1:02d} {clock}",'
                f'"flickr_url": "http://farm{id % 9 + 1}.staticflickr.com/{id % 8000}/{flickr}_{secret:010x}_z.jpg",'
                f'"id": {id}}}'
            )


def _annotations(rng: np.random.Generator, images: _Images, count: int) -> Iterator[str]:
    """Annotations of random images: most are polygons, one in a hundred is a crowd with a run-length mask."""
    hundredths = [repr(n / 100) for n in range(100 * max(max(w, h) for w, h, _ in SIZES) + 1)]
    weights = rng.gamma(1.2, 1.0, len(images.ids))
    weights /= weights.sum()
    category_weights = 1 / np.arange(1, CATEGORIES + 1)
    categories = np.array(category_ids())
    numbers = rng.permutation(max(2_300_000, 3 * count))[:count] + 1
    for at in range(0, count, BATCH):
        size = min(BATCH, count - at)
        where = rng.choice(len(images.ids), size, p=weights)
        kinds = rng.choice(categories, size, p=category_weights / category_weights.sum())
        shapes = _shapes(rng, images.sizes[where], hundredths)
        crowd = rng.random(size) < 0.01
        columns = zip(
            shapes, crowd.tolist(), images.ids[where].tolist(), kinds.tolist(), numbers[at : at + size].tolist(),
            images.sizes[where].tolist(), strict=True,
        )  # fmt: skip
        for (polygons, area, box), is_crowd, image, category, number, (width, height) in columns:
            if is_crowd:
                polygons, area = _runs(rng, width, height)
                number = CROWD_ID + number
            yield (
                f'{{"segmentation": {polygons},"area": {area},"iscrowd": {int(is_crowd)},"image_id": {image},'
                f'"bbox": [{box}],"category_id": {category},"id": {number}}}'
            )


def _shapes(rng: np.random.Generator, sizes: Any, hundredths: list[str]) -> Iterator[tuple[str, str, str]]:
    """For each image size one shape of one to three polygons: their text, their area, and the text of their box."""
    count = len(sizes)
    rings = rng.choice([1, 2, 3], count, p=[0.9, 0.07, 0.03])
    owner = np.repeat(np.arange(count), rings)
    corners = np.maximum(3, rng.lognormal(2.66, 0.65, len(owner)).astype(np.int64))
    ends = np.cumsum(corners)
    starts = ends - corners
    points = _walk(rng, sizes[owner], corners, starts)
    x, y = points[:, 0] / 100, points[:, 1] / 100
    following = np.arange(len(points)) + 1
    following[ends - 1] = starts
    areas = np.add.reduceat(np.abs(np.add.reduceat(x * y[following] - y * x[following], starts)) / 2, _firsts(rings))
    low = np.minimum.reduceat(points, starts[_firsts(rings)])
    high = np.maximum.reduceat(points, starts[_firsts(rings)])
    flat = [hundredths[n] for n in points.ravel().tolist()]
    spans = iter(zip((2 * starts).tolist(), (2 * ends).tolist(), strict=True))
    boxes = np.hstack([low, high - low]).tolist()
    for rings_here, area, box in zip(rings.tolist(), areas.tolist(), boxes, strict=True):
        texts = ["[" + ",".join(flat[start:end]) + "]" for start, end in islice(spans, rings_here)]
        yield "[" + ",".join(texts) + "]", repr(area), ",".join([hundredths[n] for n in box])


def _firsts(lengths: Any) -> Any:
    return np.cumsum(lengths) - lengths


def _walk(rng: np.random.Generator, sizes: Any, corners: Any, starts: Any) -> Any:
    """The corners of polygons, in hundredths of a pixel: walks around a centre at a distance that drifts."""
    ring = np.repeat(np.arange(len(corners)), corners)
    step = np.arange(len(ring)) - starts[ring]
    along = step / corners[ring]
    drift = np.cumsum(rng.normal(0, 0.12, len(ring)))
    drift -= drift[starts][ring]
    drift -= along * drift[starts + corners - 1][ring]  # the end meets the beginning
    radius = (rng.lognormal(3.6, 0.8, len(corners)) * rng.uniform(0.6, 1.4, (2, len(corners))))[:, ring]
    angle = 2 * np.pi * (along + rng.random(len(corners))[ring]) + rng.normal(0, 0.05, len(ring))
    centre = (rng.random((len(corners), 2)) * sizes)[ring]
    turn = np.stack([np.cos(angle), np.sin(angle)])
    points = centre + (radius * turn * np.exp(np.clip(drift, -1.5, 1.5))).T
    return np.rint(np.clip(points, 0, sizes[ring]) * 100).astype(np.int64)


def _runs(rng: np.random.Generator, width: int, height: int) -> tuple[str, str]:
    """A crowd's mask, column by column, as runs of background and foreground in turn; and its area."""
    total = width * height
    cuts = np.unique(rng.integers(1, total, int(rng.integers(40, 600))))
    runs = np.diff(cuts, prepend=0, append=total).tolist()
    counts = ",".join(map(str, runs))
    return f'{{"counts": [{counts}],"size": [{height},{width}]}}', str(sum(runs[1::2]))


# ---- the image files


def image_files(cache: Path, count: int = FILES) -> Path:
    """A folder `images` with this many files of about 50 kB in 20 folders, made where the cache has it not."""
    folder = cache / f"files-{count}-{EDITION}"
    if not folder.exists():
        part = folder.with_suffix(f".{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)
        rng = np.random.default_rng(50)
        for number in range(count):
            place = part / "images" / f"{number % FOLDERS:02d}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:06d}.jpg").write_bytes(_jpeg(rng))
        part.replace(folder)
    return folder / "images"


def _jpeg(rng: np.random.Generator) -> bytes:
    """A file whose header is that of a JPEG and whose body is noise, as compressed pixels are."""
    width, height, _ = SIZES[int(rng.integers(len(SIZES)))]
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    parts = b"".join(bytes((n, 0x22 if n == 1 else 0x11, int(n > 1))) for n in (1, 2, 3))
    sof0 = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + parts
    sos = b"\xff\xda" + struct.pack(">HB", 12, 3) + b"\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
    body = rng.bytes(int(rng.integers(45_000, 54_400))).replace(b"\xff", b"\xfe")
    return b"\xff\xd8" + app0 + sof0 + sos + body + b"\xff\xd9"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the workload of the benchmarks.")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--annotations", type=int)
    parser.add_argument("--files", type=int)
    options = parser.parse_args()
    if options.annotations:
        print(coco_file(options.cache, options.annotations))
    if options.files:
        print(image_files(options.cache, options.files))


if __name__ == "__main__":
    main()
