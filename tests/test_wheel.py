"""The wheel: what is in it, and that it works where nothing else of the repository is."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import quick_compile
import small_run

import ranet_jax

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("ranet_jax", "data_pipelines", "configs")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that nothing is left in the repository."""
    pytest.importorskip("setuptools", minversion="77")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=skipped)
    for file in FILES:
        shutil.copy(ROOT / file, source)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=source, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of the commands of a new environment that the wheel was installed into.

    Dependencies are those of the environment that runs the tests: nothing is downloaded.
    """
    place = tmp_path_factory.mktemp("environment")
    venv.create(place)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "--quiet"]
    command = [*pip, "install", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (own,) = place.glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (own / "dependencies.pth").write_text("\n".join(others))
    return place / "bin"


def test_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        described = archive.read(metadata).decode()
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"ranet_jax", "data_pipelines", metadata.partition("/")[0]}
    configs = {f"ranet_jax/configs/{file.name}" for file in (ROOT / "configs").glob("*.py")}
    assert configs <= set(names)
    for name in ("ranet_jax/py.typed", "ranet_jax/weights/default.npz", "data_pipelines/py.typed"):
        assert name in names
    parts = {f"ranet_jax/web/page/{part.name}" for part in (ROOT / "ranet_jax/web/page").iterdir()}
    assert parts <= set(names) and "ranet_jax/notebook/mask_widget.js" in names
    assert f"\nVersion: {ranet_jax.__version__}\n" in described


@pytest.mark.slow
def test_an_installed_wheel_trains_tiny_for_ten_steps(installed, tmp_path):
    """By the name of its config, in a folder that has nothing but the data."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick_compile.FLAGS}

    def run(*command) -> str:
        done = subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(installed / "python", "-c", "import ranet_jax; print(ranet_jax.__file__)")
    assert Path(where.strip()).is_relative_to(installed.parent)
    ranet = installed / "ranet"
    assert run(ranet, "--version") == f"ranet {ranet_jax.__version__}\n"
    small_run.write_data(tmp_path / "data")
    overrides = small_run.overrides("data", steps=10, eval__every=10)
    run(ranet, "train", "--config", "tiny", "--workdir", "runs/tiny", *overrides)
    lines = (tmp_path / "runs/tiny/metrics.jsonl").read_text().splitlines()
    assert max(json.loads(line)["step"] for line in lines) == 10
    assert (tmp_path / "runs/tiny/checkpoints/10").is_dir()
