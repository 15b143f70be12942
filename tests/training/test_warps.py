import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from ranet_jax.training import augment, warps

HEIGHT, WIDTH = 64, 96


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(st.integers(0, 2**31 - 1), st.floats(0, 0.3))
def test_the_spline_is_scipys(seed, strength):
    rng = np.random.default_rng(seed)
    points = warps.control_points()
    shifts = rng.uniform(-strength, strength, (16, 2))
    positions = rng.uniform(-1.3, 1.3, (500, 2))
    spline = RBFInterpolator(points, points + shifts, kernel="thin_plate_spline")
    ours = warps.thin_plate_spline(jnp.float32(positions), jnp.float32(shifts))
    np.testing.assert_allclose(ours, spline(positions), atol=1e-4)


def test_the_spline_moves_its_control_points_as_asked():
    shifts = np.random.default_rng(0).uniform(-0.3, 0.3, (16, 2)).astype(np.float32)
    points = jnp.float32(warps.control_points())
    np.testing.assert_allclose(warps.thin_plate_spline(points, shifts), points + shifts, atol=1e-5)


def test_no_shift_is_the_identity_and_an_affine_one_stays_affine():
    positions = warps.pixel_centers(20, 30)
    still = warps.thin_plate_spline(positions, jnp.zeros((16, 2)))
    np.testing.assert_allclose(still, positions, atol=1e-6)
    matrix = np.array([[0.1, -0.05], [0.02, 0.08]], np.float32)
    sheared = warps.thin_plate_spline(positions, jnp.float32(warps.control_points()) @ matrix)
    np.testing.assert_allclose(sheared, positions + positions @ matrix, atol=1e-5)


def test_a_quarter_turn_and_a_doubling_move_pixels_where_they_belong():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    positions = warps.pixel_centers(32, 32)
    whole = jnp.float32([0, 0, 32, 32])

    def look(angle, zoom):
        grid = warps.rotate_and_scale(positions, jnp.deg2rad(angle), zoom, 1.0)
        return augment.sample_bilinear(image, warps.to_pixels(grid, whole)) * 255

    turned = look(90.0, 1.0)
    candidates = [np.rot90(image, k) for k in (1, 3)]
    assert min(np.abs(turned - candidate).max() for candidate in candidates) < 0.01
    doubled = look(0.0, 2.0)
    half = jax.image.resize(np.float32(image[8:24, 8:24]), (32, 32, 3), "linear")
    np.testing.assert_allclose(doubled[2:-2, 2:-2], half[2:-2, 2:-2], atol=0.01)


def test_a_turn_keeps_circles_round_in_a_wide_frame():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = (((y - 31.5) ** 2 + (x - 47.5) ** 2) < 20**2).astype(np.uint8)
    grid = warps.rotate_and_scale(
        warps.pixel_centers(HEIGHT, WIDTH), jnp.deg2rad(30.0), 1.0, WIDTH / HEIGHT
    )
    pixels = warps.to_pixels(grid, jnp.float32([0, 0, HEIGHT, WIDTH]))
    assert (np.asarray(augment.sample_nearest(disc, pixels)) != disc).mean() < 0.01
