"""Boxes and polygons of many regions: usual ones all at once; others, where zeros are left out, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsvc.formats.clarifai.form import Floats

EDGES = ("topRow", "leftCol", "bottomRow", "rightCol")
# Points as rows of (x, y), how many each polygon has, and which have more than rows and columns.
Rings = tuple[Any, list[int], list[int]]
# What reads many messages at once; None where one of them is not usual.
AtOnce = Callable[[list[bytes]], Any]


def mixed_boxes(form: Any, raw: list[bytes], usual: list[bool], read: AtOnce) -> Floats:
    """Rows of top, left, bottom, right. `usual` says which ones `read` may take. Raises BadMessage."""
    import numpy as np

    edges, done = np.zeros((len(raw), 4), dtype=np.float32), np.array(usual, dtype=bool)
    if any(usual):
        found = read(raw if all(usual) else [box for box, is_usual in zip(raw, usual, strict=True) if is_usual])
        if found is None:
            done[:] = False
        else:
            edges[done] = found
    for at in np.flatnonzero(~done).tolist():
        box = form.fields("BoundingBox", raw[at])
        edges[at] = [box.get(name, 0.0) for name in EDGES]
    return edges


def mixed_polygons(form: Any, raw: list[bytes], usual: list[bool], read: AtOnce) -> Rings:
    """All polygons. `usual` says which ones `read` may take. Raises BadMessage."""
    import numpy as np

    found = None
    if any(usual):
        found = read(raw if all(usual) else [ring for ring, is_usual in zip(raw, usual, strict=True) if is_usual])
    if found is None:
        return _one_by_one(form, raw)
    if all(usual):
        return found[0], found[1], []
    done = np.array(usual, dtype=bool)
    few = np.flatnonzero(~done)
    slow, slow_counts, deeper = _one_by_one(form, [raw[at] for at in few.tolist()])
    counts = np.zeros(len(raw), dtype=np.int64)
    counts[done], counts[few] = found[1], slow_counts
    at_once = np.repeat(done, counts)
    points = np.empty((len(at_once), 2), dtype=np.float32)
    points[at_once], points[~at_once] = found[0], slow
    return points, counts.tolist(), [int(few[at]) for at in deeper]


def _one_by_one(form: Any, raw: list[bytes]) -> Rings:
    import numpy as np

    found = [[form.fields("Point", point) for point in form.fields("Polygon", ring).get("points", ())] for ring in raw]
    flat = [(point.get("col", 0.0), point.get("row", 0.0)) for ring in found for point in ring]
    deeper = [at for at, ring in enumerate(found) if any(point.keys() - {"row", "col"} for point in ring)]
    return np.array(flat, dtype=np.float32).reshape(-1, 2), [len(ring) for ring in found], deeper
