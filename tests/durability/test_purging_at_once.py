"""Purges while others commit: what was purged is in no pack, and everybody else's work is there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from dsvc.core.check import check
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError
from dsvc.model.commit import Author
from dsvc.remote.purging import purge
from dsvc.store.local import LocalBackend

WRITERS = 3
ROUNDS = int(os.environ.get("DSVC_PURGE_ROUNDS", "6"))
ADA = Author("Ada", "ada@example.org")


def opened(root: Path) -> Repository:
    return Repository(LocalBackend(root / ".dsvc"), root, ADA)


def write(root: Path, number: int, failures: list[BaseException], done: list[str]) -> None:
    """Add files to a dataset of one's own, and now and then the one that is purged."""
    dataset = opened(root).dataset(f"d{number}")
    for step in range(ROUNDS * 2):
        key = f"{number}-{step}.txt"
        (root / key).write_bytes(os.urandom(300))
        try:
            with dataset.edit() as draft:
                draft.add(root / key, root / f"secret{step % ROUNDS}.txt")
            done.append(key)
        except RefusedError as error:
            if "purged" not in error.message:
                failures.append(error)
        except BaseException as error:
            failures.append(error)


def test_purges_while_others_add(tmp_path: Path) -> None:
    import dsvc

    root = tmp_path / "project"
    repository = dsvc.init(root, author=ADA)
    secrets = [os.urandom(300) for _ in range(ROUNDS)]
    for number in range(WRITERS):
        repository.create(f"d{number}")
    dataset = repository.create("pets")
    for number, secret in enumerate(secrets):
        (root / f"secret{number}.txt").write_bytes(secret)
    dataset.add(*(root / f"secret{number}.txt" for number in range(ROUNDS)))
    failures: list[BaseException] = []
    done: list[str] = []
    threads = [threading.Thread(target=write, args=(root, n, failures, done)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for number in range(ROUNDS):
        purge(opened(root), "pets", [f"secret{number}.txt"], "they asked", (), everywhere=True)
    for thread in threads:
        thread.join()
    assert not failures, failures
    for number in range(ROUNDS):  # copies that somebody had in flight are left over, at most
        purge(opened(root), "pets", [f"secret{number}.txt"], "they asked", (), everywhere=True)
    report = check(opened(root))
    assert report.damage == () and report.purged == ROUNDS
    held = b"".join(path.read_bytes() for path in (root / ".dsvc/packs").iterdir())
    assert not any(secret in held for secret in secrets)
    kept = {record.key for n in range(WRITERS) for record in opened(root).dataset(f"d{n}").draft().inputs()}
    assert set(done) <= kept
