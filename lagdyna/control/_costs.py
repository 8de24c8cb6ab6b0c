import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from .._errors import UserError
from ..mechanics import Coordinates, State
from ._equilibria import Equilibrium
from ._vectors import to_state, to_vector
from ._weights import Weights, weight_matrix


class Quadratic(NamedTuple):
    """Quadratic model `g' z + z' H z / 2` of a change of cost, with `H` positive semidefinite.

    **Attributes:**

    - `gradient`: `g`, shape `(k,)`.
    - `hessian`: `H`, shape `(k, k)`.
    """

    gradient: Float[Array, "*batch k"]
    hessian: Float[Array, "*batch k k"]


class AbstractCost(eqx.Module):
    """Cost of a motion: the sum of the costs of its steps and of its last state."""

    @abc.abstractmethod
    def stage(self, state: State, action: Float[Array, " m"]) -> Scalar:
        """Compute the cost of a state and the action taken in it."""

    @abc.abstractmethod
    def final(self, state: State) -> Scalar:
        """Compute the cost of the last state."""

    @abc.abstractmethod
    def expand_stage(self, state: State, action: Float[Array, " m"]) -> Quadratic:
        """Approximate `stage` by a convex function of changes of `(q, qd, action)`."""

    @abc.abstractmethod
    def expand_final(self, state: State) -> Quadratic:
        """Approximate `final` by a convex function of changes of `(q, qd)`."""


class GoalCost(AbstractCost):
    """Quadratic cost of the distance from a goal, `x' Q x + u' R u` and `x' F x` at the end.

    `u` is the difference from the action that holds the goal. `x` has velocities, and
    differences of coordinates; for an angle, the chord `2 sin(d/2)` of the difference `d`,
    which is smooth on the whole circle. Curvatures are those of Gauss and Newton.

    **Arguments:**

    - `goal`: from [`lagdyna.control.find_equilibrium`][].
    - `coordinates`: which coordinates are angles.
    - `state_weights`: `Q`: one number, `2 n` for coordinates and velocities, or a matrix.
    - `action_weights`: `R`, likewise with `m`.
    - `final_weights`: `F`, likewise with `2 n`.

    **Raises:** [`lagdyna.UserError`][] for weights of another shape or sign.
    """

    goal: Equilibrium
    coordinates: Coordinates
    state_weights: Float[Array, "two_n two_n"]
    action_weights: Float[Array, "m m"]
    final_weights: Float[Array, "two_n two_n"]

    def __init__(
        self,
        goal: Equilibrium,
        coordinates: Coordinates,
        *,
        state_weights: Weights = 0.0,
        action_weights: Weights = 0.01,
        final_weights: Weights = 100.0,
    ):
        size, dtype = 2 * coordinates.n, goal.state.q.dtype
        m = goal.action.shape[0]
        self.goal = goal
        self.coordinates = coordinates
        q = weight_matrix("state_weights", state_weights, size)
        r = weight_matrix("action_weights", action_weights, m)
        final = weight_matrix("final_weights", final_weights, size)
        self.state_weights, self.action_weights, self.final_weights = (
            jnp.asarray(x, dtype) for x in (q, r, final)
        )

    def stage(self, state: State, action: Float[Array, " m"]) -> Scalar:
        x, u = self._distance(state)[0], action - self.goal.action
        return x @ self.state_weights @ x + u @ self.action_weights @ u

    def final(self, state: State) -> Scalar:
        x, _ = self._distance(state)
        return x @ self.final_weights @ x

    def expand_stage(self, state: State, action: Float[Array, " m"]) -> Quadratic:
        x, slope = self._distance(state)
        u = action - self.goal.action
        gradient = 2 * jnp.concatenate(
            [slope * (self.state_weights @ x), self.action_weights @ u]
        )
        hessian = jax.scipy.linalg.block_diag(
            2 * jnp.outer(slope, slope) * self.state_weights, 2 * self.action_weights
        )
        return Quadratic(gradient, hessian)

    def expand_final(self, state: State) -> Quadratic:
        x, slope = self._distance(state)
        return Quadratic(
            2 * slope * (self.final_weights @ x),
            2 * jnp.outer(slope, slope) * self.final_weights,
        )

    def _distance(self, state: State) -> tuple[Float[Array, " two_n"], Float[Array, " two_n"]]:
        """Compute the distance from the goal and its derivative by the state."""
        goal, angles = self.goal.state, np.asarray(self.coordinates.angles)
        d = self.coordinates.difference(state.q, goal.q)
        distance = jnp.where(angles, 2 * jnp.sin(d / 2), d)
        slope = jnp.where(angles, jnp.cos(d / 2), 1.0)
        return (
            jnp.concatenate([distance, state.qd - goal.qd]),
            jnp.concatenate([slope, jnp.ones_like(d)]),
        )


class RewardCost(AbstractCost):
    """Cost of a motion that is to earn a high sum of rewards.

    Second derivatives are those of the reward, without directions in which the reward curves
    upwards.

    **Arguments:**

    - `reward`: maps a state and an action to a scalar; differentiable, in JAX.
    - `final_reward`: maps the last state to a scalar, such as an estimate of the rewards to
        come; none by default.

    **Raises:** [`lagdyna.UserError`][] when it is used, if a reward is no scalar.
    """

    reward: Callable[[State, Float[Array, " m"]], Scalar]
    final_reward: Callable[[State], Scalar] | None = None

    def stage(self, state: State, action: Float[Array, " m"]) -> Scalar:
        return -_scalar(self.reward(state, action), "`reward`")

    def final(self, state: State) -> Scalar:
        if self.final_reward is None:
            return jnp.zeros((), state.q.dtype)
        return -_scalar(self.final_reward(state), "`final_reward`")

    def expand_stage(self, state: State, action: Float[Array, " m"]) -> Quadratic:
        size = 2 * state.q.shape[0]
        return _expand(
            lambda z: self.stage(to_state(z[:size]), z[size:]),
            jnp.concatenate([to_vector(state), action]),
        )

    def expand_final(self, state: State) -> Quadratic:
        x = to_vector(state)
        if self.final_reward is None:
            return Quadratic(jnp.zeros_like(x), jnp.zeros((len(x), len(x)), x.dtype))
        return _expand(lambda z: self.final(to_state(z)), x)


def _scalar(value: object, name: str) -> Scalar:
    """Check that a user's function returned a scalar."""
    array = jnp.asarray(value)
    if array.shape != () or not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(
            f"{name} returned an array of shape {array.shape} and type {array.dtype}; a scalar "
            "of floating point is accepted"
        )
    return array


def _expand(function: Callable[[Array], Scalar], z: Float[Array, " k"]) -> Quadratic:
    """Expand a function to second order, and drop the negative curvature."""
    gradient = jax.grad(function)
    values, vectors = jnp.linalg.eigh(jax.jacfwd(gradient)(z))
    return Quadratic(gradient(z), (vectors * jnp.maximum(values, 0)) @ vectors.T)
