"""Both halves of segmenting a video as files that run with JAX alone, without this package.

A folder holds `start.stablehlo` and `advance.stablehlo` (what `inference.state` computes, see
`jax.export`), `params.npz` and `export.json`, which says what goes in and what comes out:

    state = start(params, frames, labels, valid)
    state, labels, values = advance(params, state, frames)
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ranet_jax import extras
from ranet_jax.array_typing import Params, Size
from ranet_jax.checkpoints.checkpoint import settings_of
from ranet_jax.errors import InputError
from ranet_jax.inference import state
from ranet_jax.inference.object_ids import check_count, check_size
from ranet_jax.io.atomic import make_output_folder, refuse_existing, replacing_folder
from ranet_jax.io.json_files import write_json
from ranet_jax.models.memory import EncodedTemplate
from ranet_jax.models.platforms import lowering_for
from ranet_jax.models.ranet import RANet

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
MAX_VIDEOS = 1024

State = dict[str, Array]


def export(
    model: RANet,
    params: Params,
    out: Path,
    *,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    size: Size = (480, 864),
    frame_scale: int = 1,
    objects: int = 1,
    videos: int = 1,
) -> dict[str, Any]:
    """Writes the folder, which appears when it is whole.

    Args:
        model: the network, with its `aggregation`, `memory` and `max_gap`.
        params: its parameters.
        out: the folder to make.
        platforms: to run on, of `PLATFORMS`.
        size: height and width of the network's input, multiples of 32.
        frame_scale: frames are so many times that size.
        objects: how many it follows at most, 1 to 16; their labels are 1, 2, ...
        videos: how many at once, 1 to 1024.

    Returns:
        What `export.json` holds.

    Raises:
        InputError: `out` exists or cannot be written, an unknown platform, a size that is no
            multiple of 32 or too large, too many objects or videos, or flatbuffers is missing.
    """
    extras.require("export", "ranet export")
    for platform in platforms:
        if platform not in PLATFORMS:
            raise InputError(f"The platform {platform!r} can be one of {', '.join(PLATFORMS)}.")
    check_count(objects)
    if not 1 <= videos <= MAX_VIDEOS:
        raise InputError(f"There are {videos} videos; a program can have 1 to {MAX_VIDEOS}.")
    size = check_size(size, frame_scale)
    refuse_existing(out)
    make_output_folder(out.parent)
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    exported = _export(model, flat, platforms, size, frame_scale, objects, videos)
    about = {
        "jax": jax.__version__,
        "platforms": list(platforms),
        "precision": jnp.dtype(model.dtype).name,
        "model": settings_of(model),
        "size": list(size),
    }
    with replacing_folder(out) as folder:
        for name, one in exported.items():
            (folder / f"{name}.stablehlo").write_bytes(one.serialize())
            arguments, _ = jax.tree.unflatten(one.in_tree, _shapes(one.in_avals))
            results = jax.tree.unflatten(one.out_tree, _shapes(one.out_avals))
            about[name] = {"arguments": ["params.npz", *arguments[1:]], "results": results}
        np.savez(folder / "params.npz", **{name: np.asarray(leaf) for name, leaf in flat.items()})
        write_json(folder / "export.json", about)
    return about


def _export(
    model: RANet,
    flat: Mapping[str, Array],
    platforms: Sequence[str],
    size: Size,
    frame_scale: int,
    objects: int,
    videos: int,
) -> dict[str, jax.export.Exported]:
    """Both functions for arguments of fixed shapes."""
    height, width = (side * frame_scale for side in size)
    tracks, slots = (objects, 1) if model.mode == "single" else (1, objects)
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(flat))
    frames = jax.ShapeDtypeStruct((videos, height, width, 3), jnp.uint8)
    labels = jax.ShapeDtypeStruct((videos, height, width), jnp.uint8)
    valid = jax.ShapeDtypeStruct((videos, tracks, slots), jnp.bool_)
    start, advance = _halves(model, size)
    to_platforms = functools.partial(
        jax.export.export,
        platforms=platforms,
        # Part of XLA itself, but not of what JAX promises to keep: the layout of maps on a TPU.
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call("LayoutConstraint")],
    )
    with lowering_for(*platforms):
        started = jax.eval_shape(start, params, frames, labels, valid)
        return {
            "start": to_platforms(jax.jit(start))(params, frames, labels, valid),
            "advance": to_platforms(jax.jit(advance))(params, started, frames),
        }


def _halves(model: RANet, size: Size) -> tuple[Callable, Callable]:
    """`state.start` and `state.advance` of plain dictionaries, which need no class to be read."""

    def start(params: dict[str, Array], frames: Array, labels: Array, valid: Array) -> State:
        return _to_dict(state.start(model, _nested(params), frames, labels, valid, size))

    def advance(
        params: dict[str, Array], before: State, frames: Array
    ) -> tuple[State, Array, Array]:
        found = state.advance(model, _nested(params), _from_dict(before), frames, size)
        return _to_dict(found[0]), *found[1:]

    return start, advance


def _nested(params: Mapping[str, Array]) -> Params:
    return flax.traverse_util.unflatten_dict(dict(params), sep="/")


def _to_dict(given: state.VideoState) -> State:
    rest = given._asdict()
    template = rest.pop("template")
    return {f"template_{name}": leaf for name, leaf in template._asdict().items()} | rest


def _from_dict(given: State) -> state.VideoState:
    template = EncodedTemplate(*(given[f"template_{name}"] for name in EncodedTemplate._fields))
    rest = {name: given[name] for name in state.VideoState._fields if name != "template"}
    return state.VideoState(template=template, **rest)


def _shapes(avals: Sequence[Any]) -> list[str]:
    return [f"{aval.dtype}{list(aval.shape)}" for aval in avals]
