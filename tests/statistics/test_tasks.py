"""Statistics over several tasks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagdyna.statistics import (
    aggregate,
    caution,
    interquartile_mean,
    interval,
    performance_profile,
)

seeds = st.lists(st.floats(-10, 10), min_size=2, max_size=6).map(np.asarray)


@given(seeds)
def test_of_one_task_it_is_the_mean_and_interval_of_its_seeds(values: np.ndarray) -> None:
    found = aggregate([values])
    assert found.value == pytest.approx(interquartile_mean(values))
    ends = interval(values)
    assert ends is not None
    spread = float(np.ptp(values))
    # Both are bootstraps of 2000 resamples, from other random numbers.
    assert (found.low, found.high) == pytest.approx(ends, abs=0.15 * spread + 1e-9)


def test_seeds_are_drawn_within_their_task() -> None:
    """Tasks that differ by far give no interval if their seeds do not differ."""
    found = aggregate([np.full(5, 0.0), np.full(5, 100.0)], lambda x: x.mean(axis=-1))
    assert (found.value, found.low, found.high, found.caution) == (50.0, 50.0, 50.0, None)


@given(st.lists(seeds, min_size=1, max_size=4))
def test_a_profile_falls_from_all_runs_to_none(scores: list[np.ndarray]) -> None:
    thresholds = np.linspace(-11, 11, 12)
    found = performance_profile(scores, thresholds)
    assert np.all(np.diff(found.parts) <= 1e-12)
    assert found.parts[0] == pytest.approx(1.0)
    assert found.parts[-1] == 0.0
    assert np.all((found.low <= found.parts + 1e-9) & (found.parts <= found.high + 1e-9))
    expected = np.mean([np.mean(each > thresholds[5]) for each in scores])
    assert found.parts[5] == pytest.approx(expected)


def test_tasks_weigh_alike_in_a_profile() -> None:
    found = performance_profile([np.ones(2), np.zeros(8)], np.asarray([0.5]))
    assert found.parts == pytest.approx([0.5])


def test_few_seeds_are_cautioned() -> None:
    assert caution(5) is None
    assert "a single seed has no interval" in str(caution(1))
    assert "use 5 or more" in str(caution(3))
    found = aggregate([np.ones(1), np.ones(5)])
    assert (found.low, found.high) == (None, None)
    assert found.caution == caution(1)
    with pytest.raises(ValueError, match="a task without a seed"):
        aggregate([np.ones(3), np.ones(0)])
