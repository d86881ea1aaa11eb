"""A map-style dataset for PyTorch: the k-th sample of a state, for workers that each open the repository themselves."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from blake3 import blake3

from dsvc.core.loading.entries import Entries, choose
from dsvc.core.loading.extras import require
from dsvc.core.loading.images import UndecodableError, decode_image
from dsvc.core.loading.marks import PARTS as MARKED
from dsvc.core.loading.marks import Marks, make_marks
from dsvc.core.loading.sampler import Sampler
from dsvc.core.loading.source import Source
from dsvc.core.loading.targets import (
    DEFAULT,
    PARTS,
    Classes,
    Row,
    Weights,
    areas,
    corners,
    keypoints,
    masks,
    pick_label,
)
from dsvc.errors import UsageError
from dsvc.model.geometry import Size
from dsvc.model.records import Annotation

if TYPE_CHECKING:
    from dsvc.core.state import State

Decode = Literal["image", "tensor", "bytes"]
OnError = Literal["raise", "skip"]
Item = dict[str, Any]
_DECODES, _ON_ERRORS = ("image", "tensor", "bytes"), ("raise", "skip")


class Samples:
    """The chosen inputs of a state, by index, in the order of their keys; `State.to_torch` tells what an item is.

    It can be pickled, whether or not it was used. `classes` are the concepts by label.
    """

    def __init__(
        self,
        state: State,
        entries: Entries,
        transform: Callable[[Any], Any] | None = None,
        *,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        decode: Decode = "image",
        mode: str | None = "RGB",
        target: str | Iterable[str] = DEFAULT,
        classes: Sequence[str] | None = None,
        on_error: OnError = "raise",
    ) -> None:
        _require(decode=(decode, _DECODES), on_error=(on_error, _ON_ERRORS))
        self._parts = (target,) if isinstance(target, str) else tuple(target)
        for part in self._parts:
            _require(target=(part, PARTS))
        self._is_alone = isinstance(target, str)
        self._source, self._entries = Source(state), entries
        self._source.locate(entries)
        self._transform, self._transforms = transform, transforms
        self._decode, self._mode, self._on_error = decode, mode, on_error
        self._classes = Classes(state.concepts(), classes)
        is_marked = MARKED.issuperset(self._parts)
        self._marks = make_marks(state.snapshot, entries, self._classes) if is_marked else None
        self._told = set[int]()

    @property
    def classes(self) -> tuple[str, ...]:
        """The ids of the concepts that labels stand for: label 0 is the first."""
        return self._classes.names

    def key(self, at: int) -> str:
        """The key of the input at an index."""
        return self._entries.key(self._index(at))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, at: int) -> Item:
        return self._item(self._index(at))

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """The items of a batch: PyTorch asks for them at once. What cannot be decoded is left out, if so wished."""
        places = [self._index(at) for at in indices]
        self._source.announce(self._entries, places)
        if self._on_error == "raise":
            return [self._item(at) for at in places]
        found, failed = [], None
        for at in places:
            try:
                found.append(self._item(at))
            except UndecodableError as error:
                failed = error
                if at not in self._told:
                    self._told.add(at)
                    warnings.warn(f"left out: {error.message}", stacklevel=2)
        if failed is not None and not found:
            raise failed
        return found

    def _index(self, at: int) -> int:
        place = operator.index(at)
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(f"index {at} of {len(self)} inputs")
        return place

    # ---- an item

    def _item(self, at: int) -> Item:
        entries, key = self._entries, self._entries.key(at)
        data = self._source.read(entries, at)
        size, name = entries.pixels(at), "bytes"
        value: Any = data
        if self._decode != "bytes" and entries.is_image(at):
            picture = decode_image(data, key, self._mode, turned=entries.is_turned(at))
            size, name = (float(picture.width), float(picture.height)), "image"
            value = _tensor(picture) if self._decode == "tensor" else picture
        target = self._target(at, key, size)
        if self._transform is not None:
            value = self._transform(value)
        if self._transforms is not None:
            value, target = self._transforms(value, target)
        return {"key": key, name: value, "target": target}

    def _target(self, at: int, key: str, size: Size | None) -> Any:
        if self._marks is not None:
            made = {part: _MARKED[part](self._marks, at, size, key, self._classes) for part in self._parts}
        else:
            annotations = tuple(self._source.state.annotations(key)) if self._parts else ()
            rows = self._classes.rows(annotations, size, key) if _PLACED.intersection(self._parts) else []
            made = {part: self._part(part, annotations, rows, size, key) for part in self._parts}
        return made[self._parts[0]] if self._is_alone else made

    def _part(
        self, part: str, annotations: tuple[Annotation, ...], rows: list[Row], size: Size | None, key: str
    ) -> Any:
        """A part of a target, of which some are not in the table of marks."""
        if part == "annotations":
            return annotations
        if part == "ids":
            return [row.annotation.id for row in rows]
        if part in ("label", "multi_hot"):
            weights = self._classes.weights(annotations)
            return pick_label(weights) if part == "label" else _multi_hot(weights, len(self._classes))
        import numpy as np
        import torch

        if part == "boxes":
            found = np.array(corners(rows), dtype=np.float32).reshape(-1, 4)
        elif part == "labels":
            found = np.array([row.label for row in rows], dtype=np.int64)
        elif part == "area":
            found = np.array(areas(rows, size), dtype=np.float32)
        elif part == "iscrowd":
            found = np.array([bool(row.annotation.crowd) for row in rows], dtype=np.int64)
        else:
            found = masks(rows, size, key) if part == "masks" else keypoints(rows, self._classes.points)
        return torch.from_numpy(found)

    # ---- around it

    def sampler(
        self,
        seed: int = 0,
        *,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        epoch: int = 0,
        drop_last: bool = False,
    ) -> Sampler:
        """Which index is read when, for `DataLoader(data, sampler=...)`: the same order for a seed everywhere.

        See `Sampler`. Raises UsageError.
        """
        names = blake3(self._entries.names()).hexdigest(length=8)
        return Sampler(
            len(self),
            seed,
            rank=rank,
            world_size=world_size,
            shuffle=shuffle,
            epoch=epoch,
            drop_last=drop_last,
            data=names,
        )

    @staticmethod
    def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """A batch of items of different sizes, for `DataLoader(collate_fn=...)`: of each name the list of values."""
        names = dict.fromkeys(name for item in items for name in item)
        return {name: [item.get(name) for item in items] for name in names}

    def __repr__(self) -> str:
        return f"Samples({len(self)} inputs, {len(self._classes)} classes)"


def _multi_hot(weights: Weights, count: int) -> Any:
    """Float32, of each class the highest value that it has."""
    import torch

    hot = torch.zeros(count)
    for label, value in weights:
        hot[label] = max(value, float(hot[label]))
    return hot


def _of_array(found: Any) -> Any:
    import torch

    return torch.from_numpy(found)


_PLACED = frozenset(("boxes", "labels", "area", "iscrowd", "ids", "masks", "keypoints"))
_MARKED: dict[str, Callable[[Marks, int, Size | None, str, Classes], Any]] = {
    "label": lambda marks, at, size, key, classes: pick_label(marks.weights(at)),
    "multi_hot": lambda marks, at, size, key, classes: _multi_hot(marks.weights(at), len(classes)),
    "boxes": lambda marks, at, size, key, classes: _of_array(marks.corners(at, size, key)),
    "labels": lambda marks, at, size, key, classes: _of_array(marks.labels(at)),
    "area": lambda marks, at, size, key, classes: _of_array(marks.areas(at, size, key)),
    "iscrowd": lambda marks, at, size, key, classes: _of_array(marks.crowds(at)),
}


def _tensor(picture: Any) -> Any:
    """Uint8 of shape (channels, height, width)."""
    import numpy as np
    import torch

    pixels = np.array(picture)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _require(**choices: tuple[Any, Sequence[str]]) -> None:
    for name, (value, known) in choices.items():
        if value not in known:
            raise UsageError(f"{name} cannot be {value!r}", f"it is one of: {', '.join(known)}")


def torch_samples(
    state: State,
    transform: Callable[[Any], Any] | None,
    split: str | Iterable[str] | None,
    where: str | None,
    **options: Any,
) -> Samples:
    """What `State.to_torch` gives."""
    require("torch", "to_torch", "torch", "PyTorch")
    if options.get("decode") != "bytes":
        require("PIL", "to_torch", "images", "Pillow")
    entries = choose(state.snapshot, split=split, where=where)
    entries.require_media()
    return Samples(state, entries, transform, **options)
