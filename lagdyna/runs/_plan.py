"""Plans of motions from the model of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._errors import UserError
from ..control import (
    ILQR,
    LQR,
    ActionBox,
    DrivenTransition,
    Equilibrium,
    GoalCost,
    Plan,
    PlanError,
    Tracker,
    closed_loop,
    find_equilibrium,
    region_of_attraction,
)
from ..mechanics import State
from ..results import (
    BLUE,
    ORANGE,
    blank,
    check_empty,
    finish,
    new_directory,
    replacing,
    reserved,
    save,
    write_json,
)
from ..simulate import AbstractTransition
from ._load import load
from ._train import Run
from ._trust import Trust

# Weights of coordinates, velocities and actions as parts of their limits.
_STAGE, _FINAL, _EFFORT = (0.05, 0.005), (200.0, 20.0), 0.01
_NEAR = 0.1  # rad, m, rad/s and m/s


class PlannedMotion(NamedTuple):
    """Plan from the model of a run.

    **Attributes:**

    - `plan`: the plan; it converged, and ends near the goal.
    - `goal`: the equilibrium.
    - `tracker`: feedback along the plan and at its end; `None` if nothing stabilises the goal.
    - `report`: the content of `plan.json`.
    """

    plan: Plan
    goal: Equilibrium
    tracker: Tracker | None
    report: dict[str, Any]


def plan_motion(
    run: str | Path,
    goal: Sequence[float],
    start: Sequence[float],
    *,
    limit: Sequence[float] | None = None,
    steps: int = 100,
    restarts: int = 8,
    seed: int = 0,
    out: str | Path | None = None,
    trust: Trust = False,
) -> PlannedMotion:
    """Plan a motion from rest to rest with the model of a run alone, and write it.

    The plan is simulated with its tracker in the same model. `plan.npz` has `q`, `qd`, `action`
    and the tracker's `gains`; `plan.json` the report, `plan.png` a figure.

    **Arguments:**

    - `run`: the directory of a fit or a training run.
    - `goal`, `start`: coordinates at the end and at the start; see
        [`lagdyna.control.find_equilibrium`][].
    - `limit`: largest magnitude of each action, 0 for one that does not act. A fit needs it,
        in the units of its data; a training run has 1 by default.
    - `steps`: number of actions of the plan.
    - `restarts`: number of random guesses.
    - `seed`: seed of the guesses.
    - `out`: a new or empty directory; by default the first free `plan-1`, ... in that of the
        run.
    - `trust`: as for [`lagdyna.runs.load`][].

    **Raises:** [`lagdyna.UserError`][] if no equilibrium holds the goal, or for other mistakes;
    [`lagdyna.control.PlanError`][] if no plan converged and reaches it. Then nothing is
    written.
    """
    run = Path(run)
    place = None if out is None else Path(out)
    if place is not None and place.exists():
        check_empty(place)
    loaded = load(run, trust=trust)
    size = loaded.config.task.action_size if isinstance(loaded, Run) else None
    transition, box = _driven(loaded.model.transition, size, limit)
    first = _start(transition, start)
    held = find_equilibrium(transition, goal, box)
    plan = _search(transition, first, held, box, steps, restarts, seed)
    plan.require_converged()
    missed = _distance(transition, jax.tree.map(lambda x: x[-1], plan.states), held)
    if not missed <= _NEAR:
        raise PlanError(
            f"the best of {restarts} plans of {steps} steps ends {missed:.2g} from the goal, "
            f"and {_NEAR:g} (rad, m, rad/s and m/s) is accepted; give more steps or restarts"
        )
    if loaded.model.signals is not None:
        notes = ["a delay or lag that the fit learned does not act in the plan"]
    else:
        notes = []
    tracker, reasons = _tracker(transition, plan, held, box, seed)
    report = {
        "goal": _list(held.state.q),
        "goal_action": _list(transition.full(held.action)),
        "start": _list(first.q),
        "steps": steps,
        "cost": float(plan.cost),
        "converged": True,
        "iterations": int(plan.iterations),
        "largest_defect": float(plan.largest_defect),
        "distance_from_goal": missed,
        "distance_with_tracker": None,
        "region": None,
        "notes": notes + reasons,
    }
    if tracker is not None:
        states, _ = closed_loop(transition, tracker, first, 2 * steps)
        end = jax.tree.map(lambda x: x[-1], states)
        report["distance_with_tracker"] = _distance(transition, end, held)
        report["region"] = float(tracker.region)
    with reserved(place, lambda number: run / f"plan-{number}") as directory:
        directory = new_directory(directory)
        _write_arrays(directory / "plan.npz", transition, plan, tracker)
        _draw(directory / "plan.png", transition, plan, held, box)
        write_json(directory / "plan.json", report)
        report = {**report, "out": str(directory)}
    return PlannedMotion(plan, held, tracker, report)


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


def _search(
    transition: AbstractTransition,
    start: State,
    goal: Equilibrium,
    box: ActionBox,
    steps: int,
    restarts: int,
    seed: int,
) -> Plan:
    """Search a plan from rest to the goal."""
    n = transition.coordinates.n
    cost = GoalCost(
        goal,
        transition.coordinates,
        state_weights=[x for x in _STAGE for _ in range(n)],
        action_weights=_EFFORT / np.asarray(box.upper) ** 2,
        final_weights=[x for x in _FINAL for _ in range(n)],
    )
    key = jax.random.key(seed)
    return ILQR(box).search(transition, cost, start, steps, key=key, restarts=restarts)


def _tracker(
    transition: AbstractTransition, plan: Plan, goal: Equilibrium, box: ActionBox, seed: int
) -> tuple[Tracker | None, list[str]]:
    """Design the feedback, or say why there is none."""
    try:
        lqr = LQR.design(transition, goal, box)
    except UserError as error:
        return None, [f"without feedback: {error}"]
    region = region_of_attraction(transition, lqr, key=jax.random.key(seed))
    return Tracker.design(transition, plan, box, goal=lqr, region=region), []


def _distance(transition: AbstractTransition, state: State, goal: Equilibrium) -> float:
    """Compute the largest difference from the goal; infinite if it is not finite."""
    q = transition.coordinates.difference(state.q, goal.state.q)
    distance = float(jnp.max(jnp.abs(jnp.concatenate([q, state.qd]))))
    return distance if np.isfinite(distance) else np.inf


def _write_arrays(
    path: Path, transition: DrivenTransition, plan: Plan, tracker: Tracker | None
) -> None:
    """Write the plan for programs without lagdyna, with all actions of the model."""

    def rows(gains: Float[jax.Array, "*time m two_n"]) -> Float[jax.Array, "*time all two_n"]:
        return jnp.swapaxes(transition.full(jnp.swapaxes(gains, -1, -2)), -1, -2)

    q, qd = plan.states
    arrays = {"q": q, "qd": qd, "action": transition.full(plan.actions)}
    if tracker is not None and tracker.goal is not None:
        goal = tracker.goal
        arrays |= {
            "gains": rows(tracker.gains),
            "goal_q": goal.equilibrium.state.q,
            "goal_action": transition.full(goal.equilibrium.action),
            "goal_gain": rows(goal.gain),
            "goal_value": goal.value,
            "region": tracker.region,
        }
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{name: np.asarray(x) for name, x in arrays.items()})  # pyright: ignore[reportArgumentType]


def _draw(
    path: Path, transition: DrivenTransition, plan: Plan, goal: Equilibrium, box: ActionBox
) -> None:
    """Plot coordinates and actions, with the goal and the limits."""
    n, m = plan.states.q.shape[1], box.size
    figure = blank(6.4, 1.0 + 1.1 * (n + m))
    panels = figure.subplots(n + m, 1, sharex=True, squeeze=False)[:, 0]
    for i in range(n):
        curve = np.array(plan.states.q[:, i])
        if transition.coordinates.angles[i]:  # no line from pi to -pi
            curve[1:][np.abs(np.diff(curve)) > np.pi] = np.nan
        panels[i].plot(curve, color=BLUE, lw=1.2)
        panels[i].axhline(float(goal.state.q[i]), color=ORANGE, lw=0.7, ls="--")
        panels[i].set_ylabel(f"q[{i}]", fontsize=8)
    for j, action in enumerate(np.flatnonzero(transition.driven)):
        axes = panels[n + j]
        axes.stairs(np.asarray(plan.actions[:, j]), color=BLUE, lw=1.2, baseline=None)
        for end in (box.lower[j], box.upper[j]):
            axes.axhline(end, color=ORANGE, lw=0.7, ls="--")
        axes.set_ylabel(f"action {action}", fontsize=8)
    for axes in panels:
        finish(axes)
    panels[0].set_title("goal and limits dashed", fontsize=9)
    panels[-1].set_xlabel("step")
    save(figure, path)


def _list(values: Float[jax.Array, " n"]) -> list[float]:
    return [float(x) for x in np.asarray(values)]
