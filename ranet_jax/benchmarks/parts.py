"""Parts of the network by the names that JAX gives its operations, and what each must compute."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jax.extend import core

MODULES = (
    "backbone",
    "matching_features",
    "ranking_network",
    "merge",
    "lateral_connections",
    "pyramid",
)
# Their submodules that are told apart.
_DIVIDED = re.compile(r"(stage|level)\d+")
OUTSIDE = "around the network"
_WRAPPED = re.compile(r"\w+\((.*)\)")  # jit(f), jvp(f), transpose(jvp(f))


class Operation(NamedTuple):
    """Operations of one kind in one place of a traced function, repetitions together.

    Attributes:
        name: as in the compiled program.
        flops: of convolutions and other products; two for each multiplication and addition.
        moved: bytes of all operands and results, as if every operation stood alone.
    """

    name: str
    flops: int
    moved: int


def part_of(op_name: str) -> str:
    """Which part of the network an operation such as `jit(f)/RANet/backbone/conv1/add` is in."""
    names = [_unwrapped(name) for name in op_name.split("/")]
    for module in MODULES:
        if module in names:
            # Methods of a module stand between its name and those of its submodules.
            inside = filter(None, map(_DIVIDED.match, names[names.index(module) :]))
            section = next(inside, None)
            if section:
                return f"{module} {section[0]}"
            return f"{module} stem" if module == "backbone" else module
    if any(name.split(".")[0] == "RANet" for name in names):
        return "correlation and ranking"
    return OUTSIDE


def _unwrapped(name: str) -> str:
    while found := _WRAPPED.fullmatch(name):
        name = found[1]
    return name


def operations(jaxpr: core.Jaxpr, prefix: str = "", times: int = 1) -> Iterator[Operation]:
    """Everything that a traced function computes, loops as often as they turn.

    Args:
        jaxpr: of the function.
        prefix: of the names.
        times: how often it runs.
    """
    for equation in jaxpr.eqns:
        name = "/".join(filter(None, (prefix, str(equation.source_info.name_stack))))
        inner = [(each, 1) for each in _jaxprs(equation.params)]
        if equation.primitive.name == "scan":
            inner = [(each, equation.params["length"]) for each, _ in inner]
        if equation.params.get("branches_platforms"):
            inner = inner[-1:]  # of what is written for several platforms, the plain function
        for each, repeated in inner:
            yield from operations(each, name, times * repeated)
        if not inner:
            arrays = [v.aval for v in (*equation.invars, *equation.outvars)]
            moved = sum(a.size * a.dtype.itemsize for a in arrays if hasattr(a, "dtype"))
            yield Operation(name, times * _flops(equation), times * moved)


def _jaxprs(parameters: dict[str, Any]) -> Iterator[core.Jaxpr]:
    for value in parameters.values():
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(each, core.ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, core.Jaxpr):
                yield each


def _flops(equation: core.JaxprEqn) -> int:
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return 2 * equation.outvars[0].aval.size * math.prod(left[axis] for axis in contracted)
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.invars[1].aval
        features = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
        # The zeros between dilated inputs, as in gradients of strided convolutions, cost nothing.
        spread = math.prod(equation.params["lhs_dilation"])
        return 2 * equation.outvars[0].aval.size * (kernel.size // features) // spread
    return 0
