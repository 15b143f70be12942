"""What the text of a compiled program says of each of its instructions.

XLA's compiler for TPUs writes its own estimate of the cycles into every fusion. The text is not a
stable interface: what is not understood counts nothing.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_HEADER = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = ")
_ARRAY = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([\d,]*)((?::[^}]*)?)\})?")
_TILE = re.compile(r":T\(([\d,]+)\)")
_CYCLES = re.compile(r'"estimated_cycles":"?(\d+)')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CONDITION = re.compile(r"condition=%?([\w.-]+)")
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_CALLED = re.compile(r"(?:calls|body|to_apply|branch_computations)=(?:\{([^}]*)\}|%?([\w.-]+))")
# These name memory that is there already.
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"}
_SLICES = {"dynamic-slice", "slice"}
_COLLECTIVES = {"all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"}


class Instruction(NamedTuple):
    """One line of a computation.

    Attributes:
        name: in the text.
        opcode: what it does.
        shape: type and layout of its result.
        operands: their names; of a parameter its number, of a constant its value.
        attributes: whatever follows the operands.
        own: whether it has an operation's name, and not that of what reads it.
    """

    name: str
    opcode: str
    shape: str
    operands: tuple[str, ...]
    attributes: str
    own: bool = True

    @property
    def op_name(self) -> str:
        """Where in the traced function it comes from, or nothing."""
        found = _OP_NAME.search(self.attributes)
        return found[1] if found else ""

    @property
    def called(self) -> list[str]:
        """Names of the computations that it runs."""
        found = _CALLED.findall(self.attributes)
        return [part.strip(" %") for many, one in found for part in (many or one).split(",")]


class Cost(NamedTuple):
    """What one instruction costs, all its repetitions together.

    Attributes:
        instruction: as in the text.
        cycles: the compiler's estimate.
        moved: bytes read from and written to the chip's memory, with the padding of their layout.
        written: bytes of its results there, once.
        sent: bytes that are shared with other devices.
        times: how often it runs.
    """

    instruction: Instruction
    cycles: int
    moved: int
    written: int
    sent: int
    times: int


class Program(NamedTuple):
    """A compiled program: its computations by name, and the name of the first one."""

    computations: Mapping[str, Sequence[Instruction]]
    entry: str


def read_program(text: str) -> Program:
    """Reads what `Compiled.as_text` gives."""
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", []
    for line in text.splitlines():
        if found := _HEADER.match(line):
            current = computations.setdefault(found[2], [])
            entry = found[2] if found[1] else entry
        elif found := _INSTRUCTION.match(line):
            current.append(_instruction(found[1], line[found.end() :]))
    return Program(computations, entry)


def _instruction(name: str, text: str) -> Instruction:
    """What follows the equals sign: a type, an operation, its operands and attributes."""
    shape_end = _closing(text, 0) + 1 if text[0] == "(" else text.index(" ")
    opcode, _, rest = text[shape_end:].strip().partition("(")
    end = _closing("(" + rest, 0) - 1
    operands = re.findall(r"%([\w.-]+)", rest[:end])
    if opcode in ("parameter", "constant"):
        operands = [rest[:end]]  # its number, its value
    return Instruction(name, opcode, text[:shape_end], tuple(operands), rest[end + 1 :])


def _closing(text: str, start: int) -> int:
    """Place of the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text) - 1


def costs(program: Program) -> Iterator[Cost]:
    """Every instruction that is run, those of loops as often as they turn."""
    yield from _costs(program, program.entry, 1)


def _costs(program: Program, computation: str, times: int) -> Iterator[Cost]:
    instructions = _named(program.computations.get(computation, ()))
    shapes = {each.name: each.shape for each in instructions}
    for each in instructions:
        if each.opcode == "while":
            for called in each.called:
                yield from _costs(program, called, times * _turns(program, each))
        elif each.opcode in ("call", "async-start"):
            for called in each.called:
                yield from _costs(program, called, times)
        elif each.opcode == "conditional":
            branches = [list(_costs(program, called, times)) for called in each.called]
            yield from max(branches, key=lambda costs: sum(c.cycles for c in costs), default=[])
        elif each.opcode not in _FREE:
            cycles = _CYCLES.search(each.attributes)
            moved = 0 if each.opcode.endswith("-done") else _moved(program, each, shapes)
            collective = each.opcode.removesuffix("-start") in _COLLECTIVES
            yield Cost(
                each,
                times * int(cycles[1] if cycles else 0),
                times * moved,
                padded_bytes(each.shape),
                times * array_bytes(each.shape) * collective,
                times,
            )


def _named(instructions: Sequence[Instruction]) -> list[Instruction]:
    """What has no name gets that of the first instruction that reads it.

    The compiler names no copies that it makes for what comes next.
    """
    users: dict[str, str] = {}
    named = []
    for each in reversed(instructions):
        op_name = each.op_name or users.get(each.name, "")
        if not each.op_name and op_name:
            each = each._replace(attributes=f'{each.attributes}, op_name="{op_name}"', own=False)
        for operand in each.operands:
            users[operand] = op_name
        named.append(each)
    return named[::-1]


def _turns(program: Program, loop: Instruction) -> int:
    """How often a loop turns: as its condition compares with; 1 where that is not known."""
    if found := _TRIPS.search(loop.attributes):
        return int(found[1])
    condition = _CONDITION.search(loop.attributes)
    inside = program.computations.get(condition[1] if condition else "", ())
    bounds = [i.operands[0] for i in inside if i.opcode == "constant" and i.shape.startswith("s32")]
    return int(bounds[0]) if len(bounds) == 1 else 1


def _moved(program: Program, instruction: Instruction, shapes: Mapping[str, str]) -> int:
    """Bytes of operands and results; of what is only sliced, the slices."""
    result = instruction.shape
    if instruction.opcode == "copy-start":  # a tuple that names the source, too
        result = result[1 : result.index("}") + 1]
    operands = [shapes.get(name, "") for name in instruction.operands]
    whole = [padded_bytes(shape) for shape in operands]
    if instruction.opcode in _SLICES:
        return 2 * padded_bytes(instruction.shape)
    if instruction.opcode == "fusion":
        inside = program.computations.get(next(iter(instruction.called), ""), ())
        whole = [_read(inside, place, size) for place, size in enumerate(whole)]
    return sum(whole) + padded_bytes(result)


def _read(inside: Sequence[Instruction], place: int, size: int) -> int:
    """How much of its operand number `place` a fusion reads."""
    names = [i.name for i in inside if (i.opcode, i.operands) == ("parameter", (str(place),))]
    users = [i for i in inside if names and names[0] in i.operands]
    if users and all(user.opcode in _SLICES for user in users):
        return min(size, sum(padded_bytes(user.shape) for user in users))
    return size


def array_bytes(shape: str) -> int:
    """Bytes of all arrays of a type such as `(f32[2,3]{1,0}, s32[])`, without padding."""
    return sum(
        math.prod(_sizes(found[2])) * _width(found[1]) // 8 for found in _ARRAY.finditer(shape)
    )


def padded_bytes(shape: str) -> int:
    """Bytes of all arrays of a type in the chip's main memory, with the padding of their tiles."""
    total = 0
    for kind, sizes, order, layout in _ARRAY.findall(shape):
        if "S(" in layout:  # kept in the fast memory beside the processor
            continue
        sizes = _sizes(sizes)
        tile = _TILE.search(layout)
        if tile:
            for axis, multiple in zip(_sizes(order), reversed(_sizes(tile[1])), strict=False):
                sizes[axis] = -(-sizes[axis] // multiple) * multiple
        total += math.prod(sizes) * _width(kind) // 8
    return total


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]


def _width(kind: str) -> int:
    """Bits of an element: `bf16`, `s32`, `pred`, `f8e4m3fn`; 0 for what holds nothing."""
    found = re.search(r"\d+", kind)
    return 8 if kind == "pred" else int(found[0]) if found else 0
