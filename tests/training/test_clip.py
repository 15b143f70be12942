"""Sequential training: later frames are sampled in the view of the first, from the network's own
answers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_augment import HEIGHT, WIDTH, host_batch, smooth_ids

from ranet_jax.inference.boxes import mask_boxes
from ranet_jax.models.initialization import init_params
from ranet_jax.models.memory import remember
from ranet_jax.models.ops import crop_nearest, uncrop
from ranet_jax.models.ranet import RANet
from ranet_jax.training import augment, clip

VIEWS = {
    "warp": 0.05,
    "rotation": 10.0,
    "scale": (0.9, 1.1),
    "crop": 0.2,
    "flip": 0.5,
    "color": 0.2,
    "previous_warp": 0.05,
    "coarsening": 0.0,
    "frame_scale": 2,
}
KEYS = jax.random.split(jax.random.key(3), 2)


@functools.cache
def sample(**changes):
    views = VIEWS | changes

    @jax.jit
    def later(batch, number, boxes):
        one = functools.partial(clip.later_frame, **views)
        return jax.vmap(one, (0, 0, None, 0))(KEYS, batch, number, boxes)

    return later


@pytest.fixture(scope="module")
def clips():
    """Two clips of three frames, of which every one is the first again; boxes with fractions on the
    canvas, as of an image that is to be enlarged."""
    batch = host_batch(seed=5, slots=1)
    images = np.repeat(np.repeat(batch["image"][:, ::8, ::8], 16, 1), 16, 2)
    ids = np.stack([smooth_ids(i, 1, 2 * HEIGHT, 2 * WIDTH) for i in range(2)])
    frame_box = np.array([[20, 30, 110, 165], [0, 0, 2 * HEIGHT, 2 * WIDTH]], np.int32)
    middle = np.array([HEIGHT, WIDTH] * 2)
    box = (frame_box - middle) / np.float32(1.25) + middle
    return batch | {
        "image": images,
        "ids": ids,
        "previous_ids": ids,
        "box": box.astype(np.float32),
        "template_image": images,
        "template_ids": ids,
        "template_box": box.astype(np.float32),
        "later_images": np.repeat(images[:, None], 2, 1),
        "later_ids": np.repeat(ids[:, None], 2, 1),
        "frame_box": frame_box,
        "is_static": np.zeros(2, bool),
    }


@pytest.fixture(scope="module")
def seen(clips):
    return jax.jit(functools.partial(augment.augment_each, **VIEWS))(KEYS, clips)


def test_the_same_frame_in_the_same_box_is_seen_again(clips, seen):
    image, masks = sample()(clips, jnp.int32(1), clips["frame_box"])
    np.testing.assert_allclose(image, seen["image"], atol=2e-4)
    assert (np.asarray(masks) != seen["target_masks"]).mean() < 1e-3


def test_a_crop_of_an_answer_lies_on_the_image_in_its_box(clips, seen):
    """With the truth for an answer, the previous mask in the new box is the truth there."""
    answer = jax.vmap(functools.partial(uncrop, size=clips["ids"].shape[1:]))(
        seen["target_masks"], clips["frame_box"]
    )
    labels = (answer[:, 0] > 0.5).astype(jnp.uint8)
    boxes = mask_boxes(labels > 0)
    assert (np.asarray(boxes) != clips["frame_box"]).any(axis=1).all()
    crop = functools.partial(crop_nearest, size=(HEIGHT, WIDTH))
    previous = np.asarray(jax.vmap(crop)(labels, boxes)) > 0
    truth = np.asarray(sample()(clips, jnp.int32(1), boxes)[1][:, 0]) > 0
    assert (previous & truth).sum() > 0.9 * (previous | truth).sum()


def test_images_move_further_with_every_frame(clips):
    still = clips | {"is_static": np.array([True, False])}
    _, first = sample(color=0.0)(clips, jnp.int32(1), clips["frame_box"])
    moved = [sample(color=0.0)(still, jnp.int32(i), clips["frame_box"])[1] for i in (1, 2)]
    changed = [(np.asarray(masks) != first).mean(axis=(1, 2, 3)) for masks in moved]
    assert 0 < changed[0][0] < changed[1][0]
    assert changed[0][1] == changed[1][1] == 0, "a video's motion is its own"


@functools.partial(jax.jit, static_argnames=("model", "method"))
def apply_part(model, method, params, *arguments):
    return model.apply({"params": params}, *arguments, method=method)


def in_a_plain_loop(model, params, batch, seen, through_time):
    """Template and frames one after the other, with nothing of `clip` but the sampling."""

    def apply(*arguments, method):  # compiled by itself: once for all frames
        return apply_part(model, method, params, *arguments)

    template = apply(seen["template_image"], seen["template_masks"], method="encode_template")
    image, previous, target = (seen[k] for k in ("image", "previous_masks", "target_masks"))
    boxes, valid = batch["frame_box"], seen["valid"]
    uncrop_all = jax.jit(jax.vmap(functools.partial(uncrop, size=batch["ids"].shape[1:])))
    crop_all = jax.jit(jax.vmap(functools.partial(crop_nearest, size=(HEIGHT, WIDTH))))
    logits, pooled = apply(template, image, previous, valid, method="segment_and_pool")
    results = [(logits, target)]
    for number in (1, 2):
        if not through_time:
            logits, pooled = jax.lax.stop_gradient((logits, pooled))
        labels = (uncrop_all(jax.nn.sigmoid(logits), boxes)[:, 0] > 0.5).astype(jnp.uint8)
        template = remember(template, pooled, jax.nn.sigmoid(logits), 1, jnp.ones(2, bool))
        boxes = mask_boxes(labels > 0)
        previous = crop_all(labels, boxes)[:, None].astype(jnp.float32)
        image, target = sample()(batch, jnp.int32(number), boxes)
        logits, pooled = apply(template, image, previous, valid, method="segment_and_pool")
        results.append((logits, target))
    return tuple(map(jnp.stack, zip(*results, strict=True)))


@pytest.mark.slow
def test_frames_of_a_clip_are_those_of_a_plain_loop(clips, seen, monkeypatch):
    """Answers, targets and gradients; written out as on a CPU, and as the loop of accelerators."""
    # The maximum of the maps: rounding may change the order of ranked ones, and with it everything.
    model = RANet(depth=14, width=8, memory=1, ranking="max")
    params = init_params(model, seed=0)
    # Logits of what is black are 0: rounding would decide what is object there.
    params["pyramid"]["level3"]["logits"]["bias"] += 0.3

    def results(run, compiled=jax.jit):
        def loss(params):
            logits, targets = run(params)
            return jnp.square(logits - 10 * targets).mean(), (logits, targets)

        gradients, values = compiled(jax.grad(loss, has_aux=True))(params)
        return gradients, *values

    def plain(params, through_time=False):
        return in_a_plain_loop(model, params, clips, seen, through_time)

    def clip_logits(params, through_time=False):
        return clip.clip_logits(model, params, KEYS, clips, seen, VIEWS, through_time)

    by_parts = functools.partial(results, compiled=lambda function: function)
    stopped = by_parts(plain)
    flowing = by_parts(functools.partial(plain, through_time=True))
    norms = [np.linalg.norm(jax.tree.leaves(one[0])[0]) for one in (stopped, flowing)]
    assert abs(norms[1] / norms[0] - 1) > 1e-2, "the memory has a gradient"
    pairs = [
        (results(clip_logits), stopped),
        (results(functools.partial(clip_logits, through_time=True)), flowing),
    ]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    pairs.append((results(clip_logits), stopped))
    for ours, expected in pairs:
        np.testing.assert_array_equal(ours[2], expected[2])
        np.testing.assert_allclose(ours[1], expected[1], atol=5e-3)
        for one, other in zip(*map(jax.tree.leaves, (ours[0], expected[0])), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-2 * np.abs(other).max() + 1e-6)
