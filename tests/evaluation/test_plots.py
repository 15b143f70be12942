"""Pictures: that they are made from what is given, and refuse what cannot be drawn."""

import numpy as np
import pytest
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.evaluation import plots
from ranet_jax.evaluation.scoring import Scores
from ranet_jax.evaluation.similarity_plot import plot_similarity


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_curves_keep_their_ends_and_length():
    curves = plots.over_time(np.array([[0.2, 0.4, 0.9], [1.0, 1.0, 1.0]]))
    assert curves.shape == (2, 50)
    np.testing.assert_allclose(curves[:, [0, -1]], [[0.2, 0.9], [1, 1]])
    assert plots.over_time(np.array([[0.3]])) == pytest.approx(0.3)


def test_plots_of_scores(tmp_path):
    rng = np.random.default_rng(1)
    scores = {
        "one": Scores((1,), rng.random((1, 1)), rng.random((1, 1))),
        "two": Scores((1, 2), rng.random((2, 30)), rng.random((2, 30))),
        "none": Scores((1,), np.empty((1, 0)), np.empty((1, 0))),
    }
    plots.plot_over_time(scores, "title", tmp_path / "time.png")
    rows = [("one_1", 0.3, 0.4), ("none_1", np.nan, np.nan)]
    plots.plot_sequences(rows, "title", tmp_path / "sequences.png")
    plots.plot_speed([("ours", 20.0, 80.0)], "title", tmp_path / "speed.png")
    plots.plot_speed([], "title", tmp_path / "published.png")
    assert (pixels(tmp_path / "speed.png") != 255).any()
    assert {p.name for p in tmp_path.iterdir()} == {
        "time.png",
        "sequences.png",
        "speed.png",
        "published.png",
    }


@pytest.fixture
def drawn(tmp_path):
    def draw(similarity=None, position=(20, 30), maps=5, **options):
        frame = np.full((60, 100, 3), 128, np.uint8)
        similarity = np.eye(6, 10) if similarity is None else similarity
        plot_similarity(
            frame,
            position,
            frame,
            similarity,
            np.zeros((maps, 6, 10)),
            tmp_path / "s.png",
            **options,
        )
        return pixels(tmp_path / "s.png")

    return draw


def test_the_similarity_plot_shows_the_maps(drawn):
    few, many = drawn(maps=1), drawn(maps=9, scores=np.arange(9))
    assert many.shape[0] > few.shape[0] and many.shape[1] == few.shape[1]
    assert (drawn(np.eye(6, 10)[::-1]) != drawn()).any()
    assert (drawn(position=(50, 90)) != drawn()).any()
    assert drawn(maps=0).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": np.zeros((2, 3, 4))}, "cannot be drawn"),
        ({"scores": [1.0]}, "cannot be drawn"),
        ({"position": (60, 5)}, "outside the template of 60 x 100"),
    ],
)
def test_what_cannot_be_drawn(drawn, options, message):
    with pytest.raises(InputError, match=message):
        drawn(**options)
