import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from ranet_jax.cli import main as cli

TINY = str(Path(__file__).resolve().parents[2] / "configs" / "tiny.py")


@pytest.fixture
def given(data_root):
    """Arguments that make `tiny.py` small and give it its data."""
    return [
        *("--config", TINY, f"--config.data.root={data_root}", "--config.data.exclude=cow"),
        *("--config.eval.sequences=cow", "--config.model.width=8", "--config.steps=60"),
        "--config.data.sets=(('videos={root}/DAVIS:train', 3.0), "
        "('images={root}/images,{root}/masks', 1.0))",
    ]


@pytest.fixture
def runs(monkeypatch):
    """What would have been trained; the run itself has tests of its own."""
    started = []
    monkeypatch.setattr(
        "ranet_jax.training.loop.run",
        lambda config, workdir, profile: started.append((config, workdir)),
    )
    return started


def test_every_setting_is_listed_with_its_range(capsys):
    from ranet_jax.training.config import read

    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--config-help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    listed = [line.removeprefix("--config.") for line in said.splitlines() if line[:1] == "-"]
    assert listed == [name for name, _ in read(TINY).flat()]
    assert "a multiple of 32 from 32 to 8192" in said and "0 freezes it" in said


def test_the_run_gets_the_resolved_config(given, runs, tmp_path):
    arguments = [*given, "--workdir", str(tmp_path / "run"), "--config.data.batch_size=2"]
    assert cli.main(["train", *arguments]) == 0
    ((config, workdir),) = runs
    assert workdir == tmp_path / "run" and config.name == "tiny"
    assert config.data.batch_size == 2 and config.model.width == 8


@pytest.mark.parametrize(
    ("more", "joined"),
    [
        ([], None),
        (["--distributed"], {"coordinator": None, "processes": None, "process": None}),
        (
            ["--coordinator", "host:1234", "--processes", "2", "--process", "0"],
            {"coordinator": "host:1234", "processes": 2, "process": 0},
        ),
    ],
)
def test_processes_are_joined_around_the_run(more, joined, given, runs, tmp_path, monkeypatch):
    seen = []

    @contextlib.contextmanager
    def initialize(**others):
        seen.append((others, len(runs)))
        yield
        seen.append(len(runs))

    monkeypatch.setattr("ranet_jax.training.distributed.initialize", initialize)
    assert cli.main(["train", *given, "--workdir", str(tmp_path / "run"), *more]) == 0
    assert seen == ([(joined, 0), 1] if joined else []) and len(runs) == 1


def test_nothing_asks_for_devices_before_processes_can_join(given, tmp_path):
    """JAX refuses to join processes once it has looked for its devices."""
    program = (
        "import sys, types; from jax._src import xla_bridge; from ranet_jax.cli.main import main\n"
        "def run(*_): print('devices known:', xla_bridge.backends_are_initialized())\n"
        "sys.modules['ranet_jax.training.loop'] = types.SimpleNamespace(run=run)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "train", *given, "--workdir", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "devices known: False", done.stderr


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(given, runs, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert cli.main(["train", *given, "--dry-run", "--workdir", str(workdir)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert not runs and not workdir.exists()
    assert "model.width = 8" in said and "data.exclude = ('cow',)" in said
    counts = {line.split()[1]: line.split()[0] for line in said if line.endswith(("s", "e", "k"))}
    assert counts["parameters"] == "571,569"
    (videos,) = (line for line in said if "in 2 videos" in line)
    # 8 examples in each of 60 steps, three quarters of them from 8 frames.
    assert videos.split()[0] == "8" and "75% of all examples, 45 times" in videos
    (images,) = (line for line in said if "images of images=" in line)
    assert images.split()[0] == "2" and "25% of all examples, 60 times" in images
    assert any("examples a step: 8 at a time on each of 1 device" in line for line in said)


def test_the_settings_shown_are_overrides_that_give_them_back(given, capsys):
    from ranet_jax.training.config import read

    assert cli.main(["train", *given, "--dry-run", "--config.augment.scale=(0.5, 2.0)"]) == 0
    shown = capsys.readouterr().out.split("\n\n")[0].splitlines()
    pairs = [line.split(" = ", 1) for line in shown]
    again = read(TINY, [f"--config.{key}={value.strip(chr(39))}" for key, value in pairs])
    assert again.augment.scale == (0.5, 2.0) and again.model.width == 8
    assert len(again.data.sets) == 2 and again.init_from == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "none.py", "--workdir", "w"], "There is no config file none.py"),
        (["--config", TINY], "--workdir FOLDER"),
        (["--config", TINY, "--workdir", TINY], "is a file: give --workdir a folder"),
        (["--config", f"{TINY}:large", "--workdir", "w"], "has no variants: leave out :large"),
        (["--config", TINY, "--workdir", "w", "--wrokdir=x"], "There is no option --wrokdir=x"),
        (["--config", TINY, "--workdir", "w", "--config.stps=3"], "did you mean steps?"),
        (["--config", TINY, "--workdir", "w", "--config.data.height=100"], "a multiple of 32"),
        (["--config", TINY, "--workdir", "w", "--config.steps", "3"], "as --config.key=value"),
        (["--config", TINY, "--dry-run", "--config.data.root=/no/where"], "/no/where/DAVIS"),
    ],
)
def test_mistakes_get_one_sentence_and_train_nothing(arguments, message, runs, capsys):
    assert cli.main(["train", *arguments]) == cli.BAD_INPUT
    said = capsys.readouterr().err.strip()
    assert said.startswith("ranet: error: ") and message in said and "\n" not in said
    assert not runs


def test_a_config_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--workdir", "w"])
    assert stop.value.code == 2 and "--config" in capsys.readouterr().err


def test_other_commands_take_no_overrides(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["demo", "--config.steps=3"])
    assert stop.value.code == 2
    assert "unrecognized arguments: --config.steps=3" in capsys.readouterr().err
