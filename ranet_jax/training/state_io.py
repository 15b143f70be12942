"""The state of a run as its checkpoints keep it, without keeping anything twice."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ranet_jax.checkpoints.manager import RunCheckpoints, Saved
from ranet_jax.training.train_step import TrainState, averaged_params


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
    return Saved(averaged_params(state), _extra_state(state), iterator, log, settings)


def restore(checkpoints: RunCheckpoints, step: int, like: TrainState) -> tuple[TrainState, Saved]:
    """The state that was saved at a step, to the bit, and what was saved with it.

    Args:
        checkpoints: of the run.
        step: one that was saved.
        like: a state of the same shapes and types.

    Raises:
        InputError: the checkpoint is damaged, or of another network or optimizer.
    """
    saved = checkpoints.restore(step, averaged_params(like), _extra_state(like))
    params, train = jax.tree.map(jnp.asarray, (saved.params, saved.train))
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
