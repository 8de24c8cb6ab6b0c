"""Loss of windows whose initial states are estimated through the model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from lagdyna.data import Experience
from lagdyna.learners import EstimatedStartLoss, MultiStepLoss
from lagdyna.mechanics import Coordinates, State
from lagdyna.simulate import AbstractTransition

from .recordings import errors_of

LINEAR = Coordinates((False,))
SCALE = State(jnp.asarray([2.0]), jnp.asarray([0.5]))


class Braked(AbstractTransition):
    """Body whose velocity falls by a factor in each step."""

    factor: Float[Array, ""]
    coordinates: Coordinates = LINEAR

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        return State(state.q + 0.1 * state.qd, self.factor * state.qd)


def windows(count: int, length: int, noise: float) -> tuple[Experience, Float[Array, "..."]]:
    """Record a body that loses a tenth of its velocity in each step."""
    rng = np.random.default_rng(0)
    qd = rng.normal(size=(count, 1)) * 0.9 ** np.arange(length + 1)
    q = np.cumsum(np.pad(0.1 * qd[:, :-1], ((0, 0), (1, 0))), axis=1)
    q, qd = (x + noise * rng.normal(size=x.shape) for x in (q, qd))
    before, after = (
        jax.device_put(State(q[:, part, None], qd[:, part, None]))
        for part in (slice(None, -1), slice(1, None))
    )
    shape = (count, length)
    rest = np.zeros((*shape, 1)), np.zeros(shape), after, np.zeros(shape, bool)
    return jax.device_put((Experience(before, *rest), np.ones(shape)))


@pytest.mark.usefixtures("x64")
def test_the_loss_is_that_of_the_best_initial_state() -> None:
    """Of a linear system, by least squares over the initial state."""
    model, (window, mask) = Braked(jnp.asarray(0.8)), windows(3, 5, 0.3)
    loss = EstimatedStartLoss(MultiStepLoss(SCALE))
    powers = 0.8 ** np.arange(6)
    moved = 0.1 * np.concatenate([[0], np.cumsum(powers[:-1])])
    # Rows of q, then of qd, at all six times, as functions of the initial q and qd.
    design = np.concatenate(
        [np.stack([np.ones(6), moved], 1) / 2, np.stack([np.zeros(6), powers], 1) / 0.5]
    )
    expected = []
    for i in range(3):
        q, qd = (
            np.concatenate([first[i, :1, 0], rest[i, :, 0]])
            for first, rest in zip(
                *map(np.asarray, (window.state, window.next_state)), strict=True
            )
        )
        target = np.concatenate([q / 2, qd / 0.5])
        best = np.linalg.lstsq(design, target, rcond=None)[0]
        expected.append(np.sum((target - design @ best) ** 2) / (2 * 5))
    value, errors, _ = errors_of(loss, model, (window, mask))
    assert float(value) == pytest.approx(np.mean(expected))
    assert np.sum(np.asarray(errors) ** 2) == pytest.approx(expected[0])


@pytest.mark.usefixtures("x64")
def test_noise_does_not_bias_a_parameter() -> None:
    data = windows(400, 6, 0.5)
    factors = np.linspace(0.6, 1.0, 41)

    def best(loss: EstimatedStartLoss | MultiStepLoss) -> float:
        losses = jax.jit(jax.vmap(lambda factor: loss(Braked(factor), data)))(factors)
        return factors[np.argmin(np.asarray(losses))]

    plain = MultiStepLoss(State(jnp.ones(1), jnp.ones(1)))
    assert best(plain) < 0.85
    assert best(EstimatedStartLoss(plain)) == pytest.approx(0.9, abs=0.025)


def test_states_beyond_the_end_of_a_window_are_missing() -> None:
    window, _ = windows(1, 3, 0.1)
    loss = EstimatedStartLoss(MultiStepLoss(SCALE))
    batch = window, jnp.asarray([[1.0, 1.0, 0.0]])
    _, _, errors = errors_of(loss, Braked(jnp.asarray(0.9)), batch)
    np.testing.assert_array_equal(np.isnan(errors), [False] * 6 + [True] * 2)
