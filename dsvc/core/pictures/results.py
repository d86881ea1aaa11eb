"""Plots of an evaluation: precision-recall curves, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dsvc.core.pictures.colours import INK, colour_of, hexadecimal
from dsvc.core.pictures.figures import DARK, LINE, new_figure, safe, say_nothing, settled, styled
from dsvc.core.scoring.scores import NOTHING, Confusion, Scores
from dsvc.errors import UsageError

KINDS = ("curves", "confusion")
_CURVES = 12
_LABELS = 30  # of a confusion matrix
_WRITTEN = 16  # with more of them, its numbers are not written
_AP = {"classification": "average_precision"}
_STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))


def plot_scores(scores: Scores, title: str, kinds: Sequence[str] = ()) -> Any:
    """A figure with the curves and the confusion matrix of an evaluation, or one of them. Raises UsageError."""
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"no plot {kind!r} of an evaluation", f"there is: {', '.join(KINDS)}")
    chosen = tuple(dict.fromkeys(kinds)) or KINDS
    with styled():
        shown = [(name, value) for name, value in scores.figures.items() if value is not None]
        text = ", ".join(f"{name} {value:.3f}" for name, value in shown[:6])
        figure = new_figure(13.5 if len(chosen) > 1 else 7.5, 6.6, title, f"{scores.kind}: {text or 'no figures'}")
        for number, kind in enumerate(chosen):
            _DRAW[kind](figure.add_subplot(1, len(chosen), number + 1), scores)
        return settled(figure)


def _curves(axes: Any, scores: Scores) -> None:
    name = _AP.get(scores.kind, "AP")
    known = [concept for concept, curve in scores.curves.items() if curve.recall]
    at = "" if scores.kind == "classification" else f" at IoU {scores.iou:g}"
    axes.set_title(f"Precision and recall{at}")
    if not known:
        say_nothing(axes, "no curves: nothing was there to be found")
        return

    def rank(concept: str) -> tuple[float, str]:
        return -(scores.concepts.get(concept, {}).get(name) or 0.0), concept

    ranked = sorted(known, key=rank)
    shown = ranked if len(ranked) <= _CURVES else _best_and_worst(ranked)
    used: dict[str, int] = {}
    for concept in shown:
        colour = hexadecimal(colour_of(concept))
        style = _STYLES[used.get(colour, 0) % len(_STYLES)]  # two of one colour differ in their line
        used[colour] = used.get(colour, 0) + 1
        figure = scores.concepts.get(concept, {}).get(name)
        label = safe(concept) if figure is None else f"{safe(concept)}  {figure:.2f}"
        curve = scores.curves[concept]
        axes.plot(curve.recall, curve.precision, color=colour, linestyle=style, linewidth=1.6, label=label)
    _share_axes(axes)
    left_out = len(ranked) - len(shown)
    heading = f"{name.replace('_', ' ')} of a concept" + (f"; {left_out:,} between are not shown" if left_out else "")
    legend = axes.legend(title=heading, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.11),
                         ncols=3, alignment="left", title_fontsize=8.5, labelcolor=DARK)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _best_and_worst(ranked: Sequence[str]) -> list[str]:
    half = _CURVES // 2
    return [*ranked[:half], *ranked[-half:]]


def _share_axes(axes: Any) -> None:
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.grid(True)


def _confusion(axes: Any, scores: Scores) -> None:
    matrix, left_out = _largest(scores.confusion)
    what = (
        "Confusion" if scores.kind == "classification" else f"Confusion at IoU {scores.iou:g}, score {scores.score:g}"
    )
    axes.set_title(what + (f"; {left_out:,} rarer concepts are not shown" if left_out else ""))
    if not matrix.labels or not any(map(any, matrix.rows)):
        say_nothing(axes, "nothing was there, and nothing predicted")
        return
    totals = [sum(row) for row in matrix.rows]
    shares = [
        [count / total if total else 0.0 for count in row] for row, total in zip(matrix.rows, totals, strict=True)
    ]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    places = range(len(matrix.labels))
    names = [safe(label, 18) for label in matrix.labels]
    small = 8 if len(names) <= _WRITTEN else 6
    axes.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=small, parse_math=False)
    axes.set_yticks(places, names, fontsize=small, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("is")
    axes.tick_params(length=0, labelcolor=DARK)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(LINE)
    if len(names) > _WRITTEN:
        return
    for row, counts in enumerate(matrix.rows):
        for column, count in enumerate(counts):
            if count:
                ink = _ink_on(image.cmap(image.norm(shares[row][column]))[:3])
                axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=7.5, color=ink)


def _ink_on(colour: Sequence[float]) -> str:
    """White or dark, whichever can be read better on a colour of red, green and blue from 0 to 1."""
    ground = _luminance(colour)
    dark = _luminance([part / 255 for part in INK])
    # The contrast of two luminances, as WCAG has it.
    return "white" if 1.05 / (ground + 0.05) > (ground + 0.05) / (dark + 0.05) else DARK


def _luminance(colour: Sequence[float]) -> float:
    """The relative luminance of an sRGB colour, from 0 to 1."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _largest(confusion: Confusion) -> tuple[Confusion, int]:
    """The part of a matrix with the labels that most is of, and how many are not in it."""
    labels, rows = confusion.labels, confusion.rows
    weights = [sum(rows[at]) + sum(row[at] for row in rows) for at in range(len(labels))]
    last = [at for at, label in enumerate(labels) if label == NOTHING]
    seen = [at for at in range(len(labels)) if at not in last and weights[at]]
    kept = sorted(sorted(seen, key=lambda at: (-weights[at], at))[:_LABELS]) + last
    part = tuple(tuple(rows[row][column] for column in kept) for row in kept)
    return Confusion(tuple(labels[at] for at in kept), part), len(seen) - len(kept) + len(last)


_DRAW: dict[str, Callable[[Any, Scores], None]] = {"curves": _curves, "confusion": _confusion}
