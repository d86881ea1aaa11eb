"""`dsvc status` of a dataset of many files with nothing changed, beside `dsvc --version`.

python tests/benchmarks/status.py
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from measure import Bench, Row, dsvc, main


def prepare(images: str, folder: str) -> dict[str, Any]:
    """A project folder that holds the files, all of them committed."""
    import dsvc

    shutil.copytree(images, Path(folder) / "images", copy_function=_link)
    dataset = dsvc.init(folder, author=dsvc.Author("Benchmark", "benchmark@example.org")).create("files")
    dataset.add(Path(folder) / "images")
    dataset.commit("add")
    return {}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def run(bench: Bench) -> list[Row]:
    with bench.scratch() as folder:
        bench.child(__file__, "prepare", bench.image_files(), folder)
        status, start = bench.medians(
            9,
            lambda: bench.process(dsvc("status"), folder),
            lambda: bench.process(dsvc("--version"), folder),
        )
    return [
        Row(
            work=bench.label("20k files: status with nothing changed, over start-up"),
            value=status - start,
            target=0.3,
            unit="s",
            measured="the whole process `dsvc status`, less the whole process `dsvc --version`",
            times={"status": f"{status * 1000:.0f} ms", "--version": f"{start * 1000:.0f} ms"},
        )
    ]


if __name__ == "__main__":
    main(run)
