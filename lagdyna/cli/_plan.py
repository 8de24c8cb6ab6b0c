import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .._errors import UserError
from ._options import Location, Seed, Trusted, Whole
from ._precision import use_precision
from ._print import say

Numbers = Annotated[str | None, Parameter(show_default=False)]


def plan(
    run: Path,
    /,
    *,
    goal: Annotated[str, Parameter(show_default=False)],
    start: Annotated[str, Parameter(show_default=False)],
    limit: Numbers = None,
    steps: Whole = None,
    restarts: Whole = None,
    seed: Seed = 0,
    out: Location = None,
    trust: Trusted = False,
) -> None:
    """Plan a motion from rest to rest with the model of a run alone.

    The actions stay within their limits. The plan, the gains of a tracker and a figure are
    written if the plan converged and reaches the goal. If none does, the exit code is 1,
    and nothing is written.

    Parameters
    ----------
    run
        The directory of a fit or a training run.
    goal
        The coordinates to reach, as q=3.14,0, in rad and m; an action within the limits must
        hold them.
    start
        The coordinates at the start, likewise.
    limit
        The largest magnitude of each action, as 5 or 5,0, with 0 for actions that do not act.
        A fit needs it, in the units of its data; a training run has 1 by default.
    steps
        Number of actions of the plan; 100 by default.
    restarts
        Number of random guesses; 8 by default.
    seed
        Seed of the guesses.
    out
        A new or empty directory; by default the first free plan-1, ... in that of the run.
    """
    ends = {"goal": goal, "start": start, "limit": limit}
    numbers = {name: _numbers(name, text) for name, text in ends.items() if text is not None}
    counts = {"steps": steps, "restarts": restarts}
    options = {name: value for name, value in counts.items() if value is not None}
    use_precision(run)
    from ..control import PlanError
    from ..runs import plan_motion

    try:
        found = plan_motion(
            run,
            numbers["goal"],
            numbers["start"],
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
    tracked = report["distance_with_tracker"]
    say(
        f"plan of {report['steps']} steps: cost {report['cost']:.4g}, converged in "
        f"{report['iterations']} iterations, ends {report['distance_from_goal']:.2g} from the "
        "goal" + ("" if tracked is None else f", {tracked:.2g} with its tracker after as long")
    )
    say(f"-> {report['out']}: plan.npz, plan.json, plan.png")


def _numbers(name: str, text: str) -> list[float]:
    """Parse numbers such as `q=3.14,0`."""
    try:
        return [float(x) for x in text.removeprefix("q=").split(",")]
    except ValueError as error:
        raise UserError(
            f"`--{name}` was {text!r}; numbers with commas, such as q=3.14,0, are accepted"
        ) from error
