import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, Float, Scalar

from lagdyna.agents import mixed_starts, promising_states, pushed_states, uniform_states
from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import Coordinates, State
from lagdyna.simulate import AbstractTransition

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


def test_some_starts_are_chosen_from_what_is_given() -> None:
    given = State(jnp.asarray([[-50.0], [-51.0]]), jnp.asarray([[1.0], [2.0]]))
    box = ((3.0,), (8.0,))
    more = jax.tree.map(lambda x: x[:1] - 20, given)
    starts = mixed_starts(
        jax.random.key(0), a_buffer(4), 45, 10, *box, others=((given, 20), (more, 5))
    )
    q = np.asarray(starts.q[:, 0])
    assert (q[:10] >= 100).all()
    assert (np.abs(q[10:20]) <= 3).all()
    assert set(q[20:40]) == {-50.0, -51.0}
    np.testing.assert_array_equal(starts.qd[20:40, 0], -49.0 - q[20:40])
    assert (q[40:] == -70).all()


def test_some_starts_are_where_an_episode_began() -> None:
    """Two episodes of four entries each; of the first of each there are a tenth as many."""
    buffer = a_buffer(8)
    buffer = eqx.tree_at(lambda b: b.episode, buffer, jnp.arange(10) // 4)
    starts = mixed_starts(jax.random.key(0), buffer, 40, 10, (3.0,), (8.0,), initial=20)
    q = np.asarray(starts.q[:, 0])
    assert q.shape == (40,)
    assert (q[:10] >= 100).all()
    assert len(set(q[:10])) > 2
    assert (np.abs(q[10:20]) <= 3).all()
    assert set(q[20:]) == {100.0, 104.0}


def test_where_no_episode_is_known_to_begin_any_state_will_do() -> None:
    """The one that there is began with what has made room."""
    buffer = eqx.tree_at(lambda b: b.added, a_buffer(10), jnp.asarray(13))
    assert not buffer.first.any()
    starts = mixed_starts(jax.random.key(0), buffer, 100, 0, (3.0,), (8.0,), initial=100)
    assert len(set(np.asarray(starts.q[:, 0]))) == 10


@pytest.mark.parametrize(
    ("uniform", "other", "initial"), [(5, 4, 0), (9, 0, 0), (0, 9, 0), (3, 3, 3)]
)
def test_more_starts_than_there_can_be_are_refused(
    uniform: int, other: int, initial: int
) -> None:
    given = State(jnp.ones((2, 1)), jnp.ones((2, 1)))
    others = ((given, other // 2), (given, other - other // 2))
    with pytest.raises(
        ValueError, match=f"{uniform} uniform, {initial} initial and {other} other"
    ):
        mixed_starts(
            jax.random.key(0),
            a_buffer(4),
            8,
            uniform,
            (3.0,),
            (8.0,),
            initial=initial,
            others=others,
        )


BOX = ((3.0, 1.0), (8.0, 2.0))
BEST = np.asarray([1.0, -0.5])


def nearness(state: State) -> Scalar:
    """Best at rest in one place."""
    return -jnp.sum((state.q - BEST) ** 2) - 0.1 * jnp.sum(state.qd**2)


@given(seed=st.integers(0, 10_000), rounds=st.integers(1, 12))
def test_promising_states_lie_in_the_box_and_are_as_many_as_asked_for(
    seed: int, rounds: int
) -> None:
    drawn = promising_states(jax.random.key(seed), 5, *BOX, nearness, choices=3, rounds=rounds)
    for x, reach in zip(drawn, BOX, strict=True):
        assert x.shape == (5, 2)
        assert (np.abs(x) <= np.asarray(reach)).all()


def test_promising_states_are_near_the_best_one_and_at_all_distances_from_it() -> None:
    drawn = promising_states(jax.random.key(0), 500, *BOX, nearness)
    distances = np.linalg.norm(np.asarray(drawn.q) - BEST, axis=1)
    anywhere = uniform_states(jax.random.key(0), 500, *BOX)
    usual = np.linalg.norm(np.asarray(anywhere.q) - BEST, axis=1)
    assert np.median(distances) < 0.2 * np.median(usual)
    assert np.quantile(distances, 0.1) < 0.05
    assert np.quantile(distances, 0.9) > 0.3


def test_a_promising_state_is_better_the_longer_it_was_searched_for() -> None:
    def worth(choices: int, rounds: int) -> float:
        keys = jax.random.key(1), 300, *BOX
        drawn = promising_states(*keys, nearness, choices=choices, rounds=rounds)
        return float(jnp.mean(jax.vmap(nearness)(drawn)))

    assert worth(8, 1) < worth(8, 4) < worth(8, 12)
    assert worth(1, 6) < worth(4, 6) < worth(16, 6)


def test_promising_states_are_slower_than_what_they_were_found_for() -> None:
    def fast(state: State) -> Scalar:
        return jnp.sum(jnp.abs(state.qd))

    drawn = promising_states(jax.random.key(0), 500, *BOX, fast)
    speeds = np.abs(drawn.qd) / np.asarray(BOX[1])
    assert 0.4 < speeds.mean() < 0.6  # half of nearly all there is
    assert speeds.min() < 0.05


def test_what_is_worth_no_number_is_not_chosen() -> None:
    def broken(state: State) -> Scalar:
        return jnp.where(state.q[0] > 0, jnp.nan, state.q[0])

    drawn = promising_states(jax.random.key(0), 50, *BOX, broken)
    assert (drawn.q[:, 0] <= 0).all()


class Pushed(AbstractTransition):
    """A mass whose velocity an action changes, and which nobody can follow beyond 30."""

    coordinates: Coordinates = Coordinates((False,))

    def step(self, state: State, action: Float[Array, " m"]) -> State:
        qd = state.qd + action
        return State(jnp.where(state.q + qd > 30, jnp.nan, state.q + qd), qd)


def test_pushed_states_are_where_actions_lead_to() -> None:
    starts = State(jnp.full((500, 1), 2.0), jnp.zeros((500, 1)))
    limits = ((25.0,), (6.0,))
    options = {"actions": 12, "hold": 4.0}
    q, qd = pushed_states(jax.random.key(0), starts, Pushed(), 1, limits, **options)
    q, qd = np.asarray(q[:, 0]), np.asarray(qd[:, 0])
    assert (np.abs(q) <= 25).all()
    assert (np.abs(qd) <= 6).all()
    # One in twelve is not pushed at all, 42 of 500; four standard deviations are 25.
    still = (q == 2) & (qd == 0)
    assert 17 <= still.sum() <= 67
    # Of those that were pushed once a third has full force: position and velocity say so.
    assert (np.abs(qd) == 1).any()
    assert qd.min() < -4
    assert qd.max() > 4
    # An action that changed with every step would go no further than its square root.
    kicked = pushed_states(jax.random.key(0), starts, Pushed(), 1, limits, actions=12, hold=1.0)
    assert np.std(np.asarray(kicked.qd)) < 0.8 * np.std(qd)


def test_who_can_go_nowhere_stays() -> None:
    starts = State(jnp.full((20, 1), 29.9), jnp.full((20, 1), 5.0))
    limits = ((1e6,), (1e6,))
    q, qd = pushed_states(jax.random.key(0), starts, Pushed(), 1, limits)
    np.testing.assert_array_equal(q, starts.q)
    np.testing.assert_array_equal(qd, starts.qd)


def test_what_tells_of_the_episode_and_does_not_move_is_no_hindrance() -> None:
    class Told(Pushed):
        """With a second coordinate that stays what it is, as a target does."""

        coordinates: Coordinates = Coordinates((False, False))

        def step(self, state: State, action: Float[Array, " m"]) -> State:
            moved = super().step(State(state.q[:1], state.qd[:1]), action)
            return State(
                jnp.concatenate([moved.q, state.q[1:]]),
                jnp.concatenate([moved.qd, state.qd[1:]]),
            )

    starts = State(jnp.full((50, 2), 2.0), jnp.zeros((50, 2)))
    limits = ((25.0, 0.0), (6.0, 0.0))
    q, _ = pushed_states(jax.random.key(0), starts, Told(), 1, limits)
    assert (np.asarray(q[:, 0]) != 2).mean() > 0.8
    np.testing.assert_array_equal(q[:, 1], 2.0)
