"""The core alone: packages that extras bring are hidden from a process of its own."""

import subprocess
import sys

import pytest
from PIL import Image

from ranet_jax.checkpoints import checkpoint
from ranet_jax.demo.clip import render_clip
from ranet_jax.io.masks import read_mask, write_mask

HIDDEN = (
    *("grain", "importlib_resources", "matplotlib", "pyarrow"),
    *("python_multipart", "starlette", "uvicorn", "websockets"),
    *("requests", "simplejpeg", "skimage", "tensorflow", "tensorflow_datasets", "torch"),
)
# The start of a program in which HIDDEN are not installed.
CORE = f"""
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name in {HIDDEN!r}:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Hiding, sys.meta_path)
"""
MAIN = """
from ranet_jax.cli.main import main
sys.exit(main())
"""


def run(program: str, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", CORE + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def ranet(*arguments) -> subprocess.CompletedProcess:
    return run(MAIN, *arguments)


@pytest.fixture(scope="module")
def work(tmp_path_factory, small):
    """A clip, its first mask, and a checkpoint."""
    folder = tmp_path_factory.mktemp("core")
    clip = render_clip(2, 64, 96)
    (folder / "frames").mkdir()
    for index, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(folder / "frames" / f"{index}.png")
    write_mask(folder / "mask.png", clip.labels[0])
    checkpoint.save(folder / "checkpoint", *small(), trained=True)
    return folder


def test_the_core_segments(work, tmp_path):
    paths = ("--mask", work / "mask.png", "--out", tmp_path, "--checkpoint", work / "checkpoint")
    done = ranet("segment", work / "frames", *paths, "--size", "64x96", "--overlay")
    assert done.returncode == 0, done.stderr
    assert read_mask(tmp_path / "1.png").shape == (64, 96)
    assert (tmp_path / "overlay.mp4").is_file()


@pytest.mark.parametrize(
    "module",
    [
        "checkpoints.convert",
        "evaluation.runner",
        "training.online_adaptation",
        "notebook.outlines",
    ],
)
def test_the_core_imports(module):
    done = run(f"import ranet_jax.{module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("extra", "module", "arguments"),
    [
        ("train", "grain", ("train", "--config", "tiny", "--workdir", "run")),
        ("train", "grain", ("data", "build", "ecssd")),
        ("train", "grain", ("data", "preview", "--set", "ecssd")),
        ("train", "grain", ("data", "bench", "--set", "ecssd")),
        ("plots", "matplotlib", ("report", "results.json", "--out", "report")),
        (
            *("plots", "matplotlib"),
            *[("evaluate", "--dataset", "davis2016", "--root", "D", "--out", "o")],
        ),
        ("demo", "skimage", ("demo", "--out", "demo-out")),
        ("web", "python_multipart", ("web",)),
    ],
)
def test_what_needs_an_extra_names_it_in_one_sentence(extra, module, arguments):
    done = ranet(*arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"needs {module}, which is not installed" in line
    assert line.endswith(f"run pip install 'ranet-jax[{extra}]'.")


@pytest.mark.parametrize("command", ["", "data", "train", "evaluate", "report", "demo"])
def test_help_needs_no_extra(command):
    done = ranet(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
