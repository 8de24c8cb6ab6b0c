"""Figures over seeds."""

from typing import Any, NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

_RESAMPLES = 2000


def interquartile_mean(values: Float[np.ndarray, " seeds"]) -> float:
    """The mean of the middle half (Agarwal et al. 2021); of fewer than four, of all."""
    return float(scipy.stats.trim_mean(values, 0.25))


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
        return scipy.stats.trim_mean(sample, 0.25, axis=axis)

    found = scipy.stats.bootstrap(
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


def interval(values: Float[np.ndarray, " seeds"]) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of the interquartile mean; `None` of fewer than two seeds."""
    found = interquartile_interval(np.asarray(values, float)[:, None])
    return None if found is None else (float(found[0][0]), float(found[1][0]))


class Improvement(NamedTuple):
    """How probable it is that a run of the one is better than a run of the other.

    **Attributes:** `probability`; `low` and `high`, of its 95 % interval, `None` if either has
    a single run.
    """

    probability: float
    low: float | None
    high: float | None


def improvement(
    ours: Float[np.ndarray, " seeds"], theirs: Float[np.ndarray, " others"]
) -> Improvement:
    """The probability that a value of `ours` is larger than one of `theirs` (Agarwal et al.
    2021): the fraction of pairs of which it is so, a tie being half.

    Runs of each are drawn with replacement, by themselves, 2000 times, always the same. What is
    not a number is smaller than anything.
    """
    a, b = (np.nan_to_num(np.asarray(x, float), nan=-np.inf) for x in (ours, theirs))
    return _over_pairs(0.5 + 0.5 * (1.0 * (a[:, None] > b) - (a[:, None] < b)))


def sooner(
    ours: Float[np.ndarray, " seeds"],
    theirs: Float[np.ndarray, " others"],
    ends: tuple[float, float],
) -> Improvement:
    """The probability that a run of ours arrives sooner than one of theirs.

    **Arguments:** `ours`, `theirs`, the steps of each run until it arrived, `nan` if it had not
    when it ended; `ends`, when ours and theirs did. A pair of which the data do not say it,
    since the one ended before the other arrived or neither did, is half, as a tie is.
    """
    a, b = np.asarray(ours, float)[:, None], np.asarray(theirs, float)
    # A run that ended without arriving is later than any that arrived by then.
    first = (a < b) | (np.isnan(b) & (a <= ends[1]))
    second = (b < a) | (np.isnan(a) & (b <= ends[0]))
    return _over_pairs(0.5 + 0.5 * (1.0 * first - second))


def _over_pairs(wins: Float[np.ndarray, "seeds others"]) -> Improvement:
    def statistic(i: np.ndarray, j: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(wins[i[..., :, None], j[..., None, :]].mean(axis=(-2, -1)))

    probability = float(wins.mean())
    if min(wins.shape) < 2:
        return Improvement(probability, None, None)
    found = scipy.stats.bootstrap(
        tuple(np.arange(count) for count in wins.shape),
        statistic,
        n_resamples=_RESAMPLES,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Improvement(probability, float(found.low), float(found.high))
