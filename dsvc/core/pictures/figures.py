"""Figures: Matplotlib's objects in one style, and their bytes, the same each time.

Nothing of Matplotlib's global state is used or left behind: no pyplot, no display, no settings of the person.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dsvc.core.pictures.colours import FAINT_INK, INK, hexadecimal
from dsvc.core.pictures.extras import require_matplotlib
from dsvc.core.pictures.lettering import lettering

DARK = hexadecimal(INK)
FAINT = hexadecimal(FAINT_INK)
LINE = "#d5dae1"
BAR = "#4477aa"
_DPI = 150
_LETTERS = 26
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.grid": False,
    "axes.labelcolor": FAINT,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": DARK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titlepad": 10,
    "figure.facecolor": "white",
    "grid.color": "#e8ebef",
    "pdf.fonttype": 42,
    "svg.hashsalt": "dsvc",
    "text.color": DARK,
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelsize": 8,
    "ytick.color": FAINT,
    "ytick.labelsize": 8,
}
# What else would say when, and by which program, a file was made.
_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
Draw = Callable[[Any], None]


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's own defaults with this style, for as long as a figure is made or written. Raises RefusedError."""
    require_matplotlib()
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float, title: str, subtitle: str) -> Any:
    """A figure of a size in inches with a title, which belongs to no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - 0.85 / height), w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout)
    FigureCanvasAgg(figure)
    options: dict[str, Any] = {"ha": "left", "va": "top", "parse_math": False}
    figure.text(0.25 / width, 1 - 0.18 / height, safe(title, 90), fontsize=14, color=DARK, **options)
    figure.text(0.25 / width, 1 - 0.47 / height, safe(subtitle, 120), fontsize=9.5, color=FAINT, **options)
    return figure


def settled(figure: Any) -> Any:
    """The same figure with its panels where the layout puts them, in whole thousandths: its last digits may differ."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(value, 3) for value in axes.get_position(original=True).bounds])
    return figure


def safe(text: str, letters: int = _LETTERS) -> str:
    """A text as Matplotlib's font can draw it, cut to so many letters."""
    clean = lettering(12).prepared(text)
    return clean if len(clean) <= letters else clean[: letters - 1] + "\u2026"


def say_nothing(axes: Any, why: str) -> None:
    """An empty panel that says why it is."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", color=FAINT, fontsize=9.5, transform=axes.transAxes)


def figure_bytes(figure: Any, suffix: str) -> bytes:
    """A figure as the bytes of a file of a suffix: .png, .svg or .pdf; without times and names of programs."""
    file = io.BytesIO()
    with styled():
        figure.savefig(file, format=suffix[1:], dpi=_DPI, metadata=_METADATA[suffix])
    return file.getvalue()
