"""Returns against experience: a run's evaluations, and when they come to a target."""

from typing import Any

import numpy as np
from jaxtyping import Float, Integer

# The axis has no name, since curves in one list may have other times.
Curve = tuple[Integer[np.ndarray, " _"], Float[np.ndarray, " _"]]


def evaluations_of(records: list[dict[str, Any]]) -> Curve:
    """Steps of experience and mean returns of a seed's evaluations, `nan` if not finite."""
    entries = [entry for line in records for entry in line["evaluations"]]
    return (
        np.asarray([entry["env_steps"] for entry in entries]),
        np.asarray([entry["return_mean"] for entry in entries], float),
    )


def curves(evaluations: list[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Times, steps of experience, and mean returns of every seed at all of them.

    A seed that was not evaluated at a time has the return of its last evaluation before.
    """
    times = np.unique(np.concatenate([steps for steps, _ in evaluations]))
    times = times[times >= max(steps[0] for steps, _ in evaluations)]
    return times, np.stack(
        [
            returns[np.searchsorted(steps, times, side="right") - 1]
            for steps, returns in evaluations
        ]
    )


def steps_to(
    steps: Integer[np.ndarray, " times"], returns: Float[np.ndarray, " times"], target: float
) -> float:
    """The steps of the first evaluation at the target or above; `nan` if there is none."""
    reached = np.flatnonzero(returns >= target)
    return float(steps[reached[0]]) if reached.size else float("nan")
