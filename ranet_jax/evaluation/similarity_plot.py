"""The similarity-map figure (paper Fig. 4): a template position and where it is found again."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from ranet_jax.errors import InputError
from ranet_jax.evaluation import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4


def plot_similarity(
    template: UInt8[np.ndarray, "height width 3"],
    position: tuple[float, float],
    frame: UInt8[np.ndarray, "height2 width2 3"],
    similarity: Float[np.ndarray, "h w"],
    best_maps: Float[np.ndarray, "m h w"],
    path: Path,
    *,
    scores: Sequence[float] | None = None,
) -> None:
    """Draws a template position, its similarity map on the current frame, the best-ranked maps.

    Args:
        template: the image that the template was made from, RGB.
        position: (row, column) in the template, in pixels; of template cell (y, x) of a grid of
            rows x columns, that is ((y + 0.5) * height / rows, (x + 0.5) * width / columns).
        frame: the image that is compared with it, RGB.
        similarity: the map of that position, of any size: it is stretched over the frame.
        best_maps: maps in order of their rank, the best first.
        path: of the PNG.
        scores: ranking scores of `best_maps`, to be written over them.
    Raises:
        InputError: for maps that are not of the shapes above, or a position outside the template.
    """
    height, width = template.shape[:2]
    if (
        similarity.ndim != 2
        or best_maps.ndim != 3
        or (scores is not None and len(scores) != len(best_maps))
    ):
        raise InputError(
            f"A map of shape {similarity.shape} and ranked maps of shape {best_maps.shape} cannot "
            "be drawn: give one [h, w], the others [m, h, w], a score for each of these or none."
        )
    if not (0 <= position[0] < height and 0 <= position[1] < width):
        raise InputError(
            f"Position {position} lies outside the template of {height} x {width} pixels."
        )
    rows = -(-len(best_maps) // _COLUMNS)
    figure = plots.new_figure(11, 2.4 + 1.6 * rows)
    top, bottom = figure.subfigures(2, 1, height_ratios=(2.4, max(1.6 * rows, 0.01)))
    axes = top.subplots(1, 3)
    _show(axes[0], template, "template: the position")
    axes[0].plot(position[1], position[0], "+", color="white", markersize=18, markeredgewidth=4)
    axes[0].plot(position[1], position[0], "+", color=plots.RED, markersize=16, markeredgewidth=2)
    _show(axes[1], frame, "current frame: the best match")
    _mark_peak(axes[1], similarity, frame.shape)
    _show(axes[2], frame, "its similarity map")
    drawn = _overlay(axes[2], similarity, frame.shape)
    top.colorbar(drawn, ax=axes, shrink=0.7, pad=0.01)
    if rows:
        _draw_ranked(bottom.subplots(rows, _COLUMNS, squeeze=False).flat, frame, best_maps, scores)
    plots.save(figure, path)


def _draw_ranked(axes: Sequence["Axes"], frame: np.ndarray, maps: np.ndarray, scores) -> None:
    for index, one in enumerate(axes):
        if index >= len(maps):
            one.set_axis_off()
            continue
        score = "" if scores is None else f", score {scores[index]:.3f}"
        _show(one, frame, f"rank {index + 1}{score}")
        _overlay(one, maps[index], frame.shape)


def _show(axes: "Axes", image: np.ndarray, title: str) -> None:
    axes.imshow(image)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _overlay(axes: "Axes", similarity: np.ndarray, shape: Sequence[int]):
    extent = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5)
    return axes.imshow(
        similarity, extent=extent, cmap="inferno", alpha=0.75, interpolation="bilinear"
    )


def _mark_peak(axes: "Axes", similarity: np.ndarray, shape: Sequence[int]) -> None:
    row, column = np.unravel_index(similarity.argmax(), similarity.shape)
    y = (row + 0.5) * shape[0] / similarity.shape[0]
    x = (column + 0.5) * shape[1] / similarity.shape[1]
    axes.plot(x, y, "o", color="white", markersize=15, markerfacecolor="none", markeredgewidth=4)
    axes.plot(x, y, "o", color=plots.RED, markersize=15, markerfacecolor="none", markeredgewidth=2)
