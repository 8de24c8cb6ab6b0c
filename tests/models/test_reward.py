import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagdyna.mechanics import Coordinates, State
from lagdyna.models import GivenReward, RewardNetwork

from ..helpers import close, normals, randomised, shape_of

MIXED = Coordinates((True, False))
LIMITS = (8.0, 2.0)


def learned(seed: int = 0) -> RewardNetwork:
    model = randomised(shape_of(RewardNetwork, MIXED, 1, LIMITS, hidden=(6,)), seed, 0.3)
    unit = jnp.zeros(()), jnp.ones(())
    return eqx.tree_at(lambda m: (m.location, m.scale), model, unit)


def transition(seed: int = 1) -> tuple[State, jax.Array, State]:
    numbers = normals(seed, 9)
    return State(numbers[:2], numbers[2:4]), numbers[4:5], State(numbers[5:7], numbers[7:])


def _effort(state, action, next_state):
    return -jnp.sum(action**2) - next_state.q[0] ** 2 + state.qd[1]


def test_a_given_reward_equals_its_function():
    state, action, after = transition()
    expected = -(float(action[0]) ** 2) - float(after.q[0]) ** 2 + float(state.qd[1])
    np.testing.assert_allclose(GivenReward(_effort)(state, action, after), expected, rtol=1e-6)


def test_a_given_reward_has_no_trainable_leaves():
    assert jax.tree.leaves(GivenReward(_effort)) == []


pay = eqx.filter_jit(lambda model, *x: model(*x))
gradient = eqx.filter_jit(eqx.filter_grad(lambda model, x: model(*x)))


def test_a_learned_reward_is_a_number_in_the_precision_of_the_data(tolerance):
    reward = pay(learned(), *transition())
    assert reward.shape == ()
    assert reward.dtype == normals(0).dtype


def test_a_learned_reward_is_periodic_in_angles(x64):
    state, action, after = transition()
    turned = State(after.q + jnp.asarray([2 * jnp.pi, 0.0]), after.qd)
    moved = State(after.q + jnp.asarray([0.0, 2 * jnp.pi]), after.qd)
    reward = pay(learned(), state, action, after)
    close(pay(learned(), state, action, turned), reward, 1e-12)
    assert abs(pay(learned(), state, action, moved) - reward) > 1e-3


def test_location_and_scale_shift_and_stretch_the_reward(tolerance):
    model = learned()
    stretched = eqx.tree_at(
        lambda m: (m.location, m.scale), model, (jnp.asarray(-5.0), jnp.asarray(3.0))
    )
    x = transition()
    close(pay(stretched, *x), -5 + 3 * pay(model, *x), tolerance)


def test_the_network_is_trained_and_location_and_scale_are_not():
    slopes = gradient(learned(), transition())
    assert (slopes.location, slopes.scale) == (0, 0)
    assert all((np.asarray(w) != 0).any() for w in jax.tree.leaves(slopes.network))


def test_the_linear_part_represents_quadratic_costs(x64):
    # A quadratic cost does not need the hidden layers.
    state, action, after = transition()
    model = randomised(learned(), 0, 0.0)
    embedding = MIXED.embedding_size
    skip = np.zeros(model.network.skip.shape)
    skip[0, 1] = -0.5  # the action, squared
    speeds = 2 + 2 * (embedding + 4) - 2
    skip[0, speeds:] = -1.0  # the next state's velocities over their scale, squared
    model = eqx.tree_at(
        lambda m: (m.network.skip, m.scale), model, (jnp.asarray(skip), jnp.ones(()))
    )
    expected = -0.5 * action[0] ** 2 - jnp.sum((after.qd / jnp.asarray(LIMITS)) ** 2)
    close(pay(model, state, action, after), expected, 1e-12)


def test_the_reward_of_an_arm_depends_on_the_distance_to_its_target() -> None:
    arm = Coordinates((True, True, False, False), link_lengths=(0.3, 0.1))
    reward = randomised(shape_of(RewardNetwork, arm, 2, (1.0,) * 4, hidden=(6,)), 1, 0.5)
    still, action = np.zeros(4), jnp.asarray([0.3, -0.2])

    def at(*q: float) -> float:
        state = State(jnp.asarray(q), jnp.asarray(still))
        return float(reward(state, action, state))

    # The tip is at (-0.1, 0.3), then at (0, 0.4); each time 0.05 from the target.
    near = at(np.pi / 2, np.pi / 2, -0.05, 0.3)
    assert at(np.pi / 2, 0.0, 0.03, 0.44) == pytest.approx(near, rel=1e-4)
    assert at(np.pi / 2, 0.0, 0.1, 0.4) != pytest.approx(near, rel=1e-2)
