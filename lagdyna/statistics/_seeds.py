"""Statistics over seeds (Agarwal et al. 2021, "Deep RL at the edge of the statistical
precipice")."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

_RESAMPLES = 2000


def interquartile_mean(values: Float[np.ndarray, " seeds"]) -> float:
    """Compute the mean of the middle half of some values; of fewer than four, the mean."""
    from scipy.stats import trim_mean

    return float(trim_mean(values, 0.25))


def interquartile_interval(
    values: Float[np.ndarray, "seeds times"],
) -> tuple[Float[np.ndarray, " times"], Float[np.ndarray, " times"]] | None:
    """Compute the 95 % bootstrap interval of the interquartile mean at each time.

    Seeds are drawn with replacement 2000 times, with a fixed random seed.

    **Returns:** the lower and the upper ends; `None` for a single seed.
    """
    from scipy.stats import bootstrap, trim_mean

    if len(values) < 2:
        return None

    def statistic(sample: np.ndarray, axis: int) -> Any:
        return trim_mean(sample, 0.25, axis=axis)

    found = bootstrap(
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
    """Compute the 95 % bootstrap interval of the interquartile mean of some values.

    **Returns:** its ends; `None` for fewer than two values.
    """
    found = interquartile_interval(np.asarray(values, float)[:, None])
    return None if found is None else (float(found[0][0]), float(found[1][0]))


class Improvement(NamedTuple):
    """Probability that a run of one method is better than a run of another.

    **Attributes:** `probability`; `low` and `high`, the ends of its 95 % bootstrap interval,
    `None` if either method has a single run.
    """

    probability: float
    low: float | None
    high: float | None


def improvement(
    ours: Float[np.ndarray, " seeds"], theirs: Float[np.ndarray, " others"]
) -> Improvement:
    """Compute the probability of improvement: that a value of ours is above one of theirs.

    It is the fraction of pairs for which that is so; a tie counts half. NaN is below every
    number. For the interval, the runs of each method are drawn with replacement 2000 times,
    with a fixed random seed.
    """
    a, b = (np.nan_to_num(np.asarray(x, float), nan=-np.inf) for x in (ours, theirs))
    return _over_pairs(0.5 + 0.5 * (1.0 * (a[:, None] > b) - (a[:, None] < b)))


def sooner(
    ours: Float[np.ndarray, " seeds"],
    theirs: Float[np.ndarray, " others"],
    ends: tuple[float, float],
) -> Improvement:
    """Compute the probability that a run of ours reaches a target sooner than one of theirs.

    A pair counts half if it is a tie or undecided: neither run reached the target, or one run
    ended before the other reached it.

    **Arguments:** `ours`, `theirs`, the steps of each run until the target, `nan` if it was
    not reached; `ends`, the steps of a whole run of ours and of theirs.
    """
    a, b = np.asarray(ours, float)[:, None], np.asarray(theirs, float)
    # A run that ended without the target is later than any that reached it by then.
    first = (a < b) | (np.isnan(b) & (a <= ends[1]))
    second = (b < a) | (np.isnan(a) & (b <= ends[0]))
    return _over_pairs(0.5 + 0.5 * (1.0 * first - second))


def _over_pairs(wins: Float[np.ndarray, "seeds others"]) -> Improvement:
    """Average over pairs of runs, with a bootstrap interval."""
    from scipy.stats import bootstrap

    def statistic(i: np.ndarray, j: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(wins[i[..., :, None], j[..., None, :]].mean(axis=(-2, -1)))

    probability = float(wins.mean())
    if min(wins.shape) < 2:
        return Improvement(probability, None, None)
    found = bootstrap(
        tuple(np.arange(count) for count in wins.shape),
        statistic,
        n_resamples=_RESAMPLES,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Improvement(probability, float(found.low), float(found.high))
