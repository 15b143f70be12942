"""TFDS builders of the sets that the paper trains and tests on, one package each."""

import importlib
from pathlib import Path

import tensorflow_datasets as tfds

from ranet_jax.errors import InputError
from ranet_jax.io.settings import cut

NAMES = ("davis", "ecssd", "hku_is", "ilso", "msra10k", "soc")


def builder(name: str, data_dir: str | Path) -> tfds.core.DatasetBuilder:
    """A builder that writes, and reads, `array_record` files, which needs no TensorFlow.

    Args:
        name: one of `NAMES`, `davis/2016` or `davis/2017` with its year.
        data_dir: the folder that built sets are kept in.

    Raises:
        InputError: there is no such set, or what was built of it is damaged.
    """
    package, _, config = name.partition("/")
    if package not in NAMES:
        raise InputError(f"There is no dataset {name}: choose one of {', '.join(NAMES)}.")
    cls = importlib.import_module(f"data_pipelines.builders.{package}.builder").Builder
    configs = list(cls.builder_configs)
    if configs and config not in configs:
        raise InputError(
            f"Say which {package} is meant: {' or '.join(f'{package}/{c}' for c in configs)}."
        )
    if config and not configs:
        raise InputError(f"{package} has no variant {config}: write just {package}.")
    variant = {"config": config} if config else {}
    try:
        return cls(data_dir=str(data_dir), file_format="array_record", **variant)
    except Exception as error:  # TFDS reads what was built there, and raises what its parsers raise
        raise InputError(
            f"The set {name} in {data_dir} is damaged ({cut(error)}): remove its folder there and "
            "build it again with `ranet data build`."
        ) from error
