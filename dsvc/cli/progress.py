"""Progress of long work: a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dsvc.cli.render import size
from dsvc.model.incoming import IN_BYTES

if TYPE_CHECKING:
    from dsvc.core.state import State

Report = Callable[[str, int, int | None], None]
# The bars that are shown at present.
_shown: list[Any] = []


@contextmanager
def progress() -> Iterator[Report | None]:
    """What to hand to long work as its `progress`; None where nobody watches."""
    bars: Any = _bars() if sys.stderr.isatty() else None
    if bars is None:
        yield None
        return
    tasks: dict[str, Any] = {}

    def report(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total, in_bytes=what in IN_BYTES)
        bars.update(tasks[what], completed=done, total=total)

    with bars:
        _shown.append(bars)
        try:
            yield report
        finally:
            _shown.remove(bars)


@contextmanager
def paused() -> Iterator[None]:
    """Take the bars off the terminal meanwhile, for a question."""
    for bars in _shown:
        bars.stop()
    yield
    for bars in _shown:
        bars.start()


def _bars() -> Any:
    """The bars of rich, which vanish when they are done; None without rich."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        return None

    class Amount(ProgressColumn):
        """How much is done, and of what moves in bytes how fast, and how long the rest takes."""

        def render(self, task: Any) -> Any:
            from rich.text import Text

            return Text(_amount(task) if task.fields["in_bytes"] else _count(task))

    columns = (TextColumn("{task.description}"), BarColumn(), Amount(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _count(task: Any) -> str:
    return f"{int(task.completed):,}/{'?' if task.total is None else format(int(task.total), ',')}"


def _amount(task: Any) -> str:
    """Such as `12.3 MB of 1.2 GB, 35.0 MB/s, 0:34 left`."""
    parts = [size(int(task.completed)) + (f" of {size(int(task.total))}" if task.total is not None else "")]
    speed = task.finished_speed or task.speed
    if speed:
        parts.append(f"{size(int(speed))}/s")
    if task.total is not None and task.time_remaining is not None:
        minutes, seconds = divmod(int(task.time_remaining), 60)
        parts.append(f"{minutes}:{seconds:02} left")
    return ", ".join(parts)


def watched(state: State, report: Report | None) -> State:
    """The same state, which reports how far walks over its samples have come."""
    if report is None:
        return state
    tell = report
    from dsvc.core.state import State
    from dsvc.model.walk import Sample

    class Watched(State):
        def samples(self) -> Iterator[Sample]:
            total = len(self)
            for done, sample in enumerate(super().samples()):
                if done % 256 == 0:
                    tell("read inputs", done, total)
                yield sample

    return Watched(state.repository, state.snapshot.roots, state.revision)
