"""What `ranet train --dry-run` prints: what would be trained, and on what."""

from collections.abc import Iterator

import jax
from clu import parameter_overview

from data_pipelines.pipeline import open_sources
from ranet_jax.models.initialization import abstract_params
from ranet_jax.training.config import TrainConfig


def describe(config: TrainConfig) -> Iterator[str]:
    """Settings, parameters, data and batch of a config that `checks.check` has passed, as lines."""
    # The settings in the words of an override, ready to be copied.
    yield from (f"{name} = {value!r}" for name, value in config.flat())
    yield ""
    yield from _parameters(config)
    yield ""
    yield from _data(config)
    yield from _batch(config)
    yield "Nothing was trained and nothing was written."


def _parameters(config: TrainConfig) -> Iterator[str]:
    params = abstract_params(config.network())
    for module, inside in params.items():
        yield f"{parameter_overview.count_parameters(inside):>12,}  {module}"
    yield f"{parameter_overview.count_parameters(params):>12,}  parameters"


def _data(config: TrainConfig) -> Iterator[str]:
    total = sum(weight for _, weight in config.data.sets)
    for (name, weight), (source, _) in zip(
        config.data.sets, open_sources(config.data), strict=True
    ):
        frames = sum(source.lengths)
        passes = config.steps * config.data.batch_size * weight / total / frames
        videos = f" in {len(source.videos)} videos" if source.videos else ""
        yield (
            f"{frames:>12,}  images{videos} of {config.data.in_root(name)}, {weight / total:.0%} "
            f"of all examples, {passes:.3g} times through"
        )


def _batch(config: TrainConfig) -> Iterator[str]:
    devices, parts = jax.device_count(), config.optimizer.grad_accum_steps
    size = config.data.batch_size
    kind = jax.devices()[0].device_kind
    yield (
        f"{size:>12,}  examples a step: {size // (devices * parts)} at a time on each of {devices} "
        f"device{'s' * (devices > 1)} ({kind})"
    )
    yield f"{config.steps:>12,}  steps"
