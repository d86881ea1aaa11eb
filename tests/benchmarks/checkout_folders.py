"""`dsvc checkout` beside copies of the same files: the first layout, and the change to a branch that differs a little.

python tests/benchmarks/checkout_folders.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import ENVIRONMENT, Bench, Row, dsvc, main

CHANGED = 100
ALLOWED = 0.5  # seconds beside the copying


def prepare(folder: str, files: str, changed: int) -> dict[str, Any]:
    """A repository of a folder of files, and a branch `other` on which some of them are others."""
    import dsvc

    project = Path(folder)
    dataset = dsvc.init(folder, author=dsvc.Author("Benchmark", "benchmark@example.org")).create("files")
    dataset.add(files, root=files)
    dataset.commit("add")
    dataset.switch("other", create=True)
    found = sorted(path for path in Path(files).rglob("*") if path.is_file())
    changes = project / "changes"
    for path in found[:: max(1, len(found) // changed)][:changed]:
        place = changes / path.relative_to(files)
        place.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        place.write_bytes(data[: len(data) // 2] + data[len(data) // 2 :][::-1])
    dataset.add(changes, root=changes)
    dataset.commit("change")
    dataset.switch("main")
    dsvc.open(folder).workspace.save(track=[])
    return {}


def copied(source: Path, target: Path) -> float:
    """The seconds that `cp -r` of a folder takes."""
    begin = perf_counter()
    subprocess.run(["cp", "-r", source, target], check=True)
    return _removed(target, perf_counter() - begin)


def laid_out(bench: Bench, project: Path) -> float:
    """The seconds that the first layout takes."""
    seconds = bench.process(dsvc("checkout", "files", "out"), project)
    subprocess.run(dsvc("checkout", "--forget", "out"), cwd=project, env=ENVIRONMENT, check=True, capture_output=True)
    return _removed(project / "out", seconds)


def _removed(folder: Path, seconds: float) -> float:
    shutil.rmtree(folder)
    _settle()
    return seconds


def _settle() -> None:
    if hasattr(os, "sync"):
        os.sync()  # or what one side wrote is brought to the disk while the other is measured


def run(bench: Bench) -> list[Row]:
    files = bench.image_files()
    count = sum(1 for path in files.rglob("*") if path.is_file())
    changed = min(CHANGED, count)
    with bench.scratch() as folder:
        project = folder / "project"
        bench.child(__file__, "prepare", project, files, changed)
        _settle()
        first, copy = bench.medians(5, lambda: laid_out(bench, project), lambda: copied(files, folder / "copy"))
        bench.process(dsvc("checkout", "files", "out"), project)
        _settle()
        branches = iter(["other", "main"] * 100)
        update, few = bench.medians(
            9,
            lambda: bench.process(dsvc("switch", next(branches)), project),
            lambda: copied(project / "changes", folder / "few"),
        )
    return [
        Row(
            work=bench.label("20k files: first checkout of a folder, beside `cp -r`"),
            value=first / copy,
            target=1.5,
            unit="x",
            measured="the whole process `dsvc checkout`, beside `cp -r` of the files that were added",
            times={"checkout": f"{first:.2f} s", "cp -r": f"{copy:.2f} s"},
        ),
        Row(
            work=bench.label(f"20k files: switch to a branch that differs by {CHANGED} files, less 2 x their copying"),
            value=max(0.0, update - 2 * few),
            target=ALLOWED,
            unit="s",
            measured="the whole process `dsvc switch` with a folder that follows; `cp -r` of the files that differ",
            times={"switch": f"{update * 1000:.0f} ms", "cp -r": f"{few * 1000:.0f} ms"},
        ),
    ]


if __name__ == "__main__":
    main(run)
