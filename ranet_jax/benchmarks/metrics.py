"""How fast scoring is: `python -m ranet_jax.benchmarks.metrics [--root DAVIS]`.

Times J and F together, for sequences that are in memory already, with every process on its own
ones. With `--root`, also for annotations of DAVIS-2016, from memory and from files.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from ranet_jax.errors import InputError
from ranet_jax.evaluation import metrics
from ranet_jax.evaluation.davis import Video, read_labels, read_split
from ranet_jax.evaluation.machine import hardware, usable_cores

_HEIGHT, _WIDTH, _FRAMES = 480, 854, 32
_REPEATS = 5

# Ground truth, prediction, ids.
Case = tuple[np.ndarray, np.ndarray, list[int]]


def ellipses(objects: int) -> list[Case]:
    """Drifting ellipses that together cover about a seventh of a frame, [32, 480, 854]."""
    rows, columns = np.mgrid[:_HEIGHT, :_WIDTH]
    labels = np.zeros((_FRAMES, _HEIGHT, _WIDTH), np.uint8)
    shrink = objects**-0.5
    for time_step in range(_FRAMES):
        for index in range(objects):
            y = _HEIGHT * (0.5 if objects == 1 else 0.3 + 0.4 * (index % 2))
            x = _WIDTH * (index + 0.5) / objects + time_step
            inside = ((rows - y) / (120 * shrink)) ** 2 + ((columns - x) / (150 * shrink)) ** 2 < 1
            labels[time_step][inside] = index + 1
    return [(labels, _shifted(labels), list(range(1, objects + 1)))]


def davis(root: Path) -> list[Case]:
    """Annotations of the training split, one object each."""
    sequences = [read_labels(v.annotations, "davis2016") for v in davis_files(root)]
    return [(labels, _shifted(labels), [1]) for labels in sequences]


def davis_files(root: Path) -> list[Video]:
    """The training split, with its annotations still in files."""
    return read_split(root, "davis2016", "train")


def _shifted(labels: np.ndarray) -> np.ndarray:
    return np.roll(labels, (3, 5), (1, 2))


def _work(
    make: Callable[[], list], score: Callable[[list], int], barrier: Barrier, results: Queue
) -> None:
    prepared = make()
    score(prepared)
    barrier.wait()
    started = time.perf_counter()
    frames = sum(score(prepared) for _ in range(_REPEATS))
    results.put((frames, time.perf_counter() - started))


def frames_a_second(make: Callable, score: Callable, processes: int) -> float:
    """Throughput of `score` over what `make` returns, summed over processes that start together."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=_work, args=(make, score, barrier, results))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return sum(frames / seconds for frames, seconds in found)


def score_arrays(prepared: Sequence[Case]) -> int:
    """Scores label maps; returns the number of frames."""
    for ground_truth, prediction, objects in prepared:
        metrics.j_and_f(ground_truth, prediction, objects)
    return sum(len(ground_truth) for ground_truth, _, _ in prepared)


def score_files(videos: Sequence[Video]) -> int:
    """Reads both sides from PNG files and scores them; returns the number of frames."""
    for video in videos:
        sides = [read_labels(video.annotations, "davis2016") for _ in range(2)]
        metrics.j_and_f(*sides, [1])
    return sum(len(video.stems) for video in videos)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints one line a case."""
    parser = argparse.ArgumentParser(prog="python -m ranet_jax.benchmarks.metrics")
    parser.add_argument("--root", type=Path, help="folder of a DAVIS package with a train split")
    parser.add_argument("--processes", type=int, default=usable_cores())
    arguments = parser.parse_args(argv)
    machine = hardware()
    print(f"{machine['processor']}, {arguments.processes} processes, {_WIDTH}x{_HEIGHT}")
    cases = [
        (f"ellipses in memory, {n} objects", partial(ellipses, n), score_arrays)
        for n in (1, 2, 4, 8)
    ]
    if arguments.root:
        try:
            davis_files(arguments.root)
        except InputError as error:
            parser.error(str(error))
        cases.append(
            ("DAVIS train in memory, 1 object", partial(davis, arguments.root), score_arrays)
        )
        cases.append(
            ("DAVIS train from PNGs, 1 object", partial(davis_files, arguments.root), score_files)
        )
    for name, make, score in cases:
        print(f"{name}: {frames_a_second(make, score, arguments.processes):,.0f} frames a second")


if __name__ == "__main__":
    main()
