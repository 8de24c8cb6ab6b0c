"""Values of functions that a user wrote: equations of motion, rewards, residuals."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._errors import UserError
from ..mechanics import MechanicalSystem, State
from ..tasks import Plant

_STATES = 16
_SINGULAR = 1e-9  # smallest over largest eigenvalue of a mass matrix


def check_functions(plant: Plant, reward: Callable[..., Any] | None, known: str | None) -> None:
    """Try the functions that a user gave to a training run, in states within its range.

    **Arguments:** `plant`, with the equations; `reward`, if one was given; `known`, the option
    that gave the equations, or `None` for those of a task.

    **Raises:** `UserError` as `check_equations` and `check_reward`.
    """
    assert plant.range is not None
    unit = np.random.default_rng(0).uniform(-1, 1, (2, _STATES, len(plant.range.positions)))
    q, qd = (x * np.asarray(limit) for x, limit in zip(unit, plant.range, strict=True))
    if reward is not None:
        check_reward(reward, State(q, qd), plant.action_size)
    if known is not None and plant.known is not None:
        states = State(q[:, : plant.n], qd[:, : plant.n])  # without context
        check_equations(known, plant.known, states, plant.action_size)


def check_equations(option: str, given: MechanicalSystem, states: State, actions: int) -> None:
    """Refuse equations of motion that give no finite acceleration in any state.

    **Arguments:**

    - `option`: where the equations are from, for messages.
    - `given`: the equations.
    - `states`: the states at which they are tried, with a leading axis.
    - `actions`: number of actions.

    **Raises:** `UserError` that says whether the mass matrix is singular, and in which
    coordinate, or what is NaN.
    """
    chosen = [slice(None, None, max(1, len(states.q) // _STATES))] * 2
    q, qd = (jnp.asarray(x)[i] for x, i in zip(states, chosen, strict=True))
    action = jnp.zeros((len(q), actions))
    try:
        qdd = _each(given.forward_dynamics)(q, qd, action)
    except (eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError):  # of a linear solver
        qdd = jnp.nan * q
    if np.isfinite(qdd).all(axis=1).any():
        return
    masses = np.asarray(_each(given.lagrangian.mass_matrix)(q, qd), np.float64)
    at = f"at q = {_shown(q[0])}, qd = {_shown(qd[0])}"
    finite = masses[np.isfinite(masses).all(axis=(1, 2))]
    if len(finite) == 0:
        raise UserError(
            f"`{option}` gives a mass matrix with nan in every state that was tried, such as "
            f"{at}; a Lagrangian with finite second derivatives is accepted"
        )
    values, vectors = np.linalg.eigh(finite)
    sizes = np.abs(values)
    if np.all(sizes.min(axis=1) <= _SINGULAR * np.maximum(sizes.max(axis=1), 1e-30)):
        direction = vectors[0][:, int(np.argmin(sizes[0]))]
        number = int(np.argmax(np.abs(direction)))
        raise UserError(
            f"`{option}` has a singular mass matrix {at}: no kinetic energy goes with the "
            f"velocity of coordinate {number} (q{number}); give it mass, or leave the "
            "coordinate out"
        )
    raise UserError(
        f"`{option}` gives accelerations that are nan or infinite in every state that was "
        f"tried, such as {at}; finite ones are accepted"
    )


def check_reward(
    reward: Callable[..., Any], states: State, actions: int, option: str = "reward"
) -> None:
    """Refuse a reward that fails, has another shape than `()`, or is never finite.

    **Arguments:** as for `check_equations`; `reward`, of `(state, action, next_state)`.

    **Raises:** `UserError` if that is so.
    """
    state = State(*(jnp.asarray(x) for x in states))
    action = jnp.zeros((len(state.q), actions))
    accepted = "a function of (state, action, next_state) that returns one number is accepted"
    try:
        rewards = _each(reward)(state, action, state)
    except Exception as error:  # whatever the user's function raises
        raise UserError(
            f"`{option}` fails: {type(error).__name__}: {' '.join(str(error).split())[:200]}; "
            f"{accepted}"
        ) from error
    if np.shape(rewards) != (len(state.q),):
        raise UserError(
            f"`{option}` returns values of shape {np.shape(rewards)[1:]}; {accepted}"
        )
    if not np.isfinite(rewards).any():
        raise UserError(
            f"`{option}` returns {rewards[0]} in every state that was tried, such as q = "
            f"{_shown(state.q[0])}, qd = {_shown(state.qd[0])}; finite numbers are accepted"
        )


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """Apply a function of single states to each of several."""
    return eqx.filter_jit(lambda *arguments: jax.vmap(function)(*arguments))


def _shown(x: Float[np.ndarray, " n"] | jax.Array) -> str:
    return "[" + ", ".join(f"{float(each):.3g}" for each in x) + "]"
