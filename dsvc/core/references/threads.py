"""Waiting side by side: slow places are asked several at a time, and the answers come in the order of the questions."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")
THREADS = 8


def side_by_side(work: Callable[[T], R], items: Iterable[T], batch: int = 1) -> Iterator[R]:
    """What `work` gives for each item, in order, done in threads, `batch` items at a time in each.

    At most three batches a thread are under way or wait to be taken. Raises what `work` raises, where its turn comes.
    An end before the last item leaves threads behind that end by themselves, after the item that each is at.
    """
    from concurrent.futures import ThreadPoolExecutor

    stopped = False

    def some(chunk: list[T]) -> list[R]:
        return [work(item) for item in chunk if not stopped]

    rest = iter(items)
    ahead: deque[Future[list[R]]] = deque()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dsvc-wait")
    try:
        while chunk := list(itertools.islice(rest, batch)):
            ahead.append(pool.submit(some, chunk))
            if len(ahead) >= 3 * THREADS:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    finally:
        stopped = True
        # Not waited for: whoever interrupts a run does not want to wait for a server's time limit.
        pool.shutdown(wait=False, cancel_futures=True)
