"""Fit a DeLaN through three solvers and compare loss and learned mass."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from lagdyna.data import Experience
from lagdyna.learners import GradientLearner, OneStepLoss, fit, step_scale
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition
from lagdyna.systems import Pendulum

DT = 0.05
coordinates = Coordinates((True,))
motor = FixedActuation(((2.0,),))


# --8<-- [start:simulator]
def simulator(lagrangian, solver: str, substeps: int = 1) -> SolvedTransition:
    """Build a transition from a Lagrangian and a solver."""
    field = LagrangianField(MechanicalSystem(lagrangian, coordinates, motor))
    return SolvedTransition(field, coordinates, DT, solver=solver, substeps=substeps)


# --8<-- [end:simulator]


@eqx.filter_jit
def recording(key: jax.Array, rows: int) -> Experience:
    """Simulate steps of an analytic pendulum, with far smaller errors than the models."""
    unit = jax.random.uniform(key, (3, rows, 1), minval=-1.0)
    state, action = State(jnp.pi * unit[0], 8 * unit[1]), unit[2]
    following = jax.vmap(simulator(Pendulum.rod(), "dopri8", 4).step)(state, action)
    return Experience(state, action, jnp.zeros(rows), following, jnp.zeros(rows, bool))


data, unseen = recording(jax.random.key(0), 500), recording(jax.random.key(1), 500)
loss = OneStepLoss(step_scale(data, coordinates))
error = eqx.filter_jit(loss)
true_mass = Pendulum.rod().mass_matrix(jnp.zeros(1), jnp.zeros(1))[0, 0]
print("| solver | loss on unseen steps, untrained | trained | error of the learned mass |")
print("|---|---|---|---|")
# --8<-- [start:loop]
for name in ("semi_implicit_euler", "heun", "tsit5"):
    model = simulator(DeLaN(coordinates, key=jax.random.key(2)), name)
    learner = GradientLearner(optax.adam(optax.cosine_decay_schedule(3e-3, 2000)), loss)
    fitted = fit(model, learner, data, key=jax.random.key(3), steps=2000).model
    # --8<-- [end:loop]
    mass = fitted.field.system.lagrangian.mass_matrix(jnp.zeros(1), jnp.zeros(1))[0, 0]
    before, after = error(model, unseen), error(fitted, unseen)
    print(f"| {name} | {before:.2g} | {after:.2g} | {100 * (mass / true_mass - 1):+.2f} % |")
