import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.data import Experience, ReplayBuffer
from lagdyna.mechanics import State

CAPACITY, WINDOW, DRAWS = 6, 4, 96

add = eqx.filter_jit(lambda buffer, *x: buffer.add(*x))
draw = eqx.filter_jit(lambda buffer, key: buffer.sample(key, DRAWS))
draw_first = eqx.filter_jit(lambda buffer, key: buffer.sample_first(key, DRAWS))
draw_windows = eqx.filter_jit(lambda buffer, key: buffer.sample_windows(key, DRAWS, WINDOW))


def sample(buffer: ReplayBuffer, seed: int) -> Experience:
    return jax.tree.map(np.asarray, draw(buffer, jax.random.key(seed)))


def sample_windows(buffer: ReplayBuffer, seed: int) -> tuple[Experience, np.ndarray]:
    return jax.tree.map(np.asarray, draw_windows(buffer, jax.random.key(seed)))


def experience(first: int, length: int) -> Experience:
    """Create entries whose fields all encode their number, from `first` on."""
    number = np.arange(first, first + length, dtype=np.float32)
    column = number[:, None]
    one, two = np.tile(column, 2), np.tile(column + 1, 2)
    fields = State(one, 10 * one), -column, number, State(two, 10 * two), number % 2 == 0
    return Experience(*jax.tree.map(jnp.asarray, fields))


def assert_consistent(entries: Experience) -> None:
    """Assert that all fields of each entry encode the same number."""
    number = np.asarray(entries.reward)[..., None]
    np.testing.assert_array_equal(entries.action, -number)
    np.testing.assert_array_equal(entries.state.q, number + np.zeros(2))
    np.testing.assert_array_equal(entries.state.qd, 10 * number + np.zeros(2))
    np.testing.assert_array_equal(entries.next_state.q, number + 1 + np.zeros(2))
    np.testing.assert_array_equal(entries.next_state.qd, 10 * number + 10 + np.zeros(2))
    np.testing.assert_array_equal(entries.terminated, entries.reward % 2 == 0)


# Chunks of one to three entries, and whether the episode ends after each.
chunks = st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=7)


def filled(chunks) -> tuple[ReplayBuffer, dict[int, int]]:
    """Fill a buffer; also return the expected entries as a map from number to episode."""
    buffer, expected, number, episode = ReplayBuffer.empty(CAPACITY, 2, 1), {}, 1, 0
    for length, ends in chunks:
        buffer = add(buffer, experience(number, length), jnp.asarray(episode))
        expected |= dict.fromkeys(range(number, number + length), episode)
        number, episode = number + length, episode + ends
    return buffer, dict(list(expected.items())[-CAPACITY:])


@given(chunks=chunks)
def test_buffer_holds_the_newest_entries_with_their_episodes(chunks):
    buffer, expected = filled(chunks)
    kept = np.asarray(buffer.filled)
    assert int(buffer.size) == len(expected) == kept.sum()
    assert int(buffer.added) == sum(length for length, _ in chunks)
    assert_consistent(jax.tree.map(lambda x: np.asarray(x)[kept], buffer.experience))
    numbers = np.asarray(buffer.experience.reward)[kept].astype(int)
    got = dict(zip(numbers.tolist(), np.asarray(buffer.episode)[kept].tolist(), strict=True))
    assert got == expected


@given(chunks=chunks)
def test_first_entries_start_an_episode(chunks):
    """An entry counts if the buffer holds the episode before it, or if it is entry 1."""
    buffer, expected = filled(chunks)
    firsts = {
        n for n in expected if n == 1 or (n - 1 in expected and expected[n - 1] != expected[n])
    }
    got = np.asarray(buffer.experience.reward)[np.asarray(buffer.first)]
    assert set(got.astype(int).tolist()) == firsts
    # If no first entry is left, `sample_first` samples from all entries.
    first = jax.tree.map(np.asarray, draw_first(buffer, jax.random.key(0)))
    assert_consistent(first)
    assert set(first.reward.astype(int).tolist()) == (firsts or set(expected))


@given(chunks=chunks, seed=st.integers(0, 1000))
def test_sampling_covers_exactly_the_filled_entries(chunks, seed):
    buffer, expected = filled(chunks)
    batch = sample(buffer, seed)
    assert_consistent(batch)
    assert set(batch.reward.tolist()) == set(expected)


@given(chunks=chunks, seed=st.integers(0, 1000))
def test_windows_stay_in_one_episode_within_their_mask(chunks, seed):
    buffer, expected = filled(chunks)
    windows, mask = sample_windows(buffer, seed)
    assert_consistent(jax.tree.map(lambda x: x[mask == 1], windows))
    firsts = windows.reward[:, 0].astype(int)
    assert set(firsts.tolist()) == set(expected)
    for first, numbers, kept in zip(firsts.tolist(), windows.reward, mask, strict=True):
        # Count the entries of the window that belong to the episode of the first one.
        run = 0
        while run < WINDOW and expected.get(first + run) == expected[first]:
            run += 1
        np.testing.assert_array_equal(kept, np.arange(WINDOW) < run)
        np.testing.assert_array_equal(numbers[:run], np.arange(first, first + run))


def test_windows_longer_than_the_buffer_do_not_wrap_around():
    buffer = add(ReplayBuffer.empty(2, 2, 1), experience(1, 2), jnp.asarray(0))
    windows, mask = sample_windows(buffer, 0)
    lengths = {1.0: 2, 2.0: 1}
    for first, kept in zip(windows.reward[:, 0].tolist(), mask, strict=True):
        assert kept.sum() == lengths[first]


def test_windows_stop_at_an_interruption_by_another_episode():
    buffer = ReplayBuffer.empty(CAPACITY, 2, 1)
    for number, episode in [(1, 0), (2, 1), (3, 0)]:
        buffer = add(buffer, experience(number, 1), jnp.asarray(episode))
    windows, mask = sample_windows(buffer, 0)
    from_first = mask[windows.reward[:, 0] == 1]
    assert len(from_first) > 0
    np.testing.assert_array_equal(from_first, [[1, 0, 0, 0]] * len(from_first))


def test_sampling_is_uniform():
    buffer, _ = filled([(3, True), (3, True), (2, True)])
    draws = eqx.filter_jit(lambda b: b.sample(jax.random.key(0), 6000).reward)(buffer)
    _, counts = np.unique(np.asarray(draws), return_counts=True)
    # Each count has mean 1000 and standard deviation 29.
    np.testing.assert_allclose(counts, 1000, atol=150)


def test_samples_depend_only_on_the_key():
    buffer, _ = filled([(3, True), (3, True)])
    a, b, again = (sample(buffer, seed).reward for seed in (0, 1, 0))
    assert (a != b).any()
    np.testing.assert_array_equal(a, again)


def test_add_does_not_change_the_old_buffer():
    before, _ = filled([(3, True)])
    add(before, experience(50, 2), jnp.asarray(7))
    assert int(before.added) == 3
    assert 50 not in np.asarray(before.experience.reward)


def test_adding_more_than_the_capacity_is_refused():
    buffer = ReplayBuffer.empty(CAPACITY, 2, 1)
    full = add(buffer, experience(1, CAPACITY), jnp.asarray(0))
    assert int(full.size) == CAPACITY
    with pytest.raises(ValueError, match=r"7 entries do not fit.* capacity 6"):
        buffer.add(experience(1, CAPACITY + 1), jnp.asarray(0))


def test_a_capacity_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"`capacity`.*got 0"):
        ReplayBuffer.empty(0, 2, 1)


def test_a_new_buffer_is_empty():
    buffer = ReplayBuffer.empty(CAPACITY, 2, 1)
    assert int(buffer.size) == 0
    assert not buffer.filled.any()


def test_adding_again_does_not_compile_again(compilations):
    buffer = ReplayBuffer.empty(CAPACITY, 2, 1)
    pieces = [(experience(10 * i, 2), jnp.asarray(i)) for i in range(5)]
    buffer = add(buffer, *pieces[0])
    before = compilations()
    for piece in pieces[1:]:
        buffer = add(buffer, *piece)
    assert compilations() == before
    assert int(buffer.added) == 10
