"""Plots of a state: class balance, sizes and locations of boxes, annotations of an input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dsvc.core.pictures.colours import colour_of, hexadecimal
from dsvc.core.pictures.extras import require_matplotlib
from dsvc.core.pictures.figures import BAR, DARK, FAINT, LINE, new_figure, safe, say_nothing, settled, styled
from dsvc.core.pictures.gathering import BINS, Label, Sizes, box_sizes, class_balance, locations, per_input
from dsvc.core.pictures.naming import called
from dsvc.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from dsvc.core.state import State

KINDS = ("balance", "sizes", "locations", "inputs")
_CONCEPTS = 30
_ROWS = 12  # with fewer concepts, bars are no thicker
_COLUMNS = 40  # of a histogram of annotations per input
_SMALL, _LARGE = 32, 96  # COCO's limits, as sides of a square in pixels


def plot_state(state: State, kinds: Sequence[str] = ()) -> Any:
    """A figure with a panel for each kind, by default of all that there is. Raises RefusedError, UsageError."""
    return draw_panels(state, gather_panels(state, kinds))


def gather_panels(state: State, kinds: Sequence[str] = ()) -> dict[str, Any]:
    """What a figure is made of, by kind; without `kinds`, of all that there is something for.

    Raises UsageError for an unknown kind, RefusedError without Matplotlib, or without inputs.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"no plot {kind!r} of a revision", f"there is: {', '.join(KINDS)}")
    require_matplotlib()
    if not len(state):
        raise RefusedError("there are no inputs to plot", "add some: dsvc add PATH, or dsvc import FILE")
    found = {kind: _PANELS[kind].gather(state) for kind in tuple(dict.fromkeys(kinds)) or KINDS}
    return found if kinds else {kind: data for kind, data in found.items() if data}


def draw_panels(state: State, found: Mapping[str, Any]) -> Any:
    """The figure of what was gathered of a state."""
    counts = state.counts()
    text = ", ".join(f"{counts[noun]:,} {noun}" for noun in ("inputs", "annotations", "concepts"))
    with styled():
        figure = new_figure(*_size(found), called(state), text)
        for (kind, data), axes in zip(found.items(), _axes(figure, tuple(found)), strict=True):
            _PANELS[kind].draw(axes, data)
        return settled(figure)


def _size(found: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height of a figure in inches."""
    rows = max(_ROWS, min(len(found.get("balance", ())), _CONCEPTS))
    balance = 1.8 + 0.24 * rows if "balance" in found else 0.0
    if len(found) == 1:
        return 7.5, max(balance, 4.2)
    panels = len(found) - 1 if next(iter(found)) == "balance" else math.ceil(len(found) / 2)
    return 11.0, max(balance, 2.5 * panels + 0.9)


def _axes(figure: Any, chosen: Sequence[str]) -> list[Any]:
    """A panel for each: the balance, which is tall, to the left of all others."""
    if len(chosen) == 1:
        return [figure.add_subplot(1, 1, 1)]
    if chosen[0] == "balance":
        grid = figure.add_gridspec(len(chosen) - 1, 2, width_ratios=(1, 1.15))
        return [figure.add_subplot(grid[:, 0]), *(figure.add_subplot(grid[row, 1]) for row in range(len(chosen) - 1))]
    rows = math.ceil(len(chosen) / 2)
    return [figure.add_subplot(rows, 2, number + 1) for number in range(len(chosen))]


def _balance(axes: Any, labels: Sequence[Label]) -> None:
    shown = labels[:_CONCEPTS]
    more = f"; {len(labels) - len(shown):,} rarer ones are not shown" if len(labels) > len(shown) else ""
    axes.set_title(f"Annotations by concept{more}")
    if not shown:
        say_nothing(axes, "no concepts")
        return
    places = range(len(shown))
    colours = [hexadecimal(colour_of(label.concept)) for label in shown]
    axes.barh(places, [label.positive for label in shown], color=colours, height=0.72)
    if any(label.negative for label in shown):
        starts = [label.positive for label in shown]
        hatched = {"color": "#eef0f3", "edgecolor": LINE, "hatch": "////", "label": "not there"}
        axes.barh(places, [label.negative for label in shown], left=starts, height=0.72, **hatched)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.set_yticks(places, [safe(label.concept) for label in shown], parse_math=False)
    axes.set_ylim(max(len(shown), _ROWS) - 0.4, -0.6)
    longest = max(label.positive + label.negative for label in shown) or 1
    axes.set_xlim(0, longest * 1.14)
    for place, label in zip(places, shown, strict=True):
        total = label.positive + label.negative
        axes.text(total + longest * 0.012, place, f"{total:,}", va="center", fontsize=7.5, color=FAINT)
    axes.tick_params(axis="y", length=0, labelcolor=DARK)
    axes.spines["left"].set_visible(False)
    _count_axis(axes.xaxis)


def _sizes(axes: Any, found: Sizes | None) -> None:
    axes.set_title("Sizes of boxes")
    if found is None:
        say_nothing(axes, "no boxes")
        return
    total = found.small + found.medium + found.large
    low, high = min(found.bins), max(found.bins) + 1
    low, high = min(low, round(math.log2(16) * BINS)), max(high, round(math.log2(256) * BINS))
    axes.bar([place + 0.5 for place in range(low, high)], [found.bins.get(place, 0) for place in range(low, high)],
             width=0.92, color=BAR)  # fmt: skip
    ticks = [place for place in range(low - low % BINS, high + 1, BINS) if place >= low]
    axes.set_xticks(ticks, [f"{2 ** (place // BINS):,}" for place in ticks])
    axes.set_xlim(low, high)
    top = max(found.bins.values()) * 1.22
    axes.set_ylim(0, top)
    edges = [low, math.log2(_SMALL) * BINS, math.log2(_LARGE) * BINS, high]
    for begin, end, name, count in zip(
        edges, edges[1:], ("small", "medium", "large"), (found.small, found.medium, found.large), strict=False
    ):
        share = f"{name}\n{count:,} ({count / total:.0%})"
        axes.text((begin + end) / 2, top * 0.985, share, ha="center", va="top", fontsize=8, color=FAINT)
    for edge in edges[1:3]:
        axes.axvline(edge, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_xlabel("root of the area, in pixels; COCO's limits at 32 and 96")
    _count_axis(axes.yaxis)


def _locations(axes: Any, rows: Sequence[Sequence[int]]) -> None:
    axes.set_title("Where the middles of boxes lie")
    if not rows:
        say_nothing(axes, "no boxes on pictures whose size is known")
        return
    image = axes.imshow(rows, cmap="viridis", extent=(0, 1, 1, 0), aspect="auto", interpolation="nearest", vmin=0)
    axes.set_xticks((0, 0.5, 1), ("left", "middle", "right"))
    axes.set_yticks((0, 0.5, 1), ("top", "middle", "bottom"))
    axes.tick_params(length=0)
    for name, labels in (("ha", axes.get_xticklabels()), ("va", axes.get_yticklabels())):
        labels[0].set(**{name: "left" if name == "ha" else "top"})
        labels[-1].set(**{name: "right" if name == "ha" else "bottom"})
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=FAINT)
    _whole_numbers(bar.ax.yaxis)


def _inputs(axes: Any, found: Mapping[int, int]) -> None:
    axes.set_title("Annotations of an input")
    step = max(1, math.ceil((max(found) + 1) / _COLUMNS))
    heights: dict[int, int] = {}
    for count, inputs in found.items():
        heights[count // step] = heights.get(count // step, 0) + inputs
    places = range(max(heights) + 1)
    colours = [BAR if place or step > 1 else "#cc6677" for place in places]
    axes.bar([place * step + (step - 1) / 2 for place in places], [heights.get(place, 0) for place in places],
             width=0.92 * step, color=colours)  # fmt: skip
    without = found.get(0, 0)
    total = sum(found.values())
    mean = sum(count * inputs for count, inputs in found.items()) / total
    note = f"{mean:,.1f} on average; {without:,} of {total:,} inputs have none"
    axes.set_xlabel(note)
    _count_axis(axes.yaxis)
    _whole_numbers(axes.xaxis)


def _count_axis(axis: Any) -> None:
    """Whole numbers with their thousands parted, and a faint grid."""
    _whole_numbers(axis)
    axis.grid(True)


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


class _Panel(NamedTuple):
    """How a panel's data is gathered, falsy where there is none, and drawn."""

    gather: Callable[[State], Any]
    draw: Callable[[Any, Any], None]


_PANELS = {
    "balance": _Panel(class_balance, _balance),
    "sizes": _Panel(box_sizes, _sizes),
    "locations": _Panel(locations, _locations),
    "inputs": _Panel(per_input, _inputs),
}
