import os

import numpy as np
import pytest
from PIL import Image

from ranet_jax.demo.clip import render_clip
from ranet_jax.demo.demo import jaccard, run_demo
from ranet_jax.errors import InputError
from ranet_jax.io.masks import read_mask
from ranet_jax.io.video_reader import open_video

SMALL = {"height": 120, "width": 214, "progress": False}


class Oracle:
    """Knows the true masks, and errs as told."""

    def __init__(self, labels, err=lambda labels: labels):
        self.labels, self.err = iter(labels), err

    def init(self, frame, mask):
        (given,) = mask
        np.testing.assert_array_equal(given, next(self.labels))

    def step(self, frame):
        return [self.err(next(self.labels))]

    def probability_maps(self):
        raise AssertionError("nobody asked for probabilities")


def truth(frames, objects):
    return render_clip(frames, 120, 214, objects=objects).labels


@pytest.mark.parametrize("objects", [1, 2])
def test_demo_scores_a_perfect_segmenter_with_one(tmp_path, capsys, objects):
    labels = truth(5, objects)
    out = tmp_path / "demo"
    assert run_demo(Oracle(labels), out, frames=5, objects=objects, **SMALL) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("frame ")] == [
        f"frame {index:5d}  J 1.000" for index in range(1, 5)
    ]
    assert any(line.startswith("mean J 1.000 over 4 frames") for line in lines)
    for index in range(5):
        np.testing.assert_array_equal(read_mask(out / "truth" / f"{index:05d}.png"), labels[index])
        np.testing.assert_array_equal(read_mask(out / "result" / f"{index:05d}.png"), labels[index])
    assert len(list(open_video(out / "frames"))) == 5
    assert len(list(open_video(out / "result" / "overlay.mp4"))) == 5
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 1000
    assert sorted(os.listdir(out)) == ["contact_sheet.png", "frames", "result", "truth"]


def test_demo_counts_what_is_missed(tmp_path, capsys):
    """Losing the second of two objects halves every J but the first frame's, which is given."""

    def lose(labels):
        return np.where(labels == 2, 0, labels)

    mean = run_demo(Oracle(truth(4, 2), lose), tmp_path, frames=4, objects=2, **SMALL)
    assert mean == pytest.approx(0.5)
    assert "mean J 0.500 over 3 frames" in capsys.readouterr().out


def test_demo_can_run_again_but_not_over_other_frames(tmp_path):
    run_demo(Oracle(truth(4, 1)), tmp_path, frames=4, **SMALL)
    run_demo(Oracle(truth(4, 1)), tmp_path, frames=4, **SMALL)
    with pytest.raises(InputError, match="holds other files"):
        run_demo(Oracle(truth(3, 1)), tmp_path, frames=3, **SMALL)
    assert len(os.listdir(tmp_path / "frames")) == 4


def test_jaccard():
    found, true = np.array([[1, 1, 2, 0]]), np.array([[1, 0, 2, 2]])
    assert jaccard(found, true, 1) == pytest.approx(1 / 2)
    assert jaccard(found, true, 2) == pytest.approx(1 / 2)
    assert jaccard(found, true, 3) == pytest.approx(2 / 3)  # nobody sees an object 3
