"""What reads a repository that nobody can trust. Each reader gives nothing; a clean error is one of dsvc's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import cast
from unittest import mock

from forge import copied

from dsvc.core.check import check
from dsvc.core.operations import changed_refs, describe_ref, operations
from dsvc.core.repository import Repository
from dsvc.core.state import State
from dsvc.errors import DamagedError, DsvcError, RefusedError, RemoteError, UnsupportedFormatError
from dsvc.model.commit import Author
from dsvc.model.view import BRANCH, DATASET, DRAFT, VERSION, BranchRef, VersionRef
from dsvc.remote.cloning import clone
from dsvc.remote.pushing import push_commits
from dsvc.remote.sending import push
from dsvc.remote.settings import Remote
from dsvc.remote.tracking import bring
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.memory import MemoryBackend

ADA = Author("Ada")
REMOTE = Remote("origin", "/nowhere/fuzz", False)
# Errors that say that what is read is wrong.
CLEAN = (DamagedError, RemoteError, UnsupportedFormatError)
Reader = Callable[[MemoryBackend, Random], None]


class NotCleanError(Exception):
    """A reader let something through that it should not have."""


def opened(backend: MemoryBackend) -> Repository:
    return Repository(backend, None, ADA)


def commits(repository: Repository) -> list[ObjectId]:
    """The commits of all branches and versions."""
    refs = [value for kind in (BRANCH, VERSION) for _, value in repository.view.list(kind)]
    found = [cast("BranchRef | VersionRef", value).commit for value in refs]
    return [commit for commit in found if commit is not None]


def states(repository: Repository) -> list[State]:
    """What branches, versions and drafts hold."""
    found = []
    for dataset in repository.datasets():
        for kind in (BRANCH, VERSION):
            for ref, value in repository.view.list(kind, dataset.name):
                if cast("BranchRef | VersionRef", value).commit is not None:
                    sign = ":" if kind == BRANCH else "@"
                    found.append(lambda ref=ref, sign=sign, dataset=dataset: dataset.at(f"{ref[1]}{sign}{ref[2]}"))
        found.append(dataset.draft)
    made = []
    for make in found:
        try:
            made.append(make())
        except DsvcError as error:
            if isinstance(error, CLEAN):
                raise
    return made


def listing(backend: MemoryBackend, rng: Random) -> None:
    repository = opened(backend)
    for kind in (DATASET, BRANCH, VERSION, DRAFT, "pin", "remote"):
        for ref, _ in repository.view.list(kind):
            describe_ref(ref)
    for dataset in repository.datasets():
        assert dataset.description is not None
        dataset.versions()
        _allowed(dataset.status)


def log(backend: MemoryBackend, rng: Random) -> None:
    from dsvc.cli.render import iso, shown, subject, when
    from dsvc.core.history.walking import History

    repository = opened(backend)
    for logged in operations(repository):
        operation = logged.operation
        when(operation.time), iso(operation.time), shown(operation.command), shown(str(operation.author))
        if operation.parents:
            for ref, _, _ in changed_refs(repository, operation):
                describe_ref(ref)
    history = History(repository.store)
    for id in history.walk(commits(repository)):
        commit = history.commit(id)
        when(commit.time), iso(commit.time), shown(subject(commit.message)), shown(str(commit.author))
        history.sources(id), history.givers(id)


def samples(backend: MemoryBackend, rng: Random) -> None:
    for state in states(opened(backend)):
        count = 0
        for sample in state:
            count += 1
            if sample.input.media is not None and sample.input.media.blob is not None:
                state.repository.store.get(sample.input.media.blob, Kind.BLOB)
        snapshot = state.snapshot
        if len(snapshot) != count:
            raise NotCleanError("a snapshot of another length than it says")
        snapshot.counts(), snapshot.conflicts, list(snapshot.concepts())
        for tree in (snapshot.concept_tree, snapshot.input_tree, snapshot.annotation_tree):
            list(tree.conflicting()), list(tree.parts()), list(tree.leaves())
            for at in (0, len(tree) // 2, -1):
                if len(tree):
                    key, value = tree.at(at)
                    if tree.get(key) != value:
                        raise NotCleanError("an entry that is found by number and not by key")


def checking(backend: MemoryBackend, rng: Random) -> None:
    check(opened(backend))


def exporting(backend: MemoryBackend, rng: Random) -> None:
    format = rng.choice(["coco", "clarifai-json", "clarifai-protobuf"])
    for state in states(opened(backend)):
        with tempfile.TemporaryDirectory() as folder:
            try:
                state.export(format, Path(folder) / "out")
            except RefusedError as error:
                if isinstance(error, UnsupportedFormatError):
                    raise
            stray = [path for path in Path(folder).iterdir() if not path.name.startswith("out")]
            if stray:
                raise NotCleanError(f"an export wrote {stray}")


def diffing(backend: MemoryBackend, rng: Random) -> None:
    found = states(opened(backend))
    for one in found[:3]:
        diff = one.diff(rng.choice(found))
        list(diff)
        diff.stat()


def merging(backend: MemoryBackend, rng: Random) -> None:
    """In a copy of one's own, what a merge, a resolve and edits do."""
    repository = opened(copied(backend))
    for dataset in list(repository.datasets()):
        if repository.view.get(BRANCH, dataset.name, dataset.branch) is None or dataset.head is None:
            continue
        for ref, value in list(repository.view.list(BRANCH, dataset.name)):
            if ref[2] != dataset.branch and cast(BranchRef, value).commit is not None:
                _allowed(lambda dataset=dataset, ref=ref: dataset.merge(f"{ref[1]}:{ref[2]}"))
        _allowed(lambda dataset=dataset: list(dataset.conflicts()))
        _allowed(lambda dataset=dataset: dataset.annotate("images/0.txt", "cat", text="more"))
        _allowed(lambda dataset=dataset: dataset.commit("more"))
        _allowed(lambda dataset=dataset: list(dataset.changes()))
        _allowed(repository.undo)


def _allowed(call: Callable[[], object]) -> None:
    """What may also be refused for good reasons."""
    try:
        call()
    except DsvcError as error:
        if isinstance(error, CLEAN):
            raise


def fetching(backend: MemoryBackend, rng: Random) -> None:
    """What was fetched is whole here; where a fetch fails, nothing has changed."""
    ours = Repository.create_in(MemoryBackend(), None, ADA)
    before = ours.store.head
    with mock.patch("dsvc.remote.opening.open_place", lambda *_, **__: backend):
        try:
            bring(ours, REMOTE, "fetch", adopt=rng.random() < 0.5)
        except DsvcError:
            ours.store.refresh()
            if ours.store.head != before:
                raise NotCleanError("a fetch that failed has changed something") from None
            raise
    # What an inner node says of a node that came before is not looked at: readers do, and refuse it.
    damage = [one for one in check(ours).damage if "is not what its parent says" not in one.text]
    if damage:
        raise NotCleanError(f"what was fetched is not whole: {damage[:2]}")
    for state in states(ours):
        list(state)


def pushing(backend: MemoryBackend, rng: Random) -> None:
    """A push to it of what we have."""
    ours = opened(copied(Sample.backend))
    with mock.patch("dsvc.remote.opening.open_place", lambda *_, **__: backend):
        if rng.random() < 0.5:
            _allowed(lambda: push(ours, REMOTE))
        else:
            head = ours.dataset("pets").head
            assert head is not None
            _allowed(lambda: push_commits(ours, REMOTE, {"pets": {head}}))


def cloning(backend: MemoryBackend, rng: Random) -> None:
    """A clone to a folder, and a checkout of all that it has: nothing is written elsewhere."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project" / "clone"
        with (
            mock.patch("dsvc.remote.opening.open_place", lambda *_, **__: backend),
            mock.patch("dsvc.remote.cloning.open_place", lambda *_, **__: backend),
        ):
            repository = clone("/nowhere/fuzz", folder, ADA).repository
        for dataset in list(repository.datasets()):
            if repository.view.get(BRANCH, dataset.name, dataset.branch) is not None:
                _allowed(lambda dataset=dataset: repository.checkout(dataset.name, f"out-{dataset.name}"))
        stray = [path for path in Path(name).rglob("*") if path.is_file() and folder not in path.parents]
        if stray:
            raise NotCleanError(f"a checkout wrote {stray}")
        if (folder / ".git").exists():
            raise NotCleanError("a checkout wrote to .git")


def querying(backend: MemoryBackend, rng: Random) -> None:
    for dataset in opened(backend).datasets():
        _allowed(lambda dataset=dataset: list(dataset.query("select * from inputs")))
        _allowed(lambda dataset=dataset: list(dataset.query("select * from annotations")))


class Sample:
    """The repository that was not changed."""

    backend: MemoryBackend


# Reader -> in how many of a thousand mutations it runs.
READERS: dict[str, tuple[Reader, int]] = {
    "listing": (listing, 1000),
    "log": (log, 500),
    "samples": (samples, 1000),
    "fetching": (fetching, 600),
    "checking": (checking, 200),
    "exporting": (exporting, 150),
    "merging": (merging, 150),
    "pushing": (pushing, 100),
    "diffing": (diffing, 100),
    "cloning": (cloning, 15),
    "querying": (querying, 10),
}
