import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import training_programs

from data_pipelines.pipeline import open_sources
from ranet_jax.training.checks import check
from ranet_jax.training.config import read as read_config
from ranet_jax.training.initialization import is_resnet

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
VARIANTS = {
    "ranet50": ("static", "video"),
    "ablation": (
        *("full", "no_ranking", "maximum", "no_correlation", "no_previous_mask"),
        *("no_static", "no_video"),
    ),
}
CHANGED = VARIANTS["ablation"][1:5]  # networks
VARIANTS["ablation_small"] = (
    *(f"static_{name}" for name in ("full", *CHANGED)),
    *(*VARIANTS["ablation"], "clips", "memory"),
)
EXPERIMENTS = [
    f"{file.stem}.py{variant}"
    for file in sorted(CONFIGS.glob("*.py"))
    for variant in ("", *(f":{v}" for v in VARIANTS.get(file.stem, ())))
]
# The small study has the flags of the other study in the steps of ranet50.
STEPPED = [name for name in EXPERIMENTS if not name.startswith("ablation_small")]
OF_THE_PAPER = [
    "static_single.py",
    "static_multi.py",
    "davis2016.py",
    "davis2017.py",
    *(f"ablation.py:{variant}" for variant in VARIANTS["ablation"]),
]


def read(name, *overrides):
    return read_config(CONFIGS / name, overrides)


def changes(name, base):
    """Settings in which two experiments differ."""
    ours, theirs = (dict(read(file).flat()) for file in (name, base))
    return {key: value for key, value in ours.items() if theirs[key] != value and key != "name"}


def test_every_experiment_that_was_announced_is_there():
    names = {file.stem for file in CONFIGS.glob("*.py")}
    assert names >= {"static_single", "static_multi", "davis2016", "davis2017", "online"}
    assert names >= {"tiny", "ranet50", "ablation", "ablation_small"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_file_is_a_config(name):
    assert read(name).name


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.py")), ids=lambda file: file.stem)
def test_every_config_is_readable_and_says_how_it_is_launched(file):
    text = file.read_text()
    assert text.count("\n") <= 100
    if file.stem == "paper":
        return
    launch = re.search(r"^ranet train --config configs/(\S+) --workdir \S+", text, re.MULTILINE)
    assert launch and launch[1].partition(":")[0] == file.name
    read(launch[1])


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_the_papers_values_are_those_of_its_experiments(name):
    """Section 3.5, and the specification for crops and intervals."""
    config = read(name)
    assert (config.optimizer.learning_rate, config.optimizer.schedule) == (1e-5, "constant")
    assert (config.data.height, config.data.width) == (480, 864)
    assert config.augment.warp == 0.15 and config.augment.rotation == 30
    assert config.augment.scale == (0.75, 1.25) and config.augment.crop > 0
    assert config.data.max_frame_gap == 5 and config.data.crops == "object"
    assert (config.model.depth, config.model.width) == (101, 64)
    assert (config.optimizer.clip_norm, config.optimizer.ema_decay) == (0, 0)
    assert config.optimizer.warmup_steps == 0 and config.optimizer.backbone_lr_multiplier == 1
    assert config.online.learning_rate == 1e-6 and config.online.iterations == 0


def test_the_papers_stages_train_on_its_sets():
    def sets(name):
        return {dataset for dataset, _ in read(name).data.sets}

    salient = {"msra10k", "ecssd", "hku_is"}
    assert sets("static_single.py") == salient
    assert sets("static_multi.py") == salient | {"soc", "ilso"}
    assert sets("davis2016.py") == {"davis/2016:train"}
    assert sets("davis2017.py") == {"davis/2017:train"}


@pytest.mark.parametrize(
    ("name", "stage", "mode", "dataset"),
    [
        ("static_single.py", "static", "single", "davis2016"),
        ("static_multi.py", "static", "multi", "davis2017"),
        ("davis2016.py", "video", "single", "davis2016"),
        ("davis2017.py", "video", "multi", "davis2017"),
    ],
)
def test_stages_objects_and_what_is_held_out(name, stage, mode, dataset):
    config = read(name)
    assert (config.stage, config.model.mode, config.eval.dataset) == (
        stage,
        mode,
        dataset,
    )
    assert config.eval.split == "val" and config.eval.every > 0


def test_each_stage_starts_where_the_one_before_is_kept():
    """The workdirs of the launch lines are what the next configs start from."""
    for name, earlier in (("davis2016", "static_single"), ("davis2017", "static_multi")):
        launch = (CONFIGS / f"{earlier}.py").read_text()
        assert f"--workdir {read(f'{name}.py').init_from}\n" in launch
    launch = (CONFIGS / "ranet50.py").read_text()
    assert f"ranet50.py:static --workdir {read('ranet50.py:video').init_from}\n" in launch
    assert read("online.py").init_from in (CONFIGS / "davis2016.py").read_text()


@pytest.mark.parametrize("name", ["static_single.py", "static_multi.py"])
def test_the_first_stages_start_from_imagenet(name):
    assert is_resnet(read(name).init_from)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("full", {}),
        ("no_ranking", {"model.ranking": "none"}),
        ("maximum", {"model.ranking": "max"}),
        ("no_correlation", {"model.correlation": False}),
        ("no_previous_mask", {"model.previous_mask": False}),
    ],
)
def test_an_ablation_changes_what_it_says_and_nothing_else(variant, expected):
    changed = changes(f"ablation.py:{variant}", "davis2016.py")
    # A changed network cannot start from the unchanged one: it has a first stage of its own.
    if expected:
        assert changed.pop("init_from") == f"runs/static_{variant}"
    assert changed == expected
    assert read("ablation.py") == read("ablation.py:full")


def test_the_ablations_of_the_stages_leave_one_out():
    without = changes("ablation.py:no_static", "davis2016.py")
    assert without == {"init_from": read("static_single.py").init_from}
    assert is_resnet(without["init_from"])
    assert changes("ablation.py:no_video", "static_single.py") == {}


@pytest.mark.parametrize("stage", ["", "static_"])
@pytest.mark.parametrize("variant", CHANGED)
def test_a_small_ablation_changes_the_network_alone(variant, stage):
    changed = changes(f"ablation_small.py:{stage}{variant}", f"ablation_small.py:{stage}full")
    if not stage:
        assert changed.pop("init_from") == f"runs/small/static_{variant}"
    plain = read("ablation.py:full").model
    model = dataclasses.asdict(read(f"ablation.py:{variant}").model).items()
    assert changed == {f"model.{k}": v for k, v in model if v != getattr(plain, k)}


@pytest.mark.parametrize(
    ("variant", "base", "expected"),
    [
        ("clips", "full", {"data.clip_length": 3}),
        ("memory", "clips", {"model.memory": 1}),
        ("no_static", "full", {"init_from": "weights/resnet50.pth", "steps": 750}),
        ("no_video", "static_full", {"steps": 750}),
    ],
)
def test_a_small_ablation_of_the_training_changes_what_it_says(variant, base, expected):
    assert changes(f"ablation_small.py:{variant}", f"ablation_small.py:{base}") == expected


@pytest.mark.parametrize("variant", VARIANTS["ablation_small"])
def test_every_network_of_the_small_study_sees_3000_examples_of_what_is_not_evaluated(variant):
    config = read(f"ablation_small.py:{variant}")
    first = config.init_from.rpartition("/")[2]
    before = read(f"ablation_small.py:{first}").steps if first.startswith("static_") else 0
    whole = (config.steps + before) * config.data.batch_size
    assert whole == (1500 if variant.startswith("static_") else 3000)
    assert config.data.exclude == read("tiny.py").eval.sequences
    assert config.model.memory == (1 if variant == "memory" else 0)


def test_online_learning_is_the_static_recipe_at_a_tenth_of_the_rate():
    config, static = read("online.py"), read("static_single.py")
    assert config.augment == static.augment and config.model == static.model
    assert config.optimizer.learning_rate == config.online.learning_rate == 1e-6
    assert config.eval.every == 0


def test_the_stages_of_ranet50_are_one_network():
    changed = changes("ranet50.py:video", "ranet50.py:static")
    # A memory has no parameters.
    assert [key for key in changed if key.startswith("model.")] == ["model.memory"]


@pytest.mark.parametrize(
    ("name", "package", "videos"),
    [("tiny.py", "DAVIS", 24), ("ranet50.py:video", "DAVIS_val6", 37)],
)
def test_what_is_evaluated_is_not_trained_on(name, package, videos, data_dir):
    overrides = f"data.root={data_dir}", f"eval.root={{root}}/{package}", "init_from="
    config = read(name, *(f"--config.{override}" for override in overrides))
    check(config)
    trained = [video for source, _ in open_sources(config.data) for video in source.videos]
    assert len(trained) == videos
    assert len(config.eval.sequences) == 6 and not set(trained) & set(config.eval.sequences)


def test_the_first_stage_of_ranet50_finds_its_images(data_dir):
    overrides = f"data.root={data_dir}", "eval.every=0", "init_from="
    config = read("ranet50.py:static", *(f"--config.{override}" for override in overrides))
    check(config)
    assert sum(len(source.lengths) for source, _ in open_sources(config.data)) > 2000


def test_configs_are_read_from_any_folder(tmp_path):
    """By path alone: `configs` is not installed and not on the import path."""
    program = (
        "import sys; from ranet_jax.training.config_file import read; print(read(sys.argv[1]).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(CONFIGS / "ablation.py:no_video")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(CONFIGS.parent), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "ablation_no_video"


@pytest.fixture(scope="module")
def stepped(tmp_path_factory):
    """Loss and largest change of every module, for each config."""
    names = [name.replace(".py", "") for name in STEPPED]
    return training_programs.run("configs", tmp_path_factory.mktemp("configs") / "out.npz", *names)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPPED)
def test_every_config_trains_every_part_of_its_network(stepped, name):
    file, config = name.replace(".py", ""), read(name)
    model = config.network()
    assert np.isfinite(stepped[f"{file}/loss"]) and stepped[f"{file}/loss"] > 0
    start = f"{file}/moved/"
    moved = {key.removeprefix(start) for key in stepped if key.startswith(start) and stepped[key]}
    expected = {"matching_features", "merge", "lateral_connections", "pyramid"}
    if config.optimizer.backbone_lr_multiplier:
        expected.add("backbone")
    if model.correlation and model.ranking == "rank":
        expected.add("ranking_network")
    assert moved == expected
