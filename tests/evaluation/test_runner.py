"""Whole evaluations: in one go, interrupted, in other orders, over several processes."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ranet_jax.errors import InputError
from ranet_jax.evaluation import davis, results, runner, scoring
from ranet_jax.evaluation.batches import group_videos
from ranet_jax.io.json_files import write_record
from ranet_jax.io.masks import read_ids


@pytest.fixture
def videos(davis_root):
    return davis.read_split(davis_root, "davis2016", "val")


def tables(videos, out, **options):
    scores = runner.score_split(videos, "davis2016", out, progress=False, **options)
    overall = results.global_row(scores)
    results.write_csv(
        out / "per_sequence.csv", results.SEQUENCE_COLUMNS, results.sequence_rows(scores)
    )
    results.write_csv(out / "global.csv", tuple(overall), [tuple(overall.values())])
    return [(out / name).read_bytes() for name in ("per_sequence.csv", "global.csv")]


def segment(segmenter, videos, out, **options):
    options = {"batch": 2, "progress": False, **options}
    runner.segment_split(segmenter, videos, "davis2016", out, **options)


@pytest.mark.parametrize("stop_after", [0, 3, 9, 12])
def test_an_interrupted_run_ends_like_one_in_one_go(videos, tmp_path, fake_segmenter, stop_after):
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    once = fake_segmenter()
    segment(once, videos, whole)
    with pytest.raises(KeyboardInterrupt):
        segment(fake_segmenter(stop_after=stop_after), videos, halted)
    finished = [v.name for v in videos if (halted / "predictions" / v.name).is_dir()]
    assert len(finished) < len(videos)
    again = fake_segmenter()
    segment(again, videos, halted)
    if stop_after >= 9:
        assert finished and again.steps < once.steps
    assert tables(videos, whole) == tables(videos, halted)
    assert not list(halted.rglob("*.partial"))
    for path in (whole / "predictions").rglob("*.png"):
        assert (halted / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_batches_change_nothing(videos, tmp_path, fake_segmenter):
    one, five = tmp_path / "one", tmp_path / "five"
    segment(fake_segmenter(), videos, one, batch=1)
    together = fake_segmenter()
    segment(together, videos, five, batch=5)
    assert together.groups == [5]
    assert tables(videos, one) == tables(videos, five)


def test_processes_share_the_videos(videos, tmp_path, fake_segmenter):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    segment(fake_segmenter(), videos, alone)
    met = []
    for index in range(2):
        shard = runner.Shard(index, 2, wait=lambda: met.append(None))
        segment(fake_segmenter(), videos, shared, shard=shard)
        done = [v.name for v in videos if (shared / "predictions" / v.name).is_dir()]
        if index == 0:
            assert done == [video.name for video in videos[::2]]
    assert len(met) == 2
    assert tables(videos, alone) == tables(videos, shared)


def test_scoring_in_several_processes(videos, tmp_path, fake_segmenter):
    segment(fake_segmenter(), videos, tmp_path / "one")
    segment(fake_segmenter(), videos, tmp_path / "two", processes=2)
    one = tables(videos, tmp_path / "one")
    for path in (tmp_path / "two" / "sequences").glob("*.scores.json"):
        path.unlink()
    assert tables(videos, tmp_path / "two", processes=2) == one


def test_predictions_are_labels_of_every_frame(videos, tmp_path, fake_segmenter):
    segment(fake_segmenter(), videos, tmp_path)
    for video in videos:
        first = davis.read_labels(video.annotations[:1], "davis2016")[0]
        for time_step, stem in enumerate(video.stems):
            labels = read_ids(tmp_path / "predictions" / video.name / f"{stem}.png")
            moved = np.roll(first, (time_step, 2 * time_step), (0, 1))
            np.testing.assert_array_equal(labels, moved)
        timing = json.loads((tmp_path / "sequences" / f"{video.name}.timing.json").read_text())
        # The first step of a group may compile and is left out.
        assert timing["frames"] == len(video.stems) - 2 and timing["seconds"] > 0


def test_predictions_that_changed_are_scored_anew(videos, tmp_path, fake_segmenter):
    segment(fake_segmenter(), videos, tmp_path)
    before = tables(videos, tmp_path)
    assert tables(videos, tmp_path) == before
    path = tmp_path / "predictions" / "swing" / "00003.png"
    path.unlink()
    Image.new("L", (854, 480)).save(path)
    after = tables(videos, tmp_path)
    assert after[0] != before[0]
    lines = [set(text.decode().splitlines()) for text in (before[0], after[0])]
    assert {line.split(",")[0] for line in lines[0] ^ lines[1]} == {"swing_1"}


def test_predictions_that_were_removed_are_made_again(videos, tmp_path, fake_segmenter):
    segment(fake_segmenter(), videos, tmp_path)
    before = tables(videos, tmp_path)
    shutil.rmtree(tmp_path / "predictions" / "swing")
    again = fake_segmenter()
    segment(again, videos, tmp_path)
    # Swing and the other video of its group.
    assert again.groups == [2]
    assert tables(videos, tmp_path) == before


def test_damaged_records_are_made_again(videos, tmp_path, fake_segmenter):
    segment(fake_segmenter(), videos, tmp_path)
    before = tables(videos, tmp_path)
    (tmp_path / "sequences" / "boat.scores.json").write_text('{"sequence": "bo')
    assert tables(videos, tmp_path) == before


def test_every_problem_is_reported_at_once(videos, tmp_path, fake_segmenter):
    segment(fake_segmenter(), videos, tmp_path / "run")
    predictions = tmp_path / "run" / "predictions"
    (predictions / "bear" / "00002.png").unlink()
    Image.new("L", (5, 5)).save(predictions / "hike" / "00004.png")
    with pytest.raises(InputError, match=r"bear: 1 of 5 .*00002.png.*; hike: 00004.png is 5x5"):
        tables(videos, tmp_path / "scored", predictions=predictions)
    kept = sorted(path.name for path in (tmp_path / "scored" / "sequences").iterdir())
    assert kept == [f"{name}.scores.json" for name in ("boat", "flamingo", "swing")]


def test_videos_are_grouped_by_slots_and_length(tiny_root, davis_root):
    videos = davis.read_split(davis_root, "davis2016", "val")
    groups = group_videos(videos, 2, "davis2016")
    assert [len(group) for group in groups] == [2, 2, 1]
    lengths = [len(video.stems) for group in groups for video in group]
    assert lengths == sorted(lengths, reverse=True)
    (pair,) = davis.read_split(tiny_root, "davis2017", "val")
    Image.fromarray((np.indices((40, 60))[1] // 20).astype(np.uint8) * 2).save(
        tiny_root / "Annotations/480p/first/00000.png"
    )
    (four,) = davis.read_split(tiny_root, "davis2017", "test-dev")
    groups = group_videos([four, pair], 8, "davis2017")
    assert [[video.name for video in group] for group in groups] == [["pair"], ["first"]]


def test_an_empty_first_mask_is_refused(tiny_root, tmp_path, fake_segmenter):
    Image.new("L", (60, 40)).save(tiny_root / "Annotations/480p/pair/00000.png")
    videos = davis.read_split(tiny_root, "davis2017", "val")
    with pytest.raises(InputError, match=r"00000\.png marks no object"):
        segment(fake_segmenter(), videos, tmp_path)


def test_frames_that_cannot_be_read_are_named(tiny_root, tmp_path, fake_segmenter):
    (tiny_root / "JPEGImages/480p/pair/00003.jpg").write_bytes(b"no image")
    videos = davis.read_split(tiny_root, "davis2017", "val")
    with pytest.raises(InputError, match=r"00003\.jpg cannot be read"):
        runner.segment_split(fake_segmenter(), videos, "davis2017", tmp_path, progress=False)
    assert not (tmp_path / "predictions" / "pair").exists()


def test_a_folder_belongs_to_one_run(tmp_path):
    runner.reserve(tmp_path, {"checkpoint": "a", "settings": {"grid": (15, 27)}})
    runner.reserve(tmp_path, {"checkpoint": "a", "settings": {"grid": (15, 27)}})
    with pytest.raises(InputError, match="another checkpoint: give another folder"):
        runner.reserve(tmp_path, {"checkpoint": "b", "settings": {"grid": (15, 27)}})


def test_the_summary_averages_over_objects_not_sequences(tmp_path):
    one = scoring.Scores((1,), np.array([[1.0, 1.0, 1.0]]), np.array([[0.0, 0.0, 0.0]]))
    two = scoring.Scores((1, 2), np.array([[0.4] * 3, [0.7] * 3]), np.array([[0.6] * 3] * 2))
    short = scoring.Scores((1,), np.empty((1, 0)), np.empty((1, 0)))
    row = results.global_row({"one": one, "two": two, "short": short})
    assert row["J-Mean"] == pytest.approx(0.7) and row["F-Mean"] == pytest.approx(0.4)
    assert row["J&F-Mean"] == pytest.approx(0.55) and row["J-Recall"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="three frames"):
        results.global_row({"short": short})


def test_oracle_globals(oracle_dir):
    expected = json.loads((oracle_dir / "metrics" / "metrics.json").read_text())
    with np.load(oracle_dir / "metrics" / "metrics.npz") as arrays:
        names = sorted(expected["protocol_2017"])
        scores_2017, scores_2016 = {}, {}
        for name in names:
            j, f = arrays[f"{name}/J17"], arrays[f"{name}/F17"]
            scores_2017[name] = scoring.Scores(tuple(range(1, len(j) + 1)), j, f)
            j, f = (arrays[f"{name}/{key}"][None, 1:-1] for key in ("J16", "F16"))
            scores_2016[name] = scoring.Scores((1,), j, f)
    for key, scores in (("global_2017", scores_2017), ("global_2016", scores_2016)):
        row = results.global_row(scores)
        for column, value in row.items():
            wanted = expected[key][column.replace("-", "_").replace("J&F", "JF")]
            assert value == pytest.approx(wanted, abs=1e-6), column


def test_records_keep_scores_exactly(videos, tmp_path):
    rng = np.random.default_rng(0)
    frames = len(videos[0].scored_stems)
    scores = scoring.Scores((1,), rng.random((1, frames)), rng.random((1, frames)))
    path = tmp_path / "bear.scores.json"
    write_record(path, results.scores_to_json(videos[0], scores, "x"))
    again = results.read_scores(path, videos[0], "x")
    np.testing.assert_array_equal(again.j, scores.j)
    np.testing.assert_array_equal(again.f, scores.f)
    assert results.read_scores(path, videos[0], "y") is None, "of other files"
    path.write_text(path.read_text().replace("0.", "0.1", 1))
    with pytest.raises(InputError, match="bear.scores.json is damaged"):
        results.read_scores(path, videos[0], "x")


def test_checkpoints_are_told_apart_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name / "params").mkdir(parents=True)
        (tmp_path / name / "params" / "data").write_bytes(content)
    hashes = [results.hash_checkpoint(tmp_path / name) for name in "abc"]
    assert hashes[0] == hashes[1] != hashes[2]
