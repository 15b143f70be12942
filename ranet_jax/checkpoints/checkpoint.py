"""Checkpoints: an Orbax directory that holds the parameters and the model's own settings.

With `manager.py`, which keeps the state of a run beside them, the only file that imports
Orbax. A checkpoint may also be one packed file, see `ranet_jax.checkpoints.quantized`.
"""

import dataclasses
import glob
from collections.abc import Sequence
from pathlib import Path

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from ranet_jax.array_typing import Params
from ranet_jax.checkpoints import checksums, manager, quantized
from ranet_jax.checkpoints.checksums import DamagedCheckpointError, check_finite
from ranet_jax.checkpoints.settings import check_settings
from ranet_jax.checkpoints.storage_errors import reason_of, remove_unfinished, told_once
from ranet_jax.errors import InputError
from ranet_jax.io.atomic import make_output_folder, refuse_existing
from ranet_jax.io.paths import absolute
from ranet_jax.models.initialization import abstract_params
from ranet_jax.models.ranet import RANet

PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}

# Fields of the module that are not settings of the trained network.
_NOT_SAVED = {"dtype", "remat", "parent", "name"}
_PARAMS, _SETTINGS = "params", "settings"


def save(path: Path | str, model: RANet, params: Params, *, trained: bool) -> None:
    """Writes a checkpoint; the directory appears under its name only when it is complete.

    Args:
        path: the directory to create.
        model: whose settings are kept beside the parameters.
        params: float32.
        trained: whether the whole network was trained, as opposed to a pre-trained backbone alone.

    Raises:
        InputError: if `path` exists or cannot be written, or a parameter is not finite.
    """
    path = absolute(path)
    refuse_existing(path)
    check_finite(f"What is to become {path}", params)
    settings = {"model": settings_of(model), "trained": trained}
    sums = checksums.compute({_PARAMS: params}, {_SETTINGS: settings})
    items = ocp.args.Composite(
        params=ocp.args.StandardSave(params),
        settings=ocp.args.JsonSave(settings),
        checksums=ocp.args.JsonSave(sums),
    )
    # Found here, because Orbax would find it in a thread of its own.
    make_output_folder(path.parent)
    try:
        with told_once(), _checkpointer() as checkpointer:
            checkpointer.save(path, items)
    except BaseException as error:
        remove_unfinished(path.parent, glob.escape(path.name))
        if not isinstance(error, Exception):
            raise
        raise InputError(  # storage errors come in every type
            f"The checkpoint {path} cannot be written ({reason_of(error)}); make room, or "
            "choose another place."
        ) from error


def load(path: Path | str, precision: str = "float32") -> tuple[RANet, Params]:
    """The model and its parameters from a checkpoint.

    Args:
        path: a directory written by `save` or, as `checkpoints/STEP`, by a training run; of the
            folder of a run itself the best checkpoint is taken, or the latest where none was
            evaluated. Or a file written by `quantized.save`, or `default` for the default
            model, which comes with the package.
        precision: what convolutions compute in, `float32` or `bfloat16`.

    Raises:
        InputError: for a path that is missing, is no checkpoint or a damaged one, or holds the
            parameters of a network other than its settings describe, or values that are not finite.
    """
    path = resolve(path)
    if path.is_file():
        return _load_packed(path, precision)
    model = model_from_settings(read_settings(path)["model"], precision)
    target = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), abstract_params(model))
    _check_stored(path, target)
    try:
        with _checkpointer() as checkpointer:
            items = ocp.args.Composite(params=ocp.args.StandardRestore(target))
            params = checkpointer.restore(path, items).params
    except Exception as error:  # storage errors come in every type
        raise _damaged(path) from error
    checksums.verify(path, checksums.compute({_PARAMS: params}, {}))
    _verify_settings(path)
    check_finite(f"The checkpoint {path}", params)
    return model, jax.device_put(params, jax.local_devices()[0])


def check_params(path: Path | str) -> None:
    """Compares names and shapes of the parameters of a checkpoint with those of its settings.

    Raises:
        InputError: they differ, or it cannot be read. Of a packed file the values are read as well.
    """
    path = resolve(path)
    if path.is_file():
        _load_packed(path, "float32")
        return
    _check_stored(path, abstract_params(model_from_settings(read_settings(path)["model"])))
    _verify_settings(path)


def _verify_settings(path: Path) -> None:
    """Last of all: what is wrong with a setting says more than that it was changed."""
    checksums.verify(path, checksums.compute({}, {_SETTINGS: read_settings(path)}))


def _check_stored(path: Path, target: Params) -> None:
    try:
        with _checkpointer() as checkpointer:
            stored = _shapes(checkpointer.metadata(path).item_metadata["params"].tree)
    except Exception as error:  # storage errors come in every type
        raise _damaged(path) from error
    _compare(path, stored, _shapes(target))


def load_mean(paths: Sequence[Path | str]) -> tuple[RANet, Params]:
    """The model and the mean of the parameters of several checkpoints, float32.

    Networks trained from one another can be averaged, and the mean is often steadier than each of
    them (Wortsman et al., "Model soups", ICML 2022). Of one checkpoint it is what `load` gives.

    Raises:
        InputError: as `load` does; or the checkpoints are of different networks, or one of several
            was not trained.
    """
    check_mean(paths)
    loaded = [load(path) for path in paths]
    model, params = loaded[-1]
    if len(loaded) > 1:
        several = (own for _, own in loaded)
        # On the host: on the device every shape would be a program to compile.
        mean = jax.tree.map(lambda *values: np.mean(values, axis=0), *several)
        params = jax.device_put(mean)
    return model, params


def check_mean(paths: Sequence[Path | str]) -> None:
    """Compares the settings of checkpoints that are to be averaged.

    Raises:
        InputError: as `load_mean` does, without reading parameters.
    """
    first, *others = [read_settings(path) for path in paths]
    for path, settings in zip(paths[1:], others, strict=True):
        # As models: a setting that an earlier version did not know has its default.
        if model_from_settings(settings["model"]) != model_from_settings(first["model"]):
            raise InputError(
                f"{path} is another network than {paths[0]}: only of networks with the same "
                "settings a mean can be taken."
            )
        if not (first["trained"] and settings["trained"]):
            raise InputError(
                f"{', '.join(map(str, paths))} are not all trained networks: only of those a mean "
                "can be taken."
            )


def _load_packed(path: Path, precision: str) -> tuple[RANet, Params]:
    settings, params = quantized.load(path)
    settings = check_settings(settings, f"The packed checkpoint {path}")
    model = model_from_settings(settings["model"], precision)
    _compare(path, _shapes(params), _shapes(abstract_params(model)))
    return model, jax.device_put(params)  # one by one would compile a program for every shape


def read_settings(path: Path | str) -> dict:
    """The settings kept in a checkpoint: `model` (fields of `RANet`), `trained`, and more if known.

    A training run adds its `name`, its `stage` (`static` or `video`), the trained network it
    started from as `init_from` ("none" where there was none) or the `backbone` alone, the `step`,
    the `size` of the network's input (height, width) and `online` learning ({"iterations": 0}).

    Raises:
        InputError: for a path that is missing or is no checkpoint of this program, or a setting
            that no network has.
    """
    path = resolve(path)
    if path.is_file():
        return check_settings(quantized.read_settings(path), f"The packed checkpoint {path}")
    if not path.is_dir():
        raise InputError(
            f"There is no checkpoint directory {path}; `ranet convert` makes one from published "
            f"weights."
        )
    if not (path / "settings").is_dir() or not (path / "params").is_dir():
        raise InputError(
            f"{path} is not a RANet checkpoint: it has no `settings` and `params` in it."
        )
    return check_settings(checksums.read_item(path, _SETTINGS), f"The checkpoint {path}")


def trained_at(path: Path | str) -> dict:
    """`size` and `frame_scale` that a network was trained at, as arguments of `Segmenter`.

    Empty for weights that do not say, such as published ones.

    Raises:
        InputError: for a path that is missing or is no checkpoint of this program.
    """
    settings = read_settings(path)
    known = {name: settings[name] for name in ("size", "frame_scale") if settings.get(name)}
    return known | ({"size": tuple(known["size"])} if "size" in known else {})


def settings_of(model: RANet) -> dict:
    """The fields of a model that its parameters depend on or were trained for."""
    fields = (field.name for field in dataclasses.fields(model))
    return {name: getattr(model, name) for name in fields if name not in _NOT_SAVED}


def model_from_settings(settings: dict, precision: str = "float32") -> RANet:
    """The model that `settings_of` describes.

    Raises:
        InputError: for settings this version does not know, or an unknown precision.
    """
    if precision not in PRECISIONS:
        raise InputError(f"The precision is {precision!r}; it can be {' or '.join(PRECISIONS)}.")
    known = {field.name for field in dataclasses.fields(RANet)} - _NOT_SAVED
    if unknown := sorted(set(settings) - known):
        raise InputError(
            f"The checkpoint has settings unknown to this version: {', '.join(unknown)}; install "
            f"the version that "
            "wrote it."
        )
    return RANet(**settings, dtype=PRECISIONS[precision])


def resolve(path: Path | str) -> Path:
    """Where a checkpoint is: of the folder of a run its best one, `default` the default model.

    Raises:
        InputError: if `default` was asked for and is missing from the installation.
    """
    path = absolute(quantized.resolve(path))
    folder = path / manager.FOLDER
    return manager.best(folder) if folder.is_dir() else path


def _checkpointer() -> ocp.Checkpointer:
    # Orbax complains of what it finds and has no handler for.
    parts = manager.handlers() | {"metrics": ocp.JsonCheckpointHandler()}
    return ocp.Checkpointer(ocp.CompositeCheckpointHandler(**parts))


def _shapes(tree: Params) -> dict[str, tuple[int, ...]]:
    flat = flax.traverse_util.flatten_dict(tree, sep="/")
    return {name: tuple(leaf.shape) for name, leaf in flat.items()}


def _compare(path: Path, stored: dict, expected: dict) -> None:
    different = sorted(
        name for name in stored.keys() | expected.keys() if stored.get(name) != expected.get(name)
    )
    if different:
        raise InputError(
            f"The checkpoint {path} was made for another configuration of the network: "
            f"{len(different)} parameters "
            f"differ from its settings, the first being {different[0]} (stored "
            f"{stored.get(different[0])}, expected "
            f"{expected.get(different[0])})."
        )


def _damaged(path: Path) -> InputError:
    return DamagedCheckpointError(path, "its parameters cannot be read")
