"""How much of a TPU's memory a program takes, in seconds: nobody waits for the program itself.

XLA's compiler for TPUs plans all memory first and then writes instructions for many minutes. Here
it works in a process of its own, writes down its plan, and is ended.
"""

import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ranet_jax.benchmarks.chips import compile_program
from ranet_jax.errors import InputError
from ranet_jax.io.helper_process import helper_process

# What the compiler writes into its folder: always, and last of all where everything fits.
_REPORT = "*memory-usage-report.txt"
_PLANNED = "*after_optimizations_after_buffer_assignment.txt"
_TOTAL = re.compile(r"^Memory Space: default .*\nTotal bytes: (\d+)", re.MULTILINE)
_DOES_NOT_FIT = "Ran out of memory"
_PAUSE = 0.1  # seconds


class MemoryPlan(NamedTuple):
    """What a program needs.

    Attributes:
        used: bytes of arguments, results and everything in between, without the program itself.
        fits: whether the compiler goes on with it.
    """

    used: int
    fits: bool


def plan_memory(lower: Callable[..., jax.stages.Lowered], *arguments: Any) -> MemoryPlan:
    """What the compiler plans for a program of a TPU.

    Args:
        lower: a function of a module, which returns the program, not compiled; called in a process
            of its own.
        arguments: that it is called with.

    Raises:
        InputError: the process was ended from outside, or the compiler wrote no plan.
        RuntimeError: what the compiler says of a program that it cannot compile.
    """
    with tempfile.TemporaryDirectory(prefix="ranet-plan-") as name:
        folder = Path(name)
        with _compiling(lower, arguments, folder) as said:
            error = _wait(said, folder)
        if error and _DOES_NOT_FIT not in error:
            raise RuntimeError(error)
        report = next(folder.glob(_REPORT), None)
        total = _TOTAL.search(report.read_text()) if report else None
        if total is None:
            raise InputError("This version of libtpu writes no plan of its memory: try another.")
        return MemoryPlan(int(total[1]), fits=not error)


@contextmanager
def _compiling(lower: Callable, arguments: tuple, folder: Path) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    said, say = context.Pipe(duplex=False)
    process = context.Process(target=_compile, args=(say, folder, lower, *arguments), daemon=True)
    process.start()
    say.close()
    try:
        yield said
    finally:
        process.kill()
        process.join()
        said.close()


def _compile(say: Connection, folder: Path, lower: Callable, *arguments: Any) -> None:
    helper_process()
    options = {"xla_dump_to": str(folder), "xla_dump_hlo_as_text": True}
    try:
        compile_program(lower(*arguments), options)
    except Exception as error:
        say.send(str(error))
    else:
        say.send("")


def _wait(said: Connection, folder: Path) -> str:
    """Until there is a plan: nothing, or what the compiler says is wrong."""
    while not said.poll():
        if any(folder.glob(_PLANNED)):
            return ""
        time.sleep(_PAUSE)
    try:
        return said.recv()
    except EOFError as error:
        raise InputError(
            "The compiler was ended from outside, or for want of memory: try again."
        ) from error
