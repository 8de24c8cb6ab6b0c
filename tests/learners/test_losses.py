import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from lagdyna.data import Experience
from lagdyna.learners import (
    ForwardLoss,
    InverseLoss,
    MultiStepLoss,
    OneStepLoss,
    PseudoHuberLoss,
    RewardLoss,
    step_scale,
)
from lagdyna.mechanics import Coordinates, State, ViscousDissipation
from lagdyna.models import GivenReward
from lagdyna.simulate import AbstractTransition

from ..helpers import PENDULUM, close, pendulum_system
from .recordings import (
    accelerations,
    errors_of,
    loss_of,
    recording,
    transition,
    true_reward,
    windows,
    with_friction,
)

UNIT = jax.device_put(State(np.ones(1), np.ones(1)))
ROWS = 40
scale_of = eqx.filter_jit(lambda rows: step_scale(rows, PENDULUM))


class Drift(AbstractTransition):
    """Transition that adds a constant change, whatever the action."""

    change: State
    coordinates: Coordinates = PENDULUM

    def step(self, state, action):
        return State(self.coordinates.wrap(state.q + self.change.q), state.qd + self.change.qd)


def drift(q: float = 0.0, qd: float = 0.0) -> Drift:
    return Drift(jax.device_put(State(np.asarray([q]), np.asarray([qd]))))


def still(q: float, qd: float, rows: int = 4) -> Experience:
    """Build transitions whose state does not change."""
    state = State(np.full((rows, 1), q), np.full((rows, 1), qd))
    rest = np.zeros((rows, 1)), np.zeros(rows), state, np.zeros(rows, bool)
    return jax.device_put(Experience(state, *rest))


def test_one_step_loss_of_the_true_simulator_is_zero():
    loss = OneStepLoss(scale_of(recording(0, ROWS)))
    true = loss_of(loss, transition(solver="tsit5"), recording(0, ROWS))
    np.testing.assert_allclose(true, 0, atol=1e-9)


def test_one_step_loss_of_predicting_no_change_is_one():
    loss = OneStepLoss(scale_of(recording(0, ROWS)))
    np.testing.assert_allclose(loss_of(loss, drift(), recording(0, ROWS)), 1, rtol=1e-5)


def test_one_step_loss_divides_each_error_by_its_own_scale():
    loss = OneStepLoss(jax.device_put(State(np.asarray([0.1]), np.asarray([2.0]))))
    got = loss_of(loss, drift(0.3, 8.0), still(0.5, 1.0))
    np.testing.assert_allclose(got, 0.5 * ((0.3 / 0.1) ** 2 + (8.0 / 2.0) ** 2), rtol=1e-5)


def test_one_step_loss_measures_angles_on_the_circle():
    # The drift wraps 3.1 to -3.08.
    got = loss_of(OneStepLoss(UNIT), drift(q=0.1), still(3.1, 0.0))
    np.testing.assert_allclose(got, 0.5 * 0.1**2, rtol=1e-4)


def test_multi_step_loss_of_the_true_simulator_is_zero():
    loss, batch = MultiStepLoss(UNIT), windows(0, ROWS, 5)
    np.testing.assert_allclose(loss_of(loss, transition(solver="tsit5"), batch), 0, atol=1e-9)


def test_multi_step_loss_of_windows_of_one_step_is_the_one_step_loss():
    rows = recording(0, ROWS)
    batch = jax.tree.map(lambda x: np.asarray(x)[:, None], rows), np.ones((ROWS, 1))
    one = loss_of(OneStepLoss(UNIT), drift(0.1, 0.2), rows)
    close(loss_of(MultiStepLoss(UNIT), drift(0.1, 0.2), jax.device_put(batch)), one, 1e-6)


def test_multi_step_loss_accumulates_errors_along_the_window():
    rows = still(0.5, 1.0)
    batch = jax.tree.map(lambda x: np.stack([x] * 3, axis=1), rows), np.ones((4, 3))
    got = loss_of(MultiStepLoss(UNIT), drift(qd=0.3), jax.device_put(batch))
    # Velocity errors are 0.3, 0.6 and 0.9; the angles, half of the loss, are exact.
    np.testing.assert_allclose(got, np.mean([0.09, 0.36, 0.81]) / 2, rtol=1e-5)


def test_multi_step_loss_is_the_mean_over_unmasked_steps():
    (experience, _), model = windows(0, 2, 3), drift(0.1, 0.2)
    mask = jnp.asarray([[1.0, 1, 0], [1, 0, 0]])
    got = loss_of(MultiStepLoss(UNIT), model, (experience, mask))
    errors = []
    difference = jax.jit(PENDULUM.difference)
    start, target = jax.tree.map(np.asarray, (experience.state, experience.next_state))
    for row, steps in enumerate([2, 1]):
        q, qd = start.q[row, 0], start.qd[row, 0]
        for t in range(steps):
            q, qd = q + 0.1, qd + 0.2  # whatever the action
            off = difference(q, target.q[row, t]).item(), (qd - target.qd[row, t]).item()
            errors.append(0.5 * (off[0] ** 2 + off[1] ** 2))
    np.testing.assert_allclose(got, np.mean(errors), rtol=1e-5)


@pytest.mark.parametrize("where", ["value", "gradient"])
def test_masked_steps_have_no_influence(where):
    experience, _ = windows(0, 2, 3)
    mask = jnp.asarray([[1.0, 1, 0], [1, 0, 0]])
    masked, unmasked = (jax.tree.map(np.array, experience) for _ in range(2))
    masked.action[1, 1:] = 0.9
    for part in masked.next_state:
        part[0, 2] = 3.0
    for part in unmasked.next_state:
        part[0, 1] = 3.0
    loss = MultiStepLoss(UNIT)
    ask = {"value": loss_of, "gradient": gradient_of_length}[where]
    before, hidden, seen = (
        ask(loss, transition(), (data, mask))
        for data in jax.device_put((experience, masked, unmasked))
    )
    assert before == hidden
    assert before != seen


class Exploding(AbstractTransition):
    """Transition that squares the velocity, so that a long window overflows."""

    factor: Array
    coordinates: Coordinates = PENDULUM

    def step(self, state, action):
        return State(state.q, self.factor * state.qd**2)


def test_an_overflow_beyond_the_mask_leaves_loss_and_gradient_finite():
    data = jax.tree.map(lambda x: np.asarray(x)[None], still(0.0, 1e6, rows=9))
    mask = (np.arange(9) < 2).astype(float)[None]
    model, loss = Exploding(jnp.asarray(1e-5)), MultiStepLoss(UNIT)
    masked, whole = jax.device_put(((data, mask), (data, np.ones((1, 9)))))
    assert np.isfinite(loss_of(loss, model, masked))
    assert np.isfinite(gradient_of(loss, model, masked).factor)
    assert not np.isfinite(loss_of(loss, model, whole))


gradient_of = eqx.filter_jit(lambda loss, model, batch: eqx.filter_grad(loss)(model, batch))


def gradient_of_length(loss, model, batch):
    return gradient_of(loss, model, batch).field.system.lagrangian.length


@pytest.mark.parametrize("loss", [ForwardLoss, InverseLoss])
def test_loss_of_the_true_system_is_zero_with_and_without_friction(loss):
    free, data = pendulum_system(), accelerations(0, ROWS)
    friction = ViscousDissipation(jnp.asarray([0.5]))
    braked = eqx.tree_at(lambda s: s.dissipation, free, friction)
    for system, motion in [(free, data), (braked, with_friction(data))]:
        np.testing.assert_allclose(loss_of(loss(jnp.ones(1)), system, motion), 0, atol=1e-9)


def test_forward_loss_is_the_squared_error_of_acceleration_over_its_scale():
    data = accelerations(0, ROWS)
    qdd = jax.device_put(np.asarray(data.qdd) + np.float32(0.6))
    off = eqx.tree_at(lambda d: d.qdd, data, qdd)
    got = loss_of(ForwardLoss(jnp.asarray([3.0])), pendulum_system(), off)
    np.testing.assert_allclose(got, (0.6 / 3.0) ** 2, rtol=1e-4)


def test_inverse_loss_is_the_squared_error_of_force_over_its_scale():
    # With an inertia of 1/3, an acceleration error of 0.6 is a force error of 0.2.
    data = accelerations(0, ROWS)
    qdd = jax.device_put(np.asarray(data.qdd) + np.float32(0.6))
    off = eqx.tree_at(lambda d: d.qdd, data, qdd)
    got = loss_of(InverseLoss(jnp.asarray([0.5])), pendulum_system(), off)
    np.testing.assert_allclose(got, (0.2 / 0.5) ** 2, rtol=1e-4)


def test_reward_loss_is_the_squared_error_of_reward_over_its_scale():
    loss, data = RewardLoss(jnp.asarray(3.0)), recording(0, ROWS)
    off = GivenReward(lambda *x: 0.6 + true_reward(*x))
    np.testing.assert_allclose(loss_of(loss, GivenReward(true_reward), data), 0, atol=1e-9)
    np.testing.assert_allclose(loss_of(loss, off, data), (0.6 / 3.0) ** 2, rtol=1e-4)


def test_pseudo_huber_loss_is_linear_above_delta_and_quadratic_below():
    data, unit = recording(0, ROWS), RewardLoss(jnp.asarray(1.0))
    loss = PseudoHuberLoss(unit, delta=0.1)
    for off in (30.0, -30.0):
        far = loss_of(loss, GivenReward(lambda *x, off=off: off + true_reward(*x)), data)
        np.testing.assert_allclose(far, 30.0 - 0.1, rtol=1e-3)
    near = loss_of(loss, GivenReward(lambda *x: 0.005 + true_reward(*x)), data)
    np.testing.assert_allclose(near, 0.5 * 0.005**2 / 0.1, rtol=2e-2)
    assert loss_of(loss, GivenReward(true_reward), data) == pytest.approx(0, abs=1e-6)


def test_pseudo_huber_loss_has_equal_gradients_for_all_rows():
    """One row of four has a hundredfold error, which dominates the squared loss."""
    far = jnp.asarray([100.0, 1.0, 1.0, 1.0])
    rows = eqx.tree_at(lambda e: e.reward, still(0.0, 0.0), far)

    def gradient(loss):
        def of(known):
            return loss(GivenReward(lambda s, a, n: known), rows)

        return jax.jit(jax.grad(of))(0.0)

    squared = RewardLoss(jnp.asarray(1.0))
    np.testing.assert_allclose(gradient(PseudoHuberLoss(squared)), -1.0, rtol=1e-5)
    np.testing.assert_allclose(gradient(squared), -2 * 103 / 4, rtol=1e-5)


def test_pseudo_huber_loss_uses_the_norm_of_a_row_s_errors():
    """The loss is the mean norm of the errors of a row, for windows too."""
    for squared, batch in (
        (OneStepLoss(UNIT), still(0.5, 1.0)),
        (MultiStepLoss(UNIT), windows(0, ROWS, 5)),
    ):
        loss = PseudoHuberLoss(squared, delta=1e-6)
        rows = jax.vmap(lambda row, of=squared: of.errors(drift(0.3, 2.0), row))
        distances = np.linalg.norm(jax.jit(rows)(batch), axis=-1)
        got = loss_of(loss, drift(0.3, 2.0), batch)
        np.testing.assert_allclose(got, np.mean(distances), rtol=1e-4)


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan")])
def test_pseudo_huber_loss_requires_a_positive_delta(delta):
    with pytest.raises(ValueError, match="`delta` must be positive"):
        PseudoHuberLoss(OneStepLoss(UNIT), delta=delta)


def test_observed_errors_are_nan_beyond_the_end_of_a_window():
    experience, mask = windows(0, 3, 5)
    mask = np.array(mask)
    mask[0, 3:] = 0.0
    batch = experience, jax.device_put(mask)
    _, *both = errors_of(MultiStepLoss(UNIT), transition(), batch)
    errors, observed = map(np.asarray, both)
    np.testing.assert_array_equal(np.isnan(observed), [False] * 6 + [True] * 4)
    np.testing.assert_array_equal(observed[:6], errors[:6])
    np.testing.assert_array_equal(errors[6:], 0.0)
