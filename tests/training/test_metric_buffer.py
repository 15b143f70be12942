import json

import jax
import numpy as np
import pytest

from ranet_jax.errors import InputError
from ranet_jax.training.metric_buffer import MetricBuffer, NotFiniteError
from ranet_jax.training.train_step import TrainMetrics


def metrics(loss: float, gradient_norm: float = 1.0) -> TrainMetrics:
    values = {"loss": loss, "iou": 0.5, "gradient_norm": gradient_norm}
    return TrainMetrics.single_from_model_output(**jax.tree.map(np.float32, values))


def names(batch: int) -> list[str]:
    return [f"image{2 * batch}.jpg", f"image{2 * batch + 1}.jpg"]


def test_a_line_is_the_mean_since_the_last_one():
    buffer = MetricBuffer(names)
    for step, loss in enumerate((1.0, 2.0, 6.0), 1):
        buffer.add(step, metrics(loss))
    assert buffer.mean() == {"loss": 3.0, "iou": 0.5, "gradient_norm": 1.0}
    assert len(buffer) == 0
    buffer.add(4, metrics(7.0))
    assert buffer.mean()["loss"] == 7.0


def test_a_buffer_goes_on_from_json_to_the_bit():
    losses = np.random.default_rng(0).random(7)
    whole, first, second = (MetricBuffer(names) for _ in range(3))
    for step, loss in enumerate(losses, 1):
        whole.add(step, metrics(loss))
        (first if step <= 4 else second).add(step, metrics(loss))
        if step == 4:
            second.from_json(json.loads(json.dumps(first.to_json())))
    assert len(first) == 4, "writing it down changes nothing"
    assert second.mean() == whole.mean()


@pytest.mark.parametrize("poisoned", [metrics(np.nan), metrics(np.inf), metrics(1.0, np.nan)])
@pytest.mark.parametrize("ask", [MetricBuffer.check, MetricBuffer.mean, MetricBuffer.to_json])
def test_what_is_not_finite_is_told_with_step_and_examples(poisoned, ask):
    buffer = MetricBuffer(names)
    buffer.add(8, metrics(1.0))
    buffer.add(9, poisoned)
    buffer.add(10, metrics(np.nan))
    with pytest.raises(NotFiniteError, match="of step 9 is .*image16.jpg, image17.jpg"):
        ask(buffer)
    assert issubclass(NotFiniteError, InputError)


def test_it_looks_by_itself_before_the_names_are_forgotten():
    buffer = MetricBuffer(names)
    with pytest.raises(NotFiniteError, match="step 1 "):
        for step in range(1, 1000):
            buffer.add(step, metrics(np.nan))
    assert step == 500
