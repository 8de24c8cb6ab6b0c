"""Plans of motions from the model of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._errors import UserError
from ..control import (
    ILQR,
    LQR,
    ActionBox,
    DrivenTransition,
    Equilibrium,
    Plan,
    PlanError,
    SoftLimits,
    Tracker,
    closed_loop,
    find_equilibrium,
    region_of_attraction,
)
from ..filters import AbstractPosterior
from ..mechanics import State
from ..reports import try_report
from ..results import check_empty, new_directory, reserved, write_json
from ..simulate import AbstractTransition, LearnedModel
from ._fit import FittedRun
from ._load import load
from ._plan_files import draw_plan, write_arrays
from ._plan_film import film_plan
from ._plan_purpose import (
    NEAR,
    GoalPurpose,
    PlanReward,
    RewardPurpose,
    goal_purpose,
    reward_purpose,
)
from ._plan_robot import JointRanges, joint_ranges, straight_plan
from ._plan_samples import try_samples
from ._train import Run
from ._trust import Trust

# Weight of an excess of limits by half their range, and the largest that is accepted.
_LIMITS, _EXCESS = 1e4, 0.02


class PlannedMotion(NamedTuple):
    """Plan from the model of a run.

    **Attributes:**

    - `plan`: the plan; it converged, and ends near the goal if there is one.
    - `goal`: the equilibrium; `None` if the plan is for a reward.
    - `tracker`: feedback along the plan, and at the goal; `None` if nothing stabilises it.
    - `report`: the content of `plan.json`.
    """

    plan: Plan
    goal: Equilibrium | None
    tracker: Tracker | None
    report: dict[str, Any]


def plan_motion(
    run: str | Path,
    goal: Sequence[float] | None,
    start: Sequence[float],
    *,
    reward: str | PlanReward | None = None,
    limit: Sequence[float] | None = None,
    steps: int = 100,
    restarts: int = 8,
    seed: int = 0,
    out: str | Path | None = None,
    trust: Trust = False,
) -> PlannedMotion:
    """Plan a motion from rest with the model of a run alone, and write it.

    The plan ends at rest at a goal, or earns a high sum of rewards. The joints of a robot stay
    within the limits of position and speed of its description. The plan is simulated with its
    tracker in the same model; if a filter fitted the model, also in samples of the posterior.
    `plan.npz` has `q`, `qd`, `action` and the tracker's `gains`; `plan.json` the report,
    `plan.png` a figure, `report.html` a page with both, and `plan.gif` a film of a pendulum or
    a planar chain of links whose equations were known.

    **Arguments:**

    - `run`: the directory of a fit or a training run.
    - `goal`, `start`: coordinates at the end and at the start; see
        [`lagdyna.control.find_equilibrium`][]. The goal is `None` with a reward.
    - `reward`: a function `(state, action) -> scalar` in JAX, twice differentiable, in place
        of a goal; or `FILE.py:NAME`. `state.q` and `state.qd` have shape `(n,)`, `action` has
        all actions of the model.
    - `limit`: largest magnitude of each action, 0 for one that does not act. A fit needs it,
        in the units of its data, unless its robot description has limits of all forces; a
        training run has 1 by default.
    - `steps`: number of actions of the plan.
    - `restarts`: number of random guesses.
    - `seed`: seed of the guesses and of the samples.
    - `out`: a new or empty directory; by default the first free `plan-1`, ... in that of the
        run.
    - `trust`: as for [`lagdyna.runs.load`][].

    **Raises:** [`lagdyna.UserError`][] if no equilibrium holds the goal, if the reward fails or
    is not smooth, or for other mistakes; [`lagdyna.control.PlanError`][] if no plan converged
    and reaches the goal. Then nothing is written.
    """
    if (goal is None) == (reward is None):
        given = "neither" if goal is None else "both"
        raise UserError(f"{given} of `goal` and `reward` were given; one of them is accepted")
    run = Path(run)
    place = None if out is None else Path(out)
    if place is not None and place.exists():
        check_empty(place)
    loaded = load(run, trust=trust)
    task = loaded.config.task if isinstance(loaded, Run) else None
    size = None if task is None else task.action_size
    ranges = joint_ranges(loaded.model)
    if limit is None and size is None and ranges is not None and max(ranges.effort) < np.inf:
        limit = ranges.effort
    transition, box = _driven(loaded.model.transition, size, limit)
    first = _start(transition, start)
    if reward is not None:
        purpose = reward_purpose(transition, reward, first, box, seed)
    else:
        assert goal is not None
        purpose = goal_purpose(transition, find_equilibrium(transition, goal, box), box)
    key, cost = jax.random.key(seed), purpose.cost
    if ranges is not None:
        cost = SoftLimits(cost, ranges.lower, ranges.upper, _LIMITS)
    plan = None
    if isinstance(purpose, GoalPurpose):
        end = purpose.goal
        plan = straight_plan(loaded.model, transition, cost, first, end, box, steps)
        if plan is not None and not purpose.distance(transition, _last(plan)) <= NEAR:
            plan = None
    if plan is None:
        plan = ILQR(box).search(transition, cost, first, steps, key=key, restarts=restarts)
    plan.require_converged()
    report = _planned(transition, plan, purpose, restarts)
    if isinstance(cost, SoftLimits) and ranges is not None:
        report["largest_excess"] = _excess(cost, ranges, plan)
    tracker, report["notes"] = _tracker(transition, plan, purpose, box, seed)
    if loaded.model.signals is not None:
        report["notes"].append("a delay or lag that the fit learned does not act in the plan")
    if tracker is not None:
        posterior = loaded.posterior if isinstance(loaded, FittedRun) else None
        sample_key = jax.random.fold_in(key, 1)
        report |= _tracked(transition, plan, purpose, tracker, posterior, sample_key)
    held = purpose.goal if isinstance(purpose, GoalPurpose) else None
    with reserved(place, lambda number: run / f"plan-{number}") as directory:
        directory = new_directory(directory)
        write_arrays(directory / "plan.npz", transition, plan, tracker)
        draw_plan(directory / "plan.png", transition, plan, held, box)
        film_plan(directory / "plan.gif", loaded.model, task, transition, plan, box)
        write_json(directory / "plan.json", report)
        report = {**report, "notes": report["notes"] + try_report(directory)}
        report = {**report, "out": str(directory)}
    return PlannedMotion(plan, held, tracker, report)


def _excess(cost: SoftLimits, ranges: JointRanges, plan: Plan) -> float:
    """Compute how far a plan exceeds the limits of joints, in parts of half their ranges.

    **Raises:** `PlanError` if that is far.
    """
    excess = np.asarray(jax.vmap(cost.excess)(plan.states))
    largest = float(excess.max())
    if largest > _EXCESS:
        raise PlanError(
            f"the best plan exceeds the limits of {ranges.broken(excess)} by "
            f"{100 * largest:.2g} % of half its range, and {100 * _EXCESS:g} % is accepted; "
            "give more steps, or a start and a goal within the limits"
        )
    return largest


def _driven(
    transition: AbstractTransition, size: int | None, limit: Sequence[float] | None
) -> tuple[DrivenTransition, ActionBox]:
    """Make the transition of the actions that act, and their limits."""
    if limit is None and size is None:
        raise UserError(
            "`limit` is missing: a fit does not know how large its actions may be; give the "
            "largest magnitude of each in the units of the data, 0 for those that do not act"
        )
    largest = tuple(float(x) for x in limit or (1.0,) * (size or 0))
    if size is not None and (len(largest) != size or max(largest) > 1):
        raise UserError(
            f"`limit` was {list(largest)}; the actions of a training run are in [-1, 1], and "
            f"{size} numbers up to 1 are accepted"
        )
    if not all(0 <= x < np.inf for x in largest) or not any(largest):
        raise UserError(
            f"`limit` was {list(largest)}; positive numbers are accepted, and 0 for actions "
            "that do not act"
        )
    state = State(*(jnp.zeros(transition.coordinates.n) for _ in range(2)))
    try:
        eqx.filter_eval_shape(transition.step, state, jnp.zeros(len(largest)))
    except TypeError as error:
        raise UserError(
            f"`limit` has {len(largest)} numbers, and the model does not accept so many "
            "actions; one number for each action is accepted"
        ) from error
    acting = tuple(x for x in largest if x > 0)
    driven = DrivenTransition(transition, tuple(x > 0 for x in largest))
    return driven, ActionBox(tuple(-x for x in acting), acting)


def _start(transition: AbstractTransition, start: Sequence[float]) -> State:
    """Make the first state, at rest."""
    q, n = np.asarray(start, float), transition.coordinates.n
    if q.shape != (n,) or not np.all(np.isfinite(q)):
        raise UserError(
            f"`start` was {list(start)}; {n} finite numbers are accepted, one for each "
            "coordinate"
        )
    q = transition.coordinates.wrap(jnp.asarray(q, float))
    return State(q, jnp.zeros_like(q))


def _planned(
    transition: DrivenTransition,
    plan: Plan,
    purpose: GoalPurpose | RewardPurpose,
    restarts: int,
) -> dict[str, Any]:
    """Report a plan that converged.

    **Raises:** `PlanError` if it does not reach its goal.
    """
    steps = plan.actions.shape[0]
    report = {
        "goal": None,
        "goal_action": None,
        "reward": None,
        "start": _list(plan.states.q[0]),
        "steps": steps,
        "cost": float(plan.cost),
        "converged": True,
        "iterations": int(plan.iterations),
        "largest_defect": float(plan.largest_defect),
        "distance_from_goal": None,
        "distance_with_tracker": None,
        "return": None,
        "return_with_tracker": None,
        "region": None,
        "largest_excess": None,
        "samples": None,
    }
    if isinstance(purpose, RewardPurpose):
        earned = float(purpose.total(plan.states, plan.actions))
        return report | {"reward": purpose.name, "cost": -earned, "return": earned}
    missed = purpose.distance(transition, _last(plan))
    if not missed <= NEAR:
        raise PlanError(
            f"the best of {restarts} plans of {steps} steps ends {missed:.2g} from the goal, "
            f"and {NEAR:g} (rad, m, rad/s and m/s) is accepted; give more steps or restarts"
        )
    return report | {
        "goal": _list(purpose.goal.state.q),
        "goal_action": _list(transition.full(purpose.goal.action)),
        "distance_from_goal": missed,
    }


def _tracker(
    transition: AbstractTransition,
    plan: Plan,
    purpose: GoalPurpose | RewardPurpose,
    box: ActionBox,
    seed: int,
) -> tuple[Tracker | None, list[str]]:
    """Design the feedback, or say why there is none."""
    if isinstance(purpose, RewardPurpose):
        return Tracker.design(transition, plan, box), []
    try:
        lqr = LQR.design(transition, purpose.goal, box)
    except UserError as error:
        return None, [f"without feedback: {error}"]
    region = region_of_attraction(transition, lqr, key=jax.random.key(seed))
    return Tracker.design(transition, plan, box, goal=lqr, region=region), []


def _tracked(
    transition: DrivenTransition,
    plan: Plan,
    purpose: GoalPurpose | RewardPurpose,
    tracker: Tracker,
    posterior: AbstractPosterior[LearnedModel] | None,
    key: PRNGKeyArray,
) -> dict[str, Any]:
    """Simulate a plan with its tracker, in the model and in samples of the posterior."""
    first, last = (jax.tree.map(lambda x, i=i: x[i], plan.states) for i in (0, -1))
    rewarded = isinstance(purpose, RewardPurpose)
    # After a plan to a goal, the regulator gets as long again; rewards end with the plan.
    steps = tracker.steps if rewarded else 2 * tracker.steps
    states, actions = closed_loop(transition, tracker, first, steps)
    if isinstance(purpose, RewardPurpose):
        report = {"return_with_tracker": _finite(float(purpose.total(states, actions)))}
    else:
        end = jax.tree.map(lambda x: x[-1], states)
        report = {
            "distance_with_tracker": _finite(purpose.distance(transition, end)),
            "region": float(tracker.region),
        }
    if posterior is None:
        return report
    samples = try_samples(posterior, transition, tracker, first, steps, last, purpose, key)
    return report | {"samples": samples}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None  # JSON has no infinity


def _list(values: Float[jax.Array, " n"]) -> list[float]:
    return [float(x) for x in np.asarray(values)]


def _last(plan: Plan) -> State:
    return jax.tree.map(lambda x: x[-1], plan.states)
