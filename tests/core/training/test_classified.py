"""Where the files of a COCO export lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dsvc.core.training.classified import read_classified


def key_of(tmp_path: Path, name: str, *files: str, split: str = "") -> str | None:
    """The path of the file that an image of a name gets, of those that there are."""
    for file in files:
        path = tmp_path / "images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    document = {
        "images": [{"id": 1, "file_name": name}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / f"labels{split}.json").write_text(json.dumps(document))
    (found,) = read_classified(tmp_path).pictures
    assert (found.file is None) or found.file == tmp_path / "images" / found.key
    return found.key if found.file else None


@pytest.mark.parametrize(
    ("name", "files", "split", "key"),
    [
        ("a.png", ("a.png", "x/a.png"), "", "a.png"),
        ("a.png", ("x/a.png",), "", "x/a.png"),
        ("a.png", ("train/a.png", "test/a.png"), "_test", "test/a.png"),
        ("a.png", ("train/a.png", "valid/a.png"), "_val", "valid/a.png"),
        ("a.png", ("one/a.png", "two/a.png"), "", None),
        ("a.png", ("xa.png",), "", None),
        ("./b\\a.png", ("b/a.png",), "", "b/a.png"),
        ("../a.png", (), "", None),
        ("/etc/hostname", (), "", None),
        ("", ("a.png",), "", None),
        (".", ("a.png",), "", None),
    ],
)
def test_an_image_is_found_by_its_name(
    name: str, files: tuple[str, ...], split: str, key: str | None, tmp_path: Path
) -> None:
    assert key_of(tmp_path, name, *files, split=split) == key


def test_splits_of_any_name(tmp_path: Path) -> None:
    assert key_of(tmp_path, "a.png", "a.png", split="_my%2Fown") == "a.png"
    assert [one.split for one in read_classified(tmp_path).pictures] == ["my/own"]
