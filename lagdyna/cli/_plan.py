import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ._options import Location, Seed, Trusted, Whole, numbers_of
from ._precision import use_precision
from ._print import say

Numbers = Annotated[str | None, Parameter(show_default=False)]


def plan(
    run: Path,
    /,
    *,
    start: Annotated[str, Parameter(show_default=False)],
    goal: Numbers = None,
    reward: Numbers = None,
    limit: Numbers = None,
    steps: Whole = None,
    restarts: Whole = None,
    seed: Seed = 0,
    out: Location = None,
    trust: Trusted = False,
) -> None:
    """Plan a motion with the model of a run alone, to a goal or for a reward.

    The actions stay within their limits. The plan, the gains of a tracker and a figure are
    written if the plan converged and reaches the goal. If none does, the exit code is 1,
    and nothing is written. If a filter fitted the model, the plan is also tried in samples of
    the posterior.

    Parameters
    ----------
    run
        The directory of a fit or a training run.
    start
        The coordinates at the start, as q=3.14,0, in rad and m.
    goal
        The coordinates to reach at rest, likewise; an action within the limits must hold them.
    reward
        FILE.py:NAME of a reward in place of a goal: a function of (state, action) in JAX that
        returns a number. state.q and state.qd have a number for each coordinate.
    limit
        The largest magnitude of each action, as 5 or 5,0, with 0 for actions that do not act.
        A fit needs it, in the units of its data; a training run has 1 by default.
    steps
        Number of actions of the plan; 100 by default.
    restarts
        Number of random guesses; 8 by default.
    seed
        Seed of the guesses and of the samples.
    out
        A new or empty directory; by default the first free plan-1, ... in that of the run.
    """
    ends = {"goal": goal, "start": start, "limit": limit}
    numbers = {name: numbers_of(name, text) for name, text in ends.items() if text is not None}
    counts = {"steps": steps, "restarts": restarts}
    options = {name: value for name, value in counts.items() if value is not None}
    use_precision(run)
    from ..control import PlanError
    from ..runs import plan_motion

    try:
        found = plan_motion(
            run,
            numbers.get("goal"),
            numbers["start"],
            reward=reward,
            limit=numbers.get("limit"),
            seed=seed,
            out=out,
            trust=trust,
            **options,
        )
    except PlanError as error:
        say(f"no plan: {error}")
        sys.exit(1)
    report = found.report
    for note in report["notes"]:
        say(f"note: {note}")
    begun = (
        f"plan of {report['steps']} steps: cost {report['cost']:.4g}, converged in "
        f"{report['iterations']} iterations, "
    )
    if reward is None:
        tracked, after = report["distance_with_tracker"], " after as long"
        begun += f"ends {report['distance_from_goal']:.2g} from the goal"
    else:
        tracked, after = report["return_with_tracker"], ""
        begun += f"return {report['return']:.4g}"
    say(begun + ("" if tracked is None else f", {tracked:.4g} with its tracker{after}"))
    if report["samples"] is not None:
        say(_sampled(report["samples"]))
    film = ", plan.gif" if (Path(report["out"]) / "plan.gif").exists() else ""
    say(f"-> {report['out']}: report.html, plan.npz, plan.json, plan.png{film}")


def _sampled(found: dict[str, Any]) -> str:
    """Say what the plan does in samples of the posterior."""
    text = f"in {found['count']} samples of the posterior: "
    if found["finite"] < found["count"]:
        text += f"{found['finite']} stay finite, "
    if found["share_at_goal"] is not None:
        text += f"{100 * found['share_at_goal']:.0f} % reach the goal, "
    if found["return_mean"] is not None:
        text += f"return {found['return_mean']:.4g} +- {found['return_deviation']:.2g}, "
    if found["end_q_deviation"] is None:
        return text.removesuffix(", ")
    spread = (
        ", ".join(f"{x:.2g}" for x in found[name])
        for name in ("end_q_deviation", "end_qd_deviation")
    )
    return text + "the end deviates by {} in q and {} in qd".format(*spread)
