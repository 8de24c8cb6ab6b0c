"""One-step errors of the models of finished runs, on new episodes."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from ...agents import Policy
from ...mechanics import State
from ...runs import Run
from ...simulate import AbstractTransition, SolvedTransition
from ...tasks import SuiteTask, suite_task
from .._reproduction import Result

_EPISODES = 10
_FIRST_SEED = 1 << 20  # episodes that no run has seen


class Steps(NamedTuple):
    """Steps of the true system.

    **Attributes:** `before` and `after`, states of shapes `(rows, n)`; `action`, `(rows, m)`.
    """

    before: State
    action: Float[Array, "rows m"]
    after: State


def noisy_steps(
    task: SuiteTask, policy: Policy, repeat: int, key: PRNGKeyArray, episodes: int
) -> tuple[Steps, Steps]:
    """Simulate episodes of a policy with its exploration noise.

    **Arguments:** `repeat`, steps for which an action is held.

    **Returns:** all single steps; and steps over the time of an action, `repeat` single steps
    each. A last action that the end of the episode cuts short is in neither.
    """
    count = task.horizon // repeat

    def act(state: State, key: PRNGKeyArray) -> tuple[State, tuple[State, Array]]:
        eps = jax.random.normal(key, (task.action_size,), state.q.dtype)
        action, _ = policy.sample(state, eps)

        def hold(state: State, _: None) -> tuple[State, State]:
            return task.advance(state, action), state

        state, passed = jax.lax.scan(hold, state, None, repeat)
        return state, (passed, action)

    def episode(key: PRNGKeyArray) -> tuple[State, Array, State]:
        start, noise = jax.random.split(key)
        last, (passed, actions) = jax.lax.scan(
            act, task.reset(start), jax.random.split(noise, count)
        )
        return passed, actions, last

    passed, actions, last = jax.vmap(episode)(jax.random.split(key, episodes))

    def following(states: Array, last: Array) -> Array:
        """Shift `(episodes, time, n)` by one step in time."""
        return jnp.concatenate([states[:, 1:], last[:, None]], axis=1)

    def rows(x: Array) -> Array:
        return x.reshape(-1, x.shape[-1])

    single = jax.tree.map(lambda x: x.reshape(episodes, count * repeat, -1), passed)
    held = jax.tree.map(lambda x: x[:, :, 0], passed)
    each = jnp.repeat(actions, repeat, axis=1)
    return tuple(
        jax.tree.map(rows, Steps(states, chosen, jax.tree.map(following, states, last)))
        for states, chosen in ((single, each), (held, actions))
    )


class Errors(NamedTuple):
    """Mean absolute errors of a model after one step.

    **Attributes:** `state`, of all coordinates (angles by the shorter way round) and
    velocities; `observed`, of the observation, in which an angle is its cosine and sine.
    """

    state: Scalar
    observed: Scalar


def one_step_errors(task: SuiteTask, transition: AbstractTransition, steps: Steps) -> Errors:
    """Compute the errors of a model over one step."""
    found = jax.vmap(transition.step)(steps.before, steps.action)
    off = transition.coordinates.difference(found.q, steps.after.q), found.qd - steps.after.qd
    predicted, true = (jax.vmap(task.observe)(states) for states in (found, steps.after))
    return Errors(
        jnp.mean(jnp.abs(jnp.concatenate(off, -1))), jnp.mean(jnp.abs(predicted - true))
    )


def with_dt(transition: AbstractTransition, dt: float) -> AbstractTransition | None:
    """Copy a model for another step size, with one step of the same solver.

    **Returns:** `None` for a network for whole steps, which has one step size only.
    """
    if not isinstance(transition, SolvedTransition):
        return None
    return dataclasses.replace(transition, dt=dt, substeps=1)


@eqx.filter_jit
def _errors(
    task: SuiteTask, policy: Policy, transition: AbstractTransition, repeat: int, seed: Array
) -> tuple[Errors, Errors | None]:
    """Compute the errors over an action's time, and over the task's `dt` if possible."""
    key = jax.random.key(seed)
    single, held = noisy_steps(task, policy, repeat, key, _EPISODES)
    short = with_dt(transition, task.dt)
    return (
        one_step_errors(task, transition, held),
        None if short is None else one_step_errors(task, short, single),
    )


def model_errors(run: Run) -> Result:
    """Compute the errors of the model of a run on a task of the suite, in float64.

    The data are ten new episodes of the final policy with its noise, in the float64 reference
    environment.

    **Returns:** `held_l1` and `held_observed`, errors over an action's time; `l1` and
    `observed`, over the task's `dt`, `nan` if the model has no such step size.
    """
    assert run.trainer.suite is not None
    with jax.enable_x64(True):
        parts: Any = (run.training.policy, run.transition)
        policy, transition = jax.tree.map(_to_float64, parts)
        task = suite_task(run.trainer.suite)
        seed = jnp.asarray(_FIRST_SEED + run.config.seed, jnp.uint32)
        held, single = _errors(task, policy, transition, run.config.task.repeat, seed)
    missing = np.asarray(np.nan)
    return {
        "held_l1": np.asarray(held.state),
        "held_observed": np.asarray(held.observed),
        "l1": missing if single is None else np.asarray(single.state),
        "observed": missing if single is None else np.asarray(single.observed),
    }


def _to_float64(leaf: PyTree) -> PyTree:
    return jnp.asarray(leaf, jnp.float64) if eqx.is_inexact_array(leaf) else leaf
