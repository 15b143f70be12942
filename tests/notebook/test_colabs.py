"""The notebooks: what is kept of them is small and real, and the installed package runs them."""

import itertools
import json
import re
import runpy
import shutil
import sysconfig
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

import ranet_jax
from ranet_jax.checkpoints import checkpoint
from ranet_jax.checkpoints.convert import published_name, read_state_dict
from ranet_jax.cli import main as cli
from ranet_jax.demo.clip import render_clip
from ranet_jax.errors import InputError
from ranet_jax.io.masks import read_mask
from ranet_jax.io.video_reader import open_video

COLABS = Path(__file__).resolve().parents[2] / "colabs"
PROGRAM = runpy.run_path(str(COLABS / "execute.py"))
NAMES, execute = PROGRAM["NAMES"], PROGRAM["execute"]
SMALL = {"frames": 4, "height": 60, "width": 108}
PROGRESS = re.compile(r"\d+%\|")
MACHINE_PATH = re.compile(
    r"(?<![\w.<])/(?:home|root|tmp|usr|var|opt|mnt|work|private|Users|content)/\S*"
)


def read(name):
    return nbformat.read(COLABS / f"{name}.ipynb", as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown_text(notebook):
    """What a notebook prints and shows, without pictures."""
    texts = []
    for output in itertools.chain.from_iterable(cell.outputs for cell in code(notebook)):
        data = output.get("data", {})
        texts += [
            output.get("text", ""),
            *map(str, (v for k, v in data.items() if "image" not in k)),
        ]
    return re.sub(r"data:[^\"']+", "", "\n".join(texts))


def check_outputs(notebook):
    """No errors, and nothing on the error stream but progress."""
    outputs = list(itertools.chain.from_iterable(cell.outputs for cell in code(notebook)))
    assert not [output for output in outputs if output.output_type == "error"]
    for output in outputs:
        if output.get("name") == "stderr":
            lines = [line for line in re.split(r"[\r\n]", output.text) if line.strip()]
            assert all(map(PROGRESS.search, lines)), lines
    assert "Warning" not in shown_text(notebook)


def test_there_is_nothing_but_the_notebooks():
    assert sorted(path.stem for path in COLABS.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_small_and_of_a_whole_execution(name):
    path, notebook = COLABS / f"{name}.ipynb", read(name)
    nbformat.validate(notebook)
    assert path.stat().st_size < 300_000
    assert notebook.metadata.kernelspec.name == "python3"
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    check_outputs(notebook)


def test_paths_of_a_machine_are_told_from_others():
    assert MACHINE_PATH.findall("'/tmp/a/b' \"/home/me/c\"") == ["/tmp/a/b'", '/home/me/c"']
    assert not MACHINE_PATH.findall("runs/tmp/a ../tmp/b </var/> segmented/00000.png")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_machine_is_kept(name):
    notebook = read(name)
    assert not MACHINE_PATH.findall(shown_text(notebook))
    assert "widgets" not in notebook.metadata
    assert not [cell for cell in code(notebook) if "execution" in cell.metadata]


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_one_cell_of_plain_values(name):
    cells = [cell for cell in code(read(name)) if "parameters" in cell.metadata.get("tags", ())]
    assert len(cells) == 1
    values = {}
    exec(cells[0].source, values)
    del values["__builtins__"]
    assert values and all(setting.isupper() for setting in values)
    json.dumps(values)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_that_does_not_exist_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="no setting NONSENSE"):
        execute(name, tmp_path, {"NONSENSE": 1})


def test_commands_in_the_text_exist(capsys):
    texts = [c.source for name in NAMES for c in read(name).cells if c.cell_type == "markdown"]
    commands = re.findall(r"(?:^ {4}|`)ranet (\w+)([^`\n]*)", "\n".join(texts), re.MULTILINE)
    assert {command for command, _ in commands} >= {"train", "segment", "convert", "evaluate"}
    for command, rest in commands:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
        options = set(re.findall(r"--[a-z][a-z-]*(?![a-z.-])", rest))
        assert options <= set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        for page in re.findall(r"configs/\S+\.py", rest):
            assert (COLABS.parent / page).is_file()


@pytest.fixture
def installed():
    if not shutil.which("ranet", path=sysconfig.get_path("scripts")):
        pytest.skip("needs the package installed, with its command `ranet`: make test does that")


@pytest.fixture(scope="module")
def small_checkpoint(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small"
    checkpoint.save(path, *small(), trained=True)
    return str(path)


@pytest.mark.slow
def test_segment_video(small_checkpoint, tmp_path):
    settings = {"CHECKPOINT": small_checkpoint, "SIZE": (64, 96), "CLIP": {**SMALL, "objects": 2}}
    notebook = execute("segment_video", tmp_path, settings)
    check_outputs(notebook)
    out, stems = tmp_path / "colabs" / "segmented", [f"{index:05d}" for index in range(4)]
    masks = [read_mask(out / f"{stem}.png") for stem in stems]
    np.testing.assert_array_equal(masks[0], render_clip(**SMALL, objects=2).labels[0])
    model, params = ranet_jax.load(small_checkpoint)
    video = ranet_jax.Segmenter(model, params, size=(64, 96))
    frames = [frame for _, frame in open_video(tmp_path / "colabs" / "demo-clip")]
    video.init(frames[0], masks[0])
    for frame, mask in zip(frames[1:], masks[1:], strict=True):
        np.testing.assert_array_equal(video.step(frame), mask)
    with zipfile.ZipFile(tmp_path / "colabs" / "masks.zip") as archive:
        assert {f"{stem}.png" for stem in stems} <= set(archive.namelist())
    assert len(list(open_video(out / "overlay.mp4"))) == 4
    html = [
        o.data["text/html"]
        for c in code(notebook)
        for o in c.outputs
        if "text/html" in o.get("data", {})
    ]
    assert any("<video" in text and "data:video/mp4;base64," in text for text in html)
    assert any(
        "application/vnd.jupyter.widget-view+json" in o.get("data", {})
        for c in code(notebook)
        for o in c.outputs
    )
    assert "untrained" not in shown_text(notebook)


@pytest.mark.slow
def test_train(installed, tmp_path):
    settings = {"STEPS": 2, "BATCH": 2, "HEIGHT": 64, "WIDTH": 96, "CLIP": SMALL}
    notebook = execute("train", tmp_path, settings)
    check_outputs(notebook)
    run = tmp_path / "colabs" / "runs" / "tiny"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if "loss" in r] == [1, 2]
    assert [r["step"] for r in records if "held_out/J" in r] == [0, 1, 2]
    assert checkpoint.read_settings(run)["size"] == [64, 96]
    with Image.open(run / "live.png") as curve:
        assert curve.width > 500
    masks = sorted((tmp_path / "colabs" / "segmented").glob("*.png"))
    assert [path.stem for path in masks] == ["00000", "00001", "00002", "00003"]


@pytest.mark.slow
def test_ablations(installed, small_checkpoint, tmp_path):
    settings = {"CHECKPOINT": small_checkpoint, "SIZE": (64, 96), "CLIP": SMALL, "STEPS": 1}
    settings |= {"HEIGHT": 64, "WIDTH": 96, "VARIANTS": ("full", "no_correlation")}
    notebook = execute("ablations", tmp_path, settings)
    check_outputs(notebook)
    work = tmp_path / "colabs"
    percent = {}
    for variant, correlation in (("full", True), ("no_correlation", False)):
        trained = checkpoint.read_settings(work / "runs" / f"video_{variant}")
        assert trained["model"]["correlation"] is correlation
        assert (trained["stage"], trained["init_from"]) == ("video", f"runs/static_{variant}")
        results = json.loads((work / "results" / variant / "results.json").read_text())
        assert results["sequences"] == ["mirrored"]
        percent[variant] = f"**{100 * results['global']['J-Mean']:.1f}**"
    (row,) = [
        line
        for line in shown_text(notebook).splitlines()
        if line.startswith("| **ours (rendered)** | ") and line.count("** |") > 2
    ]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == [percent["full"], percent["no_correlation"]]
    for picture in ("similarity.png", "ranking.png"):
        with Image.open(work / picture) as image:
            assert image.width > 1000


@pytest.mark.slow
def test_convert(tmp_path):
    settings = {"SIZE": (64, 96), "CLIP": {**SMALL, "frames": 3}}
    notebook = execute("convert", tmp_path, settings)
    check_outputs(notebook)
    state = read_state_dict(tmp_path / "colabs" / "random-resnet50.npz")
    model, params = ranet_jax.load(tmp_path / "colabs" / "converted")
    assert (
        model.depth == 50 and published_name("backbone/conv1/kernel") == "base_model.conv1.weight"
    )
    kernel = np.asarray(params["backbone"]["conv1"]["kernel"]).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(kernel, state["conv1.weight"])
    text = shown_text(notebook)
    assert f"{len(state)} arrays compared, largest difference 0.0" in text
    assert re.search(r"MatchingSegmenter: mean J [01]\.\d{3} over 2 frames", text)
