"""Where the tests find the reference numbers and the real data, and what they share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(part: str) -> Path:
    path = SHARED / part
    if not path.is_dir():
        pytest.skip(f"needs {part} in a sibling folder `shared/` of the repository")
    return path


@pytest.fixture(scope="session")
def oracle_dir() -> Path:
    """Outputs of the authors' network for weights and inputs anyone can regenerate."""
    return _shared("oracle")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real images, videos and masks."""
    return _shared("data")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """ImageNet weights."""
    return _shared("weights")
