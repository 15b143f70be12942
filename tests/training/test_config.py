import jax
import numpy as np
import pytest

from data_pipelines import pipeline
from ranet_jax.checkpoints import checkpoint, quantized
from ranet_jax.errors import InputError
from ranet_jax.models.initialization import abstract_params, init_params
from ranet_jax.models.ranet import RANet
from ranet_jax.training import initialization
from ranet_jax.training.checks import check
from ranet_jax.training.initialization import checkpoint_settings


def initial_params(config):
    """The network of a config, and the parameters that a run starts from."""
    model = config.network()
    return model, initialization.initial_params(model, config.init_from, seed=config.seed)


def assert_equal(params, expected):
    """On the host: on the device every shape would be a program to compile."""
    jax.tree.map(np.testing.assert_array_equal, params, expected)


def test_a_config_that_fits_is_accepted(small_config):
    check(small_config())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.height=100", "data.height is 100: it has to be a multiple of 32"),
        ("data.width=0", "data.width is 0"),
        ("data.batch_size=-8", "data.batch_size is -8: it has to be a whole number from 1"),
        ("data.jitter=1", "data.jitter is 1.0: .* of 0 or more and below 1"),
        ("data.crops=box", "data.crops is 'box': it has to be one of object, frame"),
        ("data.sets=ecssd", "pairs of a dataset and a weight above 0"),
        ("data.sets=(('ecssd',0),)", "pairs of a dataset and a weight above 0"),
        ("data.sets=()", "pairs of a dataset and a weight above 0"),
        ("data.exclude=(1,)", "names such as"),
        ("steps=0", "steps is 0"),
        ("name= ", "text, and not empty"),
        ("precision=float16", "precision is 'float16': it has to be one of float32, bfloat16"),
        ("stage=1", "one of static, video"),
        ("model.depth=34", "model.depth is 34: it has to be one of 14, 26, 50, 101"),
        ("model.width=4", "model.width is 4"),
        ("model.ranking=best", "one of rank, none, max"),
        ("optimizer.schedule=linear", "one of constant, cosine"),
        ("optimizer.learning_rate=0", "a number above 0"),
        ("optimizer.learning_rate=nan", "learning_rate is nan"),
        ("optimizer.learning_rate=inf", "learning_rate is inf"),
        ("optimizer.clip_norm=-1", "a number of 0 or more"),
        ("optimizer.warmup_steps=60", "warmup_steps is 60, but there are only 60 steps"),
        ("optimizer.grad_accum_steps=3", "1 device and 3 microbatches: choose a multiple of 3"),
        ("augment.scale=(1.2,0.8)", "the smallest and the largest magnification"),
        ("augment.flip=2", "augment.flip is 2.0"),
        ("eval.every=-1", "eval.every is -1"),
        ("eval.dataset=davis", "one of davis2016, davis2017"),
        ("log.keep=0", "log.keep is 0"),
        ("online.iterations=-1", "online.iterations is -1"),
        (
            "model.mode=multi",
            "does not go with data.object_sampling=merged: use .*=multi",
        ),
        ("data.object_sampling=multi", "use data.object_sampling=merged or sampled"),
        ("data.slots=2", "data.slots is 2, but data.object_sampling=merged takes one slot"),
        ("seed=-1", "seed is -1: it has to be a whole number from 0 to 4294967295"),
        ("seed=4294967296", "seed is 4294967296"),
        ("model.width=1000000000000", "model.width is 1000000000000: .* from 8 to 1024"),
        ("data.height=1000000", "data.height is 1000000: it has to be a multiple of 32 from 32"),
    ],
)
def test_impossible_settings_get_one_sentence(small_config, override, message):
    with pytest.raises(InputError, match=message) as refusal:
        small_config(f"--config.{override}")
    assert "\n" not in str(refusal.value)


def test_several_slots_belong_to_a_multi_object_network(small_config):
    several = ("--config.model.mode=multi", "--config.data.object_sampling=multi")
    assert small_config(*several, "--config.data.slots=4").data.slots == 4
    with pytest.raises(InputError, match="data.slots is 255: .* from 1 to 254"):
        small_config(*several, "--config.data.slots=255")


def test_a_batch_is_shared_by_devices_and_microbatches(small_config):
    config = small_config("--config.data.batch_size=24", "--config.optimizer.grad_accum_steps=3")
    config.check_batch(devices=8, processes=2)
    with pytest.raises(
        InputError,
        match="24, which cannot be shared equally among 16 devices and 2 processes and 3 micro"
        ".*: choose a multiple of 48",
    ):
        config.check_batch(devices=16, processes=2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.root=/no/where"], r"DAVIS/JPEGImages is missing.*\{root\} is data.root=/no/where"),
        (["data.sets=(('videos=/no/where',1),)"], "no/where/JPEGImages is missing"),
        (["data.sets=(('coco',1),)"], "There is no dataset coco"),
        (["data.sets=(('ecssd',1),)", "data.data_dir=/no"], "run `ranet data build ecssd`"),
        (["data.exclude=()"], r"cow of eval are also trained on.*exclude=\"\('cow',\)\""),
        (["data.exclude=cwo"], "data.exclude names cwo.*did you mean cow"),
        (["data.exclude=('ant','bee','cow')"], "leaves no video"),
        (["eval.sequences=yak"], "no sequence yak.*eval.every=0"),
        (["eval.split=val"], "no list of the davis2016 val split.*eval.every=0"),
        (["eval.sequences=()"], "ant, bee of eval are also trained on"),
        (["stage=static"], "stage=static trains on static images, but .* has videos"),
        (["data.sets=(('images={root}/images,{root}/masks',1),)"], "stage=video needs videos"),
        (["init_from=/no/checkpoint"], "nothing at init_from=/no/checkpoint"),
        (["init_from=/no/resnet.npz"], "nothing at init_from=/no/resnet.npz"),
    ],
)
def test_what_is_missing_is_found_before_training(small_config, overrides, message):
    config = small_config(*(f"--config.{override}" for override in overrides))
    with pytest.raises(InputError, match=message) as refusal:
        check(config)
    assert "\n" not in str(refusal.value)


def test_nothing_held_out_needs_no_videos(small_config):
    config = small_config(
        "--config.stage=static",
        "--config.data.sets=(('images={root}/images,{root}/masks', 1.0),)",
        "--config.eval.every=0",
        "--config.eval.root=/no/where",
    )
    check(config)


def test_the_network_is_that_of_the_config(small_config):
    config = small_config("--config.model.ranking=max", "--config.model.previous_mask=false")
    assert config.network() == RANet(depth=14, width=8, ranking="max", previous_mask=False)
    config = small_config("--config.precision=bfloat16")
    assert config.network().dtype == jax.numpy.bfloat16


def test_a_loader_of_one_process_draws_its_share_without_the_held_out(small_config, monkeypatch):
    opened = []
    monkeypatch.setattr(
        pipeline, "Loader", lambda sources, settings, **more: opened.append((sources, more))
    )
    data = small_config().data
    pipeline.open_loader(data, seed=3, local_devices=2, process_index=1, process_count=2)
    ((source, weight),), more = opened[0]
    assert source.videos == ("ant", "bee") and weight == 1.0
    assert (more["batch_size"], more["local_devices"], more["seed"]) == (4, 2, 3)
    assert (more["process_index"], more["process_count"]) == (1, 2)


def test_batches_come_from_a_config(small_config):
    batch = next(pipeline.open_loader(small_config().data, seed=0))
    assert batch["image"].shape == (1, 8, 64, 96, 3)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A trained checkpoint of the small network, and its parameters."""
    path = tmp_path_factory.mktemp("earlier") / "checkpoint"
    model = RANet(depth=14, width=8)
    params = init_params(model, seed=7)
    checkpoint.save(path, model, params, trained=True)
    return path, params


def test_random_parameters_follow_from_the_seed(small_config):
    model, params = initial_params(small_config("--config.seed=5"))
    expected = init_params(model, 5)
    assert_equal(params, expected)
    assert checkpoint_settings(small_config())["init_from"] == "none"


def test_a_stage_starts_from_the_one_before(small_config, earlier):
    path, stored = earlier
    config = small_config(
        f"--config.init_from={path}",
        "--config.model.score_gradient=gate",
        "--config.model.aggregation=argmax",
    )
    check(config)
    model, params = initial_params(config)
    assert (model.score_gradient, model.aggregation) == ("gate", "argmax")
    assert_equal(params, stored)
    assert checkpoint_settings(config) == {
        "model": checkpoint.settings_of(model),
        "trained": True,
        "name": "tiny",
        "stage": "video",
        "init_from": str(path),
        "backbone": "",
        "online": {"iterations": 0},
        "size": [64, 96],
        "frame_scale": 1,
    }


def test_a_stage_starts_from_the_mean_of_several(small_config, earlier, tmp_path):
    path, stored = earlier
    model = small_config().network()
    other = init_params(model, seed=8)
    checkpoint.save(tmp_path / "with,comma", model, other, trained=True)
    alone = small_config(f"--config.init_from={tmp_path / 'with,comma'}")
    assert_equal(initial_params(alone)[1], other)
    (tmp_path / "with,comma").rename(tmp_path / "other")

    several = small_config(f"--config.init_from={path},{tmp_path / 'other'}")
    check(several)
    _, params = initial_params(several)
    assert_equal(params, jax.tree.map(lambda one, two: (one + two) / 2, stored, other))
    assert checkpoint_settings(several)["init_from"] == f"{path},{tmp_path / 'other'}"


def test_a_run_goes_on_from_a_packed_file(small_config, earlier, tmp_path):
    path, stored = earlier
    quantized.save(tmp_path / "small.npz", checkpoint.read_settings(path), stored)
    small = small_config(f"--config.init_from={tmp_path / 'small.npz'}")
    check(small)
    assert_equal(initial_params(small)[1], quantized.load(tmp_path / "small.npz")[1])
    assert checkpoint_settings(small)["backbone"] == ""

    sized = [f"--config.model.{name}" for name in ("width=64", "depth=50", "reduction_size=1")]
    shipped = small_config("--config.init_from=default", *sized)
    check(shipped)
    assert checkpoint_settings(shipped)["init_from"] == "default"
    with pytest.raises(InputError, match="model.depth is 14 here and 50 there"):
        check(small_config("--config.init_from=default"))


def test_a_mean_is_taken_of_trained_networks_of_one_kind(small_config, earlier, tmp_path):
    model = small_config().network()
    checkpoint.save(tmp_path / "untrained", model, init_params(model, 0), trained=False)
    another = RANet(**{**checkpoint.settings_of(model), "ranking": "max"})
    checkpoint.save(tmp_path / "another", another, init_params(another, 0), trained=True)
    for second, message in (
        (tmp_path / "untrained", "are not all trained networks"),
        (tmp_path / "another", "another is another network: model.ranking"),
        (tmp_path / "none", "There is nothing at init_from=.*none"),
    ):
        with pytest.raises(InputError, match=message):
            check(small_config(f"--config.init_from={earlier[0]},{second}"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("depth=26", "model.depth is 26 here and 14 there"),
        ("width=16", "model.width is 16 here and 8 there"),
        ("ranking=max", "model.ranking is 'max' here and 'rank' there"),
        ("correlation=false", "model.correlation is False here and True there"),
        ("previous_mask=false", "model.previous_mask is False here and True there"),
        ("reduction_size=1", "model.reduction_size is 1 here and 3 there"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(small_config, earlier, setting, message):
    config = small_config(f"--config.init_from={earlier[0]}", f"--config.model.{setting}")
    for refuse in (check, initial_params):
        with pytest.raises(InputError, match=message):
            refuse(config)


def test_single_and_multi_object_networks_are_not_mixed(small_config, earlier):
    config = small_config(
        f"--config.init_from={earlier[0]}",
        "--config.model.mode=multi",
        "--config.data.object_sampling=multi",
    )
    with pytest.raises(InputError, match="model.mode is 'multi' here and 'single' there"):
        check(config)


def test_a_folder_that_is_no_checkpoint_is_refused(small_config, data_root):
    with pytest.raises(InputError, match="is not a RANet checkpoint"):
        check(small_config(f"--config.init_from={data_root}"))


def test_of_an_untrained_checkpoint_the_backbone_counts_alone(small_config, tmp_path):
    model = RANet(depth=14, width=8, mode="multi", ranking="none")
    stored = init_params(model, seed=7)
    checkpoint.save(tmp_path / "resnet", model, stored, trained=False)
    config = small_config(f"--config.init_from={tmp_path / 'resnet'}")
    check(config)
    _, params = initial_params(config)
    assert_equal(params["backbone"], stored["backbone"])
    fresh = init_params(config.network(), 0)
    assert_equal(params["merge"], fresh["merge"])
    assert checkpoint_settings(config)["init_from"] == "none"
    assert checkpoint_settings(config)["backbone"] == str(tmp_path / "resnet")
    with pytest.raises(InputError, match="model.depth is 26 here"):
        check(small_config(f"--config.init_from={tmp_path / 'resnet'}", "--config.model.depth=26"))


def test_a_resnet_of_another_size_is_refused(small_config, tmp_path):
    (tmp_path / "resnet.npz").write_bytes(b"")
    given = f"--config.init_from={tmp_path / 'resnet.npz'}"
    with pytest.raises(InputError, match="width 64, but model.width is 8"):
        check(small_config(given))


def test_an_imagenet_backbone_is_what_the_fresh_reductions_are_made_for(small_config, weights_dir):
    path = weights_dir / "resnet50_imagenet.npz"
    resnet = [f"--config.init_from={path}", "--config.model.width=64"]
    config = small_config(*resnet, "--config.model.depth=50", "--config.model.ranking=max")
    check(config)
    model, params = initial_params(config)
    with np.load(path) as arrays:
        expected = arrays["conv1.weight"].astype(np.float32).transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(params["backbone"]["conv1"]["kernel"], expected)
    assert params.keys() == abstract_params(model).keys() and "ranking_network" not in params
    informed = init_params(model, config.seed, params["backbone"])["matching_features"]
    jax.tree.map(np.testing.assert_array_equal, params["matching_features"], informed)
    assert checkpoint_settings(config)["init_from"] == "none"
    deeper = small_config(*resnet, "--config.model.depth=101")
    for look in (check, initial_params):
        with pytest.raises(InputError, match="holds a ResNet-50, but model.depth is 101"):
            look(deeper)
