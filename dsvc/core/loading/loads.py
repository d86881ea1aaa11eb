"""What training code takes from a state: datasets by index, tables, streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from dsvc.core.loading.samples import Decode, OnError, Samples
    from dsvc.core.loading.tables import Table
    from dsvc.core.state import State


class Loads:
    """The ways that a state goes to training code. Each needs an extra, and says which."""

    def to_torch(
        self,
        transform: Callable[[Any], Any] | None = None,
        *,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        split: str | Iterable[str] | None = None,
        where: str | None = None,
        decode: Decode = "image",
        mode: str | None = "RGB",
        target: str | Iterable[str] = ("label", "boxes", "labels"),
        classes: Sequence[str] | None = None,
        on_error: OnError = "raise",
    ) -> Samples:
        """A map-style dataset for PyTorch's DataLoader; its workers each open the repository themselves.

        An item is {"key", "image", "target"}. The image is a Pillow picture in `mode` (None: as it is stored), with
        `decode="tensor"` a uint8 tensor (channels, height, width); with "bytes", and where the input is no image, it is
        "bytes" instead. The target is a map of the parts asked for, or the one part that is named by a text: `label`
        (an index of `classes`, -1 for none), `multi_hot` (float32, classes), `boxes` (float32, N x 4: left, top, right,
        bottom in pixels), `labels` (int64, N), `area` (float32, N), `iscrowd` (int64, N), `ids`, `masks` (uint8, N x
        height x width), `keypoints` (float32, N x K x 3), `annotations` (records).

        `transform` is called with the image, `transforms` with image and target, and gives both. `split` and `where`, a
        filter, choose inputs; `classes` concepts, by default all. With `on_error="skip"` a batch goes without what
        cannot be decoded, with a warning. Raises RefusedError without PyTorch, where nothing is chosen or inputs have
        no media; FilterError; UsageError. Items raise what `read_media` does, and RefusedError, naming the input.
        """
        from dsvc.core.loading.samples import torch_samples

        options: dict[str, Any] = {"decode": decode, "mode": mode, "target": target, "classes": classes}
        options |= {"transforms": transforms, "on_error": on_error}
        return torch_samples(cast("State", self), transform, split, where, **options)

    def to_arrow(
        self,
        table: Table = "annotations",
        *,
        columns: Sequence[str] | None = None,
        split: str | Iterable[str] | None = None,
        where: str | None = None,
        media: bool = False,
        rows: int = 65_536,
    ) -> Any:
        """A table as a pyarrow.RecordBatchReader, by key, in batches of at most `rows`; `read_all()` gives all at once.

        Tables and columns are those of a query: see docs/reference/query.md. `split` and `where`, a filter, choose
        inputs, and of annotations those of these inputs. With `media`, the table of inputs has a column more, `media`:
        the bytes, read as the batches are, or null where there are none. Raises RefusedError without pyarrow, or where
        no input is chosen; UsageError; FilterError; reading raises what `read_media` does.
        """
        from dsvc.core.loading.tables import read_arrow

        return read_arrow(cast("State", self), table, columns, split, where, media, rows)

    def to_pandas(
        self,
        table: Table = "annotations",
        *,
        columns: Sequence[str] | None = None,
        split: str | Iterable[str] | None = None,
        where: str | None = None,
    ) -> Any:
        """A table as a pandas.DataFrame, by key: see `to_arrow`. Raises RefusedError, UsageError, FilterError."""
        from dsvc.core.loading.tables import read_pandas

        return read_pandas(cast("State", self), table, columns, split, where)

    def to_huggingface(
        self,
        *,
        split: str | Iterable[str] | None = None,
        where: str | None = None,
        classes: Sequence[str] | None = None,
        shards: int = 64,
    ) -> Any:
        """A datasets.IterableDataset that streams the inputs, by key, in `shards` parts that processes share.

        An example has `key`; `image` where all inputs are images, else `bytes` and `type`; `label`, the class of the
        input as a whole or None; `objects`: `bbox` (float32, left, top, width, height in pixels), `category`, `area`,
        `iscrowd`. `split` and `where`, a filter, choose inputs; `classes` concepts, by default all. Raises RefusedError
        without datasets, where no input is chosen or inputs have no media; UsageError; FilterError; streaming raises
        what `read_media` does.
        """
        from dsvc.core.loading.huggingface import stream

        return stream(cast("State", self), split, where, classes, shards)
