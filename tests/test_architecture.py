"""The order of the packages, read from their imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module imports from its own level, and from lower ones.
LEVELS = (
    ("errors", "array_typing", "extras"),
    ("models",),
    ("checkpoints", "io"),
    ("inference",),
    ("training", "evaluation"),
    ("demo", "notebook", "web", "benchmarks"),
    ("cli",),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
MAX_LINES = 320
USES_ORBAX = {"ranet_jax/checkpoints/checkpoint.py", "ranet_jax/checkpoints/manager.py"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str | None:
    """`models` for ranet_jax.models.ranet; None for the package itself and what is not ours."""
    parts = module.split(".")
    return parts[1] if parts[0] == "ranet_jax" and parts[1:2] and parts[1] in LEVEL_OF else None


def test_no_import_runs_upward():
    wrong = []
    for path in modules("ranet_jax"):
        room = path.relative_to(ROOT / "ranet_jax").parts[0].removesuffix(".py")
        for module in imports(path):
            target = room_of(module)
            if room in LEVEL_OF and target and LEVEL_OF[target] > LEVEL_OF[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_every_package_has_its_level():
    entries = {path.stem for path in (ROOT / "ranet_jax").iterdir() if path.suffix in ("", ".py")}
    assert entries - {"__init__", "__pycache__", "configs", "weights"} <= set(LEVEL_OF)


def test_data_and_network_do_not_know_each_other():
    for path in modules("data_pipelines"):
        assert not [name for name in imports(path) if name.startswith("ranet_jax.models")], path
    for path in modules("ranet_jax/models"):
        assert not [name for name in imports(path) if name.startswith("data_pipelines")], path


@pytest.mark.parametrize("folder", ["ranet_jax", "data_pipelines", "configs"])
def test_nothing_but_the_commands_imports_them(folder):
    for path in modules(folder):
        if path.parent != ROOT / "ranet_jax" / "cli":
            assert not [name for name in imports(path) if name.startswith("ranet_jax.cli")], path


def test_modules_are_short():
    paths = [
        path for folder in ("ranet_jax", "data_pipelines", "configs") for path in modules(folder)
    ]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in paths
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long


def test_orbax_is_known_to_two_files():
    paths = {path for folder in ("ranet_jax", "data_pipelines") for path in modules(folder)}
    found = {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if any(name.split(".")[0] == "orbax" for name in imports(path))
    }
    assert found == USES_ORBAX
