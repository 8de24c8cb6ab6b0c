"""Figures over seeds."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

_RESAMPLES = 2000


def interquartile_mean(values: Float[np.ndarray, " seeds"]) -> float:
    """The mean of the middle half (Agarwal et al. 2021); of fewer than four, of all."""
    return float(stats.trim_mean(values, 0.25))


def interquartile_interval(
    values: Float[np.ndarray, "seeds times"],
) -> tuple[Float[np.ndarray, " times"], Float[np.ndarray, " times"]] | None:
    """The 95 % bootstrap interval of the interquartile mean at each time.

    Seeds are drawn with replacement 2000 times, always the same.

    **Returns:** its lower and upper ends; `None` for a single seed, which says nothing of
    others.
    """
    if len(values) < 2:
        return None

    def statistic(sample: np.ndarray, axis: int) -> Any:
        return stats.trim_mean(sample, 0.25, axis=axis)

    found = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=_RESAMPLES,
        vectorized=True,
        axis=0,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low, high = found.confidence_interval
    return low, high
