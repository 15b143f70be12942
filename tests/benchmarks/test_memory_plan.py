"""The compiler's plan of memory, taken from a process that is ended before it has compiled."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import jax
import pytest

from ranet_jax.benchmarks.memory_plan import plan_memory
from ranet_jax.errors import InputError

# Written by hand after what the compiler for TPUs writes.
REPORT = """Memory Space: default (color=0)
Total bytes: 26659635200 (24.83GiB)
  cumulative_size;       size;       offset; used_by_n_values; shapes_list

Memory Space: vmem (color=1)
Total bytes: 47006720 (44.83MiB)
"""


class Program:
    """A program whose compiler writes its plan, and then is at it for as long as one waits."""

    def __init__(self, end=None):
        self.end = end

    def compile(self, compiler_options):
        folder = Path(compiler_options["xla_dump_to"]) / "module_0005.jit_step"
        if self.end != "no plan":
            Path(f"{folder}.after_optimizations-memory-usage-report.txt").write_text(REPORT)
        if self.end == "too large":
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of memory on HBM, ...")
        if self.end == "unknown":
            raise jax.errors.JaxRuntimeError("UNIMPLEMENTED: no such thing")
        if self.end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.end is None:
            Path(f"{folder}.after_optimizations_after_buffer_assignment.txt").touch()
            time.sleep(3600)


@pytest.mark.parametrize(("end", "fits"), [(None, True), ("too large", False)])
def test_a_plan_is_there_before_the_program(end, fits):
    assert plan_memory(Program, end) == (26659635200, fits)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("end", "kind", "said"),
    [
        ("unknown", RuntimeError, "UNIMPLEMENTED: no such thing"),
        ("no plan", InputError, "writes no plan"),
        pytest.param(
            "killed",
            InputError,
            "ended from outside",
            marks=pytest.mark.skipif(os.name == "nt", reason="signals of POSIX"),
        ),
    ],
)
def test_without_a_plan_it_says_why(end, kind, said):
    with pytest.raises(kind, match=said):
        plan_memory(Program, end)
    assert not multiprocessing.active_children()
