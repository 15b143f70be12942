"""What a measurement ran on: versions, processor, memory."""

import os
import platform
import resource
from importlib import metadata
from pathlib import Path
from typing import Any


def versions() -> dict[str, str]:
    """Versions of what has a part in the numbers."""
    found = {"python": platform.python_version()}
    for package in ("ranet-jax", "jax", "jaxlib", "flax", "numpy", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The machine: processor, cores, memory in GiB."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count()}
    found["processor"] = names[0] if names else platform.processor() or platform.machine()
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        found["memory_gib"] = round(pages * size / 2**30, 1)
    return found


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> dict[str, int]:
    """Bytes at most in use: of the first device, where it keeps count, and of this process."""
    import jax

    found = {}
    device = jax.devices()[0]
    if used := (device.memory_stats() or {}).get("peak_bytes_in_use"):
        found[f"peak memory of {device.device_kind}"] = used
    unit = 1 if platform.system() == "Darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return found | {"peak memory of this process": peak}
