"""Plots: their numbers, the same bytes each time, and nothing left behind in Matplotlib."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from dsvc.core.dataset import Dataset
from dsvc.core.pictures.colours import colour_of, hexadecimal
from dsvc.core.pictures.figures import figure_bytes
from dsvc.core.pictures.gathering import GRID, Sizes, box_sizes, class_balance, locations, per_input
from dsvc.core.pictures.plots import gather_panels
from dsvc.core.pictures.results import plot_scores
from dsvc.core.scoring.scores import NOTHING, Confusion, Curve, Scores
from dsvc.errors import RefusedError, UsageError
from dsvc.model.records import Annotation, Shape

HOSTILE = ("$\\frac{x", "\u732b", "\u202eevil\n", "n" * 1000, "%_&#", "<b>")


@pytest.fixture
def labelled(pets: Dataset, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]) -> Dataset:
    """a.jpg (640 x 480) has a small box, b.jpg (320 x 240) a small, a medium and a large one, and a class."""
    with pets.edit() as draft:
        draft.import_(write(coco()))
        draft.annotate(
            Annotation(key="b.jpg", id="", concept="cat", shape=Shape(box=(0.5, 0.5, 0.25, 0.25), unit="relative"))
        )
        draft.annotate(Annotation(key="b.jpg", id="", concept="cat", shape=Shape(box=(100, 100, 96, 96))))
        draft.annotate(Annotation(key="b.jpg", id="", concept="dog", value=0.0))
    return pets


def labels(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def test_what_plots_are_made_of(labelled: Dataset) -> None:
    state = labelled.draft()
    assert [tuple(label) for label in class_balance(state)] == [("cat", 3, 0), ("dog", 1, 1)]
    # Sides of 3.67, 9, 69.28 and 96 pixels, in quarters of doublings.
    assert box_sizes(state) == Sizes({7: 1, 12: 1, 24: 1, 26: 1}, small=2, medium=1, large=1)
    assert per_input(state) == {1: 1, 4: 1}
    rows = locations(state)
    half = GRID // 2
    assert len(rows) == half and sum(map(sum, rows)) == 4
    assert rows[0][0] == 2 and rows[int(0.625 * half)][int(0.625 * half)] == 1
    assert rows[int(148 / 240 * half)][int(148 / 320 * half)] == 1


def test_sizes_are_those_of_areas_that_were_declared(labelled: Dataset) -> None:
    before = box_sizes(labelled.draft())
    shape = Shape(box=(0, 0, 100, 100), area=1000)
    labelled.annotate(Annotation(key="a.jpg", id="", concept="cat", shape=shape))
    after = box_sizes(labelled.draft())
    assert before is not None and after is not None
    assert (after.small - before.small, after.large - before.large) == (1, 0)
    assert after.small == labelled.draft().metrics().box_sizes["small"]


def test_boxes_outside_their_picture_are_in_no_cell(labelled: Dataset) -> None:
    with labelled.edit() as draft:
        for box in (
            (-500, 0, 10, 10),
            (0, 9000, 10, 10),
            (1e300, 1e300, 1e300, 1e300),
            (5, 5, 0, 0),
            (5, 5, 1e-300, 1),
        ):
            draft.annotate(Annotation(key="a.jpg", id="", concept="cat", shape=Shape(box=box)))
    state = labelled.draft()
    assert sum(map(sum, locations(state))) == 6
    found = box_sizes(state)
    assert found is not None and found.small + found.medium + found.large == sum(found.bins.values())
    assert figure_bytes(state.plot("sizes", "locations"), ".png")[:4] == b"\x89PNG"


def test_the_panels_of_a_figure(labelled: Dataset) -> None:
    figure = labelled.draft().plot()
    balance, sizes, places, inputs, _ = figure.axes
    assert labels(balance) == ["cat", "dog"] and balance.get_title(loc="left") == "Annotations by concept"
    widths = [patch.get_width() for patch in balance.patches]
    assert widths == [3, 1, 0, 1]  # and once more what is said not to be there
    assert balance.patches[0].get_facecolor()[:3] == pytest.approx([part / 255 for part in colour_of("cat")])
    assert [text.get_text() for text in sizes.texts] == ["small\n2 (50%)", "medium\n1 (25%)", "large\n1 (25%)"]
    assert places.images and sum(patch.get_height() for patch in inputs.patches) == 2
    assert figure.texts[0].get_text() == "the draft of pets"
    assert figure.texts[1].get_text() == "2 inputs, 5 annotations, 2 concepts"
    assert len(labelled.draft().plot("sizes").axes) == 1


def test_only_what_there_is(pets: Dataset, write: Callable[..., Path], coco: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(RefusedError, match="there are no inputs to plot"):
        pets.draft().plot()
    with pets.edit() as draft:
        draft.import_(write(coco(annotations=[], categories=[])))
    state = pets.draft()
    assert list(gather_panels(state)) == ["inputs"] and len(state.plot().axes) == 1
    assert list(gather_panels(state, ("locations", "balance", "locations"))) == ["locations", "balance"]
    figure = state.plot("balance", "sizes", "locations")
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "no concepts",
        "no boxes",
        "no boxes on pictures whose size is known",
    ]
    with pytest.raises(UsageError, match="no plot 'pie' of a revision") as wrong:
        state.plot("pie")
    assert wrong.value.hint == "there is: balance, sizes, locations, inputs"


def test_the_same_bytes_and_nothing_left_behind(labelled: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 7)
    state = labelled.draft()
    for suffix, magic, kinds in (
        (".svg", b"<?xml", ()),
        (".png", b"\x89PNG", ["inputs"]),
        (".pdf", b"%PDF", ["inputs"]),
    ):
        first, second = (figure_bytes(state.plot(*kinds), suffix) for _ in range(2))
        assert first == second and first.startswith(magic)
        assert b"Matplotlib" not in first and b"matplotlib.org" not in first
    kept = [matplotlib.rcParams[name] for name in ("lines.linewidth", "svg.hashsalt", "text.parse_math")]
    assert kept == [7, None, True] and "matplotlib.pyplot" not in sys.modules


def test_names_that_are_hostile(labelled: Dataset) -> None:
    with labelled.edit() as draft:
        for name in HOSTILE:
            draft.annotate(Annotation(key="a.jpg", id="", concept=name))
    figure = labelled.draft().plot("balance")
    names = labels(figure.axes[0])
    assert "$\\frac{x" in names and "\\u732b" in names and "\\u202eevil\\n" in names and max(map(len, names)) <= 26
    for suffix in (".png", ".svg", ".pdf"):
        assert figure_bytes(figure, suffix)


def test_many_concepts(labelled: Dataset) -> None:
    with labelled.edit() as draft:
        for number in range(40):
            draft.annotate(Annotation(key="a.jpg", id="", concept=f"c{number:02}"))
    axes = labelled.draft().plot("balance").axes[0]
    assert (
        len(labels(axes)) == 30 and axes.get_title(loc="left") == "Annotations by concept; 12 rarer ones are not shown"
    )


def test_without_matplotlib(labelled: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RefusedError, match="a plot needs Matplotlib") as refused:
        labelled.draft().plot()
    assert refused.value.hint == "pip install 'dsvc[pictures]'"


# ---- evaluations


def scores(names: tuple[str, ...], kind: Any = "box", **fields: Any) -> Scores:
    labels = (*names, NOTHING)
    rows = tuple(
        tuple(9 if row == column else row + column for column in range(len(labels))) for row in range(len(labels))
    )
    parts = {
        "figures": {"AP": 0.5, "AP50": None, "AP75": 0.25},
        "concepts": {name: {"AP": 1 - number / 100} for number, name in enumerate(names)},
        "curves": {name: Curve((0.0, 0.5, 1.0), (1.0, 0.75, 0.25)) for name in names},
        "confusion": Confusion(labels, rows),
        "inputs": {},
    }
    return Scores(kind=kind, **{**parts, **fields})


def test_curves_and_confusion() -> None:
    figure = plot_scores(scores(("cat", "dog")), "results.json beside pets@v1")
    curves, confusion = figure.axes
    assert [line.get_color() for line in curves.lines] == [hexadecimal(colour_of(name)) for name in ("cat", "dog")]
    assert list(curves.lines[0].get_xdata()) == [0, 0.5, 1] and list(curves.lines[0].get_ydata()) == [1, 0.75, 0.25]
    assert [text.get_text() for text in curves.get_legend().get_texts()] == ["cat  1.00", "dog  0.99"]
    assert labels(confusion) == ["cat", "dog", NOTHING] and confusion.images[0].get_array().shape == (3, 3)
    assert [text.get_text() for text in confusion.texts] == ["9", "1", "2", "1", "9", "3", "2", "3", "9"]
    assert confusion.get_title(loc="left") == "Confusion at IoU 0.5, score 0.5"
    assert figure.texts[1].get_text() == "box: AP 0.500, AP75 0.250"
    with pytest.raises(UsageError, match="no plot 'sizes' of an evaluation"):
        plot_scores(scores(("cat",)), "t", ["sizes"])


def test_the_numbers_of_a_confusion_matrix_can_be_read() -> None:
    size = 11
    labels = tuple(f"c{number:02}" for number in range(size))
    # Row by row the share of the diagonal rises from 0 to 1.
    rows = tuple(
        tuple(row if column == row else size - 1 - row if column == (row + 1) % size else 0 for column in range(size))
        for row in range(size)
    )
    (axes,) = plot_scores(scores(labels, confusion=Confusion(labels, rows)), "t", ["confusion"]).axes
    image = axes.images[0]
    inks = set()
    for text in axes.texts:
        column, row = text.get_position()
        ground = image.cmap(image.norm(image.get_array()[row, column]))
        assert contrast(ground, to_rgb(text.get_color())) >= 4
        inks.add(text.get_color())
    assert len(inks) == 2


def contrast(*colours: Any) -> float:
    """The contrast of two colours as WCAG defines it, from 1 to 21."""
    low, high = sorted(
        sum(
            weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
            for weight, part in zip((0.2126, 0.7152, 0.0722), colour[:3], strict=True)
        )
        for colour in colours
    )
    return (high + 0.05) / (low + 0.05)


def test_evaluations_of_nothing_of_many_and_of_hostile_names() -> None:
    nothing = scores((), curves={}, confusion=Confusion((), ()), figures={})
    figure = plot_scores(nothing, "t")
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "no curves: nothing was there to be found",
        "nothing was there, and nothing predicted",
    ]
    many = plot_scores(scores(tuple(f"c{number}" for number in range(50))), "t")
    assert len(many.axes[0].lines) == 12 and len(labels(many.axes[1])) == 31 and not many.axes[1].texts
    assert many.axes[1].get_title(loc="left").endswith("; 20 rarer concepts are not shown")
    hostile = plot_scores(scores(HOSTILE, "classification"), "".join(HOSTILE))
    assert Image.open(io.BytesIO(figure_bytes(hostile, ".png"))).width == 2025
    assert figure_bytes(hostile, ".svg") == figure_bytes(
        plot_scores(scores(HOSTILE, "classification"), "".join(HOSTILE)), ".svg"
    )
