"""Resizing, pooling, boxes and crops: against stored numbers and against plain definitions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import compare

from ranet_jax.models import ops

sizes = st.integers(1, 12)
POOLS = (ops.average_pool, ops.adaptive_max_pool)


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def linear(x: np.ndarray, source: np.ndarray, axis: int) -> np.ndarray:
    """Plain interpolation at fractional positions, clamped to the ends."""
    source = np.clip(source, 0, x.shape[axis] - 1)
    low = np.floor(source).astype(int)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    share = (source - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share


@given(sizes, sizes, sizes, sizes)
@settings(max_examples=10, deadline=None)
def test_resizes_follow_their_definitions(height, width, out_height, out_width):
    x = array(2, height, width, 3)
    ends = x
    centres = x
    for axis, out in ((1, out_height), (2, out_width)):
        size = x.shape[axis]
        ends = linear(ends, np.arange(out) * ((size - 1) / max(out - 1, 1)), axis)
        centres = linear(centres, (np.arange(out) + 0.5) * (size / out) - 0.5, axis)
    size = (out_height, out_width)
    for resize, expected in ((ops.resize_align_corners, ends), (ops.resize_half_pixel, centres)):
        resized = jax.jit(functools.partial(resize, size=size))(x)
        np.testing.assert_allclose(resized, expected, atol=1e-5)


@given(sizes, sizes)
@settings(max_examples=5, deadline=None)
def test_gradient_of_doubling_is_its_transpose(height, width):
    """Doubling has a path of its own; it is linear, so its gradient must be its adjoint."""
    size = (2 * height, 2 * width)
    x, direction = array(1, height, width, 2), array(1, *size, 2, seed=1)
    for resize in (ops.resize_align_corners, ops.resize_half_pixel):
        resized = jax.jit(functools.partial(resize, size=size))
        gradient = jax.jit(jax.grad(lambda x, f=resized: jnp.sum(f(x) * direction)))(x)
        there = np.sum(np.asarray(resized(x), np.float64) * direction)
        np.testing.assert_allclose(np.sum(gradient * x), there, rtol=1e-3, atol=1e-3)


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=10, deadline=None)
def test_adaptive_pooling_covers_floor_to_ceil(height, width):
    x = array(1, height, width, 2)
    out = (15, 27)
    mean, largest = np.zeros((1, *out, 2)), np.zeros((1, *out, 2))
    for i, j in np.ndindex(*out):
        rows = slice(i * height // out[0], -(-(i + 1) * height // out[0]))
        columns = slice(j * width // out[1], -(-(j + 1) * width // out[1]))
        mean[:, i, j] = x[:, rows, columns].mean(axis=(1, 2))
        largest[:, i, j] = x[:, rows, columns].max(axis=(1, 2))
    averaged, most = (jax.jit(functools.partial(pool, size=out)) for pool in POOLS)
    np.testing.assert_allclose(averaged(x), mean, atol=1e-5)
    np.testing.assert_array_equal(most(x), largest.astype(np.float32))


def test_l2_normalize_keeps_zero_vectors_finite():
    x = jnp.stack([jnp.zeros((1, 1, 4)), jnp.full((1, 1, 4), 2.0)])
    np.testing.assert_allclose(ops.l2_normalize(x)[:, 0, 0], [[0] * 4, [0.5] * 4])


def test_primitives_equal_the_reference(reference):
    stored, _ = reference.stored("units/blocks")
    x = stored["prim/input"]
    compare(
        "resize x2 centres",
        ops.resize_half_pixel(x, (10, 14)),
        stored["prim/resize2_centers"],
        1e-5,
    )
    compare(
        "resize x2 corners",
        ops.resize_align_corners(x, (10, 14)),
        stored["prim/resize2_corners"],
        1e-5,
    )
    compare(
        "resize x4 corners",
        ops.resize_align_corners(x, (20, 28)),
        stored["prim/resize4_corners"],
        1e-5,
    )
    compare("unit length", ops.l2_normalize(x), stored["prim/unit_length"], 1e-6)


def test_crops_equal_the_reference(reference):
    stored, _ = reference.stored("units/crops")
    objects = [
        {"cy": 210, "cx": 330, "ry": 120, "rx": 160, "vy": 0, "vx": 0, "g": 0},
        {"cy": 320, "cx": 560, "ry": 90, "rx": 110, "vy": 0, "vx": 0, "g": 0},
    ]
    seed = reference.spec["units_seed"]
    frames, labels = reference.inputs.scene(seed, 1, 480, 864, objects)
    image = reference.inputs.normalise(frames[0])
    values = np.float32(reference.inputs.noise(f"units|{seed}|prob", 480, 864, 17) / 4080)
    for i, box in enumerate(stored["boxes"]):
        crop = ops.crop_bilinear(image, box)
        compare(f"crop {i}", crop[::16, ::18], stored[f"image_crop_{i}"], 1e-5)
        np.testing.assert_array_equal(
            ops.crop_nearest(jnp.asarray(labels[0]), box), stored[f"label_crop_{i}"]
        )
        back = np.asarray(ops.uncrop(values[None], box))[0]
        compare(f"un-crop {i}", back[::8, ::9], stored[f"map_uncrop_{i}"], 1e-6)
        positive = np.unpackbits(stored[f"map_uncrop_{i}_positive"]).astype(bool)
        different = (back.ravel() > 0.5) != positive
        assert (np.abs(back.ravel()[different] - 0.5) < 1e-6).all()


@given(st.integers(0, 60), st.integers(0, 90), st.integers(32, 64), st.integers(32, 96))
@settings(max_examples=25, deadline=None)
def test_uncrop_undoes_what_a_crop_shows(top, left, height, width):
    """A constant map comes back as itself inside the box and as zero outside."""
    box = np.array([top, left, min(top + height, 64), min(left + width, 96)])
    if (box[2:] - box[:2]).min() < 1:
        return
    back = np.asarray(ops.uncrop(jnp.full((2, 64, 96), 0.7), box))
    expected = np.zeros((2, 64, 96), np.float32)
    expected[:, box[0] : box[2], box[1] : box[3]] = 0.7
    np.testing.assert_allclose(back, expected, atol=1e-6)


def test_whole_frame_crop_changes_nothing():
    image, box = array(64, 96, 3), np.array([0, 0, 64, 96])
    np.testing.assert_array_equal(ops.crop_bilinear(image, box), image)
    labels = np.arange(64 * 96).reshape(64, 96)
    np.testing.assert_array_equal(ops.crop_nearest(jnp.asarray(labels), box), labels)


def test_crops_of_a_frame_twice_the_size():
    """The whole is averaged over squares of four pixels, a quarter of it is shown as it is."""
    image, whole = array(64, 96, 3), np.array([0, 0, 64, 96])
    expected = image.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(ops.crop_bilinear(image, whole, (32, 48)), expected, atol=1e-6)
    part = np.array([32, 48, 64, 96])
    np.testing.assert_array_equal(ops.crop_bilinear(image, part, (32, 48)), image[32:, 48:])
    labels = np.arange(64 * 96).reshape(64, 96)
    shown = ops.crop_nearest(jnp.asarray(labels), part, (32, 48))
    np.testing.assert_array_equal(shown, labels[32:, 48:])
    back = np.asarray(ops.uncrop(jnp.full((1, 32, 48), 0.7), part, (64, 96)))[0]
    np.testing.assert_allclose(back[32:, 48:], 0.7, atol=1e-6)
    assert not back[:32].any() and not back[:, :48].any()
