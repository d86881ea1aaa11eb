"""What the tests of collecting share: a repository in memory whose clock is moved by hand, and where anything may
happen before any call of its place."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.core.repository import Repository
from dsvc.core.workspace import Workspace
from dsvc.model.commit import Author, Moment
from dsvc.model.records import Media
from dsvc.store import writer
from dsvc.store.backend import Upload
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.memory import MemoryBackend

ADA = Author("Ada", "ada@example.org")
CALLS = ("read", "size", "create", "delete", "delete_all", "files", "read_head", "swap_head")
# How much of what could be tried is: 1 is all.
SHARE = float(os.environ.get("DSVC_COLLECTION_SHARE", "0.1"))


class DeathError(BaseException):
    """The end of a process."""


class Clock:
    """The time of all machines of a test, in seconds."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        self.now += 0.001  # no two calls at one time
        return self.now

    def moment(self) -> Moment:
        return Moment(int(self.now))


class Place(MemoryBackend):
    """A backend that tells `before` of every call, by its name, before it does it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.before: Callable[[str], None] | None = None
        for name in CALLS:
            setattr(self, name, self._told(name, getattr(self, name)))

    def _told(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def told(*arguments: Any) -> Any:
            if self.before is not None:
                self.before(name)
            found = call(*arguments)
            return _ToldUpload(self, found) if name == "create" else found

        return told

    @contextmanager
    def at(self, number: int, do: Callable[[], object]) -> Iterator[list[str]]:
        """Do something once, before the call of this number, while nobody else goes on; the calls that came by then."""
        seen: list[str] = []

        def before(name: str) -> None:
            seen.append(name)
            if len(seen) == number:
                self.before = None
                do()
                self.before = before

        self.before = before
        try:
            yield seen
        finally:
            self.before = None

    @contextmanager
    def dying(self, number: int) -> Iterator[None]:
        """Let nothing more happen from the call of this number on, as where a process dies."""
        seen = itertools.count(1)

        def before(name: str) -> None:
            if next(seen) >= number:
                raise DeathError

        self.before = before
        try:
            yield
        finally:
            self.before = None

    def image(self) -> dict[str, Any]:
        """All that is there, to go back to."""
        return {"held": dict(self.held), "times": dict(self.times), "head": self.head}

    def set(self, image: dict[str, Any]) -> None:
        """Go back to an image."""
        self.held, self.times, self.head = dict(image["held"]), dict(image["times"]), image["head"]


class _ToldUpload:
    def __init__(self, place: Place, upload: Upload) -> None:
        self._place = place
        self._upload = upload

    def write(self, data: bytes | memoryview) -> None:
        self._upload.write(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._upload.read(offset, length)

    def finish(self, name: str) -> None:
        if self._place.before is not None:
            self._place.before("finish")
        self._upload.finish(name)

    def abort(self) -> None:
        self._upload.abort()


class World:
    """A repository with a dataset `pets`, at a place with a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.place = Place(self.clock)
        Repository.create_in(self.place, None, ADA)
        self.workspace = Workspace(None)
        self.repository().create("pets", "cats and dogs")

    def repository(self) -> Repository:
        """The repository, opened anew in its one workspace, as another process would."""
        repository = Repository(self.place, None, ADA, self.clock.moment)
        repository.workspace = self.workspace
        return repository

    def pets(self) -> Dataset:
        """The dataset, opened anew."""
        return self.repository().dataset("pets")

    def collect(self, keep: int = 0, grace: int = 0) -> Any:
        """Collect, as another process would."""
        return self.repository().collect(keep=keep, grace=grace)

    def keys(self) -> list[str]:
        """The keys of the inputs that are committed."""
        return [sample.key for sample in self.pets().at()]

    def is_whole(self) -> bool:
        """Whether a check finds no damage; says what it found."""
        report = check(self.repository())
        assert report.damage == (), report.damage
        return True

    def blobs(self) -> list[ObjectId]:
        """Media that the committed inputs name; reads all of it."""
        dataset = self.pets()
        found = [sample.input.media.blob for sample in dataset.at()]
        for blob in found:
            dataset.repository.store.get(blob, Kind.BLOB)
        return found


def stage(dataset: Dataset, *keys: str) -> None:
    """Stage inputs whose media says which it is."""
    with dataset.edit() as draft:
        put(draft, *keys)


def put(draft: Any, *keys: str) -> None:
    """Put inputs into a draft that is open, as `add` does: first their media."""
    data = {key: f"the media of {key}".encode() * 9 for key in keys}
    blobs = {key: draft.transaction.writer.put(Kind.BLOB, media) for key, media in data.items()}
    draft.put_media({key: Media(blob=blobs[key], type="text/plain", size=len(data[key])) for key in keys})


def commit(dataset: Dataset, *keys: str) -> ObjectId:
    """A commit of inputs more."""
    stage(dataset, *keys)
    return dataset.commit(" ".join(keys)).id


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose writers go by its clock."""
    world = World()
    monkeypatch.setattr(writer, "seconds", world.clock)
    return world
