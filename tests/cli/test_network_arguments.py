"""What commands ask about the network, and what a checkpoint answers in their place."""

import argparse

import pytest

from ranet_jax.checkpoints import checkpoint
from ranet_jax.cli.network_arguments import add_network_arguments, segmenter_settings


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
    expected = {"aggregation": None, "size": size, "frame_scale": frame_scale}
    assert segmenter_settings(parsed(*words)) == expected


@pytest.mark.parametrize("text", ["480", "480x864x3", "480xwide", "-480x864"])
def test_a_size_that_is_none(text, capsys):
    with pytest.raises(SystemExit):
        parsed(f"--size={text}")
    assert "HEIGHTxWIDTH" in capsys.readouterr().err
