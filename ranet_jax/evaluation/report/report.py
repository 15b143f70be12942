"""`ranet report`: the tables of the paper with ours beside, and how much ours differ."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ranet_jax.evaluation import results
from ranet_jax.evaluation.report import differences, paper_tables, plots
from ranet_jax.evaluation.report.run import Run
from ranet_jax.evaluation.report.tables import Row, Table
from ranet_jax.io.atomic import write_text

_TABLE_4_COLUMNS = {"rank": "w/ RAM", "none": "w/o Ranking", "max": "Maximum"}


def tables(runs: Sequence[Run]) -> list[Table]:
    """The paper's Tables 1 to 6, with the runs that belong into each."""
    return [make(runs) for make in (_table_1, _table_2, _table_3, _table_4, _table_5, _table_6)]


def _full(runs: Sequence[Run], dataset: str) -> list[Run]:
    """Runs of the whole network, however trained last."""
    return [
        r
        for r in runs
        if r.dataset == dataset and r.ranking == "rank" and not set(r.ablations) - {"-VF"}
    ]


def _measures(run: Run, names: Sequence[str]) -> tuple[float | None, ...]:
    return tuple(run.percent.get(name) for name in names)


def _table_1(runs: Sequence[Run]) -> Table:
    rows = [
        Row(r.method, ("yes" if r.online else "no", r.milliseconds, *r[3:]))
        for r in paper_tables.TABLE_1
    ]
    for run in _full(runs, "davis2016"):
        if run.split != "trainval":
            online = "yes" if run.iterations else "no"
            values = _measures(run, results.GLOBAL_COLUMNS)
            rows.append(Row(run.label, (online, run.milliseconds, *values), ours=True))
    columns = ("Online learning", "Time (ms)", *_spelled(results.GLOBAL_COLUMNS))
    return Table(1, "Methods on DAVIS-2016 val", columns, rows)


def _spelled(names: Sequence[str]) -> list[str]:
    return [name.replace("-", " ") for name in names]


def _table_2(runs: Sequence[Run]) -> Table:
    measures = ("J-Mean", "J-Recall", "J-Decay")
    rows = [Row(r.method, tuple(r[1:])) for r in paper_tables.TABLE_2]
    for run in _full(runs, "davis2016"):
        if run.split == "trainval":
            rows.append(Row(run.label, _measures(run, measures), ours=True))
    caption = "Without video fine-tuning, on DAVIS-2016 trainval"
    return Table(2, caption, tuple(_spelled(measures)), rows)


def _table_3(runs: Sequence[Run]) -> Table:
    rows = [Row(r.method, ("yes" if r.online else "no", *r[2:])) for r in paper_tables.TABLE_3]
    ours: dict[str, tuple[str, list[Any]]] = {}
    for run in _full(runs, "davis2017"):
        # Val and test-dev results of the same checkpoint share a row.
        key = run.label if run.note else run.checkpoint or run.label
        empty = ["yes" if run.iterations else "no", *[None] * 4]
        _, cells = ours.setdefault(key, (run.label, empty))
        start = 3 if run.split == "test-dev" else 1
        cells[start : start + 2] = _measures(run, ("J&F-Mean", "J-Mean"))
    rows += [Row(label, tuple(cells), ours=True) for label, cells in ours.values()]
    columns = (
        "Online learning",
        "val J&F Mean",
        "val J Mean",
        "test-dev J&F Mean",
        "test-dev J Mean",
    )
    return Table(3, "Methods on DAVIS-2017", columns, rows)


def _spread(
    runs: Sequence[Run], columns: Sequence[str], column_of: Callable[[Run], str | None]
) -> tuple[list[Row], list[str]]:
    """Puts the J means of comparable runs side by side; a cell that is taken starts another row."""
    rows: list[tuple[str, dict[str, Run]]] = []
    for run in runs:
        column = column_of(run)
        if column is None:
            continue
        free = (cells for group, cells in rows if group == run.group and column not in cells)
        cells = next(free, None)
        if cells is None:
            cells = {}
            rows.append((run.group, cells))
        cells[column] = run
    # A run of the full network on some other split belongs here only beside an ablation on that
    # split.
    rows = [
        (group, cells)
        for group, cells in rows
        if set(cells) - {columns[0]} or not cells[columns[0]].note
    ]
    filled, notes = [], []
    for number, (_, cells) in enumerate(rows, 1):
        any_run = next(iter(cells.values()))
        label = f"ours {number}" if len(rows) > 1 else "ours"
        label += f" ({any_run.note})" if any_run.note else ""
        values = (cells[c].percent.get("J-Mean") if c in cells else None for c in columns)
        filled.append(Row(label, tuple(values), ours=True))
        notes.append(
            f"{label}: " + ", ".join(f"{c} = {cells[c].name}" for c in columns if c in cells)
        )
    return filled, notes


def _offline_2016(run: Run) -> bool:
    network = not run.iterations and not run.baseline
    return run.dataset == "davis2016" and run.split != "trainval" and network


def _table_4(runs: Sequence[Run]) -> Table:
    def column_of(run: Run) -> str | None:
        plain = _offline_2016(run) and not run.ablations
        return _TABLE_4_COLUMNS.get(run.ranking) if plain else None

    columns = tuple(paper_tables.TABLE_4)
    ours, notes = _spread(runs, columns, column_of)
    rows = [Row("RANet", tuple(paper_tables.TABLE_4.values())), *ours]
    return Table(4, "Ranking attention: J Mean on DAVIS-2016 val", columns, rows, notes)


def _table_5(runs: Sequence[Run]) -> Table:
    def column_of(run: Run) -> str | None:
        # Without correlation there is nothing to rank, whatever the setting says.
        if not _offline_2016(run) or (run.ranking != "rank" and "-CL" not in run.ablations):
            return None
        return {0: "origin", 1: "".join(run.ablations)}.get(len(run.ablations))

    columns = tuple(paper_tables.TABLE_5["RANet"])
    ours, notes = _spread(runs, columns, column_of)
    rows = [Row(name, tuple(cells.values())) for name, cells in paper_tables.TABLE_5.items()]
    caption = (
        "Without correlation (CL), previous mask (PM), static-image pre-training (IP) or video "
        "fine-tuning (VF): J Mean on DAVIS-2016 val"
    )
    return Table(5, caption, columns, [*rows, *ours], notes)


def _table_6(runs: Sequence[Run]) -> Table:
    rows = [
        Row("RANet" if i else "RANet, offline", (None if i else "0", seconds, accuracy))
        for i, (seconds, accuracy) in enumerate(paper_tables.TABLE_6)
    ]
    full = _full(runs, "davis2016")
    mine = [run for run in full if run.split != "trainval" and not run.baseline]
    groups = [run.group for run in mine]
    for run in sorted(mine, key=lambda run: (groups.index(run.group), run.iterations)):
        seconds = None if run.milliseconds is None else run.milliseconds / 1000
        cells = (str(run.iterations), seconds, run.percent.get("J&F-Mean"))
        rows.append(Row(run.label, cells, ours=True))
    columns = ("Online iterations", "Time (s a frame)", "J&F Mean")
    return Table(6, "Online learning on DAVIS-2016 val", columns, rows)


def write_report(runs: Sequence[Run], out: Path) -> Path:
    """Writes `report.md`, all tables and differences with a plot of each; returns its path."""
    made = tables(runs)
    drawn = plots.plot_tables(made, out / "plots")
    parts = [
        "# Results beside those of the RANet paper",
        "Wang et al., ICCV 2019. Percent; rows in bold are ours, all others as published. An empty "
        "cell was not published or not run.",
    ]
    if any(run.note for run in runs):
        parts.append(
            "Rows that name another split, or some sequences of one, are not comparable with the "
            "paper's."
        )
    for table in made:
        parts.append(table.markdown())
        parts.append(f"![Table {table.number}]({drawn[table.number].relative_to(out).as_posix()})")
    for number, comparison in enumerate(differences.compare(runs), 1):
        plot = out / "plots" / f"differences{number}.png"
        plots.plot_differences(comparison, plot)
        parts.append(comparison.table().markdown())
        parts.append(f"![Differences {number}]({plot.relative_to(out).as_posix()})")
    path = out / "report.md"
    write_text(path, "\n\n".join(parts) + "\n")
    return path
