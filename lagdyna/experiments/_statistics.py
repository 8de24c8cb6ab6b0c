"""Figures over seeds."""

from typing import Any, NamedTuple

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


def interval(values: Float[np.ndarray, " seeds"]) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of the interquartile mean; `None` for a single seed."""
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
    2021): the fraction of pairs of which it is so, a tie being half. Infinities may be given.

    Runs of each are drawn with replacement, by themselves, 2000 times, always the same.
    """

    def statistic(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        pairs = np.sign(a[..., :, None] - b[..., None, :])
        return np.asarray(0.5 + 0.5 * pairs.mean(axis=(-2, -1)))

    # Only their order matters; ranks are finite.
    ranks = stats.rankdata(np.concatenate([ours, theirs]))
    a, b = ranks[: len(ours)], ranks[len(ours) :]
    probability = float(statistic(a, b))
    if min(len(a), len(b)) < 2:
        return Improvement(probability, None, None)
    found = stats.bootstrap(
        (a, b),
        statistic,
        n_resamples=_RESAMPLES,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    # Where all runs of the one beat all of the other there is nothing to resample.
    ends = [probability if np.isnan(end) else float(end) for end in found]
    return Improvement(probability, *ends)
