"""The default model: small enough to carry, honest about where it comes from, and able."""

import itertools
import json
import re

import numpy as np
import pytest

import ranet_jax
from ranet_jax.checkpoints import checkpoint
from ranet_jax.demo.clip import render_clip
from ranet_jax.demo.demo import jaccard
from ranet_jax.io.masks import read_mask
from ranet_jax.io.video_reader import open_video


@pytest.fixture(scope="module")
def segmenter():
    return ranet_jax.Segmenter.load("default")


def test_it_is_small_and_knows_what_it_is():
    path = checkpoint.resolve("default")
    assert path.stat().st_size <= 40_000_000
    settings = checkpoint.read_settings("default")
    assert settings["trained"] and settings["stage"] == "video"
    assert settings["model"]["depth"] == 50 and settings["model"]["reduction_size"] == 1
    assert not re.search(r'"[/~]', json.dumps(settings)), "a path of the machine it was made on"


def follow(segmenter, frames, truths):
    segmenter.init(frames[0], truths[0])
    found = [segmenter.step(frame) for frame in frames[1:]]
    objects = int(truths[0].max())
    return np.mean([jaccard(*pair, objects) for pair in zip(found, truths[1:], strict=True)])


@pytest.mark.parametrize(("objects", "every", "least"), [(1, 2, 0.75), (2, 1, 0.65)])
def test_it_follows_what_the_demo_shows(segmenter, objects, every, least):
    """One object of it at twice the speed: that is harder, and takes half the time."""
    clip = render_clip(10, 240, 432, objects=objects)
    frames = clip.frames[::every]
    truths = [labels.astype(np.int32) for labels in clip.labels[::every]]
    copied = np.mean([jaccard(truths[0], truth, objects) for truth in truths[1:]])
    assert copied < 0.4 < least < follow(segmenter, frames, truths)


def test_it_follows_a_video_it_was_not_trained_on(segmenter, data_dir):
    video = itertools.islice(open_video(data_dir / "DAVIS_val6/JPEGImages/480p/motocross-jump"), 7)
    names, frames = zip(*video, strict=True)
    masks = data_dir / "DAVIS_val6/Annotations/480p/motocross-jump"
    truths = [(read_mask(masks / f"{name}.png") > 0).astype(np.int32) for name in names]
    copied = np.mean([jaccard(truths[0], truth, 1) for truth in truths[1:]])
    assert copied < 0.4 < 0.75 < follow(segmenter, frames, truths)
