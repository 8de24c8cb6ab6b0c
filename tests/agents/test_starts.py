import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.agents import mixed_starts, uniform_states
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import State

reaches = st.lists(
    st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=3
)


@given(reaches, st.integers(0, 10_000))
def test_uniform_states_fill_their_box(reach: list[tuple[float, float]], seed: int) -> None:
    positions, velocities = zip(*reach, strict=True)
    drawn = uniform_states(jax.random.key(seed), 500, positions, velocities)
    for values, limits in ((drawn.q, positions), (drawn.qd, velocities)):
        unit = np.asarray(values) / np.asarray(limits)
        assert unit.shape == (500, len(reach))
        assert np.all(np.abs(unit) <= 1 + 1e-6)
        # The largest of 500 falls short of 0.9 once in 10^11 draws; the mean of as many
        # uniforms is within five of its standard deviations of 0.
        assert np.all(unit.max(axis=0) > 0.9)
        assert np.all(unit.min(axis=0) < -0.9)
        assert np.all(np.abs(unit.mean(axis=0)) < 5 / np.sqrt(3 * 500))


def test_coordinates_are_drawn_independently() -> None:
    drawn = uniform_states(jax.random.key(0), 4000, (1.0, 1.0), (1.0, 1.0))
    columns = np.concatenate([drawn.q, drawn.qd], axis=1)
    np.testing.assert_allclose(np.corrcoef(columns.T), np.eye(4), atol=0.08)


def a_buffer(filled: int) -> ReplayBuffer:
    """States that lie far outside the box of the uniform ones, entry `i` at `100 + i`."""
    places = 100.0 + jnp.arange(float(filled))[:, None]
    experience = Experience(
        State(places, -places),
        jnp.zeros((filled, 1)),
        jnp.zeros(filled),
        State(places + 0.5, places),
        jnp.zeros(filled, bool),
    )
    return ReplayBuffer.empty(10, 1, 1).add(experience, jnp.asarray(0))


@pytest.mark.parametrize(("batch", "uniform"), [(8, 0), (8, 6), (8, 8), (1, 1), (1, 0)])
def test_the_mix_has_the_proportions_asked_for(batch: int, uniform: int) -> None:
    starts = mixed_starts(jax.random.key(0), a_buffer(4), batch, uniform, (3.0,), (8.0,))
    assert starts.q.shape == starts.qd.shape == (batch, 1)
    replayed = np.asarray(starts.q[:, 0]) >= 100
    assert replayed.sum() == batch - uniform
    assert np.all(np.abs(starts.q[~replayed]) <= 3)
    assert np.all(np.abs(starts.qd[~replayed]) <= 8)
    # Replayed ones are states that were stored, position and velocity of the same entry.
    np.testing.assert_array_equal(starts.q[replayed], -starts.qd[replayed])


def test_replayed_starts_are_of_everything_stored_and_nothing_else() -> None:
    starts = mixed_starts(jax.random.key(1), a_buffer(4), 200, 0, (3.0,), (8.0,))
    assert set(np.asarray(starts.q[:, 0])) == {100.0, 101.0, 102.0, 103.0}


def test_replayed_and_uniform_starts_share_no_randomness() -> None:
    """A key that is used twice would draw the same places in box and buffer."""
    one = mixed_starts(jax.random.key(0), a_buffer(10), 2000, 1000, (1.0,), (1.0,))
    replayed, drawn = np.asarray(one.q[:1000, 0]), np.asarray(one.q[1000:, 0])
    assert abs(np.corrcoef(replayed, drawn)[0, 1]) < 0.15
