"""Online learning, "RANet+": fine-tune on the first frame of a video (paper 3.5, Table 6).

The first frame takes the part of a photograph in the static-image training: template, current frame
and previous mask are all made from it, warped apart anew in every iteration. All of that happens on
the device; the host starts one iteration after the other without waiting for any. A loop inside the
compiled program would be no faster on an accelerator, and several times slower on a CPU, where XLA
gives the convolutions in the body of a loop their slowest form.
"""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8
from tqdm import tqdm

from ranet_jax.array_typing import HostFrame, HostMask, Params
from ranet_jax.errors import InputError
from ranet_jax.inference.boxes import mask_boxes
from ranet_jax.inference.letterbox import Letterbox, letterbox, letterbox_labels
from ranet_jax.inference.object_ids import bucket, check_frame, check_mask, object_ids, slot_labels
from ranet_jax.inference.segmenter import NETWORK_SIZE, Segmenter
from ranet_jax.models.ranet import RANet
from ranet_jax.training.augment import IDENTITY, HostBatch, augment
from ranet_jax.training.losses import segmentation_loss
from ranet_jax.training.train_step import network_logits

LEARNING_RATE = 1e-6
_REPORTS = 20  # of progress in one fine-tuning

Ids = UInt8[Array, "H W"]


class FirstFrame(NamedTuple):
    """A first frame on the device, at the size at which frames are kept."""

    image: UInt8[Array, "H W 3"]
    labels: Ids  # slot numbers
    count: Int[Array, ""]  # of objects


class _State(NamedTuple):
    learned: Params
    moments: optax.OptState


class _Recipe(NamedTuple):
    """What the compiled program depends on."""

    model: RANet
    slots: int
    batch_size: int
    augmentation: tuple[tuple[str, Any], ...]


class _Strength(NamedTuple):
    """What it does not."""

    learning_rate: float
    jitter: float


def fine_tune(
    model: RANet,
    params: Params,
    frame: HostFrame,
    mask: HostMask,
    *,
    iterations: int,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = 1,
    seed: int = 0,
    train_backbone: bool = True,
    jitter: float = 0.1,
    augmentation: Mapping[str, Any] | None = None,
    remat: bool = True,
    size: tuple[int, int] = NETWORK_SIZE,
    frame_scale: int = 1,
    on_progress: Callable[[int, float], None] | None = None,
) -> Params:
    """Adapts parameters to the objects of one video, from its first frame and mask.

    Every iteration is a step of Adam on a batch of random views of the frame (see
    `augment.augment`): the crop that segmentation would see, jittered, template and current frame
    each warped by themselves, and as previous mask the current one warped once more. A
    single-object network sees one of the objects in each example, drawn at random; one for several
    objects sees all.

    Compiled once for each bucket of 1, 2, 4, 8 or 16 objects (for a single-object network once),
    whatever the size of the frame and the number of iterations. The same arguments give the same
    result on the same hardware.

    Args:
        model: the network.
        params: its parameters; they are left as they are.
        frame: the first frame, RGB, uint8, [height, width, 3].
        mask: integer ids, [height, width], 0 for background, of at most 16 objects.
        iterations: of the optimizer; 0 gives `params` back.
        learning_rate: of Adam, constant.
        batch_size: views in each iteration.
        seed: of everything random.
        train_backbone: whether the ResNet is adapted with the rest; without, an iteration takes
            less time and memory.
        jitter: the crop's size and place vary by up to this share of its size.
        augmentation: arguments of `augment.augment`; those left out keep their defaults.
        remat: computes activations twice instead of keeping them: a third more time for
            a fraction of the memory.
        size: height and width of the network's input, multiples of 32.
        frame_scale: see `Segmenter`.
        on_progress: told how many iterations are done, and their mean loss since it was told last:
            first 0 and NaN, when everything is compiled, then about twenty times until all are
            done. An interrupt is heard as often.

    Raises:
        InputError: for a frame or mask that `Segmenter.init` would refuse, for a setting out of
            range, and where the learning rate was so large that the parameters are no longer
            numbers.
    """
    _check_settings(iterations, learning_rate, batch_size, jitter, augmentation or {})
    first = _first_frame(frame, mask, (size[0] * frame_scale, size[1] * frame_scale))
    if iterations == 0 or first is None:
        return params
    slots = 1 if model.mode == "single" else bucket(int(first.count))
    recipe = _Recipe(
        model.clone(remat=remat),
        slots,
        batch_size,
        tuple(sorted({**(augmentation or {}), "frame_scale": frame_scale}.items())),
    )
    frozen = {} if train_backbone else {"backbone": params["backbone"]}
    state = _begin({name: params[name] for name in params.keys() - frozen.keys()})
    given = first, _Strength(float(learning_rate), float(jitter)), jax.random.key(seed)
    if on_progress is not None:
        _iterate.lower(recipe, state, frozen, *given, 0).compile()  # kept for the calls below
        on_progress(0, math.nan)
    for start, stop in _pieces(iterations):
        total = jnp.zeros(())
        for index in range(start, stop):
            state, loss = _iterate(recipe, state, frozen, *given, index)
            total += loss
        if on_progress is not None:
            on_progress(stop, float(total) / (stop - start))
    if not bool(_all_finite(state)):
        raise InputError(
            f"Online learning diverged: after {iterations} iterations at a learning rate of "
            f"{learning_rate:g} the parameters are no longer finite; use a smaller rate."
        )
    return {**frozen, **state.learned}


class OnlineSegmenter(Segmenter):
    """A `Segmenter` that adapts to every video before it segments it (RANet+).

    Each `init` starts from the parameters that were given, never from those of another video. One
    video at a time. Objects added later are followed, but not learned.

    Attributes:
        online_seconds: what the latest `init` spent on fine-tuning, compilation left out.
    """

    def __init__(
        self,
        model: RANet,
        params: Params,
        *,
        iterations: int,
        learning_rate: float = LEARNING_RATE,
        batch_size: int = 1,
        progress: bool | None = None,
        settings: Mapping[str, Any] | None = None,
        **segmenter: Any,
    ):
        """Prepares to segment; nothing is computed yet.

        Args:
            model: the network.
            params: its parameters, the start of every fine-tuning.
            iterations: see `fine_tune`, as for the following two.
            learning_rate: of Adam.
            batch_size: views in each iteration.
            progress: whether to draw a progress bar; None for terminals only.
            settings: further arguments of `fine_tune`.
            **segmenter: arguments of `Segmenter`.

        Raises:
            InputError: for settings out of range.
        """
        super().__init__(model, params, **segmenter)
        self._offline = params
        self._fine_tune = functools.partial(
            fine_tune,
            iterations=iterations,
            learning_rate=learning_rate,
            batch_size=batch_size,
            **(settings or {}),
        )
        self._bar = functools.partial(
            tqdm,
            total=iterations,
            desc="online learning",
            unit="iteration",
            leave=False,
            disable=None if progress is None else not progress,
        )
        self.online_seconds = 0.0

    def init(
        self, frame: HostFrame | Sequence[HostFrame], mask: HostMask | Sequence[HostMask]
    ) -> None:
        """Adapts to a video and starts it; see `Segmenter.init`.

        Raises:
            InputError: as `Segmenter.init` and `fine_tune` do, and for several videos.
        """
        frames, masks = ([frame], [mask]) if isinstance(frame, np.ndarray) else (frame, mask)
        if len(frames) != 1 or len(masks) != 1:
            raise InputError(
                f"Online learning adapts to one video at a time and was given {len(frames)}; "
                "start them one after the other."
            )
        self._params = self._offline  # those of the video before are not needed any more
        started = time.perf_counter()

        def on_progress(done: int, loss: float) -> None:
            nonlocal started
            if done == 0:
                started = time.perf_counter()
            else:
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update(done - bar.n)

        with self._bar() as bar:
            self._params = self._fine_tune(
                self._model,
                self._offline,
                frames[0],
                masks[0],
                size=self._size,
                frame_scale=self._frame_scale,
                on_progress=on_progress,
            )
        self.online_seconds = time.perf_counter() - started
        super().init(frame, mask)


def _check_settings(iterations, learning_rate, batch_size, jitter, augmentation) -> None:
    if iterations < 0 or int(iterations) != iterations:
        raise InputError(
            f"Online learning was asked for {iterations} iterations; give a whole number from 0."
        )
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        raise InputError(f"The learning rate is {learning_rate}; it must be above 0.")
    if batch_size < 1 or int(batch_size) != batch_size:
        raise InputError(f"The batch size is {batch_size}; give a whole number from 1.")
    if not 0 <= jitter < 1:
        raise InputError(f"The jitter is {jitter}; it is a share from 0 to below 1.")
    if unknown := sorted(set(augmentation) - set(IDENTITY)):
        raise InputError(
            f"There is no augmentation {unknown[0]}; it can be one of {', '.join(IDENTITY)}."
        )


def _first_frame(frame: HostFrame, mask: HostMask, size: tuple[int, int]) -> FirstFrame | None:
    """None where no object is left at the network's size."""
    check_frame(frame)
    check_mask(mask, frame)
    object_ids(mask)
    geometry = Letterbox.of(frame.shape[:2], size)
    fitted = letterbox_labels(mask, geometry)
    visible = np.unique(fitted[fitted != 0])
    if not visible.size:
        return None
    labels = slot_labels(fitted, visible)
    return FirstFrame(*jax.device_put((letterbox(frame, geometry), labels, np.int32(len(visible)))))


def _pieces(iterations: int) -> list[tuple[int, int]]:
    """From 0 to `iterations`, in about as many pieces as there are reports."""
    step = math.ceil(iterations / _REPORTS)
    return [(start, min(start + step, iterations)) for start in range(0, iterations, step)]


# At a constant rate, which is traced, so that another one is no other program.
_ADAM = optax.scale_by_adam()


@jax.jit
def _begin(params: Params) -> _State:
    # Copies: the state is given away in every call, and the caller's parameters stay.
    params = jax.tree.map(jnp.copy, params)
    return _State(params, _ADAM.init(params))


@functools.partial(jax.jit, static_argnames="recipe", donate_argnames="state")
def _iterate(
    recipe: _Recipe,
    state: _State,
    frozen: Params,
    first: FirstFrame,
    strength: _Strength,
    key: PRNGKeyArray,
    index: int,
) -> tuple[_State, Float[Array, ""]]:
    """Iteration `index`, and its loss."""

    def loss(learned: Params) -> Float[Array, ""]:
        here = jax.random.fold_in(key, index)
        return _loss(recipe, {**frozen, **learned}, first, strength.jitter, here)

    learned, moments = state
    value, gradients = jax.value_and_grad(loss)(learned)
    directions, moments = _ADAM.update(gradients, moments)
    updates = optax.tree.scale(-strength.learning_rate, directions)
    return _State(optax.apply_updates(learned, updates), moments), value


def _loss(
    recipe: _Recipe, params: Params, first: FirstFrame, jitter: jax.Array, key: PRNGKeyArray
) -> Float[Array, ""]:
    """The mean over the examples of a batch."""
    draw, warp = jax.random.split(key)
    batch = _draw_batch(draw, first, recipe.slots, recipe.batch_size, jitter)
    seen = augment(warp, batch, **dict(recipe.augmentation))
    logits = network_logits(recipe.model, params, seen)
    losses = segmentation_loss(logits, seen["target_masks"], seen["valid"], recipe.model.mode)
    return losses.mean()


def _draw_batch(
    key: PRNGKeyArray, first: FirstFrame, slots: int, batch_size: int, jitter: jax.Array
) -> HostBatch:
    """Twins of the first frame: what the host would send for a photograph."""
    objects_key, boxes_key = jax.random.split(key)
    ids = jnp.broadcast_to(first.labels, (batch_size, *first.labels.shape))
    count = first.count
    if slots == 1:
        chosen = jax.random.randint(objects_key, (batch_size, 1, 1), 1, count + 1)
        ids, count = (ids == chosen).astype(ids.dtype), 1
    around = mask_boxes(ids > 0)
    template_box, box = _jittered(boxes_key, around, jitter, first.labels.shape)
    images = jnp.broadcast_to(first.image, (batch_size, *first.image.shape))
    return HostBatch(
        template_image=images,
        template_ids=ids,
        template_box=template_box,
        image=images,
        ids=ids,
        previous_ids=ids,
        box=box,
        valid=jnp.broadcast_to(jnp.arange(slots) < count, (batch_size, slots)),
        is_static=jnp.ones(batch_size, bool),
    )


def _jittered(
    key: PRNGKeyArray, boxes: Int[Array, "b 4"], jitter: jax.Array, canvas: tuple[int, int]
) -> Float[Array, "2 b 4"]:
    """Two versions of every box, each of another size and place, inside the canvas."""
    draws = jax.random.uniform(key, (2, len(boxes), 3), minval=-jitter, maxval=jitter)
    corners = boxes.astype(jnp.float32).reshape(-1, 2, 2)
    sides = corners[:, 1] - corners[:, 0]
    centres = corners.mean(axis=1) + draws[..., 1:] * sides
    half = sides * (1 + draws[..., :1]) / 2
    moved = jnp.stack([centres - half, centres + half], axis=-2)
    return jnp.clip(moved, 0.0, jnp.asarray(canvas, jnp.float32)).reshape(2, -1, 4)


@jax.jit
def _all_finite(tree: Any) -> jax.Array:
    leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all()
