"""Plots of an evaluation. Each function writes one PNG."""

import itertools
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ranet_jax import extras
from ranet_jax.errors import one_line
from ranet_jax.evaluation import metrics
from ranet_jax.evaluation.report import paper_tables
from ranet_jax.evaluation.scoring import Scores
from ranet_jax.io.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREEN, GRAY, LIGHT = "#0b6fb8", "#d1495b", "#2a9d6f", "#5f6770", "#dfe3e8"
COLORS = (RED, BLUE, GREEN, "#e9a23b", "#7a5195")
_POINTS_OVER_TIME = 50
_LONGEST_TEXT = 90  # characters


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches; made without pyplot, so that nothing global is touched.

    Raises:
        InputError: matplotlib is not installed.
    """
    extras.require("plots", "A plot")
    # It names what draws on the screen. Nothing does here, and a name that is wrong would raise.
    screen = os.environ.pop("MPLBACKEND", None)
    try:
        from matplotlib.figure import Figure
    finally:
        if screen is not None:
            os.environ["MPLBACKEND"] = screen
    return Figure(figsize=(width, height), layout="constrained", dpi=150)


def save(figure: "Figure", path: Path) -> None:
    """Writes a figure so that it is either whole or not there.

    Texts are drawn as they are, as names may hold what matplotlib takes for a formula.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if shown := text.get_text():
            text.set_parse_math(False)
            text.set_text(one_line(shown, _LONGEST_TEXT))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, warnings.catch_warnings():
        # Of letters that the font does not have, and of names that leave no room.
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(temporary, format="png")


def tidy(axes: "Axes", grid: str = "both") -> None:
    """No frame where there is no scale; a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRAY)
    axes.tick_params(colors=GRAY, labelcolor="black")
    axes.grid(axis=grid, color=LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)


def plot_sequences(rows: Sequence[tuple[str, float, float]], title: str, path: Path) -> None:
    """J and F mean of every object, the best at the top.

    Args:
        rows: (name_id, J mean, F mean), as `results.sequence_rows` gives them.
        title: over the plot.
        path: of the PNG.
    """
    rows = sorted((row for row in rows if np.isfinite(row[1])), key=lambda row: row[1] + row[2])
    names, j, f = zip(*rows, strict=True)
    places = np.arange(len(rows))
    figure = new_figure(7, 1.6 + 0.22 * len(rows))
    axes = figure.add_subplot()
    axes.hlines(places, np.minimum(j, f), np.maximum(j, f), color=LIGHT, linewidth=3, zorder=1)
    axes.scatter(j, places, s=34, color=BLUE, label="J mean", zorder=2)
    axes.scatter(f, places, s=34, color=RED, marker="D", label="F mean", zorder=2)
    for value, color in ((np.mean(j), BLUE), (np.mean(f), RED)):
        axes.axvline(value, color=color, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    low = min(*j, *f)
    axes.set_xlim(max(0, np.floor(low * 10) / 10 - 0.02), 1.01)
    axes.set_xlabel("mean over frames (dashed: mean over objects)")
    tidy(axes, "x")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False
    )
    figure.suptitle(title, x=0.02, ha="left", fontsize=11)
    save(figure, path)


def over_time(values: np.ndarray) -> np.ndarray:
    """A measure at equally spaced moments of the video: [n, t] -> [n, 50]."""
    moments = np.linspace(0, 1, _POINTS_OVER_TIME)
    frames = np.linspace(0, 1, values.shape[1]) if values.shape[1] > 1 else np.zeros(1)
    return np.stack([np.interp(moments, frames, row) for row in values])


def plot_over_time(scores: Mapping[str, Scores], title: str, path: Path) -> None:
    """J over the length of the videos, and what is lost from the first to the last quarter."""
    kept = [s.j for s in scores.values() if s.j.shape[1] > 0]
    curves = np.concatenate([over_time(j) for j in kept])
    ends = [metrics.quarter_means(row) for j in kept for row in j]
    first, last = np.mean(ends, axis=0)
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    percent = np.linspace(0, 100, _POINTS_OVER_TIME)
    axes.plot(percent, curves.T, color=GRAY, alpha=0.28, linewidth=0.8)
    axes.plot([], [], color=GRAY, alpha=0.5, linewidth=0.8, label="one object")
    axes.plot(percent, curves.mean(axis=0), color=BLUE, linewidth=2.4, label="mean")
    for (start, end), value in (((0, 25), first), ((75, 100), last)):
        axes.axvspan(start, end, color=BLUE, alpha=0.06, linewidth=0)
        axes.hlines(value, start, end, color=RED, linewidth=2.4)
        axes.annotate(
            f"{value:.3f}",
            (start + 1 if start == 0 else end - 1, value),
            xytext=(0, 5),
            textcoords="offset points",
            ha="left" if start == 0 else "right",
            color=RED,
            fontweight="bold",
            bbox={"boxstyle": "square,pad=0.1", "color": "white", "alpha": 0.8},
        )
    axes.plot([], [], color=RED, linewidth=2.4, label="mean of first and last quarter")
    axes.set_xlim(0, 100)
    axes.set_ylim(min(0.5, np.floor(curves.min() * 10) / 10), 1.01)
    axes.set_xlabel("time (% of the scored frames)")
    axes.set_ylabel("J")
    tidy(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    axes.set_title(f"{title}: J decay {first - last:+.3f}", loc="left", fontsize=11)
    save(figure, path)


def plot_speed(ours: Sequence[tuple[str, float, float]], title: str, path: Path) -> None:
    """Accuracy against speed beside the published methods (paper Fig. 6).

    Args:
        ours: (name, frames a second, J&F in percent).
        title: over the plot.
        path: of the PNG.
    """
    figure = new_figure(7.5, 5)
    axes = figure.add_subplot()
    others = [row for row in paper_tables.TABLE_1 if row.j_and_f is not None]
    for online, marker, label in (
        (False, "o", "published, offline"),
        (True, "^", "published, online learning"),
    ):
        rows = [row for row in others if row.online == online]
        speeds = [1000 / row.milliseconds for row in rows]
        axes.scatter(
            speeds, [row.j_and_f for row in rows], s=40, marker=marker, color=GRAY, label=label
        )
        _name_points(axes, rows, speeds)
    for color, (name, speed, accuracy) in zip(itertools.cycle(COLORS), ours, strict=False):
        axes.scatter(speed, accuracy, s=130, marker="*", color=color, label=name, zorder=3)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("frames a second (published: as published, on their hardware)")
    axes.set_ylabel("J&F mean (%)")
    axes.margins(x=0.1, y=0.08)
    tidy(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False, fontsize=8)
    axes.set_title(title, loc="left", fontsize=11)
    save(figure, path)


# Names that would cover a neighbour at their usual place to the right of the point.
_NAME_SIDES = {
    "CINM": "below",
    "FAVOS": "below",
    "FEELVOS": "below",
    "MaskTrack": "left",
    "OSVOS": "left",
    "OSVOS-S": "below",
    "OnAVOS": "below",
    "PLM": "below",
    "PReMVOS": "above",
    "SFL": "below",
    "VPN": "above",
}


def _name_points(
    axes: "Axes", rows: Sequence[paper_tables.Davis2016Val], speeds: Sequence[float]
) -> None:
    places = {
        "right": ((6, 0), "left"),
        "left": ((-6, 0), "right"),
        "above": ((0, 11), "center"),
        "below": ((0, -11), "center"),
    }
    for row, speed in zip(rows, speeds, strict=True):
        offset, align = places[_NAME_SIDES.get(row.method, "right")]
        axes.annotate(
            row.method,
            (speed, row.j_and_f),
            xytext=offset,
            textcoords="offset points",
            ha=align,
            va="center",
            fontsize=8,
            color="black" if row.method.startswith("RANet") else GRAY,
        )
