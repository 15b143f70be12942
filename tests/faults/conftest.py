"""The world of the cases, made once."""

import pytest
from faults import world


@pytest.fixture(scope="session")
def whole_world(tmp_path_factory, small):
    return world.build(tmp_path_factory.mktemp("faults") / "world", *small(mode="multi"))
