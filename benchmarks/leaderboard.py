"""Plans for the score of RealAIGym's leaderboard, through learned models and through the truth.

    python benchmarks/leaderboard.py --robot acrobot --model delan --seed 0
    python benchmarks/leaderboard.py --robot acrobot --model true

The script explores the leaderboard's simulator with random sines, fits a model, plans the
motion with the highest score that the model predicts, and tracks it in the simulator. It learns
from each of three such attempts, 42 s of interaction in all. `--model` says what is learned:

- `delan`: a DeLaN. Only the driven joint and its torque limit are known.
- `true`: nothing; the plan is through the true equations, a bound for the others.

The result is one JSON file in `results/reproductions/leaderboard`. Score and robustness are
those of one and the same controller.
"""

import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import arguments, machine, write
from _leaderboard_control import Weights, controller_of
from _leaderboard_data import explore, first_model, joined, learned_model, rows_of
from _leaderboard_plan import SECONDS, plan_for_score, predicted_score, refine
from _leaderboard_table import STORED

from lagdyna import UserError
from lagdyna.scores import realaigym_robustness, realaigym_score, realaigym_trajectory
from lagdyna.tasks import suite_task
from lagdyna.tasks.suite import realaigym

EPISODES, EPISODE = 12, 2.5  # of exploration, and seconds of each
ATTEMPT = 4.0  # seconds of an attempt whose data are learned from
ATTEMPTS = 3
UPDATES = (100, 60)  # Levenberg-Marquardt steps, before and after the first attempt


def score_of_plans(robot: str, model: str, seed: int) -> dict[str, Any]:
    """Learn, plan, and score the controller.

    **Raises:** `UserError` if no plan through the model converges and ends upright.
    """
    key = jax.random.key(seed)
    weights = Weights()
    seconds, losses, began = 0.0, [], time.perf_counter()
    if model == "true":
        system, rows = suite_task(f"realaigym-{robot}").system, []
    else:
        system = first_model(robot, jax.random.fold_in(key, 1))
        rows = [
            rows_of(robot, explore(robot, seed, episode, EPISODE))
            for episode in range(EPISODES)
        ]
        seconds = EPISODES * EPISODE
    found, controller, motion = None, None, None
    for attempt in range(ATTEMPTS + 1):
        if rows:
            system, loss = learned_model(system, joined(rows), UPDATES[attempt > 0])
            losses.append(float(loss))
            report(began, f"{seconds:g} s of interaction, one-step loss {loss:.2g}")
        if found is None:
            found = plan_for_score(system, robot, jax.random.fold_in(key, 2))
            report(
                began, f"plan of {SECONDS[robot]:g} s, score {predicted_score(found[1])[0]:.3f}"
            )
        motion = refine(system, robot, *found)
        controller = controller_of(
            system, robot, motion.plan, weights, jax.random.fold_in(key, 3)
        )
        report(began, f"refined plan, score {motion.score:.3f}")
        if not rows or attempt == ATTEMPTS:
            break
        steps = round(ATTEMPT / realaigym.DT)
        trajectory = realaigym_trajectory(robot, controller, steps=steps)
        rows.append(rows_of(robot, trajectory))
        seconds += ATTEMPT
        off = np.abs(np.concatenate([np.sin(trajectory.q[-1] / 2), trajectory.qd[-1]])).max()
        report(began, f"attempt of {ATTEMPT:g} s, {off:.2g} from upright at rest in the end")
    assert controller is not None
    assert motion is not None
    performance = realaigym_score(*realaigym_trajectory(robot, controller))
    report(began, f"score {performance.score:.3f}")
    robustness = realaigym_robustness(robot, controller)
    report(began, f"robustness {robustness.score:.3f}")
    return {
        "robot": robot,
        "model": model,
        "seed": seed,
        "interaction_seconds": seconds,
        "losses": losses,
        "plan_seconds": SECONDS[robot],
        "predicted": {"score": motion.score, "criteria": motion.criteria},
        "weights": weights._asdict(),
        "region": float(controller.tracker.region),
        "performance": performance._asdict(),
        "robustness": robustness._asdict(),
        "seconds": round(time.perf_counter() - began, 1),
    }


def report(began: float, text: str) -> None:
    """Print a line of progress."""
    print(f"{time.perf_counter() - began:6.0f} s  {text}", flush=True)


def main() -> None:
    """Run the benchmark and write its result."""
    jax.config.update("jax_enable_x64", True)  # exact data deserve it
    parser = arguments(__doc__, "")
    parser.add_argument("--robot", choices=realaigym.ROBOTS, required=True)
    parser.add_argument("--model", choices=("delan", "true"), default="delan")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    out = args.out
    if out == Path():
        out = STORED / f"{args.robot}.{args.model}.{args.seed}.json"
    if out.exists():
        sys.exit(f"leaderboard.py: {out} exists; give another --out, or remove it")
    try:
        result = score_of_plans(args.robot, args.model, args.seed)
    except UserError as error:
        sys.exit(f"leaderboard.py: {error}")
    write(out, {"about": machine(), **result})


if __name__ == "__main__":
    main()
