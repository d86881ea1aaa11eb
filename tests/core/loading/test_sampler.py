"""Samplers: shared among ranks, epoch by epoch, and gone on with where a run stopped."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsvc.core.loading.sampler import Sampler
from dsvc.errors import RefusedError, UsageError

COUNTS, WORLDS = st.integers(0, 300), st.integers(1, 9)


def together(*ranks: Sampler) -> list[int]:
    """What all ranks read, step by step."""
    return [index for step in zip(*ranks, strict=True) for index in step]


def world(count: int, size: int, **options: Any) -> list[Sampler]:
    return [Sampler(count, rank=rank, world_size=size, **options) for rank in range(size)]


@given(COUNTS, WORLDS, st.booleans())
def test_ranks_share_each_index(count: int, size: int, shuffle: bool) -> None:
    ranks = world(count, size, seed=3, shuffle=shuffle)
    read = together(*ranks)
    alone = list(Sampler(count, seed=3, shuffle=shuffle))
    assert sorted(alone) == list(range(count))
    assert read[:count] == alone
    assert len(read) - count < size and read[count:] == (alone * size)[: len(read) - count]
    assert {len(rank) for rank in ranks} == {len(read) // size}


@given(COUNTS, WORLDS)
def test_the_rest_may_be_left_out(count: int, size: int) -> None:
    ranks = world(count, size, seed=3, drop_last=True)
    read = together(*ranks)
    assert read == list(Sampler(count, seed=3))[: count - count % size]
    assert {len(rank) for rank in ranks} == {count // size}


def test_each_iteration_is_the_next_epoch() -> None:
    sampler = Sampler(50, seed=1)
    first, second = list(sampler), list(sampler)
    assert first != second and sampler.epoch == 1
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(Sampler(50, seed=1, epoch=1)) == second


def test_no_shuffle_is_the_order_of_keys() -> None:
    assert list(Sampler(5, shuffle=False)) == [0, 1, 2, 3, 4]


@given(COUNTS, WORLDS, st.integers(0, 40), st.booleans())
def test_what_is_resumed_goes_on_as_if_nothing_had_been(count: int, size: int, steps: int, drop_last: bool) -> None:
    whole = [list(rank) for rank in world(count, size, seed=5, epoch=2, drop_last=drop_last)]
    steps = min(steps, len(whole[0]))
    stopped = world(count, size, seed=5, epoch=2, drop_last=drop_last)
    for rank in stopped:
        list(rank)  # workers read ahead
        rank.done += steps
    gone_on = world(count, size, seed=99, drop_last=drop_last)
    for rank in gone_on:
        rank.load_state_dict(stopped[-1].state_dict())
        assert rank.epoch == 2
        rank.set_epoch(2)  # as a loop over epochs does
    assert [list(rank) for rank in gone_on] == [indices[steps:] for indices in whole]
    assert [list(rank) for rank in gone_on] == [
        list(rank) for rank in world(count, size, seed=5, epoch=3, drop_last=drop_last)
    ]


def test_another_number_of_ranks_may_go_on() -> None:
    stopped = world(100, 4, seed=5)
    for rank in stopped:
        list(rank)
        rank.done += 10
    gone_on = world(100, 3, seed=5)
    for rank in gone_on:
        rank.load_state_dict(stopped[0].state_dict())
    assert together(*gone_on) == list(Sampler(100, seed=5))[40:]


def test_a_run_is_stopped_twice() -> None:
    whole = list(Sampler(30, seed=5))
    once = Sampler(30, seed=5)
    once.resume(7)
    assert list(once) == whole[7:]
    once.done += 5
    twice = Sampler(30)
    twice.load_state_dict(once.state_dict())
    assert list(twice) == whole[12:]


def test_a_state_of_other_data_is_refused() -> None:
    state = Sampler(30, data="a").state_dict()
    with pytest.raises(RefusedError, match="30 inputs, and here are 31"):
        Sampler(31, data="a").load_state_dict(state)
    with pytest.raises(RefusedError, match="not the same ones"):
        Sampler(30, data="b").load_state_dict(state)


@pytest.mark.parametrize("change", [{"used": -1}, {"seed": "1"}, {"epoch": None}, {"count": 3.0}, {"shuffle": 1}])
def test_what_is_no_state_is_refused(change: dict[str, Any]) -> None:
    sampler = Sampler(30)
    with pytest.raises(UsageError):
        sampler.load_state_dict({**sampler.state_dict(), **change})
    assert list(sampler) == list(Sampler(30))


@pytest.mark.parametrize(
    "options", [{"rank": 2, "world_size": 2}, {"rank": -1}, {"world_size": 0}, {"seed": 1.5}, {"epoch": -1}]
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Sampler(10, **options)
