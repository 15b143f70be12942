"""The state of a run: what a step changes, and what of it is saved."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree, UInt32

from ranet_jax.array_typing import Params
from ranet_jax.checkpoints.manager import RunCheckpoints, Saved
from ranet_jax.errors import InputError


class TrainState(NamedTuple):
    """All that a step changes.

    Attributes:
        step: updates made so far.
        params: of the network, float32.
        opt_state: of the optimizer.
        ema_params: running mean of the parameters, or None.
        key: raw data of the random key; a constant, every step folds its number into it.
    """

    step: Int[Array, ""]
    params: Params
    opt_state: PyTree
    ema_params: Params | None
    key: UInt32[Array, " words"]


def create_state(
    params: Params, optimizer: optax.GradientTransformation, *, seed: int, ema_decay: float = 0.0
) -> TrainState:
    """The state before the first step.

    Args:
        params: to start from.
        optimizer: that will update them.
        seed: of the augmentation.
        ema_decay: the decay of the mean of the parameters, see `make_step`; 0 keeps none.
    """
    key = jax.random.key_data(jax.random.key(seed))
    params, opt_state, ema_params = _start(params, optimizer, bool(ema_decay))
    return TrainState(jnp.int32(0), params, opt_state, ema_params, key)


@functools.partial(jax.jit, static_argnums=(1, 2))  # one program: not one for every shape
def _start(
    params: Params, optimizer: optax.GradientTransformation, averaged: bool
) -> tuple[Params, PyTree, Params | None]:
    # Copies: the step donates the state's memory, the caller's parameters stay.
    copies = jax.tree.map(jnp.copy, params)
    return copies, optimizer.init(params), jax.tree.map(jnp.copy, params) if averaged else None


def eval_params(state: TrainState) -> Params:
    """The parameters to evaluate and to ship: their mean where one is kept."""
    return state.params if state.ema_params is None else state.ema_params


def to_saved(
    state: TrainState,
    *,
    iterator: Mapping[str, Any],
    log: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Saved:
    """What to save of a state; the parameters are those to evaluate and to ship.

    Args:
        state: after a step.
        iterator: position of the data after it.
        log: what was measured since the last line of the log.
        settings: of the checkpoint.
    """
    return Saved(eval_params(state), _extra_state(state), iterator, log, settings)


def restore(checkpoints: RunCheckpoints, like: TrainState) -> tuple[TrainState, Saved] | None:
    """The state that was saved last, to the bit, and what was saved with it; None before that.

    Args:
        checkpoints: of the run.
        like: a state of the same shapes and types.

    Raises:
        InputError: every checkpoint is damaged, or of another network or optimizer.
    """
    found = checkpoints.restore_latest(eval_params(like), _extra_state(like))
    if found is None:
        return None
    step, saved = found
    params, train = jax.device_put((saved.params, saved.train))
    if int(train["step"]) != step:
        raise InputError(
            f"The checkpoint of step {step} is that of step {train['step']}: give it its name back."
        )
    averaged = like.ema_params is not None
    state = TrainState(
        step=train["step"],
        params=train["params"] if averaged else params,
        opt_state=train["opt_state"],
        ema_params=params if averaged else None,
        key=train["key"],
    )
    return state, saved


def _extra_state(state: TrainState) -> PyTree:
    """What a state has beside the parameters to ship: those being trained, if they are others."""
    kept = {"step": state.step, "opt_state": state.opt_state, "key": state.key}
    return kept if state.ema_params is None else {**kept, "params": state.params}
