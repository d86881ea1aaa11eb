"""States as streams for Hugging Face's `datasets`: examples that are made as they are asked for, in several parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dsvc.core.loading.entries import Entries, choose
from dsvc.core.loading.extras import require
from dsvc.core.loading.marks import Marks, make_marks
from dsvc.core.loading.source import Source
from dsvc.core.loading.targets import Classes, pick_label
from dsvc.errors import UsageError

if TYPE_CHECKING:
    from dsvc.core.state import State

_AHEAD = 64  # inputs whose media is announced at once


class Examples:
    """The examples of some inputs, in whatever process this is."""

    def __init__(self, source: Source, entries: Entries, marks: Marks) -> None:
        self._source, self._entries, self._marks = source, entries, marks
        self.are_images = all(entries.is_image(at) for at in range(len(entries)))

    def read(self, begin: int, end: int) -> Iterator[dict[str, Any]]:
        """Those from one index to before another."""
        for at in range(begin, end):
            if (at - begin) % _AHEAD == 0:
                self._source.announce(self._entries, range(at, min(at + _AHEAD, end)))
            yield self._example(at)

    def _example(self, at: int) -> dict[str, Any]:
        entries, marks, key = self._entries, self._marks, self._entries.key(at)
        data, size, label = self._source.read(entries, at), entries.pixels(at), pick_label(marks.weights(at))
        media = {"image": {"bytes": data, "path": key}}
        return {
            "key": key,
            **(media if self.are_images else {"bytes": data, "type": entries.type(at)}),
            "label": label if label >= 0 else None,
            "objects": {
                "bbox": marks.boxes(at, size, key).tolist(),
                "category": marks.labels(at).tolist(),
                "area": marks.areas(at, size, key).tolist(),
                "iscrowd": [bool(crowd) for crowd in marks.crowds(at)],
            },
        }


def generate(examples: Examples, parts: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """The examples of some parts, which `datasets` shares among its processes."""
    for begin, end in parts:
        yield from examples.read(begin, end)


def stream(
    state: State,
    split: str | Iterable[str] | None,
    where: str | None,
    classes: Sequence[str] | None,
    shards: int,
) -> Any:
    """What `State.to_huggingface` gives."""
    datasets = require("datasets", "to_huggingface", "huggingface")
    if type(shards) is not int or shards < 1:
        raise UsageError(f"there is at least one shard, not {shards!r}")
    entries = choose(state.snapshot, split=split, where=where)
    entries.require_media()
    names = Classes(state.concepts(), classes)
    source = Source(state)
    source.locate(entries)
    examples = Examples(source, entries, make_marks(state.snapshot, entries, names))
    count = min(shards, max(1, len(entries)))
    ends = [len(entries) * at // count for at in range(count + 1)]
    return datasets.IterableDataset.from_generator(
        generate,
        features=_features(datasets, names, examples.are_images),
        gen_kwargs={"examples": examples, "parts": list(pairwise(ends))},
    )


def _features(datasets: Any, classes: Classes, are_images: bool) -> Any:
    value, label = datasets.Value, datasets.ClassLabel(names=list(classes.names))
    media = {"image": datasets.Image()} if are_images else {"bytes": value("binary"), "type": value("string")}
    objects = {
        "bbox": datasets.Sequence(value("float32"), length=4),
        "category": label,
        "area": value("float32"),
        "iscrowd": value("bool"),
    }
    return datasets.Features({"key": value("string"), **media, "label": label, "objects": datasets.Sequence(objects)})
