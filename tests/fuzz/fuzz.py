"""The fuzzer: mutations of a small repository, and every reader on each of them. `fuzz.py SEED COUNT` prints JSON.

It runs in a process of its own, whose memory is watched; a reader that takes too long is stopped.
"""

from __future__ import annotations

import collections
import faulthandler
import json
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from random import Random
from typing import Any

from forge import copied
from mutations import Mutator
from readers import CLEAN, READERS, Sample
from samples import sample_repository

SECONDS = 20
MEMORY = 200 << 20  # bytes that the process may take beyond what it has after a run over the unchanged repository


class Hang(BaseException):
    """A reader took too long."""


def main(seed: int, count: int, only: int | None = None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        Sample.backend = sample_repository(Path(folder))
    mutator = Mutator(Sample.backend)
    _limit()
    for reader, _ in READERS.values():
        reader(copied(Sample.backend), Random(0))
    base = peak()
    defects: dict[str, Any] = {}
    outcomes: collections.Counter[str] = collections.Counter()
    for number in range(count) if only is None else [only]:
        rng = Random(f"{seed} {number}")
        mutation = mutator.mutation(rng)
        chosen = [(name, reader) for name, (reader, share) in READERS.items() if rng.randrange(1000) < share]
        for name, reader in chosen:
            found = run(reader, mutation.backend, rng)
            outcomes[found or "fine"] += 1
            if found is not None and found != "clean":
                defect = defects.setdefault(f"{name}: {found}", {"count": 0, "first": [number, mutation.text[:300]]})
                defect["count"] += 1
        if peak() - base > MEMORY:
            defects.setdefault("memory", {"count": 1, "first": [number, mutation.text[:300]], "peak": peak() >> 20})
            base = peak()
    return {"mutations": count, "outcomes": outcomes, "defects": defects, "peak": peak() >> 20}


def run(reader: Any, backend: Any, rng: Random) -> str | None:
    """None where a reader found nothing wrong, "clean" for a clean error, else what is wrong with it."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
    try:
        reader(backend, rng)
    except CLEAN:
        return "clean"
    except Hang:
        return f"hang {_place()}"
    except (Exception, MemoryError) as error:
        if "-v" in sys.argv:
            traceback.print_exc()
        return f"{type(error).__name__}: {str(error)[:60]} {_place()}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    return None


def _place() -> str:
    """Where in dsvc the error came up."""
    _, _, trace = sys.exc_info()
    frames = [frame for frame in traceback.extract_tb(trace) if "/dsvc/" in frame.filename]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}:{f.name}" for f in reversed(frames[-2:]))


def peak() -> int:
    """The most memory that the process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _limit() -> None:
    def stop(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))


if __name__ == "__main__":
    print(json.dumps(main(*map(int, [a for a in sys.argv[1:] if a != "-v"])), indent=1))
