"""What `ranet benchmark` prints of its report."""

import statistics
from collections.abc import Mapping
from typing import Any

MIB = 2**20


def print_header(report: Mapping[str, Any]) -> None:
    """The machine, the versions, the network, and what is timed."""
    machine, device = report["hardware"], report["device"]
    print(
        f"{machine['processor']}, {report['usable_cores']} of {machine['cores']} cores, "
        f"{machine.get('memory_gib', '?')} GiB; "
        f"device: {device['count']} x {device['kind']} ({device['platform']}); "
        f"load average {report['load_average']:.1f}"
    )
    print(", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    model = report["model"]
    print(f"RANet, mode {model['mode']}, ResNet-{model['depth']}, width {model['width']}")
    for line in report["timed"]:
        print(line, flush=True)


def print_network(case: Mapping[str, Any], first: int) -> None:
    """The times of one network; `first` is the number of objects that others are compared with."""
    wall = [1000 * seconds for seconds in case["seconds"]]
    line = (
        f"network {_case_name(case)}, batch {case['batch']}, {case['program']}: "
        f"{statistics.median(wall):.1f} ms a step ({min(wall):.1f} to {max(wall):.1f}, {len(wall)} "
        f"rounds), {case['frames_per_second']:.2f} frames/s"
    )
    if "memory_bytes" in case:
        memory = {name: value / MIB for name, value in case["memory_bytes"].items()}
        line += (
            f"; compiled in {case['compile_seconds']:.1f} s; {memory['total']:,.0f} MiB, "
            f"{memory['temporary']:,.0f} of them temporary and {memory['templates']:,.1f} for "
            f"{1 + case['memory']} template{'s' if case['memory'] else ''}"
        )
    if "times_no_memory" in case:
        line += f"; {_spread(case['times_no_memory'])} times that without memory"
    if "times_default" in case:
        line += f"; {_spread(case['times_default'])} times that without options"
    if "times_first" in case:
        line += f"; {_spread(case['times_first'])} times {_objects(first)}"
    print(line, flush=True)
    if "ratio_to_torch" in case:
        print(
            f"  ratio to PyTorch, round by round: {_spread(case['ratio_to_torch'])}; in processor "
            f"time {_spread(case['processor_ratio_to_torch'])}",
            flush=True,
        )


def print_pipeline(case: Mapping[str, Any]) -> None:
    """The speed from files to files."""
    print(
        f"pipeline {_case_name(case)}: {case['frames_per_second']:.2f} frames/s over "
        f"{case['frames'] - 2} frames; {case['start_up_seconds']:.1f} s to start",
        flush=True,
    )


def _case_name(case: Mapping[str, Any]) -> str:
    height, width = case["size"]
    return f"{height}x{width} {case['precision']}, {_objects(case['objects'])}"


def _objects(count: int) -> str:
    return f"{count} object{'s' if count > 1 else ''}"


def _spread(found: Mapping[str, float]) -> str:
    return f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
