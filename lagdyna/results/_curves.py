"""Learning curves: returns of evaluations, and the steps until a target return."""

from typing import Any

import numpy as np
from jaxtyping import Float, Integer

# The axis has no name, since curves in one list may have other times.
Curve = tuple[Integer[np.ndarray, " _"], Float[np.ndarray, " _"]]
"""Learning curve: environment steps, and the return of the evaluation at each."""


def evaluations_of(records: list[dict[str, Any]]) -> Curve:
    """Collect the environment steps and the mean returns of a run's evaluations.

    **Arguments:** `records`, the lines of `metrics.jsonl`.

    **Returns:** both arrays; a return that was not finite is `nan`.
    """
    entries = [entry for line in records for entry in line["evaluations"]]
    return (
        np.asarray([entry["env_steps"] for entry in entries]),
        np.asarray([entry["return_mean"] for entry in entries], float),
    )


def curves(evaluations: list[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Align the learning curves of several seeds.

    A seed that was not evaluated at a step has the return of its evaluation before.

    **Arguments:** `evaluations`, a curve of each seed.

    **Returns:** environment steps, shape `(times,)`, and returns, shape `(seeds, times)`. The
    first step is one at which every seed has been evaluated.
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
    """Find the environment steps until a target return.

    **Returns:** the steps of the first evaluation that reached the target; `nan` if none did.
    """
    reached = np.flatnonzero(returns >= target)
    return float(steps[reached[0]]) if reached.size else float("nan")
