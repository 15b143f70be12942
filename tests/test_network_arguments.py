"""What commands ask about the network, and what a checkpoint answers in their place."""

import argparse

import pytest

from ranet_jax import checkpoint
from ranet_jax.network_arguments import add_network_arguments, segmenter_settings


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_network_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "trained_at", "size"),
    [
        ((), None, (480, 864)),
        (("--checkpoint", "c"), None, (480, 864)),
        (("--checkpoint", "c"), [96, 160], (96, 160)),
        (("--checkpoint", "c", "--size", "64x96"), [96, 160], (64, 96)),
        (("--size", "64x96"), None, (64, 96)),
    ],
)
def test_the_size_is_what_was_asked_for_or_trained_at(monkeypatch, words, trained_at, size):
    settings = {"size": trained_at} if trained_at else {}
    monkeypatch.setattr(checkpoint, "read_settings", lambda path: settings)
    assert segmenter_settings(parsed(*words)) == {"combine": None, "size": size}


@pytest.mark.parametrize("text", ["480", "480x864x3", "480xwide", "-480x864"])
def test_a_size_that_is_none(text, capsys):
    with pytest.raises(SystemExit):
        parsed(f"--size={text}")
    assert "HEIGHTxWIDTH" in capsys.readouterr().err
