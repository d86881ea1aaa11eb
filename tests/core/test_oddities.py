"""What `check` finds in the records: turned sizes, names that clash elsewhere; each thing once."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest

from dsvc.core.check import check
from dsvc.core.dataset import Dataset
from dsvc.model.records import Input, encode_input
from dsvc.model.snapshot import SnapshotEdits, edit_roots


def findings(dataset: Dataset, **options: bool) -> list[tuple[str, str]]:
    report = check(dataset.repository, **options)
    assert report.damage == ()
    return [(finding.name, finding.text) for finding in report.findings]


def declare(dataset: Dataset, *keys: str, width: float | None = None, height: float | None = None) -> None:
    """Give inputs, new ones too, a declared size."""
    state, edits = dataset.draft(), SnapshotEdits()
    for key in keys:
        record = state.input(key) or Input(key=key)
        changed = msgspec.structs.replace(record, declared_width=width, declared_height=height)
        edits.inputs[key.encode()] = encode_input(changed)
    with dataset.edit("declare") as draft:
        draft.apply(lambda store, state: msgspec.structs.replace(state, roots=edit_roots(store, state.roots, edits)))


def turned_jpeg(orientation: int, width: int = 640, height: int = 480) -> bytes:
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0) + bytes(4)
    exif = b"Exif\0\0" + tiff
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + frame


@pytest.mark.parametrize(
    ("orientation", "declared", "texts"),
    [
        (6, (480, 640), ["declared 480 x 640, the file 640 x 480 turned by EXIF"]),
        (8, (480, 640), ["declared 480 x 640, the file 640 x 480 turned by EXIF"]),
        (3, (480, 640), ["declared width 480, but the file says 640", "declared height 640, but the file says 480"]),
        (1, (480, 640), ["declared width 480, but the file says 640", "declared height 640, but the file says 480"]),
        (6, (640, 480), []),
        (6, (481, 640), ["declared width 481, but the file says 640", "declared height 640, but the file says 480"]),
    ],
)
def test_a_declared_size_that_is_the_turned_one(
    orientation: int, declared: tuple[int, int], texts: list[str], pets: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jpg").write_bytes(turned_jpeg(orientation))
    pets.add(tmp_path / "data", root=tmp_path / "data")
    declare(pets, "a.jpg", width=declared[0], height=declared[1])
    assert findings(pets) == [("a.jpg", text) for text in texts]


def test_names_that_clash_on_other_systems(pets: Dataset) -> None:
    declare(pets, "Images/a.jpg", "images/A.jpg", "caf\u00e9", "cafe\u0301", "x/aux.png", "b:c", "fine/d.jpg")
    assert dict(findings(pets)) == {
        "images/A.jpg": "differs from Images/a.jpg in case only: Windows and macOS take the two for one",
        "caf\u00e9": "is shown as cafe\u0301 is, which is NFD: macOS takes the two for one",
        "x/aux.png": "Windows keeps the name 'aux.png' for a device",
        "b:c": "Windows allows no ':' in a name",
    }


def test_what_several_states_share_is_told_once(pets: Dataset) -> None:
    declare(pets, "A.jpg", "a.jpg", "aux")
    pets.commit("first")
    pets.create_version("v1")
    declare(pets, "b.jpg")
    assert len(findings(pets)) == 2
    pets.remove("A.jpg")
    assert len(findings(pets)) == 2  # the version has both still
