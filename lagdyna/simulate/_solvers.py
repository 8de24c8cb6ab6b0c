import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import diffrax as dfx

from ._variational import VariationalMidpoint

SOLVERS: Mapping[str, Callable[[], dfx.AbstractSolver]] = MappingProxyType(
    {
        "euler": dfx.Euler,
        "heun": dfx.Heun,
        "midpoint": dfx.Midpoint,
        "ralston": dfx.Ralston,
        "bosh3": dfx.Bosh3,
        "tsit5": dfx.Tsit5,
        "dopri5": dfx.Dopri5,
        "dopri8": dfx.Dopri8,
        "semi_implicit_euler": dfx.SemiImplicitEuler,
        "variational_midpoint": VariationalMidpoint,
    }
)
"""Solvers by name. The default is `heun`."""


def get_solver(name: str) -> dfx.AbstractSolver:
    """Build the Diffrax solver with the given name.

    **Arguments:** `name`, a key of [`lagdyna.simulate.SOLVERS`][].

    **Raises:** `ValueError` for an unknown name. The message lists the nearest known names.
    """
    if name not in SOLVERS:
        near = difflib.get_close_matches(name, SOLVERS, n=3, cutoff=0.5)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        raise ValueError(
            f"`solver` was {name!r}, which is not a solver; {hint}all: {', '.join(SOLVERS)}"
        )
    return SOLVERS[name]()
