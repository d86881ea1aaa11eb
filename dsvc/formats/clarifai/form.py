"""What the mapping asks of a form, Protobuf or JSON: to turn fields into the bytes of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Indices = npt.NDArray[np.int64]


class Form(Protocol):
    """One of the two ways to write a message. A message comes out as bytes and goes into its parent as bytes.

    Arrays of coordinates are float32 from 0 to 1; a point is a row of (col, row), that is x, y.
    """

    mimetype: bytes

    def message(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        """A message; `fields` in the order of their numbers, None for absent ones."""

    def item(self, region: bytes) -> bytes:
        """A Region as it stands in the `regions` of a Data."""

    def region(self, id_: str, box: bytes | None, polygon: bytes | None, data: bytes | None) -> bytes:
        """An item of a Region of at most a box and a polygon: what `message` and `item` give, sooner."""

    def metadata(self, shown: Mapping[str, Any], texts: Mapping[str, bytes]) -> bytes:
        """A Struct of JSON values and, under the reserved key, of JSON texts and the version."""

    def boxes(self, edges: Floats) -> list[bytes]:
        """A BoundingBox for each row of (top, left, bottom, right)."""

    def polygons(self, points: Floats, counts: Indices) -> list[bytes]:
        """A Polygon for each count, of so many points."""

    def keypoints(self, points: Floats, visible: Indices, counts: Indices) -> list[bytes]:
        """The `keypointLocations` of a RegionInfo for each count; `visible` are numbers of the enum."""

    def batch(self, inputs: Sequence[bytes]) -> list[bytes]:
        """An InputBatch, in pieces."""
