"""Swap one part at a time: Lagrangian, vector field, transition, optimiser, loss, reward."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from lagdyna.data import Experience
from lagdyna.learners import AbstractLoss, GradientLearner, OneStepLoss, fit, step_scale
from lagdyna.mechanics import (
    AbstractGeneralLagrangian,
    AbstractLagrangian,
    Coordinates,
    FixedActuation,
    MechanicalSystem,
    State,
)
from lagdyna.models import DeLaN, GivenReward, Network
from lagdyna.simulate import (
    AbstractSecondOrderField,
    AbstractTransition,
    LagrangianField,
    SolvedTransition,
    Tolerances,
    rollout,
)
from lagdyna.systems import Pendulum


# --8<-- [start:lagrangian]
class Oscillator(AbstractGeneralLagrangian):
    """Mass on a spring. Define only `L`; lagdyna derives the equations of motion."""

    mass: jax.Array
    stiffness: jax.Array
    damping: float = 0.0  # regularises the solve for the acceleration; it is no friction

    def __call__(self, q, qd):
        return 0.5 * (self.mass * qd @ qd - self.stiffness * q @ q)


oscillator = Oscillator(mass=jnp.array(2.0), stiffness=jnp.array(8.0))
q, qd, tau = jnp.array([0.5]), jnp.array([1.0]), jnp.array([0.0])
print("momentum", oscillator.momentum(q, qd), "energy", oscillator.energy(q, qd))
print("acceleration", oscillator.forward_dynamics(q, qd, tau))
# --8<-- [end:lagrangian]


# --8<-- [start:system]
angle, motor = Coordinates((True,)), FixedActuation(((2.0,),))


def simulator(lagrangian: AbstractLagrangian) -> SolvedTransition:
    """Build a pendulum's transition from any Lagrangian."""
    field = LagrangianField(MechanicalSystem(lagrangian, angle, motor))
    return SolvedTransition(field, angle, dt=0.05)


analytic = simulator(Pendulum.rod(mass=0.7, gravity=7.0))
learned = simulator(DeLaN(angle, key=jax.random.key(0)))
# --8<-- [end:system]


# --8<-- [start:field]
class NeuralField(AbstractSecondOrderField):
    """Second-order neural ODE: a network predicts the acceleration."""

    network: Network

    def acceleration(self, t, q, qd, action):
        return self.network(jnp.concatenate([angle.embed(q), qd, action]))


network = Network(4, 1, (64, 64), jnp.tanh, key=jax.random.key(1))
black_box = SolvedTransition(NeuralField(network), angle, dt=0.05)
# --8<-- [end:field]

# --8<-- [start:transition]
field = analytic.field
by_name = SolvedTransition(field, angle, dt=0.05, solver="dopri5", substeps=2)
by_object = SolvedTransition(field, angle, dt=0.05, solver=diffrax.Tsit5())
adaptive = SolvedTransition(
    field, angle, dt=0.05, solver="tsit5", tolerances=Tolerances(rtol=1e-5, atol=1e-7)
)
clipped = SolvedTransition(field, angle, dt=0.05, velocity_limits=(8.0,))
# --8<-- [end:transition]
start, actions = State(jnp.array([1.0]), jnp.array([0.0])), jnp.zeros((20, 1))
for name, each in (("dopri5", by_name), ("Tsit5()", by_object), ("adaptive", adaptive)):
    print(f"{name}: angle after 1 s {eqx.filter_jit(rollout)(each, start, actions).q[-1]}")


# --8<-- [start:discrete]
class DiscreteModel(AbstractTransition):
    """Discrete-time model without solver: a network predicts the change of the state."""

    network: Network
    coordinates: Coordinates

    def step(self, state, action):
        change = self.network(jnp.concatenate([angle.embed(state.q), state.qd, action]))
        return State(self.coordinates.wrap(state.q + change[:1]), state.qd + change[1:])


change = Network(4, 2, (64, 64), jnp.tanh, key=jax.random.key(2))
discrete = DiscreteModel(network=change, coordinates=angle)
# --8<-- [end:discrete]


@eqx.filter_jit
def recording(key: jax.Array, rows: int) -> Experience:
    """Simulate steps of a pendulum with Gymnasium's mass, length and gravity."""
    unit = jax.random.uniform(key, (3, rows, 1), minval=-1.0)
    state, action = State(jnp.pi * unit[0], 8 * unit[1]), unit[2]
    following = jax.vmap(simulator(Pendulum.rod()).step)(state, action)
    return Experience(state, action, jnp.zeros(rows), following, jnp.zeros(rows, bool))


data = recording(jax.random.key(3), 500)
loss = OneStepLoss(step_scale(data, angle))

# --8<-- [start:fit]
learner = GradientLearner(optax.adam(optax.cosine_decay_schedule(1e-2, 1000)), loss)
for name, model in (
    ("analytic", analytic),
    ("DeLaN", learned),
    ("neural ODE", black_box),
    ("discrete", discrete),
):
    fitted = fit(model, learner, data, key=jax.random.key(4), steps=1000)
    print(f"{name}: loss {fitted.metrics['loss'][0]:.2g} -> {fitted.metrics['loss'][-1]:.2g}")
# --8<-- [end:fit]

# --8<-- [start:optax]
lion = optax.chain(optax.clip_by_global_norm(1.0), optax.lion(1e-3))
fitted = fit(learned, GradientLearner(lion, loss), data, key=jax.random.key(4), steps=1000)
# --8<-- [end:optax]
print(f"DeLaN, Lion: loss {fitted.metrics['loss'][0]:.2g} -> {fitted.metrics['loss'][-1]:.2g}")


# --8<-- [start:loss]
class AbsoluteLoss(AbstractLoss[AbstractTransition, Experience]):
    """Mean absolute error of the next velocity."""

    def __call__(self, model, batch):
        predicted = jax.vmap(model.step)(batch.state, batch.action)
        return jnp.mean(jnp.abs(predicted.qd - batch.next_state.qd))


learner = GradientLearner(optax.adam(3e-3), AbsoluteLoss())
# --8<-- [end:loss]
fitted = fit(learned, learner, data, key=jax.random.key(4), steps=1000)
print(f"DeLaN, L1: loss {fitted.metrics['loss'][0]:.2g} -> {fitted.metrics['loss'][-1]:.2g}")


# --8<-- [start:reward]
@GivenReward
def reward(state: State, action: jax.Array, next_state: State) -> jax.Array:
    """Compute the reward of Gymnasium's `Pendulum-v1`, from the state before the step."""
    angle_cost = angle.wrap(state.q)[0] ** 2 + 0.1 * state.qd[0] ** 2
    return -(angle_cost + 0.001 * (2 * action[0]) ** 2)


print("reward", reward(start, jnp.array([1.0]), start))
# --8<-- [end:reward]
