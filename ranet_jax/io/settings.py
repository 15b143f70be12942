"""Settings as frozen dataclasses: each field says once what it may be and what it means.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class LogConfig(Settings, section="log"):
        every: int = whole(1, 10**6, "steps between two lines of the log")

`LogConfig(every=0)` and `LogConfig.read({"every": 0})` refuse the value with one sentence; `read`
also refuses a mapping that has unknown keys or lacks some.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

from ranet_jax.errors import InputError, did_you_mean

_MAX_SHOWN = 80  # characters of a value that is refused


class Settings:
    """Base of the dataclasses: checks every field by its rule, and reads mappings."""

    _section: ClassVar[str] = ""

    def __init_subclass__(cls, section: str = "", **arguments: Any) -> None:
        """Names the section of the config that the class describes, for the messages."""
        super().__init_subclass__(**arguments)
        cls._section = section

    def __post_init__(self) -> None:
        """Refuses values out of range with an InputError that says what is in range."""
        for field in dataclasses.fields(self):
            rule, value = field.metadata, getattr(self, field.name)
            if rule and not rule["accepts"](value):
                raise InputError(
                    f"{self._key(field.name)} is {shown(value)}: it has to be {rule['wanted']}."
                )
        self.check_together()

    def check_together(self) -> None:
        """Refuses values that do not go together; for subclasses.

        Raises:
            InputError: see above.
        """

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The settings in a mapping, with a mapping inside for every section.

        Raises:
            InputError: a key is unknown or missing, a section is none, or a value is refused.
        """
        if not hasattr(values, "items"):
            raise InputError(
                f"{cls._section} is {shown(values)}: it has to be a section of settings."
            )
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in fields:
                raise InputError(
                    f"There is no setting {cls._key(name)}: {did_you_mean(str(name), fields)}"
                )
        if missing := [cls._key(name) for name in fields if name not in values]:
            raise InputError(
                f"The config lacks {', '.join(missing)}: configs/paper.py has every one."
            )
        return cls(**{name: _value(field, values[name]) for name, field in fields.items()})

    @classmethod
    def describe(cls) -> Iterator[tuple[str, str, str]]:
        """Key, range and meaning of every setting."""
        for field in dataclasses.fields(cls):
            if is_section(field):
                yield from field.type.describe()
            else:
                yield cls._key(field.name), field.metadata["wanted"], field.metadata["help"]

    def flat(self) -> Iterator[tuple[str, Any]]:
        """Key and value of every setting."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            yield from value.flat() if is_section(field) else [(self._key(field.name), value)]

    @classmethod
    def _key(cls, name: str) -> str:
        return f"{cls._section}.{name}" if cls._section else name


def setting(
    accepts: Callable[[Any], bool], wanted: str, meaning: str, default: Any = dataclasses.MISSING
) -> Any:
    """A field of `Settings`.

    Args:
        accepts: whether a value will do.
        wanted: the same in words, for "It has to be ...".
        meaning: of the setting.
        default: for a dataclass that is built without this field; `read` wants every field.
    """
    metadata = {"accepts": accepts, "wanted": wanted, "help": meaning}
    return dataclasses.field(default=default, metadata=metadata)


def whole(low: int, high: int, meaning: str, *, multiple_of: int = 1, **default: Any) -> Any:
    """A field for a whole number from `low` to `high`."""

    def accepts(value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and low <= value <= high and value % multiple_of == 0

    kind = "a whole number" if multiple_of == 1 else f"a multiple of {multiple_of}"
    return setting(accepts, f"{kind} from {low} to {high}", meaning, **default)


def number(
    low: float,
    high: float,
    meaning: str,
    *,
    above_low: bool = False,
    below_high: bool = False,
    **default: Any,
) -> Any:
    """A field for a number from `low` to `high`, or strictly above or below these."""

    def accepts(value: Any) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        above = value > low if above_low else value >= low
        below = value < high if below_high else value <= high
        # In this order: a whole number may be too large to be made a float.
        return above and below and math.isfinite(value)

    start = f"above {low:g}" if above_low else f"of {low:g} or more"
    end = f"{'below' if below_high else 'at most'} {high:g}"
    return setting(accepts, f"a number {start} and {end}", meaning, **default)


def choice(choices: tuple, meaning: str, **default: Any) -> Any:
    """A field for one of some values."""
    # True and 1.0 equal 1, which is a choice of some settings.
    return setting(
        lambda value: any(type(value) is type(one) and value == one for one in choices),
        f"one of {', '.join(map(str, choices))}",
        meaning,
        **default,
    )


def flag(meaning: str, **default: Any) -> Any:
    """A field for True or False."""
    return setting(lambda value: isinstance(value, bool), "True or False", meaning, **default)


def text(meaning: str, *, empty: bool = False, **default: Any) -> Any:
    """A field for text, which may be empty where that is said."""
    return setting(
        lambda value: isinstance(value, str) and (empty or bool(value.strip())),
        "text" if empty else "text, and not empty",
        meaning,
        **default,
    )


def names(meaning: str, **default: Any) -> Any:
    """A field for a tuple of names."""
    return setting(
        lambda value: isinstance(value, tuple) and all(isinstance(name, str) for name in value),
        "names such as ('bus', 'elephant')",
        meaning,
        **default,
    )


def is_section(field: dataclasses.Field) -> bool:
    """Whether a field is a section of settings."""
    return isinstance(field.type, type) and issubclass(field.type, Settings)


def _value(field: dataclasses.Field, value: Any) -> Any:
    return field.type.read(value) if is_section(field) else frozen(value)


def frozen(value: Any) -> Any:
    """The value with tuples for lists."""
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def shown(value: Any) -> str:
    """The value in a message."""
    try:
        return cut(ascii(value) if isinstance(value, str) else repr(value))
    except ValueError:  # a whole number of more digits than Python prints
        return "too large a number"


def cut(text: Any) -> str:
    """Text in a message: its first line, cut where it is long."""
    line = next(iter(str(text).splitlines()), "")
    return line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}..."
