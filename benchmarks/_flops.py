"""Counting the floating-point operations of the matrix products in a program."""

import math
from collections.abc import Callable
from typing import Any

import jax


def matmul_flops(program: Callable[..., Any], *args: Any) -> int:
    """Operations in the matrix products that `program(*args)` is traced to.

    The body of a scan counts as often as it runs. The compiler may share products that
    the trace repeats, so this bounds the work from above.
    """
    return _count(jax.make_jaxpr(program)(*args).jaxpr)


def _count(jaxpr: Any) -> int:
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
