"""Shared functions of the suite's tests. Each is compiled once per task."""

import equinox as eqx
import jax
import numpy as np

from lagdyna.mechanics import State
from lagdyna.tasks import SuiteTask

step = eqx.filter_jit(lambda task, state, action: task.step(state, action))
reward = eqx.filter_jit(lambda task, state, *action: task.reward(state, *action))
observe = eqx.filter_jit(lambda task, state: task.observe(state))
difference = eqx.filter_jit(lambda task, a, b: task.system.coordinates.difference(a, b))


def some_state(task: SuiteTask, seed: int, *batch: int) -> State:
    rng = np.random.default_rng(seed)
    q, qd = rng.normal(size=(2, *batch, task.n))
    return jax.device_put(State(q, 2 * qd))


def some_action(task: SuiteTask, seed: int, *batch: int) -> jax.Array:
    drawn = np.random.default_rng(seed).uniform(-1, 1, (*batch, task.action_size))
    return jax.device_put(drawn)
