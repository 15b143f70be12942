"""Tables of results, and how they look as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ranet_jax.errors import one_line

Cell = float | str | None


@dataclass(frozen=True)
class Row:
    """A row: published, or ours."""

    label: str
    cells: tuple[Cell, ...]
    ours: bool = False


@dataclass(frozen=True)
class Table:
    """One of the paper's tables, or one of ours, without a number.

    `columns` are those after the label.
    """

    number: int | None
    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())

    @property
    def title(self) -> str:
        """Number and caption."""
        return self.caption if self.number is None else f"Table {self.number}. {self.caption}"

    def column(self, name: str) -> list[Cell]:
        """The cells of a column, in the order of the rows."""
        place = list(self.columns).index(name)
        return [row.cells[place] for row in self.rows]

    def markdown(self) -> str:
        """Heading, table and notes."""
        lines = [
            f"## {_escape(self.title)}",
            "",
            _line(["", *self.columns]),
            _line([":--", *["--:"] * len(self.columns)]),
        ]
        for row in self.rows:
            texts = [_escape(row.label)]
            texts += [_text(cell, name) for cell, name in zip(row.cells, self.columns, strict=True)]
            lines.append(_line([f"**{text}**" if row.ours and text else text for text in texts]))
        for note in self.notes:
            lines += ["", _escape(note)]
        return "\n".join(lines)


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _text(cell: Cell, column: str) -> str:
    if cell is None or isinstance(cell, str):
        return cell or ""
    if "(ms)" in column:
        return f"{cell:.0f}"
    return f"{cell:.3g}" if "(s " in column else f"{cell:.1f}"


def _escape(text: str) -> str:
    text = one_line(text)
    for sign in "\\|*_`<[":
        text = text.replace(sign, f"\\{sign}")
    return text
