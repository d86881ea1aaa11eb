"""How the benchmarks measure: each side in a process of its own, both in one run, and only ratios are judged.

A script's measured parts are functions at its top level that take and return plain JSON values. `Bench.child` runs
one of them in a fresh process; the function times what counts itself, so that preparing is not counted. What a
person types is measured whole, from start to end of its process, by `Bench.process`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENT = {
    # As installed: with bytecode, which the first run may have to write.
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "DSVC_AUTHOR_NAME": "Benchmark",
    "DSVC_AUTHOR_EMAIL": "benchmark@example.org",
}
MB = 1e6


@dataclass
class Row:
    """One figure beside its target: a ratio (unit "x" or "%") or, where the target is a time, seconds.

    `measured` says what was measured beside what; `times` are the bare figures of this machine.
    """

    work: str
    value: float
    target: float
    unit: str
    measured: str
    times: dict[str, str] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        return self.value <= self.target

    @property
    def result(self) -> str:
        return "ok" if self.is_met else "MISSED"


COUNTS = ("requests", "packs", "segments")


def figure(value: float, unit: str) -> str:
    """A figure with its unit: `0.55 x`, `0.12 s`, `1.4 %`."""
    if unit in COUNTS:
        return f"{value:.0f} {unit}"
    digits = 3 if unit == "s" and value < 0.1 else 2
    return f"{value:.{digits}f} {unit}"


@dataclass
class Bench:
    """The options of one run."""

    cache: Path
    scale: float
    repeat: int | None

    def count(self, full: int) -> int:
        """So many at this scale."""
        return max(1, round(full * self.scale))

    def repeats(self, full: int) -> int:
        """How often to measure what is done `full` times unless somebody says."""
        return self.repeat or full

    def label(self, name: str) -> str:
        """A workload's name, with the scale where that is not 1."""
        return name if self.scale == 1 else f"{name} (scale {self.scale:g})"

    # ---- the workload

    def coco_file(self, full: int = 860_001) -> Path:
        """The COCO file of this many annotations, at this scale."""
        return self._made("--annotations", max(50, self.count(full)))

    def image_files(self, full: int = 20_000) -> Path:
        """The folder of small image files, at this scale."""
        return self._made("--files", max(20, self.count(full)))

    def _made(self, option: str, count: int) -> Path:
        # In a process of its own: a child's peak memory is that of the parent it was forked from, or more.
        command = [sys.executable, str(HERE / "workload.py"), "--cache", str(self.cache), option, str(count)]
        return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())

    def repository(self, full: int = 860_001) -> Path:
        """A folder with a repository that holds the COCO file's records as version v1. Copy it before changing it.

        It is kept in the cache until dsvc's code changes."""
        source = self.coco_file(full)
        folder = self.cache / f"repository-{source.stem}-{_code_id()}"
        if not folder.exists():
            for old in self.cache.glob(f"repository-{source.stem}-*"):
                shutil.rmtree(old)
            part = folder.with_name(f"part-{os.getpid()}")
            shutil.rmtree(part, ignore_errors=True)
            self.child(HERE / "repositories.py", "import_and_commit", source, part)
            part.replace(folder)
        return folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder that is gone afterwards, on the disk that the workload is on."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="scratch-") as folder:
            yield Path(folder)

    # ---- measuring

    def child(self, script: str | Path, function: str, *arguments: Any) -> dict[str, Any]:
        """What a script's function returns in a fresh process, with its `peak` memory in bytes."""
        text = json.dumps(arguments, default=str)
        command = [sys.executable, str(HERE / "measure.py"), str(script), function, text]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)
        if done.returncode:
            raise SystemExit(f"{function} of {Path(script).name} failed")
        return json.loads(done.stdout.splitlines()[-1])

    def process(self, command: list[str], folder: Path | None = None) -> float:
        """The seconds that a whole process takes."""
        begin = perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        seconds = perf_counter() - begin
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stderr}")
        return seconds

    def medians(self, times: int, *sides: Callable[[], float]) -> list[float]:
        """The median of each side, the sides taken in turn, so that what else the machine does strikes all."""
        for side in sides:
            side()  # the first one warms up
        rounds = [[side() for side in sides] for _ in range(self.repeats(times))]
        return [statistics.median(column) for column in zip(*rounds, strict=True)]


def dsvc(*arguments: str) -> list[str]:
    """The command line of `dsvc ARGUMENTS`: the installed script, else the module."""
    script = Path(sys.executable).with_name("dsvc")
    start = [str(script)] if script.exists() else [sys.executable, "-m", "dsvc.cli.main"]
    return [*start, *arguments]


def folder_size(folder: Path) -> int:
    """The bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def peak_memory() -> int:
    """The most memory, in bytes, that this process had resident."""
    try:
        # This counts from the start of the program; ru_maxrss may be that of the process which forked.
        text = Path("/proc/self/status").read_text()
        return int(text.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _code_id() -> str:
    """Names dsvc's code as it is now."""
    import hashlib

    found = importlib.util.find_spec("dsvc")
    assert found is not None and found.origin is not None
    root = Path(found.origin).parent
    hasher = hashlib.sha256()
    for part in ("store", "model", "core", "formats"):
        for path in sorted((root / part).rglob("*.py")):
            hasher.update(path.read_bytes())
    return hasher.hexdigest()[:12]


# ---- a script's command line and its report


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every script has."""
    cache = Path(tempfile.gettempdir()) / "dsvc-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help="folder to keep the workload in (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the workload, 1 is the full one")
    parser.add_argument("--repeat", type=int, help="how often to measure each side; the median counts")


def main(run: Callable[[Bench], list[Row]]) -> None:
    """A script's main program: run, print the rows."""
    parser = argparse.ArgumentParser(description=(sys.modules[run.__module__].__doc__ or "").split("\n")[0])
    arguments(parser)
    parser.add_argument("--annotations", type=int, help="size of the COCO file, in place of --scale")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    scale = options.annotations / 860_001 if options.annotations else options.scale
    rows = run(Bench(options.cache.absolute(), scale, options.repeat))
    if options.json:
        print(json.dumps([{**asdict(row), "result": row.result} for row in rows], indent=2))
        return
    for row in rows:
        limit = f"target {figure(row.target, row.unit)}"
        print(f"{row.result:6}  {figure(row.value, row.unit):>8}  ({limit})  {row.work}")
        print(f"        {row.measured}: " + ", ".join(f"{name} {value}" for name, value in row.times.items()))


def _child_main(script: str, function: str, text: str) -> None:
    """Run one function of a script, as `Bench.child` asks."""
    sys.path.insert(0, str(HERE))
    spec = importlib.util.spec_from_file_location(Path(script).stem, script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, function)(*json.loads(text)) or {}
    print(json.dumps({**found, "peak": peak_memory()}))


if __name__ == "__main__":
    _child_main(*sys.argv[1:])
