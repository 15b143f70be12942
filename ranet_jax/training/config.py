"""The door between a config and the rest: what a config says, as plain arguments.

    config = read("configs/tiny.py", ["--config.steps=500"])     # ranet_jax.training.config_file
    check(config)                                                # refuses what cannot be trained
    model, params = initial_params(config)
    optimizer = make_optimizer(**optimizer_arguments(config))
    state = create_state(params, optimizer, **state_arguments(config))
    step = make_step(model, optimizer, **step_arguments(config))
    loader = pipeline.open_loader(
        **loader_arguments(config, local_devices=4, process_index=0, process_count=2)
    )
    HeldOut(**held_out_arguments(config))                        # or None: never
    log_arguments(config), online_arguments(config), provenance(config)

`check` asks JAX for its devices and processes: on several hosts call it after they were joined.
`check_structure` asks for nothing but the config.
"""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ranet_jax.array_typing import Params
from ranet_jax.errors import InputError
from ranet_jax.models.ranet import RANet
from ranet_jax.training import schema
from ranet_jax.training.config_file import read

__all__ = [
    "check",
    "check_batch",
    "check_structure",
    "held_out_arguments",
    "initial_params",
    "loader_arguments",
    "log_arguments",
    "model_of",
    "online_arguments",
    "optimizer_arguments",
    "provenance",
    "read",
    "state_arguments",
    "step_arguments",
]


def check(config: ConfigDict) -> None:
    """Refuses a config that cannot be trained, before anything heavy is done.

    Raises:
        InputError: with one sentence: a setting is unknown or out of range, settings do not go
            together, or the data or the checkpoint to start from is missing or does not fit.
    """
    import jax

    from ranet_jax.training import data_checks as checks
    from ranet_jax.training import initialization as start

    check_structure(config)
    check_batch(config, devices=jax.device_count(), processes=jax.process_count())
    start.check_fits(model_of(config), config.init_from)
    checks.check_data(
        checks.open_sets(config.data.sets, config.data.data_dir, config.data.root),
        stage=config.stage,
        exclude=config.data.exclude,
        held_out=held_out_arguments(config),
    )


def check_structure(config: ConfigDict) -> None:
    """Refuses settings that are out of range or do not go together.

    Raises:
        InputError: see above.
    """
    schema.check_settings(config)
    model = model_of(config)
    data, optimizer = config.data, config.optimizer
    fitting = ("multi",) if model.mode == "multi" else ("merged", "sampled")
    if data.objects not in fitting:
        raise InputError(
            f"model.mode={model.mode} does not go with data.objects={data.objects}: use "
            f"data.objects={' or '.join(fitting)}."
        )
    _check_slots(data.slots, model.mode)
    if optimizer.warmup_steps >= config.steps:
        raise InputError(
            f"optimizer.warmup_steps is {optimizer.warmup_steps}, but there are only "
            f"{config.steps} steps: warm up over fewer."
        )
    if data.batch_size % optimizer.grad_accum_steps:
        raise InputError(
            f"A batch of {data.batch_size} examples cannot be accumulated over "
            f"{optimizer.grad_accum_steps} parts: choose a data.batch_size that is a multiple of "
            "optimizer.grad_accum_steps."
        )


def _check_slots(slots: int, mode: str) -> None:
    if slots > 254 or (slots > 1 and mode == "single"):
        raise InputError(
            f"data.slots is {slots}, but model.mode={mode} takes "
            f"{'one' if mode == 'single' else 'at most 254'}."
        )


def check_batch(config: ConfigDict, *, devices: int, processes: int) -> None:
    """Refuses a batch that cannot be shared out.

    Args:
        config: with the size of the batch of all processes together.
        devices: of all processes together.
        processes: number of processes.

    Raises:
        InputError: the batch is no multiple of devices and accumulated parts.
    """
    size, parts = config.data.batch_size, config.optimizer.grad_accum_steps
    if size % (devices * parts):
        shares = [f"{devices} device{'s' * (devices > 1)}"]
        shares += [f"{processes} processes"] * (processes > 1)
        shares += [f"{parts} accumulated parts"] * (parts > 1)
        raise InputError(
            f"data.batch_size is {size}, which cannot be shared equally among "
            f"{' and '.join(shares)}: choose a multiple of {devices * parts}."
        )


def model_of(config: ConfigDict) -> RANet:
    """The network, computing in the config's precision.

    Raises:
        InputError: for settings that no network has.
    """
    from ranet_jax.checkpoints.checkpoint import PRECISIONS

    return RANet(
        **config.model,
        dtype=PRECISIONS[config.precision],
        remat=config.remat,
    )


def initial_params(config: ConfigDict) -> tuple[RANet, Params]:
    """The network and what it starts from, see `start.initial_params`.

    Raises:
        InputError: `init_from` is missing, or of another network.
    """
    from ranet_jax.training import initialization as start

    model = model_of(config)
    return model, start.initial_params(model, config.init_from, seed=config.seed)


def optimizer_arguments(config: ConfigDict) -> dict[str, Any]:
    """Of `optimizer.make_optimizer`."""
    names = ("learning_rate", "warmup_steps", "schedule", "backbone_lr_multiplier")
    return {
        "steps": config.steps,
        "clip_norm": config.optimizer.clip_norm or None,
        **{name: config.optimizer[name] for name in names},
    }


def state_arguments(config: ConfigDict) -> dict[str, Any]:
    """Of `train.create_state`, beside parameters and optimizer."""
    return {"seed": config.seed, "ema_decay": config.optimizer.ema_decay}


def step_arguments(config: ConfigDict) -> dict[str, Any]:
    """Of `train.make_step`, beside model, optimizer and devices."""
    from data_pipelines import pipeline

    return {
        "augmentation": pipeline.augmentation_settings(config.augment, config.data),
        "ema_decay": config.optimizer.ema_decay,
        "grad_accum_steps": config.optimizer.grad_accum_steps,
        "freeze_backbone": config.optimizer.backbone_lr_multiplier == 0,
    }


def loader_arguments(
    config: ConfigDict, *, local_devices: int = 1, process_index: int = 0, process_count: int = 1
) -> dict[str, Any]:
    """Of `data_pipelines.pipeline.open_loader`, for one of the processes.

    Args:
        config: whose `data.batch_size` is that of all processes together.
        local_devices: devices of this process.
        process_index: its number.
        process_count: number of processes.
    """
    from data_pipelines import pipeline

    return pipeline.loader_settings(config.data) | {
        "batch_size": config.data.batch_size // process_count,
        "seed": config.seed,
        "local_devices": local_devices,
        "process_index": process_index,
        "process_count": process_count,
    }


def held_out_arguments(config: ConfigDict) -> dict[str, Any] | None:
    """What to evaluate on while training, or None for never.

    Returns:
        `dataset`, `root` (a path), `split`, `sequences` (None for all), `frames` (of a sequence,
        None for all) and `every` (steps).
    """
    from data_pipelines import pipeline

    held_out = config.held_out
    if not held_out.every:
        return None
    return {
        "dataset": held_out.dataset,
        "root": Path(pipeline.in_root(held_out.root, config.data.root)),
        "split": held_out.split,
        "sequences": tuple(held_out.sequences) or None,
        "frames": held_out.frames or None,
        "every": held_out.every,
    }


def log_arguments(config: ConfigDict) -> dict[str, int]:
    """`every`, `pictures` (0: never), `checkpoint` (steps each) and `keep` (checkpoints)."""
    return {name: config.log[name] for name in schema.SECTIONS["log"]}


def online_arguments(config: ConfigDict) -> dict[str, Any]:
    """`iterations`, `learning_rate` and `batch_size` of learning on a first frame (RANet+)."""
    return {name: config.online[name] for name in schema.SECTIONS["online"]}


def provenance(config: ConfigDict) -> dict[str, Any]:
    """What a checkpoint says about its training, beside the network's settings.

    `init_from` is "none" where no trained network was started from: an ImageNet backbone, which is
    named as `backbone`, is no first stage (paper Table 5, "-IP").
    """
    from ranet_jax.training import initialization as start

    whole = start.is_trained_network(config.init_from)
    return {
        "name": config.name,
        "stage": config.stage,
        "init_from": config.init_from if whole else "none",
        "backbone": "" if whole else config.init_from,
        "online": {"iterations": 0},
        "size": [config.data.height, config.data.width],
        "frame_scale": config.data.frame_scale,
    }
