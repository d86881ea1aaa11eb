"""Files of boxes whose annotations have an empty list of polygons: there is no outline, and the area is the box's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import SIGNED


@pytest.fixture
def boxes(
    dsvc: Callable[..., Any], coco: Callable[..., dict[str, Any]], write: Callable[..., Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:  # fmt: skip
    """A dataset with one box of 30 x 20 whose segmentation is []."""
    one = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 20], "area": 600, "segmentation": []}
    write(coco(annotations=[one]), "project/boxes.json")
    monkeypatch.chdir(tmp_path / "project")
    for command in (("init",), ("create", "boxes"), ("import", "boxes.json"), ("commit", "-m", "1", *SIGNED)):
        dsvc(*command)
    return dsvc


def name_of(dsvc: Callable[..., Any]) -> str:
    return str(json.loads(dsvc("show", "a.jpg", "--json").out)["annotations"][0]["id"])


def test_no_outline_is_told_counted_or_found(boxes: Callable[..., Any]) -> None:
    assert "  box 1,2,30,20, area 600\n" in boxes("show", "a.jpg").out
    assert "tasks: 1 box\n" in boxes("show").out
    found = boxes("query", "select has_polygons, has_box from annotations", "--format", "csv").out
    assert found == "has_polygons,has_box\nfalse,true\n"


def test_the_area_follows_the_box_and_the_empty_list_comes_back(boxes: Callable[..., Any], tmp_path: Path) -> None:
    boxes("annotate", f"a.jpg#{name_of(boxes)}", "--box", "1,2,10,10")
    assert "  box 1,2,10,10, area 100\n" in boxes("show", "a.jpg").out
    boxes("commit", "-m", "2", *SIGNED)
    boxes("export", "HEAD", "-o", "out.json", "--format", "coco")
    (made,) = json.loads((tmp_path / "project" / "out.json").read_text())["annotations"]
    assert (made["bbox"], made["area"], made["segmentation"]) == ([1, 2, 10, 10], 100, [])
