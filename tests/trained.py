"""What tests of training runs share: a dataset to run on, and a run of a script of the shell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dsvc.core.dataset import Dataset
from dsvc.core.ledger import Entry, entry_files, read_file
from dsvc.core.repository import Repository

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def run(pets: Dataset, script: str, version: str | None = None, **options: Any) -> Entry:
    folder = options.pop("folder", pets.repository.root)
    return pets.train(["sh", "-c", script], version, environment=ENVIRONMENT, folder=folder, **options)


def files(pets: Dataset, entry: Entry) -> dict[str, bytes]:
    return {file.key: b"".join(read_file(pets, entry, file.key)) for file in entry_files(pets, entry)}


def runs(repo: Repository) -> Path:
    return repo.root / ".dsvc" / "runs"  # type: ignore[operator]
