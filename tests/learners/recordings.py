"""Accurate recordings for the tests of learners, most of them of Gymnasium's pendulum."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lagdyna.data import Experience
from lagdyna.learners import Accelerations
from lagdyna.mechanics import State
from lagdyna.simulate import LagrangianField, SolvedTransition, rollout
from lagdyna.tasks import SuiteTask

from ..helpers import PENDULUM, pendulum_system

AT, NEXT = slice(None, -1), slice(1, None)


def transition(system=None, solver: str = "heun") -> SolvedTransition:
    """Build the transition of `system`, the true pendulum by default."""
    system = pendulum_system() if system is None else system
    return SolvedTransition(LagrangianField(system), PENDULUM, 0.05, solver=solver)


def _random_states_and_actions(
    key: jax.Array, shape: tuple[int, ...]
) -> tuple[State, jax.Array]:
    """Sample angles on the whole circle, velocities of up to 5 rad/s, and actions."""
    x = jax.random.uniform(key, (3, *shape, 1), minval=-1.0)
    return State(jnp.pi * x[0], 5 * x[1]), x[2]


def true_reward(state: State, action: jax.Array, after: State) -> jax.Array:
    """Compute a reward that is maximal upright at rest without action."""
    return jnp.cos(after.q[0]) - 0.05 * state.qd[0] ** 2 - 0.1 * action[0] ** 2


@functools.cache
def recording(seed: int, rows: int) -> Experience:
    """Record single transitions from random states."""

    @jax.jit
    def record(key):
        states, actions = _random_states_and_actions(key, (rows,))
        after = jax.vmap(transition(solver="tsit5").step)(states, actions)
        reward = jax.vmap(true_reward)(states, actions, after)
        return Experience(states, actions, reward, after, jnp.zeros(rows, bool))

    return record(jax.random.key(seed))


@functools.cache
def windows(seed: int, rows: int, length: int) -> tuple[Experience, jax.Array]:
    """Record windows of consecutive transitions under random actions, without masked steps."""

    @jax.jit
    def record(key):
        states, actions = _random_states_and_actions(key, (rows, length))
        start = jax.tree.map(lambda x: x[:, 0], states)
        run = jax.vmap(lambda s, a: rollout(transition(solver="tsit5"), s, a))
        visited = run(start, actions)
        before, after = (jax.tree.map(lambda x, c=c: x[:, c], visited) for c in (AT, NEXT))
        flags = jnp.zeros((rows, length), bool)
        return Experience(before, actions, jnp.zeros((rows, length)), after, flags)

    return record(jax.random.key(seed)), jax.device_put(np.ones((rows, length)))


@functools.cache
def accelerations(seed: int, rows: int) -> Accelerations:
    """Record accelerations in random states."""

    @jax.jit
    def record(key):
        states, actions = _random_states_and_actions(key, (rows,))
        qdd = jax.vmap(pendulum_system().forward_dynamics)(*states, actions)
        return Accelerations(states, actions, qdd)

    return record(jax.random.key(seed))


def with_friction(data: Accelerations) -> Accelerations:
    """Adjust the actions for the same motion with a viscous friction of 0.5 N m s."""
    action = data.action + 0.5 * data.state.qd / 2.0
    return Accelerations(data.state, action, data.qdd)


@eqx.filter_jit
def held_actions(task: SuiteTask, rows: int, repeat: int) -> Experience:
    """Record transitions of a task of two links, each action held for `repeat` steps."""
    q, qd, action = jax.random.uniform(jax.random.key(0), (3, rows, 2), minval=-1, maxval=1)
    state, action = State(jnp.pi * q, 5 * qd), action[:, :1]
    advance = jax.vmap(task.advance)
    after, _ = jax.lax.scan(lambda s, _: (advance(s, action), None), state, length=repeat)
    zeros = jnp.zeros(rows)
    return Experience(state, action, zeros, after, zeros.astype(bool))


loss_of = eqx.filter_jit(lambda loss, model, batch: loss(model, batch))


@eqx.filter_jit
def errors_of(loss, model, batch) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The loss of a batch, and both kinds of errors of its first row."""
    row = jax.tree.map(lambda x: x[0], batch)
    return loss(model, batch), loss.errors(model, row), loss.observed_errors(model, row)
