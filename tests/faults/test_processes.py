"""Real processes: signals, full disks, streams that nobody reads, two at once in one folder."""

import contextlib
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from faults.judge import contents, difference, the_sentence
from faults.processes import (
    POSIX,
    children_of,
    end,
    finish,
    half_written,
    runs,
    start,
    wait_for,
    with_shell,
)
from fixtures.small_disk import fill

from ranet_jax.cli.main import main
from ranet_jax.io.locks import locked

SEGMENT = ["segment", "clip", "--mask", "mask.png", "--checkpoint", "network", "--out", "out"]
EVALUATE = ["evaluate", "--dataset", "davis2016", "--root", "DAVIS", "--out", "out"]
SCORE = [*EVALUATE, "--predictions", "predictions", "--processes", "1"]
REPORT = ["report", "results.json", "--out", "out"]
WRITERS = (
    [*SEGMENT, "--overlay", "--probabilities"],
    SCORE,
    REPORT,
    ["pack", "network", "out.npz"],
)
DEMO = ["demo", "--frames", "3", "--checkpoint", "network", "--size", "32x64", "--out", "out"]
EXPORT = ["export", "network", "out", "--platforms", "cpu", "--size", "32x64"]
pytestmark = POSIX


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGHUP, 129), (signal.SIGTERM, 143), (signal.SIGINT, 130)],
)
def test_a_signal_ends_segment_and_leaves_nothing_half_written(here, number, status):
    run = start([*SEGMENT, "--overlay"], quick_steps=2)
    wait_for(Path("out/00000.png").exists, run)
    assert end(run, number) == status
    assert not half_written()


def test_what_a_killed_run_left_goes_with_the_next_one(here):
    run = start([*SEGMENT, "--overlay"], quick_steps=2)
    wait_for(Path("out/00000.png").exists, run)
    assert end(run, signal.SIGKILL) == -signal.SIGKILL
    Path(f"out/.00001.png.{run.pid}.part").write_text("what it was writing")
    assert finish(start([*SEGMENT, "--overlay"], quick_steps=9)) == 0
    assert not half_written()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux for the processes")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_helpers_of_evaluate_end_with_it(here, number, status):
    run = start([*EVALUATE, "--baseline", "copy", "--processes", "2"], quick_steps=4)
    wait_for(Path("out/sequences/ant.scores.json").exists, run)
    helpers = children_of(run)
    assert helpers
    assert end(run, number) == status
    wait_for(lambda: not any(map(runs, helpers)), seconds=10)
    if number != signal.SIGKILL:
        assert not half_written()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux for the processes")
def test_a_signal_while_helpers_start_leaves_none(here):
    run = start([*EVALUATE, "--baseline", "copy", "--processes", "2"], quick_steps=0)
    wait_for(lambda: children_of(run), run)
    helpers = children_of(run)
    assert end(run, signal.SIGTERM) == 143
    wait_for(lambda: not any(map(runs, helpers)), seconds=10)
    assert not half_written()


def test_a_folder_is_one_process_s_at_a_time(here):
    first = start(SEGMENT, quick_steps=2)
    wait_for(Path("out/00000.png").exists, first)
    second = start(SEGMENT)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "is in use by another process" in the_sentence(errors.decode())
    assert end(first, signal.SIGKILL) == -signal.SIGKILL
    assert finish(start(SEGMENT, quick_steps=9)) == 0  # nothing of the lock is left


@pytest.mark.parametrize("command", [SEGMENT, SCORE, REPORT], ids=lambda words: words[0])
def test_a_folder_in_use_is_refused(here, capfd, command):
    with locked(Path("out")):
        before = contents(Path())
        assert main(command) == 2
        assert "The folder out is in use" in the_sentence(capfd.readouterr().err)
        assert not difference(before, contents(Path()))


def test_a_lock_leaves_no_folder_that_stayed_empty(here):
    with contextlib.suppress(KeyError), locked(Path("a/b/c")):
        raise KeyError
    assert not Path("a").exists()


@pytest.mark.parametrize("command", WRITERS, ids=lambda words: words[0])
def test_the_limit_on_the_size_of_files_is_told(here, command):
    done = with_shell(f"ulimit -f 4; $ranet {shlex.join(command)}")
    assert done.returncode == 2, done.stderr.decode()
    assert "File too large" in the_sentence(done.stderr.decode())
    assert not half_written()


@pytest.mark.parametrize("words", ["--help", "train --config-help", "report results.json --out o"])
def test_a_pipe_that_nobody_reads_ends_quietly(here, words):
    done = with_shell(f"( sleep 0.1; $ranet {words} ) | true")
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.parametrize("words", ["--help", "report results.json --out o", "--version"])
def test_an_output_that_is_full_is_told(here, words):
    done = with_shell(f"$ranet {words} > /dev/full")
    assert done.returncode == 2
    assert "No space left on device" in the_sentence(done.stderr.decode())


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(here, redirect):
    assert with_shell(f"$ranet report results.json --out out {redirect}").returncode == 0
    assert Path("out/report.md").read_text().startswith("# Results")
    assert with_shell(f"$ranet report none.json --out out {redirect}").returncode == 2


def test_streams_that_know_ascii_alone_show_every_name(here):
    shutil.copy("results.json", "größe.json")
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    done = with_shell("$ranet report größe.json --out fertig-ü", **plain)
    assert done.returncode == 0, done.stderr
    done = with_shell("$ranet report nöne.json --out o", **plain)
    assert done.returncode == 2
    the_sentence(done.stderr.decode("ascii"))


def test_a_backend_of_matplotlib_that_does_not_exist_changes_nothing(here):
    done = with_shell("$ranet report results.json --out out", MPLBACKEND="nonsense")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [*WRITERS, DEMO, EXPORT], ids=lambda words: words[0])
def test_a_disk_that_is_full_is_told(here, small_disk, capfd, command):
    fill(small_disk, 8)
    assert main([f"disk/{word}" if word in ("out", "out.npz") else word for word in command]) == 2
    assert "No space left on device" in the_sentence(capfd.readouterr().err)
    assert not [path for path in small_disk.rglob("*") if path.name.startswith(".")]
