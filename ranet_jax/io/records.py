"""What this program wrote and reads again, as dataclasses that check every field.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Position(Record):
        next_batch: int = whole(0, 10**9, "number of the next batch")

Such a file may be damaged, or written by hand: `Position.parse(values, "state.json")` refuses what
does not fit with one sentence that names the file and the field. A field that is not known is left
out, so that files of later versions can be read, and one that is missing has its default.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from ranet_jax.errors import InputError
from ranet_jax.io.json_files import read_json
from ranet_jax.io.settings import Settings, frozen, is_section, setting, shown

MAX_LINE = 1000  # characters of a name


class Record(Settings):
    """Base of the dataclasses."""

    @classmethod
    def parse(cls, values: Any, source: str) -> Self:
        """The record in a mapping.

        Args:
            values: as JSON has them; a section that has a default may be None.
            source: what to call the file in an error.

        Raises:
            InputError: a field is missing, or has a value that is refused.
        """
        if not isinstance(values, Mapping):
            what = cls._section or "it"
            raise InputError(
                f"{source} is damaged or was edited: {what} is {shown(values)}, and has to be a "
                "section of named values."
            )
        given = {}
        for field in dataclasses.fields(cls):
            value = values.get(field.name)
            if is_section(field) and not (value is None and _has_default(field)):
                given[field.name] = field.type.parse(value, source)
            elif not is_section(field) and field.name in values:
                given[field.name] = frozen(value)
            elif not _has_default(field):
                raise InputError(
                    f"{source} is damaged or was edited: it lacks {cls._key(field.name)}."
                )
        try:
            return cls(**given)
        except InputError as error:
            raise InputError(f"{source} is damaged or was edited: {error}") from None

    @classmethod
    def read_file(cls, path: Path) -> Self | None:
        """The record in a JSON file; None where there is no such file.

        Raises:
            InputError: the file cannot be read, and as `parse`.
        """
        values = read_json(path)
        return None if values is None else cls.parse(values, str(path))


def line(meaning: str, **default: Any) -> Any:
    """A field for text of one line, which may be empty."""
    return setting(
        is_line, f"one line of at most {MAX_LINE} printable characters", meaning, **default
    )


def is_line(value: Any) -> bool:
    """Whether that is text that can be printed in one line."""
    return isinstance(value, str) and value.isprintable() and len(value) <= MAX_LINE


def or_none(field: Any) -> Any:
    """The same field, which may be None and is by default."""
    rule = field.metadata
    return setting(
        lambda value: value is None or rule["accepts"](value),
        f"{rule['wanted']}, or null",
        field.metadata["help"],
        default=None,
    )


def section(kind: type[Record]) -> Any:
    """A field for a section that may be missing, and has all its defaults then."""
    return dataclasses.field(default_factory=kind)


def items(accepts: Any, wanted: str, meaning: str, **default: Any) -> Any:
    """A field for a list of values, a tuple here, each of which `accepts` takes."""
    return setting(
        lambda value: isinstance(value, tuple) and all(map(accepts, value)),
        f"a list of {wanted}",
        meaning,
        **default,
    )


def _has_default(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing
