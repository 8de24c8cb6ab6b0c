"""Where imagined rollouts start."""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, PRNGKeyArray, Scalar

from lagdyna.agents import (
    AbstractStarts,
    HighRewardStarts,
    InitialStarts,
    MixedStarts,
    PooledStarts,
    ReplayedStarts,
    UniformStarts,
    high_reward_states,
    scattered_first_states,
    uniform_states,
)
from lagdyna.data import ReplayBuffer
from lagdyna.mechanics import Coordinates, Limits, State
from lagdyna.models import AbstractTermination, BoundTermination, GivenReward, NoTermination
from lagdyna.simulate import WorldModel

from ..helpers import identical
from .toys import numbered_buffer, swing, two_episodes

sides = st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=3)
BOX = Limits((3.0,), (8.0,))
NAMED = (ReplayedStarts(), UniformStarts(BOX), InitialStarts())


@eqx.filter_jit
def sampled(
    starts: AbstractStarts, buffer: ReplayBuffer, batch: int | None = None, seed: int = 0
) -> State:
    """Draw starts, as one program."""
    return starts.sample(jax.random.key(seed), buffer, batch)  # pyright: ignore


def _numpy(state: State) -> State:
    return State(np.asarray(state.q), np.asarray(state.qd))  # pyright: ignore


@pytest.mark.parametrize("angle", [False, True])
def test_first_states_are_scattered_as_much_as_they_differ(angle: bool) -> None:
    """Two episodes begin at positions 100 and 104, and velocities -100 and -104."""

    def drawn(buffer: ReplayBuffer) -> list[np.ndarray]:
        box, coordinates = Limits((1.0,), (10.0,)), Coordinates((angle,))
        key = jax.random.key(0)
        found = scattered_first_states(key, buffer, 20_000, coordinates, box)
        return [np.asarray(x)[:, 0] for x in found]

    # One episode: 0.3 % of the sampling range.
    q, qd = drawn(numbered_buffer(8))
    assert (q.mean(), q.std()) == pytest.approx((100, 0.003), rel=0.03)
    assert (qd.mean(), qd.std()) == pytest.approx((-100, 0.03), rel=0.03)
    # Two: also Scott's factor for two dimensions times half their distance, on either side.
    factor = 2 ** (-1 / 6)
    q, qd = drawn(two_episodes())
    noise = factor * 2 + 0.03
    assert qd.std() == pytest.approx(np.hypot(2, noise), rel=0.03)
    # The distance of angles is that of points on the unit circle: 4 rad are 2 sin(2).
    noise = factor * (np.sin(2) if angle else 2) + 0.003
    assert q.std() == pytest.approx(np.hypot(2, noise), rel=0.03)
    # Angles on both sides of a half turn are close together.
    turned = eqx.tree_at(
        lambda b: b.experience.state.q, two_episodes(), jnp.full((10, 1), np.pi - 0.01)
    )
    turned = eqx.tree_at(
        lambda b: b.experience.state.q, turned, turned.experience.state.q.at[4].set(-np.pi)
    )
    q, _ = drawn(turned)
    distance = np.abs(np.angle(np.exp(1j * (q - np.pi))))
    assert (distance.max() < 0.1) == angle


@given(sides, st.integers(0, 10_000))
def test_uniform_states_fill_their_box(box: list[tuple[float, float]], seed: int) -> None:
    limits = Limits(*zip(*box, strict=True))
    drawn = uniform_states(jax.random.key(seed), 500, limits)
    for values, limit in zip(drawn, limits, strict=True):
        unit = np.asarray(values) / np.asarray(limit)
        assert unit.shape == (500, len(box))
        assert np.all(np.abs(unit) <= 1 + 1e-6)
        # The largest of 500 is below 0.9 once in 10^11 draws; the mean of as many uniforms is
        # within five of its standard deviations of 0.
        assert np.all(unit.max(axis=0) > 0.9)
        assert np.all(unit.min(axis=0) < -0.9)
        assert np.all(np.abs(unit.mean(axis=0)) < 5 / np.sqrt(3 * 500))


def test_coordinates_are_drawn_independently() -> None:
    drawn = uniform_states(jax.random.key(0), 4000, Limits((1.0, 1.0), (1.0, 1.0)))
    columns = np.concatenate([drawn.q, drawn.qd], axis=1)
    np.testing.assert_allclose(np.corrcoef(columns.T), np.eye(4), atol=0.08)


@pytest.mark.parametrize(("replayed", "uniform"), [(8, 0), (2, 6), (0, 8), (0, 1), (1, 0)])
def test_a_mixture_has_the_given_counts(replayed: int, uniform: int) -> None:
    mixture = MixedStarts(NAMED, (replayed, uniform, 0))
    starts = _numpy(sampled(mixture, numbered_buffer(4)))
    assert starts.q.shape == starts.qd.shape == (replayed + uniform, 1)
    stored = starts.q[:, 0] >= 100
    assert stored.sum() == replayed
    assert np.all(np.abs(starts.q[~stored]) <= 3)
    assert np.all(np.abs(starts.qd[~stored]) <= 8)
    # Position and velocity are of the same entry.
    np.testing.assert_array_equal(starts.q[stored], -starts.qd[stored])


def test_replayed_starts_are_the_stored_states() -> None:
    starts = _numpy(sampled(ReplayedStarts(), numbered_buffer(4), 200))
    assert set(starts.q[:, 0]) == {100.0, 101.0, 102.0, 103.0}


def test_replayed_and_uniform_starts_are_independent() -> None:
    mixture = MixedStarts(NAMED, (1000, 1000, 0))
    one = _numpy(sampled(mixture, numbered_buffer(10)))
    replayed, drawn = one.q[:1000, 0], one.q[1000:, 0]
    assert abs(np.corrcoef(replayed, drawn)[0, 1]) < 0.15


def test_other_parts_come_last() -> None:
    given = State(jnp.asarray([[-50.0], [-51.0]]), jnp.asarray([[1.0], [2.0]]))
    more = State(jnp.asarray([[-70.0]]), jnp.asarray([[-19.0]]))
    parts = (*NAMED, PooledStarts(given), PooledStarts(more))
    starts = _numpy(sampled(MixedStarts(parts, (10, 10, 0, 20, 5)), numbered_buffer(4)))
    q = starts.q[:, 0]
    assert (q[:10] >= 100).all()
    assert (np.abs(q[10:20]) <= 3).all()
    assert set(q[20:40]) == {-50.0, -51.0}
    np.testing.assert_array_equal(starts.qd[20:40, 0], -49.0 - q[20:40])
    assert (q[40:] == -70).all()


def test_initial_starts_are_first_states_of_episodes() -> None:
    q = _numpy(sampled(MixedStarts(NAMED, (10, 10, 20)), two_episodes())).q[:, 0]
    assert q.shape == (40,)
    assert (q[:10] >= 100).all()
    assert len(set(q[:10])) > 2
    assert (np.abs(q[10:20]) <= 3).all()
    assert set(q[20:]) == {100.0, 104.0}


def test_initial_starts_are_any_state_when_no_first_one_is_left() -> None:
    buffer = eqx.tree_at(lambda b: b.added, numbered_buffer(10), jnp.asarray(13))
    assert not eqx.filter_jit(lambda buffer: buffer.first)(buffer).any()
    assert len(np.unique(sampled(InitialStarts(), buffer, 100).q)) == 10


def test_the_keys_of_a_mixture_are_those_of_earlier_versions() -> None:
    """Runs of a seed must stay the same: others split first, in their order."""
    rows = jnp.asarray(np.arange(50.0)[:, None])
    pool, buffer = PooledStarts(State(rows, 0 * rows)), two_episodes()
    parts = (*NAMED, pool, pool)
    starts = sampled(MixedStarts(parts, (3, 4, 5, 6, 7)), buffer, seed=4)

    @jax.jit
    def expected() -> State:
        key, first = jax.random.split(jax.random.key(4))
        key, second = jax.random.split(key)
        replay, uniform = jax.random.split(key)
        drawn = [
            buffer.sample(replay, 3).state,
            uniform_states(uniform, 4, BOX),
            buffer.sample_first(jax.random.fold_in(replay, 0), 5).state,
            pool.sample(first, buffer, 6),
            pool.sample(second, buffer, 7),
        ]
        return jax.tree.map(lambda *xs: jnp.concatenate(xs), *drawn)

    identical(starts, expected())
    # A part that is left out does not change the others.
    fewer = MixedStarts((*NAMED, UniformStarts(BOX), pool), (3, 4, 5, 0, 6))
    without = MixedStarts((*NAMED, pool), (3, 4, 5, 6))
    identical(sampled(fewer, buffer, seed=4), sampled(without, buffer, seed=4))


class Recorder(AbstractStarts):
    """Starts at one place, which is the first word of the key of `prepare`."""

    def prepare(
        self, key: PRNGKeyArray, buffer: ReplayBuffer, world: WorldModel
    ) -> AbstractStarts:
        word = jax.random.key_data(key)[None, :1].astype(float)
        return PooledStarts(State(word, word))

    def sample(self, key: PRNGKeyArray, buffer: ReplayBuffer, batch: int) -> State:
        raise AssertionError("`prepare` comes first")


def world(reward: GivenReward, termination: AbstractTermination) -> WorldModel:
    return WorldModel(swing(), reward, termination)


NO_REWARD = world(
    GivenReward(lambda state, action, next_state: 0.0 * state.q[0]), NoTermination()
)


def test_parts_are_prepared_with_keys_of_their_own() -> None:
    key, buffer = jax.random.key(0), numbered_buffer(4)
    mixture = MixedStarts((*NAMED, Recorder(), Recorder(), Recorder()), (1, 1, 1, 1, 1, 0))
    prepared = eqx.filter_jit(mixture.prepare)(key, buffer, NO_REWARD)
    *named, fourth, fifth, sixth = prepared.parts
    assert tuple(named) == NAMED
    assert isinstance(sixth, Recorder), "a part that is left out is not prepared"
    assert isinstance(fourth, PooledStarts)
    assert isinstance(fifth, PooledStarts)
    assert fourth.states.q[0, 0] == float(jax.random.key_data(key)[0])
    assert fourth.states.q[0, 0] != fifth.states.q[0, 0]
    assert sampled(prepared, buffer).q.shape == (5, 1)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((1, 2), "one entry for each of 3 parts, got \\(1, 2\\)"),
        ((4, -1, 0), "must not be negative"),
        ((0, 0, 0), "at least one positive"),
    ],
)
def test_counts_that_make_no_batch_are_refused(counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixedStarts(NAMED, counts)


def test_a_mixture_draws_its_own_batch_only() -> None:
    mixture = MixedStarts(NAMED, (2, 2, 0))
    assert sampled(mixture, numbered_buffer(4), 4).q.shape == (4, 1)
    with pytest.raises(ValueError, match="are 4 starts, and `batch` was 5"):
        mixture.sample(jax.random.key(0), numbered_buffer(4), 5)


def test_high_reward_starts_are_near_rewards_and_where_no_episode_ends() -> None:
    """The reward is highest at 1; in one case episodes end beyond 0.5."""
    reward = GivenReward(lambda state, action, next_state: -((state.q[0] - 1) ** 2))
    starts, buffer = HighRewardStarts(BOX, 1), numbered_buffer(4)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="call `prepare`"):
        starts.sample(key, buffer, 3)
    prepare = eqx.filter_jit(starts.prepare)
    pool = np.asarray(prepare(key, buffer, world(reward, NoTermination())).states.q)
    assert pool.shape == (256, 1)
    assert np.median(np.abs(pool - 1)) < 0.1
    alive = prepare(key, buffer, world(reward, BoundTermination((0.5,))))
    # A search that finds no such state keeps its first draw, here one in 256.
    pool = np.asarray(alive.states.q)
    assert np.mean(np.abs(pool) <= 0.5) > 0.98
    assert np.median(pool) > 0.4
    assert np.isin(sampled(alive, buffer, 20).q, pool).all()


PLANE = Limits((3.0, 1.0), (8.0, 2.0))
BEST = np.asarray([1.0, -0.5])


def nearness(state: State) -> Scalar:
    """Highest at rest in one place."""
    return -jnp.sum((state.q - BEST) ** 2) - 0.1 * jnp.sum(state.qd**2)


@functools.partial(jax.jit, static_argnums=(1, 2), static_argnames=("choices", "rounds"))
def found_states(
    key: Array, batch: int, value: Callable[[State], Scalar] = nearness, **options: int
) -> State:
    return high_reward_states(key, batch, PLANE, value, **options)


# Every other number of rounds would be another program.
@given(seed=st.integers(0, 10_000), rounds=st.sampled_from((1, 12)))
def test_high_reward_states_lie_in_the_box(seed: int, rounds: int) -> None:
    drawn = found_states(jax.random.key(seed), 5, choices=3, rounds=rounds)
    for x, limit in zip(drawn, PLANE, strict=True):
        assert x.shape == (5, 2)
        assert (np.abs(x) <= np.asarray(limit)).all()


def test_high_reward_states_are_at_all_distances_from_the_best() -> None:
    drawn = found_states(jax.random.key(0), 500)
    distances = np.linalg.norm(np.asarray(drawn.q) - BEST, axis=1)
    anywhere = np.random.default_rng(0).uniform(-1, 1, (500, 2)) * PLANE.positions
    usual = np.linalg.norm(anywhere - BEST, axis=1)
    assert np.median(distances) < 0.2 * np.median(usual)
    assert np.quantile(distances, 0.1) < 0.05
    assert np.quantile(distances, 0.9) > 0.3


def test_a_longer_search_finds_higher_rewards() -> None:
    def mean(choices: int, rounds: int) -> float:
        drawn = found_states(jax.random.key(1), 300, choices=choices, rounds=rounds)
        q, qd = (np.asarray(x) for x in drawn)
        return float(np.mean(-np.sum((q - BEST) ** 2, 1) - 0.1 * np.sum(qd**2, 1)))

    usual = mean(8, 6)
    assert mean(8, 1) < usual < mean(8, 12)
    assert mean(1, 6) < usual < mean(32, 6)


def test_velocities_are_scaled_by_a_random_factor() -> None:
    def speed(state: State) -> Scalar:
        return jnp.sum(jnp.abs(state.qd))

    drawn = found_states(jax.random.key(0), 500, speed)
    speeds = np.abs(drawn.qd) / np.asarray(PLANE.velocities)
    assert 0.4 < speeds.mean() < 0.6  # half of nearly the largest
    assert speeds.min() < 0.05


def test_a_state_whose_reward_is_nan_is_not_chosen() -> None:
    def broken(state: State) -> Scalar:
        return jnp.where(state.q[0] > 0, jnp.nan, state.q[0])

    drawn = found_states(jax.random.key(0), 50, broken)
    assert (np.asarray(drawn.q)[:, 0] <= 0).all()
