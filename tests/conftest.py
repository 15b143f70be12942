"""Where the tests find the reference numbers and the real data, and what they share."""

import gc
import os
from pathlib import Path

# What one test compiles, in this process or in one it starts, in this run or an earlier one, serves
# the others. Set before JAX is imported.
COMPILED = Path(__file__).resolve().parents[1] / ".cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# A part of the key otherwise: what was compiled for one folder would be nothing for its copy.
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")
# To note for each operation which line asked for it is a twentieth of the time of compiling.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import hypothesis
import jax
import oracle
import pytest

from ranet_jax.checkpoints.convert import from_ranet
from ranet_jax.cli.compile_cache import remove_damaged
from ranet_jax.models.initialization import init_params
from ranet_jax.models.ranet import RANet

# The same examples in every run: other shapes would be other programs to compile.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(part: str) -> Path:
    path = SHARED / part
    if not path.is_dir():
        pytest.skip(f"needs {part} in a sibling folder `shared/` of the repository")
    return path


pytest_plugins = [
    "fixtures.browser",
    "fixtures.data_sets",
    "fixtures.davis_roots",
    "fixtures.notebooks",
    "fixtures.small_configs",
    "fixtures.small_disk",
    "fixtures.store",
]


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


@pytest.fixture(scope="session")
def reference(oracle_dir) -> oracle.Oracle:
    return oracle.Oracle(oracle_dir)


@pytest.fixture(scope="session")
def published(reference) -> dict:
    """The regenerated weights under their published names."""
    return reference.state_dict()


@pytest.fixture(scope="session")
def published_single(published):
    """Model and parameters of the single-object network."""
    return from_ranet(published, "single")[:2]


@pytest.fixture(scope="session")
def published_multi(published):
    """Model and parameters of the multi-object network."""
    return from_ranet(published, "multi")[:2]


@pytest.fixture(scope="module", autouse=True)
def release_compiled_programs():
    """Modules share hardly any; kept together they would fill the memory of a small machine."""
    yield
    jax.clear_caches()
    gc.collect()


def pytest_collection_finish():
    """Tracing makes many objects and hardly any garbage: looking through all there are as often as
    Python does would take a tenth of the time of the tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def pytest_collection_modifyitems(items):
    """Files with slow tests come first: what two processes share out last should be short."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_warning_recorded(warning_message):
    """A test process that was killed may have left half an entry of the compile cache."""
    remove_damaged(Path(os.environ["JAX_COMPILATION_CACHE_DIR"]), str(warning_message.message))


def pytest_sessionfinish(session):
    """One of several test processes hands its figures to the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = oracle.figures


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Takes the figures of a test process that has ended."""
    oracle.figures.extend(getattr(node, "workeroutput", {}).get("figures", []))


def pytest_terminal_summary(terminalreporter):
    """Prints how far the network is from the reference numbers."""
    if oracle.figures:
        terminalreporter.section("largest difference from the reference numbers")
        for line in oracle.figures:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def small():
    """A function that makes a small network with given settings, and its parameters."""

    def make(**settings):
        model = RANet(depth=14, width=8, **settings)
        return model, init_params(model, seed=0)

    return make
