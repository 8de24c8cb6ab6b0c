"""Errors of solvers over one action, beside what they cost, in the suite's true equations.

    python benchmarks/solvers.py --out solvers.json

A learned model is solved through the same few steps in every imagined action, so its error is
that of the solver at best. Each solver starts from 4,096 states: positions and velocities are
uniform in the sampling range of the task, actions between their limits. The error is that of
the velocities after one action of 0.04 s, against 16 steps of the eighth order. The cost is the
number of evaluations of the accelerations. All is computed in float64.
"""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, write
from jaxtyping import Array, Float

from lagdyna.agents import uniform_states
from lagdyna.config import given
from lagdyna.mechanics import Limits, State
from lagdyna.simulate import LagrangianField, SolvedTransition, get_solver
from lagdyna.tasks import SUITE, Plant, suite_task

CASES = (
    *(("heun", steps) for steps in (1, 2, 4, 8)),
    *((name, steps) for name in ("bosh3", "tsit5") for steps in (1, 2)),
)
STATES = 4096


def evaluations(solver: dfx.AbstractSolver, steps: int) -> int:
    """Count the evaluations of the accelerations in a number of equal steps."""
    assert isinstance(solver, dfx.AbstractERK)
    assert isinstance(solver.tableau, dfx.ButcherTableau)
    # The last stage of some solvers is only the first of their next step.
    return steps * int(np.count_nonzero(np.asarray(solver.tableau.b_sol)))


def errors(name: str) -> list[Float[Array, " states"]]:
    """Compute the largest error of a velocity in each state, rad/s or m/s, for each case."""
    task, entry = suite_task(name), SUITE[name]
    spec, field = entry.spec, LagrangianField(task.system)
    box = given(Plant.of_task(spec).range)
    # Without the context, such as a target.
    limits = Limits(box.positions[: task.n], box.velocities[: task.n])
    state_key, action_key = jax.random.split(jax.random.key(0))
    states = uniform_states(state_key, STATES, limits)
    actions = jax.random.uniform(action_key, (STATES, task.action_size), minval=-1.0)

    def after(solver: str, steps: int) -> State:
        transition = SolvedTransition(
            field,
            task.system.coordinates,
            spec.dt * entry.repeat,
            solver=solver,
            substeps=steps,
        )
        return eqx.filter_jit(transition.steps)(states, actions)

    exact = after("dopri8", 16)
    return [jnp.max(jnp.abs(after(*case).qd - exact.qd), axis=1) for case in CASES]


def _short(error: float) -> str:
    digits, power = f"{error:.0e}".split("e")
    return f"{digits}e{int(power)}"


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "solvers.json")
    parser.add_argument("--tasks", nargs="+", choices=list(SUITE), default=list(SUITE))
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    table: dict[str, list[dict[str, Any]]] = {}
    print("| task | " + " | ".join(f"`{s}` x {n}" for s, n in CASES) + " |")
    print("|---|" + "---|" * len(CASES))
    costs = [evaluations(get_solver(name), steps) for name, steps in CASES]
    print("| evaluations | " + " | ".join(map(str, costs)) + " |")
    for name in args.tasks:
        found = errors(name)
        table[name] = [
            {"solver": solver, "steps": steps, "evaluations": cost}
            | {"median": float(jnp.median(x)), "mean": float(jnp.mean(x))}
            for (solver, steps), cost, x in zip(CASES, costs, found, strict=True)
        ]
        cells = " | ".join(
            f"{_short(row['median'])} ({_short(row['mean'])})" for row in table[name]
        )
        print(f"| {name} | {cells} |", flush=True)
    write(args.out, {"about": machine(), "tasks": table})


if __name__ == "__main__":
    main()
