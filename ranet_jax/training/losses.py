"""What training minimises (paper 3.5; supplement for several objects)."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ranet_jax.array_typing import Logits, ObjectMasks, Valid
from ranet_jax.models.aggregation import label_logits
from ranet_jax.models.ranet import Mode


def segmentation_loss(
    logits: Logits, targets: ObjectMasks, valid: Valid, mode: Mode
) -> Float[Array, " b"]:
    """The loss of every example, by the path the network is trained for.

    Args:
        logits: of each object slot, [b, n, H, W].
        targets: 0 or 1, disjoint, [b, n, H, W].
        valid: which slots hold an object; the others count for nothing, [b, n].
        mode: `single`: binary cross-entropy; `multi`: softmax cross-entropy over the background
            and the objects.

    Returns:
        Nats a pixel, [b]; 0 for an example without an object.
    """
    each = binary_cross_entropy if mode == "single" else softmax_cross_entropy
    return each(logits, targets, valid)


def binary_cross_entropy(logits: Logits, targets: ObjectMasks, valid: Valid) -> Float[Array, " b"]:
    """Binary cross-entropy, the mean over the pixels of all valid slots (paper 3.5)."""
    each = optax.sigmoid_binary_cross_entropy(logits, targets).mean(axis=(2, 3))
    return jnp.where(valid, each, 0).sum(axis=1) / jnp.maximum(valid.sum(axis=1), 1)


def softmax_cross_entropy(logits: Logits, targets: ObjectMasks, valid: Valid) -> Float[Array, " b"]:
    """Cross-entropy of the softmax over labels (`aggregation.label_logits`), the mean over pixels.

    Pixels of an object that is not valid belong to the background: nothing in the template tells
    of it.
    """
    each = optax.softmax_cross_entropy_with_integer_labels(
        label_logits(logits, valid), target_labels(targets, valid), axis=1
    )
    return jnp.where(valid.any(axis=1), each.mean(axis=(1, 2)), 0)


def target_labels(targets: ObjectMasks, valid: Valid) -> Int[Array, "b H W"]:
    """0 for the background, i for slot i - 1, from disjoint masks."""
    used = targets * valid[:, :, None, None]
    numbers = jnp.arange(1, targets.shape[1] + 1)[:, None, None]
    return jnp.sum(used * numbers, axis=1).astype(jnp.int32)


def overlap(logits: Logits, targets: ObjectMasks, valid: Valid, mode: Mode) -> Float[Array, "b n"]:
    """Intersection over union of the thresholded prediction and the target, 0 in empty slots.

    Of several objects each pixel goes to the likeliest label, as when a video is segmented.
    """
    if mode == "single":
        predicted = logits > 0
    else:
        best = jnp.argmax(label_logits(logits, valid), axis=1)
        predicted = best[:, None] == jnp.arange(1, logits.shape[1] + 1)[:, None, None]
    wanted = targets > 0.5
    both = (predicted & wanted).sum(axis=(2, 3))
    either = (predicted | wanted).sum(axis=(2, 3))
    return jnp.where(valid, jnp.where(either > 0, both / jnp.maximum(either, 1), 1.0), 0.0)
