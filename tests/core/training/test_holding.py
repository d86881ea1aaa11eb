"""What is held out: a split, or what a hash of the keys chooses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import picture

from dsvc.core.dataset import Dataset
from dsvc.core.training.classified import Picture
from dsvc.core.training.holding import hold_out
from dsvc.errors import RefusedError, UsageError


def pictures(*splits: str | None) -> list[Picture]:
    return [Picture(f"{at}.png", None, at, 1, split) for at, split in enumerate(splits)]


def held(splits: tuple[str | None, ...], holdout: str | None = None, seed: int = 0) -> tuple[list[str], str]:
    """The keys of what is held out, and the rule."""
    given = pictures(*splits)
    train, test, rule = hold_out(given, holdout, seed)
    assert sorted((*train, *test)) == sorted(given)
    return [one.key for one in test], rule


@pytest.mark.parametrize(
    ("splits", "holdout", "test", "rule"),
    [
        (("train", "test", "val", None), None, ["1.png"], "split test"),
        (("train", "val", None), None, ["1.png"], "split val"),
        (("train", "test", "val"), "val", ["2.png"], "split val"),
        (("train", "dev"), "dev", ["1.png"], "split dev"),
        (("train", "20"), "20", ["1.png"], "split 20"),
    ],
)
def test_a_split_is_held_out(splits: tuple[str | None, ...], holdout: str | None, test: list[str], rule: str) -> None:
    assert held(splits, holdout) == (test, rule)


def test_without_splits_a_fifth_is_held_out() -> None:
    keys, rule = held((None,) * 1000)
    assert 160 < len(keys) < 240
    assert rule == "20 % by a hash of the keys, seed 0, since no picture has a split"
    assert held((None,) * 1000, seed=1)[0] != keys
    assert held((None,) * 2000)[0][: len(keys)] == keys  # more pictures move none


def test_a_percentage_is_chosen_whatever_the_splits(pets: Dataset, write: Callable[..., Path]) -> None:
    keys, rule = held(("train", "test") * 100, "30", seed=7)
    assert rule == "30 % by a hash of the keys, seed 7"
    files = [write(picture(color=at), f"project/{at}.png") for at in range(200)]
    with pets.edit() as draft:
        draft.add(*files)
    pets.split("train=70,test=30", seed=7)
    assert sorted(one.key for one in pets.draft().inputs() if one.split == "test") == sorted(keys)


def test_nothing_is_held_out() -> None:
    with pytest.raises(RefusedError, match=r"nothing is held out: .* there are dev \(1\), train \(2\)") as error:
        hold_out(pictures("train", "train", "dev", None))
    assert error.value.hint == "dsvc split --ratio train=80,test=20, or let a hash choose: --holdout 20"


@pytest.mark.parametrize(
    ("splits", "holdout", "message"),
    [
        (("test", "test"), None, r"no picture is left to learn from \(split test\)"),
        ((None,), None, "no picture is held out|no picture is left"),
    ],
)
def test_a_part_is_empty(splits: tuple[str | None, ...], holdout: str | None, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        hold_out(pictures(*splits), holdout)


@pytest.mark.parametrize("holdout", ["dev", "0", "100", "", "-1", "1.5", "20%"])
def test_no_such_split(holdout: str) -> None:
    with pytest.raises(UsageError, match=rf"no picture has the split {holdout!r}: there are test \(1\), train \(1\)"):
        hold_out(pictures("train", "test"), holdout)
