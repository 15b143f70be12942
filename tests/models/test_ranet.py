"""The whole network at a small width: shapes, precision, batches, slots, ablations."""

import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ranet_jax.errors import InputError
from ranet_jax.models.initialization import abstract_params, init_params
from ranet_jax.models.platforms import lowering_for
from ranet_jax.models.ranet import RANet

ABLATIONS = {
    "no_ranking": {"ranking": "none"},
    "maximum": {"ranking": "max"},
    "no_correlation": {"correlation": False},
    "no_previous_mask": {"previous_mask": False},
}


def inputs(b=1, n=1, height=96, width=128, seed=0):
    random = np.random.default_rng(seed)
    frames = random.uniform(0, 1, (2, b, height, width, 3)).astype(np.float32)
    labels = (
        random.integers(0, n + 1, (2, b, height // 16, width // 16)).repeat(16, 2).repeat(16, 3)
    )
    masks = (labels[:, :, None] == np.arange(1, n + 1)[:, None, None]).astype(np.float32)
    return frames[0], masks[0], frames[1], masks[1], np.ones((b, n), bool)


@functools.partial(jax.jit, static_argnums=0)
def _apply(model, params, *args):
    return model.apply({"params": params}, *args)


def apply(model, params, args) -> np.ndarray:
    """Logits; a model and a shape that were compiled once are not compiled again."""
    return np.asarray(_apply(model, params, *args))


def test_a_tpu_computes_the_same(small):
    """What is traced for TPUs, run here."""
    model, params = small(mode="multi")
    args = inputs(2, 2)
    with lowering_for("tpu"):
        found = jax.jit(model.apply)({"params": params}, *args)
    np.testing.assert_allclose(found, apply(model, params, args), atol=2e-3)


def shapes(model) -> dict:
    flat = flax.traverse_util.flatten_dict(abstract_params(model), sep="/")
    return {name: leaf.shape for name, leaf in flat.items()}


@pytest.mark.parametrize("mode, n", [("single", 1), ("multi", 2)])
def test_both_frames_together_are_one_after_the_other(small, mode, n):
    """Training encodes them in one batch, a video does not."""

    def separately(network, template_frame, template_masks, *frame):
        return network.segment(network.encode_template(template_frame, template_masks), *frame)

    model, params = small(mode=mode)
    args = inputs(2, n)
    apart = jax.jit(functools.partial(model.apply, method=separately))({"params": params}, *args)
    np.testing.assert_allclose(apply(model, params, args), apart, atol=2e-3)


@pytest.mark.parametrize("size", [(32, 32), (96, 128), (256, 448)])
@pytest.mark.parametrize("mode, n", [("single", 1), ("multi", 2)])
def test_any_multiple_of_32_with_the_same_parameters(small, size, mode, n):
    model, params = small(mode=mode)
    args = inputs(2, n, *size)
    logits = apply(model, params, args)
    assert logits.shape == (2, n, *size) and logits.dtype == np.float32
    assert np.isfinite(logits).all() and logits.std() > 0


def test_samples_of_a_batch_do_not_meet(small):
    model, params = small(mode="multi")
    args = inputs(2, 2)
    together = apply(model, params, args)
    alone = apply(model, params, [x[1:2] for x in args])
    np.testing.assert_allclose(together[1:2], alone, atol=1e-3)


def test_unused_slots_change_nothing(small):
    """Two objects in two slots, or in four."""
    model, params = small(mode="multi")
    frame, masks, current, previous, valid = inputs(1, 2)
    padding = ((0, 0), (0, 2), (0, 0), (0, 0))
    padded = (
        frame,
        np.pad(masks, padding),
        current,
        np.pad(previous, padding),
        np.pad(valid, padding[:2]),
    )
    tight = apply(model, params, (frame, masks, current, previous, valid))
    loose = apply(model, params, padded)
    np.testing.assert_allclose(loose[:, :2], tight, atol=1e-3)


def test_objects_are_treated_alike(small):
    """Swapping two objects swaps their results."""
    model, params = small(mode="multi")
    frame, masks, current, previous, valid = inputs(1, 2)
    logits = apply(model, params, (frame, masks, current, previous, valid))
    swapped = apply(model, params, (frame, masks[:, ::-1], current, previous[:, ::-1], valid))
    np.testing.assert_allclose(swapped[:, ::-1], logits, atol=1e-2)


def test_bfloat16_keeps_norms_similarities_and_logits_in_float32(small):
    model, params = small()
    args = inputs()

    def seen(model):
        _, variables = jax.jit(
            lambda params, *args: model.apply(
                {"params": params}, *args, mutable="intermediates", capture_intermediates=True
            )
        )(params, *args)
        return variables["intermediates"]

    half, full = seen(model.clone(dtype=jnp.bfloat16)), seen(model)
    for name in ("similarity", "scores", "weights", "rank"):
        assert half[name][0].dtype == jnp.float32, name
    assert half["backbone"]["__call__"][0][2].dtype == jnp.bfloat16
    assert half["__call__"][0].dtype == jnp.float32
    features, exact = (x["matching_features"]["__call__"][0] for x in (half, full))
    assert features.dtype == jnp.float32
    # Unit vectors: their products are cosines, and bfloat16 has three digits.
    assert np.sum(features * exact, axis=-1).min() > 0.98


def test_nothing_grows_to_all_candidates_of_all_objects(small):
    """With 16 objects no intermediate has as many values as every weighted map of every object."""
    model, params = small(mode="multi")
    args = inputs(1, 16)
    jaxpr = jax.make_jaxpr(lambda *a: model.apply({"params": params}, *a))(*args)
    grid = (96 // 16) * (128 // 16)
    largest = 0

    def visit(jaxpr):
        nonlocal largest
        for equation in jaxpr.eqns:
            for variable in equation.outvars:
                shape = variable.aval.shape
                if len(shape) >= 3 and np.prod(shape) % (405 * grid) == 0:
                    largest = max(largest, int(np.prod(shape)) // (405 * grid))
            for value in equation.params.values():
                if hasattr(value, "jaxpr"):
                    visit(value.jaxpr)

    visit(jaxpr.jaxpr)
    assert 1 <= largest < 16


@pytest.mark.parametrize("mode, n", [("single", 1), ("multi", 2)])
@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations_run_and_change_the_result(small, name, mode, n):
    args = inputs(1, n)
    full = apply(*small(mode=mode), args)
    ablated = apply(*small(mode=mode, **ABLATIONS[name]), args)
    assert ablated.shape == full.shape and np.isfinite(ablated).all()
    assert np.abs(ablated - full).max() > 1e-3


@pytest.mark.parametrize(
    "name, gone, changed",
    [
        ("no_ranking", "ranking_network/", {"merge/block1/conv/kernel"}),
        ("maximum", "ranking_network/", {"merge/block1/conv/kernel"}),
        ("no_previous_mask", None, set()),
    ],
)
def test_ablations_change_only_their_own_parameters(name, gone, changed):
    full, ablated = (
        shapes(RANet(depth=14, width=8)),
        shapes(RANet(depth=14, width=8, **ABLATIONS[name])),
    )
    kept = {path for path in full if gone is None or not path.startswith(gone)}
    assert set(ablated) == kept
    assert {path for path in kept if full[path] != ablated[path]} == changed


def test_no_correlation_reads_both_frames_features():
    """The merge module takes 2 x 512 feature channels instead of 256 ranked maps."""
    shape = shapes(RANet(depth=14, correlation=False))
    assert not any(path.startswith("ranking_network") for path in shape)
    assert shape["merge/block1/kernel"] == (3, 3, 1024, 256)


def test_previous_mask_flag_makes_the_previous_mask_irrelevant(small):
    frame, masks, current, previous, valid = inputs()
    for flag, expected in ((True, False), (False, True)):
        model, params = small(previous_mask=flag)
        one = apply(model, params, (frame, masks, current, previous, valid))
        other = apply(model, params, (frame, masks, current, 1 - previous, valid))
        assert np.array_equal(one, other) is expected


def test_reduction_size_one_is_the_supplements():
    three, one = shapes(RANet(depth=14)), shapes(RANet(depth=14, reduction_size=1))
    different = {path for path in three if three[path] != one[path]}
    assert different == {f"matching_features/reduce{i}/conv/kernel" for i in (3, 4, 5)}


def test_paper_network_has_the_published_number_of_parameters(oracle_dir):
    """All published parameters but those that the published network never uses."""
    import json

    from ranet_jax.checkpoints.convert import NEVER_USED

    published = json.loads((oracle_dir / "params.json").read_text())
    used = sum(np.prod(shape) for name, shape in published if not NEVER_USED.match(name))
    assert sum(np.prod(shape) for shape in shapes(RANet()).values()) == used


def test_initialisation_depends_on_seed_and_name_only():
    model = RANet(depth=14, width=8)
    first, again, other = init_params(model, 0), init_params(model, 0), init_params(model, 1)
    kernel = "backbone", "conv1", "kernel"

    def leaf(tree):
        for key in kernel:
            tree = tree[key]
        return np.asarray(tree)

    np.testing.assert_array_equal(leaf(first), leaf(again))
    assert np.abs(leaf(first) - leaf(other)).max() > 0
    np.testing.assert_array_equal(leaf(first), leaf(init_params(model.clone(ranking="max"), 0)))


def test_settings_that_are_none_stay():
    model = RANet(depth=14, width=8, memory=2, max_gap=0.3)
    assert model.with_settings(memory=None, max_gap=None, aggregation=None) == model
    changed = model.with_settings(memory=0, max_gap=0.0, aggregation="argmax")
    assert (changed.memory, changed.max_gap, changed.aggregation) == (0, 0.0, "argmax")
    assert changed.width == 8
    with pytest.raises(InputError, match="memory is -1"):
        model.with_settings(memory=-1)


@pytest.mark.parametrize(
    "settings",
    [{"ranking": "best"}, {"mode": "two"}, {"depth": 34}, {"score_gradient": "straight"}],
)
def test_settings_that_do_not_exist(settings):
    (name, value), *_ = settings.items()
    with pytest.raises(InputError, match=f"{name} is {value!r}; it can be one of"):
        RANet(**settings)


def test_shapes_that_cannot_be():
    model = RANet(depth=14, width=8)
    frame, masks, current, previous, valid = inputs(1, 2)
    with pytest.raises(InputError, match="2 object slots"):
        jax.eval_shape(model.init, jax.random.key(0), frame, masks, current, previous, valid)
    cut = [x[:, :90] for x in (frame, current)]
    single = masks[:, :1]
    with pytest.raises(InputError, match="128x90; both sides must be multiples of 32"):
        jax.eval_shape(model.init, jax.random.key(0), cut[0], single, cut[1], single, valid[:, :1])
