"""Success rate of a trained policy on the tasks of PILCO.

    lagdyna train pilco-cartpole --out runs/pilco
    python benchmarks/pilco.py runs/pilco

The policy of the run, without noise, acts in new trials from random initial states. The output
is the time of interaction in seconds and the fraction of successful trials. In a successful
trial the tip is within 8 cm of its goal for the last second.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, write

from lagdyna import UserError, load_run
from lagdyna.mechanics import State
from lagdyna.scores import pilco_success
from lagdyna.tasks import suite_name, suite_task

TASKS = ("pilco-cartpole", "pilco-cart2pole")


def success_of_run(
    directory: str | Path, *, trials: int = 100, seed: int = 0
) -> dict[str, Any]:
    """Compute the fraction of new trials in which the policy of a training run succeeds.

    **Arguments:**

    - `directory`: directory of a run of `pilco-cartpole` or `pilco-cart2pole`.
    - `trials`: number of trials.
    - `seed`: seed of the initial states.

    **Returns:** `task`, `env_steps` and `seconds` of interaction, `trials` and `success`.

    **Raises:** `UserError` if the directory has no run, or one of another task, or if `trials`
    is not positive.
    """
    if trials < 1:
        raise UserError(f"`trials` was {trials}; a number from 1 on is accepted")
    run = load_run(directory)
    spec = run.config.task
    name = suite_name(spec)
    if name not in TASKS:
        raise UserError(
            f"{directory} is a run of {spec.env_id!r}; runs of {' and '.join(TASKS)} are "
            "accepted"
        )
    task = suite_task(name)

    def act(states: State, _: None) -> tuple[State, State]:
        actions = run.trainer.act(run.training, states)

        def hold(states: State, _: None) -> tuple[State, State]:
            return jax.vmap(task.advance)(states, actions), states

        return jax.lax.scan(hold, states, length=spec.repeat)

    starts = jax.vmap(task.reset)(jax.random.split(jax.random.key(seed), trials))
    last, path = jax.lax.scan(act, starts, length=-(-task.horizon // spec.repeat))
    rows = path.q.reshape(-1, trials, task.n)
    q = np.asarray(jnp.concatenate([rows, last.q[None]]))[: task.horizon + 1]
    steps = int(run.training.env_steps)
    return {
        "task": name,
        "env_steps": steps,
        "seconds": steps * spec.dt,
        "trials": trials,
        "success": float(np.mean([pilco_success(task, q[:, i]) for i in range(trials)])),
    }


def main() -> None:
    """Run the benchmark, print the result, and write it as JSON if requested."""
    parser = arguments(__doc__, "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, help="directory of a training run")
    parser.add_argument("--trials", type=int, default=100, help="number of trials")
    args = parser.parse_args()
    try:
        result = success_of_run(args.run, trials=args.trials)
    except UserError as error:
        sys.exit(f"pilco.py: {error}")
    print(
        f"{result['task']}, {result['seconds']:g} s of interaction: {result['success']:.0%} of "
        f"{result['trials']} trials succeed"
    )
    if args.out != Path():
        write(args.out, {"machine": machine(), **result})


if __name__ == "__main__":
    main()
