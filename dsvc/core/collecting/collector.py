"""Collecting: what no ref and no operation that is young enough reaches goes, and what is left lies in few files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dsvc.core.collecting.age import DAY
from dsvc.core.collecting.marking import Marker
from dsvc.core.collecting.plan import Plan, summarize
from dsvc.errors import DamagedError, RefusedError
from dsvc.model.view import TOMBSTONE, Operation, Ref, View, load_operation
from dsvc.store.bulk import NEAR
from dsvc.store.fates import Fates, choose, decide
from dsvc.store.head import HeadMovedError
from dsvc.store.ids import Kind, ObjectId
from dsvc.store.index import segment_name
from dsvc.store.manifest import Collected, manifest_name
from dsvc.store.sweep import Sweep, Swept
from dsvc.store.table import as_ids

if TYPE_CHECKING:
    from dsvc.core.repository import Repository
    from dsvc.model.incoming import Progress
    from dsvc.store.catalog import State
    from dsvc.store.table import Array, Table

T = TypeVar("T")

KEEP = 30 * DAY
GRACE = DAY
REMOTE_GRACE = 14 * DAY
NEAR_REMOTE = 1 << 20  # bytes: where each request costs, more is read over
_TRIES = 20
_ALONE = 2  # tries, after which other local writers are held off


class Outcome(NamedTuple):
    """What a collection did: what it had planned by then, and what became of the files; None where all was in order
    as it was."""

    plan: Plan
    swept: Swept | None


class Decision(NamedTuple):
    """What is to be done to a state, and what to tell of it."""

    plan: Plan
    state: State
    table: Table
    fates: Fates
    collected: Collected
    leftovers: Mapping[str, int]

    @property
    def is_idle(self) -> bool:
        """Whether all is in order as it is."""
        manifest = self.state.catalog.manifest
        return (
            bool(self.fates.kept.all())
            and not self.fates.move.any()
            and not self.fates.go.any()
            and not self.leftovers
            and len(manifest.segments) <= 1
            and manifest.collected.oldest == self.collected.oldest
        )


class Collector:
    """A collection of one repository. Operations younger than `keep` seconds stay with all that they reach, and files
    that nothing lists, and objects that nothing reaches, until they are `grace` seconds old."""

    def __init__(
        self,
        repository: Repository,
        *,
        keep: int = KEEP,
        grace: int = GRACE,
        is_far: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """`is_far` says that every request to the repository's place takes long."""
        self._repository = repository
        self._store = repository.store
        self._keep = keep
        self._grace = grace
        self._near = NEAR_REMOTE if is_far else NEAR
        self._progress = progress
        self._begin()

    def _begin(self) -> None:
        backend = self._store.backend
        # First of all: what is left over by now can be listed by no writer that begins after the head is swapped.
        self._files = {info.name: info for info in backend.files()}
        self._clock = backend.clock()
        self._store.refresh()
        self._count = self._store.state.catalog.manifest.collected.count
        self._marker = Marker(self._store, self._near, self._progress)
        self._sweep = Sweep(self._store, self._near, self._progress)

    # ---- looking

    def look(self, without: frozenset[Ref] = frozenset()) -> Plan:
        """What would go now, and without these refs where no other operation is kept. Raises DamagedError where an
        object on the way cannot be read."""
        return self._steadily(lambda: self._decide(without).plan)

    def _steadily(self, work: Callable[[], T]) -> T:
        """Do some work; anew from the beginning where another collection came in between."""
        for _ in range(_TRIES):
            try:
                return work()
            except (DamagedError, HeadMovedError):
                self._store.refresh()
                if self._store.state.catalog.manifest.collected.count == self._count:
                    raise
            self._sweep.give_up()
            self._begin()
        raise RefusedError("others collect this repository all the time", "run it again later; nothing was changed")

    def _decide(self, without: frozenset[Ref] = frozenset()) -> Decision:
        """Mark what is kept, as of the last head, and decide the fates of all else."""
        marker = self._marker
        while True:
            state = marker.state
            if state.catalog.manifest.collected.count != self._count:
                raise HeadMovedError("another collection came first")
            assert state.head is not None
            head = state.head.operation
            kept, oldest = self._kept_operations(head)
            marker.keep_operations(kept)
            marker.keep_empty_tree()
            unseen = without if len(kept) == 1 else frozenset[Ref]()
            marker.keep_views([operation.view for operation in kept.values()], unseen)
            banned = self._banned(kept[head])
            self._keep_young(banned)
            if marker.state is state:  # else files went since others wrote meanwhile: what they wrote is to be marked
                break
        table, scope = marker.table, self._sweep.scope(state)
        fates = decide(table, choose(self._store.backend, table, marker.live), self._fixed(), banned, scope)
        leftovers = self._leftovers(state)
        plan = summarize(table, fates, (marker.live, marker.reached), banned, leftovers, len(kept))
        return Decision(plan, state, table, fates, Collected(self._count + 1, self._grace, oldest), leftovers)

    def _kept_operations(self, head: ObjectId) -> tuple[dict[ObjectId, Operation], ObjectId | None]:
        """The operations that stay, the last first, and which of them is the oldest, where others were before it.

        The last one before `keep` began stays too, since undoing the next one needs what was before that.
        """
        end = self._marker.state.catalog.manifest.collected.oldest
        # Of two clocks the one that is behind: who trusts one that is ahead takes too much.
        now = min(self._repository.now().seconds, self._clock)
        kept: dict[ObjectId, Operation] = {}
        id: ObjectId | None = head
        while id is not None:
            operation = kept[id] = load_operation(self._marker, id)
            if id == end:
                return kept, end
            is_last = self._keep == 0 or operation.time.seconds < now - self._keep
            if is_last and operation.parents:
                return kept, id
            id = operation.parents[0] if operation.parents else None
        return kept, None

    def _banned(self, operation: Operation) -> Array:
        """Which rows are of media that a tombstone names."""
        import numpy as np

        table = self._marker.table
        view = View(self._store, operation.view, self._repository.cache)
        blobs = b"".join(bytes.fromhex(ref[1]) for ref, _ in view.list(TOMBSTONE) if _is_id(ref[1]))
        return np.isin(table.ids, as_ids(blobs)) & (table.rows["kind"] == Kind.BLOB)

    def _young(self) -> Array:
        """Which packs are younger than the grace. So is one that was not there when the files were listed."""
        import numpy as np

        young = [
            (info := self._files.get(pack.name)) is None or self._clock - info.modified < self._grace
            for pack in self._marker.table.packs
        ]
        return np.array(young, bool)

    def _keep_young(self, banned: Array) -> None:
        import numpy as np

        marker, table = self._marker, self._marker.table
        young = self._young()[table.rows["pack"].astype(np.int64)] if len(table) else np.zeros(0, bool)
        marker.keep_rows(np.flatnonzero(young & table.is_first & ~marker.live & ~banned))

    def _fixed(self) -> Array:
        """Which packs hold what stays but for the grace. They are left as they are: in a new pack it would be young
        again, and so for ever."""
        import numpy as np

        marker, table = self._marker, self._marker.table
        spared = table.rows["pack"][marker.live & ~marker.reached].astype(np.int64)
        return np.bincount(spared, minlength=len(table.packs)) > 0

    def _leftovers(self, state: State) -> dict[str, int]:
        """The files that nothing lists, and that are as old as the grace, with their sizes."""
        assert state.head is not None
        listed = {manifest_name(state.head.manifest), *(pack.name for pack in self._marker.table.packs)}
        listed |= {segment_name(info.id) for info in state.catalog.manifest.segments}
        old = (info for info in self._files.values() if self._clock - info.modified >= self._grace)
        return {info.name: info.size for info in old if info.name not in listed}

    # ---- doing

    def run(self) -> Outcome:
        """Collect. Raises RefusedError where others write all the time, and DamagedError where an object on the way
        cannot be read; then nothing was changed."""
        return self._steadily(self._run)

    def _run(self) -> Outcome:
        for number in range(_TRIES):
            # Who lost some races holds off other local writers for the next try.
            with self._store.backend.turn() if number >= _ALONE else nullcontext():
                decision = self._decide()
                if decision.is_idle:
                    return Outcome(decision.plan, None)
                try:
                    swept = self._sweep.run(
                        decision.state, decision.table, decision.fates, decision.collected, decision.leftovers
                    )
                    return Outcome(decision.plan, swept)
                except HeadMovedError:
                    self._marker.follow()
                except BaseException:
                    self._sweep.give_up()
                    raise
        self._sweep.give_up()
        raise RefusedError("others write all the time", "run it again later; nothing was changed")


def _is_id(text: str) -> bool:
    return len(text) == 2 * ObjectId.SIZE and not set(text) - set("0123456789abcdef")
