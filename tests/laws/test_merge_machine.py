"""Long walks over a real repository, with a plain model of all its lines beside it: after every step both agree.

Three datasets of several branches are edited, committed, merged (whole, filtered, left in the draft), settled and
undone. The walks are chosen by fixed seeds, so a run says the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from plain import EXISTS, NO, SHAPE, YES, Path as Field, Record, World, apart, dangling, differences, merge, owner
from plain import path_of, roots_of, values
from plain_lines import EMPTY, Id, Line, Lines, PlainCommit, PlainDraft, count_conflicts
from worlds import DictStore

import dsvc
from dsvc.core.dataset import Dataset
from dsvc.errors import RefusedError
from dsvc.model.clashes import plain_value
from dsvc.model.commit import Author, Moment
from dsvc.model.numbers import pack_numbers
from dsvc.model.records import Annotation, Media, Shape, annotation_fields, content_id, encode_annotation
from dsvc.store import codec

KEYS = ("a.jpg", "b.jpg", "c.jpg")
CONCEPTS = ("cat", "dog")
DATASETS = ("pets", "more", "other")
BRANCHES = ("main", "side", "third")
SEEDS, STEPS, CONFLICTING = range(6), 200, 50
WHERE: dict[str, Callable[[bytes, Record], bool]] = {
    "key = 'a.jpg'": lambda key, record: key == b"a.jpg",
    "key in ('b.jpg', 'c.jpg')": lambda key, record: key in (b"b.jpg", b"c.jpg"),
    "split = 'train'": lambda key, record: record.get(("split",)) == values("train"),
}


class Walk:
    """One repository and its model."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.repo = dsvc.init(folder, author=Author("Ada"))
        seconds = count(1_700_000_000)
        self.repo.now = lambda: Moment(next(seconds))
        self.plain = Lines()
        self.done: list[Any] = []
        self.undone: list[Any] = []
        self.conflicting = 0
        for name in DATASETS:
            self.repo.create(name)
            self.dataset((name, "main")).annotate_first = None  # type: ignore[attr-defined]
