"""The world of the cases, made once."""

import pytest
from faults import world


@pytest.fixture(scope="session")
def whole_world(tmp_path_factory, small):
    return world.build(tmp_path_factory.mktemp("faults") / "world", *small(mode="multi"))


@pytest.fixture
def here(whole_world, tmp_path, monkeypatch):
    world.copy(whole_world, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANET_NO_CACHE", "1")
    # A limit on the size of files would cut short what Python compiles.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return tmp_path
