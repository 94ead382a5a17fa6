"""How every plot is drawn: one palette, no clock and no version in the file, and a picture as PNG or as inline SVG.

On the page a plot is part of the document: its colours are the page's CSS variables, so it follows the reader's light
or dark ground, and its letters are text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.9
"""Inches of every plot: 353 points, so letters of 10 points stay 10 pixels high on a telephone."""
_IDS = re.compile(r'(\bid="|url\(#|href="#)')
_ROOT = re.compile(r"<svg\b[^>]*\bviewBox=\"([^\"]+)\"[^>]*>")
_UNUSED = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)


class Theme(NamedTuple):
    """Colours of one ground. Every one differs from the others, so that a plot's colours can be told apart again."""

    surface: str
    ink: str
    muted: str
    grid: str
    accent: str
    second: str
    third: str


# Blue, orange and green of Okabe & Ito (2008): told apart by the colour-blind; marks differ in shape as well.
LIGHT = Theme("#ffffff", "#1b1f24", "#5c6570", "#e3e6ea", "#0072b2", "#c45500", "#00795a")
DARK = Theme("#16191d", "#e8eaed", "#9aa3ad", "#2c3138", "#56b4e9", "#f0a35e", "#3fc79a")


def png(draw: Callable[[], Figure]) -> bytes:
    """A plot on a light ground, 200 dots an inch."""
    return _bytes(draw, format="png", dpi=200, metadata={"Software": None})


def svg(draw: Callable[[], Figure], name: str) -> str:
    """A plot as an `<svg>` element for a page that has each of `Theme`'s colours as a CSS variable.

    Args:
        name: put before every id, so that several plots fit into one page.
    """
    drawn = _bytes(draw, format="svg", metadata={"Date": None, "Creator": None}).decode()
    element = _UNUSED.sub("", drawn[drawn.index("<svg") :]).strip()
    element = _ROOT.sub(r'<svg viewBox="\1" aria-hidden="true" focusable="false">', element, count=1)
    for colour, value in LIGHT._asdict().items():
        element = element.replace(value, f"var(--{colour})")
    return _IDS.sub(rf"\g<1>{name}-", element)


def new_figure(height: float) -> tuple[Figure, Axes]:
    """An empty plot, `height` inches high."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")  # no pyplot: no backend, no window
    return figure, figure.add_subplot()


def spread(places: Sequence[float], gap: float) -> list[float]:
    """`places` moved apart until neighbours are at least `gap` apart; their order stays, and so does their middle.

    Places that are too close form a block that is centred on their mean; blocks that touch become one.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[list[int]] = []
    for i in order:
        blocks.append([i])
        while len(blocks) > 1 and _begin(places, blocks[-1], gap) < _end(places, blocks[-2], gap) + gap:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    moved = list(places)
    for block in blocks:
        for step, i in enumerate(block):
            moved[i] = _begin(places, block, gap) + step * gap
    return moved


def _begin(places: Sequence[float], block: Sequence[int], gap: float) -> float:
    return sum(places[i] for i in block) / len(block) - gap * (len(block) - 1) / 2


def _end(places: Sequence[float], block: Sequence[int], gap: float) -> float:
    return _begin(places, block, gap) + gap * (len(block) - 1)


def _bytes(draw: Callable[[], Figure], **how: Any) -> bytes:
    out = io.BytesIO()
    with _style():
        draw().savefig(out, **how)
    return out.getvalue()


def _style() -> AbstractContextManager[None]:
    """Matplotlib's own defaults (a user's matplotlibrc would change the bytes) with our colours."""
    import matplotlib.style

    return matplotlib.style.context([
        "default",
        {
            "figure.facecolor": LIGHT.surface, "axes.facecolor": LIGHT.surface, "savefig.facecolor": LIGHT.surface,
            "text.color": LIGHT.ink, "axes.labelcolor": LIGHT.muted, "axes.edgecolor": LIGHT.grid,
            "xtick.color": LIGHT.muted, "ytick.color": LIGHT.muted, "grid.color": LIGHT.grid,
            "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "axes.spines.top": False,
            "axes.spines.right": False, "axes.axisbelow": True, "legend.frameon": False, "svg.hashsalt": "mlpo",
            "svg.fonttype": "none", "font.size": 10,
        },
    ])  # fmt: skip
