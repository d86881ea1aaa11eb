"""What tests of folders as sources share: importing one, and PNG files that are built by hand."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dsvc.core.dataset import Dataset
from dsvc.core.imports.sources import with_ordinals
from dsvc.core.merging.roots import merge_roots
from dsvc.formats.mask_read import MaskImporter, MaskIncoming
from dsvc.model.incoming import Setup
from dsvc.model.records import Input, encode_concept, encode_input
from dsvc.model.snapshot import Roots
from dsvc.model.tree import build_tree

# The passes of Adam7: first row and column, and the steps between.
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
Png = Callable[..., bytes]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(samples: Any, depth: int) -> bytes:
    """Rows of samples (height × width × channels), packed, each behind a filter byte."""
    rows = []
    for row in samples.reshape(samples.shape[0], -1).tolist():
        bits = "".join(format(sample, f"0{depth}b") for sample in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big"))
    return b"".join(rows)


def build_png(samples: Any, depth: int, color: int, *extra: bytes, interlaced: bool = False) -> bytes:
    """A PNG of samples, height × width or height × width × channels, with chunks between header and pixels."""
    samples = np.asarray(samples)
    samples = samples if samples.ndim == 3 else samples[:, :, None]
    parts = [samples[y::down, x::right] for y, x, down, right in PASSES] if interlaced else [samples]
    pixels = b"".join(scanlines(part, depth) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, color, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + data + chunk(b"IEND", b"")


@pytest.fixture
def png() -> Png:
    return build_png


@pytest.fixture
def palette() -> Callable[[int], bytes]:
    """A PLTE chunk of some colours."""
    return lambda count: chunk(b"PLTE", bytes((7 * n + 3) % 256 for n in range(count * 3)))


class Brought(msgspec.Struct):
    """What an importer gave, and was stored."""

    incoming: MaskIncoming
    concepts: list[str]
    inputs: list[Input]


def put_inputs(dataset: Dataset, *records: Input) -> None:
    """Have a dataset hold inputs."""
    with dataset.edit() as draft:
        store = draft.transaction.writer
        tree = build_tree(store, sorted((one.key.encode(), encode_input(one)) for one in records))
        draft.apply(
            lambda store, state: msgspec.structs.replace(
                state,
                roots=merge_roots(store, None, state.roots, msgspec.structs.replace(state.roots, inputs=tree)).roots,
            )
        )


@pytest.fixture
def bring(pets: Dataset, tmp_path: Path) -> Callable[..., Brought]:
    """Import a folder of masks into a dataset, `pets` unless another is named; errors must be those that are given."""

    def bring(
        folder: Path,
        *,
        dataset: Dataset = pets,
        source: str = "masks",
        errors: list[str] | None = None,
        classes: str | Path | None = None,
        **setup: Any,
    ) -> Brought:
        if isinstance(classes, str):
            path = tmp_path / "classes.txt"
            path.write_text(classes, encoding="utf-8")
            classes = path

        def inputs() -> Iterator[Input]:
            return dataset.draft().inputs()

        incoming = MaskImporter().open_folder(folder, Setup(inputs, classes=classes, **setup))
        with dataset.edit() as draft:
            store = draft.transaction.writer
            concepts = incoming.concepts()
            records = list(incoming.inputs())
            entries = sorted(entry for batch in incoming.annotations() for entry in batch)
            theirs = Roots(
                concepts=build_tree(store, sorted((c.id.encode(), encode_concept(c)) for c in concepts)),
                inputs=build_tree(store, sorted((i.key.encode(), encode_input(i)) for i in records)),
                annotations=build_tree(store, with_ordinals(iter(entries))),
                meta={incoming.format: {source: dict(incoming.meta)}},
            )
            draft.apply(
                lambda store, state: msgspec.structs.replace(
                    state, roots=merge_roots(store, None, state.roots, theirs).roots
                )
            )
        assert incoming.problems.found == (errors or [])
        return Brought(incoming, [concept.id for concept in concepts], records)

    return bring


@pytest.fixture
def inputs(pets: Dataset) -> Callable[..., None]:
    """Have `pets` hold inputs of some keys, of a size if one is given."""

    def inputs(*keys: str, size: tuple[int, int] | None = None) -> None:
        width, height = size or (None, None)
        put_inputs(pets, *(Input(key=key, declared_width=width, declared_height=height) for key in keys))

    return inputs
