"""Count of the floating-point operations of the matrix products in a program."""

import math
from collections.abc import Callable
from typing import Any

import jax


def matmul_flops(program: Callable[..., Any], *args: Any) -> int:
    """Count the operations of the matrix products in the trace of `program(*args)`.

    The body of a scan is counted once per iteration. The count is an upper bound, since the
    compiler may merge products that the trace repeats.
    """
    return _count(jax.make_jaxpr(program)(*args).jaxpr)


def _count(jaxpr: Any) -> int:
    """Count the operations of a jaxpr and of the jaxprs inside it."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            total += 2 * math.prod(out) * math.prod(left[axis] for axis in contracted)
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    total += times * _count(inner)
    return total
