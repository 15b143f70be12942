"""The measurement runs; how fast is for its reader to judge."""

from functools import partial

import numpy as np

from ranet_jax.benchmarks import metrics as metrics_bench


def test_throughput_is_summed_over_processes():
    rate = metrics_bench.frames_a_second(partial(range, 3), len, processes=2)
    assert rate > 0


def test_cases_hold_the_objects_they_name():
    ((ground_truth, prediction, ids),) = metrics_bench.ellipses(4)
    assert ids == [1, 2, 3, 4] == [int(i) for i in np.unique(ground_truth) if i]
    assert ground_truth.shape == prediction.shape == (32, 480, 854)
    assert (ground_truth != prediction).any()
