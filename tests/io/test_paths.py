"""Paths and addresses: which is which, and what cannot be an address says so."""

from pathlib import Path

import pytest

from data_pipelines.pipeline import open_source
from ranet_jax.cli import main as cli
from ranet_jax.errors import InputError
from ranet_jax.io import paths


def test_a_path_stays_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("a/b", "/a/b.png", "a:b", "gs:/b", "~/a"):
        assert paths.as_path(text) == Path(text) and type(paths.as_path(text)) is type(Path(text))
        assert not paths.is_address(text)
    assert paths.absolute("a/b") == tmp_path / "a" / "b"
    assert paths.local("a") == Path("a")


@pytest.fixture
def reachable(monkeypatch):
    monkeypatch.setattr("ranet_jax.extras.require", lambda extra, purpose: None)


@pytest.mark.parametrize("address", ["gs://bucket/runs/one", "s3://bucket/runs/one"])
def test_an_address_keeps_its_slashes(reachable, address):
    path = paths.as_path(address)
    assert str(path / "config.json") == f"{address}/config.json"
    assert paths.absolute(path) == path and paths.is_address(path)
    assert path.name == "one" and str(path.parent) == address.removesuffix("/one")


def test_an_address_that_cannot_be_reached_is_refused(monkeypatch):
    for text in ("http://host/file", "gcs://bucket", "file:///tmp"):
        with pytest.raises(InputError, match="an address begins with gs:// or s3://"):
            paths.as_path(text)
    monkeypatch.setattr("ranet_jax.extras._installed", lambda module: False)
    with pytest.raises(InputError, match=r"gs://b/a needs gcsfs, .* 'ranet-jax\[gcs\]'"):
        paths.as_path("gs://b/a")


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "gs://b/video.mp4", "--mask", "m.png", "--out", "o"],
        ["segment", "video.mp4", "--mask", "gs://b/m.png", "--out", "o"],
        ["segment", "video.mp4", "--mask", "m.png", "--out", "gs://b/o"],
        ["demo", "--out", "gs://b/o"],
        ["evaluate", "--dataset", "davis2016", "--root", "r", "--out", "gs://b/o"],
        ["report", "results.json", "--out", "gs://b/o"],
        ["convert", "gs://b/weights.npz", "out"],
        ["pack", "checkpoint", "gs://b/packed.npz"],
        ["data", "build", "ecssd", "--manual-dir", "gs://b/ecssd"],
        ["data", "build", "ecssd", "--data-dir", "gs://b/data"],
        ["benchmark", "--out", "gs://b/figures.json"],
    ],
)
def test_what_cannot_be_an_address_refuses_it(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "is an address: copy it to a folder of this machine and name that." in message


def test_built_sets_lie_on_this_machine():
    with pytest.raises(InputError, match="gs://b/data is an address"):
        open_source("ecssd", "gs://b/data")


def test_files_are_found_at_any_depth(tmp_path):
    for name in ("a", "b/c", "b/d/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    found = sorted(path.relative_to(tmp_path).as_posix() for path in paths.files_within(tmp_path))
    assert found == ["a", "b/c", "b/d/e"]
