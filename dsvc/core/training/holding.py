"""What is held out of training, to see afterwards what was learned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dsvc.core.keys import display
from dsvc.core.splitting import SplitRule
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.training.classified import Picture

USUAL = 20  # percent, where no picture has a split
_PERCENT = re.compile(r"[1-9][0-9]?")
_SPLITS = ("test", "val")  # the first that is there is held out
_HINT = "dsvc split --ratio train=80,test=20, or let a hash choose: --holdout 20"


class Parts(NamedTuple):
    """The pictures to learn from, those that are held out, and the rule in words."""

    train: list[Picture]
    test: list[Picture]
    rule: str


def hold_out(pictures: Sequence[Picture], holdout: str | None = None, seed: int = 0) -> Parts:
    """Part pictures: `holdout` is the name of the split that is held out, or a percentage from 1 to 99.

    A percentage is chosen as `dsvc split --by key --seed SEED` does. None: the split test, else val; 20 % where no
    picture has a split. Raises RefusedError where a part is empty, UsageError for a split that is not there.
    """
    splits = Counter(one.split for one in pictures if one.split is not None)
    if holdout is None:
        holdout = next((name for name in _SPLITS if name in splits), None)
        if holdout is None and splits:
            raise RefusedError(f"nothing is held out: no picture has the split test or val, {_listed(splits)}", _HINT)
        holdout = holdout or str(USUAL)
    if holdout in splits:
        are_out = [one.split == holdout for one in pictures]
        rule = f"split {display(holdout)}"
    elif _PERCENT.fullmatch(holdout):
        are_out = _by_hash([one.key for one in pictures], int(holdout), seed)
        rule = f"{holdout} % by a hash of the keys, seed {seed}" + ("" if splits else ", since no picture has a split")
    else:
        raise UsageError(f"no picture has the split {holdout!r}: {_listed(splits)}", "--holdout SPLIT, or PERCENT")
    train = [one for one, is_out in zip(pictures, are_out, strict=True) if not is_out]
    test = [one for one, is_out in zip(pictures, are_out, strict=True) if is_out]
    if not train or not test:
        raise RefusedError(f"no picture is {'held out' if train else 'left to learn from'} ({rule})", _HINT)
    return Parts(train, test, rule)


def _by_hash(keys: Iterable[str], percent: int, seed: int) -> list[bool]:
    rule = SplitRule(parts=(("train", 100 - percent), ("test", percent)), seed=seed)
    return [rule.part_of(key.encode()) == "test" for key in keys]


def _listed(splits: Counter[str]) -> str:
    """The splits that there are, in words."""
    if not splits:
        return "none has a split"
    return "there are " + ", ".join(f"{display(name)} ({count:,})" for name, count in sorted(splits.items()))
