"""How fast the network and the whole pipeline are on this machine, and how much memory they take.

Whatever is compared (numbers of objects, PyTorch) is interleaved, so that another program's load on
the machine falls on all alike; ratios are taken within a round.
"""

import os
import platform
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
from PIL import Image

from ranet_jax.array_typing import Params, Size
from ranet_jax.benchmarks.checks import check_programs, check_range, check_torch
from ranet_jax.benchmarks.interleave import interleave, ratio
from ranet_jax.benchmarks.lines import MIB, print_header, print_network, print_pipeline
from ranet_jax.benchmarks.programs import (
    PLAIN,
    TORCH,
    compile_with,
    compiled_case,
    split_objects,
    torch_case,
)
from ranet_jax.checkpoints.checkpoint import PRECISIONS, settings_of
from ranet_jax.demo.clip import render_clip
from ranet_jax.errors import InputError
from ranet_jax.evaluation.machine import hardware, peak_memory, usable_cores, versions
from ranet_jax.inference.segmenter import Segmenter
from ranet_jax.inference.video import segment_video
from ranet_jax.io.atomic import make_output_folder
from ranet_jax.io.json_files import write_json
from ranet_jax.models.ranet import RANet

NETWORK_TIMED = (
    "network: one step from a frame and the previous masks to logits, all on the device, template "
    "encoded before; wall time until the result is there, median (range) over the rounds"
)
PIPELINE_TIMED = (
    "pipeline: JPEG frames to label PNGs through `segment_video`, reading and writing included; "
    "frames after the first step, which compiles"
)


def run_benchmark(
    model: RANet,
    params: Params,
    *,
    sizes: Sequence[Size] = ((480, 864),),
    precisions: Sequence[str] = ("float32",),
    objects: Sequence[int] = (1, 2, 4, 8),
    batches: Sequence[int] = (1,),
    memory: int | None = None,
    repeats: int = 5,
    pipeline: bool = False,
    frames: int = 12,
    against_torch: bool = False,
    compiler_options: Sequence[Mapping[str, str]] = (),
    profile: Path | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Times the network alone and, if asked for, the whole pipeline; prints a line for each case.

    Args:
        model: a network for one object runs several as so many samples, one for several as slots.
        params: its parameters, float32.
        sizes: heights and widths of the network's input, multiples of 32.
        precisions: of the convolutions, `float32` or `bfloat16`.
        objects: numbers of objects; each is compared with the first.
        batches: numbers of videos at once; 1 measures latency, more measure throughput.
        memory: slots for earlier frames, compared with none; the model's own number if None.
        repeats: rounds of the network, after one that is not counted.
        pipeline: also time clips from JPEG frames to PNG label maps.
        frames: length of those clips, at least 3.
        against_torch: also time the PyTorch network of the same layers and parameters, in float32
            on the CPU.
        compiler_options: sets of options of XLA by their names; each is compared with the default.
        profile: a folder for a trace of one further round of the network.
        out: a JSON file for all that was measured.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: for impossible settings, an option that XLA does not know, without PyTorch where
            it is asked for, or an `out` or a `profile` that cannot be written.
    """
    check_programs(sizes, precisions, objects, batches)
    check_range("number of rounds", repeats, 1, 10**6)
    check_range("number of frames", frames, 3, 10**4)
    if against_torch:
        check_torch(model, precisions)
    if out is not None:
        if out.is_dir():
            raise InputError(f"{out} is a folder; give the name of a JSON file.")
        make_output_folder(out.parent)
    if profile is not None:
        make_output_folder(profile)
    for options in compiler_options:  # before anything is timed
        compile_with(jax.jit(lambda x: x + 1).lower(0.0), options)
    model = model.with_settings(memory=memory)
    report = describe_machine() | {"model": settings_of(model)}
    report |= {
        "timed": [NETWORK_TIMED] + [PIPELINE_TIMED] * pipeline,
        "network": [],
        "pipeline": [],
    }
    print_header(report)
    for size in sizes:
        for precision in precisions:
            chosen = model.clone(dtype=PRECISIONS[precision])
            for batch in batches:
                versus = against_torch and precision == "float32"
                group = {"size": list(size), "precision": precision, "batch": batch}
                report["network"] += _network_group(
                    chosen,
                    params,
                    size,
                    objects,
                    batch,
                    repeats,
                    versus,
                    compiler_options,
                    profile,
                    group,
                )
            if pipeline:
                for count in objects:
                    group = {"size": list(size), "precision": precision, "objects": count}
                    report["pipeline"].append(
                        group | _time_pipeline(chosen, params, size, count, frames)
                    )
                    print_pipeline(report["pipeline"][-1])
    report["peak_memory"] = peak_memory()
    print(
        "; ".join(f"{name} {value / MIB:,.0f} MiB" for name, value in report["peak_memory"].items())
    )
    if out is not None:
        write_json(out, report)
    return report


def describe_machine() -> dict[str, Any]:
    """Hardware, device, versions and how busy the machine is."""
    device = jax.devices()[0]
    return {
        "hardware": hardware(),
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": jax.device_count(),
        },
        "usable_cores": usable_cores(),
        "system": platform.platform(),
        "versions": versions(),
        "load_average": os.getloadavg()[0],
    }


def _network_group(
    model: RANet,
    params: Params,
    size: Size,
    objects: Sequence[int],
    batch: int,
    repeats: int,
    against_torch: bool,
    options: Sequence[Mapping[str, str]],
    profile: Path | None,
    group: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Times all numbers of objects, with memory and without, as compiled by default and with other
    options, and PyTorch, in the same rounds."""
    cases = {}
    for slots in sorted({0, model.memory}):
        for chosen in ({}, *options):
            for count in objects:
                case = compiled_case(model.clone(memory=slots), params, size, count, batch, chosen)
                cases[case.label, slots, count] = case
    if against_torch:
        for count in objects:
            cases[TORCH, 0, count] = torch_case(model, params, size, count, batch)
    times = dict(zip(cases, interleave(list(cases.values()), repeats, profile), strict=True))
    results = []
    for (program, slots, count), case in cases.items():
        measured = times[program, slots, count]
        result = {**group, "objects": count, "memory": slots, "program": case.label}
        result |= {"seconds": measured.wall, "processor_seconds": measured.processor}
        result["frames_per_second"] = batch / statistics.median(measured.wall)
        if case.memory is not None:
            result |= {
                "compile_seconds": case.compile_seconds,
                "memory_bytes": asdict(case.memory) | {"total": case.memory.total},
            }
        for name, other in (
            ("times_no_memory", (program, 0, count)),
            ("times_first", (program, slots, objects[0])),
            ("times_default", (PLAIN, slots, count)),
            ("ratio_to_torch", (TORCH, slots, count)),
        ):
            if program != TORCH and other in cases and cases[other] is not case:
                result[name] = ratio(measured.wall, times[other].wall)
        if "ratio_to_torch" in result:
            result["processor_ratio_to_torch"] = ratio(
                measured.processor, times[TORCH, slots, count].processor
            )
        results.append(result)
        print_network(result, objects[0])
    return results


def _time_pipeline(
    model: RANet, params: Params, size: Size, objects: int, frames: int
) -> dict[str, Any]:
    clip = render_clip(frames, *size)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "frames")
        source.mkdir()
        for index, frame in enumerate(clip.frames):
            Image.fromarray(frame).save(source / f"{index:05d}.jpg", quality=92)
        summary = segment_video(
            Segmenter(model, params, size=size),
            source,
            split_objects(clip.labels[0], objects),
            Path(folder, "out"),
            progress=False,
        )
    rate = summary.frames_per_second
    start_up = summary.seconds - (frames - 2) / rate
    return {"frames": frames, "frames_per_second": rate, "start_up_seconds": start_up}
