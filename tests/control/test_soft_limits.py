"""Costs of states beyond their limits."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.control import ILQR, ActionBox, RewardCost, SoftLimits
from lagdyna.mechanics import State

from ..helpers import close
from .systems import LinearTransition


def cost() -> RewardCost:
    return RewardCost(lambda state, action: state.q[0] - 0.1 * action @ action)


def test_excess_counts_in_parts_of_half_the_range_or_of_the_only_limit():
    limited = SoftLimits(cost(), (-1.0, -np.inf), (3.0, 5.0), 2.0)
    state, action = State(jnp.asarray([4.0]), jnp.asarray([7.5])), jnp.zeros(1)
    close(limited.excess(state), jnp.asarray([0.5, 0.5]), 1e-6)
    inside = State(jnp.asarray([-0.9]), jnp.asarray([-100.0]))
    close(limited.excess(inside), jnp.zeros(2), 1e-6)
    added = limited.stage(state, action) - cost().stage(state, action)
    assert float(added) == pytest.approx(2 * (0.25 + 0.25))
    assert float(limited.final(state)) == pytest.approx(1.0)
    below = State(jnp.asarray([-3.0]), jnp.asarray([0.0]))
    assert float(limited.excess(below)[0]) == pytest.approx(1.0)


def test_expansions_are_derivatives_of_the_costs():
    limited = SoftLimits.symmetric(cost(), (1.0, 0.0), 3.0)
    z = jnp.asarray([-1.7, 40.0, 0.3])

    def stage(z: jax.Array) -> jax.Array:
        return limited.stage(State(z[:1], z[1:2]), z[2:])

    @jax.jit  # operation by operation, it compiles a hundred programs
    def expanded(z: jax.Array):
        state = State(z[:1], z[1:2])
        expansions = limited.expand_stage(state, z[2:]), limited.expand_final(state)
        of_final = jax.grad(lambda x: limited.final(State(x[:1], x[1:])))(z[:2])
        return expansions, (jax.grad(stage)(z), jax.hessian(stage)(z), of_final)

    (expansion, final), (gradient, hessian, of_final) = expanded(z)
    close(expansion.gradient, gradient, 1e-5)
    close(expansion.hessian, hessian, 1e-5)
    close(final.gradient, of_final, 1e-5)
    close(final.hessian[0, 0], jnp.asarray(6.0), 1e-5)


def test_plans_stay_near_their_limits():
    """A cart is rewarded for going right, and may not go beyond 1 m or faster than 0.5 m/s."""
    cart = LinearTransition([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]])
    limited = SoftLimits.symmetric(cost(), (1.0, 0.5), 1e4)
    start = State(jnp.zeros(1), jnp.zeros(1))
    solve = eqx.filter_jit(ILQR(ActionBox.unit(1)).solve)
    plan = solve(cart, limited, start, jnp.zeros((60, 1)))
    assert float(jnp.max(plan.states.qd)) == pytest.approx(0.5, abs=0.02)
    assert float(jnp.max(plan.states.q)) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("lower", "upper"), [((0.0, 0.0), (1.0,)), ((1.0, 0.0), (1.0, 1.0)), ((np.nan,), (1.0,))]
)
def test_limits_that_contradict_are_refused(lower, upper):
    with pytest.raises(ValueError, match="each lower one below the upper one"):
        SoftLimits(cost(), lower, upper)
