"""Coordinates of many annotations at once: from 0..1 in float32 back to the numbers that are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from dsvc.formats.clarifai.geometry import PLAIN, TRIED, Size
from dsvc.formats.clarifai.read_schema import BadMessage
from dsvc.model.numbers import pack_ragged

if TYPE_CHECKING:
    from dsvc.formats.clarifai.form import Floats

Fields = dict[str, Any]
WAYS = frozenset(TRIED)
T = TypeVar("T")
Wrong = Callable[[Fields, str], None]
DEEP = "!deep"  # stands among fields of polygons whose points have more than a row and a column
_PARTS = ("b", "p", "k", "pt", DEEP)
NOT_FINITE = "has a coordinate that is no number"


class Reader(Protocol):
    """What is asked of a form to read; see `wire_read` and `text_read`."""

    empty: bytes

    def boxes(self, raw: list[bytes]) -> Floats:
        """Rows of top, left, bottom, right."""

    def polygons(self, raw: list[bytes]) -> tuple[Floats, list[int], list[int]]:
        """Points, how many each has, and which have more than rows and columns."""


class _Part(NamedTuple):
    """Where a part goes, and how its numbers come back."""

    fields: Fields
    size: Size
    way: int
    rows: int = 1


class Places:
    """Boxes, polygons and points that wait for their numbers. `solve` puts them into the fields of annotations."""

    def __init__(self, form: Reader) -> None:
        self._form = form
        self._boxes: list[bytes] = []
        self._box_parts: list[_Part] = []
        self._rings: list[bytes] = []
        self._ring_parts: list[_Part] = []
        self._points: list[tuple[float, float]] = []
        self._point_parts: list[_Part] = []
        self._point_names: list[str] = []
        self._seen: list[list[int]] = []
        self._copies: list[tuple[Fields, Fields]] = []
        self.weight = 0

    def box(self, raw: bytes, fields: Fields, size: Size, way: int) -> None:
        """Take a BoundingBox for the field `b`."""
        self._boxes.append(raw)
        self._box_parts.append(_Part(fields, size, way))
        self.weight += 4

    def rings(self, raw: list[bytes], fields: Fields, size: Size, way: int) -> None:
        """Take Polygons for the field `p`."""
        self._rings += raw
        self._ring_parts.append(_Part(fields, size, way, len(raw)))
        self.weight += sum(map(len, raw)) // 6

    def points(
        self, name: str, points: list[tuple[float, float]], fields: Fields, size: Size, way: int, seen: list[int]
    ) -> None:
        """Take points (x, y) for the field `k`, each with its visibility, or `pt`."""
        self._points += points
        self._point_parts.append(_Part(fields, size, way, len(points)))
        self._point_names.append(name)
        self._seen.append(seen)
        self.weight += 2 * len(points)

    def copy(self, fields: Fields) -> Fields:
        """Fields that will get the same numbers as those given."""
        made = dict(fields)
        self._copies.append((fields, made))
        return made

    def solve(self, wrong: Wrong) -> None:
        """Give all fields their numbers. `wrong` is told of fields whose numbers are none."""
        self._solve_boxes(wrong)
        self._solve_rings(wrong)
        self._solve_points(wrong)
        for fields, made in self._copies:
            made.update({name: fields[name] for name in _PARTS if name in fields})

    def _read(self, read: Callable[[list[bytes]], T], raw: list[bytes], parts: list[_Part], wrong: Wrong) -> T:
        """Messages read. Of those that cannot be, `wrong` is told, and they are read as empty ones."""
        try:
            return read(raw)
        except BadMessage:
            owners = [part.fields for part in parts for _ in range(part.rows)]
            for at, one in enumerate(raw):
                try:
                    read([one])
                except BadMessage as error:
                    wrong(owners[at], str(error))
                    raw[at] = self._form.empty
            return read(raw)

    def _solve_boxes(self, wrong: Wrong) -> None:
        import numpy as np

        if not self._boxes:
            return
        edges = self._read(self._form.boxes, self._boxes, self._box_parts, wrong).astype(np.float64)
        for row in _not_finite(np, edges, None):
            wrong(self._box_parts[row].fields, NOT_FINITE)
            edges[row] = 0.0
        sizes, ways = _table(np, self._box_parts)
        start = _back(np, edges[:, 1::-1] * sizes, ways[:, None])
        last = _back(np, edges[:, 3:1:-1] * sizes, ways[:, None])
        extent = _back(np, last - start, ways[:, None])
        values = np.concatenate((start, extent), axis=1).reshape(-1)
        for part, packed in zip(self._box_parts, pack_ragged(values, [4] * len(edges)), strict=True):
            part.fields["b"] = packed

    def _solve_rings(self, wrong: Wrong) -> None:
        import numpy as np

        if not self._rings:
            return
        parts = self._ring_parts
        points, counts, deeper = self._read(self._form.polygons, self._rings, parts, wrong)
        flat = points.astype(np.float64)
        lengths = np.array(counts, dtype=np.int64)
        each = np.repeat(np.arange(len(parts)), [part.rows for part in parts])  # the part of each ring
        for ring in _not_finite(np, flat, lengths):
            wrong(parts[each[ring]].fields, NOT_FINITE)
        flat[~np.isfinite(flat)] = 0.0
        for ring in deeper:
            parts[each[ring]].fields[DEEP] = True
        sizes, ways = _table(np, parts)
        of_point = np.repeat(each, lengths)
        values = _back(np, flat * sizes[of_point], ways[of_point][:, None]).reshape(-1)
        packed = iter(pack_ragged(values, (lengths * 2).tolist()))
        for part in parts:
            part.fields["p"] = [next(packed) for _ in range(part.rows)]

    def _solve_points(self, wrong: Wrong) -> None:
        import numpy as np

        parts = self._point_parts
        if not parts:
            return
        flat = np.array(self._points, dtype=np.float64).reshape(-1, 2)
        lengths = np.array([part.rows for part in parts], dtype=np.int64)
        for row in _not_finite(np, flat, lengths):
            wrong(parts[row].fields, NOT_FINITE)
        flat[~np.isfinite(flat)] = 0.0
        sizes, ways = _table(np, parts)
        of_point = np.repeat(np.arange(len(parts)), lengths)
        values, at = _back(np, flat * sizes[of_point], ways[of_point][:, None]), 0
        for part, name, seen in zip(parts, self._point_names, self._seen, strict=True):
            rows = values[at : at + part.rows]
            at += part.rows
            if name == "k":
                rows = np.concatenate((rows, np.array(seen, dtype=np.float64)[:, None]), axis=1)
            part.fields[name] = pack_ragged(rows.reshape(-1), [rows.size])[0]


def way_of(kept: int | None, usual: int) -> int:
    """How numbers come back: as it was kept, else the usual way. Raises BadMessage."""
    if kept is None:
        return usual
    if kept not in WAYS:
        raise BadMessage(f"has coordinates that come back in a way {kept} that is not known")
    return kept


def _table(np: Any, parts: list[_Part]) -> tuple[Any, Any]:
    sizes = np.array([part.size for part in parts], dtype=np.float64).reshape(-1, 2)
    return sizes, np.array([part.way for part in parts], dtype=np.int64)


def _back(np: Any, values: Any, ways: Any) -> Any:
    """Numbers rounded each in its way."""
    ways = np.broadcast_to(ways, values.shape)
    for way in np.unique(ways).tolist():
        if way != PLAIN:
            chosen = ways == way
            values[chosen] = np.rint(values[chosen] * 10.0**way) / 10.0**way
    return values


def _not_finite(np: Any, values: Any, lengths: Any) -> list[int]:
    """The rows, or those runs of rows, with numbers that are none."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if not len(bad):
        return []
    found: list[int] = (
        bad if lengths is None else np.unique(lengths.cumsum().searchsorted(bad, side="right"))
    ).tolist()
    return found
