"""dsvc plot."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image


def test_a_revision(dsvc, project: Path) -> None:
    found = dsvc("plot", "@v1", "-o", "plot.png")
    assert found.out == "wrote plot.png\n" and found.err == ""
    with Image.open("plot.png") as image:
        assert image.format == "PNG" and image.width == 1650
    document = json.loads(dsvc("plot", "-o", "plot.svg", "--kind", "sizes", "--json").out)
    assert document == {"path": "plot.svg", "dataset": "pets", "evaluation": None, "kinds": ["sizes"]}
    assert Path("plot.svg").read_text().startswith("<?xml")
    every = json.loads(dsvc("plot", "-o", "plot.pdf", "--json").out)
    assert every["kinds"] == ["balance", "sizes", "locations", "inputs"]


def test_an_evaluation(dsvc, project: Path) -> None:
    results = [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "score": 0.9}]
    Path("results.json").write_text(json.dumps(results))
    id = json.loads(dsvc("evaluate", "@v1", "results.json", "--json", "--author", "Ada <ada@example.org>").out)["id"]
    assert dsvc("plot", "--evaluation", id, "-o", "curves.png").out == "wrote curves.png\n"
    document = json.loads(dsvc("plot", "--evaluation", id, "-o", "a.png", "--kind", "confusion", "--json").out)
    assert document == {"path": "a.png", "dataset": "pets", "evaluation": id, "kinds": ["confusion"]}
    assert dsvc("plot", "--evaluation", id, "-o", "b.png", "--kind", "sizes", code=2).err == (
        "error: no plot 'sizes' of an evaluation\nhint: there is: curves, confusion\n"
    )


def test_what_cannot_be_meant(dsvc, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dsvc("plot", "-o", "plot.jpg", code=2).err == (
        "error: no picture has the form .jpg\nhint: let the name end in .png, .svg or .pdf\n"
    )
    assert dsvc("plot", "-o", "a.png", "--kind", "pie", code=2).err == (
        "error: no plot 'pie' of a revision\nhint: there is: balance, sizes, locations, inputs\n"
    )
    assert dsvc("plot", "@v1", "--evaluation", "12345678", "-o", "a.png", code=2).err == (
        "error: a revision and an evaluation do not go together\nhint: give either REV, or --evaluation ID\n"
    )
    dsvc("plot", "--evaluation", "12345678", "-o", "a.png", code=4)
    Path("mine.png").write_text("mine")
    dsvc("plot", "-o", "mine.png", code=3)
    assert Path("mine.png").read_text() == "mine" and not Path("a.png").exists()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert dsvc("plot", "-o", "a.png", code=3).err == (
        "error: a plot needs Matplotlib\nhint: pip install 'dsvc[pictures]'\n"
    )
