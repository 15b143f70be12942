"""Plots of the paper's tables with ours beside, and of the differences between ours."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ranet_jax.evaluation import plots
from ranet_jax.evaluation.report.differences import Comparison
from ranet_jax.evaluation.report.tables import Row, Table


def plot_tables(tables: Sequence[Table], out: Path) -> dict[int, Path]:
    """Draws each of Tables 1 to 6 into a PNG; returns the paths by table number."""
    drawn = {table.number: out / f"table{table.number}.png" for table in tables}
    for table in tables:
        path = drawn[table.number]
        if table.number == 1:
            _plot_speed(table, path)
        elif table.number in (2, 3):
            measure = "J Mean" if table.number == 2 else "val J Mean"
            _plot_methods(table, measure, path)
        elif table.number in (4, 5):
            _plot_variants(table, path)
        else:
            _plot_online(table, path)
    return drawn


def _plot_speed(table: Table, path: Path) -> None:
    times, accuracies = table.column("Time (ms)"), table.column("J&F Mean")
    ours = [
        (row.label, 1000 / time, accuracy)
        for row, time, accuracy in zip(table.rows, times, accuracies, strict=True)
        if row.ours and time and accuracy is not None
    ]
    plots.plot_speed(ours, f"Table {table.number}. {table.caption}", path)


def _plot_methods(table: Table, measure: str, path: Path) -> None:
    """Bars, one a method, ours in color."""
    online = dict.fromkeys(range(len(table.rows)), "")
    if "Online learning" in table.columns:
        online = dict(enumerate(table.column("Online learning")))
    found = [
        (row.label + (" +OL" if online[i] == "yes" else ""), value, row.ours)
        for i, (row, value) in enumerate(zip(table.rows, table.column(measure), strict=True))
        if value is not None
    ]
    found.sort(key=lambda item: item[1])
    figure = plots.new_figure(7, 1.2 + 0.3 * len(found))
    axes = figure.add_subplot()
    for place, (label, value, ours) in enumerate(found):
        color = plots.RED if ours else plots.BLUE if label.startswith("RANet") else "#b4bac2"
        axes.barh(place, value, color=color, height=0.7)
        axes.text(value + 0.6, place, f"{value:.1f}", va="center", fontsize=8)
    axes.set_yticks(range(len(found)), [label for label, _, _ in found], fontsize=8)
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"{measure} (%)")
    plots.tidy(axes, "x")
    axes.set_title(f"Table {table.number}. {table.caption}", loc="left", fontsize=11)
    plots.save(figure, path)


def _plot_variants(table: Table, path: Path) -> None:
    """Groups of bars, one group a variant, one bar a row."""
    figure = plots.new_figure(7.5, 4)
    axes = figure.add_subplot()
    colors = _row_colors(table.rows)
    width = 0.8 / len(table.rows)
    for index, (row, color) in enumerate(zip(table.rows, colors, strict=True)):
        places = np.arange(len(table.columns)) + (index - (len(table.rows) - 1) / 2) * width
        values = [np.nan if cell is None else cell for cell in row.cells]
        label = row.label if row.ours else f"{row.label} (paper)"
        axes.bar(places, values, width * 0.92, color=color, label=label)
        for place, value in zip(places, values, strict=True):
            if np.isfinite(value):
                axes.text(place, value + 0.8, f"{value:.1f}", ha="center", fontsize=7)
    axes.set_xticks(range(len(table.columns)), table.columns)
    axes.set_ylim(0, 100)
    axes.set_ylabel("J Mean (%)")
    plots.tidy(axes, "y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False, fontsize=8)
    title = table.caption.split(":")[0] if len(table.caption) > 60 else table.caption
    axes.set_title(
        f"Table {table.number}. {title}", loc="left", fontsize=9 if ":" not in title else 11
    )
    plots.save(figure, path)


def _row_colors(rows: Sequence[Row]) -> list[str]:
    mine = iter((plots.RED, "#e9a23b", plots.GREEN, "#7a5195") * len(rows))
    return [
        next(mine) if row.ours else plots.BLUE if row.label == "RANet" else "#b4bac2"
        for row in rows
    ]


def _plot_online(table: Table, path: Path) -> None:
    """Accuracy against time: what online learning buys."""
    figure = plots.new_figure(7, 4)
    axes = figure.add_subplot()
    times, accuracies = table.column("Time (s a frame)"), table.column("J&F Mean")
    points = [
        (row, time, accuracy)
        for row, time, accuracy in zip(table.rows, times, accuracies, strict=True)
        if time is not None and accuracy is not None
    ]
    paper = [(time, accuracy) for row, time, accuracy in points if not row.ours]
    axes.plot(*zip(*paper, strict=True), "o-", color=plots.BLUE, label="RANet (paper)")
    for row, time, accuracy in points:
        if row.ours:
            axes.plot(time, accuracy, "*", color=plots.RED, markersize=13)
            text = f"{row.label}, {row.cells[0]} iterations"
            axes.annotate(
                text,
                (time, accuracy),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
    if any(row.ours for row, _, _ in points):
        axes.plot([], [], "*", color=plots.RED, markersize=11, label="ours")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.25, y=0.15)
    axes.set_xlabel("seconds a frame")
    axes.set_ylabel("J&F Mean (%)")
    plots.tidy(axes)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(f"Table {table.number}. {table.caption}", loc="left", fontsize=11)
    plots.save(figure, path)


def plot_differences(comparison: Comparison, path: Path) -> None:
    """A point and its interval for each network, beside a line for what it is compared with."""
    found = comparison.differences
    figure = plots.new_figure(7, 1.2 + 0.3 * len(found))
    axes = figure.add_subplot()
    axes.axvline(0, color=plots.GRAY, linewidth=1)
    for place, one in enumerate(reversed(found)):
        axes.plot((one.low, one.high), (place, place), color=plots.BLUE, linewidth=2)
        axes.plot(one.points, place, "o", color=plots.BLUE)
    axes.set_yticks(range(len(found)), [one.label for one in reversed(found)], fontsize=8)
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.set_xlabel(f"J&F Mean, difference from {comparison.reference} (points)")
    plots.tidy(axes, "x")
    axes.set_title(comparison.caption, loc="left", fontsize=11)
    plots.save(figure, path)
