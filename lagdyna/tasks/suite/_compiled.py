"""What both kinds of environment share: precision, checks and compiled programs."""

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
from ._entries import suite_task
from ._task import SuiteTask

_PRECISIONS = ("float64", "float32")


def in_precision(precision: str) -> AbstractContextManager[Any]:
    """Where JAX computes in `precision`, whatever is switched on outside."""
    if precision not in _PRECISIONS:
        accepted = " and ".join(map(repr, _PRECISIONS))
        raise ValueError(f"`precision` was {precision!r}; {accepted} are accepted")
    return jax.enable_x64(precision == "float64")


def made(task: str | SuiteTask, precision: str) -> SuiteTask:
    """`task`, or that of that name, its parameters in `precision`."""
    with in_precision(precision):
        found = suite_task(task) if isinstance(task, str) else task
        weights, rest = eqx.partition(found, eqx.is_inexact_array)
        return eqx.combine(jax.tree.map(lambda w: jnp.asarray(w, precision), weights), rest)


def check_parameters(task: SuiteTask, copies: int | None = None) -> None:
    """Refuses parameters that no chain has, or without a leading axis of copies, or with one.

    **Arguments:** `copies`, how many have parameters of their own, if they do.
    """
    leaves = jax.tree.leaves(eqx.filter(task, eqx.is_array))
    if not all(np.all(np.isfinite(leaf)) for leaf in leaves):
        raise ValueError("`task` has parameters that are not finite; only numbers are accepted")
    for name in ("mass", "length"):
        given = np.asarray(getattr(task.system.lagrangian, name, 1.0))
        if np.any(given <= 0):
            raise ValueError(
                f"`task` has links of {name} {given.min():g}; positive numbers are accepted"
            )
    wrong = {leaf.shape for leaf in leaves if leaf.shape[:1] != (copies,)}
    if copies is not None and wrong:
        raise ValueError(
            f"`task` has arrays of shapes {sorted(wrong)}; with `batched`, all need a "
            f"leading axis of length `num_envs`, {copies}"
        )
    if copies is None:
        state = eqx.filter_eval_shape(task.reset, jax.random.key(0))
        action = jax.ShapeDtypeStruct((task.action_size,), state.q.dtype)
        try:
            eqx.filter_eval_shape(task.step, state, action)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "`task` has arrays of shapes "
                f"{sorted({leaf.shape for leaf in leaves})}, with which no step can be made "
                "(for an axis of copies there is `batched`)"
            ) from error


def spaces_of(observations: int, actions: int) -> tuple[spaces.Box, spaces.Box]:
    """The spaces of single observations and actions."""
    # Nothing bounds velocities, but a space that says so is warned of as unlikely.
    largest = float(np.finfo(np.float32).max)
    return (
        spaces.Box(-largest, largest, (observations,), np.float32),
        spaces.Box(-1.0, 1.0, (actions,), np.float32),
    )


RENDER_MODES = ("human", "rgb_array")


def check_render_mode(render_mode: str | None) -> None:
    """Refuses what cannot be rendered."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        accepted = ", ".join(map(repr, RENDER_MODES))
        raise ValueError(
            f"`render_mode` was {render_mode!r}; None, {accepted} are accepted, and by "
            "`gymnasium.make` also 'rgb_array_list'"
        )


_ROUNDING = 1e-6  # what float32 arithmetic may be beyond a bound


def checked_action(action: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`action` as an array of numbers of that shape in `[-1, 1]`."""
    accepted = f"numbers in [-1, 1] of shape {shape} are accepted"
    try:
        array = np.asarray(action, float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`action` was {action!r}, which is not numbers; {accepted}"
        ) from error
    if array.shape != shape:
        raise ValueError(f"`action` has shape {array.shape}; {accepted}")
    good = np.abs(array) <= 1 + _ROUNDING  # false of NaN
    if not good.all():
        first = tuple(int(i) for i in np.argwhere(~good)[0])
        what = "not a number" if np.isnan(array[first]) else "out of range"
        raise ValueError(
            f"`action` has {array[first]} at index {first}, which is {what}; {accepted}"
        )
    return array


def state_option(
    options: dict[str, Any] | None, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The `(q, qd)` that the options of a reset ask for, if they ask for one."""
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
    # In float32, as they are observed whatever the precision.
    with np.errstate(over="ignore"):
        finite = all(np.all(np.isfinite(part.astype(np.float32))) for part in (q, qd))
    if not finite:
        raise ValueError(f"`options['state']` has entries that are not finite; {accepted}")
    return q, qd


def episode_key(seed: Integer[Array, ""], episode: Integer[Array, ""]) -> Key[Array, ""]:
    """The key of the start of an episode: copies and single environments agree on it."""
    return jax.random.fold_in(jax.random.key(seed), episode)


def short_seed(seed: int) -> np.uint32:
    """As many bits of a seed as fit."""
    return np.uint32(seed % 2**32)


@eqx.filter_jit
def start(task: SuiteTask, seed: Integer[Array, ""], episode: Integer[Array, ""]) -> State:
    """The first state of an episode."""
    return task.reset(episode_key(seed, episode))


@eqx.filter_jit
def observe(task: SuiteTask, state: State) -> Float[Array, " obs"]:
    """What is seen of a state, float32."""
    return task.observe(state).astype(jnp.float32)


@eqx.filter_jit
def advance(
    task: SuiteTask, state: State, action: Float[Array, " m"]
) -> tuple[State, Float[Array, " obs"], Scalar]:
    """The next state, what is seen of it, and its reward."""
    following, reward = task.step(state, action)
    return following, task.observe(following).astype(jnp.float32), reward


@eqx.filter_jit
def _effort(
    task: SuiteTask, q: Float[Array, " n"], action: Float[Array, " m"]
) -> Float[Array, " n"]:
    """The force of an action on each coordinate, as a fraction of the most there is."""
    columns = jax.vmap(task.system.actuation, (None, 0))(q, jnp.eye(task.action_size))
    most = jnp.sum(jnp.abs(columns), axis=0)
    return task.system.actuation(q, action) / jnp.where(most > 0, most, 1)


def picture(
    task: SuiteTask,
    q: Float[np.ndarray, " n"],
    action: Float[np.ndarray, " m"],
    precision: str,
    size: int = SIZE,
) -> UInt8[np.ndarray, "size size 3"]:
    """A picture of where a task is and of the action that led there, `size` pixels square."""
    with in_precision(precision):
        effort = _effort(task, jnp.asarray(q, precision), jnp.asarray(action, precision))
        return draw(task, q, np.asarray(effort), size)


def as_numpy(tree: Any) -> Any:
    """Arrays that their owner may write to."""
    return jax.tree.map(np.array, tree)


def needs_reset() -> gym.error.ResetNeeded:
    """The error of who uses an environment that has no state yet."""
    return gym.error.ResetNeeded("call `reset` before `step`, `state` or `render`")
