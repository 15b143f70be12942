"""Runs a segmenter over a split, scores predictions, and resumes where it stopped."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ranet_jax.errors import InputError
from ranet_jax.evaluation import results, scoring
from ranet_jax.evaluation.batches import group_videos, segment_group
from ranet_jax.evaluation.davis import Dataset, Video
from ranet_jax.evaluation.scoring import Scores
from ranet_jax.inference.tracking import VideoSegmenter
from ranet_jax.io.helper_process import helper_process
from ranet_jax.io.json_files import read_json, to_jsonable, write_json, write_record
from ranet_jax.io.threads import signals_wait


@dataclass(frozen=True)
class Shard:
    """Which part of the videos this process takes: every `count`-th, from `index` on."""

    index: int = 0
    count: int = 1
    wait: Callable[[], None] = lambda: None


def this_shard() -> Shard:
    """What this process takes where several JAX processes evaluate together."""
    import jax

    def wait() -> None:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("every process has segmented its videos")

    if jax.process_count() == 1:
        return Shard()
    return Shard(jax.process_index(), jax.process_count(), wait)


class _Folder:
    """What an evaluation has finished, in its folder, so that another run can resume from there."""

    def __init__(self, out: Path, predictions: Path | None = None) -> None:
        self.out = out
        self.predictions = predictions or out / "predictions"

    def timing(self, video: Video) -> Path:
        return self.out / "sequences" / f"{video.name}.timing.json"

    def scores(self, video: Video) -> Path:
        return self.out / "sequences" / f"{video.name}.scores.json"

    def inputs(self, video: Video) -> str | None:
        """Fingerprint of the files that the scores of a video come from."""
        files = [self.predictions / video.name / f"{stem}.png" for stem in video.scored_stems]
        try:
            return results.fingerprint([*video.annotations, *files])
        except OSError:
            return None

    def finished_scores(self, video: Video) -> Scores | None:
        inputs = self.inputs(video)
        if inputs is None:
            return None
        try:
            return results.read_scores(self.scores(video), video, inputs)
        except InputError as error:
            _say(f"{error} {video.name} is scored anew.")
            return None

    def segmented(self, video: Video) -> bool:
        """Whether all its predictions are there, and whole; says what is wrong with one."""
        try:
            if results.Timing.read_file(self.timing(video)) is None:
                return False
            problems = scoring.check(video, self.predictions, video.stems)
        except InputError as error:
            problems = [str(error)]
        for problem in problems:
            _say(f"{problem.rstrip('.')}. {video.name} is segmented anew.")
        return not problems


def reserve(out: Path, run: Mapping[str, Any]) -> None:
    """Reserves a folder for one run, or resumes it if it holds the same one.

    Args:
        out: folder of results.
        run: what the predictions depend on, as plain JSON values.
    Raises:
        InputError: if the folder holds another run, or its `run.json` is damaged.
    """
    path, run = out / "run.json", to_jsonable(run)
    before = read_json(path)
    if before is None:
        write_json(path, run)
        return
    if not isinstance(before, dict):
        raise InputError(f"{path} is damaged: give another folder to --out, or remove this one.")
    changed = [key for key in {**before, **run} if before.get(key) != run.get(key)]
    if changed:
        raise InputError(
            f"{out} holds an evaluation with another {', '.join(sorted(changed))}: give another "
            "folder to --out, or remove this one to start again."
        )


def segment_split(
    segmenter: VideoSegmenter,
    videos: Sequence[Video],
    dataset: Dataset,
    out: Path,
    *,
    batch: int = 1,
    processes: int = 1,
    shard: Shard = Shard(),  # noqa: B008
    progress: bool | None = None,
) -> None:
    """Segments the videos that are not finished yet, and scores each while the next ones run.

    Groups of videos run side by side; a group that was interrupted starts again, those before it
    do not.

    Args:
        segmenter: see `ranet_jax.Segmenter`.
        videos: the whole split, the same in every process.
        dataset: whose protocol to follow.
        out: folder of results; predictions go to its subfolder `predictions`.
        batch: videos in flight.
        processes: for scoring.
        shard: which of the videos are this process's.
        progress: whether to draw a progress bar; None for terminals only.
    Raises:
        InputError: for frames and first masks that cannot be used.
    """
    folder = _Folder(out)
    mine = list(videos)[shard.index :: shard.count]
    groups = group_videos(mine, batch, dataset)
    # A group runs as a whole or not at all: alone or in other company, rounding could differ.
    done = [group for group in groups if all(map(folder.segmented, group))]
    todo = [group for group in groups if group not in done]
    bar = tqdm(
        total=sum(len(video.frames) for video in mine),
        initial=sum(len(video.frames) for group in done for video in group),
        unit="frame",
        disable=None if progress is None else not progress,
    )
    with bar, _pool(processes) as pool:
        waiting = [_submit(pool, folder, video, dataset) for group in done for video in group]
        for group in todo:
            bar.set_postfix_str(", ".join(video.name for video in group))
            for video, timing in segment_group(
                segmenter, group, dataset, folder.predictions, on_frame=bar.update
            ):
                write_record(folder.timing(video), asdict(timing))
                if timing.online_seconds:
                    bar.write(f"{video.name}: {timing.online_seconds:.1f} s of online learning")
                waiting.append(_submit(pool, folder, video, dataset))
        for future in waiting:
            if future:
                future.result()
    shard.wait()


def score_split(
    videos: Sequence[Video],
    dataset: Dataset,
    out: Path,
    *,
    predictions: Path | None = None,
    processes: int = 1,
    progress: bool | None = None,
) -> dict[str, Scores]:
    """Scores predictions, taking from `out` what was scored before and has not changed since.

    Args:
        videos: of a split, annotated in full.
        dataset: whose protocol to follow.
        out: folder of results.
        predictions: folder with one folder of PNGs a video; by default `out / "predictions"`.
        processes: how many videos to score at once.
        progress: whether to draw a progress bar; None for terminals only.
    Returns:
        Scores by name, in the order of `videos`.
    Raises:
        InputError: listing every file that is missing or does not fit; what could be scored stays
            recorded.
    """
    folder = _Folder(out, predictions)
    found = {video.name: folder.finished_scores(video) for video in videos}
    problems = []
    with _pool(processes) as pool:
        jobs = {v.name: _submit(pool, folder, v, dataset) for v in videos if not found[v.name]}
        bar = tqdm(jobs.items(), unit="video", disable=None if progress is None else not progress)
        for name, job in bar:
            found[name], wrong = job.result() if job else (None, [])
            problems += wrong
    if problems:
        raise InputError(scoring.describe_problems(folder.predictions, problems))
    return found


@contextmanager
def _pool(processes: int) -> Iterator[Executor | None]:
    """Processes to score in; after an error they end what they are at and begin nothing more."""
    if processes <= 1:
        yield None
        return
    # A forked copy of a process that runs JAX's threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=helper_process)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # Of one that Ctrl-C, which does not wait, found between its start and its entry in the pool
        # the pool knows nothing: it would wait for work, and this process for its end.
        for process in multiprocessing.active_children():
            process.terminate()


def _submit(
    pool: Executor | None, folder: _Folder, video: Video, dataset: Dataset
) -> Future | None:
    """Starts the scoring of a video; None if there is nothing to score it against."""
    if not video.annotated:
        return None
    if pool:
        with signals_wait():
            return pool.submit(_score_and_record, folder, video, dataset)
    done: Future = Future()
    done.set_result(_score_and_record(folder, video, dataset))
    return done


def _score_and_record(
    folder: _Folder, video: Video, dataset: Dataset
) -> tuple[Scores | None, list[str]]:
    before = folder.finished_scores(video)
    if before:
        return before, []
    inputs = folder.inputs(video)
    scores, problems = scoring.score(video, folder.predictions, dataset)
    if scores:
        write_record(folder.scores(video), results.scores_to_json(video, scores, inputs))
    return scores, problems


def read_timing(videos: Sequence[Video], out: Path) -> results.Timing:
    """Time and frames of all videos together."""
    found = [results.Timing.read_file(_Folder(out).timing(video)) for video in videos]
    return results.Timing(
        **{
            field.name: sum(getattr(timing, field.name) for timing in found if timing)
            for field in fields(results.Timing)
        }
    )


def _say(text: str) -> None:
    """Above the progress bar, where there is one."""
    tqdm.write(text, file=sys.stderr)
