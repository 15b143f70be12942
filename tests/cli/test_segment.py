"""`ranet convert` and `ranet segment` with a real, small network: nothing is faked."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ranet_jax.checkpoints import checkpoint, quantized
from ranet_jax.cli import main as cli
from ranet_jax.demo.clip import render_clip
from ranet_jax.io.masks import read_mask, write_mask
from ranet_jax.io.video_reader import open_video


@pytest.fixture(scope="module")
def work(tmp_path_factory, small):
    """A clip of two objects, its first mask, and a checkpoint."""
    folder = tmp_path_factory.mktemp("work")
    clip = render_clip(4, 96, 170, objects=2)
    (folder / "frames").mkdir()
    for index, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(folder / "frames" / f"{index:05d}.jpg")
    write_mask(folder / "mask.png", clip.labels[0])
    checkpoint.save(folder / "checkpoint", *small(mode="multi"), trained=True)
    return folder


def segment(work, out, *more, mask=None, source=None, weights=None) -> int:
    size = () if weights else ("--size", "96x160")
    return cli.main(
        [
            *("segment", str(source or work / "frames"), "--mask", str(mask or work / "mask.png")),
            *("--out", str(out), "--checkpoint", str(weights or work / "checkpoint"), *size, *more),
        ]
    )


def refused(capsys, status: int, sentence: str) -> None:
    assert status == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if "ranet: error" in x]
    assert len(lines) == 1 and re.search(sentence, lines[0]), lines


def test_a_folder_of_frames(work, tmp_path):
    assert segment(work, tmp_path / "out", "--overlay", "--probabilities") == 0
    first = read_mask(work / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "out" / "00000.png"), first)
    for index in range(1, 4):
        labels = read_mask(tmp_path / "out" / f"{index:05d}.png")
        assert labels.shape == first.shape and set(np.unique(labels)) <= {0, 1, 2}
    assert len(list(open_video(tmp_path / "out" / "overlay.mp4"))) == 4
    assert (tmp_path / "out" / "probabilities" / "2" / "00003.png").exists()


def test_the_code_of_the_readme_gives_what_the_command_gives(work, small, tmp_path):
    """With a network whose size, frames and memory are not the defaults; bit for bit."""
    model, params = small(memory=1)
    weights = tmp_path / "trained.npz"
    settings = {"model": checkpoint.settings_of(model), "trained": True}
    quantized.save(weights, settings | {"size": (64, 96), "frame_scale": 2}, params)
    assert segment(work, tmp_path / "out", weights=weights) == 0

    readme = Path(__file__).resolve().parents[2].joinpath("README.md").read_text(encoding="utf-8")
    code, *_ = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    # The frames one by one, to see the labels of each.
    before, loop, _ = re.split(r"(?=for frame in frames:|video\.add_object)", code)
    names, frames = zip(*open_video(work / "frames"), strict=True)
    given = {"first_frame": frames[0], "mask": read_mask(work / "mask.png")}
    exec(before.replace('"default"', repr(str(weights))), given)
    for name, frame in zip(names[1:], frames[1:], strict=True):
        exec(loop, given | {"frames": [frame]}, seen := {})
        np.testing.assert_array_equal(read_mask(tmp_path / "out" / f"{name}.png"), seen["labels"])


def test_a_video_file_gives_what_its_frames_give_in_bfloat16(work, tmp_path):
    """The overlay of one run serves as the video of the next."""
    assert segment(work, tmp_path / "first", "--overlay") == 0
    video = tmp_path / "first" / "overlay.mp4"
    assert segment(work, tmp_path / "out", "--precision", "bfloat16", source=video) == 0
    assert sorted(os.listdir(tmp_path / "out")) == [f"{i:05d}.png" for i in range(4)]


def test_checkpoint_of_another_configuration(work, tmp_path, capsys, small):
    checkpoint.save(tmp_path / "other", *small(correlation=False), trained=True)
    shutil.copytree(work / "checkpoint", tmp_path / "mixed")
    shutil.rmtree(tmp_path / "mixed" / "params")
    shutil.copytree(tmp_path / "other" / "params", tmp_path / "mixed" / "params")
    status = segment(work, tmp_path / "out", weights=tmp_path / "mixed")
    refused(capsys, status, "another configuration of the network")


def test_mask_of_another_size(work, tmp_path, capsys):
    write_mask(tmp_path / "mask.png", read_mask(work / "mask.png")[:-1])
    status = segment(work, tmp_path / "out", mask=tmp_path / "mask.png")
    refused(capsys, status, "170x95 .* 170x96")


def run(work, out, *arguments) -> int:
    """With the masks that the arguments give."""
    more = ("--out", str(out), "--checkpoint", str(work / "checkpoint"))
    return cli.main(["segment", "--size", "96x160", *map(str, arguments), *more])


def test_masks_at_any_frame(work, tmp_path):
    """The second frame starts; the last one's mask is a correction, so it is what is written."""
    masks, frames = tmp_path / "masks", work / "frames"
    masks.mkdir()
    labels = read_mask(work / "mask.png")
    write_mask(masks / "00001.png", labels)
    write_mask(masks / "00003.png", np.where(labels == 2, 2, 0))
    assert run(work, tmp_path / "out", frames, "--masks", masks, "--rgba", "--coco-rle") == 0
    written = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert written == ["00001.png", "00002.png", "00003.png"]
    corrected = read_mask(tmp_path / "out" / "00003.png")
    np.testing.assert_array_equal(corrected == 2, labels == 2)
    with Image.open(tmp_path / "out" / "rgba" / "00001.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[..., 3] == 255, labels > 0)
    assert (tmp_path / "out" / "coco.json").is_file()
    assert run(work, tmp_path / "all", frames, "--masks", masks, "--reverse") == 0
    assert len(os.listdir(tmp_path / "all")) == 4
    removal = ("--remove", "1@00002")
    assert run(work, tmp_path / "less", frames, "--masks", masks, *removal) == 0
    assert set(np.unique(read_mask(tmp_path / "less" / "00003.png"))) <= {0, 2}


def test_frames_that_a_shell_has_listed(work, tmp_path, capsys):
    files = sorted((work / "frames").iterdir())
    status = run(work, tmp_path / "out", *files, "--mask", work / "mask.png")
    refused(capsys, status, f"4 inputs .*, or the folder of the frames: {work / 'frames'}\\.$")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "no mask to start from: give --mask FIRST.png.* --masks FOLDER; `ranet web`"),
        (("--mask", "{}/mask.png", "--masks", "{}"), "both given"),
        (("--masks", "{}/frames"), "holds no masks"),
        (("--masks", "{}/missing"), "There is no folder .*missing"),
        (("--masks", "{}"), "No frame of .* is named as the mask mask: they are 00000 to 00003"),
        (("--mask", "{}/mask.png", "--fps", "9"), "changes nothing without --overlay"),
        (("--mask", "{}/mask.png", "--remove", "9@00001"), "Object id 9 is not followed"),
    ],
)
def test_masks_that_cannot_be(work, tmp_path, capsys, arguments, sentence):
    arguments = [argument.format(work) for argument in arguments]
    refused(capsys, run(work, tmp_path / "out", work / "frames", *arguments), sentence)


@pytest.mark.parametrize(
    "arguments", [("--fps", "0"), ("--fps", "fast"), ("--remove", "2"), ("--remove", "a@1")]
)
def test_arguments_that_cannot_be(work, tmp_path, arguments):
    with pytest.raises(SystemExit) as ended:
        run(work, tmp_path / "out", work / "frames", "--mask", work / "mask.png", *arguments)
    assert ended.value.code == 2


def test_truncated_frame_leaves_whole_results_before_it(work, tmp_path, capsys):
    shutil.copytree(work / "frames", tmp_path / "frames")
    bad = tmp_path / "frames" / "00002.jpg"
    bad.write_bytes(bad.read_bytes()[:500])
    status = segment(work, tmp_path / "out", source=tmp_path / "frames")
    refused(capsys, status, "00002.jpg cannot be read")
    for path in (tmp_path / "out").iterdir():
        assert read_mask(path).shape == (96, 170)


def test_video_without_frames(work, tmp_path, capsys):
    (tmp_path / "empty.mp4").write_bytes(b"")
    refused(capsys, segment(work, tmp_path / "out", source=tmp_path / "empty.mp4"), "empty.mp4")


def test_convert_then_refuse_what_is_not_a_network(tmp_path, capsys):
    np.savez(tmp_path / "weights.npz", surprise=np.zeros(3))
    status = cli.main(["convert", str(tmp_path / "weights.npz"), str(tmp_path / "out")])
    refused(capsys, status, "unknown: surprise; missing: ")
    assert not (tmp_path / "out").exists()
