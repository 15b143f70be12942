import json
import os
import shutil
import subprocess
import sys
import warnings

import jax
import pytest

from ranet_jax.cli import compile_cache as cache
from ranet_jax.cli import main as cli

PROGRAM = """
import json, sys
from ranet_jax.cli.compile_cache import compile_cache

with compile_cache(json.loads(sys.argv[1])):
    import jax
    counts = {"cache_hits": 0, "cache_misses": 0}
    def count(event, **_):
        name = event.rpartition("/")[2]
        if name in counts:
            counts[name] += 1
    jax.monitoring.register_event_listener(count)
    @jax.jit
    def doubled(x):
        return 2 * x
    assert doubled(3.0) == 6
print(json.dumps(counts))
"""


def run(wanted=True, **variables):
    """Compiles in a new process; how many programs it read from a cache, and how many it kept."""
    kept = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(wanted)],
        env=kept | {"JAX_PLATFORMS": "cpu"} | {name: str(v) for name, v in variables.items()},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    counts = json.loads(ended.stdout)
    return counts["cache_hits"], counts["cache_misses"]


def entries(folder):
    return {path.name: path.read_bytes() for path in folder.glob("jit_doubled-*")}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What one process kept: the folder, and how many programs."""
    folder = tmp_path_factory.mktemp("kept")
    hits, misses = run(RANET_CACHE_DIR=folder)
    assert hits == 0 and misses >= 1
    return folder, misses


def test_the_second_process_reads_what_the_first_compiled(kept):
    folder, count = kept
    assert run(RANET_CACHE_DIR=folder) == (count, 0)


def test_processes_that_tests_start_share_a_cache_of_every_program(tmp_path):
    """By the variables that conftest.py sets, in this process and those started from it; a copy of
    the folder serves as well."""
    given = {name: value for name, value in os.environ.items() if "_CACHE_" in name}
    assert given["JAX_COMPILATION_CACHE_DIR"] == jax.config.jax_compilation_cache_dir
    assert float(given["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]) == 0
    first, copied = tmp_path / "first", tmp_path / "copied"
    hits, count = run(**given | {"JAX_COMPILATION_CACHE_DIR": first})
    assert hits == 0 and count >= 1
    shutil.copytree(first, copied)
    assert run(**given | {"JAX_COMPILATION_CACHE_DIR": copied}) == (count, 0)


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda _: b"", bytes.upper]
)
def test_a_damaged_entry_is_compiled_again_and_replaced(damage, kept):
    folder, count = kept
    (name,) = whole = entries(folder)
    (folder / name).write_bytes(damage(whole[name]))
    assert run(RANET_CACHE_DIR=folder) == (count - 1, 1)
    assert len(entries(folder)[name]) > 0.9 * len(whole[name])


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert run(RANET_CACHE_DIR=tmp_path / "file" / "cache") == (0, 0)


@pytest.mark.parametrize(("wanted", "off"), [(False, "0"), (True, "1")])
def test_nothing_is_kept_where_it_is_turned_off(wanted, off, tmp_path):
    folders = {name: tmp_path / name for name in ("RANET_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")}
    assert run(wanted, RANET_NO_CACHE=off, **folders) == (0, 0)
    assert not list(tmp_path.rglob("*-cache"))


def test_the_users_own_cache_of_jax_is_left_as_it_is(tmp_path):
    own = {"JAX_COMPILATION_CACHE_DIR": tmp_path / "own", "RANET_CACHE_DIR": tmp_path / "ours"}
    # JAX keeps only what took a second to compile unless told otherwise.
    assert run(**own) == (0, 0)
    _, misses = run(**own, JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0)
    assert misses == len(list((tmp_path / "own").glob("*-cache"))) >= 1
    assert not (tmp_path / "ours").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the variable of Linux desktops")
def test_the_folder_is_the_platforms_and_the_users_alone(tmp_path):
    run(XDG_CACHE_HOME=tmp_path)
    assert entries(tmp_path / "ranet-jax")
    assert (tmp_path / "ranet-jax").stat().st_mode & 0o77 == 0


def test_the_environment_is_as_before(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "5")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    before = dict(os.environ)
    with pytest.raises(KeyError), cache.compile_cache(True):
        assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)
        assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "0"
        raise KeyError
    assert dict(os.environ) == before


def test_warnings_of_anything_else_are_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    (tmp_path / "jit_f-1-cache").touch()
    with pytest.warns(UserWarning) as shown, cache.compile_cache(True):
        warnings.warn("Something else.", stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["Something else."]
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", [["demo"], ["segment"], ["evaluate"], ["train"], ["data", "preview"]]
)
def test_commands_that_compile_can_go_without(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([*command, "--help"])
    assert "--no-cache" in capsys.readouterr().out


@pytest.mark.parametrize(("given", "enabled"), [([], None), (["--no-cache"], "false")])
def test_a_command_runs_with_or_without(given, enabled, monkeypatch):
    seen = []

    def add_arguments(parser):
        parser.set_defaults(
            run=lambda _: seen.append(os.environ.get("JAX_ENABLE_COMPILATION_CACHE"))
        )

    monkeypatch.setattr("ranet_jax.cli.demo.add_arguments", add_arguments)
    assert cli.main(["demo", *given]) == 0
    assert seen == [enabled]
