"""Push to a remote in a folder, and fetch from there, beside the copying of the same bytes.

python tests/benchmarks/remote_folder.py
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, dsvc, folder_size, main


def prepare(images: str, project: str) -> dict[str, Any]:
    """A project that has the files in a commit, and a remote."""
    import dsvc
    from dsvc.remote.settings import add_remote

    repository = dsvc.init(project, author=dsvc.Author("Benchmark", "benchmark@example.org"))
    dataset = repository.create("files")
    dataset.add(images, root=Path(images).parent)
    dataset.commit("add")
    add_remote(repository, "origin", "../store")
    return {}


def name_remote(project: str) -> dict[str, Any]:
    """Names a remote in a project that has none."""
    import dsvc
    from dsvc.remote.settings import add_remote

    add_remote(dsvc.open(project), "origin", "../store")
    return {}


def push(project: str) -> dict[str, Any]:
    """Push all to the remote, which is not there yet."""
    import dsvc
    from dsvc.remote.sending import push
    from dsvc.remote.settings import find_remote, trust

    repository = dsvc.open(project)
    remote = find_remote(repository)
    repository.workspace.save(trusted=None)  # or it is noticed that the one of the last round is gone
    trust(repository, remote)
    begin = perf_counter()
    sent = push(repository, remote)
    seconds = perf_counter() - begin
    assert sent.commits > 0
    return {"seconds": seconds}


def fetch(project: str) -> dict[str, Any]:
    """Fetch all from the remote into a new project."""
    import dsvc
    from dsvc.remote.settings import add_remote
    from dsvc.remote.tracking import fetch

    repository = dsvc.init(project)
    remote = add_remote(repository, "origin", "../store")
    begin = perf_counter()
    fetched = fetch(repository, remote)
    seconds = perf_counter() - begin
    assert fetched.commits > 0
    return {"seconds": seconds}


def copy(images: str, target: str) -> dict[str, Any]:
    """The floor: the same bytes to one file, until they are on the disk. `cp -r` makes 20k files, which costs more."""
    begin = perf_counter()
    with open(target, "wb") as all_:
        for place, _, names in os.walk(images):
            for name in names:
                with open(f"{place}/{name}", "rb") as file:
                    all_.write(file.read())
        all_.flush()
        os.fsync(all_.fileno())
    return {"seconds": perf_counter() - begin}


def run(bench: Bench) -> list[Row]:
    rows = _sides(bench)
    with bench.scratch() as folder:
        project = folder / "ours"
        shutil.copytree(bench.repository(), project)
        bench.child(__file__, "name_remote", project)
        rows += _structure(bench, folder, project)
        rows.append(_one_annotation(bench, project))
    return rows


def _sides(bench: Bench) -> list[Row]:
    """Push and fetch of the files, each beside a copy of their bytes."""
    rounds, images = [], bench.image_files()
    with bench.scratch() as folder:
        project = folder / "ours"
        bench.child(__file__, "prepare", images, project)
        for _ in range(bench.repeats(3)):
            os.sync()  # what the other side left to be written must not slow this one
            copied = bench.child(__file__, "copy", images, folder / "copy")
            pushed = bench.child(__file__, "push", project)
            os.sync()
            fetched = bench.child(__file__, "fetch", folder / "theirs")
            rounds.append((copied, pushed, fetched))
            (folder / "copy").unlink()
            for name in ("store", "theirs"):
                shutil.rmtree(folder / name)
    return [
        _row(bench.label(f"20k files: {word}"), [(found[at], found[0]) for found in rounds])
        for at, word in ((1, "push to a folder"), (2, "fetch from a folder"))
    ]


def _row(work: str, rounds: list[tuple[dict[str, Any], dict[str, Any]]]) -> Row:
    ours, copied = (statistics.median(side["seconds"] for side in column) for column in zip(*rounds, strict=True))
    peak = max(found["peak"] for found, _ in rounds)
    return Row(
        work=work,
        value=statistics.median(a["seconds"] / b["seconds"] for a, b in rounds),
        target=2,
        unit="x",
        measured="beside the floor: read, append to one file, fsync, in one thread",
        times={"dsvc": f"{ours:.1f} s, {peak / MB:.0f} MB", "floor": f"{copied:.1f} s"},
    )


def _structure(bench: Bench, folder: Path, project: Path) -> list[Row]:
    """The first push of what is all structure, and a fetch of it. The remote stays."""
    pushed = bench.child(__file__, "push", project)
    fetched = bench.child(__file__, "fetch", folder / "theirs")
    size = folder_size(folder / "store")
    return [
        Row(
            work=bench.label(f"860k: {word}, peak memory"),
            value=found["peak"] / MB,
            target=400,
            unit="MB",
            measured=f"while {size / MB:.0f} MB of structure are read, verified and written",
            times={"dsvc": f"{found['seconds']:.1f} s"},
        )
        for word, found in (("push to a folder", pushed), ("fetch from a folder", fetched))
    ]


def _one_annotation(bench: Bench, project: Path) -> Row:
    """A push of one annotation more, as it is typed, beside `dsvc --version`."""
    key = subprocess.run(
        dsvc("query", "--format", "csv", "select key from inputs limit 1"), cwd=project, capture_output=True, text=True
    ).stdout.splitlines()[-1]
    pushes, floors = [], []
    for number in range(bench.repeats(5)):
        bench.process(dsvc("annotate", key, "--text", f"number {number}"), project)
        bench.process(dsvc("commit", "-m", f"number {number}"), project)
        pushes.append(bench.process(dsvc("push"), project))
        floors.append(bench.process(dsvc("--version"), project))
    ours, least = statistics.median(pushes), statistics.median(floors)
    return Row(
        work=bench.label("860k: push of one annotation more"),
        value=ours / least,
        target=5,
        unit="x",
        measured="the whole process, beside `dsvc --version`",
        times={"dsvc": f"{ours * 1000:.0f} ms", "--version": f"{least * 1000:.0f} ms"},
    )


if __name__ == "__main__":
    main(run)
