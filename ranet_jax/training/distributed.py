"""Several processes, on one machine or on the hosts of a pod, as one run."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from ranet_jax.errors import InputError


@contextmanager
def initialize(
    *, coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> Iterator[None]:
    """Makes this process one of several that train together; enter it before JAX is used.

    On leaving, the processes wait for each other. On a TPU pod and under Slurm nothing needs to be
    said; elsewhere all three arguments.

    Args:
        coordinator: HOST:PORT that process 0 listens on and all can reach.
        processes: how many there are.
        process: this one's number, from 0.

    Raises:
        InputError: the arguments do not fit together, no cluster is found where there are none, or
            the others cannot be reached.
    """
    _check(coordinator, processes, process)
    # Used where the devices are CPUs; ignored elsewhere.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (ValueError, RuntimeError) as error:
        if coordinator is None:
            raise InputError(
                "No cluster was recognised: name the others with --coordinator HOST:PORT, "
                "--processes and --process, or leave out --distributed."
            ) from error
        raise InputError(
            f"Process {process} of {processes} cannot join at {coordinator} "
            f"({str(error).splitlines()[0]}): check that process 0 runs and can be reached there."
        ) from error
    try:
        yield
    except SystemExit:
        jax.distributed.shutdown()
        raise
    # After any other error the others may wait for this process where it failed: do not join them.
    jax.distributed.shutdown()


def _check(coordinator: str | None, processes: int | None, process: int | None) -> None:
    given = (coordinator, processes, process)
    if all(value is None for value in given):
        return
    if None in given:
        raise InputError("--coordinator, --processes and --process go together: give all three.")
    _, _, port = coordinator.rpartition(":")
    if ":" not in coordinator or not port.isdigit():
        raise InputError(
            f"The coordinator {coordinator} has no port: write it as HOST:PORT, the same for all "
            "processes."
        )
    if not 0 <= process < processes:
        raise InputError(
            f"There is no process {process} among {processes}: they count from 0, up to one below "
            "--processes."
        )
