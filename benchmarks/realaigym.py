"""Scores of a trained policy on RealAIGym's leaderboard for the double pendulum.

    lagdyna train realaigym-acrobot --out runs/acrobot
    python benchmarks/realaigym.py runs/acrobot
    python benchmarks/realaigym.py runs/acrobot --robustness --out scores.json

The policy of the run, without noise, controls the simulator of the leaderboard for 10 s from
hanging at rest. Actions are held for as long as in the run. The output is a Markdown table of
the five criteria and the performance score, version 2. `--robustness` adds the robustness
score, version 2, from 722 simulations.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from _common import arguments, machine, write
from jaxtyping import Array, Float, Scalar

from lagdyna import UserError, load_run
from lagdyna.agents import AbstractPolicy
from lagdyna.mechanics import FixedActuation, State
from lagdyna.scores import (
    HeldController,
    realaigym_robustness,
    realaigym_score,
    realaigym_trajectory,
)
from lagdyna.tasks import suite_name
from lagdyna.tasks.suite import realaigym

ROBOTS = {f"realaigym-{robot}": robot for robot in realaigym.ROBOTS}


class PolicyFeedback(eqx.Module):
    """Feedback law of a policy without noise, computed in the precision of the policy."""

    policy: AbstractPolicy
    actuation: FixedActuation

    def __call__(
        self, t: Scalar, q: Float[Array, " 2"], qd: Float[Array, " 2"]
    ) -> Float[Array, " 2"]:
        weights = jax.tree.leaves(eqx.filter(self.policy, eqx.is_inexact_array))
        precision = jnp.result_type(*weights)
        action = self.policy.mode(State(q.astype(precision), qd.astype(precision)))
        return self.actuation(q, jnp.clip(action, -1, 1).astype(q.dtype))


def score_of_run(directory: str | Path, *, robustness: bool = False) -> dict[str, Any]:
    """Score the policy of a training run on RealAIGym's leaderboard.

    **Arguments:**

    - `directory`: directory of a run of `realaigym-acrobot` or `realaigym-pendubot`.
    - `robustness`: whether to compute the robustness score too.

    **Returns:** `robot`, `env_steps` and `seconds` of interaction, `performance` and, if
    requested, `robustness`. The last two have the criteria and the `score`.

    **Raises:** `UserError` if the directory has no run, or one of another task.
    """
    run = load_run(directory)
    task = run.config.task
    name = suite_name(task)
    if name not in ROBOTS:
        raise UserError(
            f"{directory} is a run of {task.env_id!r}; runs of {' and '.join(ROBOTS)} are "
            "accepted"
        )
    robot, policy = ROBOTS[name], run.training.policy
    feedback = PolicyFeedback(policy, task.actuation)
    controller = HeldController(feedback, round(task.action_time / realaigym.DT))
    steps = int(run.training.env_steps)
    performance = realaigym_score(*realaigym_trajectory(robot, controller))
    result = {
        "robot": robot,
        "env_steps": steps,
        "seconds": steps * task.dt,
        "performance": performance._asdict(),
    }
    if robustness:
        result["robustness"] = realaigym_robustness(robot, controller)._asdict()
    return result


def table(criteria: dict[str, Any]) -> str:
    """Format criteria and score as a Markdown table of one row."""
    heads = [name.replace("_", " ") for name in criteria]
    cells = [str(x) if isinstance(x, bool) else f"{x:.3f}" for x in criteria.values()]
    rows = (heads, ["---"] * len(heads), cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def options() -> argparse.Namespace:
    """Read the options of the command line."""
    parser = arguments(__doc__, "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, help="directory of a training run")
    parser.add_argument("--robustness", action="store_true", help="compute robustness too")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark, print the table, and write the result as JSON if requested."""
    args = options()
    try:
        result = score_of_run(args.run, robustness=args.robustness)
    except UserError as error:
        sys.exit(f"realaigym.py: {error}")
    print(f"{result['robot']}, {result['seconds']:g} s of interaction")
    for part in ("performance", "robustness"):
        if part in result:
            print(f"\n{part}\n\n{table(result[part])}")
    if args.out != Path():
        write(args.out, {"machine": machine(), **result})


if __name__ == "__main__":
    main()
