"""Two clones and a remote, and a plain model of all three: whatever is done in whatever order, all agree in the end.

Datasets are edited, committed, pushed, pulled, merged, undone, collected and purged; hypothesis chooses
what comes next. DSVC_EXAMPLES says how many such lives are lived.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from plain import apart
from plain_lines import Line, Lines, count_conflicts
from studied import drop, enter_evaluation, enter_run
from test_merge_machine import Walk
from walk_edits import Edits

from dsvc.core.collecting.collector import Collector
from dsvc.core.dataset import Dataset
from dsvc.core.ledger import entry_files, read_file, versions_in
from dsvc.core.repository import Repository
from dsvc.errors import RefusedError
from dsvc.model.commit import Author, Moment
from dsvc.model.view import BRANCH, EVALUATION, RUN, tombstones
from dsvc.remote.cloning import clone
from dsvc.remote.pulling import pull_branch
from dsvc.remote.purging import purge
from dsvc.remote.sending import push
from dsvc.remote.settings import add_remote, find_remote
from dsvc.store.ids import ObjectId
from dsvc.store.local import LocalBackend

EXAMPLES = int(os.environ.get("DSVC_EXAMPLES", "3"))
STEPS = 40
MAIN: Line = ("pets", "main")
FILES = ("f.txt", "g.txt")


class Side(Walk):
    """One clone, and the model of what it holds."""

    def __init__(self, folder: Path, store: Path, lines: Lines | None) -> None:
        if lines is None:
            Edits.__init__(self, folder, 0)
            self.repo.delete("more")
            del self.plain.refs.heads["more", "main"]
            add_remote(self.repo, "origin", str(store))
            push(self.repo, find_remote(self.repo), "pets", "main")
        else:
            self.repo = clone(str(store), folder, Author("Bob")).repository
            self.store = lines.store
            self.plain = Lines(lines.store)
            self.plain.commits = lines.commits
            self.plain.refs.heads[MAIN] = lines.refs.heads[MAIN]
            self.folder = folder
            self.steps = self.conflicting = 0
        seconds = count(4_102_444_800)
        self.repo.now = lambda: Moment(next(seconds))
        self.remote = find_remote(self.repo)
        self.seen = self.plain.refs.heads[MAIN]  # where the remote's branch stood when it was last looked at
        self.forget()

    def forget(self) -> None:
        """What was done is out of the reach of undo: something else was done since."""
        self.done: list[Any] = []
        self.undone: list[Any] = []

    def add_file(self, line: Line, text: str) -> None:
        """A file with bytes of its own."""
        key = self.choose(FILES)
        (self.folder / key).write_text(text)
        with self.dataset(line).edit() as draft:
            draft.add(self.folder / key)
        value = self.dataset(line).draft().snapshot.input_tree.get(key.encode())
        assert value is not None
        self.stage(line, lambda world: world.inputs.__setitem__(key.encode(), apart(value)))

    def merge(self, line: Line) -> None:
        if len(self.plain.refs.heads) > 1:
            super().merge(line)

    def take_in(self, theirs: bytes) -> None:
        """What a pull of the branch main does."""
        plain, head = self.plain, self.plain.refs.heads[MAIN]
        bases = plain.bases([head], [theirs])
        made = pull_branch(self.dataset(MAIN), self.remote).merged
        self.seen = theirs
        if theirs in bases:
            assert made.kind == "up to date"
        elif bases == [head]:
            assert made.kind == "fast-forward"
            plain.move(MAIN, theirs)
        else:
            assert made.kind == "merged"
            content = plain.merge(plain.base(bases), plain.committed(MAIN), plain.commits[theirs].content)
            self.merged(MAIN, made, content, theirs)


class Team(RuleBasedStateMachine):
    """Two clones and a remote. `head` is where the remote's branch stands, `versions` what has which name there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.at_remote = self.folder / "store"
        self.numbers = count()
        self.purged: set[ObjectId] = set()
        self.versions: dict[str, bytes] = {}
        self.entered: dict[str, str] = {}  # runs and evaluations by id, each with its kind
        self.dropped: set[str] = set()  # those that were taken away somewhere, and may have come back

    @initialize()
    def begin(self) -> None:
        """Two people who have the same."""
        first = Side(self.folder / "one", self.at_remote, None)
        self.sides = [first, Side(self.folder / "two", self.at_remote, first.plain)]
        self.head = first.plain.refs.heads[MAIN]

    def teardown(self) -> None:
        try:
            if hasattr(self, "sides"):
                self.agree()
        finally:
            shutil.rmtree(self.folder)

    def far(self) -> Repository:
        """The remote, opened."""
        return Repository(LocalBackend(self.at_remote))

    def side(self, who: int, seed: int) -> Side:
        found = self.sides[who]
        found.rng = Random(seed)
        return found

    # ---- what is done at home

    @rule(who=st.integers(0, 1), seed=st.integers(0, 1 << 16))
    def edit(self, who: int, seed: int) -> None:
        side = self.side(who, seed)
        edits: list[Callable[[Line], None]] = [
            side.add_input,
            side.annotate,
            side.annotate,
            side.set_fields,
            side.change_annotation,
            side.change_annotation,
            side.remove_input,
            side.remove_annotation,
            side.delete_concept,
            side.import_again,
            side.resolve,
            side.discard,
            lambda line: side.add_file(line, f"bytes {next(self.numbers)}\n" * 9),
            lambda line: side.add_file(line, f"bytes {next(self.numbers)}\n" * 9),
        ]
        line = side.choose(sorted(side.plain.refs.heads))
        for _ in range(side.choose(range(1, 6))):
            side.do(side.choose(edits), line)
        if side.choose((True, False)):
            side.do(side.commit, line)
        side.compare(line)

    @rule(who=st.integers(0, 1), seed=st.integers(0, 1 << 16))
    def commit(self, who: int, seed: int) -> None:
        side = self.side(who, seed)
        for line in sorted(side.plain.refs.drafts):
            side.do(side.commit, line)

    @rule(who=st.integers(0, 1))
    def version(self, who: int) -> None:
        side = self.sides[who]
        if count_conflicts(side.plain.committed(MAIN).world):
            with pytest.raises(RefusedError):
                side.dataset(MAIN).create_version("no")
            return
        name = f"v{next(self.numbers)}"
        side.dataset(MAIN).create_version(name, revision="pets:main")
        self.versions[name] = side.plain.refs.heads[MAIN]
        side.forget()

    @rule(who=st.integers(0, 1), evaluates=st.booleans())
    def study(self, who: int, evaluates: bool) -> None:
        """A run or an evaluation of what is there, staged changes included."""
        side, id = self.sides[who], f"{next(self.numbers):08x}"
        dataset = side.dataset(MAIN)
        if dataset.draft().snapshot.conflicts:
            with pytest.raises(RefusedError):
                enter_run(dataset, id)
            return
        if evaluates:
            enter_evaluation(dataset, id, f"{next(self.numbers):08x}")
        else:
            enter_run(dataset, id, {"log.txt": f"run {id}".encode()})
        self.entered[id] = EVALUATION if evaluates else RUN
        side.forget()
        side.compare(MAIN)

    @rule(who=st.integers(0, 1), seed=st.integers(0, 1 << 16))
    def drop(self, who: int, seed: int) -> None:
        side = self.side(who, seed)
        here = [*side.dataset(MAIN).runs(), *side.dataset(MAIN).evaluations()]
        if here:
            entry = side.choose(here)
            drop(side.dataset(MAIN), entry.kind, entry.id)
            self.dropped.add(entry.id)
            side.forget()
            side.compare(MAIN)

    @rule(who=st.integers(0, 1), seed=st.integers(0, 1 << 16))
    def branch_or_merge(self, who: int, seed: int) -> None:
        side = self.side(who, seed)
        line = side.choose(sorted(side.plain.refs.heads))
        side.do(side.branch if len(side.plain.refs.heads) == 1 else side.merge, line)
        side.compare(line)

    @rule(who=st.integers(0, 1), back=st.booleans())
    def undo_or_redo(self, who: int, back: bool) -> None:
        side = self.sides[who]
        (side.undo if back else side.redo)(MAIN)
        side.compare(MAIN)

    # ---- what goes between

    @rule(who=st.integers(0, 1))
    def push(self, who: int) -> None:
        side = self.sides[who]
        ours = side.plain.refs.heads[MAIN]
        is_behind = self.head in side.plain._behind([ours], False)
        # What stands at the remote is known to be ahead of ours by who has seen it.
        if is_behind or (side.seen == self.head and ours in side.plain._behind([self.head], False)):
            push(side.repo, side.remote, "pets", "main")
            self.head = side.seen = ours if is_behind else self.head
        else:
            with pytest.raises(RefusedError, match="has commits at origin that are not here"):
                push(side.repo, side.remote, "pets", "main")
        assert self.far().dataset("pets").head == self.head
        side.forget()

    @rule(who=st.integers(0, 1))
    def pull(self, who: int) -> None:
        side = self.sides[who]
        side.take_in(self.head)
        side.forget()
        side.compare(MAIN)

    # ---- what takes things away

    @rule(who=st.integers(0, 1))
    def collect(self, who: int) -> None:
        side = self.sides[who]
        Collector(side.repo, keep=0, grace=0).run()
        side.forget()
        for line in side.plain.refs.heads:
            side.compare(line)

    @rule()
    def collect_there(self) -> None:
        Collector(self.far(), keep=0, grace=0).run()
        assert self.far().dataset("pets").head == self.head

    @rule(who=st.integers(0, 1), seed=st.integers(0, 1 << 16))
    def purge(self, who: int, seed: int) -> None:
        side = self.side(who, seed)
        keys = sorted(key for key in side.world(MAIN).inputs if key.decode() in FILES)
        if keys:
            key = side.choose(keys).decode()
            receipt = purge(side.repo, "pets", [key], "they asked", [side.remote], everywhere=True)
            self.purged |= {one.blob for one in receipt.doomed}
            (side.folder / key).unlink(missing_ok=True)
            side.forget()
            side.compare(MAIN)

    # ---- in the end

    def agree(self) -> None:
        """All that is staged is committed; all push and pull until nothing moves any more."""
        for side in self.sides:
            if MAIN in side.plain.refs.drafts:
                side.commit(MAIN)
        for who in (0, 1, 0, 1):
            self.pull(who)
            self.push(who)
        heads = {self.head, self.far().dataset("pets").head}
        heads |= {side.dataset(MAIN).head for side in self.sides}
        assert len(heads) == 1
        for side in self.sides:
            for line in side.plain.refs.heads:
                side.compare(line)
        behind = self.sides[0].plain._behind([self.head], False)
        wanted = {name for name, id in self.versions.items() if id in behind}
        for repository in (*(side.repo for side in self.sides), self.far()):
            repository.store.refresh()
            names = {version.name for version in repository.dataset("pets").versions()}
            assert names >= wanted and names <= self.versions.keys()
            self.require_studies(repository.dataset("pets"))
            assert [ref[2] for ref, _ in repository.view.list(BRANCH, "pets")][:1] == ["main"]
            self.require_media(repository)
            assert repository.check().damage == ()

    def require_studies(self, dataset: Dataset) -> None:
        """All runs and evaluations are there but such as were taken away, each with its versions and its files."""
        here = {entry.id: entry for entry in (*dataset.runs(), *dataset.evaluations())}
        assert self.entered.keys() - self.dropped <= here.keys() <= self.entered.keys()
        versions = {version.name: version.version.commit for version in dataset.versions(auto=True)}
        named = {name for entry in here.values() for name in versions_in(entry.record)}
        assert versions.keys() == named
        for id, entry in here.items():
            assert entry.kind == self.entered[id]
            assert set(entry.of) == {versions[name] for name in versions_in(entry.record)}
            assert all(b"".join(read_file(dataset, entry, file.key)) for file in entry_files(dataset, entry))

    def require_media(self, repository: Repository) -> None:
        """All media is there but what was purged, of which there are tombstones."""
        for record in repository.dataset("pets", "main").at("pets:main").inputs():
            if record.media is not None and record.media.blob is not None:
                blob = record.media.blob
                assert repository.store.has(blob) == (blob not in self.purged), blob
        assert set(tombstones(repository.view)) >= self.purged


def test_two_clones_and_a_remote() -> None:
    quick = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize="DSVC_EXAMPLES" not in os.environ,
        database=None,
    )
    run_state_machine_as_test(Team, settings=quick)
