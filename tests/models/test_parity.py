"""The network against outputs of the published one, for regenerated weights and inputs."""

import flax.traverse_util
import jax
import numpy as np
import pytest
from oracle import SIZE, bound, compare, compare_statistics, thin

from ranet_jax.models.encoder import pool_template


def one_frame_after_the_other(network, template_frame, template_masks, *frame):
    """As a video is segmented; `RANet.__call__` encodes both frames together."""
    return network.segment(network.encode_template(template_frame, template_masks), *frame)


def run(model, params, inputs: dict, slots: int, objects: int):
    """Logits and intermediates by path; template and frame are the encoder's calls 0 and 1."""

    def masks(labels: np.ndarray) -> np.ndarray:
        if model.mode == "single":
            return (labels > 0)[:, None].astype(np.float32)
        return np.stack([labels == i + 1 for i in range(slots)], axis=1).astype(np.float32)

    valid = np.arange(slots)[None] < np.full((len(inputs["frame"]), 1), objects)
    logits, variables = jax.jit(
        lambda params, *args: model.apply(
            {"params": params},
            *args,
            method=one_frame_after_the_other,
            mutable="intermediates",
            capture_intermediates=True,
        )
    )(
        params,
        inputs["template_frame"],
        masks(inputs["template_labels"]),
        inputs["frame"],
        masks(inputs["previous_labels"]),
        valid,
    )
    flat = flax.traverse_util.flatten_dict(variables["intermediates"], sep="/")
    return np.asarray(logits), {name.removesuffix("/__call__"): v for name, v in flat.items()}


class Case:
    """A stored case beside our run of it."""

    def __init__(self, reference, name, network, slots, objects):
        self.name = name
        self.stored, self.notes = reference.stored(f"forward/{name}")
        self.logits, self.ours = run(*network, reference.forward_inputs(name), slots, objects)

    def check(self, stored_name: str, ours, *strides: int) -> None:
        """Full statistics, and the stored values at the given strides."""
        limit = bound(self.notes["fp32_vs_fp64"][stored_name])
        ours = np.asarray(ours)
        if f"{stored_name}_stats" in self.stored:
            compare_statistics(stored_name, ours, self.stored[f"{stored_name}_stats"], limit)
        compare(f"{self.name} {stored_name}", thin(ours, *strides), self.stored[stored_name], limit)

    def check_order(self, suffix: str, sample: int, scores: np.ndarray, order: np.ndarray) -> None:
        """Equal ranks wherever the scores that changed places differ by more than their bound."""
        limit = bound(self.notes["fp32_vs_fp64"]["score_" + suffix])
        stored = np.atleast_2d(self.stored["order_" + suffix])[sample].astype(int)
        positive = min(256, self.notes["gaps"][f"score_{suffix}[{sample}]"]["positive"])
        swapped = np.flatnonzero(order[:positive] != stored[:positive])
        gaps = np.abs(scores[order[swapped]] - scores[stored[swapped]])
        assert (gaps <= limit).all(), (suffix, swapped, gaps, limit)


def check_encoder(case: Case) -> None:
    for call, role in enumerate(("template", "current")):
        for level, x in enumerate(case.ours["backbone"][call]):
            step = max(1, x.shape[1] // 5)
            case.check(f"backbone{level}_{role}", x, step, step, max(1, x.shape[3] // 256))
    for level in (3, 4, 5):
        x = case.ours[f"matching_features/reduce{level}"][1]
        case.check(f"L{level}_current", x, max(1, x.shape[1] // 5), max(1, x.shape[2] // 9), 4)
    template, current = case.ours["matching_features"]
    case.check("template_feature", pool_template(template).reshape(-1, 15, 27, 512))
    case.check("current_feature", current)
    case.check("similarity", case.ours["similarity"][0], 5, 6, 1)


def check_laterals(case: Case) -> None:
    for level, maps in enumerate(case.ours["lateral_connections"][0], 1):
        for source, x in enumerate(maps, 4 - level):
            strides = max(1, x.shape[1] // 5), max(1, x.shape[2] // 9), 1
            case.check(f"lateral_{level}{source}", x, *strides)


def check_decoder(case: Case, suffix: str, rows: slice) -> None:
    """Merged maps, levels, logits and probabilities; `rows` of the decoder's batch of objects."""
    foreground, background = np.split(np.asarray(case.ours["merge"][0]), 2)
    case.check(f"merged_fg{suffix}", foreground[rows], 10, 12, 1)
    case.check(f"merged_bg{suffix}", background[rows], 10, 12, 1)
    case.check(f"level1{suffix}", np.asarray(case.ours["pyramid/level1"][0])[rows], 20, 24, 1)
    case.check(f"level2{suffix}", np.asarray(case.ours["pyramid/level2"][0])[rows], 20, 24, 1)
    case.check(f"logit{suffix}", case.logits.reshape(-1, *SIZE)[rows], 4, 4)


def check_positive(case: Case, stored_name: str, probability: np.ndarray) -> None:
    """The same side of 0.5 wherever the logit is further from 0 than the bound."""
    stored = np.unpackbits(case.stored[f"{stored_name}_positive"], axis=-1).astype(bool)
    different = (probability > 0.5) != stored
    limit = bound(case.notes["fp32_vs_fp64"][stored_name])
    assert (np.abs(probability[different] - 0.5) <= limit).all(), (stored_name, different.sum())


@pytest.mark.slow
@pytest.mark.xdist_group("single")
@pytest.mark.parametrize("name", ["single_b1", "single_b2"])
def test_single_object_network(reference, published_single, name):
    case = Case(reference, name, published_single, slots=1, objects=1)
    check_encoder(case)
    check_laterals(case)
    for stream, side in enumerate(("fg", "bg")):
        values = {
            kind: np.asarray(case.ours[kind][0])[:, stream]
            for kind in ("weights", "rank", "scores")
        }
        case.check(f"weight_{side}", values["weights"].reshape(-1, 15, 27))
        case.check(f"rank_net_{side}", values["rank"].reshape(-1, 15, 27))
        case.check(f"score_{side}", values["scores"])
        for sample, scores in enumerate(values["scores"]):
            order = np.asarray(case.ours["order"][stream])[sample, 0]
            case.check_order(side, sample, scores, order)
    check_decoder(case, "", slice(None))
    probability = np.asarray(jax.nn.sigmoid(case.logits))[:, 0]
    case.check("probability", probability)
    check_positive(case, "probability", probability)


@pytest.mark.slow
@pytest.mark.xdist_group("single")  # there the other process has more to do
def test_multi_object_network(reference, published_multi):
    """Three objects in four slots: the unused slot changes nothing."""
    case = Case(reference, "multi_b1", published_multi, slots=4, objects=3)
    check_encoder(case)
    check_laterals(case)
    weights = np.asarray(case.ours["weights"][0])[0]
    case.check("weight_b0", weights[:4].reshape(4, 15, 27))
    case.check("rank_net_b0", np.asarray(case.ours["rank"][0]).reshape(15, 27))
    scores = np.asarray(case.ours["scores"][0])[0]
    foreground, background = (np.asarray(order)[0] for order in case.ours["order"])
    for slot in range(3):
        suffix = f"b0_o{slot + 1}"
        others = [label for label in range(4) if label != slot + 1]
        case.check(f"score_fg_{suffix}", scores[slot + 1])
        case.check(f"score_bg_{suffix}", scores[others].reshape(-1))
        case.check_order(f"fg_{suffix}", 0, scores[slot + 1], foreground[slot])
        # Candidates are numbered over all labels here, and over the other labels in what is stored.
        after_own = background[slot] >= 405 * (slot + 1)
        renumbered = background[slot] - 405 * after_own
        case.check_order(f"bg_{suffix}", 0, scores[others].reshape(-1), renumbered)
        check_decoder(case, f"_{suffix}", slice(slot, slot + 1))
    probability = np.asarray(jax.nn.sigmoid(case.logits))[0, :3]
    case.check("probability_b0", probability)
    check_positive(case, "probability_b0", probability)
