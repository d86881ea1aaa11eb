"""What a version that changes one annotation in a thousand adds to a repository.

python tests/benchmarks/version_growth.py
"""

from __future__ import annotations

import shutil

from measure import HERE, Bench, Row, folder_size, main

KINDS = {
    True: ("on the same inputs", 1.5, "all annotations of inputs chosen at random"),
    False: ("scattered", 5, "annotations chosen at random"),
}


def run(bench: Bench) -> list[Row]:
    rows = []
    repository = bench.repository()
    before = folder_size(repository / ".dsvc")
    for together, (name, target, chosen) in KINDS.items():
        with bench.scratch() as scratch:
            folder = scratch / "repository"
            shutil.copytree(repository, folder)
            bench.child(HERE / "repositories.py", "change_annotations", folder, bench.count(860), together)
            added = folder_size(folder / ".dsvc") - before
        rows.append(
            Row(
                work=bench.label(f"860k: a version that changes 0.1 % of the annotations, {name}"),
                value=100 * added / before,
                target=target,
                unit="%",
                measured=f"growth of `.dsvc` by one edit that moves the boxes of {chosen}, its commit and its version",
                times={"added": f"{added / 1000:.0f} kB"},
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
