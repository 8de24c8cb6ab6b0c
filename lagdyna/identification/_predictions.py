"""Predictions of a model at recorded rows and along trajectories.

Arrays are cut into blocks of one size and padded, so that each method of a model is compiled
once, whatever the lengths of the recordings.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..data import Experience
from ..mechanics import State
from ..simulate import LearnedModel

# Rows of a block; steps of a block of rollouts, and rollouts side by side.
_ROWS, _STEPS, _LANES = 1024, 64, 16


def each_row(method: Callable[..., Any], model: LearnedModel, *arrays: Any) -> Any:
    """Evaluate a method of a model on every row.

    **Arguments:** `arrays`, of the arguments of the method, with a leading axis.

    **Returns:** what the method returns, as NumPy arrays with a leading axis.
    """
    rows = len(arrays[0])
    padded = [_padded(np.asarray(x), -(-rows // _ROWS) * _ROWS) for x in arrays]
    blocks = [
        _block(method, model, *(jnp.asarray(x[start : start + _ROWS]) for x in padded))
        for start in range(0, rows, _ROWS)
    ]
    return jax.tree.map(lambda *x: np.concatenate([*map(np.asarray, x)])[:rows], *blocks)


@eqx.filter_jit
def _block(method: Callable[..., Any], model: LearnedModel, *arrays: Array) -> Any:
    return jax.vmap(lambda *row: method(model, *row))(*arrays)


def predicted_steps(model: LearnedModel, steps: Experience) -> State:
    """Predict the state after each of some steps, shapes `(steps, n)`."""
    count, size = len(steps.action), _STEPS * _LANES
    whole = -(-count // size) * size
    every: list[Any] = [_padded(np.asarray(x), whole) for x in (*steps.state, steps.action)]
    q, qd, action = every
    renewed = jnp.ones((_STEPS, _LANES), bool)
    found = []
    for start in range(0, whole, size):
        given, controls = jax.tree.map(
            lambda x, a=start: jnp.asarray(
                x[a : a + size].reshape(_STEPS, _LANES, *x.shape[1:])
            ),
            (State(q, qd), action),
        )
        _, states = _advance(model, State(given.q[0], given.qd[0]), given, renewed, controls)
        found.append(states)
    return jax.tree.map(
        lambda *x: np.concatenate([np.asarray(y).reshape(size, -1) for y in x])[:count], *found
    )


def predicted_paths(
    model: LearnedModel, starts: Sequence[State], controls: Sequence[np.ndarray]
) -> list[State]:
    """Roll a model out from some states.

    **Arguments:** `controls`, of each rollout, shape `(steps, m)`; the numbers of steps may
    differ.

    **Returns:** for each rollout its states, the start included, shapes `(steps + 1, n)`.
    """
    found = []
    for first in range(0, len(starts), _LANES):
        some = slice(first, first + _LANES)
        found += _side_by_side(model, starts[some], controls[some])
    return found


def _side_by_side(
    model: LearnedModel, starts: Sequence[State], controls: Sequence[np.ndarray]
) -> list[State]:
    lengths = [len(each) for each in controls]
    whole = max(-(-max(lengths) // _STEPS), 1) * _STEPS
    lanes = [_padded(np.asarray(each), whole) for each in controls]
    lanes += [lanes[0]] * (_LANES - len(lanes))
    actions = jnp.asarray(np.stack(lanes, axis=1))
    begun = [*starts, *[starts[0]] * (_LANES - len(starts))]
    state = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *begun)
    kept = jnp.zeros((_STEPS, _LANES), bool)
    paths = [jax.tree.map(lambda x: np.asarray(x)[None], state)]
    for start in range(0, whole, _STEPS):
        given = jax.tree.map(lambda x: jnp.zeros((_STEPS, *x.shape), x.dtype), state)
        state, states = _advance(model, state, given, kept, actions[start : start + _STEPS])
        paths.append(jax.tree.map(np.asarray, states))
    path = jax.tree.map(lambda *x: np.concatenate(x), *paths)
    return [
        jax.tree.map(lambda x, i=i, n=n: x[: n + 1, i], path) for i, n in enumerate(lengths)
    ]


@eqx.filter_jit
def _advance(
    model: LearnedModel,
    state: State,
    given: State,
    renewed: Bool[Array, "time lanes"],
    actions: Float[Array, "time lanes m"],
) -> tuple[State, State]:
    """Make steps from `state`, or where `renewed` from the state that is given."""

    def step(state: State, now: tuple[State, Array, Array]) -> tuple[State, State]:
        given, renewed, action = now
        here = jax.tree.map(lambda a, b: jnp.where(renewed[:, None], a, b), given, state)
        there = jax.vmap(model.step)(here, action)
        return there, there

    return jax.lax.scan(step, state, (given, renewed, actions))


def _padded(x: np.ndarray, rows: int) -> np.ndarray:
    """Repeat the first row at the end."""
    if len(x) == rows:
        return x
    first = x[:1] if len(x) else np.zeros((1, *x.shape[1:]), x.dtype)
    return np.concatenate([x, np.repeat(first, rows - len(x), axis=0)])
