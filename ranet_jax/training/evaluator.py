"""J and F of videos that are not trained on, as a network under training segments them."""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from ranet_jax.array_typing import Params
from ranet_jax.errors import InputError
from ranet_jax.evaluation import batches, scoring
from ranet_jax.evaluation.davis import Video, read_split
from ranet_jax.evaluation.scoring import Scores
from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.models.ranet import RANet
from ranet_jax.training.config import TrainConfig
from ranet_jax.training.online_adaptation import OnlineSegmenter

MAX_TOGETHER = 4  # videos in a batch; more only to give every device one


class Evaluator:
    """Segments held-out sequences from their first masks and scores them by the protocol of DAVIS.

    The sequences are split over the processes of a run, which tell each other the scores. What it
    compiles serves the whole run.
    """

    def __init__(self, model: RANet, config: TrainConfig):
        """Finds the sequences; no frame is read yet.

        Args:
            model: the network.
            config: which sequences, the input size, and whether the network first learns on every
                first frame.

        Raises:
            InputError: something is missing, or there are too few frames or masks to score.
        """
        wanted = config.eval
        videos = read_split(
            config.eval_root, wanted.dataset, wanted.split, sequences=wanted.sequences or None
        )
        self._videos = [_shortened(video, wanted.frames or None) for video in videos]
        self._model, self._config, self._dataset = model, config, wanted.dataset
        for video in self._videos:
            _check(video)
        mine = self._videos[jax.process_index() :: jax.process_count()]
        one_each = config.online.iterations > 0  # the network learns on one first frame at a time
        most = 1 if one_each else max(MAX_TOGETHER, jax.local_device_count())
        # As many in each group as can be: every group is filled up to the same size.
        self._together = -(-len(mine) // -(-len(mine) // most)) if mine else 1
        self._groups = batches.group_videos(mine, self._together, self._dataset) if mine else []

    def __call__(
        self, params: Params, *, on_frame: Callable[[int], None] = lambda count: None
    ) -> Iterator[tuple[str, float]]:
        """Name and value of what is measured: `eval/J` and `eval/F`, means over objects.

        Every process has to ask, with the same parameters, and gets the same answer.

        Args:
            params: of the network.
            on_frame: told how many frames were finished; what it raises ends the evaluation.

        Raises:
            InputError: a frame or an annotation cannot be read.
        """
        mine = dict(self._scores(params, on_frame))
        # float32, as the processes tell each other: one gets what several get.
        table = np.zeros((len(self._videos), 3), np.float32)
        for row, video in zip(table, self._videos, strict=True):
            if video.name in mine:
                scores = mine[video.name]
                row[:] = scores.j.mean(axis=1).sum(), scores.f.mean(axis=1).sum(), len(scores.j)
        if jax.process_count() > 1:
            table = np.asarray(multihost_utils.process_allgather(table)).sum(axis=0)
        j, f, objects = table.sum(axis=0, dtype=np.float64)
        yield "eval/J", float(j / objects)
        yield "eval/F", float(f / objects)

    def _segmenter(self, params: Params) -> Segmenter:
        config, online = self._config, self._config.online
        given = {"size": config.size, "frame_scale": config.data.frame_scale}
        given["devices"] = jax.local_devices()
        if not online.iterations:
            return Segmenter(self._model, params, **given)
        given |= dataclasses.asdict(online)
        return OnlineSegmenter(self._model, params, progress=False, **given)

    def _scores(self, params: Params, on_frame) -> Iterator[tuple[str, Scores]]:
        filled = _Filled(self._segmenter(params), self._together)
        with tempfile.TemporaryDirectory() as folder:
            for group in self._groups:
                segmented = batches.segment_group(
                    filled, group, self._dataset, Path(folder), on_frame=on_frame
                )
                for video, _ in segmented:
                    scores, problems = scoring.score(video, Path(folder), self._dataset)
                    if scores is None:
                        raise InputError(scoring.describe_problems(Path(folder), problems))
                    yield video.name, scores


class _Filled:
    """A segmenter that is always given as many videos: another number would compile again."""

    def __init__(self, segmenter: Segmenter, count: int):
        self._segmenter, self._count = segmenter, count

    def init(self, frame: list, mask: list) -> None:
        self._missing = self._count - len(frame)
        self._segmenter.init(frame + frame[:1] * self._missing, mask + mask[:1] * self._missing)

    def step(self, frame: list) -> list:
        return self._segmenter.step(frame + [None] * self._missing)[: len(frame)]


def _shortened(video: Video, frames: int | None) -> Video:
    return dataclasses.replace(
        video,
        frames=video.frames[:frames],
        annotations=video.annotations[:frames],
        stems=video.stems[:frames],
    )


def _check(video: Video) -> None:
    if not video.frames:
        raise InputError(f"{video.name} has no frames under JPEGImages to evaluate on.")
    if not video.annotated:
        raise InputError(
            f"{video.name} has no annotations to evaluate with: leave it out of "
            "eval.sequences, or choose another eval.split."
        )
    if not video.scored_stems:
        raise InputError(
            f"{video.name} is cut to {len(video.stems)} frames, of which the first and the last do "
            "not count: give eval.frames of 3 or more."
        )
