"""Figures that are whole and consistent, and a PyTorch network that computes the same."""

import json

import numpy as np
import pytest

from ranet_jax.benchmarks import latency as benchmark
from ranet_jax.benchmarks import programs
from ranet_jax.benchmarks.interleave import Case, interleave, ratio
from ranet_jax.benchmarks.latency import run_benchmark
from ranet_jax.benchmarks.programs import split_objects
from ranet_jax.cli.main import main
from ranet_jax.errors import InputError

SIZE = (64, 96)


def _masks(generator: np.random.Generator, objects: int, size: tuple[int, int]) -> np.ndarray:
    """Objects in blocks of the template's cells, [2, n, H, W]."""
    labels = generator.integers(0, objects + 1, (2, size[0] // 32, size[1] // 32))
    labels = labels.repeat(32, axis=1).repeat(32, axis=2)
    return (labels[:, None] == np.arange(1, objects + 1)[:, None, None]).astype(np.float32)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("settings", "objects", "size"),
    [
        ({"mode": "single"}, 1, (64, 96)),
        ({"mode": "single", "reduction_size": 1}, 1, (96, 160)),
        ({"mode": "multi"}, 3, (96, 160)),
    ],
)
def test_torch_network_computes_the_same_logits(small, settings, objects, size):
    torch = pytest.importorskip("torch")
    from ranet_jax.benchmarks.torch_reference import torch_network

    torch.set_num_threads(1)  # its threads spin while they wait, which costs seconds on a busy core
    model, params = small(**settings)
    network = torch_network(model, params)
    generator = np.random.default_rng(0)
    frames = generator.random((2, 2, *size, 3), np.float32)
    template_masks, previous = (_masks(generator, objects, size) for _ in range(2))
    ours = model.apply(
        {"params": params},
        frames[0],
        template_masks,
        frames[1],
        previous,
        np.ones((2, objects), bool),
    )
    first, second = torch.from_numpy(frames).permute(0, 1, 4, 2, 3)
    with torch.inference_mode():
        template = network.encode_template(first, torch.from_numpy(template_masks))
        theirs = network.segment(template, second, torch.from_numpy(previous)).numpy()
    assert theirs.shape == (2, objects, *size)
    assert np.abs(theirs - ours).max() < 1e-3 * np.abs(ours).max()


@pytest.mark.torch
def test_torch_case_runs_in_turn(small, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(programs, "usable_cores", lambda: 1)
    model, params = small()
    report = run_benchmark(model, params, sizes=[SIZE], objects=[1], repeats=2, against_torch=True)
    ours, theirs = report["network"]
    assert ours["program"] == "ranet-jax" and theirs["program"].startswith("PyTorch, channels")
    found = [a / b for a, b in zip(ours["seconds"], theirs["seconds"], strict=True)]
    assert ours["ratio_to_torch"]["low"] == pytest.approx(min(found))
    assert ours["ratio_to_torch"]["high"] == pytest.approx(max(found))
    assert "ratio to PyTorch" in capsys.readouterr().out


def test_every_case_is_measured_and_written(small, tmp_path, capsys):
    model, params = small(mode="multi")
    out = tmp_path / "results" / "benchmark.json"
    run_benchmark(model, params, sizes=[SIZE], objects=[1, 2], repeats=2, out=out)
    report = json.loads(out.read_text())
    assert [case["objects"] for case in report["network"]] == [1, 2]
    for case in report["network"]:
        _check_case(case, repeats=2)
    first, second = report["network"]
    assert "times_first" not in first
    found = [b / a for a, b in zip(first["seconds"], second["seconds"], strict=True)]
    assert second["times_first"]["median"] == pytest.approx(np.median(found))
    assert {"hardware", "versions", "device", "load_average", "timed"} <= set(report)
    text = capsys.readouterr().out
    assert report["hardware"]["processor"] in text and f"jax {report['versions']['jax']}" in text
    assert "network 64x96 float32, 2 objects, batch 1" in text and "times 1 object" in text


def test_memory_is_compared_with_none(small, capsys):
    """The first frame's template, and one as large for each slot."""
    model, params = small()
    report = run_benchmark(model, params, sizes=[SIZE], objects=[1], memory=2, repeats=2)
    without, slots = report["network"]
    assert (without["memory"], slots["memory"]) == (0, 2)
    found = [b / a for a, b in zip(without["seconds"], slots["seconds"], strict=True)]
    assert slots["times_no_memory"]["median"] == pytest.approx(np.median(found))
    one, three = (case["memory_bytes"]["templates"] for case in report["network"])
    cells = 15 * 27
    assert one == 4 * cells * (8 * model.width + 1) + 1 and three == 3 * one
    assert slots["memory_bytes"]["arguments"] - without["memory_bytes"]["arguments"] >= 2 * one - 64
    text = capsys.readouterr().out
    assert "for 1 template\n" in text and "for 3 templates; " in text


def test_options_of_the_compiler_are_compared_with_none_and_profiled(small, tmp_path, capsys):
    model, params = small()
    option = {"xla_cpu_prefer_vector_width": "128"}
    settings = {"sizes": [SIZE], "objects": [1], "repeats": 1}
    report = run_benchmark(
        model, params, compiler_options=[option], profile=tmp_path / "trace", **settings
    )
    plain, other = report["network"]
    assert "times_default" not in plain
    assert other["program"] == "ranet-jax, xla_cpu_prefer_vector_width=128"
    assert other["times_default"]["median"] == pytest.approx(
        other["seconds"][0] / plain["seconds"][0]
    )
    (trace,) = (tmp_path / "trace").rglob("*.xplane.pb")
    assert b"xla_cpu_prefer_vector_width=128" in trace.read_bytes()
    with pytest.raises(InputError, match="No such compile option"):
        run_benchmark(model, params, compiler_options=[{"xla_cpu_color": "red"}], **settings)


def test_batches_in_bfloat16_and_the_pipeline(small, capsys):
    model, params = small(mode="single")
    report = run_benchmark(
        model,
        params,
        sizes=[SIZE],
        precisions=["bfloat16"],
        objects=[2],
        batches=[2],
        repeats=1,
        pipeline=True,
        frames=4,
    )
    (network,), (pipeline,) = report["network"], report["pipeline"]
    assert (network["precision"], network["batch"], network["objects"]) == ("bfloat16", 2, 2)
    _check_case(network, repeats=1)
    assert pipeline["frames"] == 4 and pipeline["frames_per_second"] > 0
    assert pipeline["start_up_seconds"] > 0
    assert "pipeline 64x96 bfloat16, 2 objects" in capsys.readouterr().out


def _check_case(case: dict, repeats: int) -> None:
    assert len(case["seconds"]) == repeats and min(case["seconds"]) > 0
    rate = case["batch"] / np.median(case["seconds"])
    assert case["frames_per_second"] == pytest.approx(rate)
    # What comes out is a float32 logit a pixel, object and video, and a few bytes of addresses.
    logits = 4 * SIZE[0] * SIZE[1] * case["batch"] * case["objects"]
    memory = case["memory_bytes"]
    assert logits <= memory["results"] <= logits + 64
    assert memory["arguments"] > logits and case["compile_seconds"] > 0


def test_contestants_take_turns():
    order = []
    cases = [Case(name, lambda name=name: order.append(name)) for name in "ab"]
    times = interleave(cases, 3)
    assert "".join(order) == "ab" * 4
    assert [len(each.wall) for each in times] == [3, 3]


def test_ratio_is_taken_within_rounds():
    # The second round ran on a busy machine: both took three times as long.
    assert ratio([2.0, 6.0, 3.0], [1.0, 3.0, 1.0]) == {"median": 2.0, "low": 2.0, "high": 3.0}


@pytest.mark.parametrize("objects", [1, 3, 8])
def test_objects_are_cut_into_equal_parts(objects):
    labels = np.zeros((40, 50), np.uint8)
    labels[5:35, 8:47] = 1
    split = split_objects(labels, objects)
    areas = np.bincount(split.ravel())[1:]
    assert len(areas) == objects and np.ptp(areas) <= 1
    assert np.array_equal(split > 0, labels > 0)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--size", "100x160"], "multiples of 32"),
        (["--precision", "float16"], "float32 or bfloat16"),
        (["--out", "."], "is a folder"),
        (["--checkpoint", "nowhere"], "no checkpoint"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(flags, said, capsys):
    assert main(["benchmark", "--depth", "14", *flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objects": [0]}, "number of objects is 0; it can be 1 to 16"),
        ({"batches": [1025]}, "number of videos is 1025; it can be 1 to 1024"),
        ({"repeats": 0}, "number of rounds is 0"),
        ({"frames": 2}, "number of frames is 2; it can be 3 to"),
    ],
)
def test_numbers_out_of_range(small, settings, said):
    with pytest.raises(InputError, match=said):
        run_benchmark(*small(), **settings)


def test_torch_is_asked_for_by_name_where_it_is_missing(small, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    model, params = small()
    with pytest.raises(InputError, match=r"pip install 'ranet-jax\[torch\]'"):
        run_benchmark(model, params, sizes=[SIZE], objects=[1], against_torch=True)


def test_torch_is_compared_in_what_it_has(small, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", benchmark)
    model, params = small(ranking="max")
    with pytest.raises(InputError, match="no ablation"):
        run_benchmark(model, params, objects=[1], against_torch=True)
    with pytest.raises(InputError, match="float32"):
        run_benchmark(model, params, objects=[1], precisions=["bfloat16"], against_torch=True)
