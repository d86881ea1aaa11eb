"""A file of 1 GB: added, changed anywhere, read in parts, pushed.

python tests/benchmarks/large_files.py
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from measure import MB, Bench, Row, folder_size, main

PIECE = 1 << 20
LEAST = 40 << 20  # bytes: a smaller file would have too few chunks to tell anything


def noise(seed: int, size: int) -> Iterator[bytes]:
    """So many bytes that cannot be compressed, the same every time."""
    from blake3 import blake3

    hasher = blake3(b"large file %d" % seed)
    for at in range(0, size, PIECE):
        yield hasher.digest(length=min(PIECE, size - at), seek=at)


def make(path: str, size: int) -> dict[str, Any]:
    """Write the file."""
    with open(path, "wb") as file:
        file.writelines(noise(0, size))
    return {}


def add(file: str, project: str) -> dict[str, Any]:
    """Add the file to a new project, until it is on the disk."""
    import dsvc

    dataset = dsvc.init(project, author=dsvc.Author("Benchmark", "benchmark@example.org")).create("files")
    begin = perf_counter()
    dataset.add(file, root=Path(file).parent)
    return {"seconds": perf_counter() - begin}


def floor(file: str, target: str) -> dict[str, Any]:
    """What cannot be saved: read, BLAKE3, write, fsync, in one thread."""
    from blake3 import blake3

    begin, hasher = perf_counter(), blake3()
    with open(file, "rb") as source, open(target, "wb") as copy:
        while piece := source.read(PIECE):
            hasher.update(piece)
            copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())
    hasher.digest()
    return {"seconds": perf_counter() - begin}


def push(project: str) -> dict[str, Any]:
    """Push to the remote beside the project; how much more it holds then."""
    import dsvc
    from dsvc.remote.sending import push
    from dsvc.remote.settings import Remote, add_remote, find_remote

    repository = dsvc.open(project)
    store = Path(project).parent / "store"
    remote: Remote = find_remote(repository) if store.exists() else add_remote(repository, "origin", "../store")
    before = folder_size(store) if store.exists() else 0
    begin = perf_counter()
    push(repository, remote)
    return {"seconds": perf_counter() - begin, "bytes": folder_size(store) - before}


def change(file: str, project: str) -> dict[str, Any]:
    """Change the file in every way, one after the other, and add it: how many bytes each adds; pushes the last one."""
    import dsvc

    repository = dsvc.open(project, author=dsvc.Author("Benchmark", "benchmark@example.org"))
    dataset, size = repository.dataset("files"), Path(file).stat().st_size
    dataset.commit("as it came")
    push(project)
    media, added = Path(project) / ".dsvc", {}
    for where, at in (("start", 0), ("middle", size // 2), ("end", size)):
        for what, removed, put in (
            ("1 byte inserted", 0, 1),
            ("1 MB inserted", 0, 10**6),
            ("1 MB changed", 10**6, 10**6),
            ("1 MB removed", 10**6, 0),
        ):
            begin = min(at, size - removed)
            edited = f"{file}.edited"
            _edit(file, edited, begin, removed, b"".join(noise(len(added) + 1, put)))
            Path(edited).replace(Path(project) / "changed.bin")
            before = folder_size(media)
            dataset.add(str(Path(project) / "changed.bin"), root=project)
            added[f"{what}, {where}"] = folder_size(media) - before
    dataset.commit("changed")
    return {"added": added, "pushed": push(project)["bytes"]}


def _edit(source: str, target: str, at: int, removed: int, put: bytes) -> None:
    with open(source, "rb") as file, open(target, "wb") as copy:
        left = at
        while left:
            piece = file.read(min(PIECE, left))
            copy.write(piece)
            left -= len(piece)
        copy.write(put)
        file.seek(removed, os.SEEK_CUR)
        shutil.copyfileobj(file, copy, PIECE)


def read_part(project: str) -> dict[str, Any]:
    """Read 1 MB in the middle of the file, many times elsewhere: how many bytes of packs each reads, at most."""
    import dsvc

    dataset = dsvc.open(project).dataset("files")
    sample = next(iter(dataset.draft()))
    backend, read = dataset.repository.store.backend, [0]
    real = backend.read

    def counting(name: str, offset: int = 0, length: int | None = None) -> bytes:
        data = real(name, offset, length)
        read[0] += len(data) * name.startswith("packs/")
        return data

    backend.read = counting  # type: ignore[method-assign]
    sample.read_bytes(0, 1)
    size, most, begin = sample.input.media.size, 0, perf_counter()
    for number in range(50):
        read[0] = 0
        sample.read_bytes((size - 10**6) * number // 49, 10**6)
        most = max(most, read[0])
    return {"seconds": (perf_counter() - begin) / 50, "bytes": most}


def run(bench: Bench) -> list[Row]:
    size, rounds = max(LEAST, bench.count(10**9)), []
    with bench.scratch() as folder:
        file, project = folder / "large.bin", folder / "ours"
        bench.child(__file__, "make", file, size)
        for _ in range(bench.repeats(3)):
            shutil.rmtree(project, ignore_errors=True)
            os.sync()  # what the other side left to be written must not slow this one
            least = bench.child(__file__, "floor", file, folder / "copy")
            (folder / "copy").unlink()
            os.sync()
            rounds.append((bench.child(__file__, "add", file, project), least))
        part = bench.child(__file__, "read_part", project)
        changes = bench.child(__file__, "change", file, project)
    label = bench.label("1 GB file")
    return [*_add(label, rounds), *_changes(label, changes), _part(label, part)]


def _add(label: str, rounds: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[Row]:
    ours, least = (statistics.median(side["seconds"] for side in column) for column in zip(*rounds, strict=True))
    times = {"dsvc": f"{ours:.2f} s", "floor": f"{least:.2f} s"}
    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in rounds)
    peak = max(found["peak"] for found, _ in rounds) / MB
    return [
        Row(f"{label}: add", ratio, 2, "x", "beside the floor: read, BLAKE3, write, fsync, in one thread", times),
        Row(f"{label}: add, peak memory", peak, 250, "MB", "of the whole process", times),
    ]


def _changes(label: str, changes: dict[str, Any]) -> list[Row]:
    most = max(changes["added"], key=changes["added"].get)
    figures = {name: f"{size / MB:.1f} MB" for name, size in changes["added"].items()}
    stored, sent = changes["added"][most] / MB, changes["pushed"] / MB
    return [
        Row(f"{label}: changed", stored, 8, "MB", f"that are stored more, at most: {most}", figures),
        Row(f"{label}: push of a change", sent, 8, "MB", "that the remote holds more"),
    ]


def _part(label: str, part: dict[str, Any]) -> Row:
    times = {"dsvc": f"{part['seconds'] * 1000:.1f} ms"}
    return Row(f"{label}: read 1 MB of it", part["bytes"] / MB, 6, "MB", "that are read of packs, at most", times)


if __name__ == "__main__":
    main(run)
