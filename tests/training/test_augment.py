import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from ranet_jax.models import ops
from ranet_jax.training import augment

HEIGHT, WIDTH = 64, 96
SEEDS = st.integers(0, 2**31 - 1)
few = hypothesis.settings(max_examples=15, deadline=None)
as_published = functools.partial(
    augment.augment,
    warp=0.15,
    rotation=30.0,
    scale=(0.75, 1.25),
    crop=0.2,
    flip=0.5,
    previous_warp=0.05,
    coarsening=0.01,
)


def smooth_ids(seed: int, count: int = 1, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Ellipses, one an object, the later ones on top."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    ids = np.zeros((height, width), np.uint8)
    for i in range(1, count + 1):
        cy, cx = rng.uniform(0.3, 0.7, 2) * (height, width)
        ry, rx = rng.uniform(0.15, 0.3, 2) * (height, width)
        ids[((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1] = i
    return ids


def host_batch(
    seed: int = 0,
    count: int = 1,
    size: int = 2,
    slots: int = 4,
    later: int = 0,
    sides=(HEIGHT, WIDTH),
    **changes,
) -> dict:
    """Random pixels and ellipses; as clips with `later` more frames, in which they are others."""
    rng = np.random.default_rng(seed)
    ids = np.stack([smooth_ids(seed + i, count, *sides) for i in range(size)])
    frame = np.tile(np.array([0, 0, *sides], np.float32), (size, 1))
    clips = (
        {
            "later_images": rng.integers(0, 256, (size, later, *sides, 3), dtype=np.uint8),
            "later_ids": np.stack([np.roll(ids, 3 * i, axis=2) for i in range(1, later + 1)], 1),
            "frame_box": frame.astype(np.int32),
        }
        if later
        else {}
    )
    return (
        clips
        | {
            "template_image": rng.integers(0, 256, (size, *sides, 3), dtype=np.uint8),
            "template_ids": ids,
            "template_box": frame,
            "image": rng.integers(0, 256, (size, *sides, 3), dtype=np.uint8),
            "ids": ids,
            "previous_ids": ids,
            "box": frame,
            "valid": np.broadcast_to(np.arange(1, slots + 1) <= count, (size, slots)),
            "is_static": np.ones(size, bool),
        }
        | changes
    )


@functools.cache
def augment_with(**settings):
    return functools.partial(augment.augment, **(augment.IDENTITY | settings))


def identity_view(batch):
    return augment_with()(jax.random.key(0), batch)


def test_nothing_changes_nothing():
    batch = host_batch(count=3)
    seen = identity_view(batch)
    np.testing.assert_allclose(seen["image"], batch["image"] / 255, atol=2e-4)
    np.testing.assert_allclose(seen["template_image"], batch["template_image"] / 255, atol=2e-4)
    one_hot = batch["ids"][:, None] == np.arange(1, 5)[:, None, None]
    for name in ("template_masks", "target_masks", "previous_masks"):
        np.testing.assert_array_equal(seen[name], one_hot)
    np.testing.assert_array_equal(seen["valid"], batch["valid"])


def test_the_result_is_what_a_training_step_takes():
    seen = as_published(jax.random.key(0), host_batch(count=2))
    shapes = {name: array.shape for name, array in seen.items()}
    masks, image = (2, 4, HEIGHT, WIDTH), (2, HEIGHT, WIDTH, 3)
    assert shapes == {
        "template_image": image,
        "template_masks": masks,
        "image": image,
        "previous_masks": masks,
        "target_masks": masks,
        "valid": (2, 4),
    }
    assert {array.dtype for name, array in seen.items() if name != "valid"} == {np.dtype("f4")}
    assert seen["image"].min() >= 0 and seen["image"].max() <= 1


def test_a_box_is_resized_to_the_whole_input():
    box = np.tile(np.float32([16, 24, 48, 72]), (2, 1))
    batch = host_batch(box=box)
    seen = identity_view(batch)["image"][0]
    crop = np.float32(batch["image"][0, 16:48, 24:72]) / 255
    resized = jax.image.resize(crop, (HEIGHT, WIDTH, 3), "linear", antialias=False)
    np.testing.assert_allclose(seen[1:-1, 1:-1], resized[1:-1, 1:-1], atol=1e-4)


def test_outside_the_source_is_black_background():
    box = np.tile(np.float32([-HEIGHT, -WIDTH, 2 * HEIGHT, 2 * WIDTH]), (2, 1))
    full = np.ones((2, HEIGHT, WIDTH), np.uint8)
    white = np.full((2, HEIGHT, WIDTH, 3), 255, np.uint8)
    seen = identity_view(host_batch(box=box, ids=full, image=white))
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[HEIGHT // 3 + 1 : 2 * HEIGHT // 3, WIDTH // 3 : 2 * WIDTH // 3] = True
    assert not np.asarray(seen["image"][0])[: HEIGHT // 3 - 1].any()
    assert not np.asarray(seen["target_masks"][0, 0])[: HEIGHT // 3 - 1].any()
    assert np.asarray(seen["target_masks"][0, 0])[inside].mean() > 0.95


@few
@hypothesis.given(SEEDS)
def test_an_image_and_its_mask_are_warped_alike(seed):
    batch = host_batch(seed)
    painted = np.repeat(255 * batch["ids"][..., None], 3, axis=-1)
    batch |= {"image": painted, "template_image": painted}
    seen = as_published(jax.random.key(seed), batch)
    grey, mask = np.asarray(seen["image"][..., 0]), np.asarray(seen["target_masks"][:, 0])
    # Between 0.25 and 0.75 the nearest pixel is not decided by the blend of the four.
    np.testing.assert_array_equal(mask[grey > 0.76], 1)
    np.testing.assert_array_equal(mask[grey < 0.24], 0)
    # The template's mask is read where four pixels meet.
    grey, mask = (
        np.asarray(seen["template_image"][..., 0]),
        np.asarray(seen["template_masks"][:, 0]),
    )
    around = np.stack(
        [grey[:, i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)]
    )
    np.testing.assert_array_equal(mask[:, 1:, 1:][around.min(axis=0) > 0.76], 1)
    np.testing.assert_array_equal(mask[:, 1:, 1:][around.max(axis=0) < 0.24], 0)


@few
@hypothesis.given(SEEDS, st.integers(1, 4))
def test_ids_are_never_blended(seed, count):
    seen = as_published(jax.random.key(seed), host_batch(seed, count=count))
    for name in ("template_masks", "target_masks", "previous_masks"):
        masks = np.asarray(seen[name])
        assert set(np.unique(masks)) <= {0.0, 1.0}
        assert masks.sum(axis=1).max() <= 1
        assert not masks[:, count:].any()


def test_flips_are_shared_by_template_and_frame():
    batch = host_batch()
    seen = augment_with(flip=1.0)(jax.random.key(0), batch)
    for name in ("image", "template_image"):
        np.testing.assert_allclose(seen[name], batch[name][:, :, ::-1] / 255, atol=2e-4)
    np.testing.assert_array_equal(seen["previous_masks"][:, 0], batch["ids"][:, :, ::-1])


def test_template_and_frame_get_warps_of_their_own():
    batch = host_batch()
    batch["template_image"] = batch["image"]
    seen = as_published(jax.random.key(0), batch)
    assert np.abs(seen["image"] - seen["template_image"]).mean() > 0.05


def test_the_previous_mask_is_warped_again_for_static_images_alone():
    batch = host_batch(is_static=np.array([True, False]))
    previous, once = (
        np.asarray(augment_with(warp=0.15, **second)(jax.random.key(0), batch)["previous_masks"])
        for second in ({"previous_warp": 0.05}, {})
    )
    np.testing.assert_array_equal(previous[1::2], once[1::2])
    overlap = (previous * once).sum((1, 2, 3)) / np.maximum(previous, once).sum((1, 2, 3))
    assert (overlap[::2] < 0.999).all() and (overlap[::2] > 0.3).all()


@few
@hypothesis.given(SEEDS, st.integers(1, 3))
def test_coarsening_moves_outlines_by_no_more_than_its_radius(seed, radius):
    ids = smooth_ids(seed, 3)
    masks = np.float32(ids[None] == np.arange(1, 4)[:, None, None])
    coarse = np.asarray(augment.coarsen(jax.random.key(seed), masks, radius))
    window = 2 * radius + 1
    dilate = jax.lax.reduce_window(masks, 0.0, jax.lax.max, (1, window, window), (1, 1, 1), "SAME")
    assert set(np.unique(coarse)) <= {0.0, 1.0}
    assert coarse.sum(axis=0).max() <= 1
    assert (coarse <= np.asarray(dilate)).all()
    assert (coarse.any(axis=(1, 2)) == masks.any(axis=(1, 2))).all()


def test_an_object_too_small_to_coarsen_is_kept():
    masks = np.zeros((1, 40, 40), np.float32)
    masks[0, 20, 20] = 1
    np.testing.assert_array_equal(augment.coarsen(jax.random.key(0), masks, 5), masks)


@few
@hypothesis.given(SEEDS, st.floats(0, 0.9))
def test_colors_stay_colors(seed, strength):
    image = np.random.default_rng(seed).random((8, 8, 3), np.float32)
    jittered = np.asarray(augment.jitter_color(jax.random.key(seed), image, strength))
    assert jittered.min() >= 0 and jittered.max() <= 1
    still = augment.jitter_color(jax.random.key(seed), image, 0.0)
    np.testing.assert_allclose(still, image, atol=1e-6)


def test_color_jitter_leaves_masks_alone():
    batch = host_batch()
    plain = augment_with()(jax.random.key(1), batch)
    colored = augment_with(color=0.5)(jax.random.key(1), batch)
    assert np.abs(plain["image"] - colored["image"]).max() > 0.01
    np.testing.assert_array_equal(plain["target_masks"], colored["target_masks"])


def test_an_object_warped_out_of_the_template_is_no_longer_valid():
    ids = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    ids[0, :2, :2] = 1
    ids[1] = 1
    box = np.tile(np.float32([32, 48, 64, 96]), (2, 1))
    seen = identity_view(host_batch(template_ids=ids, template_box=box))
    np.testing.assert_array_equal(seen["valid"][:, 0], [False, True])


def test_the_key_decides_and_everything_compiles_once():
    batch = host_batch()
    look = augment_with(warp=0.15, rotation=30.0, scale=(0.75, 1.25), crop=0.2)
    look(jax.random.key(0), batch)
    compiled = augment.augment._cache_size()
    first, again, other = (look(jax.random.key(k), batch) for k in (1, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert np.abs(first["image"] - other["image"]).max() > 0.1
    augment_with(warp=0.1, rotation=5.0, scale=(0.9, 1.0), flip=0.5)(jax.random.key(0), batch)
    assert augment.augment._cache_size() == compiled


def test_it_runs_under_jit_and_pmap_alike():
    batch = host_batch()
    devices = jax.local_device_count()
    keys = jax.random.split(jax.random.key(3), devices)
    rows = jax.tree.map(lambda a: np.broadcast_to(a, (devices, *a.shape)), batch)
    mapped = jax.pmap(as_published)(keys, rows)
    single = jax.jit(lambda key: as_published(key, batch))(keys[0])
    for name, array in single.items():
        np.testing.assert_allclose(mapped[name][0], array, atol=1e-3, err_msg=name)


def test_canvases_can_be_larger_than_the_result():
    """Of canvases enlarged twice the whole shows what the small ones do, and a part is sharper."""
    small = host_batch(count=3)
    large = dict(small)
    for name in ("image", "template_image", "ids", "template_ids", "previous_ids"):
        large[name] = small[name].repeat(2, axis=1).repeat(2, axis=2)
    for name in ("box", "template_box"):
        large[name] = 2 * small[name]
    seen, expected = (
        augment_with(frame_scale=2)(jax.random.key(0), large),
        identity_view(small),
    )
    for name, array in expected.items():
        np.testing.assert_allclose(seen[name], array, atol=1e-3, err_msg=name)
    part = np.tile(np.array([0, 0, HEIGHT, WIDTH], np.float32), (2, 1))
    seen = augment_with(frame_scale=2)(jax.random.key(0), large | {"box": part})["image"]
    np.testing.assert_allclose(seen, large["image"][:, :HEIGHT, :WIDTH] / 255, atol=1e-3)


@few
@hypothesis.given(SEEDS)
def test_without_augmentation_training_sees_what_segmenting_sees(seed):
    """Every pixel of the template's and the previous mask, and of the images where they do not look
    beyond the box."""
    rng = np.random.default_rng(seed)
    batch = host_batch(seed, count=3, size=1)
    size = np.array([HEIGHT, WIDTH])
    start = rng.integers(0, size - 32)
    box = np.concatenate([start, rng.integers(start + 32, size + 1)])
    boxes = {name: box[None].astype(np.float32) for name in ("box", "template_box")}
    seen = identity_view(batch | boxes)
    margin = np.ceil(size / (box[2:] - box[:2])).astype(int)
    inside = tuple(slice(m, -m) for m in margin)
    for kind, mask in (("template_", "template"), ("", "previous")):
        ids = jnp.asarray(batch[f"{mask}_ids"][0])
        shown = ops.crop_nearest(ids, box)
        masks = np.stack([shown == slot for slot in range(1, 5)])
        np.testing.assert_array_equal(seen[f"{mask}_masks"][0], masks)
        image = ops.crop_bilinear(jnp.float32(batch[f"{kind}image"][0]) / 255, box)
        np.testing.assert_allclose(seen[f"{kind}image"][0][inside], image[inside], atol=1e-3)


def test_any_size_goes():
    height, width = 32, 160
    batch = host_batch()
    pads = {"image": 3, "template_image": 3, "ids": 0, "template_ids": 0, "previous_ids": 0}
    for name, channels in pads.items():
        shape = (2, height, width, 3) if channels else (2, height, width)
        batch[name] = np.resize(batch[name], shape)
    seen = as_published(jax.random.key(0), batch)
    assert seen["image"].shape == (2, height, width, 3)
