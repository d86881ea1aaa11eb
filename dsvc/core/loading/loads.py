"""What training code takes from a state: datasets by index, tables, streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from dsvc.core.loading.samples import Decode, OnError, Samples
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
