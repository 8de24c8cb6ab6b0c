"""Simulation and expansion of a planning problem."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Scalar

from ..mechanics import State
from ..simulate import AbstractTransition
from ._action_box import ActionBox
from ._backward import Policy
from ._costs import AbstractCost, Quadratic
from ._linearise import LinearDynamics, linearise
from ._vectors import difference, displace, to_vector


class Iterate(NamedTuple):
    """State of the optimisation.

    **Attributes:** `first`, the magnitude of the first cost; `moved`, whether `expansion` is of
    an earlier iterate; `weight`, of the defects in the merit; `growth`, the last factor of
    the regularisation.
    """

    states: State
    actions: Float[Array, "time m"]
    defects: Float[Array, "time two_n"]
    cost: Scalar
    first: Scalar
    expansion: tuple[LinearDynamics, Quadratic, Quadratic]
    moved: Bool[Array, ""]
    weight: Scalar
    regularisation: Scalar
    growth: Scalar
    iteration: Int[Array, ""]
    status: Int[Array, ""]


class Trials(NamedTuple):
    """Rollouts of several lengths of a step, and the model of the cost along it.

    **Attributes:** `linear` and `quadratic`, the coefficients of the length `a` in the
    predicted change of cost `a linear + a^2 quadratic / 2`.
    """

    states: State
    actions: Float[Array, "lengths time m"]
    costs: Float[Array, " lengths"]
    linear: Scalar
    quadratic: Scalar


class Problem(NamedTuple):
    """Model, cost and limits."""

    transition: AbstractTransition
    cost: AbstractCost
    box: ActionBox

    def cost_of(self, states: State, actions: Float[Array, "time m"]) -> Scalar:
        before, last = _split(states)
        return jnp.sum(jax.vmap(self.cost.stage)(before, actions)) + self.cost.final(last)

    def defects(
        self, states: State, actions: Float[Array, "time m"]
    ) -> Float[Array, "time two_n"]:
        before, _ = _split(states)
        after = jax.tree.map(lambda x: x[1:], states)
        return difference(
            self.transition.coordinates, self.transition.steps(before, actions), after
        )

    def expand(
        self, states: State, actions: Float[Array, "time m"]
    ) -> tuple[LinearDynamics, Quadratic, Quadratic]:
        before, last = _split(states)
        linear = jax.vmap(lambda s, u: linearise(self.transition, s, u))(before, actions)
        stage = jax.vmap(self.cost.expand_stage)(before, actions)
        return linear, stage, self.cost.expand_final(last)

    def trials(
        self,
        it: Iterate,
        expansion: tuple[LinearDynamics, Quadratic, Quadratic],
        policy: Policy,
        lengths: Float[Array, " lengths"],
    ) -> Trials:
        """Simulate the policy with several lengths of its step, and its linear model."""
        linear, stage, final = expansion
        coordinates = self.transition.coordinates
        before, last = _split(it.states)

        def body(carry: tuple, step: tuple) -> tuple[tuple, tuple]:
            states, costs, x, slope, curve = carry
            state, action, defect, k, gain, (a, b), (gradient, hessian) = step

            def advance(length: Scalar, now: State) -> tuple[State, Array, Scalar]:
                change = length * k + gain @ difference(coordinates, now, state)
                u = self.box.clip(action + change)
                after = self.transition.step(now, u)
                after = displace(coordinates, after, (length - 1) * defect)
                return after, u, self.cost.stage(now, u)

            following, actions, stages = jax.vmap(advance)(lengths, states)
            u = k + gain @ x
            z = jnp.concatenate([x, u])
            slope, curve = slope + gradient @ z, curve + z @ hessian @ z
            return (following, costs + stages, a @ x + b @ u + defect, slope, curve), (
                following,
                actions,
            )

        size, zero = to_vector(last).shape[0], jnp.zeros((), it.cost.dtype)
        begin = jax.tree.map(
            lambda x: jnp.broadcast_to(x[0], (len(lengths), *x.shape[1:])), it.states
        )
        carry = (begin, 0 * lengths, jnp.zeros(size, it.cost.dtype), zero, zero)
        (end, costs, x, slope, curve), (states, actions) = jax.lax.scan(
            body, carry, (before, it.actions, it.defects, *policy[:2], linear, stage)
        )
        states = jax.tree.map(
            lambda first, rest: jnp.moveaxis(jnp.concatenate([first[None], rest]), 1, 0),
            begin,
            states,
        )
        return Trials(
            states,
            jnp.moveaxis(actions, 1, 0),
            costs + jax.vmap(self.cost.final)(end),
            slope + final.gradient @ x,
            curve + x @ final.hessian @ x,
        )


def _split(states: State) -> tuple[State, State]:
    """Return all states but the last, and the last."""
    return jax.tree.map(lambda x: x[:-1], states), jax.tree.map(lambda x: x[-1], states)
