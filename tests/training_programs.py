"""Programs for a process of their own: `python training_programs.py NAME OUT`.

The number of virtual devices is fixed when JAX starts, and a process that compiles quickly without
optimising much is the right place for steps whose results are only compared with each other.
"""

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import quick_compile

SIDES = 32, 64  # of the images: nothing here asks for more than the coarsest maps can show


def run(
    name: str, out: Path, *arguments: str, devices: int = 1, timeout: float = 1800
) -> dict[str, np.ndarray]:
    """Runs the program `name`; what it saved, by name."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = quick_compile.for_devices(devices)
    here = Path(__file__).resolve()
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(here.parents[1]), str(here.parent), str(here.parent / "training")]
    )
    ended = subprocess.run(
        [sys.executable, str(here), name, str(out), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    with np.load(out) as saved:
        return dict(saved)


def _setup(mode: str, size: int, later: int = 0, sides=SIDES, **settings):
    from test_augment import host_batch

    from ranet_jax.models.initialization import init_params
    from ranet_jax.models.ranet import RANet

    model = RANet(depth=14, width=8, mode=mode, **settings)
    slots = 1 if mode == "single" else 2
    batch = host_batch(seed=1, count=slots, size=size, slots=slots, later=later, sides=sides)
    return model, init_params(model, seed=0), batch


def config(*overrides: str, file: str = "tiny.py", **sections):
    """A file of `configs/` with overrides, and with whole sections in the place of its own."""
    import dataclasses

    from ranet_jax.training.config import read

    path = Path(__file__).resolve().parents[1] / "configs" / file
    return dataclasses.replace(read(path, [f"--config.{o}" for o in overrides]), **sections)


def _flat(tree) -> dict[str, np.ndarray]:
    import flax.traverse_util

    return {k: np.asarray(v) for k, v in flax.traverse_util.flatten_dict(tree, sep="/").items()}


def _spread(batch, devices: int):
    return {k: v.reshape(devices, -1, *v.shape[1:]) for k, v in batch.items()}


def devices(out: Path) -> None:
    """The same step of clips on one device, on eight, and in two parts one after the other."""
    import jax
    import optax

    from ranet_jax.training.config import AugmentConfig
    from ranet_jax.training.train_state import create_state
    from ranet_jax.training.train_step import make_step

    # Neither ranks nor maxima nor warps: rounding lets maps change places, and pixels of a mask.
    # And larger images: in small ones rounding is as large as what is compared.
    model, params, batch = _setup("single", size=8, later=1, sides=(64, 96), ranking="none")
    views = AugmentConfig(crop=0.2, flip=0.5)
    # Not Adam, which turns the rounding of a gradient that is zero into a whole step.
    optimizer = optax.sgd(1e-3)
    results = {}
    for name, count, parts in (("one", 1, 1), ("eight", 8, 1), ("parts", 1, 2)):
        overrides = "optimizer.ema_decay=0.9", f"optimizer.grad_accum_steps={parts}"
        step = make_step(model, optimizer, config(*overrides, augment=views), jax.devices()[:count])
        state = create_state(params, optimizer, seed=3, ema_decay=0.9)
        state, metrics = step(state, _spread(batch, count))
        results |= {f"{name}:{k}": np.asarray(v) for k, v in metrics.compute().items()}
        results |= {f"{name}:params/{k}": v for k, v in _flat(state.params).items()}
        results |= {f"{name}:ema_params/{k}": v for k, v in _flat(state.ema_params).items()}
        results[f"{name}:step"] = np.asarray(state.step)
    results |= {f"start:params/{k}": v for k, v in _flat(params).items()}
    np.savez(out, **results)


def learning(out: Path) -> None:
    """Steps on one batch, for several objects, with a frozen backbone and rematerialisation."""
    from ranet_jax.training.config import AugmentConfig, OptimizerConfig
    from ranet_jax.training.optimizer import make_optimizer
    from ranet_jax.training.train_state import create_state, eval_params
    from ranet_jax.training.train_step import make_step, replicate

    model, params, batch = _setup("multi", size=4, remat=True)
    adam = OptimizerConfig(learning_rate=3e-3, backbone_lr_multiplier=0)
    optimizer = make_optimizer(adam, steps=40)
    step = make_step(model, optimizer, config(augment=AugmentConfig(), optimizer=adam))
    state = replicate(create_state(params, optimizer, seed=0))
    measured = []
    for _ in range(20):
        state, metrics = step(state, _spread(batch, 1))
        measured.append(metrics)
    results = {
        key: np.array([np.asarray(one.compute()[key]) for one in measured])
        for key in ("loss", "iou", "gradient_norm")
    }
    results |= {f"params/{k}": v for k, v in _flat(eval_params(state)).items()}
    results |= {f"start/{k}": v for k, v in _flat(params).items()}
    np.savez(out, **results)


def _enlarged(batch, scale):
    """The batch with frames, masks and boxes `scale` times as large."""
    maps = {}
    for name, value in batch.items():
        if value.ndim > 2:
            rows = 2 if name.startswith("later") else 1
            maps[name] = value.repeat(scale, rows).repeat(scale, rows + 1)
    return batch | maps | {k: v * scale for k, v in batch.items() if k.endswith("box")}


def configs(out: Path, *names: str) -> None:
    """A step of every config, of a network and an image so small that it takes seconds."""
    import jax

    # One rate for all: it is part of the program.
    small = [
        "optimizer.learning_rate=1e-4",
        "optimizer.warmup_steps=0",
        "optimizer.schedule=constant",
        "model.depth=14",
        "model.width=8",
        f"data.height={SIDES[0]}",
        f"data.width={SIDES[1]}",
        "steps=2000",
    ]
    programs = {}
    for name in names:
        file, colon, variant = name.partition(":")
        given = config(*small, file=f"{file}.py{colon}{variant}")
        programs.setdefault(_program_of(given), {})[name] = given
    results = {"programs": np.asarray(len(programs))}
    for alike in programs.values():
        results |= _step_of_each(alike)
        # All programs at once are more memory maps than Linux allows a process.
        jax.clear_caches()
    np.savez(out, **results)


def _program_of(config) -> tuple:
    """What configs have in common whose steps are one program."""
    import dataclasses

    from ranet_jax.training.augment import STATIC

    optimizer = dataclasses.replace(config.optimizer, ema_decay=0.0)
    static = tuple(config.augmentation[name] for name in STATIC)
    has_mean = config.optimizer.ema_decay > 0
    shape = config.data.slots, config.data.clip_length
    return config.network(), shape, optimizer, static, has_mean


def _step_of_each(alike) -> dict[str, np.ndarray]:
    """Loss of a step of each config, and how far it moved each module, by one program."""
    import dataclasses

    from test_augment import host_batch

    from ranet_jax.models.initialization import init_params
    from ranet_jax.training.optimizer import make_optimizer
    from ranet_jax.training.train_state import create_state
    from ranet_jax.training.train_step import make_step

    first = next(iter(alike.values()))
    model = first.network()
    params = init_params(model, seed=0)
    optimizer = make_optimizer(first.optimizer, first.steps)
    program = make_step(model, optimizer, first).program
    slots, later = first.data.slots, first.data.clip_length - 1
    batch = host_batch(seed=1, count=min(slots, 2), size=2, slots=slots, later=later, sides=SIDES)
    batch = _spread(_enlarged(batch, first.data.frame_scale), 1)
    results = {}
    for name, config in alike.items():
        step = dataclasses.replace(make_step(model, optimizer, config), program=program)
        ema_decay = config.optimizer.ema_decay
        state = create_state(params, optimizer, seed=config.seed, ema_decay=ema_decay)
        state, metrics = step(state, batch)
        results[f"{name}/loss"] = np.asarray(metrics.compute()["loss"])
        for module, before in params.items():
            after = _flat(state.params[module])
            moved = [np.abs(after[k] - v).max() for k, v in _flat(before).items()]
            results[f"{name}/moved/{module}"] = np.max(moved)
    return results


if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 100)  # as in the processes of the tests
    program = {"devices": devices, "learning": learning, "configs": configs}[sys.argv[1]]
    program(Path(sys.argv[2]), *sys.argv[3:])
