"""Change one annotation of a large dataset and commit, as whole processes, beside `dsvc --version`.

python tests/benchmarks/one_annotation.py
"""

from __future__ import annotations

import shutil
import sys
from itertools import count

from measure import HERE, Bench, Row, dsvc, main

# One process that changes and commits, as a program does it; on the command line it takes two.
PROGRAM = """
import sys, dsvc
dataset = dsvc.open().dataset()
with dataset.edit() as draft:
    draft.change_annotation(sys.argv[1], sys.argv[2], {"status": sys.argv[3]})
dataset.commit("change one", dsvc.Author("Benchmark", "benchmark@example.org"))
"""


def run(bench: Bench) -> list[Row]:
    number = count()
    with bench.scratch() as scratch:
        folder = scratch / "repository"
        shutil.copytree(bench.repository(), folder)
        place = bench.child(HERE / "repositories.py", "first_annotation", folder)
        key, annotation = place["key"], place["annotation"]

        def program() -> float:
            return bench.process([sys.executable, "-c", PROGRAM, key, annotation, f"state {next(number)}"], folder)

        def annotate() -> float:
            return bench.process(
                dsvc("annotate", f"{key}#{annotation}", "--concept", f"concept {next(number)}"), folder
            )

        times = bench.medians(
            9,
            program,
            annotate,
            lambda: bench.process(dsvc("commit", "-m", "change one"), folder),
            lambda: bench.process(dsvc("--version"), folder),
        )
    names = ("change one annotation and commit", "`dsvc annotate`", "`dsvc commit`")
    measured = ("one process that uses the library", "the whole process", "the whole process")
    return [
        Row(
            work=bench.label(f"860k: {name}"),
            value=seconds / times[-1],
            target=3,
            unit="x",
            measured=f"{what}, beside `dsvc --version`",
            times={"process": f"{seconds * 1000:.0f} ms", "--version": f"{times[-1] * 1000:.0f} ms"},
        )
        for name, what, seconds in zip(names, measured, times[:-1], strict=True)
    ]


if __name__ == "__main__":
    main(run)
