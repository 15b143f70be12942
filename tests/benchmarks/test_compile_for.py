"""What is read off compiled programs, and what the commands that compile for TPUs print."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import pytest

from ranet_jax.benchmarks import chips, compile_training, parts
from ranet_jax.benchmarks.compile_for import compile_for, trace_step
from ranet_jax.benchmarks.compile_training import Attempt, largest_fitting
from ranet_jax.benchmarks.hlo import array_bytes, costs, padded_bytes, read_program
from ranet_jax.cli.main import main
from ranet_jax.errors import InputError

# Written by hand after what the compiler for TPUs writes.
PROGRAM = """HloModule jit_f, is_scheduled=true

%fused.1 (p.0: bf16[4,8,16], p.1: f32[16]) -> bf16[8,16] {
  %p.0 = bf16[4,8,16]{2,1,0:T(8,128)(2,1)} parameter(0)
  %p.1 = f32[16]{0:T(128)} parameter(1)
  %slice = bf16[1,8,16]{2,1,0:T(8,128)(2,1)} dynamic-slice(%p.0, %p.1), dynamic_slice_sizes={1,8,16}
  ROOT %out = bf16[8,16]{1,0:T(8,128)(2,1)} bitcast(%slice)
}

%body (state: (s32[], bf16[4,8,16])) -> (s32[], bf16[4,8,16]) {
  %state = (s32[]{:T(128)}, bf16[4,8,16]{2,1,0:T(8,128)(2,1)}) parameter(0)
  %one = bf16[4,8,16]{2,1,0:T(8,128)(2,1)} get-tuple-element(%state), index=1
  %fast = f32[16]{0:T(128)S(1)} constant({...})
  %fusion.1 = bf16[8,16]{1,0:T(8,128)(2,1)} fusion(%one, %fast), kind=kLoop, calls=%fused.1, metadata={op_name="jit(f)/RANet/backbone/backbone.loop/stage3_block2/while/body/conv1/add"}, backend_config={"window_config":{},"estimated_cycles":"1000"}
  ROOT %next = (s32[]{:T(128)}, bf16[4,8,16]{2,1,0:T(8,128)(2,1)}) tuple(%one, %one)
}

%cond (state: (s32[], bf16[4,8,16])) -> pred[] {
  %turns = s32[]{:T(128)} constant(22)
  ROOT %less = pred[]{:T(512)} compare(%state, %turns), direction=LT
}

ENTRY %main (x: f32[100]) -> f32[100] {
  %x = f32[100]{0:T(128)} parameter(0)
  %copy = (f32[100]{0:T(128)S(1)}, f32[100]{0:T(128)}, u32[]{:S(2)}) copy-start(%x), backend_config={}
  %while = (s32[]{:T(128)}, bf16[4,8,16]{2,1,0:T(8,128)(2,1)}) while(%x), condition=%cond, body=%body
  %copied = f32[100]{0:T(128)S(1)} copy-done(%copy)
  %sum = f32[100]{0:T(128)} all-reduce(%copied), replica_groups={{0,1}}, to_apply=%cond, metadata={op_name="jit(f)/psum"}
  ROOT %last = f32[100]{0:T(128)} fusion(%sum), kind=kLoop, calls=%fused.1, metadata={op_name="jit(f)/transpose(jvp(RANet))/pyramid/level3/mul"}, backend_config={"estimated_cycles":"500"}
}
"""  # noqa: E501


def test_a_loop_costs_as_often_as_it_turns():
    found = {cost.instruction.name: cost for cost in costs(read_program(PROGRAM))}
    assert set(found) == {"copy", "fusion.1", "copied", "sum", "last"}
    assert found["fusion.1"].cycles == 22 * 1000 and found["fusion.1"].times == 22
    # Of the stack it reads one slice: 8 rows of 128 lanes, two bytes each; as much it writes.
    assert found["fusion.1"].moved == 22 * 2 * (8 * 128 * 2)
    assert found["last"].cycles == 500 and found["last"].moved == 2 * 128 * 4
    assert found["sum"].sent == 400 and found["last"].sent == 0
    # A copy that the compiler made is named after what reads it; only its source is far away.
    assert found["copy"].instruction.op_name == "jit(f)/psum" and not found["copy"].instruction.own
    assert found["copy"].moved == 128 * 4 and found["copied"].moved == 0
    assert parts.part_of(found["fusion.1"].instruction.op_name) == "backbone stage3"


@pytest.mark.parametrize(
    ("shape", "plain", "padded"),
    [
        ("f32[2,3]{1,0:T(8,128)}", 24, 4 * 8 * 128),
        ("bf16[1,240,432,8]{3,2,1,0:T(8,128)(2,1)}", 1658880, 240 * 432 * 128 * 2),
        # The rows are what lies closest in memory.
        ("bf16[1,240,432,8]{1,3,2,0:T(8,128)(2,1)}", 1658880, 256 * 432 * 8 * 2),
        ("f32[2,3]{1,0:T(8,128)S(1)}", 24, 0),
        ("(f32[2]{0}, pred[3]{0}, token[])", 11, 11),
        ("f8e4m3fn[5]{0}", 5, 5),
        ("s32[]{:T(128)}", 4, 4),
    ],
)
def test_padding_of_layouts_is_counted(shape, plain, padded):
    assert array_bytes(shape) == plain
    assert padded_bytes(shape) == padded


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("jit(advance)/RANet.segment_and_pool/backbone/conv1/add", "backbone stem"),
        ("a/jvp(RANet)/backbone/backbone._equal_blocks/stage1_block2/x", "backbone stage1"),
        ("a/transpose(jvp(RANet))/RANet.decode/pyramid/level2/res/mul", "pyramid level2"),
        ("a/RANet.decode/pyramid/bywc->byxc/dot_general", "pyramid"),
        ("a/RANet.decode/merge/block1/add", "merge"),
        ("a/RANet.decode/RANet._streams/top_k", "correlation and ranking"),
        ("jit(advance)/jit(clip)/max", "around the network"),
        ("", "around the network"),
    ],
)
def test_operations_are_of_the_part_they_are_named_after(name, part):
    assert parts.part_of(name) == part


def test_products_are_counted_with_their_repetitions():
    def looped(x, kernels, y):
        def step(x, kernel):
            return jax.lax.conv(x, kernel, (1, 1), "SAME"), None

        with jax.named_scope("loop"):
            x = jax.lax.scan(step, x, kernels)[0]
        return x, jnp.dot(y, y)

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 3, 4, 5), (6, 3, 3, 1, 1), (7, 7))]
    found = list(parts.operations(jax.make_jaxpr(looped)(*shapes).jaxpr))
    products = {each.name: each for each in found if each.flops}
    assert sum(each.flops for each in found) == 2 * (6 * 2 * 3 * 4 * 5 * 3 + 7**3)
    (loop,) = (each for name, each in products.items() if name.startswith("loop"))
    assert loop.moved == 6 * 4 * (2 * 2 * 3 * 4 * 5 + 9)


def test_gradients_of_strided_convolutions_count_no_zeros():
    def loss(x, kernel):
        return jax.lax.conv(x, kernel, (2, 2), "VALID").sum()

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((1, 4, 16, 16), (8, 4, 2, 2))]
    forward, both = (
        sum(each.flops for each in parts.operations(jax.make_jaxpr(f)(*shapes).jaxpr))
        for f in (loss, jax.grad(loss, (0, 1)))
    )
    assert both == 3 * forward  # forward, and each of the two gradients


def test_every_part_of_the_network_is_found(small):
    model, _ = small(mode="multi")
    traced = trace_step(model, (64, 96), 2, 1, jax.devices()[0])
    found = [each for each in parts.operations(traced.jaxpr.jaxpr) if each.flops]
    names = {parts.part_of(each.name) for each in found}
    stages = {f"backbone stage{n}" for n in range(1, 5)} | {"backbone stem"}
    levels = {f"pyramid level{n}" for n in range(1, 4)}
    others = {*parts.MODULES, "correlation and ranking"} - {"backbone"}
    assert stages | levels | others <= names


@pytest.mark.parametrize("start", [1, 4, 5, 6, 40])
@pytest.mark.parametrize(
    ("most", "fixed", "example"), [(5, 3.0, 2.5), (5, 0.0, 3.2), (1, 4.0, 8.0)]
)
def test_bisection_finds_the_most_that_fits(start, most, fixed, example):
    compiled = []

    def attempt(count: int) -> Attempt:
        compiled.append(count)
        used = fixed + example * count
        return Attempt(count, used, used <= 16)

    assert largest_fitting(attempt, attempt(start), 16.0) == most
    assert len(compiled) == len(set(compiled)) <= 6


def test_bisection_knows_that_nothing_fits_or_everything():
    def attempt(count: int, example: float) -> Attempt:
        return Attempt(count, example * count, example * count <= 16)

    assert largest_fitting(lambda n: attempt(n, 20.0), attempt(3, 20.0), 16.0) == 0
    assert largest_fitting(lambda n: attempt(n, 1e-9), attempt(3, 1e-9), 16.0) == 1024


@pytest.mark.parametrize(("linear", "most"), [(50, 55), (11, 16), (19, 19)])
def test_bisection_goes_on_where_the_compiler_saves_memory(linear, most):
    """As it does for a v6e: from where memory is nearly full on more examples need as much."""
    compiled = []

    def attempt(count: int) -> Attempt:
        used = min(0.58 * count, 29.0) if count <= most else 29.0 * count / linear + 3.5
        compiled.append(count)
        return Attempt(count, used, count <= most)

    assert largest_fitting(attempt, attempt(1), 32.0) == most
    assert len(compiled) <= 9


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--compile-for", "v9"], "it can be v4, v5e, v5p, v6e"),
        (["--compile-for", "v5e", "--against", "nowhere.json"], "no report nowhere.json"),
        (["--against", "nowhere.json"], "give a chip"),
        (["--compile-for", "v5e", "--size", "100x100"], "multiples of 32"),
    ],
)
def test_what_cannot_be_compiled_for_is_refused_in_a_sentence(flags, said, capsys):
    assert main(["benchmark", "--depth", "14", *flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'ranet-jax\[tpu\]'"):
        chips.open_topology("v5e")


needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="needs libtpu: pip install 'ranet-jax[tpu]'"
)


@needs_compiler
def test_a_chip_that_is_not_there_is_compiled_for(small, tmp_path, capsys):
    model, _ = small()
    out = tmp_path / "v5e.json"
    compile_for(model, "v5e", sizes=[(64, 96)], out=out)
    (program,) = json.loads(out.read_text())["programs"]
    rows = {row["part"]: row for row in program["parts"]}
    assert rows["pyramid level3"]["cycles"] > 0 and rows["backbone stage1"]["flops"] > 0
    assert program["temporary"] > 0
    compile_for(model, "v5e", sizes=[(64, 96)], against=out)
    said = capsys.readouterr().out
    assert "estimates" in said and "x before" in said and " 1.00\n" in said


@needs_compiler
@pytest.mark.slow
def test_the_step_of_a_slice_is_compiled(small_config, capsys, monkeypatch):
    monkeypatch.setattr(compile_training, "MAX_EXAMPLES", 2)
    found = compile_training.compile_training(
        small_config("--config.data.batch_size=16"), "v5e:4x4"
    )
    assert found["sent"] > 4 * 500_000, "gradients of every parameter"
    rows = {row["part"]: row for row in found["parts"]}
    assert rows["backbone stage1"]["flops"] > 0 and rows["pyramid level3"]["cycles"] > 0
    assert 0 < found["used"] < chips.GIB
    assert (found["examples"], found["largest"]) == (1, 2)
    assert "16 chips, 4 hosts" in (said := capsys.readouterr().out)
    assert "examples a second" in said


def test_what_does_not_fit_is_refused_in_a_sentence(monkeypatch, capsys):
    """With a compiler that gives 3 GiB to an example and 2 to all else."""
    monkeypatch.setattr(compile_training, "open_topology", lambda target: jax.devices() * 4)

    def plan(config, examples, target):
        used = (2 + 3 * examples) * chips.GIB
        return Attempt(examples, used, used < 16 * chips.GIB)

    monkeypatch.setattr(compile_training, "_plan", plan)
    given = ["train", "--config", "davis2016", "--compile-for", "v5e:2x2"]
    assert main([*given, "--config.data.batch_size=32"]) == 2
    error = capsys.readouterr().err
    assert "8 examples a chip need 26.0 GiB and a v5e has 16; at most 4 fit" in error
    assert error.count("\n") == 1
