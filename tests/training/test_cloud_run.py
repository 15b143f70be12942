"""Two hosts that share nothing but an address: a pod whose runs lie in a bucket."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import small_run
from test_distributed import finish, start_two

RUN = "gs://bucket/runs/pod"
METRICS = "runs/pod/metrics.jsonl"
SETTINGS = {"log__every": 1, "log__checkpoint": 10_000, "eval__every": 0}


@pytest.fixture
def cloud(store, monkeypatch):
    """Processes that are started from here find the store."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store


def losses(store) -> dict[int, float]:
    lines = store.read(METRICS).decode().splitlines()
    return {r["step"]: r["loss"] for r in map(json.loads, lines) if "loss" in r}


def run(program: str, *arguments) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    paths = os.pathsep.join(map(str, (small_run.ROOT, small_run.ROOT / "tests")))
    environment = os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


COPY = """
import sys
from pathlib import Path
from etils import epath
source, target = Path(sys.argv[1]), epath.Path(sys.argv[2])
for path in source.rglob("*"):
    if path.is_file():
        (target / path.relative_to(source).as_posix()).write_bytes(path.read_bytes())
"""
LOOK_AND_EVALUATE = """
import json, sys
from ranet_jax.cli.main import main
import jax
import ranet_jax
from ranet_jax.checkpoints.checkpoint import read_settings
model, params = ranet_jax.load(sys.argv[1])
leaves = jax.tree.leaves(params)
step = read_settings(sys.argv[1])["step"]
print("LOADED", json.dumps([step, model.width, sum(l.size for l in leaves)]))
evaluate, report = json.loads(sys.argv[2])
sys.exit(main(evaluate) or main(report))
"""


@pytest.mark.slow
def test_a_pod_trains_stops_goes_on_and_is_evaluated_with_its_workdir_in_a_bucket(cloud, tmp_path):
    data = small_run.write_data(tmp_path / "data")
    hosts = start_two(data, RUN, **SETTINGS, steps=10_000)
    while METRICS not in cloud.names("runs/") or len(losses(cloud)) < 3:
        assert all(host.poll() is None for host in hosts), [h.communicate() for h in hosts]
        time.sleep(0.1)
    hosts[1].send_signal(signal.SIGTERM)
    finish(hosts, 143)
    steps = {name.split("/")[3] for name in cloud.names("runs/pod/checkpoints/")}
    (saved,) = map(int, steps)
    assert list(losses(cloud)) == list(range(1, saved + 1))

    # One host goes on, from data in the bucket.
    run(COPY, data, "gs://bucket/data")
    more = {**SETTINGS, "steps": saved + 2, "eval__every": 1, "log__images": 1}
    more["data__sets"] = (("videos={root}/DAVIS:train", 1.0),)
    told = finish([small_run.start_command("gs://bucket/data", RUN, **more)], 0)
    assert f"step {saved + 2}/{saved + 2}" in told[0]
    assert list(losses(cloud)) == list(range(1, saved + 3))
    names = set(cloud.names("runs/pod/"))
    assert {"runs/pod/config.json", "runs/pod/curve.png"} <= names
    assert len([name for name in names if name.startswith("runs/pod/images/")]) == 2

    # Read and evaluated from the bucket, as another network is started from it.
    (tmp_path / "list.txt").write_text("\n".join(small_run.HELD_OUT))
    where = ("--root", "gs://bucket/data/DAVIS", "--split", tmp_path / "list.txt")
    out = tmp_path / "results"
    evaluate = ["evaluate", "--dataset", "davis2016", *where, "--checkpoint", RUN, "--out", out]
    report = ["report", out / "results.json", "--out", tmp_path / "report"]
    told = run(LOOK_AND_EVALUATE, RUN, json.dumps([list(map(str, c)) for c in (evaluate, report)]))
    (loaded,) = [line for line in told.splitlines() if line.startswith("LOADED ")]
    step, width, _ = json.loads(loaded.removeprefix("LOADED "))
    assert saved < step <= saved + 2 and width == 8
    results = json.loads((out / "results.json").read_text())
    assert sorted(results["sequences"]) == sorted(small_run.HELD_OUT)
    assert (tmp_path / "report" / "report.md").is_file()
    assert not list(small_run.ROOT.glob("gs:*")) and not list(tmp_path.glob("gs:*"))
