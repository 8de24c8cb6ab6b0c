"""Fit a deep Lagrangian network (DeLaN) to arrays, then inspect the learned model."""

# --8<-- [start:data]
import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from lagdyna.learners import Accelerations, ForwardLoss, GradientLearner, fit
from lagdyna.mechanics import Coordinates, FixedActuation, MechanicalSystem, State
from lagdyna.models import DeLaN
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.systems import Pendulum

# Training data: angles, velocities, actions and accelerations. Here an analytic pendulum
# generates them; replace them with your own arrays.
coordinates = Coordinates((True,))  # one coordinate, an angle
motor = FixedActuation(((2.0,),))  # an action of 1 is a torque of 2 N m
true = MechanicalSystem(Pendulum.rod(), coordinates, motor)
q_key, qd_key, action_key = jax.random.split(jax.random.key(0), 3)
q = jax.random.uniform(q_key, (500, 1), minval=-jnp.pi, maxval=jnp.pi)
qd = jax.random.uniform(qd_key, (500, 1), minval=-8.0, maxval=8.0)
action = jax.random.uniform(action_key, (500, 1), minval=-1.0, maxval=1.0)
qdd = jax.vmap(true.forward_dynamics)(q, qd, action)
# --8<-- [end:data]

# --8<-- [start:fit]
data = Accelerations(State(q, qd), action, qdd)
delan = DeLaN(coordinates, key=jax.random.key(1))
untrained = MechanicalSystem(delan, coordinates, motor)
learner = GradientLearner(optax.adam(3e-3), ForwardLoss(scale=jnp.std(qdd, axis=0)))
fitted = fit(untrained, learner, data, key=jax.random.key(2), steps=5000)
system = fitted.model
print(f"loss: {fitted.metrics['loss'][0]:.2g} -> {fitted.metrics['loss'][-1]:.2g}")
mass = system.lagrangian.mass_matrix(q[0], qd[0])
print(f"mass matrix: learned {mass}, true {true.lagrangian.mass_matrix(q[0], qd[0])}")
# --8<-- [end:fit]

# --8<-- [start:simulate]
# Use the fitted system as a simulator. Without actions it should conserve energy. Simulate
# 100 steps from the horizontal position with the learned and the true system.
start, no_action = State(jnp.array([jnp.pi / 2]), jnp.zeros(1)), jnp.zeros((100, 1))
for name, each in (("learned", system), ("true", true)):
    transition = SolvedTransition(LagrangianField(each), coordinates, dt=0.05, solver="tsit5")
    states = eqx.filter_jit(rollout)(transition, start, no_action)
    energy = jax.vmap(true.energy)(*states)
    drift = jnp.max(jnp.abs(energy - energy[0]))
    print(f"{name}: true energy drifts by {drift:.2g} J, ends at angle {states.q[-1, 0]:.3f}")
# --8<-- [end:simulate]
