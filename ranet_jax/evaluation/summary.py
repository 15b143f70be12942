"""What an evaluation says at its end: tables, `results.json`, plots, or an archive to submit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ranet_jax.errors import InputError, listed
from ranet_jax.evaluation import plots, results, scoring
from ranet_jax.evaluation.davis import Video
from ranet_jax.evaluation.scoring import Scores
from ranet_jax.io.json_files import write_json


def describe_speed(timing: results.Timing, batch: int) -> dict[str, Any] | None:
    """Speed for `results.json`, with what was timed; None if nothing was."""
    if not timing.frames or not timing.seconds:
        return None
    seconds = timing.seconds / timing.frames
    timed = (
        "Segmenter.step, from decoded frames to label maps on the host, per process; the first "
        "step of each group of videos, which may compile, is left out"
    )
    online = {}
    if timing.online_seconds:
        seconds += timing.online_seconds / timing.segmented
        online = {
            "online_seconds": timing.online_seconds,
            "online_milliseconds_per_frame": 1000 * timing.online_seconds / timing.segmented,
        }
        timed += "; and online learning without its compilation, spread over all frames but "
        timed += "the first"
    return {
        "milliseconds_per_frame": 1000 * seconds,
        "frames_per_second": 1 / seconds,
        "timed_frames": timing.frames,
        "batch": batch,
        **online,
        "timed": timed,
    }


def write_submission(
    videos: Sequence[Video], predictions: Path, about: Mapping[str, Any], out: Path
) -> str:
    """Packs predictions of sequences without public annotations for the challenge server.

    Args:
        videos: of a split; their predictions are in `predictions / video.name`.
        predictions: folder of predictions.
        about: what `results.json` says.
        out: folder for the archive and `results.json`.

    Returns:
        A sentence for the terminal.

    Raises:
        InputError: some of the sequences are annotated in full, or predictions are missing.
    """
    if partly := [video.name for video in videos if video.annotated]:
        raise InputError(
            f"Some sequences of the {about['split']} split have all annotations "
            f"({listed(partly)}) and others only the first: evaluate the two kinds apart, with "
            "--sequences."
        )
    archive = out / "submission.zip"
    out.mkdir(parents=True, exist_ok=True)
    scoring.zip_predictions(videos, predictions, archive)
    write_json(out / "results.json", {**about, "global": None, "per_sequence": []})
    return f"{len(videos)} sequences without public annotations: {archive} is ready for the server."


def summarize(scores: Mapping[str, Scores], about: Mapping[str, Any], out: Path) -> str:
    """Writes tables, `results.json` and plots of scored sequences.

    Args:
        scores: by sequence, in order.
        about: what else `results.json` says; name, dataset and split at least.
        out: folder to write to.

    Returns:
        The tables, for the terminal.
    """
    rows = results.sequence_rows(scores)
    overall = results.global_row(scores)
    unscored = [name for name, s in scores.items() if not s.j.shape[1]]
    results.write_csv(out / "per_sequence.csv", results.SEQUENCE_COLUMNS, rows)
    results.write_csv(out / "global.csv", tuple(overall), [tuple(overall.values())])
    per_sequence = [dict(zip(results.SEQUENCE_COLUMNS, row, strict=True)) for row in rows]
    write_json(
        out / "results.json",
        {**about, "global": overall, "per_sequence": per_sequence, "too_short": unscored},
    )
    title = f"{about['name']} on {about['dataset']} {about['split']}"
    plots.plot_sequences(rows, title, out / "plots" / "sequences.png")
    plots.plot_over_time(scores, title, out / "plots" / "over_time.png")
    speed = about.get("speed")
    if speed and about["dataset"] == "davis2016":
        point = (title, speed["frames_per_second"], 100 * overall["J&F-Mean"])
        plots.plot_speed(
            [point],
            "Accuracy against speed, DAVIS-2016 val where published",
            out / "plots" / "speed.png",
        )
    parts = [
        results.format_table(results.SEQUENCE_COLUMNS, rows),
        results.format_table(tuple(overall), [tuple(overall.values())]),
    ]
    if speed:
        adapting = speed.get("online_milliseconds_per_frame")
        online = f", {adapting:.1f} of them for online learning" if adapting else ""
        each = f"{speed['milliseconds_per_frame']:.1f} ms a frame{online}"
        parts.append(f"{each}, {speed['batch']} in flight")
    if unscored:
        parts.append(f"Too short to be scored (three frames are needed): {', '.join(unscored)}")
    return "\n\n".join(parts)
