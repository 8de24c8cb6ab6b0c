"""Shared code of single and vector environments: precision, checks, compiled functions."""

from contextlib import AbstractContextManager
from typing import Any

import equinox as eqx
import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float, Integer, Key, Scalar, UInt8

from ...mechanics import State
from ._draw import SIZE, draw
from ._lookup import suite_task
from ._task import SuiteTask

_PRECISIONS = ("float64", "float32")


def precision_context(precision: str) -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in `precision`, regardless of its settings.

    **Raises:** `ValueError` if `precision` is neither `"float64"` nor `"float32"`.
    """
    if precision not in _PRECISIONS:
        accepted = " and ".join(map(repr, _PRECISIONS))
        raise ValueError(f"`precision` was {precision!r}; {accepted} are accepted")
    return jax.enable_x64(precision == "float64")


def load_task(task: str | SuiteTask, precision: str) -> SuiteTask:
    """Return a task, given as a name or an object, with its parameters in `precision`."""
    with precision_context(precision):
        found = suite_task(task) if isinstance(task, str) else task
        weights, rest = eqx.partition(found, eqx.is_inexact_array)
        return eqx.combine(jax.tree.map(lambda w: jnp.asarray(w, precision), weights), rest)


def check_parameters(task: SuiteTask, copies: int | None = None) -> None:
    """Check the values and shapes of a task's parameters.

    **Arguments:**

    - `task`: the task.
    - `copies`: number of copies if each has its own parameters, else `None`.

    **Raises:** `ValueError` if a parameter is not finite, if a mass or length is not positive,
    or if a shape is wrong.
    """
    leaves = jax.tree.leaves(eqx.filter(task, eqx.is_array))
    if not all(np.all(np.isfinite(leaf)) for leaf in leaves):
        raise ValueError(
            "`task` has parameters that are not finite; only finite numbers are accepted"
        )
    for name in ("mass", "length"):
        given = np.asarray(getattr(task.system.lagrangian, name, 1.0))
        if np.any(given <= 0):
            raise ValueError(
                f"`task` has links of {name} {given.min():g}; positive numbers are accepted"
            )
    wrong = {leaf.shape for leaf in leaves if leaf.shape[:1] != (copies,)}
    if copies is not None and wrong:
        raise ValueError(
            f"`task` has arrays of shapes {sorted(wrong)}; with `batched`, each array needs "
            f"a leading axis of length `num_envs`, {copies}"
        )
    if copies is None:
        # The traces are kept for the first episode, and for other environments of the task.
        number = jax.ShapeDtypeStruct((), np.uint32)
        state = eqx.filter_eval_shape(start, task, number, number)
        action = jax.ShapeDtypeStruct((task.action_size,), state.q.dtype)
        try:
            eqx.filter_eval_shape(advance, task, state, action)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "`task` has arrays of shapes "
                f"{sorted({leaf.shape for leaf in leaves})}, which a step does not accept; for "
                "a leading axis of copies, use `SuiteVectorEnv` with `batched`"
            ) from error


def make_spaces(observations: int, actions: int) -> tuple[spaces.Box, spaces.Box]:
    """Build the spaces of single observations and actions, given their sizes."""
    # Velocities are unbounded, but Gymnasium warns of infinite bounds.
    largest = float(np.finfo(np.float32).max)
    return (
        spaces.Box(-largest, largest, (observations,), np.float32),
        spaces.Box(-1.0, 1.0, (actions,), np.float32),
    )


RENDER_MODES = ("human", "rgb_array")


def check_render_mode(render_mode: str | None) -> None:
    """Raise `ValueError` for an unknown render mode."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        accepted = ", ".join(map(repr, RENDER_MODES))
        raise ValueError(
            f"`render_mode` was {render_mode!r}; None, {accepted} are accepted, and "
            "`gymnasium.make` also accepts 'rgb_array_list'"
        )


_ROUNDING = 1e-6  # tolerance at the bounds for float32 arithmetic


def check_action(action: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Convert an action to an array and check its shape and range.

    **Raises:** `ValueError` if it has another shape or is not within `[-1, 1]`.
    """
    accepted = f"numbers in [-1, 1] of shape {shape} are accepted"
    try:
        array = np.asarray(action, float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`action` was {action!r}, which is not numeric; {accepted}"
        ) from error
    if array.shape != shape:
        raise ValueError(f"`action` has shape {array.shape}; {accepted}")
    valid = np.abs(array) <= 1 + _ROUNDING  # False for NaN
    if not valid.all():
        first = tuple(int(i) for i in np.argwhere(~valid)[0])
        what = "not a number" if np.isnan(array[first]) else "out of range"
        raise ValueError(
            f"`action` has {array[first]} at index {first}, which is {what}; {accepted}"
        )
    return array


def read_state_option(
    options: dict[str, Any] | None, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Read the initial state `(q, qd)` from the options of `reset`, if given.

    **Raises:** `ValueError` for another option, or a state of another shape or not finite.
    """
    unknown = set(options or ()) - {"state"}
    if unknown:
        raise ValueError(
            f"`options` has {', '.join(map(repr, sorted(unknown, key=str)))}; only 'state' is "
            "accepted"
        )
    if not options:
        return None
    accepted = f"a pair (q, qd) of finite float32 numbers, each of shape {shape}, is accepted"
    given = options["state"]
    try:
        q, qd = (np.asarray(part, float) for part in given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`options['state']` was {given!r}; {accepted}") from error
    if q.shape != shape or qd.shape != shape:
        raise ValueError(
            f"`options['state']` has arrays of shapes {q.shape} and {qd.shape}; {accepted}"
        )
    # Observations are float32 in every precision, so the state must be finite in it.
    with np.errstate(over="ignore"):
        finite = all(np.all(np.isfinite(part.astype(np.float32))) for part in (q, qd))
    if not finite:
        raise ValueError(f"`options['state']` has entries that are not finite; {accepted}")
    return q, qd


def episode_key(seed: Integer[Array, ""], episode: Integer[Array, ""]) -> Key[Array, ""]:
    """Derive the key of an episode, equal for single and vector environments."""
    return jax.random.fold_in(jax.random.key(seed), episode)


def to_uint32(seed: int) -> np.uint32:
    """Return the lowest 32 bits of a seed."""
    return np.uint32(seed % 2**32)


@eqx.filter_jit
def start(task: SuiteTask, seed: Integer[Array, ""], episode: Integer[Array, ""]) -> State:
    """Sample the first state of an episode.

    **Arguments:**

    - `task`: the task.
    - `seed`: seed of the environment, an integer array.
    - `episode`: number of the episode since the seed was set, an integer array.

    **Returns:** the state, arrays of shape `(n,)`.
    """
    return task.reset(episode_key(seed, episode))


@eqx.filter_jit
def observe(task: SuiteTask, state: State) -> Float[Array, " obs"]:
    """Compute the observation of a state, float32."""
    return task.observe(state).astype(jnp.float32)


@eqx.filter_jit
def advance(
    task: SuiteTask, state: State, action: Float[Array, " m"]
) -> tuple[State, Float[Array, " obs"], Scalar]:
    """Compute the next state, its observation (float32) and the reward."""
    following, reward = task.step(state, action)
    return following, task.observe(following).astype(jnp.float32), reward


@eqx.filter_jit
def _effort(
    task: SuiteTask, q: Float[Array, " n"], action: Float[Array, " m"]
) -> Float[Array, " n"]:
    """Compute the force on each coordinate, as a fraction of its maximum."""
    columns = jax.vmap(task.system.actuation, (None, 0))(q, jnp.eye(task.action_size))
    maximum = jnp.sum(jnp.abs(columns), axis=0)
    return task.system.actuation(q, action) / jnp.where(maximum > 0, maximum, 1)


def render(
    task: SuiteTask,
    q: Float[np.ndarray, " n"],
    action: Float[np.ndarray, " m"],
    precision: str,
    size: int = SIZE,
) -> UInt8[np.ndarray, "size size 3"]:
    """Render a configuration and the action that led to it, as a square of `size` pixels."""
    with precision_context(precision):
        effort = _effort(task, jnp.asarray(q, precision), jnp.asarray(action, precision))
        return draw(task, q, np.asarray(effort), size)


def to_numpy(tree: Any) -> Any:
    """Copy arrays to writable NumPy arrays."""
    return jax.tree.map(np.array, tree)


def reset_needed() -> gym.error.ResetNeeded:
    """Build the error for an environment that is used before `reset`."""
    return gym.error.ResetNeeded("call `reset` before `step`, `state` or `render`")
