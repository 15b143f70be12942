"""`ranet` in processes of their own, that tests stop, limit and look at."""

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals, pipes and limits of POSIX")
# `ranet`, with a network that takes its time and knows nothing.
SLOW = """
    import os, sys, time
    import numpy as np
    from ranet_jax.cli.main import main
    from ranet_jax.evaluation import baselines
    from ranet_jax.inference import segmenter

    class Slow(baselines.CopySegmenter):
        steps = 0
        def __init__(self, *_, **__): pass
        def step(self, frames):
            self.steps += 1
            if self.steps > int(os.environ["QUICK_STEPS"]):
                # In pieces: a signal that comes as Python enters a sleep is handled after it.
                for _ in range(600):
                    time.sleep(0.1)
            return super().step(frames)

    if __name__ == "__main__":
        segmenter.Segmenter = baselines.CopySegmenter = Slow
        sys.exit(main(sys.argv[1:]))
"""
# Signals as in a terminal, even where the tests run with some ignored (nohup, a job behind `&`).
SIGNALS = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def start(arguments, *, quick_steps=None, program=SLOW, **named):
    """`ranet` in a process of its own; with `quick_steps` no network runs, and waits after them."""
    own = "import sys; from ranet_jax.cli.main import main; sys.exit(main(sys.argv[1:]))"
    script = Path("ranet_for_the_test.py")
    script.write_text(SIGNALS + textwrap.dedent(own if quick_steps is None else program))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "QUICK_STEPS": str(quick_steps)}
    named = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | named
    return subprocess.Popen([sys.executable, str(script), *arguments], env=environment, **named)


def wait_for(condition, process=None, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        assert process is None or process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)


def end(process, number):
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors, errors.decode()
    return process.returncode


def finish(process):
    process.communicate(timeout=60)
    return process.returncode


def half_written():
    return [path for path in Path("out").rglob("*") if path.name.startswith(".")]


def children_of(process):
    threads = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(word) for thread in threads for word in thread.read_text().split()]


def runs(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def with_shell(line, **environment):
    """Runs `ranet` in a line of the shell, in which `$ranet` stands for it."""
    ranet = f"{sys.executable} -c 'import sys; from ranet_jax.cli.main import main; "
    ranet += "sys.exit(main(sys.argv[1:]))'"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("$ranet", ranet)],
        capture_output=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )
