"""Read stored images in random order through PyTorch's DataLoader with two workers, beside reading loose files.

python tests/benchmarks/loaders.py [--files 20000] [--repeat 3] [--json]

By hand, since it needs PyTorch: pip install 'dsvc[torch]'. Both sides are read by the same loader in the same order, in
turn, and a reading begins with starting the workers. Once it is bytes that are given, once pictures decoded by Pillow.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import Bench, Row, arguments, figure

FOLDERS, PICTURES, BATCH, WORKERS = 20, 64, 32, 2
TARGET = 1.25  # of the time that loose files take: 0.8 x as fast
EDITION = 1  # of the workload


def make_files(cache: Path, count: int) -> Path:
    """A folder `images` with this many JPEG files of about 50 kB in 20 folders, made where the cache has it not."""
    folder = cache / f"jpegs-{count}-{EDITION}"
    if not folder.exists():
        part = folder.with_suffix(f".{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)
        pictures = [_jpeg(number) for number in range(min(PICTURES, count))]
        for number in range(count):
            place = part / "images" / f"{number % FOLDERS:02d}"
            place.mkdir(parents=True, exist_ok=True)
            picture = pictures[number % len(pictures)]
            # A comment makes each file's bytes its own.
            comment = b"\xff\xfe\x00\x0a" + f"{number:08d}".encode()
            (place / f"{number:06d}.jpg").write_bytes(picture[:2] + comment + picture[2:])
        part.replace(folder)
    return folder / "images"


def _jpeg(seed: int) -> bytes:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (54, 72, 3), dtype=np.uint8))
    out = io.BytesIO()
    small.resize((640, 480), Image.Resampling.BICUBIC).save(out, "JPEG", quality=72)
    return out.getvalue()


def make_repository(cache: Path, images: Path) -> Path:
    """A repository of the files, each of its folder's class."""
    import dsvc

    folder = cache / f"{images.parent.name}-stored"
    if not folder.exists():
        part = folder.with_suffix(f".{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)
        dataset = dsvc.init(part, author=dsvc.Author("Benchmark", "benchmark@example.org")).create("images")
        with dataset.edit() as draft:
            draft.add(str(images), root=images)
            for path in sorted(images.rglob("*.jpg")):
                draft.annotate(dsvc.Annotation(key=str(path.relative_to(images)), id="", concept=path.parent.name))
        dataset.commit("all")
        part.replace(folder)
    return folder


class Loose:
    """The files as a dataset: what a person writes for a folder of classes."""

    def __init__(self, images: Path, decode: str) -> None:
        self.paths = sorted(str(path) for path in images.rglob("*.jpg"))
        names = sorted({path.split("/")[-2] for path in self.paths})
        self.classes = {name: at for at, name in enumerate(names)}
        self.decode = decode

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> dict[str, Any]:
        path = self.paths[at]
        with open(path, "rb") as file:
            data = file.read()
        label = self.classes[path.split("/")[-2]]
        if self.decode == "bytes":
            return {"key": path, "bytes": data, "target": label}
        from PIL import Image

        picture = Image.open(io.BytesIO(data))
        picture.load()
        return {"key": path, "image": thumbnail(picture), "target": label}


def thumbnail(picture: Any) -> Any:
    """What both sides do with a picture, so that not the passing of pixels between processes is what counts."""
    return picture.reduce(8).tobytes()


def compare(images: str, folder: str, decode: str, repeat: int) -> dict[str, Any]:
    """The seconds of readings of both sides in turn, after one of each that is not counted."""
    from torch.utils.data import DataLoader

    import dsvc

    state = dsvc.open(folder).at("images")
    begin = perf_counter()
    if decode == "bytes":
        ours: Any = state.to_torch(decode="bytes", target="label")
    else:
        ours = state.to_torch(thumbnail, target="label")
    opened = perf_counter() - begin
    loose = Loose(Path(images), decode)

    def read(data: Any, epoch: int) -> float:
        sampler = ours.sampler(seed=1, epoch=epoch)
        loader = DataLoader(data, BATCH, sampler=sampler, num_workers=WORKERS, collate_fn=ours.collate)
        begin, count = perf_counter(), 0
        for batch in loader:
            count += len(batch["key"])
        assert count == len(loose) == len(ours)
        return perf_counter() - begin

    rounds = [(read(ours, epoch), read(loose, epoch)) for epoch in range(repeat + 1)][1:]
    return {"rounds": rounds, "opened": opened}


def run(bench: Bench, files: int) -> list[Row]:
    """Both rows."""
    images = make_files(bench.cache, files)
    folder = make_repository(bench.cache, images)
    rows = []
    for decode in ("bytes", "image"):
        found = bench.child(__file__, "compare", images, folder, decode, bench.repeats(5))
        ours, loose = (statistics.median(side) for side in zip(*found["rounds"], strict=True))
        rows.append(
            Row(
                work=f"{files:,} images in random order, {'bytes' if decode == 'bytes' else 'decoded'}",
                value=statistics.median(a / b for a, b in found["rounds"]),
                target=TARGET,
                unit="x",
                measured=f"time of to_torch() beside loose files, DataLoader, {WORKERS} workers",
                times={"dsvc": f"{ours:.2f} s", "loose": f"{loose:.2f} s", "to_torch()": f"{found['opened']:.2f} s"},
            )
        )
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments(parser)
    parser.add_argument("--files", type=int, default=20_000, help="how many images (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    rows = run(Bench(options.cache.absolute(), 1.0, options.repeat), options.files)
    if options.json:
        print(json.dumps([{**asdict(row), "result": row.result} for row in rows], indent=2))
        return
    for row in rows:
        print(f"{row.result:6}  {figure(row.value, row.unit):>8}  (target {figure(row.target, row.unit)})  {row.work}")
        print(f"        {row.measured}: " + ", ".join(f"{name} {value}" for name, value in row.times.items()))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
