"""Random work in a folder: no word of a person is lost, and in the end the folder is what is committed."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.layout.checkout import checkout, checkout_all, update_folders
from dsvc.errors import RefusedError

STEPS = 40


class Walk:
    """A person who changes files and the draft, and asks dsvc for this and that, by chance."""

    def __init__(self, dataset: Dataset, folder: Path, seed: int) -> None:
        self.dataset, self.folder, self.chance = dataset, folder, random.Random(seed)
        self.images = folder / "images"
        # What the person wrote, by path; and all bytes that were ever committed.
        self.mine: dict[Path, bytes] = {}
        self.committed: set[bytes] = set()
        self.count = 0
        self.note_commits()

    def note_commits(self) -> None:
        self.committed |= {sample.read_bytes() for sample in self.dataset.at() if sample.input.media}

    def files(self) -> list[Path]:
        return sorted(path for path in self.images.rglob("*.jpg"))

    # ---- what the person does

    def write(self) -> None:
        self.count += 1
        known = self.files()
        path = self.chance.choice([*known, self.images / f"new{self.count}.jpg"])
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"\xff\xd8\xffmine %d" % self.count
        path.write_bytes(data)
        self.mine[path] = data

    def delete(self) -> None:
        if len(known := self.files()) > 1:
            path = self.chance.choice(known)
            path.unlink()
            self.mine.pop(path, None)

    def rename(self) -> None:
        if known := self.files():
            path = self.chance.choice(known)
            self.count += 1
            new = path.rename(self.images / f"moved{self.count}.jpg")
            if path in self.mine:
                self.mine[new] = self.mine.pop(path)

    def relabel(self) -> None:
        file = self.folder / "annotations/instances.json"
        document = json.loads(file.read_text())
        if rows := document.get("annotations"):
            self.chance.choice(rows)["bbox"] = [self.chance.randrange(50), 2, 10, 10]
            file.write_text(json.dumps(document))

    # ---- what dsvc does

    def take(self) -> None:
        self.dataset.add_all()

    def commit(self) -> None:
        if self.dataset.has_draft():
            self.dataset.commit("some")
            self.note_commits()

    def discard(self) -> None:
        if self.dataset.has_draft():
            self.dataset.discard()

    def undo(self) -> None:
        self.dataset.repository.undo()

    def switch(self) -> None:
        branches = [branch.name for branch in self.dataset.branches()]
        self.dataset.switch(self.chance.choice(branches))

    def update(self) -> None:
        update_folders(self.dataset.repository)

    def restore(self) -> None:
        checkout_all(self.dataset.repository)

    def step(self) -> str:
        """One step, and what has to hold after it."""
        people = [self.write] * 3 + [self.delete, self.rename, self.relabel]
        asked = [self.take] * 3 + [self.commit] * 3 + [self.discard, self.undo, self.switch, self.update, self.restore]
        work = self.chance.choice(people + asked)
        with contextlib.suppress(RefusedError):  # nothing to undo, for example
            work()
        if work in asked:
            if self.chance.random() < 0.7:
                self.update()
            self.check(work.__name__)
        return work.__name__

    def check(self, what: str) -> None:
        """What a person wrote is where it was written, or committed."""
        for path, data in list(self.mine.items()):
            there = path.read_bytes() if path.exists() else None
            if there != data:
                assert data in self.committed, f"{what}: {path.name} is lost"
                del self.mine[path]
        self.dataset.folders()


@pytest.mark.parametrize("seed", range(15))
def test_nothing_is_lost(seed: int, dataset: Dataset, root: Path, change: Callable[..., Any]) -> None:
    dataset.create_branch("side")
    change(a="on main", d="d")
    checkout(dataset.repository, "pets")
    walk = Walk(dataset, root / "pets", seed)
    for _ in range(STEPS):
        walk.step()
        if dataset.draft().snapshot.conflicts:  # somebody has to say what holds
            dataset.discard()
    walk.update()
    walk.take()
    if dataset.draft().snapshot.conflicts:
        return
    walk.commit()
    checkout_all(dataset.repository)
    [folder] = dataset.folders()
    assert folder.is_clean and folder.problem is None and folder.commit == dataset.head, folder
    there = {path.relative_to(walk.images).as_posix(): path.read_bytes() for path in walk.files()}
    assert there == {sample.key: sample.read_bytes() for sample in dataset.at()}
