"""Rows with NaN, pauses, and the split of what is left."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagdyna.data import (
    DataError,
    SplitWarning,
    Trajectory,
    TrajectorySet,
    estimate_velocities,
    resample,
    split,
    split_at_gaps,
    split_at_pauses,
)

from .motions import angles, motion


def same(first: TrajectorySet, second: TrajectorySet) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a.arrays[name], b.arrays[name])
        for a, b in zip(first, second, strict=True)
        for name in first.fields
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 38), max_size=25), st.booleans())
def test_rows_with_nan_are_rows_left_out(seed, missing, uneven):
    arrays = {name: x for name, x in motion(seed, rows=40).items() if name in ("t", "q")}
    rng = np.random.default_rng(seed)
    if uneven:
        arrays["t"] = np.cumsum(rng.uniform(0.01, 0.03, 40))
    marked = {**arrays, "q": arrays["q"].copy()}
    marked["q"][missing] = np.nan
    left = split_at_gaps({name: np.delete(x, missing, axis=0) for name, x in arrays.items()})
    marked, left = split_at_pauses(split_at_gaps(marked)), split_at_pauses(left)
    if all(piece.rows > 1 for piece in left):
        assert same(marked, left)
        velocities = [estimate_velocities(each, angles(1)) for each in (marked, left)]
        assert same(*velocities)


def test_a_lost_sample_barely_changes_velocities():
    arrays = motion(0, rows=100)
    q = arrays["q"].copy()
    q[50] = np.nan
    (found,) = estimate_velocities(split_at_gaps({"t": arrays["t"], "q": q}), angles(1))
    assert found.qd is not None
    error = found.qd - np.delete(arrays["qd"], 50, axis=0)
    assert np.abs(error[40:60]).max() < 1e-3


def test_the_action_of_a_lost_row_is_averaged():
    q = [0, 1, np.nan, np.nan, 4, 5]
    arrays = {"t": np.arange(6.0), "q": q, "action": [1, 2, 4, np.nan, 5, np.nan]}
    (found,) = split_at_gaps(arrays)
    assert found.action is not None
    # The row without an action goes on with the one before.
    np.testing.assert_allclose(found.action[:3, 0], [1, (2 + 4 + 4) / 3, 5])


@pytest.mark.parametrize(("pause", "count"), [(0.09, 1), (0.13, 2), (3600.0, 2)])
def test_pauses_split_trajectories(pause, count):
    t = np.concatenate([0.02 * np.arange(30), 0.58 + pause + 0.02 * np.arange(20)])
    pieces = split_at_pauses(TrajectorySet([Trajectory(t, np.sin(t))]))
    assert [x.rows for x in pieces] == ([50] if count == 1 else [30, 20])
    assert same(pieces, split_at_pauses(pieces))


def test_an_hour_is_not_interpolated():
    arrays = motion(0, rows=50)
    arrays["t"][30:] += 3600
    pieces = resample(TrajectorySet([Trajectory(**arrays)]), angles(1), 0.01)
    assert [x.rows for x in pieces] == [59, 39]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["uniform", "exponential"]), st.integers(40, 300))
def test_irregular_sampling_is_rarely_split(seed, law, rows):
    rng = np.random.default_rng(seed)
    steps = {
        "uniform": rng.uniform(0.001, 0.02, rows),
        "exponential": rng.exponential(size=rows),
    }
    pieces = split_at_pauses(TrajectorySet([Trajectory(np.cumsum(steps[law]), np.zeros(rows))]))
    assert len(pieces) <= 1 + rows // 40
    assert len(pieces) == 1 or law == "exponential"


def test_stacked_recordings_are_explained():
    t = np.concatenate([np.arange(5.0), np.arange(5.0)])
    with pytest.raises(DataError, match="row 5: found 0.0 after 4.0.*column `trajectory`"):
        split_at_gaps({"t": t, "q": t})
    with pytest.raises(DataError, match="found 2.0 after 2.0.*--data.duplicates drop"):
        split_at_gaps({"t": [0, 1, 2, 2, 3], "q": np.arange(5)})


def test_rows_that_never_meet_are_counted():
    q, tau = np.arange(6.0), np.arange(6.0)
    q[::2], tau[1::2] = np.nan, np.nan
    with pytest.raises(DataError, match=r"\(nan in q in 3, tau in 3 of 6 rows\)"):
        split_at_gaps({"t": np.arange(6), "q": q, "tau": tau})


def of_rows(*rows: int) -> TrajectorySet:
    return TrajectorySet([Trajectory(np.arange(k) * 0.1, np.arange(float(k))) for k in rows])


@pytest.mark.filterwarnings("ignore::lagdyna.data.SplitWarning")
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(2, 400), min_size=1, max_size=20).filter(lambda rows: sum(rows) >= 60),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.integers(0, 10**6),
)
def test_validation_data_last_close_to_the_fraction(rows, fraction, seed):
    parts = split(of_rows(*rows), fraction, seed=seed)
    training, validation = (sum(x.t[-1] - x.t[0] for x in part) for part in parts)
    assert abs(validation / (training + validation) - fraction) <= 0.151
    assert parts.training.rows + parts.validation.rows == sum(rows)
    again = split(of_rows(*rows), fraction, seed=seed)
    assert all(itertools.starmap(same, zip(parts, again, strict=True)))


def test_a_short_piece_is_not_all_that_is_learned_from():
    for seed in range(5):
        with pytest.warns(SplitWarning, match="2 trajectories were cut in time into 11 pieces"):
            training, validation = split(of_rows(494, 5), 0.2, seed=seed)
        assert 0.1 < validation.rows / (training.rows + validation.rows) < 0.3


@pytest.mark.parametrize("rows", [4, 5, 7])
def test_one_short_trajectory_is_split_too(rows):
    with pytest.warns(SplitWarning, match="the only trajectory was cut in time"):
        training, validation = split(of_rows(rows), 0.2)
    assert training.rows + validation.rows == rows
