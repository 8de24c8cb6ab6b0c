"""Compare the energy errors of two solvers on a pendulum over ten thousand periods.

The solvers are Heun's method and the variational midpoint rule. Run
`python examples/long_horizon.py long_horizon.png` to print the energy errors and plot them.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from lagdyna import State
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.systems import Pendulum

if len(sys.argv) != 2:
    sys.exit(__doc__)
jax.config.update("jax_enable_x64", True)
PERIODS, STEPS = 10_000, 40
# A rod of 1 kg and 1 m in 9.81 m/s^2 swings with an amplitude of 1 rad and a period of 1.75 s.
pendulum, angle = Pendulum.rod(gravity=9.81), Coordinates((True,))
system = MechanicalSystem(pendulum, angle, FixedActuation(((0.0,),)))
start = State(jnp.asarray([jnp.pi - 1.0]), jnp.zeros(1))
begun = pendulum.energy(*start)
swing = begun - pendulum.energy(jnp.asarray([jnp.pi]), jnp.zeros(1))


@eqx.filter_jit
def largest_errors(model: SolvedTransition) -> jax.Array:
    """Compute the largest energy error in each ten periods, relative to the swing energy."""

    def step(state: State, _: None) -> tuple[State, jax.Array]:
        state = model.step(state, jnp.zeros(1))
        return state, jnp.abs(pendulum.energy(*state) - begun) / swing

    def ten_periods(state: State, _: None) -> tuple[State, jax.Array]:
        state, errors = jax.lax.scan(step, state, None, length=10 * STEPS)
        return state, jnp.max(errors)

    return jax.lax.scan(ten_periods, start, None, length=PERIODS // 10)[1]


figure = Figure(figsize=(6.4, 3.8), layout="constrained")
axes = figure.subplots()
for solver in ("heun", "variational_midpoint"):
    errors = largest_errors(
        SolvedTransition(LagrangianField(system), angle, 1.75 / STEPS, solver=solver)
    )
    axes.loglog(10 * np.arange(1, len(errors) + 1), errors, label=solver)
    print(
        f"{solver}: energy off by {errors[0]:.2%} in the first ten periods, "
        f"{errors[-1]:.2%} in the last ten of {PERIODS}"
    )
axes.set(xlabel="periods", ylabel="error of the energy / energy of the swing")
axes.set_title(f"{STEPS} steps in a period")
axes.spines[["top", "right"]].set_visible(False)
axes.grid(alpha=0.25, lw=0.5)
axes.legend(frameon=False)
figure.savefig(sys.argv[1], dpi=130)
