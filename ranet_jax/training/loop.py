"""A run: as many steps as the config says, with a log, checkpoints, and a way to go on.

Batch k of the data trains step k + 1, whatever was interrupted: a run that was killed goes on from
its last checkpoint exactly as if nothing had happened.
"""

import functools
import itertools
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from data_pipelines import pipeline
from data_pipelines.loader import Loader, prefetch_to_devices
from ranet_jax.checkpoints import checkpoint, state_io
from ranet_jax.checkpoints.manager import FOLDER, RunCheckpoints
from ranet_jax.models.initialization import abstract_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training import config as configs
from ranet_jax.training import train_step as train
from ranet_jax.training.evaluator import HeldOut
from ranet_jax.training.hooks import Between, Intervals
from ranet_jax.training.metric_buffer import Window
from ranet_jax.training.metric_writer import Log
from ranet_jax.training.optimizer import make_optimizer, rate_at
from ranet_jax.training.preemption import PreemptionGuard, Stopped
from ranet_jax.training.workdir import claim


def run(config: ConfigDict, workdir: Path | str) -> None:
    """Trains as a config says, and goes on where an earlier run in the same folder stopped.

    Of several processes each calls this, with the same config and a folder that all of them see.

    Writes `config.json`, `metrics.jsonl`, `curve.png`, `pictures/` and `checkpoints/STEP`.
    `ranet_jax.load` reads a checkpoint, and of the folder itself the best one.

    Args:
        config: see `experiment.config`.
        workdir: the folder of the run.

    Raises:
        InputError: the config cannot be trained, the folder holds another experiment or cannot be
            written to, too many training images are unreadable, or a loss is not finite.
        Stopped: SIGTERM came; what is needed to go on after the current step was saved.
    """
    configs.check(config)
    workdir = claim(Path(workdir), config.to_dict())
    with ExitStack() as stack:
        stop = stack.enter_context(PreemptionGuard())
        loader = stack.enter_context(closing(_open_loader(config)))
        checkpoints = stack.enter_context(
            RunCheckpoints(workdir / FOLDER, keep=configs.log_arguments(config)["keep"])
        )
        model, state, window = _start(config, checkpoints, loader)
        log = stack.enter_context(_open_log(config, workdir, int(state.step)))
        log.overview(state.params)
        state = _place(state)
        between = Between(
            workdir=workdir,
            steps=config.steps,
            intervals=_intervals(config),
            examples=config.data.batch_size,
            rate=_rate(config),
            settings=_settings(config, model),
            predict=_predict(config, model),
            held_out=_held_out(config, model),
            checkpoints=checkpoints,
            log=log,
            window=window,
            stop=stop,
        )
        _train(_step(config, model), state, loader, between)


def _train(step: train.Step, state: train.TrainState, loader: Loader, between: Between) -> None:
    """The loop itself."""
    done = int(state.step)
    between.before(done, state)
    batches = prefetch_to_devices(loader, jax.local_devices())
    for batch, position in itertools.islice(batches, between.steps - done):
        state, measured = step(state, batch)
        done += 1
        if between.after(done, state, measured, batch, position):
            break
    if done < between.steps:
        raise Stopped


def _start(
    config: ConfigDict, checkpoints: RunCheckpoints, loader: Loader
) -> tuple[RANet, train.TrainState, Window]:
    """The network with the state to go on from; sets the loader's position."""
    window = Window(loader.names)
    create = functools.partial(
        train.create_state, optimizer=_optimizer(config), **configs.state_arguments(config)
    )
    if checkpoints.latest is None:
        model, params = configs.initial_params(config)
        return model, create(params), window
    model = configs.model_of(config)
    like = jax.eval_shape(create, abstract_params(model))
    state, saved = state_io.restore(checkpoints, checkpoints.latest, like)
    loader.set_state(saved.iterator)
    window.from_json(saved.log)
    return model, state, window


def _place(state: train.TrainState) -> train.TrainState:
    """The state where a step leaves it: from elsewhere the first two steps would both compile."""
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()), (train.AXIS,))
    return jax.device_put(state, NamedSharding(mesh, PartitionSpec()))


def _open_loader(config: ConfigDict) -> Loader:
    return pipeline.open_loader(
        **configs.loader_arguments(
            config,
            local_devices=jax.local_device_count(),
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
    )


def _open_log(config: ConfigDict, workdir: Path, first: int) -> Log:
    active = jax.process_index() == 0
    return Log(workdir, name=config.name, first=first, steps=config.steps, active=active)


def _optimizer(config: ConfigDict):
    return make_optimizer(**configs.optimizer_arguments(config))


def _step(config: ConfigDict, model: RANet) -> train.Step:
    return train.make_step(model, _optimizer(config), **configs.step_arguments(config))


def _rate(config: ConfigDict):
    arguments = configs.optimizer_arguments(config)
    names = ("learning_rate", "steps", "warmup_steps", "schedule")
    return functools.partial(rate_at, **{name: arguments[name] for name in names})


def _predict(config: ConfigDict, model: RANet):
    augmentation = pipeline.augmentation_settings(config.augment, config.data)
    return functools.partial(train.predict, model, **augmentation)


def _held_out(config: ConfigDict, model: RANet) -> HeldOut | None:
    arguments = configs.held_out_arguments(config)
    if arguments is None:
        return None
    del arguments["every"]
    size = config.data.height, config.data.width
    return HeldOut(model, size=size, frame_scale=config.data.frame_scale, **arguments)


def _intervals(config: ConfigDict) -> Intervals:
    log, held_out = configs.log_arguments(config), configs.held_out_arguments(config)
    return Intervals(
        every=log["every"],
        pictures=log["pictures"],
        checkpoint=log["checkpoint"],
        held_out=held_out["every"] if held_out else 0,
    )


def _settings(config: ConfigDict, model: RANet) -> Mapping[str, Any]:
    """What a checkpoint says of itself, see `checkpoint.read_settings`."""
    return {
        "model": checkpoint.settings_of(model),
        "trained": True,
        **configs.provenance(config),
    }
