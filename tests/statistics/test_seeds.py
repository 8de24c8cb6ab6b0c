"""Statistics and learning curves over seeds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from lagdyna.results import curves, evaluations_of
from lagdyna.statistics import (
    improvement,
    interquartile_interval,
    interquartile_mean,
    interval,
    sooner,
)

finite = st.floats(-1e3, 1e3)


@given(st.lists(finite, min_size=1, max_size=8), st.lists(finite, min_size=1, max_size=8))
def test_improvement_is_the_fraction_of_pairs(ours: list[float], theirs: list[float]) -> None:
    a, b = np.asarray(ours), np.asarray(theirs)
    found = improvement(a, b)
    pairs = [(x > y) + 0.5 * (x == y) for x in ours for y in theirs]
    assert found.probability == pytest.approx(np.mean(pairs))
    u = mannwhitneyu(a, b).statistic / (len(a) * len(b))
    assert found.probability == pytest.approx(u)
    assert improvement(b, a).probability == pytest.approx(1 - found.probability)
    if min(len(a), len(b)) < 2:
        assert (found.low, found.high) == (None, None)
    else:
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.probability <= found.high <= 1


def test_undecided_pairs_count_half() -> None:
    never = np.nan
    ours, theirs = np.asarray([100.0, never]), np.asarray([100.0, 300.0, never])
    # Runs of ours ended after 200 steps, runs of theirs after 1000. 100 ties with 100 and is
    # before the others. The run without the target until 200 is after 100, and undecided
    # against 300.
    found = sooner(ours, theirs, (200.0, 1000.0))
    assert found.probability == pytest.approx((0.5 + 1 + 1 + 0 + 0.5 + 0.5) / 6)
    assert sooner(theirs, ours, (1000.0, 200.0)).probability == pytest.approx(2.5 / 6)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.probability <= found.high <= 1


def test_nan_is_below_every_number() -> None:
    assert improvement(np.asarray([np.nan]), np.asarray([-1e9])).probability == 0
    assert improvement(np.asarray([np.nan]), np.asarray([np.nan])).probability == 0.5


def test_the_interval_covers_the_mean_of_the_distribution() -> None:
    """In about 95 of 100 samples of a known distribution; never less than 80 here."""
    draws = np.random.default_rng(0).normal(3.0, 1.0, (100, 10))
    covered = 0
    for sample in draws:
        ends = interval(sample)
        assert ends is not None
        covered += ends[0] <= 3.0 <= ends[1]
    assert 80 <= covered <= 99
    assert interval(np.asarray([1.0])) is None


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    values = np.asarray([-1000.0, 3.0, 1.0, 2.0, 4.0, 7.0, 5.0, 900.0])
    assert interquartile_mean(values) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean(np.asarray([1.0, 2.0, 6.0])) == pytest.approx(3.0)
    assert interquartile_interval(values[:1, None]) is None


def test_intervals_are_reproducible_and_as_wide_as_the_standard_error() -> None:
    """Of 60 samples of normal numbers, 95 in 100 intervals of 20 should cover their mean."""
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 1.0, (20, 60))
    found = interquartile_interval(samples)
    again = interquartile_interval(samples)
    assert found is not None
    assert again is not None
    np.testing.assert_array_equal(found, again)
    low, high = found
    covered = np.mean((low <= 3.0) & (high >= 3.0))
    assert 0.85 <= covered <= 1.0
    # The interval of normal numbers is about 4 times their standard error wide.
    assert 0.6 < np.mean(high - low) / (4 / np.sqrt(20)) < 1.4


def test_curves_of_seeds_that_were_evaluated_at_other_steps() -> None:
    def line(*points: tuple[int, float]) -> list[dict[str, Any]]:
        return [{"evaluations": [{"env_steps": s, "return_mean": r} for s, r in points]}]

    seeds = [line((10, 1.0), (20, 2.0)), line((12, 5.0), (25, 6.0))]
    times, returns = curves([evaluations_of(lines) for lines in seeds])
    np.testing.assert_array_equal(times, [12, 20, 25])
    np.testing.assert_array_equal(returns, [[1.0, 2.0, 2.0], [5.0, 5.0, 6.0]])
