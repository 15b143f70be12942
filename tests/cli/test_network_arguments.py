"""What commands ask about the network, and what a checkpoint answers in their place."""

import argparse
import inspect

import pytest

from ranet_jax.checkpoints import checkpoint
from ranet_jax.cli.network_arguments import (
    add_network_arguments,
    add_online_arguments,
    online_settings,
    segmenter_settings,
)
from ranet_jax.training.online_adaptation import OnlineSegmenter


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_network_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "trained", "size", "frame_scale"),
    [
        ((), {}, (480, 864), 1),
        (("--checkpoint", "c"), {}, (480, 864), 1),
        (("--checkpoint", "c"), {"size": [96, 160]}, (96, 160), 1),
        (("--checkpoint", "c"), {"size": [96, 160], "frame_scale": 2}, (96, 160), 2),
        (
            ("--checkpoint", "c", "--size", "64x96"),
            {"size": [96, 160], "frame_scale": 2},
            (64, 96),
            2,
        ),
        (("--size", "64x96"), {}, (64, 96), 1),
    ],
)
def test_the_size_is_what_was_asked_for_or_trained_at(
    monkeypatch, words, trained, size, frame_scale
):
    monkeypatch.setattr(checkpoint, "read_settings", lambda path: trained)
    expected = {"aggregation": None, "memory": None, "max_gap": None}
    expected |= {"size": size, "frame_scale": frame_scale}
    assert segmenter_settings(parsed(*words)) == expected


@pytest.mark.parametrize(("words", "gap"), [((), None), (("0",), 0), (("0.2",), 0.2)])
def test_a_gap_may_be_none(words, gap):
    assert parsed(*(word for value in words for word in ("--max-gap", value))).max_gap == gap


def test_online_learning_is_that_of_the_package():
    """Without a number, with the settings that `OnlineSegmenter` has by itself."""
    parser = argparse.ArgumentParser()
    add_online_arguments(parser)
    assert online_settings(parser.parse_args([])) == {}
    defaults = inspect.signature(OnlineSegmenter).parameters
    found = online_settings(parser.parse_args(["--online"]))["online"]
    assert found == {name: defaults[name].default for name in found} and len(found) == 3
    words = ["--online", "7", "--online-lr", "1e-3", "--online-batch", "4"]
    expected = {"iterations": 7, "learning_rate": 1e-3, "batch_size": 4}
    assert online_settings(parser.parse_args(words)) == {"online": expected}


@pytest.mark.parametrize("text", ["480", "480x864x3", "480xwide", "-480x864"])
def test_a_size_that_is_none(text, capsys):
    with pytest.raises(SystemExit):
        parsed(f"--size={text}")
    assert "HEIGHTxWIDTH" in capsys.readouterr().err
