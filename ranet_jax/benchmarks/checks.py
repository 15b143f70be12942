"""What cannot be measured, refused before anything is."""

from collections.abc import Sequence

import jax

from ranet_jax.array_typing import Size
from ranet_jax.checkpoints.checkpoint import PRECISIONS
from ranet_jax.errors import InputError
from ranet_jax.inference.object_ids import check_size
from ranet_jax.models.ranet import RANet


def check_programs(
    sizes: Sequence[Size], precisions: Sequence[str], objects: Sequence[int], batches: Sequence[int]
) -> None:
    """Refuses programs that the network does not have.

    Raises:
        InputError: names the first setting that cannot be.
    """
    for size in sizes:
        check_size(size)
    for precision in precisions:
        if precision not in PRECISIONS:
            raise InputError(
                f"The precision is {precision!r}; it can be {' or '.join(PRECISIONS)}."
            )
    for count in objects:
        check_range("number of objects", count, 1, 16)
    for count in batches:
        check_range("number of videos", count, 1, 1024)


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Refuses a number outside of its range.

    Raises:
        InputError: with the range.
    """
    if not low <= value <= high:
        raise InputError(f"The {name} is {value}; it can be {low} to {high}.")


def check_torch(model: RANet, precisions: Sequence[str]) -> None:
    """Refuses what PyTorch cannot be compared in.

    Raises:
        InputError: PyTorch is missing, or does not compute the same.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise InputError(
            "The comparison needs PyTorch; install it with `pip install 'ranet-jax[torch]'`."
        ) from error
    if jax.default_backend() != "cpu":
        raise InputError(
            "The comparison with PyTorch runs on the CPU; set JAX_PLATFORMS=cpu for it."
        )
    if "float32" not in precisions:
        raise InputError("The comparison with PyTorch is in float32; ask for that precision.")
    if model.ranking != "rank" or not (model.correlation and model.previous_mask):
        raise InputError("PyTorch has the network of the paper only; choose no ablation.")
