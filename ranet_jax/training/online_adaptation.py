"""Online learning, "RANet+": fine-tune on the first frame of a video (paper 3.5, Table 6).

The first frame is used as an image is in static-image training. The host starts one
iteration after the other without waiting for any: a loop inside the compiled program would be no
faster on an accelerator, and several times slower on a CPU, where XLA gives the convolutions in the
body of a loop their slowest form.
"""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ranet_jax.array_typing import HostFrame, HostMask, Params
from ranet_jax.errors import InputError
from ranet_jax.inference.object_ids import bucket
from ranet_jax.inference.segmenter import NETWORK_SIZE, Segmenter
from ranet_jax.models.ranet import RANet
from ranet_jax.training.augment import IDENTITY
from ranet_jax.training.first_frame import (
    Recipe,
    Strength,
    all_finite,
    begin,
    iterate,
    read_first_frame,
)

# What was measured to help (docs/TRAINING.md): one frame teaches little, so it is warped less than
# in training, and the backbone stays as it is.
ITERATIONS = 20
LEARNING_RATE = 1e-4
BATCH_SIZE = 2
AUGMENTATION = {
    "warp": 0.05,
    "rotation": 10.0,
    "scale": (0.9, 1.1),
    "crop": 0.2,
    "flip": 0.5,
    "previous_warp": 0.15,
    "coarsening": 0.03,
}
_REPORTS = 20  # of progress in one fine-tuning


def fine_tune(
    model: RANet,
    params: Params,
    frame: HostFrame,
    mask: HostMask,
    *,
    iterations: int = ITERATIONS,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    train_backbone: bool = False,
    jitter: float = 0.1,
    augmentation: Mapping[str, Any] | None = None,
    remat: bool = False,
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
        jitter: the crop's size and place vary by up to this fraction of its size.
        augmentation: arguments of `augment.augment` that replace those of `AUGMENTATION`.
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
    changes = AUGMENTATION | dict(augmentation or {})
    _check_settings(iterations, learning_rate, batch_size, jitter, changes)
    first = read_first_frame(frame, mask, (size[0] * frame_scale, size[1] * frame_scale))
    if iterations == 0 or first is None:
        return params
    slots = 1 if model.mode == "single" else bucket(int(first.count))
    recipe = Recipe(
        model.clone(remat=remat, memory=0),  # there is no earlier frame to remember
        slots,
        batch_size,
        tuple(sorted({**changes, "frame_scale": frame_scale}.items())),
    )
    frozen = {} if train_backbone else {"backbone": params["backbone"]}
    state = begin({name: params[name] for name in params.keys() - frozen.keys()})
    given = first, Strength(float(learning_rate), float(jitter)), jax.random.key(seed)
    if on_progress is not None:
        iterate.lower(recipe, state, frozen, *given, 0).compile()  # kept for the calls below
        on_progress(0, math.nan)
    for start, stop in _pieces(iterations):
        total = jnp.zeros(())
        for index in range(start, stop):
            state, loss = iterate(recipe, state, frozen, *given, index)
            total += loss
        if on_progress is not None:
            on_progress(stop, float(total) / (stop - start))
    if not bool(all_finite(state)):
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
        iterations: int = ITERATIONS,
        learning_rate: float = LEARNING_RATE,
        batch_size: int = BATCH_SIZE,
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
        raise InputError(f"The jitter is {jitter}; it is a fraction from 0 to below 1.")
    if unknown := sorted(set(augmentation) - set(IDENTITY)):
        raise InputError(
            f"There is no augmentation {unknown[0]}; it can be one of {', '.join(IDENTITY)}."
        )


def _pieces(iterations: int) -> list[tuple[int, int]]:
    """From 0 to `iterations`, in about as many pieces as there are reports."""
    step = math.ceil(iterations / _REPORTS)
    return [(start, min(start + step, iterations)) for start in range(0, iterations, step)]
