"""Published weights to parameters: state dicts of the authors' RANet and of torchvision ResNets.

A `.pth` is read by PyTorch's safe loader (tensors and plain containers only, nothing is ever
unpickled freely); an `.npz` holds the same arrays under the same names and needs no PyTorch.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np

from ranet_jax.array_typing import Params
from ranet_jax.checkpoints import checkpoint
from ranet_jax.errors import MAX_NAMES, InputError, listed
from ranet_jax.io.atomic import refuse_existing
from ranet_jax.models.initialization import abstract_params, init_params
from ranet_jax.models.ranet import Mode, RANet
from ranet_jax.models.resnet import STAGES

StateDict = dict[str, np.ndarray]
_MAX_BYTES = 4e9  # of the arrays in a file; a RANet has 0.26 GB
_MAX_WRAPPERS = 10  # `state_dict` around a state dict

# Parameters that the published files carry and the published network never reads.
NEVER_USED = re.compile(r"(p_1b|res_1b|p_2b|rank_A)\.")
# What a batch-norm ResNet has and an instance-norm encoder has no place for.
NOT_IN_ENCODER = re.compile(
    r"(fc\.(weight|bias)|.*\.(running_mean|running_var|num_batches_tracked))$"
)

# Our module paths as patterns, and the published name of each.
_RENAMES = [
    (r"backbone/(conv|norm)1", r"base_model.\g<1>1"),
    (r"backbone/stage(\d)_block(\d+)/(conv|norm)(\d)", r"base_model.layer\1.#\2.\3\4"),
    (r"backbone/stage(\d)_block(\d+)/shortcut_conv", r"base_model.layer\1.#\2.downsample.0"),
    (r"backbone/stage(\d)_block(\d+)/shortcut_norm", r"base_model.layer\1.#\2.downsample.1"),
    (r"matching_features/reduce(\d)/conv", r"L\1.2"),
    (r"matching_features/fuse/conv", r"L_g.2"),
    (r"ranking_network/block1/conv", r"Ranking.0.2"),
    (r"ranking_network/res/(conv\d)", r"Ranking.1.\1"),
    (r"ranking_network/block2/conv", r"Ranking.2.2"),
    (r"merge/block(\d)/conv", r"p_\1.2"),
    (r"merge/res/(conv\d)", r"res_1.\1"),
    (r"lateral_connections/stride8_from_stride(\d+)/conv", r"ls1@\1.2"),
    (r"lateral_connections/stride4_from_stride(\d+)/conv", r"ls2@\1.2"),
    (r"lateral_connections/stride2_from_stride(\d+)/conv", r"ls3@\1.2"),
    (r"pyramid/level(\d)/block1", r"R\1.0.2"),
    (r"pyramid/level(\d)/block2/conv", r"R\1.1.2"),
    (r"pyramid/level(\d)/scales/dilation1", r"R\1.2.l1"),
    (r"pyramid/level(\d)/scales/dilation3", r"R\1.2.l2"),
    (r"pyramid/level(\d)/scales/dilation6", r"R\1.2.l3"),
    (r"pyramid/level3/res/(conv\d)", r"R3.4.\1"),
    (r"pyramid/level(\d)/res/(conv\d)", r"R\1.3.\2"),
    (r"pyramid/level3/logits", r"R3.5"),
]


def published_name(path: str) -> str:
    """The published name of the parameter at a path such as `merge/block1/conv/kernel`."""
    module, kind = path.rsplit("/", 1)
    for pattern, name in _RENAMES:
        if match := re.fullmatch(pattern, module):
            name = match.expand(name).replace("norm", "bn")
            # Blocks count from 0 there; levels of the encoder count from 1, by their stride.
            name = re.sub(r"#(\d+)", lambda m: str(int(m[1]) - 1), name)
            name = re.sub(r"@(\d+)", lambda m: str(int(m[1]).bit_length() - 1), name)
            return f"{name}.{'bias' if kind == 'bias' else 'weight'}"
    raise KeyError(f"{path} has no published counterpart")


def convert(source: Path, out: Path, mode: Mode = "single", seed: int = 0) -> str:
    """Writes a checkpoint made from published weights.

    Args:
        source: an authors' RANet `.pth`, a torchvision ResNet-50 or -101 `.pth`, or an `.npz` under
            the same names.
        out: the checkpoint directory to create.
        mode: the matching path the weights were trained for (paper section 3.3).
        seed: of the modules that a ResNet file has no weights for.

    Returns:
        A few lines for the user: what was read, what was skipped, what is untrained.

    Raises:
        InputError: for a file that cannot be read or does not hold such weights, with every
            unknown, missing and wrongly shaped name; nothing is written then.
    """
    refuse_existing(out)
    state = read_state_dict(source)
    if any(name.startswith("base_model.") for name in state):
        model, params, lines = from_ranet(state, mode)
        trained = True
    else:
        model, params, lines = from_resnet(state, mode, seed)
        trained = False
    checkpoint.save(out, model, params, trained=trained)
    return "\n".join([f"Read {len(state)} arrays from {source}.", *lines, f"Wrote {out}."])


def from_ranet(state: StateDict, mode: Mode) -> tuple[RANet, Params, list[str]]:
    """Model, parameters and remarks from an authors' state dict (names and shapes as published).

    Raises:
        InputError: with every unknown, missing and wrongly shaped name.
    """
    reduction = state.get("L4.2.weight", np.empty((1, 1, 3, 3))).shape[-1:]
    settings = {"mode": mode, "depth": _depth(state, "base_model.")}
    # Any other size is compared with the usual one, so that the error names the array.
    model = RANet(**settings, reduction_size=1 if reduction == (1,) else 3)
    skipped = sorted(name for name in state if NEVER_USED.match(name) or NOT_IN_ENCODER.match(name))
    used = {name: value for name, value in state.items() if name not in skipped}
    flat = _flat_shapes(model)
    params = _assign(flat, used, {path: published_name(path) for path in flat})
    return model, params, _skipped_lines(skipped)


def from_resnet(state: StateDict, mode: Mode, seed: int) -> tuple[RANet, Params, list[str]]:
    """Model, parameters and remarks from a torchvision ResNet; the rest is initialized.

    Batch norm's scale and shift become those of instance norm (paper section 3.4); its running
    statistics have no place in the network.

    Raises:
        InputError: with every unknown, missing and wrongly shaped name.
    """
    depth, backbone = resnet_backbone(state)
    model = RANet(mode=mode, depth=depth)
    skipped = sorted(name for name in state if NOT_IN_ENCODER.match(name))
    fresh = "The backbone is pre-trained; all other modules are initialized and not trained yet."
    return model, init_params(model, seed, backbone), [*_skipped_lines(skipped), fresh]


def resnet_backbone(state: StateDict) -> tuple[int, Params]:
    """Depth and parameters of the encoder that a torchvision ResNet fills.

    Raises:
        InputError: with every unknown, missing and wrongly shaped name.
    """
    depth = _depth(state, "")
    used = {name: value for name, value in state.items() if not NOT_IN_ENCODER.match(name)}
    shapes = _flat_shapes(RANet(depth=depth))
    flat = {path: leaf for path, leaf in shapes.items() if path.startswith("backbone/")}
    names = {path: published_name(path).removeprefix("base_model.") for path in flat}
    return depth, _assign(flat, used, names)["backbone"]


def read_state_dict(source: Path) -> StateDict:
    """Arrays by name, float32, without `state_dict` wrappers and `module.` prefixes.

    Raises:
        InputError: for a missing or unreadable file, or one that holds anything but named arrays.
    """
    source = Path(source)
    if not source.is_file():
        raise InputError(
            f"There is no file {source}; give the path of a .pth or .npz with weights."
        )
    if source.suffix not in (".npz", ".pth", ".pt"):
        raise InputError(f"{source} is neither .npz nor .pth; convert reads only these two.")
    raw = _read_npz(source) if source.suffix == ".npz" else _read_pth(source)
    strange = [str(name) for name, value in raw.items() if not _is_named_array(name, value)]
    if strange or not raw:
        what = f"entries that are no arrays ({_listing(strange)})" if strange else "no arrays"
        raise InputError(f"{source} holds {what}; a state dict of arrays by name is needed.")
    if wrong := [name for name, value in raw.items() if value.dtype.kind not in "fiub"]:
        raise InputError(f"{source} holds arrays that are no real numbers: {_listing(wrong)}.")
    with np.errstate(over="ignore"):  # becomes infinite, and is found below
        state = {name.removeprefix("module."): v.astype(np.float32) for name, v in raw.items()}
    if len(state) < len(raw):
        raise InputError(f"{source} holds the same names with `module.` before them and without.")
    if wrong := [name for name, value in state.items() if not np.isfinite(value).all()]:
        raise InputError(
            f"{source} holds weights that are infinite or no numbers, as a training that failed "
            f"leaves them: {_listing(wrong)}."
        )
    return state


def _is_named_array(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, np.ndarray)


def _read_npz(source: Path) -> dict:
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if sum(member.file_size for member in arrays.zip.infolist()) > _MAX_BYTES:
                raise InputError(
                    f"{source} unpacks to more than {_MAX_BYTES / 1e9:.0f} GB, far more than the "
                    "weights of a RANet; download it again."
                )
            return dict(arrays)
    except InputError:
        raise
    except Exception as error:  # numpy raises whatever zipfile, zlib and its own parser raise
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{source} is not a readable .npz ({reason}); download it again."
        ) from error


def _read_pth(source: Path) -> dict:
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"Reading {source} needs PyTorch; install it with `pip install 'ranet-jax[torch]'`, or "
            f"save the same "
            "arrays as .npz where PyTorch is installed."
        ) from error
    try:
        # PyTorch warns of the kinds of tensors in a file; where a warning is an error, the file
        # would be called damaged.
        with warnings.catch_warnings(action="ignore"):
            raw = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # the loader raises whatever zipfile and its unpickler raise
        raise InputError(
            f"{source} is damaged or holds more than tensors, so it was not loaded; only a plain "
            f"state dict is read."
        ) from error
    wrappers = 0
    while isinstance(raw, Mapping) and isinstance(raw.get("state_dict"), Mapping):
        raw, wrappers = raw["state_dict"], wrappers + 1
        if wrappers > _MAX_WRAPPERS:
            raise InputError(f"{source} holds state dicts without end; only a plain one is read.")
    if not isinstance(raw, Mapping):
        raise InputError(
            f"{source} holds a {type(raw).__name__}, not a state dict of arrays by name."
        )
    return {name: _to_numpy(source, name, value) for name, value in raw.items()}


def _to_numpy(source: Path, name: object, value: object) -> object:
    """A tensor of any kind as float32; anything else as it is."""
    if not hasattr(value, "numpy"):
        return value
    try:
        value = value.detach()  # a parameter, whose gradient was asked for
        if value.is_quantized:
            value = value.dequantize()
        if value.is_complex():
            return value.resolve_conj().numpy()
        return value.to_dense().float().numpy()
    except Exception as error:  # PyTorch has its own for every kind of tensor
        raise InputError(
            f"{source}: the tensor {name} holds no values that can be read, so it was not loaded; "
            "save the state dict of a network on the CPU."
        ) from error


def _depth(state: StateDict, prefix: str) -> int:
    """Which ResNet the names of the third stage belong to."""
    pattern = re.compile(re.escape(prefix) + r"layer3\.(\d+)\.")
    blocks = {int(match[1]) for match in map(pattern.match, state) if match}
    by_blocks = {STAGES[depth][2]: depth for depth in (50, 101)}
    # An unfamiliar number of blocks is compared with the network of the paper, so that the error
    # lists the names.
    return by_blocks.get(len(blocks), 101)


def _flat_shapes(model: RANet) -> dict:
    return flax.traverse_util.flatten_dict(abstract_params(model), sep="/")


def _assign(flat: Mapping, state: StateDict, names: Mapping[str, str]) -> Params:
    """Arrays of `state` at our paths and in our layouts; `names` maps paths to names in `state`."""
    arrays = {path: _to_our_layout(state[name]) for path, name in names.items() if name in state}
    wrong = [
        f"{names[path]} {state[names[path]].shape} instead of {_published_shape(flat[path].shape)}"
        for path, array in arrays.items()
        if array.shape != flat[path].shape
    ]
    problems = {
        "unknown": sorted(set(state) - set(names.values())),
        "missing": sorted(set(names.values()) - set(state)),
        "wrongly shaped": sorted(wrong),
    }
    if any(problems.values()):
        found = "; ".join(f"{kind}: {_listing(items)}" for kind, items in problems.items() if items)
        raise InputError(
            f"These are not the weights of a RANet or ResNet this program knows: {found}."
        )
    tree = jax.device_put({path: np.asarray(a, np.float32) for path, a in arrays.items()})
    return flax.traverse_util.unflatten_dict(tree, sep="/")


def _to_our_layout(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def _published_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape


def _skipped_lines(skipped: list[str]) -> list[str]:
    listing = ", ".join(skipped)
    return [f"Skipped {len(skipped)} that the network never uses: {listing}."] * bool(skipped)


def _listing(names: list[str]) -> str:
    return listed(names, MAX_NAMES)
