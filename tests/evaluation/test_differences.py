"""How much networks differ, over videos and seeds."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from ranet_jax.cli.main import main
from ranet_jax.errors import InputError
from ranet_jax.evaluation.report import differences, report
from ranet_jax.evaluation.report.run import read_run
from ranet_jax.evaluation.results import GLOBAL_COLUMNS

VIDEOS = ("ant", "bee_hive", "cow")
POINTS = st.floats(0, 100)


@pytest.fixture
def evaluated(tmp_path):
    """Writes the `results.json` of a network on the three videos; J is 10 points below F."""

    def write(name, scores, videos=VIDEOS, seed=0, **model):
        rows = [
            {"Sequence": f"{video}_1", "J-Mean": score / 100 - 0.05, "F-Mean": score / 100 + 0.05}
            for video, score in zip(videos, scores, strict=True)
        ]
        found = {
            "name": name,
            "dataset": "davis2016",
            "split": "val",
            "whole_split": False,
            "sequences": list(videos),
            "global": dict.fromkeys(GLOBAL_COLUMNS, 0.5),
            "per_sequence": rows,
            "settings": {"model": model, "init_from": f"runs/{seed}", "step": 10 + seed},
        }
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps(found))
        return path

    return write


def compare(*paths):
    return differences.compare([read_run(path) for path in paths])


def test_seeds_of_one_name_are_one_network(evaluated):
    (found,) = compare(
        evaluated("full", (60, 70, 80)),
        evaluated("full", (62, 72, 82), seed=1),
        evaluated("small", (50, 60, 70)),
    )
    assert (found.reference, found.seeds, found.videos) == ("full", 2, 3)
    assert found.mean == pytest.approx(71)
    (small,) = found.differences
    assert (small.label, small.seeds) == ("small", 1)
    assert (small.mean, small.points) == pytest.approx((60, -11))
    # Every video says the same; the seeds of the reference are two points apart.
    assert (small.low, small.high) == pytest.approx((-12, -10))


def test_one_name_with_other_settings_is_another_network(evaluated):
    (found,) = compare(
        evaluated("results", (60, 70, 80)), evaluated("results", (50, 60, 70), memory=1)
    )
    assert found.seeds == 1 and [one.seeds for one in found.differences] == [1]


def test_only_the_same_videos_are_compared(evaluated):
    paths = [
        evaluated("full", (60, 70, 80)),
        evaluated("part", (60, 70), VIDEOS[:2]),
        evaluated("none", (), ()),
    ]
    assert compare(*paths) == []
    (found,) = compare(*paths, evaluated("small", (50, 60), VIDEOS[:2]))
    assert (found.reference, found.videos) == ("part", 2)


def test_a_video_counts_once_however_many_objects_it_has(evaluated):
    path = evaluated("two", (60, 70, 80))
    found = json.loads(path.read_text())
    found["per_sequence"].append({"Sequence": "cow_2", "J-Mean": 0.4, "F-Mean": 0.4})
    found["per_sequence"].append({"Sequence": "cow_3", "J-Mean": None, "F-Mean": None})
    path.write_text(json.dumps(found))
    assert read_run(path).scores == pytest.approx({"ant": 60, "bee_hive": 70, "cow": 60})


@given(
    arrays.arrays(float, (2, 5), elements=POINTS),
    arrays.arrays(float, (3, 5), elements=POINTS),
)
@settings(max_examples=20, deadline=None)
def test_an_interval_holds_the_difference_and_turns_with_it(scores, base):
    low, high = differences.interval(scores, base)
    each = scores[:, None] - base[None]
    assert each.min() - 1e-9 <= low <= high <= each.max() + 1e-9
    shifted = differences.interval(scores + 7, base)
    assert shifted == pytest.approx((low + 7, high + 7))
    assert differences.interval(scores, base) == (low, high)


def test_the_same_network_does_not_differ():
    scores = np.array([[60.0, 70, 20, 90]])
    assert differences.interval(scores, scores) == (0, 0)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Of networks that differ by 5 points on average, more on some videos than on others."""
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        videos = random.normal(70, 15, 30)
        base = videos + random.normal(0, 2, (3, 30))
        scores = videos + 5 + random.normal(0, 4, 30) + random.normal(0, 2, (3, 30))
        low, high = differences.interval(scores, base, seed=seed)
        held += low <= 5 <= high
    assert 0.88 <= held / 200 <= 1


def test_the_report_shows_differences(evaluated, tmp_path):
    runs = [
        read_run(path)
        for path in (evaluated("full_*", (60, 70, 80)), evaluated("a|b", (50, 60, 70)))
    ]
    text = report.write_report(runs, tmp_path / "out").read_text()
    section = text.partition("## Differences from ")[2]
    assert section.startswith(r"full\_\*: 3 videos of davis2016 val")
    assert r"| **a\|b** | **1** | **60.0** | **-10.0** | **-10.0 to -10.0** |" in section
    with Image.open(tmp_path / "out" / "plots" / "differences1.png") as image:
        assert (np.asarray(image.convert("RGB")) != 255).any(axis=2).mean() > 0.01
    report.write_report(runs[:1], tmp_path / "one")
    assert "Differences" not in (tmp_path / "one" / "report.md").read_text()


def test_a_file_that_is_named_twice_counts_once(evaluated, tmp_path):
    full, small = evaluated("full", (60, 70, 80)), evaluated("small", (50, 60, 70))
    out = tmp_path / "out"
    assert main(["report", *map(str, (full, small, full)), "--out", str(out)]) == 0
    assert "| **full** | **1** |" in (out / "report.md").read_text()


@pytest.mark.parametrize(
    "rows", [3, [3], [{}], [{"Sequence": "a_1", "J-Mean": "x"}], [{"Sequence": "a", "F-Mean": 2}]]
)
def test_scores_that_are_none_are_refused(evaluated, rows):
    path = evaluated("full", (60, 70, 80))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"per_sequence": rows}))
    with pytest.raises(InputError, match="per_sequence"):
        read_run(path)
