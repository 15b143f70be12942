"""What a network starts from: nothing, an ImageNet ResNet, or earlier runs."""

from pathlib import Path
from typing import Any

from ranet_jax.array_typing import Params
from ranet_jax.checkpoints import checkpoint, quantized
from ranet_jax.errors import InputError
from ranet_jax.io.paths import as_path, is_address
from ranet_jax.models.initialization import init_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training.config import TrainConfig

RESNET_SUFFIXES = (".npz", ".pth", ".pt")
_PUBLISHED_WIDTH = 64  # of every ResNet there are weights for
# Settings that may change from one stage to the next: they say how gradients flow and how objects
# are aggregated, and no parameter means something else for it.
_MAY_DIFFER = {"score_gradient", "aggregation", "memory", "max_gap"}
_BACKBONE_SETTINGS = {"depth", "width"}


def initial_params(model: RANet, init_from: str, *, seed: int) -> Params:
    """Parameters to train from.

    Args:
        model: the network to be trained.
        init_from: "" for random ones; a ResNet of ImageNet (.npz, .pth), or a checkpoint converted
            from one, for the backbone alone; a checkpoint (a directory or a packed file), the
            directory of a run, or `default`, the default model, for all; several of these,
            with commas between them, for the mean of their parameters.
        seed: of everything random.

    Raises:
        InputError: there is no such file or directory, or it is of another network.
    """
    if not init_from:
        return init_params(model, seed)
    check_fits(model, init_from)
    if is_trained_network(init_from):
        return checkpoint.load_mean(_paths(init_from))[1]
    (path,) = _paths(init_from)
    resnet = is_resnet(init_from)
    backbone = _read_resnet(model, path) if resnet else checkpoint.load(path)[1]["backbone"]
    return init_params(model, seed, backbone)


def is_resnet(init_from: str) -> bool:
    """Whether that is a file of ImageNet weights, or has one among several."""
    return any(map(_holds_resnet, _paths(init_from)))


def is_trained_network(init_from: str) -> bool:
    """Whether that is a checkpoint, or several, of a whole network that was trained.

    Raises:
        InputError: there is no such checkpoint.
    """
    if not init_from or is_resnet(init_from):
        return False
    return all(checkpoint.read_settings(path)["trained"] for path in _paths(init_from))


def check_fits(model: RANet, init_from: str) -> None:
    """Looks for `init_from` and compares settings, names and shapes with those of the network.

    Raises:
        InputError: it is missing, damaged, or of another network; names what differs.
    """
    if not init_from:
        return
    paths = _paths(init_from)
    for path in paths:
        _check_path(model, path)
    if len(paths) > 1:
        checkpoint.check_mean(paths)


def _paths(init_from: str) -> list[Path]:
    # A name with a comma in it is a name all the same.
    names = [init_from] if _place(init_from).exists() else init_from.split(",")
    return [quantized.resolve(_place(name)) for name in names]


def _place(name: str) -> Path:
    path = as_path(name)
    return path if is_address(path) else path.expanduser()


def _holds_resnet(path: Path) -> bool:
    return path.suffix in RESNET_SUFFIXES and not quantized.is_packed(path)


def _check_path(model: RANet, path: Path) -> None:
    if not path.exists():
        raise InputError(
            f"There is nothing at init_from={path}: name a checkpoint, the workdir of an "
            "earlier run, default or a ResNet's .npz or .pth, or start from random weights with "
            "--config.init_from=."
        )
    if _holds_resnet(path):
        _check_resnet(model, path)
    else:
        _check_checkpoint(model, path)


def _check_resnet(model: RANet, path: Path) -> None:
    if model.width != _PUBLISHED_WIDTH:
        raise InputError(
            f"{path} holds a ResNet of width {_PUBLISHED_WIDTH}, but model.width is "
            f"{model.width}: train that width, or start from random weights with "
            "--config.init_from=."
        )
    if not path.is_file():
        raise InputError(f"{path} is no file: name a ResNet's .npz or .pth.")
    _read_resnet(model, path)


def _check_checkpoint(model: RANet, path: Path) -> None:
    settings = checkpoint.read_settings(path)
    stored, wanted = settings["model"], checkpoint.settings_of(model)
    # Of a network that was not trained nothing counts but the pre-trained backbone in it.
    compared = set(wanted) - _MAY_DIFFER if settings["trained"] else _BACKBONE_SETTINGS
    different = [
        f"model.{name} is {value!r} here and {stored[name]!r} there"
        for name, value in wanted.items()
        if name in compared and name in stored and stored[name] != value
    ]
    if different:
        raise InputError(
            f"init_from={path} is another network: {', '.join(different)}; start from one of the "
            "same settings, or change those of the config."
        )
    checkpoint.check_params(path)


def _read_resnet(model: RANet, path: Path) -> Params:
    """The parameters of the backbone."""
    from ranet_jax.checkpoints.convert import read_state_dict, resnet_backbone

    depth, backbone = resnet_backbone(read_state_dict(path))
    if depth != model.depth:
        raise InputError(
            f"{path} holds a ResNet-{depth}, but model.depth is {model.depth}: name the weights "
            "of that one."
        )
    return backbone


def checkpoint_settings(config: TrainConfig) -> dict[str, Any]:
    """What the checkpoints of a run say of themselves, see `checkpoint.read_settings`.

    `init_from` is "none" where no trained network was started from: an ImageNet backbone, which is
    named as `backbone`, is no first stage (paper Table 5, "-IP").
    """
    trained = is_trained_network(config.init_from)
    return {
        "model": checkpoint.settings_of(config.network()),
        "trained": True,
        "name": config.name,
        "stage": config.stage,
        "init_from": config.init_from if trained else "none",
        "backbone": "" if trained else config.init_from,
        "online": {"iterations": 0},
        "size": list(config.size),
        "frame_scale": config.data.frame_scale,
    }
