"""The evaluation of a run follows the protocol and compiles once."""

import jax
import numpy as np
import pytest
import small_run

from ranet_jax.errors import InputError
from ranet_jax.evaluation import metrics
from ranet_jax.evaluation.davis import read_labels, read_split
from ranet_jax.inference import state
from ranet_jax.training import evaluator


@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    return small_run.write_data(tmp_path_factory.mktemp("data")) / "DAVIS"


def make(davis, model=None, **changes):
    changes = {"frames": 0} | changes
    changes = {f"eval__{name}": value for name, value in changes.items()}
    return evaluator.Evaluator(model, small_run.config(davis.parent, **changes))


class Still:
    """Says that nothing ever moves."""

    batches = []

    def __init__(self, model, params, *, size, frame_scale, devices):
        assert (params, size, frame_scale, devices) == ("weights", (32, 64), 1, jax.local_devices())

    def init(self, frame, mask):
        self.batches.append(len(frame))
        assert all(f.shape[:2] == m.shape for f, m in zip(frame, mask, strict=True))
        self.masks = mask

    def step(self, frame):
        pairs = zip(frame, self.masks, strict=True)
        return [None if one is None else mask for one, mask in pairs]


def expected_still(davis, names, frames):
    """J of the first mask in all frames but the first and the last."""
    videos = read_split(davis, "davis2016", "train", sequences=names)
    j = []
    for video in videos:
        truth = read_labels(video.annotations[: frames or None], "davis2016")
        still = np.broadcast_to(truth[0], truth[1:-1].shape)
        j.append(metrics.j_and_f(truth[1:-1], still, [1])[0].mean())
    return np.mean(j)


@pytest.mark.parametrize("frames", [4, 0])
def test_scores_are_those_of_the_protocol(davis, monkeypatch, frames):
    monkeypatch.setattr(evaluator, "Segmenter", Still)
    counted = []
    found = dict(make(davis, frames=frames)("weights", on_frame=counted.append))
    assert found["eval/J"] == pytest.approx(expected_still(davis, ("dog", "eel"), frames))
    assert set(found) == {"eval/J", "eval/F"}
    assert sum(counted) == (8 if frames else 6 + 5)


def test_every_batch_has_the_same_size(davis, monkeypatch):
    monkeypatch.setattr(evaluator, "Segmenter", Still)
    monkeypatch.setattr(Still, "batches", [])
    everything = make(davis, sequences=())
    scores = dict(everything("weights"))
    assert Still.batches == [3, 3], "five videos and one to fill up"
    all_five = small_run.TRAINED + small_run.HELD_OUT
    assert scores["eval/J"] == pytest.approx(expected_still(davis, all_five, 0))


def test_with_online_learning_videos_are_segmented_one_by_one(davis, monkeypatch):
    class Learning(Still):
        def __init__(self, *given, iterations, learning_rate, batch_size, progress, **sizes):
            assert (iterations, learning_rate, batch_size, progress) == (3, 1e-6, 1, False)
            super().__init__(*given, **sizes)

    monkeypatch.setattr(evaluator, "OnlineSegmenter", Learning)
    monkeypatch.setattr(Still, "batches", [])
    config = small_run.config(davis.parent, online__iterations=3, eval__frames=4)
    found = dict(evaluator.Evaluator(None, config)("weights"))
    assert Still.batches == [1, 1]
    assert found["eval/J"] == pytest.approx(expected_still(davis, ("dog", "eel"), 4))


def test_processes_share_sequences_and_get_the_same(davis, monkeypatch):
    monkeypatch.setattr(evaluator, "Segmenter", Still)
    alone = dict(make(davis, sequences=())("weights"))
    tables = []

    def gather(table):
        tables.append(table)
        return np.stack(tables)

    monkeypatch.setattr(evaluator.multihost_utils, "process_allgather", gather)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for index in range(2):
        monkeypatch.setattr(jax, "process_index", lambda: index)  # noqa: B023
        together = dict(make(davis, sequences=())("weights"))
    assert together == alone, "the last process to tell knows everything"
    shares = [(table[:, 2] > 0).tolist() for table in tables]
    assert shares == [[True, False, True, False, True], [False, True, False, True, False]]


def test_a_run_compiles_it_once(davis, small):
    """And the network sees frames at the size it is trained at, whatever theirs is."""
    model, params = small()
    evaluate = make(davis, model, frames=3, sequences=("cat", "dog", "eel"))
    first = dict(evaluate(params))
    compiled = state.start._cache_size(), state.advance._cache_size()
    assert dict(evaluate(params)) == first
    dict(evaluate(jax.tree.map(lambda leaf: np.asarray(leaf) * np.float32(1.5), params)))
    assert (state.start._cache_size(), state.advance._cache_size()) == compiled
    assert all(0 <= value <= 1 for value in first.values())


def test_what_cannot_be_scored_is_refused_at_once(davis, tmp_path):
    with pytest.raises(InputError, match="cut to 2 frames"):
        make(davis, frames=2)
    with pytest.raises(InputError, match="no sequence"):
        make(davis, sequences=("cow",))
    only = tmp_path / "DAVIS"
    only.mkdir()
    for part in ("Annotations", "ImageSets"):
        (only / part).symlink_to(davis / part)
    with pytest.raises(InputError, match="no frames under JPEGImages"):
        make(only)
