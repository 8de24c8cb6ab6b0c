"""Returns of gradient-based plans in the true equations of the suite's tasks.

    python benchmarks/plans.py --tasks acrobot cart3pole --seeds 3 --out plans.json

The shooting planner improves open-loop plans from initial states through the task's true
equations and reward. The best plan is then executed in the task. The table shows the loss by
the end of the plan, the sum of `1 - reward` over its steps, after each quarter of the rounds.
It also shows the mean reward of the last steps. An agent that loses more over a whole episode
has not found the best policy.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import arguments, machine, write
from behaviour import Exact
from jaxtyping import Array, Scalar

from lagdyna.agents import Plans, ShootingPlanner
from lagdyna.mechanics import State
from lagdyna.models import GivenReward
from lagdyna.simulate import WorldModel
from lagdyna.tasks import SUITE, Plant, suite_task


def plan(name: str, actions: int, rounds: int, seed: int) -> dict[str, Any]:
    """Plan for one seed of a task and measure the loss, the last rewards and the time."""
    spec, task = SUITE[name].spec, suite_task(name)
    planner = ShootingPlanner(spec.action_size, Plant.of_task(spec).limits, actions)
    world = WorldModel(
        Exact(spec.joint_coordinates, task, spec.repeat),
        GivenReward(lambda state, action, following: task.reward(following)),
    )
    start_key, first_key, key = jax.random.split(jax.random.key(seed), 3)
    starts = jax.tree.map(lambda x: jnp.asarray(x[None], float), task.reset(start_key))

    @jax.jit
    def improve(plans: Plans, key: Array) -> Plans:
        return planner.improve(plans, world, starts, key=key)

    @jax.jit
    def paid(plans: Plans) -> Array:
        """Compute the reward of each step of the best plan in the task."""

        def body(state: State, action: Array) -> tuple[State, Scalar]:
            return task.step(state, action)

        best = jnp.argmax(plans.returns)
        held = jnp.repeat(plans.actions[best], spec.repeat, axis=0)
        start = jax.tree.map(lambda x: x[best], plans.starts)
        return jax.lax.scan(body, start, held)[1]

    began = time.perf_counter()
    plans, lost, rewards = planner.init(first_key, starts), [], np.zeros(1)
    quarters = {rounds * i // 4 for i in range(1, 5)}
    for i in range(rounds):
        plans = improve(plans, jax.random.fold_in(key, i))
        if i + 1 in quarters:
            rewards = np.asarray(paid(plans))
            lost.append(float(np.sum(1 - rewards)))
    seconds = time.perf_counter() - began
    return {"lost": lost, "last": float(rewards[-40:].mean()), "seconds": seconds}


def main() -> None:
    """Run the benchmark, print a table, write the results as JSON."""
    parser = arguments(__doc__, "plans.json")
    chains = [name for name in SUITE if SUITE[name].spec.repeat == 4]
    parser.add_argument("--tasks", nargs="+", choices=list(SUITE), default=chains, help="tasks")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--actions", type=int, default=60, help="actions of a plan")
    parser.add_argument("--rounds", type=int, default=100, help="rounds of improvement")
    args = parser.parse_args()
    about = {**machine(), "actions": args.actions, "rounds": args.rounds}
    found: dict[str, list[dict[str, Any]]] = {}
    print("| task | steps | lost, each seed | after each quarter, mean | paid at last | s |")
    print("|---|---|---|---|---|---|")
    for name in args.tasks:
        runs = [plan(name, args.actions, args.rounds, seed) for seed in range(args.seeds)]
        found[name] = runs
        lost = np.array([run["lost"] for run in runs])
        cells = [
            name,
            str(args.actions * SUITE[name].spec.repeat),
            ", ".join(f"{x:.0f}" for x in lost[:, -1]),
            ", ".join(f"{x:.0f}" for x in lost.mean(axis=0)),
            ", ".join(f"{run['last']:.2f}" for run in runs),
            ", ".join(f"{run['seconds']:.0f}" for run in runs),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    write(args.out, {"about": about, "tasks": found})


if __name__ == "__main__":
    main()
