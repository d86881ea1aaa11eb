"""Labels and boxes of all inputs that are loaded, as arrays: so that a batch needs no record of the tree.

They are made once, in one walk, before there are workers; some 50 bytes an annotation.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dsvc.core.loading.targets import Classes, Weights, no_size, place_of, weight
from dsvc.errors import DamagedError
from dsvc.model.numbers import unpack_joined
from dsvc.model.records import decode_annotation
from dsvc.store.codec import unpack_extension

if TYPE_CHECKING:
    import numpy.typing as npt

    from dsvc.core.loading.entries import Entries
    from dsvc.model.geometry import Size
    from dsvc.model.snapshot import Snapshot
    from dsvc.model.tree import Tree

    Array = npt.NDArray[Any]

PARTS = frozenset(("label", "multi_hot", "boxes", "labels", "area", "iscrowd"))


_ABSENT = msgspec.Raw()
_AT_ONCE = 4096


class _Stored(msgspec.Struct, gc=False):
    """What of a stored annotation is needed here, by its names in the specification."""

    a: Any = None
    b: bytes | None = None
    c: str | None = None
    cr: Any = None
    f: Any = None
    k: msgspec.Raw = _ABSENT
    m: msgspec.Raw = _ABSENT
    p: msgspec.Raw = _ABSENT
    pt: msgspec.Raw = _ABSENT
    sp: msgspec.Raw = _ABSENT
    ti: msgspec.Raw = _ABSENT
    u: Any = None
    v: Any = None


_decode = msgspec.msgpack.Decoder(_Stored, ext_hook=lambda code, data: unpack_extension(code, bytes(data))).decode


class Marks:
    """Of each input, by its index, the classes that it has as a whole, and its rows: label, box, area, crowd."""

    def __init__(self) -> None:
        self._ends, self._whole_ends = array("q", [0]), array("q", [0])
        self._whole_labels, self._whole_values = array("i"), array("d")
        self._labels, self._areas = array("i"), array("d")
        self._crowds, self._relative = bytearray(), bytearray()
        self._boxes = array("d")

    # ---- making

    def close(self) -> None:
        """End the annotations of an input."""
        self._ends.append(len(self._labels))
        self._whole_ends.append(len(self._whole_labels))

    def add_whole(self, label: int, value: float) -> None:
        """A class of the input as a whole."""
        self._whole_labels.append(label)
        self._whole_values.append(value)

    def add_row(self, label: int, row: _Stored, box: Sequence[float], is_relative: bool) -> None:
        """A place on the picture: x, y, width and height."""
        self._labels.append(label)
        self._areas.append(float("nan") if row.a is None else float(row.a))
        self._crowds.append(bool(row.cr))
        self._relative.append(is_relative)
        self._boxes.extend(box)

    # ---- reading

    def weights(self, at: int) -> Weights:
        """The classes that the input has as a whole, each with its value."""
        some = range(self._whole_ends[at], self._whole_ends[at + 1])
        return [(self._whole_labels[place], self._whole_values[place]) for place in some]

    def labels(self, at: int) -> Array:
        """Int64, of each row."""
        import numpy as np

        return np.array(self._labels[self._ends[at] : self._ends[at + 1]], dtype=np.int64)

    def crowds(self, at: int) -> Array:
        """Int64, of each row."""
        import numpy as np

        return np.array(self._crowds[self._ends[at] : self._ends[at + 1]], dtype=np.int64)

    def boxes(self, at: int, size: Size | None, key: str) -> Array:
        """Float32, of each row left, top, width, height in pixels. Raises RefusedError."""
        import numpy as np

        return self._pixels(at, size, key).astype(np.float32)

    def corners(self, at: int, size: Size | None, key: str) -> Array:
        """Float32, of each row left, top, right, bottom in pixels. Raises RefusedError."""
        import numpy as np

        boxes = self._pixels(at, size, key)
        boxes[:, 2:] += boxes[:, :2]
        return boxes.astype(np.float32)

    def areas(self, at: int, size: Size | None, key: str) -> Array:
        """Float32, of each row the declared area in square pixels, else that of the box. Raises RefusedError."""
        import numpy as np

        start, end = self._ends[at], self._ends[at + 1]
        boxes, declared = self._pixels(at, size, key), np.array(self._areas[start:end])
        if size is not None and any(self._relative[start:end]):
            declared[np.array(self._relative[start:end], dtype=bool)] *= size[0] * size[1]
        return np.where(np.isnan(declared), boxes[:, 2] * boxes[:, 3], declared).astype(np.float32)

    def _pixels(self, at: int, size: Size | None, key: str) -> Array:
        import numpy as np

        start, end = self._ends[at], self._ends[at + 1]
        boxes = np.array(self._boxes[4 * start : 4 * end]).reshape(-1, 4)
        if any(self._relative[start:end]):
            if size is None:
                raise no_size(key)
            boxes[np.array(self._relative[start:end], dtype=bool)] *= (*size, *size)
        return boxes


def make_marks(snapshot: Snapshot, entries: Entries, classes: Classes) -> Marks:
    """The labels and boxes of some inputs of a snapshot. Raises DamagedError."""
    made, at = Marks(), 0
    key = entries.raw_key(0) if len(entries) else b""
    for owner, label, tree_key, value, row, box in _walk(snapshot, classes):
        while at < len(entries) and key < owner:
            made.close()
            at += 1
            key = entries.raw_key(at) if at < len(entries) else b""
        if at == len(entries):
            break
        if key == owner:
            _add(made, label, tree_key, value, row, box)
    for _ in range(at, len(entries)):
        made.close()
    return made


def _batches(tree: Tree) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """All keys and values of a tree, so many at a time that arrays pay."""
    keys, values = list[bytes](), list[bytes]()
    for some in tree.runs():
        keys += some[0]
        values += some[1]
        if len(keys) >= _AT_ONCE:
            yield keys, values
            keys, values = [], []
    yield keys, values


def _walk(
    snapshot: Snapshot, classes: Classes
) -> Iterator[tuple[bytes, int, bytes, bytes, _Stored, list[float] | None]]:
    """The annotations that have a class, each with its input's key, and its box where it is stored as one."""
    for keys, values in _batches(snapshot.annotation_tree):
        try:
            rows = list(map(_decode, values))
        except (msgspec.DecodeError, ValueError) as error:
            for entry in zip(keys, values, strict=True):
                decode_annotation(*entry)  # which names the one that is damaged
            raise DamagedError("an annotation cannot be read") from error
        numbers, counts = unpack_joined([row.b for row in rows if row.b])
        flat, start, sizes = numbers.tolist(), 0, iter(counts.tolist())
        for tree_key, value, row in zip(keys, values, rows, strict=True):
            box = None
            if row.b:
                end = start + next(sizes)
                box, start = flat[start:end], end
            label = classes.index_of(row.c, row.v)
            if label is not None:
                yield tree_key.partition(b"\0")[0], label, tree_key, value, row, box


def _add(made: Marks, label: int, tree_key: bytes, value: bytes, row: _Stored, box: list[float] | None) -> None:
    if box is not None and len(box) == 4:
        x, y, width, height = box
        if width and height:
            ordered = (min(x, x + width), min(y, y + height), abs(width), abs(height))
            made.add_row(label, row, ordered, bool(row.u))
            return
    if row.a is None and row.b is None and row.m is _ABSENT and row.p is _ABSENT and row.k is _ABSENT:
        if row.pt is _ABSENT and row.sp is _ABSENT and row.ti is _ABSENT and row.f is None:
            made.add_whole(label, weight(row.v))
        return
    place = place_of(decode_annotation(tree_key, value))
    if place is not None:
        made.add_row(label, row, place.box, place.is_relative)
