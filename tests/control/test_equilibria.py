import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from lagdyna import UserError
from lagdyna.control import ActionBox, best_equilibrium, find_equilibrium
from lagdyna.mechanics import Limits, State
from lagdyna.models import GivenReward
from lagdyna.simulate import WorldModel

from ..helpers import pendulum_system
from .systems import LinearTransition, pendulum

BOX = ActionBox.unit(1)


@pytest.mark.parametrize("dynamics", [pendulum(), pendulum_system()], ids=["step", "system"])
def test_action_that_holds_a_configuration(dynamics):
    """Held: m g l/2 sin(q) = 5 sin(q) balances the torque 2 action."""
    found = find_equilibrium(dynamics, [0.3], BOX)
    np.testing.assert_array_equal(found.state.q, jnp.asarray([0.3]))
    np.testing.assert_array_equal(found.state.qd, [0.0])
    np.testing.assert_allclose(found.action, [-2.5 * np.sin(0.3)], rtol=1e-5)


def test_best_equilibrium_is_the_one_that_pays_most():
    """A pendulum rests at the top, at the bottom, and where a torque within limits holds it."""
    q = jnp.asarray([[2.9], [-0.4], [1.0]])
    step = State(jnp.asarray([0.1]), jnp.asarray([0.5]))

    @eqx.filter_jit
    def search(reward):
        world = WorldModel(pendulum(), GivenReward(reward))
        return best_equilibrium(world, q, actions=1, step=step)

    top, found = search(lambda state, action, after: jnp.cos(after.q[0]))
    assert bool(found)
    np.testing.assert_allclose(top.state.q, [0.0], atol=2e-3)
    # Runs over several seeds are sharded.
    mesh = jax.make_mesh((1,), ("seeds",))
    leaning, found = jax.shard_map(
        lambda goal: search(lambda state, action, after: -((after.q[0] - goal) ** 2)),
        mesh=mesh,
        in_specs=jax.P(),
        out_specs=jax.P(),
        check_vma=False,
    )(jnp.asarray(0.2))
    assert bool(found)
    np.testing.assert_allclose(leaning.state.q, [0.2], atol=0.02)
    np.testing.assert_allclose(leaning.action, -2.5 * np.sin(leaning.state.q), atol=2e-3)


class Falling(LinearTransition):
    """A body that no action holds."""

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        after = super().step(state, action)
        return State(after.q, after.qd + 1)


def test_what_falls_has_no_best_equilibrium():
    falling = Falling([[1.0, 0.1], [0.0, 1.0]], [[0.0], [0.1]])
    world = WorldModel(falling, GivenReward(lambda state, action, after: -(after.q[0] ** 2)))
    step = State(jnp.asarray([0.1]), jnp.asarray([0.5]))
    _, found = best_equilibrium(world, jnp.zeros((2, 1)), actions=1, step=step)
    assert not bool(found)


def test_goal_of_few_digits_is_the_equilibrium_beside_it():
    found = find_equilibrium(pendulum(), [3.14], ActionBox((-1e-3,), (1e-3,)))
    np.testing.assert_allclose(abs(found.state.q), [np.pi], rtol=1e-6)
    np.testing.assert_array_equal(found.action, [0.0])


def test_nearest_equilibrium_when_the_goal_needs_more_than_the_limit():
    edge = np.arcsin(1 / 2.5)  # where the largest action holds
    found = find_equilibrium(pendulum(), [edge + 0.05], BOX)
    assert edge - 0.1 < found.state.q[0] <= edge + 1e-4


def test_goal_that_nothing_holds_names_acceleration_and_nearest_equilibrium():
    with pytest.raises(UserError) as raised:
        find_equilibrium(pendulum_system(), [np.pi / 2], BOX)
    message = str(raised.value)
    assert "goal q=1.571" in message
    assert "q[0] accelerates at 9 rad/s^2" in message  # 3 (5 - 2)
    assert "nearest equilibrium found is q=" in message


@pytest.mark.parametrize("q", [[0.0, 0.0], [np.nan]])
def test_goals_that_are_no_configuration_are_refused(q):
    with pytest.raises(UserError, match="1 finite numbers are accepted"):
        find_equilibrium(pendulum(), q, BOX)


def test_goal_outside_of_the_limits_is_refused():
    line = LinearTransition(np.eye(2), np.ones((2, 1)))
    with pytest.raises(UserError, match=r"q\[0\]=3 is outside of the limits; -2 to 2"):
        find_equilibrium(line, [3.0], BOX, limits=Limits((2.0,), (1.0,)))


def test_box_of_another_number_of_actions_is_refused():
    line = LinearTransition(np.eye(2), np.ones((2, 1)))
    with pytest.raises(UserError, match="`box` has limits of 2 actions"):
        find_equilibrium(line, [0.0], ActionBox.unit(2))


def test_boxes_that_are_empty_are_refused():
    with pytest.raises(ValueError, match="each lower one below the upper one"):
        ActionBox((1.0,), (1.0,))
