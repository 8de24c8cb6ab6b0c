"""Statistics over several tasks with several seeds each (Agarwal et al. 2021)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_RESAMPLES = 2000
_ENOUGH = 5  # seeds of a task

Scores = Sequence[Float[np.ndarray, "_"]]


class Aggregate(NamedTuple):
    """Statistic over the runs of all tasks.

    **Attributes:** `value`; `low` and `high`, the ends of its 95 % interval, `None` if a task
    has a single seed; `caution`, a sentence if a task has few seeds, `None` otherwise.
    """

    value: float
    low: float | None
    high: float | None
    caution: str | None


def aggregate(
    scores: Scores, statistic: Callable[[np.ndarray], np.ndarray] | None = None
) -> Aggregate:
    """Compute a statistic over the runs of several tasks, with a stratified bootstrap interval.

    The seeds of each task are drawn with replacement on their own, 2000 times, with a fixed
    random seed. So the interval tells of the seeds and not of the choice of the tasks.

    **Arguments:**

    - `scores`: of each task, one score for each seed. Make tasks comparable first, for example
        by dividing the returns by a reference.
    - `statistic`: of an array of shape `(resamples, runs)` along its last axis; the
        interquartile mean by default.

    **Raises:** `ValueError` if a task has no seed.
    """
    tasks = _checked(scores)
    compute = statistic or _interquartile_means
    value = float(compute(np.concatenate(tasks)[None])[0])
    if min(map(len, tasks)) < 2:
        return Aggregate(value, None, None, caution(min(map(len, tasks))))
    found = compute(_resampled(tasks))
    low, high = np.percentile(found, [2.5, 97.5])
    return Aggregate(value, float(low), float(high), caution(min(map(len, tasks))))


class Profile(NamedTuple):
    """Performance profile: which part of the runs has more than a score.

    **Attributes:** `thresholds`; `parts`, from 0 to 1; `low` and `high`, the ends of their
    pointwise 95 % intervals; all of shape `(thresholds,)`.
    """

    thresholds: Float[np.ndarray, " thresholds"]
    parts: Float[np.ndarray, " thresholds"]
    low: Float[np.ndarray, " thresholds"]
    high: Float[np.ndarray, " thresholds"]


def performance_profile(
    scores: Scores, thresholds: Float[np.ndarray, " thresholds"]
) -> Profile:
    """Compute the part of all runs whose score is above each threshold.

    Agarwal et al. (2021), equation 3. Tasks weigh alike, whatever their number of seeds. The
    intervals are those of a stratified bootstrap; see [`lagdyna.statistics.aggregate`][].

    **Arguments:** `scores`, as for `aggregate`.

    **Raises:** `ValueError` if a task has no seed.
    """
    tasks, thresholds = _checked(scores), np.asarray(thresholds, float)
    sizes = np.asarray([len(each) for each in tasks])
    weights = np.repeat(1 / (len(tasks) * sizes), sizes)

    def parts(runs: np.ndarray) -> np.ndarray:
        return np.einsum("brt,r->bt", runs[:, :, None] > thresholds, weights)

    low, high = np.percentile(parts(_resampled(tasks)), [2.5, 97.5], axis=0)
    return Profile(thresholds, parts(np.concatenate(tasks)[None])[0], low, high)


def caution(seeds: int) -> str | None:
    """Say that so few seeds tell little; `None` for five or more."""
    if seeds >= _ENOUGH:
        return None
    what = "a single seed has no interval" if seeds < 2 else "the interval is too narrow"
    return (
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}: {what}, and the next seed may change "
        f"the order of methods; use {_ENOUGH} or more"
    )


def _checked(scores: Scores) -> list[np.ndarray]:
    tasks = [np.asarray(each, float).ravel() for each in scores]
    if not tasks or min(map(len, tasks)) < 1:
        raise ValueError("`scores` has a task without a seed; one or more scores are accepted")
    return tasks


def _resampled(tasks: list[np.ndarray]) -> Float[np.ndarray, "resamples runs"]:
    """Draw the seeds of each task with replacement."""
    rng = np.random.default_rng(0)
    drawn = [each[rng.integers(len(each), size=(_RESAMPLES, len(each)))] for each in tasks]
    return np.concatenate(drawn, axis=1)


def _interquartile_means(runs: Float[np.ndarray, "resamples runs"]) -> np.ndarray:
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(runs, 0.25, axis=1))
