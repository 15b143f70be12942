import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from small_sets import ECSSD, davis_files, static_files, write_tree

from data_pipelines import pipeline, preview, sources
from data_pipelines.config import DataConfig
from ranet_jax.cli import data
from ranet_jax.cli.main import main
from ranet_jax.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SMALL = ["--height", "64", "--width", "96"]


def ranet(words):
    """`ranet data` with these words behind it."""
    return main(["data", *words])


def test_each_command_runs_its_own_function():
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    parsed = parser.parse_args(["build", "ecssd"])
    assert parsed.run is data.build and parsed.name == "ecssd"
    for name in ("preview", "bench"):
        assert parser.parse_args([name]).run is getattr(data, name)


@pytest.mark.parametrize("name", ["build", "preview", "bench"])
def test_help_shows_an_example(name, capsys):
    with pytest.raises(SystemExit) as stop:
        ranet([name, "--help"])
    assert stop.value.code == 0
    assert f"example:\n  ranet data {name}" in capsys.readouterr().out


def test_build_then_preview(tmp_path, capsys):
    manual = write_tree(tmp_path / "manual", static_files(*ECSSD))
    place = ["--data-dir", str(tmp_path / "built")]
    assert ranet(["build", "ecssd", "--manual-dir", str(manual), *place]) == 0
    assert "ecssd/1.0.0:train  3 examples" in capsys.readouterr().out
    sheet = tmp_path / "new" / "sheet.png"
    arguments = ["--set", "ecssd", "--rows", "3", "--tile", "48", "--out", str(sheet)]
    assert ranet(["preview", *arguments, *place, *SMALL]) == 0
    image = Image.open(sheet)
    assert image.size == (4 * 56 + 8, 3 * 64 + 8)
    assert np.asarray(image)[20:].std() > 20
    assert [path.name for path in sheet.parent.iterdir()] == ["sheet.png"]


def write_config(path, text):
    """A config that changes `configs/tiny.py`: it stands beside a copy of that."""
    for name in ("tiny.py", "paper.py"):
        shutil.copy(CONFIGS / name, path.parent)
    path.write_text(
        "import tiny\n"
        "VARIANTS = ('plain', 'ant_alone')\n"
        "def get_config(variant='plain'):\n"
        "    config = tiny.get_config()\n"
        f"    {text}\n"
        "    return config\n"
    )
    return path


def test_preview_of_a_config_and_of_folders(tmp_path, video_set, image_set):
    sets = f"(('videos={video_set}:train', 1.0),)"
    changes = f"sets={sets}, exclude=(), object_sampling='multi', slots=2, height=64, width=96"
    mode = "config.model.mode = 'multi'"
    config = write_config(tmp_path / "config.py", f"{mode}; config.data.update({changes})")
    out = ["--rows", "2", "--tile", "32", "--out", str(tmp_path / "sheet.png")]
    assert ranet(["preview", "--config", str(config), *out]) == 0
    images = f"images={image_set / 'images'},{image_set / 'masks'}@0.5"
    plain = ["--set", images, "--no-augmentation", *SMALL]
    assert ranet(["preview", *plain, *out]) == 0


@pytest.fixture
def config_file(tmp_path):
    """A config with a variant, `{root}` and a video left out."""
    exclude = "exclude=('bee',) if variant == 'ant_alone' else ()"
    sets = "sets=(('videos={root}/DAVIS:train', 1.0),)"
    return write_config(
        tmp_path / "config.py", f"config.data.update(root='nowhere', {sets}, {exclude})"
    )


@pytest.mark.parametrize("name", ["preview", "bench"])
def test_what_a_config_leaves_out_is_not_shown(name, config_file, video_set, capsys, monkeypatch):
    open_source = pipeline.open_source

    def watched(*arguments):
        raise InputError(f"opened {open_source(*arguments).videos}")

    monkeypatch.setattr(pipeline, "open_source", watched)
    root = f"--config.data.root={video_set.parent}"
    assert ranet([name, "--config", f"{config_file}:ant_alone", root]) == 2
    assert "opened ('ant',)" in capsys.readouterr().err


def test_overrides_are_for_a_config(config_file, capsys):
    for arguments, message in (
        (["--set", "ecssd", "--config.data.width=64"], "name one with --config"),
        (["--config", str(config_file), "--config.data.hight=64"], "did you mean data.height"),
        (["--config", f"{config_file}:ant"], "has no variant 'ant'"),
        (["--config", str(config_file)], "nowhere"),
    ):
        assert ranet(["preview", *arguments]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        ranet(["build", "ecssd", "--config.data.width=64"])


def test_previews_with_one_seed_are_the_same(tmp_path, video_set):
    sheets = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        out = ["--rows", "1", "--tile", "32", "--out", str(tmp_path / f"{name}.png")]
        ranet(["preview", "--set", f"videos={video_set}", "--seed", seed, *out, *SMALL])
        sheets.append((tmp_path / f"{name}.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_the_sheet_shows_masks_in_their_places_and_colors():
    masks = np.zeros((2, 8, 8), np.float32)
    masks[0, :4], masks[1, 4:] = 1, 1
    tinted = preview._tint(np.zeros((8, 8, 3)), masks, opacity=1.0)
    assert tinted[0, 0, 0] > 0.9 and tinted[0, 0, 1] < 0.3
    assert tinted[7, 0, 1] > 0.8 and tinted[7, 0, 0] < 0.3


def test_bench_measures_host_and_device(video_set, capsys):
    arguments = ["--set", f"videos={video_set}", "--examples", "4", "--repeats", "2", *SMALL]
    assert ranet(["bench", *arguments, "--batch-size", "2"]) == 0
    out = capsys.readouterr().out
    for line in (
        "host, one core",
        "decode a mask",
        "device  ",
        "augmented a second",
        "peak memory",
    ):
        assert line in out
    rates = [float(line.split()[4]) for line in out.splitlines() if line.startswith("host, one")]
    assert rates and rates[0] > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "coco"], "There is no dataset coco"),
        (["build", "ecssd", "--manual-dir", "/no/where"], "is no folder"),
        (["preview"], "Say what to draw from"),
        (["preview", "--set", "what=ever"], "before the = goes videos or images"),
        (["preview", "--set", "images=here"], "write images=IMAGES,MASKS"),
        (["preview", "--set", "videos=/no/where"], "is missing"),
        (["preview", "--set", "ecssd", "--rows", "0"], "--rows of 1 or more"),
        (["preview", "--set", "ecssd", "--height", "100"], "data.height is 100"),
        (["preview", "--set", "ecssd@0"], "a weight above 0"),
        (["preview", "--config", "none.py"], "There is no config file none.py"),
        (["bench", "--set", "ecssd", "--repeats", "0"], "are 1 or more"),
    ],
)
def test_mistakes_get_one_sentence(arguments, message, capsys, tmp_path):
    assert ranet([*arguments, "--data-dir", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


def test_a_publisher_out_of_reach_gets_one_sentence(tmp_path, capsys, monkeypatch):
    def get(*arguments, **options):
        raise requests.ConnectTimeout

    monkeypatch.setattr(requests, "get", get)
    assert ranet(["build", "msra10k", "--data-dir", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("ranet: error: http") and "could not be fetched (nobody answers)" in said
    assert "--manual-dir" in said


def test_a_set_to_fetch_by_hand_gets_one_sentence(tmp_path, capsys):
    assert ranet(["build", "soc", "--data-dir", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "No images and masks of soc were found" in said and "into manual_dir" in said


def test_an_incomplete_set_gets_one_sentence(tmp_path, capsys):
    files = davis_files("2017", {"train": {"ant": 2}})
    del files["DAVIS/JPEGImages/480p/ant/00000.jpg"], files["DAVIS/JPEGImages/480p/ant/00001.jpg"]
    write_tree(tmp_path / "manual", files)
    arguments = ["davis/2017", "--manual-dir", str(tmp_path / "manual"), "--data-dir"]
    assert ranet(["build", *arguments, str(tmp_path)]) == 2
    assert "ant of DAVIS train is incomplete (it has no frames)" in capsys.readouterr().err


def test_names_lead_to_sources(video_set, image_set):
    images = f"images={image_set}/images,{image_set}/masks"
    sets = ((f"videos={video_set}:val", 1.0), (images, 2.0))
    data = DataConfig(sets=sets, batch_size=3, height=32, width=64)
    assert next(pipeline.open_loader(data, seed=0))["ids"].shape == (1, 3, 32, 64)


def test_images_have_no_names_to_leave_out(image_set):
    source = pipeline.open_source(f"images={image_set}/images,{image_set}/masks", exclude=["0001"])
    assert len(source.lengths) == 12 and source.videos == ()


def test_an_open_source_of_videos(video_set):
    assert isinstance(pipeline.open_source(f"videos={video_set}"), sources.FolderSource)
