"""What a TPU's own compiler says of the network, without a TPU: `ranet benchmark --compile-for`.

Nothing runs. Cycles are the compiler's estimates, which leave out what it puts into no fusion
(waiting for memory or for other chips among them); memory is its plan, and exact.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ranet_jax.array_typing import Size
from ranet_jax.benchmarks import parts
from ranet_jax.benchmarks.chips import CHIPS, GPUS, compile_program, open_topology, parse_target
from ranet_jax.benchmarks.earlier_report import read_cycles
from ranet_jax.benchmarks.hlo import Cost, costs, read_program
from ranet_jax.checkpoints.checkpoint import PRECISIONS, settings_of
from ranet_jax.evaluation.machine import versions
from ranet_jax.inference import state
from ranet_jax.io.json_files import write_json
from ranet_jax.models.initialization import abstract_params, prepare_params
from ranet_jax.models.platforms import lowering_for
from ranet_jax.models.ranet import RANet

SLOWEST = 10  # instructions that are listed one by one


def compile_for(
    model: RANet,
    target: str,
    *,
    sizes: Sequence[Size] = ((480, 864),),
    precisions: Sequence[str] = ("bfloat16",),
    objects: Sequence[int] = (1,),
    batches: Sequence[int] = (1,),
    against: Path | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Compiles a step from a frame to labels for one chip, and prints where its time goes.

    Args:
        model: the network.
        target: a chip, such as `v5e`; see `chips`.
        sizes: heights and widths of the network's input.
        precisions: of the convolutions, `float32` or `bfloat16`.
        objects: numbers of objects.
        batches: numbers of videos at once.
        against: an earlier report, to compare with.
        out: a JSON file for all figures.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: an unknown chip, a missing compiler, or a report that cannot be read.
    """
    name, _ = parse_target(target)
    before = read_cycles(against) if against is not None else {}
    devices = open_topology(target)
    report = {"chip": name, "versions": versions(), "model": settings_of(model), "programs": []}
    print(f"{name}, by XLA's compiler for it: estimates, nothing was run.", flush=True)
    for size in sizes:
        for precision in precisions:
            for count in objects:
                for batch in batches:
                    chosen = model.clone(dtype=PRECISIONS[precision])
                    label = f"{size[0]}x{size[1]} {precision}, objects {count}, videos {batch}"
                    found = {"program": label}
                    found |= _compile(trace_step(chosen, size, count, batch, devices[0]), name)
                    report["programs"].append(found)
                    print_program(found, name, before.get(label))
    if out is not None:
        write_json(out, report)
    return report


def trace_step(
    model: RANet, size: Size, objects: int, batch: int, device: jax.Device
) -> jax.stages.Traced:
    """`inference.state.advance` for a device, with nothing but the shapes of its arguments."""
    tracks, slots = (objects, 1) if model.mode == "single" else (1, objects)
    place = NamedSharding(Mesh(np.array([device]), ("device",)), PartitionSpec())

    def shape(dtype: Any, *sizes: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sizes, dtype)

    params = jax.eval_shape(prepare_params, abstract_params(model), model.dtype)
    frames = shape(jnp.uint8, batch, *size, 3)
    labels, valid = shape(jnp.uint8, batch, *size), shape(jnp.bool_, batch, tracks, slots)
    started = jax.eval_shape(
        lambda *arrays: state.start(model, *arrays, size), params, frames, labels, valid
    )
    arguments = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        (params, started, frames),
    )
    # The plain function is what is counted, that of the device what is compiled.
    with lowering_for("cpu", device.platform):
        return state.advance.trace(model, *arguments, size)


def _compile(traced: jax.stages.Traced, chip: str) -> dict[str, Any]:
    start = time.perf_counter()
    compiled = compile_program(traced.lower())
    seconds = time.perf_counter() - start
    computed = list(parts.operations(traced.jaxpr.jaxpr))
    found = describe_program(compiled, computed, chip)
    return found | {"compile_seconds": seconds, "roofline": _roofline(computed)}


def describe_program(
    compiled: jax.stages.Compiled, computed: Sequence[parts.Operation], chip: str
) -> dict[str, Any]:
    """What is read off a compiled program, in JSON's types.

    Args:
        compiled: for a TPU.
        computed: what the function computes, from `parts.operations`.
        chip: a key of `CHIPS`.
    """
    plan = compiled.memory_analysis()
    found = list(costs(read_program(compiled.as_text())))
    return {
        "arguments": plan.argument_size_in_bytes,
        "temporary": plan.temp_size_in_bytes,
        "code": plan.generated_code_size_in_bytes,
        "sent": sum(cost.sent for cost in found),
        "parts": _by_part(found, computed, chip),
        "kinds": _by_kind(found),
        "slowest": [
            {
                "name": cost.instruction.name,
                "cycles": cost.cycles,
                "times": cost.times,
                "moved": cost.moved,
                "op_name": cost.instruction.op_name,
            }
            for cost in sorted(found, key=lambda cost: -cost.cycles)[:SLOWEST]
        ],
    }


def _by_part(
    found: Iterable[Cost], computed: Iterable[parts.Operation], chip: str
) -> list[dict[str, Any]]:
    """Cycles, operations and bytes of each part, the largest share of the cycles first."""
    table = defaultdict(lambda: {"cycles": 0, "flops": 0, "moved": 0, "largest": 0})
    for cost in found:
        row = table[parts.part_of(cost.instruction.op_name)]
        row["cycles"] += cost.cycles
        row["moved"] += cost.moved
        row["largest"] = max(row["largest"], cost.written)
    for operation in computed:
        if operation.flops:
            table[parts.part_of(operation.name)]["flops"] += operation.flops
    for row in table.values():
        row["floor"] = row["flops"] / CHIPS[chip].flops * CHIPS[chip].clock
    rows = [{"part": part} | row for part, row in table.items()]
    return sorted(rows, key=lambda row: -row["cycles"])


def _by_kind(found: Iterable[Cost]) -> dict[str, int]:
    """Cycles by what stands last in the name of an operation; of what has none, what it does."""
    kinds = defaultdict(int)
    for cost in found:
        if cost.cycles:
            each = cost.instruction
            kinds[each.op_name.rsplit("/", 1)[-1] if each.own else each.opcode] += cost.cycles
    return dict(sorted(kinds.items(), key=lambda kind: -kind[1]))


def _roofline(computed: Sequence[parts.Operation]) -> dict[str, Any]:
    """Operations and bytes of the function before any compiler, and seconds on a GPU at best.

    Bytes are counted twice: of the products alone, as if everything else were fused into them, and
    of every operation, as if nothing were fused.
    """
    flops = sum(operation.flops for operation in computed)
    least = sum(operation.moved for operation in computed if operation.flops)
    most = sum(operation.moved for operation in computed)
    seconds = {
        name: [max(flops / peak, moved / bandwidth) for moved in (least, most)]
        for name, (peak, bandwidth) in GPUS.items()
    }
    return {"flops": flops, "moved": [least, most], "seconds": seconds}


def print_program(
    found: Mapping[str, Any], chip: str, before: Mapping[str, float] | None = None
) -> None:
    """The parts, beside the cycles of an earlier report if given, and what is slowest."""
    print(f"\n{found['program']}: compiled in {found['compile_seconds']:.0f} s")
    print_parts(found["parts"], before)
    cycles, clock = sum(row["cycles"] for row in found["parts"]), CHIPS[chip].clock
    print(
        f"{1e3 * cycles / clock:.2f} ms at {clock / 1e9:.2f} GHz; "
        f"{found['temporary'] / 1e6:.0f} MB of temporary memory, {found['arguments'] / 1e6:.0f} MB "
        f"of arguments, {found['code'] / 1e6:.0f} MB of program"
    )
    kinds = [f"{kind} {part / cycles:.0%}" for kind, part in list(found["kinds"].items())[:8]]
    print("by kind: " + ", ".join(kinds))
    for each in found["slowest"]:
        times = f"{each['cycles'] / 1e6:7.3f} M  {each['times']:3d} x"
        print(f"  {times}  {each['name']}  {each['op_name']}")
    _print_roofline(found["roofline"])


def print_parts(
    rows: Sequence[Mapping[str, Any]], before: Mapping[str, float] | None = None
) -> None:
    """A line for each part and one for all; cycles also as multiples of those of `before`."""
    summed = {
        name: sum(row[name] for row in rows) for name in ("cycles", "flops", "moved", "floor")
    }
    total = {"part": "all", "largest": max(row["largest"] for row in rows)} | summed
    earlier = {**before, "all": sum(before.values())} if before else {}
    header = "   Mcycles  share  x floor    GFLOP  MB moved  largest MB"
    print(" " * 25 + header + "  x before" * bool(before))
    for row in [total, *rows]:
        floor = f"{row['cycles'] / row['floor']:8.1f}" if row["floor"] >= 1 else " " * 8
        line = (
            f"{row['part']:25s} {row['cycles'] / 1e6:9.3f} {row['cycles'] / total['cycles']:6.1%} "
            f"{floor} {row['flops'] / 1e9:8.1f} {row['moved'] / 1e6:9.1f} "
            f"{row['largest'] / 1e6:11.1f}"
        )
        if earlier.get(row["part"]):
            line += f" {row['cycles'] / earlier[row['part']]:9.2f}"
        print(line)


def _print_roofline(roofline: Mapping[str, Any]) -> None:
    least, most = (moved / 1e9 for moved in roofline["moved"])
    times = [
        f"{name} {1e3 * low:.2f} to {1e3 * high:.2f} ms"
        for name, (low, high) in roofline["seconds"].items()
    ]
    print(
        f"before any compiler: {roofline['flops'] / 1e9:.1f} GFLOP, {least:.2f} GB if all else "
        f"were fused into the products, {most:.2f} GB if nothing were; at best {', '.join(times)}",
        flush=True,
    )
