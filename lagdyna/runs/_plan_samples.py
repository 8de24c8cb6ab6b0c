"""Plans tried in samples of a posterior."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, Scalar

from ..control import AbstractController, DrivenTransition, closed_loop
from ..filters import AbstractPosterior
from ..mechanics import State
from ..simulate import LearnedModel
from ._plan_purpose import NEAR, GoalPurpose, RewardPurpose

SAMPLES = 16


def try_samples(
    posterior: AbstractPosterior[LearnedModel],
    transition: DrivenTransition,
    controller: AbstractController,
    start: State,
    steps: int,
    planned: State,
    purpose: GoalPurpose | RewardPurpose,
    key: PRNGKeyArray,
) -> dict[str, Any]:
    """Simulate a plan with its tracker in samples of the posterior.

    **Arguments:**

    - `posterior`: of the model.
    - `transition`: the model, with the actions that act.
    - `controller`: the tracker.
    - `start`, `steps`: of the simulation.
    - `planned`: a state near the last one, from which angles are counted.
    - `purpose`: of the plan.
    - `key`: for the samples.

    **Returns:** the number of samples, and of those that stay finite; the standard deviations
    of the last state over these; the share of all samples that reaches the goal, and the
    largest distance from it; the mean and standard deviation of the sum of rewards.
    """

    def simulate(model: LearnedModel) -> tuple[State, Scalar]:
        sampled = DrivenTransition(model.transition, transition.driven)
        states, actions = closed_loop(sampled, controller, start, steps)
        if isinstance(purpose, RewardPurpose):
            total = purpose.total(states, actions)
        else:
            total = jnp.zeros(())
        return jax.tree.map(lambda x: x[-1], states), total

    models = posterior.sample(key, SAMPLES)
    ends, totals = eqx.filter_jit(eqx.filter_vmap(simulate))(models)
    moved = np.asarray(
        jax.vmap(transition.coordinates.difference, (0, None))(ends.q, planned.q)
    )
    speeds, totals = np.asarray(ends.qd, float), np.asarray(totals, float)
    finite = np.isfinite(moved).all(1) & np.isfinite(speeds).all(1) & np.isfinite(totals)
    found: dict[str, Any] = {
        "count": SAMPLES,
        "finite": int(finite.sum()),
        "end_q_deviation": _deviation(moved[finite]),
        "end_qd_deviation": _deviation(speeds[finite]),
        "share_at_goal": None,
        "largest_distance": None,
        "return_mean": None,
        "return_deviation": None,
    }
    if isinstance(purpose, GoalPurpose):
        away = [
            purpose.distance(transition, State(ends.q[i], ends.qd[i])) for i in range(SAMPLES)
        ]
        found["share_at_goal"] = float(np.mean([each <= NEAR for each in away]))
        found["largest_distance"] = max(away) if finite.all() else None
    elif finite.any():
        found["return_mean"] = float(totals[finite].mean())
        found["return_deviation"] = float(totals[finite].std())
    return found


def _deviation(values: np.ndarray) -> list[float] | None:
    """Compute the standard deviation of each column; `None` without rows."""
    return [float(x) for x in values.std(0)] if len(values) else None
