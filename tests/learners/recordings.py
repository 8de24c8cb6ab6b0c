"""Recordings of Gymnasium's pendulum, exact to float32, that the tests of fitting share."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

from lagdyna.data import Experience
from lagdyna.learners import Accelerations
from lagdyna.mechanics import State
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout

from ..helpers import PENDULUM, pendulum_system

AT, NEXT = slice(None, -1), slice(1, None)


def transition(system=None, solver: str = "heun") -> SolvedTransition:
    """`system`, the true pendulum by default, as a simulator."""
    system = pendulum_system() if system is None else system
    return SolvedTransition(LagrangianField(system), PENDULUM, 0.05, solver=solver)


def _situations(key: jax.Array, shape: tuple[int, ...]) -> tuple[State, jax.Array]:
    """Random states and actions, the whole circle and speeds of up to 5 rad/s."""
    x = jax.random.uniform(key, (3, *shape, 1), minval=-1.0)
    return State(jnp.pi * x[0], 5 * x[1]), x[2]


def pay(state: State, action: jax.Array, after: State) -> jax.Array:
    """Being upright and still is what is paid for."""
    return jnp.cos(after.q[0]) - 0.05 * state.qd[0] ** 2 - 0.1 * action[0] ** 2


@functools.cache
def recording(seed: int, rows: int) -> Experience:
    """Single transitions from random states."""

    @jax.jit
    def record(key):
        states, actions = _situations(key, (rows,))
        after = jax.vmap(transition(solver="tsit5").step)(states, actions)
        reward = jax.vmap(pay)(states, actions, after)
        return Experience(states, actions, reward, after, jnp.zeros(rows, bool))

    return record(jax.random.key(seed))


@functools.cache
def windows(seed: int, rows: int, length: int) -> tuple[Experience, jax.Array]:
    """Windows of consecutive transitions under random actions, none masked."""

    @jax.jit
    def record(key):
        states, actions = _situations(key, (rows, length))
        start = jax.tree.map(lambda x: x[:, 0], states)
        run = jax.vmap(lambda s, a: rollout(transition(solver="tsit5"), s, a))
        visited = run(start, actions)
        before, after = (jax.tree.map(lambda x, c=c: x[:, c], visited) for c in (AT, NEXT))
        flags = jnp.zeros((rows, length), bool)
        return Experience(before, actions, jnp.zeros((rows, length)), after, flags)

    return record(jax.random.key(seed)), jnp.ones((rows, length))


@functools.cache
def accelerations(seed: int, rows: int) -> Accelerations:
    @jax.jit
    def record(key):
        states, actions = _situations(key, (rows,))
        qdd = jax.vmap(pendulum_system().forward_dynamics)(*states, actions)
        return Accelerations(states, actions, qdd)

    return record(jax.random.key(seed))


def with_friction(data: Accelerations) -> Accelerations:
    """The same motion, by motors with a viscous friction of 0.5 N m s to overcome."""
    action = data.action + 0.5 * data.state.qd / 2.0
    return Accelerations(data.state, action, data.qdd)


loss_of = eqx.filter_jit(lambda loss, model, batch: loss(model, batch))
