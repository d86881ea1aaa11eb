"""Collections while others write: whoever is suspended, wherever and for however long, nothing that is reached goes.

A tenth of all places is tried unless DSVC_COLLECTION_SHARE says more (1 is all), and so many rounds of two threads
that take turns at random as DSVC_COLLECTION_ROUNDS says.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from collections_at_work import SHARE, DeathError, World, commit, put, stage

from dsvc.core.operations import operations, undo
from dsvc.errors import NotFoundError, RefusedError
from dsvc.model.view import BRANCH, View
from dsvc.store.head import HeadMovedError

ROUNDS = int(os.environ.get("DSVC_COLLECTION_ROUNDS", "20"))
GRACE = 1000


# ---- what is done meanwhile: each works on a world that `prepare` made


def prepare(world: World) -> None:
    """Commits, things that nothing reaches any more, and an operation that would bring some of them back."""
    for number in range(6):
        commit(world.pets(), f"{number}", f"and {number}")
    stage(world.pets(), "dropped", "dropped too")
    world.pets().discard()
    pets = world.pets()
    pets.create_branch("gone")
    world.repository().dataset("pets", "gone").annotate("0", text="gone")
    world.repository().dataset("pets", "gone").commit("gone")
    world.pets().delete_branch("gone", force=True)
    world.clock.now += 10 * GRACE


def add_new(world: World) -> None:
    commit(world.pets(), "new")


def add_what_was_dropped(world: World) -> None:
    """Media and nodes that are stored, and that nothing reaches: the transaction finds them there."""
    commit(world.pets(), "dropped", "dropped too")


def annotate(world: World) -> None:
    world.pets().annotate("3", text="new")


def take_away(world: World) -> None:
    world.pets().remove("2")


def undo_the_last(world: World) -> None:
    undo(world.repository())


def branch_from_a_commit_that_nothing_reaches(world: World) -> None:
    repository = world.repository()
    gone = next((o.operation for o in operations(repository) if o.operation.command == "commit -m gone"), None)
    if gone is None:
        raise NotFoundError("it was collected")
    ref = View(repository.store, gone.view).get(BRANCH, "pets", "gone")
    repository.change("back", lambda refs: refs.set((BRANCH, "pets", "back"), ref))


def sleep_in_the_middle(world: World) -> None:
    """A writer that finishes packs and then sleeps past the grace before it publishes."""
    dataset = world.pets()
    with dataset.edit() as draft:
        put(draft, "slow", "slower")
        draft.transaction.writer._staging.finish()  # as a full pack is, long before the end
        world.clock.now += 3 * GRACE
        put(draft, "slowest")


WORKS = (
    add_new,
    add_what_was_dropped,
    annotate,
    take_away,
    undo_the_last,
    branch_from_a_commit_that_nothing_reaches,
    sleep_in_the_middle,
)


@pytest.fixture
def prepared(world: World) -> World:
    prepare(world)
    return world


def is_sound(world: World, before: list[str]) -> bool:
    """Whether all is whole and readable, and what was committed before is there, but for what is taken away."""
    assert world.is_whole()
    world.blobs()
    assert [sample.key for sample in world.pets().draft()]
    assert set(before) - {"2"} <= set(world.keys()), (before, world.keys())
    return True


def tried(count: int) -> Iterator[int]:
    """Some of the numbers from 1, evenly, but each time others."""
    chosen = max(1, round(count * SHARE))
    start = random.randrange(max(1, count // chosen))
    return (1 + (start + at * count // chosen) % count for at in range(chosen))


def attempt(work: Callable[[], object]) -> str | None:
    """Do some work, which may be refused; why."""
    try:
        work()
    except (RefusedError, NotFoundError, HeadMovedError) as error:
        return error.message
    return None


@pytest.mark.parametrize("sleeps", [0, 3 * GRACE], ids=["at once", "past the grace"])
@pytest.mark.parametrize("grace", [0, GRACE])
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_writer_is_suspended_anywhere_while_all_is_collected(
    prepared: World, work: Callable[[World], None], grace: int, sleeps: int
) -> None:
    world, image, now = prepared, prepared.place.image(), prepared.clock.now
    before = world.keys()
    with world.place.at(0, lambda: None) as calls:
        work(world)
    done = 0

    def collect() -> None:
        nonlocal done
        world.clock.now += sleeps
        world.collect(keep=0, grace=grace)
        world.collect(keep=0, grace=grace)
        done += 1

    for number in tried(len(calls)):
        world.place.set(image)
        world.clock.now = now
        with world.place.at(number, collect):
            refused = attempt(lambda: work(world))
        assert is_sound(world, before), (number, calls[number - 1], refused)
        world.collect(keep=0, grace=0)
        assert is_sound(world, before), (number, calls[number - 1], refused)
        if refused is None and work in (add_new, add_what_was_dropped):
            assert len(world.keys()) > len(before)
    assert done


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_collection_is_suspended_anywhere_while_others_write(prepared: World, work: Callable[[World], None]) -> None:
    world, image, now = prepared, prepared.place.image(), prepared.clock.now
    before = world.keys()
    with world.place.at(0, lambda: None) as calls:
        world.collect(keep=0, grace=0)
    for number in tried(len(calls)):
        world.place.set(image)
        world.clock.now = now
        refused: list[str | None] = []

        def write(refused: list[str | None] = refused) -> None:
            refused.append(attempt(lambda: work(world)))
            commit(world.pets(), f"beside {world.clock.now}")

        with world.place.at(number, write):
            world.collect(keep=0, grace=0)
        assert refused and is_sound(world, before), (number, calls[number - 1], refused)
        found = world.keys()
        assert any(key.startswith("beside") for key in found)
        if refused == [None] and work is add_new:
            assert "new" in found


def test_two_collections_at_once(prepared: World) -> None:
    world, image = prepared, prepared.place.image()
    before = world.keys()
    with world.place.at(0, lambda: None) as calls:
        world.collect(keep=0, grace=0)
    for number in tried(len(calls)):
        for keep in (0, 100 * GRACE):
            world.place.set(image)
            with world.place.at(number, lambda: world.collect(keep=0, grace=0)):
                world.collect(keep=keep, grace=0)
            assert is_sound(world, before), (number, calls[number - 1])


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "fails"])
def test_a_collection_that_ends_anywhere_leaves_the_old_state_or_the_new_one(prepared: World, dies: bool) -> None:
    """Before each of its calls in turn; and the next collection takes what it left over."""
    world, image = prepared, prepared.place.image()
    before = world.keys()
    with world.place.at(0, lambda: None) as calls:
        world.collect(keep=0, grace=0)
    least = len(world.place.names())
    new = world.repository().store.state.catalog.manifest.segments[0].rows
    for number in range(1, len(calls) + 1):
        world.place.set(image)
        if dies:
            with world.place.dying(number), pytest.raises(DeathError):
                world.collect(keep=0, grace=0)
        else:
            with world.place.at(number, fail):
                attempt(lambda: world.collect(keep=0, grace=0))
        assert is_sound(world, before), (number, calls[number - 1])
        rows = sum(info.rows for info in world.repository().store.state.catalog.manifest.segments)
        assert (rows == new) == (world.place.head != image["head"])
        world.collect(keep=0, grace=0)
        assert is_sound(world, before) and len(world.place.names()) <= least
        assert not [name for name in world.place.names() if name.startswith("tmp/")]


def fail() -> None:
    raise RefusedError("the disk is full")


# ---- two threads that take turns at random


class Turns:
    """Lets one of several threads at a time do one call of the place, chosen at random."""

    def __init__(self, seed: int, clock: Any) -> None:
        self._random = random.Random(seed)
        self._clock = clock
        self._waiting: dict[int, threading.Event] = {}
        self._lock = threading.Lock()
        self._alive = 0
        self._local = threading.local()

    def before(self, name: str) -> None:
        """Wait for a turn, if this thread is one of those that take turns."""
        if not getattr(self._local, "takes_part", False):
            return
        mine = threading.Event()
        with self._lock:
            self._waiting[threading.get_ident()] = mine
            self._pass_on()
        mine.wait(20)

    def _pass_on(self) -> None:
        if self._waiting and len(self._waiting) == self._alive:
            if self._random.random() < 0.03:
                self._clock.now += self._random.choice([GRACE / 4, GRACE, 3 * GRACE])
            self._waiting.pop(self._random.choice(sorted(self._waiting))).set()

    def run(self, *works: Callable[[], object]) -> list[BaseException | None]:
        """Do all in threads that take turns; what each raised."""
        raised: list[BaseException | None] = [None] * len(works)
        self._alive = len(works)

        def one(at: int) -> None:
            self._local.takes_part = True
            try:
                works[at]()
            except BaseException as error:
                raised[at] = error
            finally:
                with self._lock:
                    self._alive -= 1
                    self._pass_on()

        threads = [threading.Thread(target=one, args=(at,)) for at in range(len(works))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        return raised


def test_writers_and_collections_that_take_turns_at_random(prepared: World) -> None:
    world, image, now = prepared, prepared.place.image(), prepared.clock.now
    # The lock is no help: no two machines share one.
    world.place.turn = _no_turn  # type: ignore[method-assign]
    before = world.keys()
    for number in range(ROUNDS):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        world.place.set(image)
        world.clock.now = now
        turns = Turns(seed, world.clock)
        world.place.before = turns.before
        done: list[str] = []

        def write(name: str, works: list[Callable[[World], None]], done: list[str] = done) -> None:
            for at, work in enumerate(works):
                attempt(lambda work=work: work(world))  # type: ignore[misc]
                key = f"{name} {at}"
                if attempt(lambda key=key: commit(world.pets(), key)) is None:  # type: ignore[misc]
                    done.append(key)

        def collect(rng: random.Random = rng) -> None:
            for _ in range(3):
                attempt(lambda: world.collect(keep=0, grace=rng.choice([0, GRACE])))

        chosen = [rng.sample([work for work in WORKS if work is not undo_the_last], 2) for _ in range(2)]
        writers = [partial(write, name, works) for name, works in zip(("one", "two"), chosen, strict=True)]
        try:
            raised = turns.run(*writers, collect)
        finally:
            world.place.before = None
        assert raised == [None] * 3, (seed, raised)
        assert is_sound(world, before), seed
        assert set(done) <= set(world.keys()), (seed, number)


def _no_turn() -> Any:
    from contextlib import nullcontext

    return nullcontext()
