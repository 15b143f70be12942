"""A run: as many steps as the config says, with a log and checkpoints to resume from.

Batch k of the data trains step k + 1, whatever was interrupted: a run that was killed resumes
from its last checkpoint exactly as if nothing had happened.
"""

import dataclasses
import functools
import itertools
from contextlib import ExitStack, closing
from pathlib import Path

import jax
import optax

from data_pipelines.loader import Loader, prefetch_to_devices
from data_pipelines.pipeline import open_loader
from ranet_jax.checkpoints.manager import FOLDER, RunCheckpoints
from ranet_jax.io.locks import locked
from ranet_jax.io.paths import absolute
from ranet_jax.models.initialization import abstract_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training import train_state, train_step
from ranet_jax.training.checks import check
from ranet_jax.training.config import TrainConfig
from ranet_jax.training.evaluator import Evaluator
from ranet_jax.training.hooks import Hooks
from ranet_jax.training.initialization import checkpoint_settings, initial_params
from ranet_jax.training.metric_buffer import MetricBuffer
from ranet_jax.training.metric_writer import Log
from ranet_jax.training.optimizer import make_optimizer, make_schedule
from ranet_jax.training.preemption import Preempted, PreemptionGuard
from ranet_jax.training.profiling import Profiler
from ranet_jax.training.workdir import reserve


def run(config: TrainConfig, workdir: Path | str, profile: range = range(0)) -> None:
    """Trains as a config says, or resumes the run that an earlier call left in the folder.

    Of several processes each calls this, with the same config and a folder that all of them see.

    Writes `config.json`, `metrics.jsonl`, `curve.png`, `images/` and `checkpoints/STEP`.
    `ranet_jax.load` reads a checkpoint, and of the folder itself the best one.

    Args:
        config: see `training.config`.
        workdir: the folder of the run.
        profile: steps to write a trace of, into the folder's `profile`.

    Raises:
        InputError: the config cannot be trained, the folder holds another experiment or cannot be
            written to, too many training images are unreadable, or a loss is not finite.
        Preempted: SIGTERM or SIGHUP came; what is needed to resume after the current step was
            saved.
    """
    check(config)
    with ExitStack() as stack:
        if jax.process_index() == 0:
            stack.enter_context(locked(absolute(workdir)))
        workdir = reserve(workdir, dataclasses.asdict(config))
        model = config.network()
        optimizer = make_optimizer(config.optimizer, config.steps)
        step = train_step.make_step(model, optimizer, config)
        profiler = stack.enter_context(closing(Profiler(profile, workdir)))
        preemption = stack.enter_context(PreemptionGuard())
        loader = stack.enter_context(closing(_open_loader(config)))
        checkpoints = stack.enter_context(RunCheckpoints(workdir / FOLDER, keep=config.log.keep))
        metrics = MetricBuffer(loader.names)
        state = _start(config, model, optimizer, checkpoints, loader, metrics)
        done = int(state.step)
        log = stack.enter_context(
            Log(
                workdir,
                name=config.name,
                first=done,
                steps=config.steps,
                active=jax.process_index() == 0,
            )
        )
        log.overview(state.params)
        state = train_step.replicate(state)
        step = dataclasses.replace(step, numbers=train_step.replicate(step.numbers))
        hooks = Hooks(
            config=config,
            workdir=workdir,
            schedule=make_schedule(config.optimizer, config.steps),
            settings=checkpoint_settings(config),
            predict=functools.partial(train_step.predict, model, **config.augmentation),
            evaluate=Evaluator(model, config) if config.eval.every else None,
            checkpoints=checkpoints,
            log=log,
            metrics=metrics,
            preemption=preemption,
        )
        hooks.before(done, state)
        batches = prefetch_to_devices(loader, jax.local_devices())
        for batch, position in itertools.islice(batches, config.steps - done):
            # Only what is asked for by name goes to the host or comes from there.
            with profiler.step(done + 1), jax.transfer_guard("disallow"):
                state, measured = step(state, batch)
            if jax.default_backend() == "cpu":
                # The next step would get memory of its own beside that of the one that still runs.
                jax.block_until_ready(state)
            done += 1
            profiler.finish(done, measured)
            if hooks.after(done, state, measured, batch, position):
                break
        if done < config.steps:
            raise Preempted(preemption.status)


def _open_loader(config: TrainConfig) -> Loader:
    return open_loader(
        config.data,
        seed=config.seed,
        local_devices=jax.local_device_count(),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


def _start(
    config: TrainConfig,
    model: RANet,
    optimizer: optax.GradientTransformation,
    checkpoints: RunCheckpoints,
    loader: Loader,
    metrics: MetricBuffer,
) -> train_state.TrainState:
    """The state to start or resume from; restores the loader's position and the metrics."""
    create = functools.partial(
        train_state.create_state,
        optimizer=optimizer,
        seed=config.seed,
        ema_decay=config.optimizer.ema_decay,
    )
    restored = train_state.restore(checkpoints, jax.eval_shape(create, abstract_params(model)))
    if restored is None:
        return create(initial_params(model, config.init_from, seed=config.seed))
    state, saved = restored
    source = checkpoints.path(int(state.step))
    loader.set_state(saved.iterator, f"{source / 'iterator'}")
    metrics.from_json(saved.log, f"{source / 'log'}")
    return state
