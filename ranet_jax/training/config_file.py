"""Reads a config: a Python file whose `get_config()` returns all settings of a run.

`FILE.py:VARIANT` hands a variant to `get_config`; a config that has variants lists them in
`VARIANTS`. Those of this package are found by name as well: `davis2016`, `ablation:full`. A config
may import its neighbours (`import paper`), wherever it is read from. Values are overridden as
`--config.key=value`, typed as the config's value is.
"""

import difflib
import importlib
import inspect
import os
import re
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from ranet_jax.errors import MAX_NAMES, InputError, did_you_mean, listed

# In a checkout a link to the folder `configs` at its top; a wheel holds the files.
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
_OVERRIDE = re.compile(r"--config\.([^=]*)=")
_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a list such as \"('a', 'b')\"",
}


def read(config: str | Path, overrides: Sequence[str] = ()) -> ConfigDict:
    """The settings of a config file, overridden; keys are fixed from here on.

    Args:
        config: `FILE.py` or the name of a config of this package, either with `:VARIANT`.
        overrides: `--config.key=value` each, as on the command line.

    Raises:
        InputError: there is no such config, variant or key, the file fails, or a value has the
            wrong type.
    """
    path, variant = _split(str(config))
    settings = _run(path, variant)
    if isinstance(settings, dict):
        settings = ConfigDict(settings)
    if not isinstance(settings, ConfigDict):
        raise InputError(
            f"get_config in {path} returns {type(settings).__name__}: it has to return a "
            "ConfigDict or a dict."
        )
    return _override(settings, overrides)


def _split(config: str) -> tuple[Path, str | None]:
    """Path and variant. The colon counts after `.py` only: folders may have one in their names."""
    start, separator, variant = config.rpartition(".py:")
    path = Path(start + ".py" if separator else config)
    if path.is_file():
        return path, variant if separator else None
    name, colon, variant = config.partition(":")
    if name in shipped():
        return CONFIGS / f"{name}.py", variant if colon else None
    known = [str(file) for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
    if "/" not in config:
        known += shipped()
    hint = did_you_mean(str(path), known) if known else "check the path."
    raise InputError(f"There is no config file {path}: {hint}")


def shipped() -> list[str]:
    """The names of the configs of this package."""
    return sorted(file.stem for file in CONFIGS.glob("*.py"))


def _run(path: Path, variant: str | None) -> Any:
    """What `get_config` of the file returns."""
    with _neighbours(path.resolve().parent):
        try:
            module = runpy.run_path(str(path.resolve()))
            get_config = module.get("get_config")
            if get_config is None:
                raise InputError(f"{path} has no function get_config: it is no config file.")
            _check_variant(path, get_config, module.get("VARIANTS"), variant)
            return get_config() if variant is None else get_config(variant)
        except InputError:
            raise
        except Exception as error:  # a config is a program of the user's: it may raise anything
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise InputError(
                f"The config file {path} stops{_where(path, error)} with {type(error).__name__}: "
                f"{str(reason).rstrip('.')}."
            ) from error


def _check_variant(path: Path, get_config: Any, variants: Any, variant: str | None) -> None:
    parameters = list(inspect.signature(get_config).parameters.values())
    if variant is None:
        if parameters and parameters[0].default is inspect.Parameter.empty:
            hint = f": {', '.join(map(str, variants))}" if variants else ""
            raise InputError(f"{path} needs a variant, as {path}:VARIANT{hint}.")
    elif not parameters:
        raise InputError(f"{path} has no variants: leave out :{variant}.")
    elif variants and variant not in variants:
        raise InputError(f"{path} has no variant {variant!r}: {did_you_mean(variant, variants)}")


def _where(path: Path, error: Exception) -> str:
    """` in line N`, of the config itself rather than of what it calls."""
    if isinstance(error, SyntaxError):
        return f" in line {error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path.resolve()
    ]
    return f" in line {lines[-1]}" if lines else ""


@contextmanager
def _neighbours(folder: Path) -> Iterator[None]:
    """Lets a config import those beside it, and forgets them: another folder has others."""
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and os.path.dirname(file) == str(folder):
                del sys.modules[name]


def _override(settings: ConfigDict, overrides: Sequence[str]) -> ConfigDict:
    for override in overrides:
        found = _OVERRIDE.match(override)
        if not found:
            raise InputError(
                f"There is no option {override}: settings are overridden as --config.key=value."
            )
        _check_key(settings, found[1])
    # Of two for one key the last: absl would join their tuples.
    last = {_OVERRIDE.match(override)[1]: override for override in overrides}
    arguments = ["ranet", *last.values()]
    values = flags.FlagValues()  # the process's own flags stay out of it
    try:
        holder = config_flags.DEFINE_config_dict(
            "config", settings, flag_values=values, sys_argv=arguments
        )
        values(arguments)
    except (flags.Error, TypeError, ValueError) as error:
        raise InputError(_misfit(settings, overrides, error)) from None
    return holder.value


def _check_key(settings: ConfigDict, key: str) -> None:
    section: Any = settings
    walked: list[str] = []
    for part in key.split("."):
        if not isinstance(section, ConfigDict):
            raise InputError(f"{'.'.join(walked)} is a setting of the config, not a section.")
        if part not in section:
            raise InputError(f"The config has no setting {key!r}: {_key_hint(settings, key)}")
        section = section[part]
        walked.append(part)
    if isinstance(section, ConfigDict):
        names = ", ".join(f"{key}.{name}" for name in section)
        raise InputError(f"{key} is a section of the config: override one of {names}.")


def _key_hint(settings: ConfigDict, key: str) -> str:
    """Keys like this one in its own section, or else in any, or else all of the section."""
    known = _keys(settings)
    section, _, name = key.rpartition(".")
    own = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == section}
    near = [own[n] for n in difflib.get_close_matches(name, own)]
    near = near or difflib.get_close_matches(key, known, cutoff=0.7)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {listed(own.values() or settings, MAX_NAMES)}."


def _keys(settings: ConfigDict) -> list[str]:
    keys = []
    for name, value in settings.items():
        inner = [f"{name}.{key}" for key in _keys(value)] if isinstance(value, ConfigDict) else []
        keys += inner or [name]
    return keys


def _misfit(settings: ConfigDict, overrides: Sequence[str], error: Exception) -> str:
    """Which override does not fit; absl's own message says why, where none can be made out."""
    for override in overrides:
        key = _OVERRIDE.match(override)[1]
        if f"--config.{key}=" in str(error):
            value = settings
            for part in key.split("."):
                value = value[part]
            wanted = _TYPES.get(type(value), "what the config file has there")
            return f"{override} does not fit: {key} is {wanted}, such as {value!r}."
    return f"The overrides {' '.join(overrides)} do not fit the config: {error}."
