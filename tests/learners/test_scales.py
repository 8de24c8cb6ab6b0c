import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.data import Experience
from lagdyna.learners import root_mean_square, step_scale
from lagdyna.mechanics import Coordinates, State

from ..helpers import close, normals


def test_each_column_has_its_own_root_mean_square(tolerance):
    x = normals(0, 30, 3) * np.asarray([1.0, 10.0, 0.1])
    close(root_mean_square(x), np.sqrt(np.mean(np.asarray(x) ** 2, axis=0)), tolerance)


@given(seed=st.integers(0, 1000), chosen=st.lists(st.booleans(), min_size=8, max_size=8))
def test_excluded_rows_may_hold_nan(seed, chosen):
    where = np.asarray(chosen)
    x = np.asarray(normals(seed, 8, 2))
    spoilt = np.where(where[:, None], x, np.nan)
    got = root_mean_square(jnp.asarray(spoilt), jnp.asarray(where))
    expected = np.sqrt(np.mean(x[where] ** 2, axis=0)) if where.any() else np.ones(2)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_small_scales_are_raised_to_a_thousandth_of_the_largest():
    x = jnp.asarray([[2.0, 0.0, 1e-9], [-2.0, 0.0, 0.0]])
    np.testing.assert_allclose(root_mean_square(x), [2.0, 2e-3, 2e-3], rtol=1e-6)


def test_data_that_never_varies_has_scale_one():
    np.testing.assert_array_equal(root_mean_square(jnp.zeros((4, 2))), [1.0, 1.0])


def test_a_single_column_can_be_a_vector():
    np.testing.assert_allclose(root_mean_square(jnp.asarray([3.0, -4.0])), 5 / np.sqrt(2))


def moved(before, after, speed_before, speed_after) -> Experience:
    rows = len(before)
    states = (
        State(jnp.asarray(q), jnp.asarray(qd))
        for q, qd in [(before, speed_before), (after, speed_after)]
    )
    zeros = jnp.zeros(rows)
    start, end = states
    return Experience(start, jnp.zeros((rows, 1)), zeros, end, zeros.astype(bool))


MOVED = moved(
    [[3.1, 0.0], [0.2, 5.0]],
    [[3.2 - 2 * np.pi, 6.0], [0.3, -3.0]],
    [[1.0, 1.0], [1.0, 1.0]],
    [[4.0, 1.5], [-3.0, 1.0]],
)


def test_step_scale_measures_changes_of_angles_on_the_circle():
    scale = step_scale(MOVED, Coordinates((True, False)))
    np.testing.assert_allclose(scale.q, [0.1, np.sqrt((36 + 64) / 2)], rtol=1e-4)
    np.testing.assert_allclose(scale.qd, [np.sqrt((9 + 16) / 2), 0.5 / np.sqrt(2)], rtol=1e-5)


def test_step_scale_counts_only_the_chosen_rows():
    chosen = jnp.asarray([True, False])
    scale = step_scale(MOVED, Coordinates((True, False)), chosen)
    np.testing.assert_allclose(scale.q, [0.1, 6.0], rtol=1e-4)
    np.testing.assert_allclose(scale.qd, [3.0, 0.5], rtol=1e-5)
